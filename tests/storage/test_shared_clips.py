"""Shared clips: found by their id alone, taken back by their key alone, bounded."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from poseanimate.errors import BundleError, OutputError
from poseanimate.storage.atomic import PART_SUFFIX
from poseanimate.storage.shared_clips import SharedClips, ShareToken


def files(shared: SharedClips) -> list[str]:
    return sorted(path.name for path in shared.folder.iterdir())


def test_what_is_put_is_found_by_its_id_and_removed_by_its_key(tmp_path: Path) -> None:
    shared = SharedClips(tmp_path / "shared")
    one, other = shared.put(b"one"), shared.put(b"other")
    assert shared.get(one.id) == b"one" and shared.get(other.id) == b"other"
    assert not any(one.key in name for name in files(shared)), "the key itself is nowhere"
    assert not shared.remove(ShareToken(one.id, other.key))
    assert shared.get(one.id) == b"one"
    assert shared.remove(one) and not shared.remove(one)
    with pytest.raises(BundleError, match="no shared clip"):
        shared.get(one.id)
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
    shared = SharedClips(tmp_path)
    shared.put(b"one")
    with pytest.raises(BundleError):
        shared.get(id)
    assert not shared.remove(ShareToken(id, "key"))
    assert len(files(shared)) == 1


def test_the_oldest_go_first_and_what_is_too_old(tmp_path: Path) -> None:
    shared = SharedClips(tmp_path, max_bytes=25)
    tokens = []
    for age in (30, 20, 10):
        tokens.append(shared.put(b"0123456789"))
        (path,) = tmp_path.glob(f"{tokens[-1].id}.*")
        os.utime(path, (time.time() - age,) * 2)
    with pytest.raises(BundleError):
        shared.get(tokens[0].id)
    assert shared.get(tokens[1].id) and shared.get(tokens[2].id)
    young = SharedClips(tmp_path, max_age_s=15)
    with pytest.raises(BundleError):
        young.get(tokens[1].id)
    assert young.get(tokens[2].id)
    with pytest.raises(OutputError, match="Share a shorter one"):
        shared.put(b"0" * 26)


def test_the_new_clip_stays_though_the_clock_was_set_back(tmp_path: Path) -> None:
    shared = SharedClips(tmp_path, max_bytes=10)
    old = shared.put(b"12345678")
    for path in tmp_path.iterdir():
        os.utime(path, (2e9, 2e9))
    new = shared.put(b"abcd")
    assert shared.get(new.id) == b"abcd"
    with pytest.raises(BundleError):
        shared.get(old.id)


def test_nothing_half_written_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = SharedClips(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match="POSEANIMATE_SHARED") as caught:
        shared.put(b"one")
    assert str(tmp_path) not in str(caught.value), "a visitor sees it"
    assert files(shared) == []
    abandoned = tmp_path / f"0123{PART_SUFFIX}"
    abandoned.touch()
    os.utime(abandoned, (0, 0))
    with pytest.raises(BundleError):
        shared.get("a" * 22)
    assert files(shared) == []


def test_a_folder_that_cant_be_made_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="can't be used"):
        SharedClips(tmp_path / "file" / "shared")
