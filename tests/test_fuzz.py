"""The fuzz benchmark: a small corpus for every reader, and that faults are found and told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import fuzz
import numpy as np
import pytest
from damage import damage_bytes, damage_json, damage_text
from fuzz_readers import READERS, Reader

from poseanimate.errors import PictureError

INPUTS = 60


@pytest.mark.filterwarnings("ignore")  # decoders warn of damage
@pytest.mark.parametrize("name", READERS)
def test_every_reader_reads_or_refuses(name: str) -> None:
    reader = READERS[name]()
    found = [fuzz.try_input(reader, fuzz.make_input(reader, 1, number)) for number in range(INPUTS)]
    assert [words for words in found if words[0] == fuzz.FAULT] == []
    assert len({outcome for outcome, _ in found}) > 1  # neither all read nor all refused


@pytest.mark.parametrize("name", READERS)
def test_a_number_repeats_its_input(name: str) -> None:
    once, again = ([fuzz.make_input(READERS[name](), 1, n) for n in range(8)] for _ in range(2))
    for one, other in zip(once, again, strict=True):
        assert np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other


@pytest.mark.parametrize("damage", [damage_bytes, damage_text, damage_json])
def test_equal_seeds_make_equal_damage(damage: fuzz.Any) -> None:
    whole = ['{"fps": 12, "people": [1, 2.5, null]}', "[1, 2]"]
    seeds = [text.encode() for text in whole] if damage is damage_bytes else whole
    once, again = (
        [damage(np.random.default_rng([7, number]), seeds) for number in range(200)]
        for _ in range(2)
    )
    assert once == again
    assert len({*once}) > 100 and {*once} - {*seeds}


@pytest.mark.parametrize(
    ("message", "remedy", "told"),
    [
        ("It is damaged.", "Save it again.", False),
        ("It is damaged", "Save it again.", True),
        ("It is damaged.", "", True),
        ("It is \x80 damaged.", "Save it again.", False),  # shown as an escape sequence
        ("It is damaged" + 1000 * "!" + ".", "Save it again.", True),
    ],
)
def test_a_refusal_is_a_sentence(message: str, remedy: str, told: bool) -> None:
    def refuse(_: object) -> None:
        raise PictureError(message, remedy)

    outcome, fault = fuzz.try_input(Reader(lambda rng: None, refuse), None)
    assert (outcome == fuzz.FAULT) == bool(fault) == told


def test_whatever_ends_the_process_is_told_and_the_rest_is_read() -> None:
    """In a process of its own, which has no threads when it forks."""
    code = """
import ctypes, time
import fuzz
from fuzz_readers import Reader, demand

def read(number):
    if number == 1: ctypes.string_at(0)
    if number == 2: time.sleep(1000)
    if number == 3: return bytearray(300 << 20).count(1)
    if number == 4: [][1]
    demand(number != 5, "five")

def make(rng):
    global number
    return number

fuzz.PATIENCE_S = 15.0
fuzz.make_input = lambda reader, seed, number: number
tally = fuzz.fuzz(Reader(make, read, max_mb=250), 0, range(8))
print(tally.inputs, tally.outcomes[fuzz.READ], sorted(tally.faults.values()))
print(*sorted(tally.faults, key=tally.faults.get), sep="\\n")
"""
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(fuzz.__file__).parent,
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join(sys.path)},  # the seeds are the tests' helpers'
        capture_output=True,
        text=True,
        check=True,
    )
    counts, *faults = run.stdout.splitlines()
    assert counts == "8 3 [[1], [2], [3], [4], [5]]"
    for fault, words in zip(
        faults,
        ("SIGSEGV", "longer than 15 s", "more than 250 MB", "IndexError in <string>:10", "five"),
        strict=True,
    ):
        assert words in fault
