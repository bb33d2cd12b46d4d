"""Freed memory goes back to the system."""

from __future__ import annotations

import subprocess
import sys

FREED = """
import ctypes, sys
from pathlib import Path
from poseanimate.ui.server.memory import give_back

def resident_mb():
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) / 1000

c = ctypes.CDLL(None)
c.malloc.restype, c.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
c.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
blocks = [c.malloc(100_000) for _ in range(2000)]
for block in blocks:
    c.memset(block, 1, 100_000)
c.malloc(100_000)  # above them: what is free below isn't given back by itself
for block in blocks:
    c.free(block)
before = resident_mb()
give_back()
print(before - resident_mb())
"""


def test_freed_memory_below_what_is_used_goes_back() -> None:
    said = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, check=True)
    assert float(said.stdout) > 150
