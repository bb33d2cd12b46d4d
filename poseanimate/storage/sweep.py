"""Which files of a folder go: those that nobody holds and that are old, then the oldest until the rest fits."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import NamedTuple

JUST_MADE_S = 60.0  # whoever made it may not have fetched it yet


class Found(NamedTuple):
    """A file: its last change in seconds since 1970, its size in bytes."""

    changed_s: float
    size: int
    path: str


class Swept(NamedTuple):
    """The files that went, and the bytes that are left."""

    removed: frozenset[str]
    left_bytes: int


def sweep(
    folder: Path, held: AbstractSet[str], now_s: float, age_s: float, max_bytes: int
) -> Swept:
    """Removes files that nobody holds, if they are old or the folder is too large; then old, empty folders.

    A file from the future, as a clock set back leaves it, goes only if the folder is too large.

    Args:
        held: paths that stay in any case. now_s: seconds since 1970. age_s: how old a file must be.
        max_bytes: above it, the oldest go as well, but for those just made.
    """
    files = sorted(_files(folder))
    left = sum(each.size for each in files)
    removed = set[str]()
    for each in files:
        old_s = now_s - each.changed_s
        if each.path in held or abs(old_s) < JUST_MADE_S or (old_s < age_s and left <= max_bytes):
            continue
        with contextlib.suppress(OSError):
            os.unlink(each.path)
            removed.add(each.path)
            left -= each.size
    _remove_empty(folder, now_s, age_s)
    return Swept(frozenset(removed), left)


def _files(folder: Path) -> Iterator[Found]:
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            with contextlib.suppress(OSError):
                about = os.lstat(path)
                yield Found(about.st_ctime, about.st_size, path)


def _remove_empty(folder: Path, now_s: float, age_s: float) -> None:
    """A folder that has just lost its last file stays for now: the same file may be on its way into it."""
    for place, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            if place != str(folder) and now_s - os.stat(place).st_mtime >= age_s:
                os.rmdir(place)
