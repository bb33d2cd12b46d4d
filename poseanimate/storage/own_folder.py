"""A process's own temporary folder: removed at the process's end, or by the next one if that was killed.

A process holds a lock on a file in its folder for as long as it lives, so a folder without a holder is a leftover.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

PREFIX = "poseanimate-serve-"
LOCK = ".lock"
YOUNG_S = 60.0  # its owner may be about to lock it


@contextlib.contextmanager
def own_folder(parent: Path) -> Iterator[Path]:
    """Yields a new folder, after removing leftovers beside it; then removes it with all that is in it.

    Raises:
        OSError: it can't be made.
    """
    parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(parent)
    folder = Path(mkdtemp(prefix=PREFIX, dir=parent))
    try:
        with (folder / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(parent: Path) -> None:
    """Removes folders of this user's processes that have ended without doing so themselves."""
    for folder in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            about = folder.lstat()
            if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid():
                continue
            lock = folder / LOCK
            if lock.exists():
                with lock.open("r") as held:
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while its owner lives
                    shutil.rmtree(folder, ignore_errors=True)
            elif time.time() - about.st_mtime >= YOUNG_S:
                shutil.rmtree(folder, ignore_errors=True)
