"""How much memory there is, how many frames fit in it together, and what its end looks like."""

from __future__ import annotations

import gc

import torch

AUTOMATIC = 4  # frames together where memory isn't the limit: more are no faster on a CPU
MOST = 16
# what a frame's gradient keeps, of Stable Diffusion 1.5 in half precision with guidance (docs/performance.md)
GRADIENT_BYTES_PER_PIXEL = 6700
SHARE = 0.6  # of the free memory that is planned with


def free_bytes(device: torch.device) -> int | None:
    """What a GPU can still give, the allocator's own reserve included; None elsewhere."""
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    reserve = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(free + reserve)


def frames_together(chosen: int, free: int | None, pixels: int) -> int:
    """How many frames go through the networks at once.

    Args:
        chosen: by whoever runs it; 0 is automatic.
        free: bytes, see `free_bytes`.
        pixels: of a frame.
    """
    if chosen:
        return chosen
    if free is None:
        return AUTOMATIC
    return max(1, min(int(SHARE * free / (GRADIENT_BYTES_PER_PIXEL * pixels)), MOST))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory has run out, a GPU's or the machine's."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def release(device: torch.device) -> None:
    """Gives back what nobody holds any more."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
