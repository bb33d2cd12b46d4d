"""LoRA with random weights, as kohya-ss's trainer or diffusers publish them, and what they change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

RANK = 2
PREFIXES = {"unet": "lora_unet_", "text_encoder": "lora_te_text_model_"}
LAYERS = (
    "to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out",
    "q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2",
    "conv1", "conv2", "time_emb_proj", "conv",  # of those that change convolutions
)  # fmt: skip


def save_lora(networks: dict[str, Any], path: Path, layout: str = "kohya") -> Path:
    """Writes changes of every layer that LoRA change, in the U-Net and the text encoder.

    Args:
        layout: "kohya" or "diffusers".
    """
    torch.manual_seed(7)
    tensors: dict[str, Tensor] = {}
    for part in PREFIXES:
        for name, layer in networks[part].named_modules():
            if name.endswith(LAYERS) and isinstance(layer, nn.Linear | nn.Conv2d):
                rows, columns, *kernel = layer.weight.shape
                rank = RANK
                if layout == "kohya":  # each layer its own, and its own alpha
                    rank, alpha = 1 + len(tensors) % 4, 0.5 + len(tensors) % 5
                down = torch.randn(rank, columns, *kernel) / 10
                up = torch.randn(rows, rank, *[1 for _ in kernel]) / 10
                if layout == "kohya":
                    key = _kohya_name(part, name)
                    tensors |= {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up}
                    tensors[f"{key}.alpha"] = torch.tensor(alpha)
                else:
                    own = "text_model." if part == "text_encoder" else ""
                    key = f"{part}.{own}{name.removeprefix('text_model.')}"
                    tensors |= {f"{key}.lora_A.weight": down, f"{key}.lora_B.weight": up}
    save_file(tensors, path)
    return path


def lora_change(path: Path, part: str, weight: str) -> Tensor | None:
    """alpha / rank · up · down of a weight, by a file of kohya-ss's layout; None where it stays as it is."""
    tensors = load_file(path)
    key = _kohya_name(part, weight.removesuffix(".weight"))
    if f"{key}.alpha" not in tensors or not weight.endswith(".weight"):
        return None
    down, up = tensors[f"{key}.lora_down.weight"], tensors[f"{key}.lora_up.weight"]
    change = tensors[f"{key}.alpha"] / len(down) * (up.flatten(1) @ down.flatten(1))
    return change.reshape(*up.shape[:1], *down.shape[1:])


def _kohya_name(part: str, layer: str) -> str:
    return PREFIXES[part] + layer.removeprefix("text_model.").replace(".", "_")
