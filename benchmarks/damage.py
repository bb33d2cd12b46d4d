"""Damage to files: parts changed, cut, repeated and spliced, numbers replaced by extremes, also inside JSON and ZIPs.

Every function returns a damaged copy of one of several seeds; the same state of the generator gives the same damage.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

from numpy.random import Generator

Data = TypeVar("Data", bytes, str)
File = tuple[str, bytes]
DamageFile = Callable[[Generator, str, bytes], bytes]
"""Of one file, given its name and content."""

MAX_STEPS = 4
MAX_COPIES = 8
MAX_GROWTH = 100_000  # bytes or characters that a step may add
PNG_START = b"\x89PNG\r\n\x1a\n"

_BYTES = (b"\0", b"\1", b"\x7f", b"\x80", b"\xff")
_WORDS = (
    *("0", "-0", "-1", "1", "3", "-57.5", "1000", "2001", "16385", "0.1"),
    *("1e308", "-1e308", "1e-320", "1e999"),
    *("9" * 20, "9" * 400, "9" * 5000, "NaN", "Infinity", "-Infinity", "null", "true"),
    *('""', "[]", "{}", "[[]]", '"12 fps"', "\0", "\ud800", "\n"),
)
_ODD: tuple[Any, ...] = (
    *(0, -1, 2001, 16385, 2**63, 10**20, 10**400, 0.5, 1e308, -1e308, 5e-324, math.nan, math.inf),
    *(None, True, "", "12", "NaN", "pixels", "x" * 3000, "\ud800", "\0"),
    *([], {}, [[]], [0] * 54, [{}], {"": 0}),
)
NAMES = (
    *("", "/", "../x.json", "/x.json", "a/b/c/d/e/f.json", "x" * 300 + ".json", ".json"),
    *("con:.json", "\0", "é.JSON", "1.txt", "%s.json"),
)
_METHODS = (*5 * (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED), zipfile.ZIP_BZIP2)  # mostly usual
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")


def pick(rng: Generator, choices: Sequence[Any]) -> Any:
    return choices[rng.integers(len(choices))]


def damage_bytes(rng: Generator, seeds: Sequence[bytes]) -> bytes:
    data = pick(rng, seeds)
    for _ in range(_count(rng)):
        data = pick(rng, (*3 * (_change, _put_extreme), *_STEPS))(rng, data, seeds)
    return data


def damage_text(rng: Generator, seeds: Sequence[str]) -> str:
    text = pick(rng, seeds)
    for _ in range(_count(rng)):
        text = pick(rng, (*6 * (_put_word,), _put_letter, *_STEPS))(rng, text, seeds)
    return text


def damage_json(rng: Generator, seeds: Sequence[str]) -> str:
    """Text that is still JSON three times of four: values are replaced, removed and repeated in it."""
    text = pick(rng, seeds)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # damaged already
        return damage_text(rng, [text, *seeds])
    if rng.random() < 0.25:
        return damage_text(rng, seeds)
    for _ in range(_count(rng)):
        value = _damage_value(rng, value)
    return json.dumps(value)


def damage_png(rng: Generator, seeds: Sequence[bytes]) -> bytes:
    """Any bytes; of a PNG the checksums are right again in half of the cases."""
    data = damage_bytes(rng, seeds)
    return _checked_png(data) if data.startswith(PNG_START) and rng.random() < 0.5 else data


def damage_files(rng: Generator, files: Sequence[File], damage: DamageFile) -> list[File]:
    """Files of a ZIP or folder with contents and names changed, some left out and some repeated."""
    damaged = list(files)
    for _ in range(_count(rng)):
        at = int(rng.integers(len(damaged)))
        name, content = damaged[at]
        roll = rng.random()
        if roll < 0.8:
            damaged[at] = name, damage(rng, name, content)
        elif roll < 0.9:
            damaged[at] = pick(rng, (*NAMES, pick(rng, damaged)[0])), content
        else:
            copies = pick(rng, (0, 2)) if len(damaged) > 1 else 1
            damaged[at : at + 1] = [damaged[at]] * copies
    return damaged


def damage_zip(rng: Generator, seeds: Sequence[bytes], damage: DamageFile) -> bytes:
    """A ZIP with any bytes changed, or one that is whole while its files are not."""
    if rng.random() < 0.4:
        return damage_bytes(rng, seeds)
    files = damage_files(rng, _unpack(pick(rng, seeds)), damage)
    return pack(files, pick(rng, _METHODS))


def pack(files: Sequence[File], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, content in files:
            about = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            about.compress_type = method
            archive.writestr(about, content)
    return made.getvalue()


@cache
def _unpack(data: bytes) -> tuple[File, ...]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return tuple((name, archive.read(name)) for name in archive.namelist())


def _count(rng: Generator) -> int:
    """How many steps: more often few."""
    return min(int(rng.geometric(0.5)), MAX_STEPS)


def _part(rng: Generator, data: bytes | str) -> tuple[int, int]:
    """Where a part begins and ends: more often short, and near the start, where headers are."""
    start = int(len(data) * rng.random() ** 2)
    return start, min(start + int(len(data) ** rng.random()), len(data))


def _cut(rng: Generator, data: Data, seeds: Sequence[Data]) -> Data:
    return data[: _part(rng, data)[0]] if rng.random() < 0.5 else data[_part(rng, data)[0] :]


def _remove(rng: Generator, data: Data, seeds: Sequence[Data]) -> Data:
    start, end = _part(rng, data)
    return data[:start] + data[end:]


def _repeat(rng: Generator, data: Data, seeds: Sequence[Data]) -> Data:
    start, end = _part(rng, data)
    copies = min(int(rng.integers(1, MAX_COPIES)), MAX_GROWTH // max(end - start, 1))
    return data[:end] + data[start:end] * copies + data[end:]


def _splice(rng: Generator, data: Data, seeds: Sequence[Data]) -> Data:
    """A part of another seed in the place of a part, or of all that follows."""
    start, end = _part(rng, data)
    other = pick(rng, seeds)
    if rng.random() < 0.5:
        return data[:start] + other[_part(rng, other)[0] :][:MAX_GROWTH]
    a, b = _part(rng, other)
    return data[:start] + other[a:b] + data[end:]


_STEPS = (_cut, _remove, _repeat, _splice)


def _change(rng: Generator, data: bytes, seeds: Sequence[bytes]) -> bytes:
    start, _ = _part(rng, data)
    new = rng.bytes(int(rng.integers(1, 9)))
    return data[:start] + new + data[start + len(new) :]


def _put_extreme(rng: Generator, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """The smallest or largest number of 1, 2, 4 or 8 bytes in the place of others."""
    start, _ = _part(rng, data)
    size = pick(rng, (1, 2, 4, 8))
    rest = pick(rng, (b"\0", b"\xff")) * (size - 1)
    new = pick(rng, _BYTES) + rest if rng.random() < 0.5 else rest + pick(rng, _BYTES)
    return data[:start] + new + data[start + size :]


def _put_word(rng: Generator, data: str, seeds: Sequence[str]) -> str:
    """Something odd in the place of a number."""
    found = _NUMBER.search(data, _part(rng, data)[0])
    start, end = found.span() if found else (len(data), len(data))
    return data[:start] + pick(rng, _WORDS) + data[end:]


def _put_letter(rng: Generator, data: str, seeds: Sequence[str]) -> str:
    start, _ = _part(rng, data)
    return data[:start] + chr(int(rng.integers(0x20, 0x17F))) + data[start + 1 :]


def _damage_value(rng: Generator, value: Any) -> Any:
    """A JSON value with one part of it replaced, removed or repeated."""
    if not isinstance(value, dict | list) or not value or rng.random() < 0.1:
        return pick(rng, _ODD)
    key = pick(rng, list(value) if isinstance(value, dict) else range(len(value)))
    roll = rng.random()
    changed = value.copy()
    if roll < 0.1:
        del changed[key]
    elif roll < 0.2 and isinstance(value, list):
        changed[key:key] = [value[key]] * int(rng.integers(1, 200))
    elif roll < 0.25 and isinstance(value, dict):
        changed[pick(rng, list(value))] = value[key]
    else:
        changed[key] = _damage_value(rng, value[key])
    return changed


def _checked_png(data: bytes) -> bytes:
    """The PNG with right checksums, as far as its chunks follow each other."""
    parts, at = [PNG_START], len(PNG_START)
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        parts.append(data[at:end])
        parts.append(zlib.crc32(data[at + 4 : end]).to_bytes(4, "big"))
        at = end + 4
    return b"".join(parts)
