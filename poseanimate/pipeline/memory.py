"""How much memory there is, how many frames fit into it, and how running out of it looks."""

from __future__ import annotations

import gc

import psutil
import torch
from diffusers import UNet2DConditionModel

# More are no faster: a CPU's cores are busy with 8 frames and their guidance branches (docs/performance.md).
MAX_CHUNK = {"cpu": 8, "cuda": 16}
# What a frame's gradient keeps in single precision, for each of its pixels and of the U-Net's first channels, guidance
# included: Stable Diffusion 1.5's, the pocket models' is half of it.
GRADIENT_BYTES = 42
SHARE = 0.6  # of the free memory that is planned with
# What torch says where it has no class for it: of the machine's memory, of a GPU's driver, and of the GPU's libraries.
RUN_OUT = ("can't allocate memory", "out of memory", "STATUS_ALLOC_FAILED")


def free_bytes(device: torch.device) -> int:
    """What a GPU can still give, the allocator's own reserve included; elsewhere what the machine can."""
    if device.type != "cuda":
        return int(psutil.virtual_memory().available)
    free, _ = torch.cuda.mem_get_info(device)
    reserve = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(free + reserve)


def frame_bytes(unet: UNet2DConditionModel, pixels: int) -> int:
    """What a frame of so many pixels takes where its embedding is optimised."""
    channels: int = unet.config.block_out_channels[0]
    return GRADIENT_BYTES * channels * pixels * unet.dtype.itemsize // 4


def choose_chunk_size(chosen: int | None, device: str, free: int, frame: int) -> int:
    """How many frames are generated together.

    Args:
        chosen: by whoever runs it; None: as many as fit, up to MAX_CHUNK.
        device: "cpu" or "cuda".
        free, frame: bytes, see `free_bytes` and `frame_bytes`.
    """
    return chosen or max(1, min(int(SHARE * free / frame), MAX_CHUNK.get(device, 1)))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory has run out, a GPU's or the machine's."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in RUN_OUT)


def release(device: torch.device) -> None:
    """Gives back what nobody holds any more, page-locked memory too."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch._C._host_emptyCache()
