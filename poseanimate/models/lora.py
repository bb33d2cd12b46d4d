"""LoRA are added to the weights once, so a run costs what it costs without them."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable
from typing import Any

from diffusers import StableDiffusionPipeline
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from poseanimate.errors import ModelsError, first_line
from poseanimate.models.weight_files import Lora

# how the names of a change's first factor end, in diffusers' layouts
DOWN = ("lora_A.weight", "lora.down.weight", "lora_linear_layer.down.weight")
ALPHA, METADATA = ".alpha", "lora_adapter_metadata"


def fuse_loras(networks: dict[str, Any], loras: Iterable[Lora]) -> None:
    """Adds LoRA to the U-Net's and the text encoder's weights, in place.

    Args:
        networks: with "unet" and "text_encoder".

    Raises:
        ModelsError: a LoRA is for other networks, or the package peft is too old.
    """
    for lora in loras:
        pipeline = StableDiffusionPipeline(
            None, networks["text_encoder"], None, networks["unet"], None, None, None,
            requires_safety_checker=False,
        )  # fmt: skip
        try:
            # they are of layers that aren't there, which are counted
            with warnings.catch_warnings(action="ignore"):
                _fuse(pipeline, lora)
        except ImportError as error:
            raise ModelsError(
                f"LoRA need another version of the package peft ({first_line(error)}).",
                "Install it: pip install -U 'peft>=0.20'.",
            ) from error
        except (ValueError, LookupError, TypeError, RuntimeError) as error:
            raise ModelsError(
                f"The LoRA {lora.name!r:.200} can't be added to these models ({first_line(error)}).",
                "Choose one that was made for Stable Diffusion 1.5.",
            ) from error


def _fuse(pipeline: Any, lora: Lora) -> None:
    """Raises ValueError where a change fits no layer."""
    weights, _ = pipeline.lora_state_dict(
        _scale_by_alpha(load_file(lora.path)), unet_config=pipeline.unet.config
    )
    wanted = sum(name.endswith(DOWN) for name in weights)
    given = {"network_alphas": None, "metadata": _read_metadata(lora)}
    pipeline.load_lora_into_unet(weights, unet=pipeline.unet, **given)
    pipeline.load_lora_into_text_encoder(weights, text_encoder=pipeline.text_encoder, **given)
    taken = sum(_count_layers(network) for network in (pipeline.unet, pipeline.text_encoder))
    if not taken or taken != wanted:
        raise ValueError(f"{wanted - taken} of its {wanted} changes fit no layer")
    pipeline.fuse_lora(lora_scale=lora.weight)
    pipeline.unload_lora_weights()


def _scale_by_alpha(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same changes without alphas: each second factor times alpha / rank.

    diffusers passes alphas on under names that peft doesn't know, so that all layers would get the commonest one.
    """
    found = {name: tensor for name, tensor in tensors.items() if not name.endswith(ALPHA)}
    for name in tensors.keys() - found.keys():
        layer = name.removesuffix(ALPHA)
        down, up = f"{layer}.lora_down.weight", f"{layer}.lora_up.weight"
        if up not in found or down not in found:
            raise ValueError(f"{name} belongs to no change")
        scale = float(tensors[name]) / found[down].shape[0]
        found[up] = (found[up].float() * scale).to(found[up].dtype)
    return found


def _read_metadata(lora: Lora) -> dict[str, Any] | None:
    """What diffusers' trainers say of ranks and alphas in a file's header; None where they don't."""
    with safe_open(lora.path, framework="pt") as file:
        text = (file.metadata() or {}).get(METADATA)
    found = json.loads(text) if text else None
    if found is not None and not isinstance(found, dict):
        raise ValueError(f"its {METADATA} is no object")
    return found


def _count_layers(network: nn.Module) -> int:
    return sum(hasattr(layer, "lora_A") for layer in network.modules())
