"""How much longer a clip takes beside one busy process per core: OpenMP's waiting threads must not take the cores.

`python benchmarks/threads.py [--runs 3] [--policy passive active]`

Preset `fast`, 8 frames, pocket models on the CPU; the seconds are those of the run, without import and loading. Set
OMP_NUM_THREADS to measure another number of threads. The machine should have nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
WHO = str(ROOT / "examples" / "characters" / "street-girl.png")
BESIDE_THE_RUN = ("models", "motion", "writing")
PATIENCE_S = 300


def spin() -> None:
    while True:
        pass


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """So many processes that each keep a core busy."""
    others = [multiprocessing.Process(target=spin, daemon=True) for _ in range(processes)]
    for each in others:
        each.start()
    try:
        yield
    finally:
        for each in others:
            each.kill()
            each.join()


def measure(policy: str) -> float:
    """Seconds of one run; infinity where it doesn't end."""
    environment = os.environ | {"OMP_WAIT_POLICY": policy, "PYTHONPATH": str(ROOT)}
    with TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "poseanimate", "animate", WHO, "walk", "-o", "clip.mp4"),
            *("--models", "pocket", "--device", "cpu", "--no-cache", "--json"),
            *("--preset", "fast", "--frames", "8"),
        ]
        try:
            ended = subprocess.run(
                command,
                cwd=folder,
                env=environment,
                capture_output=True,
                check=True,
                timeout=PATIENCE_S,
            )
        except subprocess.TimeoutExpired:
            return float("inf")
    seconds = json.loads(ended.stdout.splitlines()[-1])["seconds"]
    return sum(value for name, value in seconds.items() if name not in BESIDE_THE_RUN)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--policy", nargs="+", default=["passive"], help="of OMP_WAIT_POLICY")
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    print(f"{'policy':<10}{'idle s':>8}{'busy s':>8}{'ratio':>8}   ({cores} cores)")
    for policy in options.policy:
        idle_s = statistics.median(measure(policy) for _ in range(options.runs))
        with busy(cores):
            busy_s = statistics.median(measure(policy) for _ in range(options.runs))
        print(f"{policy:<10}{idle_s:>8.2f}{busy_s:>8.2f}{busy_s / idle_s:>8.2f}", flush=True)


if __name__ == "__main__":
    main()
