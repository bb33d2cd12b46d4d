"""Networks in the layout of Stable Diffusion's authors: one file, every tensor by their own names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
ATTENTION = {
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
}


def save_checkpoint(networks: dict[str, Any], path: Path, *, vae: bool = True) -> Path:
    """Writes a checkpoint of U-Net, autoencoder and text encoder, each with one kind of block throughout."""
    tensors: dict[str, Tensor] = {}
    parts = {
        "model.diffusion_model.": _unet(networks["unet"]),
        "cond_stage_model.transformer.text_model.": networks["text_encoder"].state_dict(),
    }
    if vae:
        parts["first_stage_model."] = _vae(networks["vae"])
    for prefix, state in parts.items():
        tensors |= {prefix + name: tensor.clone().contiguous() for name, tensor in state.items()}
    save_file(tensors, path)
    return path


def _move(state: dict[str, Tensor], old: str, new: str) -> dict[str, Tensor]:
    """The tensors under a name, under another one."""
    return {
        new + name.removeprefix(old): tensor
        for name, tensor in state.items()
        if name.startswith(f"{old}.")
    }


def _rename(state: dict[str, Tensor], names: dict[str, str]) -> dict[str, Tensor]:
    renamed = {}
    for name, tensor in state.items():
        head, _, last = name.rpartition(".")
        for old, new in names.items():
            if head.endswith(f".{old}"):
                head = head.removesuffix(old) + new
                break
        renamed[f"{head}.{last}"] = tensor
    return renamed


def _unet(unet: Any) -> dict[str, Tensor]:
    state, layers = unet.state_dict(), unet.config.layers_per_block
    levels = len(unet.config.block_out_channels)
    found = _move(state, "conv_in", "input_blocks.0.0")
    for ours, theirs in (
        ("time_embedding.linear_1", "time_embed.0"),
        ("time_embedding.linear_2", "time_embed.2"),
        ("conv_norm_out", "out.0"),
        ("conv_out", "out.2"),
        ("mid_block.attentions.0", "middle_block.1"),
    ):
        found |= _move(state, ours, theirs)
    resnets = {"mid_block.resnets.0": "middle_block.0", "mid_block.resnets.1": "middle_block.2"}
    number = 1
    for level in range(levels):
        for layer in range(layers):
            resnets[f"down_blocks.{level}.resnets.{layer}"] = f"input_blocks.{number}.0"
            found |= _move(
                state, f"down_blocks.{level}.attentions.{layer}", f"input_blocks.{number}.1"
            )
            number += 1
        if level < levels - 1:
            found |= _move(
                state, f"down_blocks.{level}.downsamplers.0.conv", f"input_blocks.{number}.0.op"
            )
            number += 1
    number = 0
    for level in range(levels):
        for layer in range(layers + 1):
            resnets[f"up_blocks.{level}.resnets.{layer}"] = f"output_blocks.{number}.0"
            found |= _move(
                state, f"up_blocks.{level}.attentions.{layer}", f"output_blocks.{number}.1"
            )
            number += 1
        if level < levels - 1:
            found |= _move(
                state, f"up_blocks.{level}.upsamplers.0.conv", f"output_blocks.{number - 1}.2.conv"
            )
    for ours, theirs in resnets.items():
        found |= _rename(_move(state, ours, theirs), RESNET)
    return found


def _vae(vae: Any) -> dict[str, Tensor]:
    state, layers = vae.state_dict(), vae.config.layers_per_block
    levels = len(vae.config.block_out_channels)
    found = _move(state, "quant_conv", "quant_conv")
    found |= _move(state, "post_quant_conv", "post_quant_conv")
    shortcut = {"conv_shortcut": "nin_shortcut"}
    for side in ("encoder", "decoder"):
        for same in ("conv_in", "conv_out"):
            found |= _move(state, f"{side}.{same}", f"{side}.{same}")
        found |= _move(state, f"{side}.conv_norm_out", f"{side}.norm_out")
        for block in (0, 1):
            found |= _move(
                state, f"{side}.mid_block.resnets.{block}", f"{side}.mid.block_{block + 1}"
            )
        attention = _move(state, f"{side}.mid_block.attentions.0", f"{side}.mid.attn_1")
        for name, tensor in _rename(attention, ATTENTION).items():
            is_linear = name.endswith(".weight") and tensor.ndim == 2
            found[name] = tensor[:, :, None, None] if is_linear else tensor
        way, count, sampler = (
            ("down", layers, "downsampl") if side == "encoder" else ("up", layers + 1, "upsampl")
        )
        for level in range(levels):
            place = level if way == "down" else levels - 1 - level
            own, theirs = f"{side}.{way}_blocks.{level}", f"{side}.{way}.{place}"
            for layer in range(count):
                found |= _rename(
                    _move(state, f"{own}.resnets.{layer}", f"{theirs}.block.{layer}"), shortcut
                )
            found |= _move(state, f"{own}.{sampler}ers.0.conv", f"{theirs}.{sampler}e.conv")
    assert len(found) == len(state)
    return found
