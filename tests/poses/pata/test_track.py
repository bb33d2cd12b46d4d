"""Steps 1 and 2: pixels of the canvas, and which joints count."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.people import SIDE, person, without

from poseanimate.poses.motion import Motion
from poseanimate.poses.pata.track import fit_driver, read_track
from poseanimate.poses.skeleton import Pose


def test_the_canvases_are_fitted_by_one_factor_for_both_axes() -> None:
    motion = Motion((person(),), 600, 1200, 12, "tall")
    track = fit_driver(motion, 300, 300)
    np.testing.assert_allclose(track.xy[0], person().xy / 4)


def test_only_confident_joints_near_the_canvas_count() -> None:
    body = person().body.copy()
    body[4, 2], body[7, 2] = 0.29, 0.30
    body[10, :2], body[13, :2] = (300, SIDE * 1.11), (300, SIDE * 1.09)
    seen = read_track((Pose(body),), SIDE, SIDE).seen[0]
    assert [bool(seen[j]) for j in (4, 7, 10, 13)] == [False, True, False, True]


def test_joints_after_a_missing_one_are_dropped() -> None:
    track = read_track((without(person(), 3, 0, 8),), SIDE, SIDE)
    assert np.flatnonzero(~track.seen[0]).tolist() == [0, 3, 4, 8, 9, 10, 14, 15, 16, 17]
    assert not track.xy[0, 4].any()


def test_a_missing_neck_is_put_between_the_shoulders() -> None:
    track = read_track((without(person(), 1),), SIDE, SIDE)
    assert track.seen.all()
    np.testing.assert_allclose(track.xy[0, 1], person().xy[[2, 5]].mean(axis=0))


@pytest.mark.parametrize(("gap", "filled"), [(1, True), (3, True), (4, False)])
def test_short_gaps_are_interpolated(gap: int, filled: bool) -> None:
    whole = [person(neck=(200 + 10 * i, 160)) for i in range(gap + 4)]
    holed = [without(p, 3) if 2 <= i < 2 + gap else p for i, p in enumerate(whole)]
    track = read_track(tuple(holed), SIDE, SIDE)
    assert track.seen[2 : 2 + gap, [3, 4]].all() == filled
    assert track.seen[2 : 2 + gap, [3, 4]].any() == filled
    if filled:
        np.testing.assert_allclose(track.xy, [p.xy for p in whole])


def test_gaps_at_the_ends_stay() -> None:
    poses = (without(person(), 4), person(), without(person(), 4))
    assert read_track(poses, SIDE, SIDE).seen[:, 4].tolist() == [False, True, False]
