"""Memory that is free but not given back."""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """Gives freed memory back to the system, where the C library can.

    glibc keeps what a thread freed for that thread: with pictures of megabytes in a dozen threads, hundreds of
    megabytes. A lower threshold for memory of its own (MALLOC_MMAP_THRESHOLD_=1048576) makes runs a quarter slower.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim is not None:
            trim(0)
