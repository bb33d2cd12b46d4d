"""IP-Adapter's weights for Stable Diffusion 1.5, downloaded when a picture is first used as a prompt."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.embeddings import ImageProjection
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

from poseanimate.errors import ModelsError, first_line
from poseanimate.method.extras.ip_attention import ImagePrompt
from poseanimate.method.processors import is_cross_attention
from poseanimate.models.hub import Repository, fetch, network_files

WEIGHTS, ENCODER = "ip-adapter_sd15.safetensors", "image_encoder"
TOKENS = 4  # per picture
UNUSABLE = (OSError, ValueError, LookupError, RuntimeError, SafetensorError)


@dataclass(frozen=True)
class IPAdapter:
    """The adapter of a folder that holds WEIGHTS and ENCODER/, or of a hub's repository that has them in `models`."""

    source: Repository | Path

    def prompt(
        self, unet: UNet2DConditionModel, picture: NDArray[np.uint8], scale: float
    ) -> ImagePrompt:
        """A picture (H, W, 3) as a prompt for a U-Net.

        Raises:
            ModelsError: the adapter can't be downloaded or loaded, or is for another U-Net.
        """
        try:
            weights, encoder, processor = self._parts
            layers = [name for name in unet.attn_processors if is_cross_attention(name)]
            projection = _build_projection(weights, unet.config.cross_attention_dim)
            options = {"device": unet.device, "dtype": unet.dtype}
            # the published names count all attention layers, of which the odd ones are cross-attention
            own = {
                name: (
                    weights[f"ip_adapter.{2 * i + 1}.to_k_ip.weight"].to(**options),
                    weights[f"ip_adapter.{2 * i + 1}.to_v_ip.weight"].to(**options),
                )
                for i, name in enumerate(layers)
            }
            with torch.no_grad():
                seen = encoder(**processor(picture.copy(), return_tensors="pt")).image_embeds
                tokens = projection(torch.cat([torch.zeros_like(seen), seen]))
        except UNUSABLE as error:
            remedy = f"Put {WEIGHTS} and {ENCODER}/ of this U-Net's kind into the folder"
            if not isinstance(self.source, Path):
                remedy = "Check the connection to the Hugging Face hub"
            raise ModelsError(
                f"IP-Adapter can't be used ({first_line(error)}).",
                f"{remedy}, or choose another baseline.",
            ) from error
        return ImagePrompt(tokens.to(**options), own, scale)

    @cached_property
    def _parts(self) -> tuple[dict[str, Tensor], Any, CLIPImageProcessor]:
        source = self.source
        folder = source if isinstance(source, Path) else fetch(source, _choose_files) / "models"
        weights = folder / WEIGHTS
        encoder = CLIPVisionModelWithProjection.from_pretrained(
            folder / ENCODER, use_safetensors=True
        )
        side = encoder.config.image_size
        processor = CLIPImageProcessor(size={"shortest_edge": side}, crop_size=side)
        return load_file(weights), encoder.eval().requires_grad_(False), processor


def _choose_files(names: list[str]) -> list[str]:
    return [f"models/{WEIGHTS}", *network_files(names, f"models/{ENCODER}")]


def _build_projection(weights: dict[str, Tensor], channels: int) -> ImageProjection:
    own = {
        name.removeprefix("image_proj.").replace("proj.", "image_embeds."): value.float()
        for name, value in weights.items()
        if name.startswith("image_proj.")
    }
    projection = ImageProjection(own["image_embeds.weight"].shape[1], channels, TOKENS)
    projection.load_state_dict(own)
    return projection.requires_grad_(False)
