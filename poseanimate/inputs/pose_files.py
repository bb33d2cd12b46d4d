"""Pose JSON from disk: a file, several files, a folder of OpenPose's frames, or a ZIP of it.

Notable: names, counts and sizes are checked before a byte is unpacked, and nothing is unpacked to disk.
"""

from __future__ import annotations

import io
import os
import re
import struct
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from poseanimate.errors import MotionError
from poseanimate.poses.formats.limits import MAX_FRAMES, MAX_JSON_CHARACTERS
from poseanimate.poses.motion import Motion
from poseanimate.storage.zips import ZIP_ERRORS, ZIP_METHODS

MAX_ARCHIVE_BYTES = 40_000_000
MAX_DIRECTORY_BYTES = (
    2_000_000  # what a ZIP says about its files; twice what 10,000 of OpenPose's names need
)
MAX_ENTRIES = 10_000
MAX_DEPTH = 3  # folders around a ZIP's files

JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
_SPACE_AND_MARK = b" \t\r\n\xef\xbb\xbf"  # what may precede JSON: blanks, a byte order mark
_ZIP_START = b"PK\x03\x04"
_ZIP_END, _ZIP64_END = b"PK\x05\x06", b"PK\x06\x07"
_ZIP_END_BYTES, _ZIP64_END_BYTES = 22, 20
_MAX_COMMENT_BYTES = 65_535
_REMEDY = "Give the folder with the .json files that OpenPose wrote for one video, or a ZIP of it."


@dataclass(frozen=True)
class _Part:
    """A file of a folder or ZIP. name: with slashes. read: at most so many of its bytes."""

    name: str
    size: int
    read: Callable[[int], bytes]


def is_pose_source(path: Path) -> bool:
    """Whether a path is a folder, or a file that begins like JSON or a ZIP."""
    return (
        path.is_dir()
        or path.suffix.lower() in JSON_SUFFIXES
        or begins_with(path, b"{", b"[", _ZIP_START)
    )


def begins_with(path: Path, *starts: bytes) -> bool:
    """Whether a file begins so after blanks, in capitals or not."""
    try:
        with path.open("rb") as file:
            return file.read(64).lstrip(_SPACE_AND_MARK).upper().startswith(starts)
    except OSError:  # whoever reads it reports it
        return False


def read_text(path: Path) -> str:
    """The text of a file of poses.

    Raises:
        MotionError: it can't be read, or is too large.
    """
    try:
        return _decode(_of_file(path), MAX_JSON_CHARACTERS)
    except OSError as error:
        raise _unreadable(path.name, error) from error


def read_pose_source(path: Path, fps: float | None = None) -> Motion:
    """The motion in pose JSON: a file, a folder of one file per frame, or a ZIP of such a folder.

    Frames have the order of the last numbers in their files' names. Frames of several videos are refused.

    Args:
        fps: frames per second; None for the file's own rate, or 12 if it names none.

    Raises:
        MotionError: it can't be read, is too large, or is no pose JSON; see `read_keypoints`.
    """
    name = path.name or str(path)
    try:
        if path.is_dir():
            return _read_parts(_of_folder(path), name, fps)
        with path.open("rb") as file:
            zipped = file.read(4) == _ZIP_START
        if not zipped:
            return Motion.from_json(read_text(path), name, fps)
        if path.stat().st_size > MAX_ARCHIVE_BYTES:
            _wrong(name, f"it has more than {MAX_ARCHIVE_BYTES / 1e6:.0f} MB")
        data = path.read_bytes()
    except OSError as error:
        raise _unreadable(name, error) from error
    return read_pose_archive(data, name, fps)


def read_pose_paths(paths: Sequence[Path], fps: float | None = None) -> Motion:
    """The motion in several files of pose JSON, one after the other as they are numbered.

    Raises:
        MotionError: as `read_pose_source`.
    """
    if not paths:
        raise MotionError("There is no motion.", "Give files of pose JSON.")
    for path in paths:
        if not os.path.isfile(path):
            raise MotionError(f"There is no motion at {path}.", "Give files of pose JSON.")
    name = f"{paths[0].name} and {len(paths) - 1} more"
    return _read_parts([_of_file(path) for path in paths], name, fps)


def read_pose_archive(data: bytes, name: str, fps: float | None = None) -> Motion:
    """The motion in a ZIP of pose JSON; see `read_pose_source`.

    Raises:
        MotionError: it is damaged, too large, or holds no pose JSON of one motion.
    """
    _check_directory(data, name)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _read_parts(_of_archive(archive, name), name, fps)
    except ZIP_ERRORS as error:
        raise MotionError(
            f"The motion {name[:80]!r} can't be used: the ZIP is damaged.", "Make the ZIP again."
        ) from error


