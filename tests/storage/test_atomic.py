"""What is written beside its place: whole, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from poseanimate.storage.atomic import write_atomically, write_bytes_atomically


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"former")
    with write_atomically(path, ".mp4") as part:
        assert part.parent == tmp_path and part.suffix == ".mp4"
        part.write_bytes(b"new")
        assert path.read_bytes() == b"former"
    assert path.read_bytes() == b"new" and names(tmp_path) == ["clip.mp4"]
    write_bytes_atomically(path, b"newer")
    assert path.read_bytes() == b"newer" and names(tmp_path) == ["clip.mp4"]


def test_a_folder_replaces_the_former_one(tmp_path: Path) -> None:
    for name in ("one", "other"):
        with write_atomically(tmp_path / "frames") as part:
            part.mkdir()
            (part / name).touch()
        assert names(tmp_path) == ["frames"] and names(tmp_path / "frames") == [name]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, GeneratorExit])
@pytest.mark.parametrize("folder", [False, True])
def test_nothing_is_left_of_what_fails(
    error: type[BaseException], folder: bool, tmp_path: Path
) -> None:
    path = tmp_path / "kept"
    path.touch()
    with pytest.raises(error), write_atomically(path) as part:
        if folder:
            part.mkdir()
        (part / "half" if folder else part).write_bytes(b"half")
        raise error
    assert names(tmp_path) == ["kept"] and path.is_file()
