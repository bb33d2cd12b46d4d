"""Free memory, how many frames fit into it, and how to tell that it has run out."""

from __future__ import annotations

import gc

import numpy as np
import psutil
import torch
from diffusers import UNet2DConditionModel

# Larger chunks are no faster: 8 frames with guidance keep a CPU's cores busy (docs/performance.md).
MAX_CHUNK = {"cpu": 8, "cuda": 16}
# Kept for a frame's gradient in single precision, per pixel and channel of the U-Net's first block, guidance included:
# measured on Stable Diffusion 1.5; the pocket models take half as much. Counted on XL, whose blocks have several layers
# of attention each; the same count gives 41 for 1.5 (`test_what_a_gradient_keeps_is_what_is_planned_with`).
GRADIENT_BYTES, DEEP_GRADIENT_BYTES = 42, 76
SHARE = 0.6  # of the free memory that is planned with
# How torch words it where it has no class for it: the machine's memory, a GPU's driver, a GPU's libraries.
RUN_OUT = ("can't allocate memory", "out of memory", "STATUS_ALLOC_FAILED")


def free_bytes(device: torch.device) -> int:
    """Free on the GPU, the allocator's reserve included; elsewhere free in the machine."""
    if device.type != "cuda":
        return int(psutil.virtual_memory().available)
    free, _ = torch.cuda.mem_get_info(device)
    reserve = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(free + reserve)


def frame_bytes(unet: UNet2DConditionModel, pixels: int) -> int:
    """Memory that a frame of so many pixels takes while its embedding is optimised."""
    channels: int = unet.config.block_out_channels[0]
    is_deep = bool(np.max(unet.config.transformer_layers_per_block or 1) > 1)
    kept = DEEP_GRADIENT_BYTES if is_deep else GRADIENT_BYTES
    return kept * channels * pixels * unet.dtype.itemsize // 4


def choose_chunk_size(chosen: int | None, device: str, free: int, frame: int) -> int:
    """How many frames are generated together.

    Args:
        chosen: by whoever runs it; None: as many as fit, up to MAX_CHUNK.
        device: "cpu" or "cuda".
        free, frame: bytes, see `free_bytes` and `frame_bytes`.
    """
    return chosen or max(1, min(int(SHARE * free / frame), MAX_CHUNK.get(device, 1)))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory has run out, a GPU's or the machine's."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in RUN_OUT)


def release(device: torch.device) -> None:
    """Frees memory that is no longer referenced, page-locked memory included."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch._C._host_emptyCache()
