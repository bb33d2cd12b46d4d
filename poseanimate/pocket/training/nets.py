"""The pocket family's networks: small versions of Stable Diffusion 1.5's classes, and diffusers' AutoencoderDC.

The autoencoder reduces by 8 to 12 channels, so 128 px pictures become 16 x 16 latents; its decoder has a stage more
than its encoder and paints 256 px. Each caption word is one token of a CLIP tokenizer. U-Net and ControlNet have
cross-attention at every level.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import torch
from diffusers import AutoencoderDC, ControlNetModel, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from poseanimate.pocket.places import WHERE
from poseanimate.pocket.world.doll import (
    CLOTH,
    HAIR_COLOURS,
    HAIR_STYLES,
    HATS,
    LETTERS,
    SKINS,
)

PICTURE_SIZE = 128  # that the networks see
PAINTED_SIZE = 256  # that the decoder paints
LATENT_CHANNELS = 12
TEXT_WIDTH = 128
MAX_TOKENS = 40
START, END = "<|startoftext|>", "<|endoftext|>"


def build_vae() -> AutoencoderDC:
    return AutoencoderDC(
        latent_channels=LATENT_CHANNELS,
        encoder_block_types="ResBlock",
        decoder_block_types="ResBlock",
        encoder_block_out_channels=(16, 32, 64, 128),
        decoder_block_out_channels=(16, 24, 32, 64, 128),
        encoder_layers_per_block=(0, 1, 2, 2),
        decoder_layers_per_block=(0, 2, 3, 3, 4),
        encoder_qkv_multiscales=((),) * 4,
        decoder_qkv_multiscales=((),) * 5,
        downsample_block_type="pixel_unshuffle",
        upsample_block_type="pixel_shuffle",
        encoder_out_shortcut=False,
        decoder_in_shortcut=False,
    )


def grow_decoder(vae: AutoencoderDC) -> AutoencoderDC:
    """Gives the decoder the stages of `build_vae`: those that it has stay as they are, the last are new."""
    larger = build_vae()
    fewer = len(larger.decoder.up_blocks) - len(vae.decoder.up_blocks)
    if not fewer:
        return vae
    own = larger.state_dict()
    for name, weight in vae.state_dict().items():
        if stage := re.fullmatch(r"decoder\.up_blocks\.(\d+)(\..+)", name):
            name = f"decoder.up_blocks.{int(stage[1]) + fewer}{stage[2]}"
        if not name.startswith(("decoder.norm_out", "decoder.conv_out")):
            own[name] = weight
    larger.load_state_dict(own)
    return larger


def build_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=PICTURE_SIZE // 8,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        down_block_types=("CrossAttnDownBlock2D",) * 3,
        up_block_types=("CrossAttnUpBlock2D",) * 3,
        block_out_channels=(64, 96, 160),
        layers_per_block=1,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=(2, 3, 5),
        norm_num_groups=16,
    )


def build_controlnet(unet: UNet2DConditionModel) -> ControlNetModel:
    """ControlNet with the U-Net's encoder.

    Unlike the original, the zero convolutions start small instead of at zero, since both networks are trained
    together from scratch.
    """
    controlnet = ControlNetModel.from_unet(
        unet, conditioning_embedding_out_channels=(8, 16, 32, 64)
    )
    zero_layers = [*controlnet.controlnet_down_blocks, controlnet.controlnet_mid_block]
    for layer in (*zero_layers, controlnet.controlnet_cond_embedding.conv_out):
        torch.nn.init.xavier_uniform_(layer.weight, gain=0.3)
    return controlnet


def build_text_encoder() -> CLIPTextModel:
    words = len(vocabulary())
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=words,
            hidden_size=TEXT_WIDTH,
            intermediate_size=4 * TEXT_WIDTH,
            projection_dim=TEXT_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=MAX_TOKENS,
            bos_token_id=words - 2,
            eos_token_id=words - 1,
            pad_token_id=words - 1,
        )
    )


def caption_words() -> list[str]:
    """Every word that can occur in a caption of the pocket world."""
    styles = dict.fromkeys(style for kind in HAIR_STYLES.values() for style in kind)
    named = [*SKINS, *HAIR_COLOURS, *styles, *(h for h in HATS if h != "none"), *CLOTH]
    people = ["a", "boy", "girl", "with", "skin", "hair", "and", "in"]
    clothes = ["shirt", "stripes", "star", "trousers", "shorts", "skirt", "shoes"]
    places = " ".join(WHERE.values()).split()
    letters = [letter.lower() for letter in LETTERS]  # as CLIP's tokenizer reads them
    return list(dict.fromkeys([*people, *clothes, *letters, *named, *places, ","]))


def byte_pairs(words: list[str]) -> list[tuple[str, str]]:
    """Byte-pair merges, most frequent pair first, until every word is a single token."""
    pieces = [[*word[:-1], f"{word[-1]}</w>"] for word in words]
    merges = []
    while any(len(word) > 1 for word in pieces):
        pairs = Counter(pair for word in pieces for pair in pairwise(word))
        merge = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(merge)
        for word in pieces:
            at = 0
            while at < len(word) - 1:
                if (word[at], word[at + 1]) == merge:
                    word[at : at + 2] = ["".join(merge)]
                at += 1
    return merges


def vocabulary() -> list[str]:
    """Tokens in id order: single characters, merged ones, two marks."""
    letters = sorted(set("abcdefghijklmnopqrstuvwxyz0123456789,.'-"))
    merged = ["".join(pair) for pair in byte_pairs(caption_words())]
    return [*letters, *(f"{letter}</w>" for letter in letters), *merged, START, END]


def build_tokenizer(folder: Path) -> CLIPTokenizer:
    """Writes and loads CLIP vocabulary and merges in which each caption word is one token.

    Unknown words are split into shorter tokens.
    """
    folder.mkdir(parents=True, exist_ok=True)
    vocab, merges = folder / "vocab.json", folder / "merges.txt"
    vocab.write_text(json.dumps({token: number for number, token in enumerate(vocabulary())}))
    lines = ["#version: 0.2", *(" ".join(pair) for pair in byte_pairs(caption_words()))]
    merges.write_text("\n".join(lines) + "\n")
    return CLIPTokenizer(
        str(vocab),
        str(merges),
        unk_token=END,
        bos_token=START,
        eos_token=END,
        pad_token=END,
        model_max_length=MAX_TOKENS,
    )


def build_scheduler() -> DDIMScheduler:
    """Stable Diffusion 1.5's own noise schedule."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        timestep_spacing="leading",
    )
