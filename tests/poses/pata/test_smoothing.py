"""Step 7: smoothing of angles and root."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.people import PLAIN, SIDE, clip, moving, person

from poseanimate.poses.pata import PataSettings, align
from poseanimate.poses.pata.one_euro import one_euro
from poseanimate.poses.skeleton import Pose


def elbow_angles(poses: list[Pose], chosen: PataSettings) -> np.ndarray:
    out = moving(align(person(), clip(poses), SIDE, SIDE, chosen))
    bones = np.stack([pose.xy[3] - pose.xy[2] for pose in out])
    return np.degrees(np.unwrap(np.arctan2(bones[:, 1], bones[:, 0])))


def test_smoothing_takes_jitter_from_still_limbs() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 2, (48, 18, 2))
    poses = [Pose(np.column_stack([person().xy + n, np.ones(18)])) for n in noise]
    raw, smoothed = elbow_angles(poses, PLAIN), elbow_angles(poses, PataSettings())
    assert np.abs(np.diff(smoothed)).mean() < 0.5 * np.abs(np.diff(raw)).mean()
    assert smoothed.mean() == pytest.approx(raw.mean(), abs=0.5)


def test_smoothing_leaves_movement() -> None:
    swing = 40 * np.sin(2 * np.pi * 0.75 * np.arange(48) / 12)
    poses = [person(turns={3: a, 6: -a}) for a in swing]
    difference = elbow_angles(poses, PataSettings()) - elbow_angles(poses, PLAIN)
    assert np.abs(difference).max() < 5


def test_smoothing_goes_round_full_turns() -> None:
    poses = [person(turns={3: 20.0 * i}) for i in range(36)]
    difference = elbow_angles(poses, PataSettings()) - elbow_angles(poses, PLAIN)
    assert np.abs(difference[4:-4]).max() < 5


def test_the_filter_leaves_still_and_unseen_values_alone() -> None:
    values = np.full((10, 2, 1), 3.0)
    seen = np.ones((10, 2), bool)
    values[4:6, 1], seen[4:6, 1] = 99.0, False
    np.testing.assert_allclose(one_euro(values, seen, 12.0, 1.0, 1.0), values)


def test_the_filter_does_not_lag() -> None:
    ramp = np.arange(60.0)[:, None, None]
    smoothed = one_euro(ramp, np.ones((60, 1), bool), 12.0, 1.0, 0.0)
    np.testing.assert_allclose(smoothed[25:35], ramp[25:35], atol=0.05)
