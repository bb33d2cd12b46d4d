"""Damaged files for every reader: each is read or refused by a sentence, whatever is in it.

`PYTHONPATH=tests python benchmarks/fuzz.py [--reader NAME …] [--inputs 100000] [--first 0] [--seed 0] [--only NUMBER]`

A process of its own reads one input after the other. That it dies, hangs or takes much memory is told like any other
fault, with the number of the input; `--only` repeats it. The exit status is 1 where there is a fault.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from fuzz_readers import READERS, Reader

from poseanimate.errors import PoseAnimateError

PATIENCE_S = 60.0  # for one input
MAX_ADDRESSES = 8 << 30  # of the reading process: what would take more ends with an error
MAX_WORDS = 600
READ = "read"
FAULT = "fault"
SHOWN = 5  # kinds of faults


@dataclass
class Tally:
    """What came of the inputs. outcomes: READ, FAULT or a refusal's class, counted. faults: inputs by what is wrong."""

    inputs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: dict[str, list[int]] = field(default_factory=dict)
    peak_mb: float = 0.0
    slowest_s: float = 0.0
    seconds: float = 0.0

    def add(
        self, number: int, outcome: str, fault: str = "", peak_mb: float = 0.0, took_s: float = 0.0
    ) -> None:
        self.inputs += 1
        self.outcomes[outcome] += 1
        self.peak_mb = max(self.peak_mb, peak_mb)
        self.slowest_s = max(self.slowest_s, took_s)
        if fault:
            self.faults.setdefault(fault, []).append(number)

    def row(self, name: str) -> str:
        refused = ", ".join(
            f"{kind} {count}" for kind, count in sorted(self.outcomes.items()) if kind not in (READ, FAULT)
        )  # fmt: skip
        cells = (
            name, self.inputs, f"{self.inputs / max(self.seconds, 1e-9):.0f}", self.outcomes[READ], refused,
            self.outcomes[FAULT], f"{self.peak_mb:.0f}", f"{self.slowest_s:.1f}",
        )  # fmt: skip
        return f"| {' | '.join(map(str, cells))} |"


HEAD = "| reader | inputs | a second | read | refused | faults | peak MB | slowest s |"
RULE = "|---|---:|---:|---:|---|---:|---:|---:|"


def make_input(reader: Reader, seed: int, number: int) -> Any:
    return reader.make(np.random.default_rng([seed, number]))


def try_input(reader: Reader, given: Any) -> tuple[str, str]:
    """READ, FAULT or the class of the refusal; and what the fault is."""
    try:
        reader.read(given)
    except PoseAnimateError as error:
        fault = _find_fault(error)
        return (FAULT, fault) if fault else (type(error).__name__, "")
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        return FAULT, f"{type(error).__name__} in {where}: {error!s:.200}"
    return READ, ""


def _find_fault(error: PoseAnimateError) -> str:
    for words in (error.message, error.remedy):
        if not (words.endswith(".") and words.isprintable() and len(words) <= MAX_WORDS):
            return f"{type(error).__name__} with {words!r:.200}"
    return ""


def fuzz(reader: Reader, seed: int, numbers: Iterable[int]) -> Tally:
    """Reads inputs in another process, and in a fresh one after each that ends it."""
    cv2.setNumThreads(0)  # its threads don't survive the fork, and whoever waits for them hangs
    tally, left = Tally(), list(numbers)[::-1]
    began = time.monotonic()
    context = multiprocessing.get_context("fork")
    while left:
        receiving, sending = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(reader, seed, left[::-1], sending))
        process.start()
        sending.close()
        try:
            while left:
                if not receiving.poll(PATIENCE_S):
                    process.kill()
                tally.add(left[-1], *receiving.recv())
                left.pop()
        except EOFError:  # it has ended
            process.join()
            if process.exitcode:
                tally.add(left.pop(), FAULT, _name_end(process.exitcode))
        process.join()
        receiving.close()
    tally.seconds = time.monotonic() - began
    return tally


def _name_end(exitcode: int) -> str:
    if exitcode == -signal.SIGKILL:
        return f"it took longer than {PATIENCE_S:g} s, or was killed for memory"
    return f"the process ended by {signal.Signals(-exitcode).name if exitcode < 0 else exitcode}"


def _work(reader: Reader, seed: int, numbers: Iterable[int], sending: Connection) -> None:
    """Reads inputs and sends what came of each; ends after one that takes too much memory."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESSES, MAX_ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # where libraries complain
    warnings.simplefilter("ignore")
    for number in numbers:
        given = make_input(reader, seed, number)
        began = time.monotonic()
        outcome, fault = try_input(reader, given)
        took_s, peak_mb = time.monotonic() - began, _peak_mb()
        if peak_mb > reader.max_mb and not fault:
            outcome, fault = FAULT, f"more than {reader.max_mb} MB of memory"
        sending.send((outcome, fault, peak_mb, took_s))
        if peak_mb > reader.max_mb:
            return


def _peak_mb() -> float:
    """The most that this process, or one that it has started, has ever held."""
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(who).ru_maxrss for who in whose) / 1000


def show_faults(name: str, seed: int, tally: Tally) -> None:
    for what, numbers in list(tally.faults.items())[:SHOWN]:
        repeated = f"--reader {name} --seed {seed} --only {numbers[0]}"
        print(f"{name}: {what}\n    {len(numbers)} inputs; {repeated}", file=sys.stderr)
    if len(tally.faults) > SHOWN:
        print(f"{name}: {len(tally.faults) - SHOWN} other kinds of faults", file=sys.stderr)


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--reader", nargs="+", choices=READERS, default=list(READERS), metavar="NAME",
                        help=", ".join(READERS))  # fmt: skip
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument(
        "--first", type=int, default=0, metavar="NUMBER", help="go on from this input"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--only", type=int, metavar="NUMBER", help="repeat one input, in this process"
    )
    options = parser.parse_args(given)
    if options.only is not None:
        for name in options.reader:
            reader = READERS[name]()
            print(name, *try_input(reader, make_input(reader, options.seed, options.only)))
        return 0
    print(HEAD, RULE, sep="\n", flush=True)
    faults = 0
    for name in options.reader:
        numbers = range(options.first, options.first + options.inputs)
        tally = fuzz(READERS[name](), options.seed, numbers)
        print(tally.row(name), flush=True)
        show_faults(name, options.seed, tally)
        faults += tally.outcomes[FAULT]
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