def _read_parts(parts: Sequence[_Part], name: str, fps: float | None) -> Motion:
    """The motion in the JSON among some files."""
    used = [part for part in parts if part.name.lower().endswith(JSON_SUFFIXES)]
    if not used:
        _wrong(name, f"there is no .json file among its {len(parts)} files")
    if len(used) > MAX_FRAMES:
        _wrong(name, f"it has {len(used)} .json files, and {MAX_FRAMES} are possible")
    if sum(part.size for part in used) > MAX_JSON_CHARACTERS:
        _wrong(name, f"its files have more than {MAX_JSON_CHARACTERS / 1e6:.0f} MB together")
    numbered = sorted(
        ((*_split_name(part.name), part) for part in used),
        key=lambda each: (each[:2], each[2].name),
    )
    videos = list(dict.fromkeys(video for video, *_ in numbered))
    if len(videos) > 1:
        shown = " and ".join(repr(video[:40]) for video in videos[:2])
        _wrong(name, f"it holds the frames of {len(videos)} videos, {shown} among them")
    left = MAX_JSON_CHARACTERS
    files: list[tuple[int | None, str]] = []
    for _, number, part in numbered:
        text = _decode(part, left)
        left -= len(text)
        files.append((number if number >= 0 else None, text))
    motion = Motion.from_files(files, name, fps)
    others = len(parts) - len(used)
    if others:
        motion = replace(
            motion, notes=(*motion.notes, f"Other files, which are left out: {others}.")
        )
    return motion


def _split_name(name: str) -> tuple[str, int]:
    """What the names of one video's frames have in common, and the number of the frame; -1 for none."""
    stem = name.rpartition(".")[0]
    found = re.fullmatch(r"(.*?)(\d{1,15})(\D*)", stem, re.DOTALL)
    if not found:
        return stem, -1
    return f"{found[1]}#{found[3]}", int(found[2])


def _of_file(path: Path) -> _Part:
    def read(most: int) -> bytes:
        with path.open("rb") as file:
            return file.read(most)

    return _Part(path.name, path.stat().st_size, read)


def _of_folder(folder: Path) -> list[_Part]:
    parts = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if not _is_hidden(entry.name) and entry.is_file():
                parts.append(_of_file(Path(entry.path)))
            if len(parts) > MAX_ENTRIES:
                _wrong(folder.name, f"it has more than {MAX_ENTRIES} files")
    return parts


def _of_archive(archive: zipfile.ZipFile, name: str) -> list[_Part]:
    # a damaged list may hold a name without any letter, at which `ZipInfo.is_dir` fails
    found = [each for each in archive.infolist() if not each.filename.endswith("/")]
    if len(found) > MAX_ENTRIES:
        _wrong(name, f"it has more than {MAX_ENTRIES} files")
    if len({each.filename for each in found}) < len(found):
        _wrong(name, "it holds a file twice")
    parts = []
    for each in found:
        folders = re.split(r"[/\\]", each.filename)
        if ".." in folders or folders[0] == "" or ":" in folders[0] or len(folders) > MAX_DEPTH + 1:
            _wrong(name, f"it holds a file at an odd place, {each.filename[:60]!r}")
        if any(map(_is_hidden, folders)):
            continue
        if each.flag_bits & 1:
            _wrong(name, "it is encrypted")
        if each.compress_type not in ZIP_METHODS:
            _wrong(name, "it is compressed in an unusual way")
        parts.append(_Part(each.filename, each.file_size, _reader(archive, each)))
    return parts


def _reader(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Callable[[int], bytes]:
    def read(most: int) -> bytes:
        with archive.open(member) as file:  # reads no further, whatever the header says
            return file.read(most)

    return read


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "__MACOSX"))


def _check_directory(data: bytes, name: str) -> None:
    """Refuses a ZIP that lists more than it may, before the list is read."""
    end = data.rfind(_ZIP_END, max(len(data) - _ZIP_END_BYTES - _MAX_COMMENT_BYTES, 0))
    if end < 0 or end + _ZIP_END_BYTES > len(data):
        _wrong(name, "the ZIP is damaged: it has no end")
    size: int = struct.unpack_from("<I", data, end + 12)[0]
    big = data[max(end - _ZIP64_END_BYTES, 0) : end].startswith(_ZIP64_END)
    if big or size > MAX_DIRECTORY_BYTES:
        _wrong(name, "it holds too many files")


def _decode(part: _Part, most: int) -> str:
    """The text of a file of at most so many bytes."""
    if part.size > most or len(data := part.read(most + 1)) > most:
        raise MotionError(
            f"The motion {part.name[:80]!r} is too large: at most {MAX_JSON_CHARACTERS / 1e6:.0f} MB of "
            "pose JSON or BVH are read.",
            "Cut it to a shorter passage.",
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unreadable(part.name, error) from error


def _unreadable(name: str, error: Exception) -> MotionError:
    return MotionError(
        f"The motion {name[:80]!r} can't be read ({type(error).__name__}).",
        "Give pose JSON or BVH as UTF-8 text that you may read.",
    )


def _wrong(name: str, what: str) -> NoReturn:
    raise MotionError(f"The motion {name[:80]!r} can't be used: {what}.", _REMEDY)
