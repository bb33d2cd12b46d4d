"""The environment of every test, set before torch, gradio and the hub's client are imported; and the order of tests."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import settings

import poseanimate  # noqa: F401  it sets OpenMP's wait policy, which torch reads

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # a core for each process, and one order of sums everywhere

# a shell's background job ignores interrupts, and the servers that it starts would, too
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

MOST_PROCESSES = 8
# the longest, in falling order: started last, they would be waited for alone
LONGEST_FIRST = (
    "test_sd15",
    "test_animator",
    "test_faults",
    "test_cluster",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """A process for each core, and one that works while others wait for a browser or a server."""
    cores = len(os.sched_getaffinity(0))
    return min(cores + 1, MOST_PROCESSES)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Longest files first, then those with slow tests; otherwise in the order of collection."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}

    def place(item: pytest.Item) -> tuple[int, bool]:
        long = item.path.stem in LONGEST_FIRST
        where = LONGEST_FIRST.index(item.path.stem) if long else len(LONGEST_FIRST)
        return where, item.path not in slow

    items.sort(key=place)
