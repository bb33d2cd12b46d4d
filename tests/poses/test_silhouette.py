"""Outlines drawn around skeletons, against the true masks of rendered scenes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseanimate.pocket.body import Angles
from poseanimate.pocket.world.motions import MOTIONS
from poseanimate.pocket.world.scene import Scene, random_angles
from poseanimate.poses.measures import torso_length
from poseanimate.poses.silhouette import Silhouette
from poseanimate.poses.skeleton import Pose

SIDE = 128


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float(((a > 0.5) & (b > 0.5)).sum() / ((a > 0.5) | (b > 0.5)).sum())


def overlaps(angles: list[Angles]) -> np.ndarray:
    """(scenes, poses): silhouettes fitted at ease, drawn around other poses of the same character."""
    found = []
    for index in range(10):
        scene = Scene.sample("validation", index)
        at_ease = scene.render(Angles(), SIDE, SIDE)
        silhouette = Silhouette.fit(at_ease.pose, at_ease.mask)
        others = [scene.render(each, SIDE, SIDE) for each in angles]
        found.append([iou(silhouette.draw(o.pose, SIDE, SIDE), o.mask) for o in others])
    return np.array(found)


def test_a_silhouette_fitted_at_ease_fits_the_poses_of_motions() -> None:
    found = overlaps([MOTIONS[name](0.3) for name in ("walk", "wave", "jumping-jacks", "kick")])
    assert found.mean() > 0.75
    assert found.min() > 0.5


def test_a_silhouette_fitted_at_ease_fits_random_poses() -> None:
    rng = np.random.default_rng(5)
    assert overlaps([random_angles(rng) for _ in range(4)]).mean() > 0.75


def test_the_fitted_silhouette_is_the_best_of_its_neighbours() -> None:
    scene = Scene.sample("validation", 4).render(Angles(), SIDE, SIDE)
    silhouette = Silhouette.fit(scene.pose, scene.mask)
    own = iou(silhouette.draw(scene.pose, SIDE, SIDE), scene.mask)
    for other in (
        silhouette.widened(1.6),
        silhouette.widened(0.5),
        Silhouette(silhouette.limb, 2 * silhouette.head),
    ):
        assert iou(other.draw(scene.pose, SIDE, SIDE), scene.mask) < own


def test_fitting_follows_the_pictures_size() -> None:
    scene = Scene.sample("validation", 2)
    small, large = (scene.render(Angles(), side, side) for side in (128, 384))
    one, three = (
        Silhouette.fit(small.pose, small.mask),
        Silhouette.fit(large.pose, large.mask),
    )
    assert three.head == pytest.approx(3 * one.head, rel=0.35)
    assert torso_length(large.pose) == pytest.approx(3 * torso_length(small.pose), rel=1e-6)


def test_a_widened_silhouette_holds_the_silhouette() -> None:
    scene = Scene.sample("validation", 1).render(Angles(), SIDE, SIDE)
    silhouette = Silhouette.fit(scene.pose, scene.mask)
    inner = silhouette.draw(scene.pose, SIDE, SIDE) > 0
    outer = silhouette.widened(1.5).draw(scene.pose, SIDE, SIDE) > 0
    assert outer[inner].all()
    assert outer.sum() > 1.1 * inner.sum()


def test_nobody_leaves_nothing() -> None:
    mask = Silhouette(4, 9).draw(Pose.absent(), 40, 30)
    assert mask.shape == (30, 40) and mask.dtype == np.float32
    assert not mask.any()
    assert torso_length(Pose.absent()) >= 1


def test_an_empty_mask_still_gives_a_silhouette() -> None:
    pose = Scene.sample("validation", 1).pose(Angles(), SIDE, SIDE)
    silhouette = Silhouette.fit(pose, np.zeros((SIDE, SIDE), np.float32))
    assert silhouette.limb > 0 and silhouette.head > 0


@given(st.sets(st.integers(0, 17)), st.floats(-300, 300), st.floats(-300, 300))
@settings(max_examples=40, deadline=None)
def test_any_joints_may_be_missing_or_outside(missing: set[int], dx: float, dy: float) -> None:
    body = Scene.sample("validation", 3).pose(Angles(), SIDE, SIDE).body.copy()
    body[:, :2] += [dx, dy]
    body[sorted(missing)] = 0
    pose = Pose(body)
    mask = np.zeros((48, 64), np.float32)
    mask[10:30, 20:40] = 1
    drawn = Silhouette.fit(pose, mask).draw(pose, 64, 48)
    assert set(np.unique(drawn)) <= {0, 1}
    assert torso_length(pose) >= 1


def test_hands_and_feet_reach_beyond_wrists_and_ankles() -> None:
    body = np.zeros((18, 3))
    body[3], body[4] = (20, 50, 1), (60, 50, 1)
    mask = Silhouette(5, 1).draw(Pose(body), 100, 100)
    row = np.flatnonzero(mask[50])
    assert row.max() >= 68  # the wrist, a half-width beyond it, and the round end
    assert row.min() >= 14
    assert np.flatnonzero(mask[:, 40]).tolist() == list(range(45, 56))
