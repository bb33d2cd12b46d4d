"""Importing torch and the networks' libraries, which takes seconds."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def fast_imports() -> Iterator[None]:
    """Torch and diffusers are imported in three quarters of the time.

    The garbage collector pauses, and what was imported is never searched for garbage, neither now nor at the exit.
    """
    if "diffusers" in sys.modules:  # nothing to gain
        yield
        return
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()
