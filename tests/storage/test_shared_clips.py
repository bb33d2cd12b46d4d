"""Shared clips: found by their id alone, taken back by their key alone, bounded."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from poseanimate.errors import BundleError, OutputError
from poseanimate.storage.atomic import PART_SUFFIX
from poseanimate.storage.shared_clips import SharedClips, ShareToken


def files(shelf: SharedClips) -> list[str]:
    return sorted(path.name for path in shelf.folder.iterdir())


def test_what_is_put_is_found_by_its_id_and_removed_by_its_key(tmp_path: Path) -> None:
    shelf = SharedClips(tmp_path / "shared")
    one, other = shelf.put(b"one"), shelf.put(b"other")
    assert shelf.get(one.id) == b"one" and shelf.get(other.id) == b"other"
    assert not any(one.key in name for name in files(shelf)), "the key itself is nowhere"
    assert not shelf.remove(ShareToken(one.id, other.key))
    assert shelf.get(one.id) == b"one"
    assert shelf.remove(one) and not shelf.remove(one)
    with pytest.raises(BundleError, match="no shared clip"):
        shelf.get(one.id)
    assert SharedClips(tmp_path / "shared").get(other.id) == b"other", "it outlives the program"


@pytest.mark.parametrize(
    "id",
    [
        "",
        "*",
        "?" * 22,
        "../" * 7 + "x",
        "/etc/passwd",
        "a" * 21,
        "a" * 23,
        "a" * 21 + "/",
        "a\0" * 11,
    ],
)
def test_ids_that_are_none_find_nothing(tmp_path: Path, id: str) -> None:
    shelf = SharedClips(tmp_path)
    shelf.put(b"one")
    with pytest.raises(BundleError):
        shelf.get(id)
    assert not shelf.remove(ShareToken(id, "key"))
    assert len(files(shelf)) == 1


def test_the_oldest_go_first_and_what_is_too_old(tmp_path: Path) -> None:
    shelf = SharedClips(tmp_path, max_bytes=25)
    tickets = []
    for age in (30, 20, 10):
        tickets.append(shelf.put(b"0123456789"))
        (path,) = tmp_path.glob(f"{tickets[-1].id}.*")
        os.utime(path, (time.time() - age,) * 2)
    with pytest.raises(BundleError):
        shelf.get(tickets[0].id)
    assert shelf.get(tickets[1].id) and shelf.get(tickets[2].id)
    young = SharedClips(tmp_path, max_age_s=15)
    with pytest.raises(BundleError):
        young.get(tickets[1].id)
    assert young.get(tickets[2].id)
    with pytest.raises(OutputError, match="Share a shorter one"):
        shelf.put(b"0" * 26)


def test_nothing_half_written_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = SharedClips(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match="POSEANIMATE_SHARED") as caught:
        shelf.put(b"one")
    assert str(tmp_path) not in str(caught.value), "a visitor sees it"
    assert files(shelf) == []
    abandoned = tmp_path / f"0123{PART_SUFFIX}"
    abandoned.touch()
    os.utime(abandoned, (0, 0))
    with pytest.raises(BundleError):
        shelf.get("a" * 22)
    assert files(shelf) == []


def test_a_folder_that_cant_be_made_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="can't be used"):
        SharedClips(tmp_path / "file" / "shared")
