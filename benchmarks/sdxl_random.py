"""Stable Diffusion XL and its OpenPose ControlNet with random weights, in the hub's folder layout.

`python benchmarks/sdxl_random.py FOLDER` writes 9.5 GB: the exact configurations of base 1.0, of xinsir's ControlNet
and of the autoencoder for half precision. Tests take the same with fewer channels and layers. See `sd15_random`.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from sd15_random import SCHEDULER, TOKENS, VOCABULARY, randomise, write_tokenizer
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from poseanimate.models.files import PERCEPTION_FOLDER, POCKET, SDXL_PIPELINE

FIRST, SECOND = 768, 1280  # channels of the text encoders: CLIP ViT-L's and OpenCLIP ViT-bigG's


@dataclass(frozen=True)
class Size:
    """Of the networks; without arguments the published one.

    channels: of the U-Net's three levels. head: of an attention head. text_layers: of the two encoders.
    vae_channels: of the autoencoder's four levels. groups: of the normalisation.
    """

    side: int = 1024
    channels: tuple[int, int, int] = (320, 640, 1280)
    head: int = 64
    text_layers: tuple[int, int] = (12, 32)
    vae_channels: tuple[int, int, int, int] = (128, 256, 512, 512)
    groups: int = 32
    vocabulary: int = VOCABULARY
    tokens: int = TOKENS


NARROW = Size(256, (32, 64, 128), 16, (2, 2), (8, 8, 16, 16), 8)


def unet(size: Size) -> UNet2DConditionModel:
    """2.6 billion parameters where it is the published one."""
    return UNet2DConditionModel(
        sample_size=size.side // 8, in_channels=4, out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=size.channels, layers_per_block=2, norm_num_groups=size.groups,
        transformer_layers_per_block=(1, 2, 10), use_linear_projection=True,
        attention_head_dim=tuple(channels // size.head for channels in size.channels),
        cross_attention_dim=FIRST + SECOND, addition_embed_type="text_time",
        addition_time_embed_dim=256, projection_class_embeddings_input_dim=SECOND + 6 * 256,
    )  # fmt: skip


def build(size: Size) -> dict[str, Any]:
    """The five networks by name."""
    denoiser = unet(size)
    controlnet = ControlNetModel.from_unet(
        denoiser,
        conditioning_embedding_out_channels=(16, 32, 96, 256),
        load_weights_from_unet=False,
    )
    common = {
        "vocab_size": size.vocabulary, "max_position_embeddings": size.tokens, "bos_token_id": 0,
        "eos_token_id": 2, "pad_token_id": 1,
    }  # fmt: skip
    return {
        "unet": denoiser,
        "controlnet": controlnet,
        "vae": AutoencoderKL(
            block_out_channels=size.vae_channels, layers_per_block=2, latent_channels=4,
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
            norm_num_groups=size.groups, scaling_factor=0.13025, sample_size=size.side,
            force_upcast=False,
        ),
        "text_encoder": CLIPTextModel(
            CLIPTextConfig(
                hidden_size=FIRST, intermediate_size=3072, num_hidden_layers=size.text_layers[0],
                num_attention_heads=12, hidden_act="quick_gelu", projection_dim=768, **common,
            )
        ),
        "text_encoder_2": CLIPTextModelWithProjection(
            CLIPTextConfig(
                hidden_size=SECOND, intermediate_size=5120, num_hidden_layers=size.text_layers[1],
                num_attention_heads=20, hidden_act="gelu", projection_dim=SECOND, **common,
            )
        ),
    }  # fmt: skip


def write(folder: Path, size: Size | None = None, variant: str | None = "fp16") -> Path:
    """Fills a folder, one network at a time, in half precision."""
    with torch.device("meta"):
        networks = build(size or Size())
    for seed, name in enumerate(list(networks)):
        network = networks.pop(name).half()
        network.to_empty(device="cpu")
        randomise(network, torch.Generator().manual_seed(seed))
        network.save_pretrained(folder / name, variant=variant)
    (folder / "scheduler").mkdir(exist_ok=True)
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(SCHEDULER))
    for name in ("tokenizer", "tokenizer_2"):
        write_tokenizer(folder / name)
    about = json.loads((folder / "tokenizer_2" / "tokenizer_config.json").read_text())
    (folder / "tokenizer_2" / "tokenizer_config.json").write_text(
        json.dumps(about | {"pad_token": "!"})
    )
    shutil.copytree(POCKET / PERCEPTION_FOLDER, folder / PERCEPTION_FOLDER, dirs_exist_ok=True)
    index = {
        "_class_name": SDXL_PIPELINE,
        "vae": ["diffusers", "AutoencoderKL"],
        "force_zeros_for_empty_prompt": True,
    }
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(Path(sys.argv[1]))
