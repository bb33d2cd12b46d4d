"""Clips by browser: private to the key, bounded, whole."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseanimate.errors import BundleError
from poseanimate.storage.own_clips import MAX_AGE_S, OwnClips, is_key, make_key

CARD = ("clip", "walk", "16 frames", "data:image/jpeg;base64,")


class Clock:
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        self.seconds += 1
        return self.seconds


@pytest.fixture
def clips(tmp_path: Path) -> OwnClips:
    return OwnClips(tmp_path / "own")


def test_a_browsers_clips_come_back_the_newest_first_and_go_when_they_are_deleted(
    clips: OwnClips,
) -> None:
    key = make_key()
    clips.clock = Clock(clips.clock())
    for name in (b"first", b"second"):
        clips.put(key, name, *CARD)
    newest, oldest = clips.cards(key)
    assert (newest.kind, newest.title, newest.about, newest.picture) == CARD
    assert clips.get(key, newest.id) == (newest, b"second")
    clips.remove(key, newest.id)
    assert clips.cards(key) == [oldest] and clips.get(key, oldest.id)[1] == b"first"
    with pytest.raises(BundleError, match="isn't there any more"):
        clips.get(key, newest.id)


def test_another_key_sees_opens_and_deletes_nothing(clips: OwnClips) -> None:
    mine, other = make_key(), make_key()
    clips.put(mine, b"mine", *CARD)
    [card] = clips.cards(mine)
    clips.remove(other, card.id)
    assert clips.cards(other) == [] and clips.cards(mine) == [card]
    with pytest.raises(BundleError):
        clips.get(other, card.id)
    named = [path.name for path in clips.folder.rglob("*")]
    assert not any(mine in name for name in named), "who reads the folder learns the key"


@given(st.text(max_size=40) | st.sampled_from(["../../etc", "a/b", "", "0" * 22 + "/"]))
def test_what_is_no_key_and_no_id_reaches_no_file(value: str) -> None:
    clips = OwnClips(Path("/nowhere/at/all"))
    if is_key(value):
        return
    clips.put(value, b"", *CARD)
    clips.remove(value, value)
    assert clips.cards(value) == [] and not clips.folder.exists()
    with pytest.raises(BundleError):
        clips.get(make_key(), value)


@given(st.integers(1, 4), st.integers(1, 9))
def test_a_browser_keeps_its_last_clips(most: int, made: int) -> None:
    with TemporaryDirectory() as folder:
        clips = OwnClips(Path(folder), max_clips=most)
        clips.clock = Clock(clips.clock())
        key = make_key()
        for number in range(made):
            clips.put(key, str(number).encode(), *CARD)
        kept = [int(clips.get(key, card.id)[1]) for card in clips.cards(key)]
        assert kept == [*range(made)][::-1][:most]
        assert len(list(Path(folder).glob("*/*"))) == 2 * len(kept), "something is left behind"


def test_the_oldest_of_all_browsers_go_when_there_is_no_room(clips: OwnClips) -> None:
    old, new = make_key(), make_key()
    clips.put(old, bytes(600), *CARD)
    for path in clips.folder.rglob("*.json"):
        os.utime(path, (path.stat().st_mtime - 60,) * 2)
    clips.max_bytes = 1000
    clips.put(new, bytes(600), *CARD)
    assert clips.cards(old) == [] and len(clips.cards(new)) == 1


def test_clips_that_are_too_old_are_neither_shown_nor_kept(clips: OwnClips) -> None:
    key = make_key()
    clips.put(key, b"old", *CARD)
    [card] = clips.cards(key)
    for path in clips.folder.rglob("*"):
        if path.is_file():
            os.utime(path, (path.stat().st_mtime - MAX_AGE_S - 60,) * 2)
    assert clips.cards(key) == []
    with pytest.raises(BundleError):
        clips.get(key, card.id)
    clips.put(make_key(), b"new", *CARD)
    assert len(list(clips.folder.glob("*/*.zip"))) == 1


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"id": 1}', b"\xff"])
def test_a_damaged_card_is_left_out(clips: OwnClips, damage: bytes) -> None:
    key = make_key()
    clips.put(key, b"whole", *CARD)
    clips.put(key, b"damaged", *CARD)
    newest = clips.cards(key)[0]
    next(clips.folder.rglob(f"{newest.id}.json")).write_bytes(damage)
    assert newest.id not in [card.id for card in clips.cards(key)]


def test_a_folder_that_can_not_be_written_keeps_nothing_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "own").write_text("a file")
    clips = OwnClips(tmp_path / "own")
    clips.put(make_key(), b"", *CARD)
    assert "can't be kept" in caplog.text
