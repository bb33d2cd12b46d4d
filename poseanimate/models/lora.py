"""LoRA are added to the weights once, so a run costs what it costs without them."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file
from torch import nn

from poseanimate.errors import ModelsError, first_line
from poseanimate.models.weight_files import Lora

# how the names of a change's first factor end, in diffusers' layouts
DOWN = ("lora_A.weight", "lora.down.weight", "lora_linear_layer.down.weight")


def fuse_loras(networks: dict[str, Any], loras: Iterable[Lora]) -> None:
    """Adds LoRA to the U-Net's and the text encoder's weights, in place.

    Args:
        networks: with "unet" and "text_encoder".

    Raises:
        ModelsError: the package peft is missing, or a LoRA is for other networks.
    """
    for lora in loras:
        if "text_encoder_2" in networks:
            raise ModelsError(
                "LoRA are read for Stable Diffusion 1.5 alone, not for XL.", "Leave --lora out."
            )
        if find_spec("peft") is None:
            raise ModelsError("LoRA need the package peft.", "Install it: pip install peft.")
        pipeline = StableDiffusionPipeline(
            None, networks["text_encoder"], None, networks["unet"], None, None, None,
            requires_safety_checker=False,
        )  # fmt: skip
        try:
            weights, alphas = pipeline.lora_state_dict(load_file(lora.path))
            wanted = sum(name.endswith(DOWN) for name in weights)
            pipeline.load_lora_into_unet(weights, alphas, networks["unet"])
            pipeline.load_lora_into_text_encoder(weights, alphas, networks["text_encoder"])
            taken = sum(_count_layers(networks[part]) for part in ("unet", "text_encoder"))
            if not taken or taken != wanted:
                raise ValueError(f"{wanted - taken} of its {wanted} changes fit no layer")
            pipeline.fuse_lora(lora_scale=lora.weight)
            pipeline.unload_lora_weights()
        except (ValueError, LookupError, TypeError, RuntimeError) as error:
            raise ModelsError(
                f"The LoRA {lora.name!r:.200} can't be added to these models ({first_line(error)}).",
                "Choose one that was made for Stable Diffusion 1.5.",
            ) from error


def _count_layers(network: nn.Module) -> int:
    return sum(hasattr(layer, "lora_A") for layer in network.modules())
