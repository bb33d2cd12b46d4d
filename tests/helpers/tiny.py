"""Tiny models of the real classes with random weights, and eyes that see what they are told to see."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from poseanimate.models.family import Models
from poseanimate.pocket.body import Angles
from poseanimate.pocket.training.nets import (
    MAX_TOKENS,
    build_scheduler,
    build_tokenizer,
    vocabulary,
)
from poseanimate.pocket.world.scene import Rendered, Scene
from poseanimate.poses.skeleton import Pose

SIDE = 64


@dataclass(frozen=True)
class ToldEyes:
    """A detector and segmenter that sees the same people in every picture."""

    people: tuple[Pose, ...]
    mask: np.ndarray
    identity: str = "told"

    def detect(self, image: np.ndarray) -> list[Pose]:
        return list(self.people)

    def segment(self, image: np.ndarray) -> np.ndarray:
        return self.mask


@cache
def scene_at_ease(split: str = "train", index: int = 3, side: int = SIDE) -> Rendered:
    return Scene.sample(split, index).render(Angles(), side, side)


@cache
def tiny_networks(seed: int = 0) -> dict:
    """U-Net, ControlNet, VAE, text encoder: 16 x 16 latents of 3 channels for 64 px pictures."""
    torch.manual_seed(seed)
    words = len(vocabulary())
    unet = UNet2DConditionModel(
        sample_size=16, in_channels=3, out_channels=3, block_out_channels=(16, 24), layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=16, attention_head_dim=(2, 3), norm_num_groups=8,
    )  # fmt: skip
    controlnet = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 8, 16))
    for layer in (*controlnet.controlnet_down_blocks, controlnet.controlnet_mid_block):
        torch.nn.init.normal_(layer.weight, std=0.1)
    torch.nn.init.normal_(controlnet.controlnet_cond_embedding.conv_out.weight, std=0.3)
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8), latent_channels=3, norm_num_groups=4, layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
    )  # fmt: skip
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=words, hidden_size=16, intermediate_size=32, projection_dim=16, num_hidden_layers=1,
            num_attention_heads=2, max_position_embeddings=MAX_TOKENS,
            bos_token_id=words - 2, eos_token_id=words - 1, pad_token_id=words - 1,
        )
    )  # fmt: skip
    with TemporaryDirectory() as folder:
        tokenizer = build_tokenizer(Path(folder))
    networks = {"unet": unet, "controlnet": controlnet, "vae": vae, "text_encoder": text_encoder}
    for network in networks.values():
        network.eval().requires_grad_(False)
    return networks | {"tokenizer": tokenizer, "scheduler": build_scheduler()}


class OtherWorld:
    """Of models that paint no picture at all."""

    def is_of_its_world(self, image: np.ndarray) -> bool:
        return False


def tiny_models(rendered: Rendered | None = None) -> Models:
    rendered = rendered or scene_at_ease()
    eyes = ToldEyes((rendered.pose,), rendered.mask)
    return Models(
        "tiny", "tiny-0", SIDE, **tiny_networks(), detector=eyes, segmenter=eyes, family="pocket"
    )
