"""Results of stages on disk, keyed by the content they were computed from.

Notable:
- One safetensors file per entry; its metadata holds the key and a checksum of the arrays, and both
  are verified on every read. A damaged entry is deleted and counts as a miss.
- Written atomically, so readers in other processes see whole entries only.
- Bounded: the least recently used entries are deleted first.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import struct
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from poseanimate.errors import CacheError
from poseanimate.storage.atomic import remove_abandoned, write_bytes_atomically

FOLDER_VARIABLE = "POSEANIMATE_CACHE"
SIZE_VARIABLE = "POSEANIMATE_CACHE_GB"
MAX_BYTES = 4_000_000_000  # a clip of 240 frames with Stable Diffusion at T = 50 takes 2.9 GB

_log = logging.getLogger(__name__)

_KEY = re.compile(r"[0-9a-f]{16,64}")
_SUFFIX = ".safetensors"
_DTYPES = frozenset(("float16", "float32", "float64", "uint8", "int64", "bool"))

Arrays = dict[str, NDArray[Any]]


def default_folder() -> Path:
    """Where results are kept by default: $POSEANIMATE_CACHE or the system's cache folder."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named or platformdirs.user_cache_dir("poseanimate", appauthor=False))


def default_size() -> int:
    """How many bytes results may take: $POSEANIMATE_CACHE_GB, or 4 GB.

    Raises:
        CacheError: the variable holds no size.
    """
    named = os.environ.get(SIZE_VARIABLE)
    if not named:
        return MAX_BYTES
    try:
        size = float(named)
        if not 0 <= size < float("inf"):
            raise ValueError
    except ValueError:
        raise CacheError(
            f"{SIZE_VARIABLE} is {named[:80]!r}.", "Give a number of gigabytes, 0 or more."
        ) from None
    return int(size * 1e9)


def content_key(*parts: object) -> str:
    """The sha256 (64 hex digits) of typed parts: equal exactly when types and contents are equal.

    Args:
        parts: str, int, float, bool, None, bytes, arrays, and tuples, lists or dicts (with str
            keys) of those, nested at will. 1, 1.0, True and "1" differ; a dict's order doesn't
            matter, a tuple's does; an array's dtype and shape count, its memory layout doesn't.

    Raises:
        CacheError: a part of another type.
    """
    digest = hashlib.sha256()
    for chunk in _encoded(parts):
        digest.update(chunk)
    return digest.hexdigest()


def _encoded(part: object) -> Iterator[bytes]:
    """An unambiguous encoding of a part, in chunks: a tag, a length, the content."""
    match part:
        case None:
            yield b"n;"
        case bool():
            yield b"b1;" if part else b"b0;"
        case np.ndarray() | np.generic():
            array = np.asarray(part)
            if array.dtype.hasobject:
                raise _not_a_part(part)
            array = _native(array)
            yield f"a{array.dtype.str}{array.shape};".encode()
            yield array.tobytes()
        case int():
            yield f"i{int(part)};".encode()
        case float():
            yield b"f" + struct.pack(">d", part)
        case str():
            data = part.encode("utf-8", "surrogatepass")
            yield f"s{len(data)};".encode() + data
        case bytes():
            yield f"y{len(part)};".encode() + part
        case tuple() | list():
            yield f"t{len(part)};".encode()
            for item in part:
                yield from _encoded(item)
        case dict():
            if not all(isinstance(name, str) for name in part):
                raise _not_a_part(part)
            yield f"d{len(part)};".encode()
            for name in sorted(part):
                yield from _encoded(name)
                yield from _encoded(part[name])
        case _:
            raise _not_a_part(part)


def _not_a_part(part: object) -> CacheError:
    return CacheError(
        f"A {type(part).__name__} can't be part of a cache key.",
        "Give numbers, text, bytes, arrays, and tuples or dicts of those.",
    )


def _native(array: NDArray[Any]) -> NDArray[Any]:
    """The array in C order and this machine's byte order; a 0-d array stays 0-d."""
    return np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")


@dataclass(frozen=True)
class Entry:
    """One cached result: its key, its size on disk, and when it was last used (Unix time)."""

    key: str
    size_bytes: int
    used_at_s: float


