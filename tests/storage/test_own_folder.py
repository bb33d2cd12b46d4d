"""A process's own temporary folder, and those of processes that were killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from poseanimate.storage.own_folder import LOCK, PREFIX, YOUNG_S, own_folder, remove_leftovers

HOLDS = """
import sys
from pathlib import Path
from poseanimate.storage.own_folder import own_folder
with own_folder(Path(sys.argv[1])) as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""


def aged(path: Path, seconds: float) -> None:
    about = path.stat()
    os.utime(path, (about.st_atime - seconds, about.st_mtime - seconds))


def test_it_is_removed_with_all_that_is_in_it(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), own_folder(tmp_path / "new") as folder:
        (folder / "a" / "b").mkdir(parents=True)
        (folder / "a" / "b" / "c").write_text("c")
        raise ZeroDivisionError
    assert list((tmp_path / "new").iterdir()) == []


def test_that_of_a_killed_process_is_removed_by_the_next_and_that_of_a_living_one_stays(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", HOLDS, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip())
        (theirs / "a").write_text("a")
        aged(theirs, 10 * YOUNG_S)
        with own_folder(tmp_path) as ours:
            assert theirs.exists() and ours != theirs
        other.kill()
        other.wait()
        assert (theirs / "a").exists()
        remove_leftovers(tmp_path)
        assert list(tmp_path.iterdir()) == []


def test_what_is_not_ours_or_not_yet_locked_stays(tmp_path: Path) -> None:
    kept = [tmp_path / name for name in ("other", f"{PREFIX}young", f"{PREFIX}link")]
    kept[0].mkdir()
    (kept[0] / LOCK).touch()
    kept[1].mkdir()
    kept[2].symlink_to(kept[0])
    file = tmp_path / f"{PREFIX}file"
    file.touch()
    old = tmp_path / f"{PREFIX}old"
    old.mkdir()
    for path in (*kept[:2], old):
        aged(path, 0 if path is kept[1] else 2 * YOUNG_S)
    remove_leftovers(tmp_path)
    assert {*tmp_path.iterdir()} == {*kept, file} and (kept[0] / LOCK).exists()


def test_folders_of_other_users_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = tmp_path / f"{PREFIX}theirs"
    theirs.mkdir()
    (theirs / LOCK).touch()
    monkeypatch.setattr(os, "getuid", lambda: theirs.stat().st_uid + 1)
    remove_leftovers(tmp_path)
    assert theirs.exists()
