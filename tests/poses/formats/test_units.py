"""Missing points, confidences, units and canvases of pose files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers.people import person
from helpers.pose_files import frame, read, triples
from hypothesis import given, settings
from hypothesis import strategies as st

from poseanimate.errors import MotionError
from poseanimate.poses.motion import Motion
from poseanimate.poses.skeleton import Pose

SIDES = (640, 480)
CANVAS = {"canvas_width": SIDES[0], "canvas_height": SIDES[1]}
R_WRIST = 4


def fractions(points: np.ndarray) -> np.ndarray:
    return points / (*SIDES, 1)


def signed(points: np.ndarray) -> np.ndarray:
    return points / (*SIDES, 1) * (2, 2, 1) - (1, 1, 0)


def pixels(points: np.ndarray) -> np.ndarray:
    return points.copy()


def hand() -> np.ndarray:
    return np.column_stack([np.linspace(200, 220, 21), np.linspace(100, 130, 21), np.ones(21)])


UNITS = (pixels, fractions, signed)


@pytest.mark.parametrize("of_body", UNITS)
@pytest.mark.parametrize("of_hand", [pixels, fractions])
def test_units_are_found_for_each_part(
    of_body: Callable[[np.ndarray], np.ndarray], of_hand: Callable[[np.ndarray], np.ndarray]
) -> None:
    if of_body is signed and of_hand is fractions:
        of_hand = signed  # nobody writes two kinds of fractions
    one = {
        "pose_keypoints_2d": of_body(person().body).ravel().tolist(),
        "hand_left_keypoints_2d": of_hand(hand()).ravel().tolist(),
    }
    (pose,) = read([{"people": [one], **CANVAS}]).poses
    assert pose.left_hand is not None
    np.testing.assert_allclose(pose.body, person().body, atol=1e-9)
    np.testing.assert_allclose(pose.left_hand, hand(), atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(UNITS),
    st.integers(0, 17),
    st.floats(-3000, 3000),
    st.floats(-3000, 3000),
)
def test_one_wild_joint_does_not_decide(
    unit: Callable[[np.ndarray], np.ndarray], joint: int, x: float, y: float
) -> None:
    body = person().body.copy()
    body[joint, :2] = x, y
    (pose,) = read(
        [{"people": [{"pose_keypoints_2d": unit(body).ravel().tolist()}], **CANVAS}]
    ).poses
    others = np.delete(np.arange(18), joint)
    np.testing.assert_allclose(pose.body[others], body[others], atol=1e-6)


MARKS: dict[str, list[Any]] = {
    "zero": [0, 0, 0],
    "zero and certain": [0, 0, 1],
    "minus one": [-1, -1, 0],
    "minus one and certain": [-1, -1, 1],
    "minus one throughout": [-1, -1, -1],
    "null": [None, None, None],
    "null and certain": [None, None, 1],
    "one null": [100, None, 1],
    "no confidence": [100, 200, None],
    "nan": [float("nan"), float("nan"), 1],
    "not sure at all": [100, 200, 0],
}


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("unit", [pixels, fractions])
def test_a_missing_joint_is_absent_and_changes_no_other(
    mark: str, unit: Callable[[np.ndarray], np.ndarray]
) -> None:
    numbers: list[Any] = unit(person().body).ravel().tolist()
    numbers[3 * R_WRIST : 3 * R_WRIST + 3] = MARKS[mark]
    (pose,) = read([{"people": [{"pose_keypoints_2d": numbers}], **CANVAS}]).poses
    assert not pose.body[R_WRIST].any()
    others = np.delete(np.arange(18), R_WRIST)
    np.testing.assert_allclose(pose.body[others], person().body[others], atol=1e-9)


def test_that_a_certain_joint_counts_as_missing_is_said() -> None:
    numbers: list[Any] = triples(person())
    numbers[0:3] = [0, 0, 1]
    (note,) = read([{"people": [{"pose_keypoints_2d": numbers}], **CANVAS}]).notes
    assert "(0, 0)" in note


def with_confidences(*values: float) -> Motion:
    body = person().body.copy()
    body[:, 2] = np.resize(values, 18)
    return read([{"people": [{"pose_keypoints_2d": body.ravel().tolist()}], **CANVAS}])


def test_scores_without_a_bound_count_as_certain() -> None:
    motion = with_confidences(7.3, 5.0, 0.4)
    assert set(motion.poses[0].confidence) == {1.0, 0.4}
    assert "up to 7.3" in motion.notes[0]


def test_low_confidences_are_taken_in_relation_to_the_highest() -> None:
    motion = with_confidences(0.28, 0.14)
    np.testing.assert_allclose(sorted(set(motion.poses[0].confidence)), [0.5, 1.0])
    assert "above 0.28" in motion.notes[0]


def test_one_confidence_out_of_range_is_refused() -> None:
    for value in (7.0, -0.5):
        with pytest.raises(MotionError, match="confidence"):
            with_confidences(*[1.0] * 17, value)


@pytest.mark.parametrize("side", [512, 512.0, "512", " 512.0 "])
def test_a_canvas_is_a_number_or_text(side: Any) -> None:
    motion = read([frame(person(), canvas_width=side)])
    assert (motion.width, motion.height, motion.notes) == (512, 512, ())


def test_slightly_different_canvases_are_one() -> None:
    motion = read([frame(person(), canvas_height=height) for height in (512, 520)])
    assert (motion.width, motion.height) == (512, 520)
    assert "512x520" in motion.notes[0]
    assert all(pose.equals(person()) for pose in motion.poses)


@pytest.mark.parametrize("text", ["30", "30.0", "30 fps", " 30FPS ", 30])
@pytest.mark.parametrize("key", ["fps", "frame_rate"])
def test_a_rate_is_a_number_or_text(text: Any, key: str) -> None:
    motion = read({key: text, "frames": [frame(person())] * 2})
    assert (motion.fps, motion.notes) == (30, ())


def test_an_asked_rate_goes_before_the_files_and_a_missing_one_is_said() -> None:
    named = Motion(tuple([person()] * 2), 512, 512, 30, "mine").to_json()
    assert Motion.from_json(named, "mine").fps == 30
    assert Motion.from_json(named, "mine", fps=25).fps == 25
    motion = read([frame(person())] * 2)
    assert motion.fps == 12 and "12 frames per second" in motion.notes[0]


def test_a_file_of_our_own_is_read_without_a_remark() -> None:
    assert Motion.from_json(Motion((person(),), 512, 512, 24, "mine").to_json(), "mine").notes == ()


def test_fractions_of_an_unknown_canvas_are_said() -> None:
    body = (person().body / (512, 512, 1)).ravel().tolist()
    motion = read([{"people": [{"pose_keypoints_2d": body}]}])
    assert (motion.width, motion.height) == (512, 512)
    assert "512x512" in motion.notes[0]
    np.testing.assert_allclose(motion.poses[0].body, person().body, atol=1e-9)


def test_joints_in_one_point_are_refused() -> None:
    body = np.tile([100.0, 200.0, 1.0], (18, 1))
    with pytest.raises(MotionError, match=r"one point .*COCO-18"):
        read([frame(Pose(body))] * 2)