class StageCache:
    """Named arrays under hexadecimal keys in one folder; safe for several processes at once.

    Args:
        folder: where entries live; made if missing. Files that are no entries are left alone.
        max_bytes: size that the folder's entries keep to.

    Raises:
        CacheError: the folder can't be made or written to.
    """

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        self.folder = Path(folder).absolute()
        self.max_bytes = max_bytes
        if max_bytes < 0:
            raise CacheError(f"The cache's size is {max_bytes} bytes.", "Give 0 or more.")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise self._unusable(error) from error

    def get(self, key: str) -> Arrays | None:
        """The arrays under `key`, or None where there are none or they are damaged.

        Raises:
            CacheError: a key that isn't 16 to 64 hexadecimal digits.
        """
        path = self._path(key)
        try:
            with safe_open(path, framework="np") as file:
                metadata = file.metadata() or {}
                arrays: Arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            intact = metadata.get("key") == key and metadata.get("sha256") == _checksum(arrays)
        except FileNotFoundError:
            return None
        except (SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
            _log.debug("%s: %s", path, error)
            intact = False
        if not intact:
            _log.warning("The cached result %s was damaged; it is deleted and made anew.", path)
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        with contextlib.suppress(OSError):  # a cache that can only be read is still of use
            os.utime(path)
        return arrays

    def put(self, key: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep arrays under `key`, replacing what was there; then drop the least recently used.

        A result larger than the whole cache isn't kept.

        Args:
            arrays: float16, float32, float64, uint8, int64 or bool, of any shape.

        Raises:
            CacheError: a bad key, an array of another dtype, or a folder that can't be written to.
        """
        path = self._path(key)
        native = {name: _native(array) for name, array in arrays.items()}
        for name, array in native.items():
            if array.dtype.name not in _DTYPES:
                raise CacheError(
                    f"The array {name!r} is of type {array.dtype}.",
                    f"Give one of {', '.join(sorted(_DTYPES))}.",
                )
        data = save(native, metadata={"key": key, "sha256": _checksum(native)})
        if len(data) > self.max_bytes:
            _log.info("A result of %d bytes is larger than the cache; it isn't kept.", len(data))
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)  # a running page's may be swept away
            write_bytes_atomically(path, data)
        except OSError as error:
            raise self._unusable(error) from error
        self._evict(keep=key)

    def entries(self) -> list[Entry]:
        """All entries, most recently used first."""
        found = []
        for path in self._files(_SUFFIX):
            if _KEY.fullmatch(path.stem):
                with contextlib.suppress(OSError):  # gone meanwhile: another process dropped it
                    status = path.stat()
                    used = (status.st_mtime_ns, path.stem)
                    found.append((used, Entry(path.stem, status.st_size, status.st_mtime)))
        return [entry for _, entry in sorted(found, reverse=True, key=lambda pair: pair[0])]

    def size(self) -> int:
        """Bytes that the entries take on disk."""
        return sum(entry.size_bytes for entry in self.entries())

    def clear(self) -> int:
        """Delete all entries; return how many there were.

        Raises:
            CacheError: an entry can't be deleted.
        """
        entries = self.entries()
        for entry in entries:
            self._drop(entry)
        remove_abandoned(self.folder)
        return len(entries)

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise CacheError(
                f"{key!r} is no cache key.", "Give 16 to 64 digits of 0-9 and a-f, as content_key."
            )
        return self.folder / f"{key}{_SUFFIX}"

    def _files(self, suffix: str) -> list[Path]:
        try:
            return [path for path in self.folder.iterdir() if path.suffix == suffix]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._unusable(error) from error

    def _evict(self, keep: str) -> None:
        entries = self.entries()
        total = sum(entry.size_bytes for entry in entries)
        for entry in reversed(entries):
            if total <= self.max_bytes:
                break
            if entry.key != keep:
                self._drop(entry)
                total -= entry.size_bytes
        remove_abandoned(self.folder)

    def _drop(self, entry: Entry) -> None:
        try:
            self._path(entry.key).unlink(missing_ok=True)
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> CacheError:
        return CacheError(
            f"The cache folder {self.folder} can't be used ({error.strerror or error}).",
            "Choose another folder, or free some space.",
        )


def _checksum(arrays: Arrays) -> str:
    return content_key(arrays)
