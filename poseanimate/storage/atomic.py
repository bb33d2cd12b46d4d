"""Files and folders that appear under their names only when they are complete."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

PART_SUFFIX = ".poseanimate-part"
ABANDONED_AFTER_S = 600.0


@contextlib.contextmanager
def write_atomically(path: Path, suffix: str = PART_SUFFIX) -> Iterator[Path]:
    """Yields a path beside `path` to write a file or a folder to, and renames it to `path` when the block ends.

    Other processes see the former content or the new one, never a part. If the block or the renaming fails, the part
    is removed and `path` stays as it was.

    Args:
        suffix: of the path to write to, for encoders that choose the format by it.

    Raises:
        OSError: the part can't be renamed.
    """
    part = path.with_name(f".{uuid.uuid4().hex}{suffix}")
    try:
        yield part
        if part.is_dir():
            _replace_folder(part, path)
        else:
            os.replace(part, path)
    finally:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


def write_bytes_atomically(path: Path, data: bytes) -> None:
    """Writes a file with `write_atomically`.

    Raises:
        OSError: the file can't be written.
    """
    with write_atomically(path) as part:
        part.write_bytes(data)


def remove_abandoned(folder: Path) -> None:
    """Removes the parts in a folder that processes killed while writing left behind."""
    for part in folder.glob(f"*{PART_SUFFIX}"):
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime >= ABANDONED_AFTER_S:
                part.unlink()


def _replace_folder(new: Path, path: Path) -> None:
    former = path.with_name(f"{new.name}-former")
    if path.exists():
        path.rename(former)
    try:
        new.rename(path)
    except OSError:
        if former.exists():
            former.rename(path)
        raise
    shutil.rmtree(former, ignore_errors=True)
