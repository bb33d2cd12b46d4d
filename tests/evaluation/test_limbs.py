"""Figures of arms: hands that are there, and forearms' colours."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from poseanimate.evaluation.metrics.appearance import find_difference
from poseanimate.evaluation.metrics.limbs import AWAY, forearm_error, hands_shown
from poseanimate.media.similarity import Inside
from poseanimate.pocket.body import Angles
from poseanimate.pocket.world.motions import sample_motion
from poseanimate.pocket.world.scene import Rendered, Scene
from poseanimate.poses.measures import torso_length
from poseanimate.poses.skeleton import R_ELBOW, R_WRIST, Pose

ARMS_OUT = Angles(right_shoulder=90, left_shoulder=90)


def seen_in(number: int, angles: Angles = ARMS_OUT) -> tuple[Rendered, Inside]:
    """A rendered character, and where its skin is seen."""
    scene = Scene.sample("validation", number)
    rendered = scene.render(angles)
    return rendered, find_difference(rendered.picture, scene.tanned().render(angles).picture)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 300), st.sampled_from(("walk", "wave", "squat")), st.integers(0, 5))
def test_the_truth_shows_its_own_hands(number: int, motion: str, frame: int) -> None:
    rendered, skin = seen_in(number, sample_motion(motion, 6)[frame])
    assert all(hands_shown(rendered.picture, rendered.picture, rendered.pose, skin))
    assert forearm_error(rendered.picture, rendered.picture, rendered.pose) == 0


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 300), st.integers(-2, 2), st.integers(-2, 2))
def test_a_hand_a_little_off_counts(number: int, right: int, down: int) -> None:
    rendered, skin = seen_in(number)
    assume(
        np.hypot(right, down) <= AWAY * torso_length(rendered.pose)
    )  # a small figure's is less than two pixels
    moved = np.roll(rendered.picture, (down, right), (0, 1))
    assert all(hands_shown(moved, rendered.picture, rendered.pose, skin))


def test_a_lost_hand_does_not_count() -> None:
    shown = []
    for number in range(30):
        rendered, skin = seen_in(number)
        painted = (skin * 255).astype(np.uint8)
        without = cv2.inpaint(rendered.picture, cv2.dilate(painted, np.ones((3, 3))), 3, 0)
        shown += hands_shown(without, rendered.picture, rendered.pose, skin)
    assert len(shown) > 30 and np.mean(shown) < 0.15


def test_a_forearm_in_another_colour_is_an_error() -> None:
    rendered, _ = seen_in(0)
    start, end = (tuple(map(int, rendered.pose.xy[joint])) for joint in (R_ELBOW, R_WRIST))
    other = cv2.line(rendered.picture.copy(), start, end, (0, 255, 0), 20)
    assert forearm_error(other, rendered.picture, rendered.pose) > 20


@pytest.mark.parametrize("pose", [Pose.absent()])
def test_nobody_has_no_hands(pose: Pose) -> None:
    picture = np.zeros((32, 32, 3), np.uint8)
    assert hands_shown(picture, picture, pose, np.ones((32, 32), bool)) == []
    assert np.isnan(forearm_error(picture, picture, pose))
