"""What a sweep removes, for any files of any age and size."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poseanimate.storage import sweep as sweeping
from poseanimate.storage.sweep import JUST_MADE_S, Found, sweep

NOW_S, AGE_S = 1e9, 600.0


@st.composite
def kept(draw: st.DrawFn) -> list[tuple[Found, bool]]:
    """Files of a folder, and which are held."""
    files = draw(
        st.lists(st.tuples(st.floats(-100, 2000), st.integers(0, 50), st.booleans()), max_size=8)
    )
    return [
        (Found(NOW_S - age_s, size, f"{i}/{i}"), held)
        for i, (age_s, size, held) in enumerate(files)
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=kept(), most=st.integers(0, 200))
def test_the_oldest_that_nobody_holds_go_until_the_rest_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: list[tuple[Found, bool]], most: int
) -> None:
    def found(folder: Path) -> Iterator[Found]:
        for each, _ in files:
            yield each._replace(path=str(folder / each.path))

    for each, _ in files:
        path = tmp_path / each.path
        path.parent.mkdir(exist_ok=True)
        path.touch()
    held = {str(tmp_path / each.path) for each, is_held in files if is_held}
    with monkeypatch.context() as patched:
        patched.setattr(sweeping, "_files", found)
        swept = sweep(tmp_path, held, NOW_S, AGE_S, most)
    left = [each for each, _ in files if (tmp_path / each.path).exists()]
    assert held <= {str(tmp_path / each.path) for each in left}
    assert swept.left_bytes == sum(each.size for each in left)
    gone = [each for each, _ in files if each not in left]
    assert swept.removed == {str(tmp_path / each.path) for each in gone}
    free = [each for each in left if str(tmp_path / each.path) not in held]
    for each in free:  # nothing old is left, and nothing at all where there is too much
        old_s = NOW_S - each.changed_s
        assert abs(old_s) < JUST_MADE_S or (old_s < AGE_S and swept.left_bytes <= most)
    for each in gone:  # nothing goes without need, nor before what is older
        old_s = NOW_S - each.changed_s
        assert abs(old_s) >= JUST_MADE_S
        if old_s < AGE_S:
            assert swept.left_bytes + sum(g.size for g in gone if g >= each) > most


def test_old_empty_folders_go_and_fresh_ones_stay(tmp_path: Path) -> None:
    for name in ("old", "fresh", "full"):
        (tmp_path / name / "inner").mkdir(parents=True)
    (tmp_path / "full" / "inner" / "file").touch()
    now_s = (tmp_path / "fresh").stat().st_mtime
    for name in ("old/inner", "old", "full/inner", "full"):
        os.utime(tmp_path / name, (now_s - AGE_S, now_s - AGE_S))
    held = {str(tmp_path / "full" / "inner" / "file")}
    sweep(tmp_path, held, now_s, AGE_S, 0)
    assert [*(tmp_path / "old").iterdir()] == []  # it has just lost what was in it
    os.utime(tmp_path / "old", (now_s - AGE_S, now_s - AGE_S))
    sweep(tmp_path, held, now_s, AGE_S, 0)
    assert {each.name for each in tmp_path.iterdir()} == {"fresh", "full"}


def test_no_folder_is_an_empty_one(tmp_path: Path) -> None:
    assert sweep(tmp_path / "none", set(), NOW_S, AGE_S, 0) == (frozenset(), 0)
