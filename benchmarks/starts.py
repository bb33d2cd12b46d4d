"""How long each command takes from its start: wall clock and CPU, the median of some runs.

`python benchmarks/starts.py [--runs 5] [--json]`

`animate` is measured against what its own report says the run took; the rest is import, loading and writing. `serve`
is timed until the page answers.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from socket import socket
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
WHO = str(ROOT / "examples" / "characters" / "street-girl.png")
PROGRAM = (sys.executable, "-m", "poseanimate")
MODELS = ("--models", "pocket")
COMMANDS = {
    "--help": ("--help",),
    "motions": ("motions",),
    "settings": ("settings",),
    "cache": ("cache",),
    "align": ("align", WHO, "walk", "-o", "sheet.png", *MODELS),
    "animate": (
        *("animate", WHO, "walk", "-o", "clip.mp4", *MODELS, "--no-cache", "--json"),
        *("--preset", "fast", "--frames", "16"),
    ),
}
LOADING = ("models", "motion", "writing")  # what `animate` reports beside the run itself
POLL_S, PATIENCE_S = 0.02, 120


def measure(command: tuple[str, ...], folder: str) -> tuple[float, float, float]:
    """Seconds of one run: wall clock, CPU, and what `animate` says of the run itself."""
    before, started = cpu_s(), time.monotonic()
    ended = subprocess.run(
        [*PROGRAM, *command], cwd=folder, env=environment(), capture_output=True, check=True
    )
    wall_s, used_s = time.monotonic() - started, cpu_s() - before
    if command[0] != "animate":
        return wall_s, used_s, 0.0
    stages = json.loads(ended.stdout.splitlines()[-1])["seconds"]
    return wall_s, used_s, sum(s for name, s in stages.items() if name not in LOADING)


def measure_page(folder: str) -> tuple[float, float, float]:
    """Seconds until the page answers: wall clock; CPU isn't known while the process runs."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = time.monotonic()
    command = [sys.executable, str(ROOT / "app.py"), "--port", str(port), *MODELS]
    with subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.DEVNULL
    ) as process:
        try:
            while not answers(port):
                if process.poll() is not None or time.monotonic() - started > PATIENCE_S:
                    raise RuntimeError("the page doesn't answer")
                time.sleep(POLL_S)
            return time.monotonic() - started, 0.0, 0.0
        finally:
            process.kill()


def answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


def cpu_s() -> float:
    """CPU seconds of all processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = {}
    with TemporaryDirectory() as folder:
        os.environ["POSEANIMATE_CACHE"] = str(Path(folder) / "cache")
        for name, command in COMMANDS.items():
            runs = [measure(command, folder) for _ in range(options.runs)]
            rows[name] = [statistics.median(column) for column in zip(*runs, strict=True)]
        runs = [measure_page(folder) for _ in range(options.runs)]
        rows["page"] = [statistics.median(column) for column in zip(*runs, strict=True)]
    if options.json:
        print(json.dumps(rows))
        return
    print(f"{'command':<10}{'wall s':>8}{'CPU s':>8}{'the run itself, wall s':>24}")
    for name, (wall_s, used_s, run_s) in rows.items():
        print(f"{name:<10}{wall_s:>8.2f}{used_s or '':>8.5}{run_s or '':>24.5}")


if __name__ == "__main__":
    main()
