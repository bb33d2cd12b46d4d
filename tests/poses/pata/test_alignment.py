"""The whole alignment: its specification as properties."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers.people import (
    SIDE,
    clip,
    masks,
    moving,
    options,
    quick,
    random_clip,
    random_pose,
    seeds,
    without,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from poseanimate.errors import SettingsError
from poseanimate.poses.pata import Alignment, PataSettings, align
from poseanimate.poses.skeleton import Pose


def assert_same(a: Alignment, b: Alignment, tolerance_px: float = 1e-6) -> None:
    assert (len(a.poses), a.transition) == (len(b.poses), b.transition)
    for left, right in zip(a.poses, b.poses, strict=True):
        np.testing.assert_allclose(left.body, right.body, rtol=0, atol=tolerance_px)


@quick
@given(seeds, options, st.floats(-40, 40), st.floats(-40, 40))
def test_shifting_the_driver_changes_nothing(
    seed: int, chosen: PataSettings, dx: float, dy: float
) -> None:
    source, motion = random_pose(np.random.default_rng(seed + 1)), random_clip(seed)
    shifted = replace(motion, poses=tuple(p.shifted(dx, dy) for p in motion.poses))
    assert_same(
        align(source, motion, SIDE, SIDE, chosen), align(source, shifted, SIDE, SIDE, chosen)
    )


@quick
@given(seeds, options, st.integers(60, 140), st.booleans())
def test_scaling_the_driver_uniformly_changes_nothing(
    seed: int, chosen: PataSettings, percent: int, with_canvas: bool
) -> None:
    source, motion = random_pose(np.random.default_rng(seed + 1)), random_clip(seed)
    factor = percent / 100
    side = SIDE * percent // 100 if with_canvas else SIDE
    # Scaled about a corner of the lower half, the person stays inside the canvas.
    scaled = [p.shifted(-300, -250).scaled(factor, factor) for p in motion.poses]
    away = (300 * side / SIDE, 250 * side / SIDE)
    other = clip([p.shifted(*away) for p in scaled], side)
    assert_same(align(source, motion, SIDE, SIDE, chosen), align(source, other, SIDE, SIDE, chosen))


@quick
@given(seeds, options)
def test_the_first_pose_is_the_source_bit_for_bit(seed: int, chosen: PataSettings) -> None:
    rng = np.random.default_rng(seed)
    source = random_pose(rng)
    noisy = source.body.copy()
    noisy[:, 2] = rng.uniform(0, 1, 18)
    source = Pose(noisy, face=rng.uniform(0, 1, (70, 3)))
    alignment = align(source, random_clip(seed), SIDE, SIDE, chosen)
    assert alignment.poses[0].equals(Pose(noisy, face=source.face))
    assert alignment.errors or len(alignment.poses) == 6 + alignment.transition


@settings(max_examples=150, deadline=None)
@given(st.lists(st.booleans(), min_size=18, max_size=18), masks, options, seeds)
def test_any_joints_may_be_missing(
    in_source: list[bool], in_motion: list[list[bool]], chosen: PataSettings, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    source = without(random_pose(rng), *np.flatnonzero(np.invert(in_source)))
    poses = [without(random_pose(rng), *np.flatnonzero(np.invert(m))) for m in in_motion]
    alignment = align(source, clip(poses), SIDE, SIDE, chosen)
    # A pose can't hold anything that is not finite, so being here is the larger part.
    assert alignment.poses[0].equals(source)
    assert bool(alignment.errors) == (len(alignment.poses) == 1)
    for out, pose in zip(moving(alignment), poses, strict=False):
        assert np.isfinite(out.body).all()
        assert (np.abs(out.xy) < 10 * SIDE).all()
        # Nothing is invented but a neck between the shoulders and what short gaps hide.
        if len(poses) == 1:
            assert not (out.visible() & ~pose.visible())[[0, *range(2, 18)]].any()


rough_points = st.lists(
    st.tuples(
        st.sampled_from([-70, -50, 0, 299, 300, 640, 1000]),
        st.sampled_from([-1000, 0, 150, 151, 599]),
        st.sampled_from([0.0, 0.3, 0.4, 0.5, 1.0]),
    ),
    min_size=18,
    max_size=18,
).map(lambda points: Pose(np.array(points, dtype=float)))


@settings(max_examples=150, deadline=None)
@given(rough_points, st.lists(rough_points, min_size=1, max_size=6), options)
def test_any_joints_may_fall_together_or_far_away(
    source: Pose, poses: list[Pose], chosen: PataSettings
) -> None:
    alignment = align(source, clip(poses), SIDE, SIDE, chosen)
    assert bool(alignment.errors) == (len(alignment.poses) == 1)
    assert all(np.isfinite(pose.body).all() for pose in alignment.poses)


@quick
@given(seeds, options, st.sampled_from([0.25, 0.5, 2.0]))
def test_the_resolution_makes_no_difference(seed: int, chosen: PataSettings, factor: float) -> None:
    source, motion = random_pose(np.random.default_rng(seed + 1)), random_clip(seed)
    side = int(SIDE * factor)
    small = align(source.scaled(factor, factor), motion, side, side, chosen)
    large = align(source, motion, SIDE, SIDE, chosen)
    enlarged = tuple(pose.scaled(1 / factor, 1 / factor) for pose in small.poses)
    assert_same(replace(small, poses=enlarged), large)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("anchor", "floating"),
        ("transition_frames", 13),
        ("transition_frames", -1),
        ("scale", 0.05),
        ("scale", float("nan")),
        ("shift", (0.0, 2.5)),
        ("shift", (float("nan"), 0.0)),
    ],
)
def test_settings_outside_their_range_are_refused(name: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=name):
        PataSettings(**{name: value})
