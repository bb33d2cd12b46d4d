"""Jobs that are killed at every event and while the cache is written, cache entries that are damaged, and two at once.

`python benchmarks/faults.py [--json]`

Pocket models, one thread. After each fault the same job is done again with the same cache: its frames must equal those
of a job that nothing happened to, but for rounding (a grey level in a thousandth of the values): what is computed for
some frames alone has another order of sums. Ends with 1 if one doesn't.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from poseanimate.animator import Animator
from poseanimate.events import Done, Event, Stage
from poseanimate.models.loading import load_models
from poseanimate.poses.motion import load_preset
from poseanimate.settings import Settings
from poseanimate.storage.atomic import PART_SUFFIX
from poseanimate.storage.stage_cache import StageCache

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "examples" / "characters" / "street-girl.png"
CACHE_BYTES = 10**9
TOGETHER = 10
ROUNDED = 1e-3
OUTCOMES = ("equal", "rounded", "wrong", "lost")
QUICK = {"frames": 4, "num_inference_steps": 3, "inner_steps": 1, "transition_frames": 0}

Frames = NDArray[np.uint8]


class Job:
    """One job, done in a process of its own, which shares the models."""

    def __init__(self) -> None:
        self.models = load_models("pocket", device="cpu")
        self.picture = Image.open(PICTURE).convert("RGB")
        self.motion, self.settings = load_preset("walk"), Settings().changed(QUICK)

    def events(self, cache: Path) -> Iterator[Event]:
        animator = Animator(self.models, StageCache(cache, CACHE_BYTES))
        return animator.animate(self.picture, self.motion, self.settings, "a girl in the street")

    def begin(
        self,
        cache: Path,
        last: int | None = None,
        before: Callable[[], None] | None = None,
        result: Path | None = None,
    ) -> int:
        """A process that does it, kills itself at the event `last`, and writes its frames."""
        process = os.fork()
        if process == 0:
            code = 1
            try:
                if before is not None:
                    before()
                for number, event in enumerate(self.events(cache)):
                    if number == last:
                        kill()
                    if isinstance(event, Done) and result is not None:
                        np.save(result, np.stack(event.frames))
                code = 0
            finally:
                os._exit(code)
        return process

    def frames(self, cache: Path, folder: Path) -> Frames | None:
        """Its frames; None if it failed."""
        result = folder / "frames.npy"
        result.unlink(missing_ok=True)
        _, status = os.waitpid(self.begin(cache, result=result), 0)
        return np.load(result) if status == 0 else None


@contextmanager
def fresh() -> Iterator[tuple[Path, Path]]:
    """A folder, and an empty cache in it."""
    with TemporaryDirectory() as folder:
        yield Path(folder), Path(folder) / "cache"


def outcome(found: Frames | None, expected: Frames) -> str:
    if found is None:
        return "lost"
    off = np.abs(found.astype(int) - expected)
    if off.any():
        return "rounded" if off.max() <= 1 and (off > 0).mean() < ROUNDED else "wrong"
    return "equal"


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed_at_events(job: Job, expected: Frames) -> Iterator[tuple[str, str]]:
    """At each event of the job in turn; named by the stage that it is in."""
    with fresh() as (_, cache):
        events = [*job_names(job, cache)]
    for number, stage in enumerate(events):
        with fresh() as (folder, cache):
            process = job.begin(cache, last=number)
            assert os.waitpid(process, 0)[1] == signal.SIGKILL
            yield f"killed: {stage}", outcome(job.frames(cache, folder), expected)


def job_names(job: Job, cache: Path) -> Iterator[str]:
    """The stage of each event; in a process of its own, as the others are."""
    read, write = os.pipe()
    process = os.fork()
    if process == 0:
        stage, names = "the beginning", list[str]()
        for event in job.events(cache):
            stage = event.name if isinstance(event, Stage) else stage
            names.append(stage)
        os.write(write, json.dumps(names).encode())
        os._exit(0)
    os.waitpid(process, 0)
    return iter(json.loads(os.read(read, 1_000_000)))


def killed_while_writing(job: Job, expected: Frames) -> Iterator[tuple[str, str]]:
    """When half of each entry in turn is written, and just before it gets its name."""
    for where, breaks in (
        ("half an entry written", _half),
        ("an entry without its name", _nameless),
    ):
        for number in itertools.count():
            with fresh() as (folder, cache):
                process = job.begin(cache, before=partial(breaks, number))
                if os.waitpid(process, 0)[1] != signal.SIGKILL:
                    break  # so many entries aren't written
                yield f"killed: {where}", outcome(job.frames(cache, folder), expected)


def _half(last: int) -> None:
    numbers, whole = itertools.count(), Path.write_bytes

    def write_bytes(path: Path, data: bytes) -> int:
        if next(numbers) == last:
            whole(path, data[: len(data) // 2])
            kill()
        return whole(path, data)

    Path.write_bytes = write_bytes  # type: ignore[method-assign]


def _nameless(last: int) -> None:
    numbers, rename = itertools.count(), os.replace

    def replace(part: Path, path: Path) -> None:
        if next(numbers) == last:
            kill()
        rename(part, path)

    os.replace = replace  # type: ignore[assignment]


def damaged(job: Job, expected: Frames) -> Iterator[tuple[str, str]]:
    """Each entry of a full cache: cut, with a byte changed, with another's content, of another program."""
    with fresh() as (folder, cache):
        job.frames(cache, folder)
        whole = {path: path.read_bytes() for path in sorted(cache.iterdir()) if path.is_file()}
    names = [*whole]
    for number, path in enumerate(names):
        content, other = whole[path], whole[names[number - 1]]
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        for what, data in (
            ("truncated", content[:middle]),
            ("with a bit changed", flipped),
            ("with another's content", other),
            ("of zeros", bytes(len(content))),
            ("that is empty", b""),
        ):
            with fresh() as (folder, cache):
                cache.mkdir()
                for each, kept in whole.items():
                    (cache / each.name).write_bytes(data if each == path else kept)
                yield f"an entry {what}", outcome(job.frames(cache, folder), expected)


def together(job: Job, expected: Frames) -> Iterator[tuple[str, str]]:
    """Two processes at once on one cache, at first empty."""
    for _ in range(TOGETHER):
        with fresh() as (folder, cache):
            results = [folder / f"{number}.npy" for number in range(2)]
            processes = [job.begin(cache, result=each) for each in results]
            for process, result in zip(processes, results, strict=True):
                found = np.load(result) if os.waitpid(process, 0)[1] == 0 else None
                yield "two at once", outcome(found, expected)
            left = [each for each in cache.iterdir() if each.name.endswith(PART_SUFFIX)]
            yield "two at once: parts left", "wrong" if left else "equal"


FAULTS = (killed_at_events, killed_while_writing, damaged, together)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)  # threads don't outlive a fork
    job, found = Job(), Counter[tuple[str, str]]()
    with fresh() as (folder, cache):
        expected = job.frames(cache, folder)
    assert expected is not None
    for fault in FAULTS:
        for about in fault(job, expected):
            found[about] += 1
            print(*about, file=sys.stderr, flush=True)
    table: dict[str, dict[str, Any]] = {}
    for (what, came), count in found.items():
        table.setdefault(what, dict.fromkeys(OUTCOMES, 0))[came] = count
    if options.json:
        print(json.dumps(table))
    else:
        for what, counts in table.items():
            print(f"| {what} | {' | '.join(map(str, counts.values()))} |")
    return int(any(counts["wrong"] or counts["lost"] for counts in table.values()))


if __name__ == "__main__":
    sys.exit(main())
