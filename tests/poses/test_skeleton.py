"""The pose type and its drawing, held against controlnet_aux pixel for pixel."""

from __future__ import annotations

import colorsys
import sys
import types
import warnings
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseanimate.errors import MotionError, PictureError
from poseanimate.poses import skeleton
from poseanimate.poses.skeleton import JOINT_NAMES, MIRRORED, PARENTS, ROOT_FIRST, Pose, draw_pose

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from controlnet_aux.open_pose import util as reference
    from controlnet_aux.open_pose.body import Keypoint


def random_pose(seed: int, width: int, height: int, whole: bool, extras: bool = False) -> Pose:
    rng = np.random.default_rng(seed)

    def points(count: int) -> np.ndarray:
        xy = rng.uniform(-0.05, 1.05, (count, 2)) * (width, height)
        confidence = rng.choice([0.0, 0.2, 0.3, 0.8], count, p=[0.1, 0.1, 0.2, 0.6])
        return np.column_stack([np.floor(xy) if whole else xy, confidence])

    if not extras:
        return Pose(points(18))
    return Pose(points(18), points(21), points(21), points(70))


def keypoints(points: np.ndarray, width: int, height: int, absent: object) -> list:
    return [
        Keypoint(x=x / width, y=y / height) if confidence >= 0.3 else absent
        for x, y, confidence in points
    ]


def reference_drawing(pose: Pose, width: int, height: int) -> np.ndarray:
    canvas = np.zeros((height, width, 3), np.uint8)
    canvas = reference.draw_bodypose(canvas, keypoints(pose.body, width, height, None))
    # The reference marks points of hands and face that were not found with -1.
    absent = Keypoint(x=-1.0, y=-1.0)
    for hand in (pose.left_hand, pose.right_hand):
        if hand is not None:
            canvas = reference.draw_handpose(canvas, keypoints(hand, width, height, absent))
    if pose.face is not None:
        canvas = reference.draw_facepose(canvas, keypoints(pose.face, width, height, absent))
    return canvas


@pytest.fixture
def hand_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference takes one function from matplotlib, which need not be installed."""

    def hsv_to_rgb(hsv: list[float]) -> np.ndarray:
        return np.array(colorsys.hsv_to_rgb(*hsv))

    stand_in = types.ModuleType("matplotlib")
    stand_in.colors = types.SimpleNamespace(hsv_to_rgb=hsv_to_rgb)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "matplotlib", stand_in)


@pytest.mark.parametrize(("width", "height"), [(512, 512), (768, 512), (576, 704), (520, 611)])
@pytest.mark.parametrize("whole", [True, False])
def test_body_equals_controlnet_aux(width: int, height: int, whole: bool) -> None:
    for seed in range(6):
        pose = random_pose(seed, width, height, whole)
        ours = draw_pose(pose, width, height)
        assert ours.any()
        np.testing.assert_array_equal(ours, reference_drawing(pose, width, height))


@pytest.mark.parametrize(("width", "height"), [(512, 512), (768, 512)])
def test_hands_and_face_equal_controlnet_aux(width: int, height: int, hand_colours: None) -> None:
    for seed in range(3):
        pose = random_pose(seed, width, height, whole=False, extras=True)
        np.testing.assert_array_equal(
            draw_pose(pose, width, height), reference_drawing(pose, width, height)
        )


def test_a_hand_bone_is_drawn_in_its_own_hue() -> None:
    hand = np.zeros((21, 3))
    hand[5], hand[6] = (100, 100, 1), (200, 100, 1)
    canvas = draw_pose(Pose(np.zeros((18, 3)), left_hand=hand), 512, 512)
    # Bone 5 of 20: hue 0.25 is halfway from yellow to green.
    assert canvas[100, 150].tolist() == [128, 255, 0]
    assert canvas[100, 100].tolist() == [0, 0, 255]


@pytest.mark.parametrize(
    ("width", "height", "multiple"),
    [(128, 128, 4), (96, 160, 6), (511, 600, 2), (256, 512, 2), (200, 100, 6)],
)
def test_small_canvases_get_the_reduced_large_drawing(
    width: int, height: int, multiple: int
) -> None:
    pose = random_pose(3, width, height, whole=False)
    large = pose.scaled(multiple, multiple)
    drawn = reference_drawing(large, width * multiple, height * multiple)
    reduced = cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(draw_pose(pose, width, height), reduced)


@pytest.mark.parametrize(("side", "times"), [(512, 2), (999, 2), (1024, 3), (2048, 4), (9000, 7)])
def test_thick_skeletons_are_the_thicker_the_larger_the_canvas(side: int, times: int) -> None:
    """As xinsir's ControlNets for Stable Diffusion XL saw them: sticks of 4 px, twice to seven times."""
    body = np.zeros((18, 3))
    right_shoulder, right_elbow = 2, 3
    body[[right_shoulder, right_elbow]] = [[100, 200, 1], [400, 200, 1]]
    for thick, expected in ((False, 1), (True, times)):
        drawn = draw_pose(Pose(body), side, side, thick).any(axis=2)
        assert int(drawn[:, 250].sum()) == pytest.approx(8 * expected + 1, abs=2)  # the stick
        assert int(drawn[:, 400].sum()) == 8 * expected + 1  # the joint


def test_small_canvases_have_thick_skeletons_reduced() -> None:
    body = np.zeros((18, 3))
    body[[2, 3]] = [[100, 200, 1], [400, 200, 1]]
    large = draw_pose(Pose(body), 512, 512, True)
    small = draw_pose(Pose(body).scaled(1 / 4, 1 / 4), 128, 128, True)
    reduced = cv2.resize(large, (128, 128), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(small, reduced)


def test_threshold_decides_what_is_drawn() -> None:
    body = np.zeros((18, 3))
    body[1], body[2] = (256, 100, 0.4), (200, 100, 0.29)
    assert draw_pose(Pose(body), 512, 512)[100, 200].tolist() == [0, 0, 0]
    body[2, 2] = 0.3
    assert draw_pose(Pose(body), 512, 512)[100, 200].tolist() == [255, 170, 0]
    body[:, 2] = np.minimum(body[:, 2], 0.29)
    assert not draw_pose(Pose(body), 512, 512).any()
    assert not draw_pose(Pose.absent(), 512, 512).any()


def test_far_away_joints_are_drawn_without_harm() -> None:
    body = np.full((18, 3), 1e6)
    body[::2, :2] = -1e6
    body[:, 2] = 1
    assert draw_pose(Pose(body), 64, 64).shape == (64, 64, 3)


def test_a_canvas_without_pixels_is_refused() -> None:
    with pytest.raises(PictureError, match="0x64"):
        draw_pose(Pose.absent(), 0, 64)


def test_the_tree_is_rooted_at_the_neck_and_symmetric() -> None:
    assert PARENTS[1] == -1
    placed = {-1}
    for joint in ROOT_FIRST:
        assert PARENTS[joint] in placed
        placed.add(joint)
    assert placed == {-1, *range(18)}
    bones = {frozenset((j, p)) for j, p in enumerate(PARENTS) if p >= 0}
    assert bones == {frozenset(limb) for limb in skeleton.LIMBS}
    for joint, name in enumerate(JOINT_NAMES):
        swapped = name.translate(str.maketrans({"r": "l", "l": "r"}))
        if name.startswith(("right", "left")):
            assert JOINT_NAMES[MIRRORED[joint]].split()[1] == name.split()[1]
            assert JOINT_NAMES[MIRRORED[joint]][0] == swapped[0]
        assert MIRRORED[MIRRORED[joint]] == joint


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (np.zeros((17, 3)), "shape"),
        (np.zeros(54), "shape"),
        (np.full((18, 3), np.nan), "coordinate"),
        (np.full((18, 3), np.inf), "coordinate"),
        (np.full((18, 3), 1e7), "coordinate"),
        (np.full((18, 3), 1.5), "confidence"),
        (np.full((18, 3), -0.1), "confidence"),
    ],
)
def test_impossible_poses_are_refused(body: np.ndarray, what: str) -> None:
    with pytest.raises(MotionError, match=what):
        Pose(body)


def test_hands_and_face_are_checked_too() -> None:
    for part in ("left_hand", "right_hand", "face"):
        with pytest.raises(MotionError, match=part.replace("_", " ")):
            Pose(np.zeros((18, 3)), **{part: np.zeros((20, 3))})


def test_a_pose_is_its_own_copy_and_read_only() -> None:
    body = np.ones((18, 3))
    pose = Pose(body)
    body[:] = 0
    assert pose.body.min() == 1
    with pytest.raises(ValueError, match="read-only"):
        pose.body[0, 0] = 5


def full(pose: Pose) -> list[np.ndarray]:
    return [a for a in (pose.body, pose.left_hand, pose.right_hand, pose.face) if a is not None]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(-50, 50), st.floats(-50, 50))
def test_absent_points_stay_at_zero(seed: int, x: float, y: float) -> None:
    pose = random_pose(seed, 512, 512, whole=False, extras=True)
    moves: list[Callable[[Pose], Pose]] = [lambda p: p.shifted(x, y), lambda p: p.scaled(x, y)]
    for move in moves:
        for before, after in zip(full(pose), full(move(pose)), strict=True):
            absent = before[:, 2] == 0
            assert not after[absent].any()
            np.testing.assert_array_equal(after[:, 2], before[:, 2])


def test_scaling_and_shifting_do_what_they_say() -> None:
    pose = random_pose(1, 512, 512, whole=False, extras=True)
    there = pose.body[:, 2] > 0
    np.testing.assert_allclose(pose.scaled(2, 3).xy[there], pose.xy[there] * (2, 3))
    np.testing.assert_allclose(pose.shifted(2, 3).xy[there], pose.xy[there] + (2, 3))
    assert pose.scaled(1, 1).equals(pose)
    assert not pose.shifted(1e-9, 0).equals(pose)
    assert not Pose(pose.body).equals(pose)


@given(st.integers(0, 2**31))
def test_a_mirror_flips_joints_and_sides_and_twice_is_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    body, hand = rng.uniform(1, 500, (18, 3)), rng.uniform(1, 500, (21, 3))
    body[:, 2], hand[:, 2] = rng.uniform(0.1, 1, 18), 1
    pose = Pose(body, left_hand=hand)
    there = pose.mirrored(512)
    for joint, name in enumerate(JOINT_NAMES):
        swapped = name.replace("right", "L").replace("left", "right").replace("L", "left")
        other = JOINT_NAMES.index(swapped)
        assert there.body[other] == pytest.approx([512 - body[joint, 0], *body[joint, 1:]])
    assert there.left_hand is None and there.right_hand is not None
    assert there.right_hand[:, 0] == pytest.approx(512 - hand[:, 0])
    back = there.mirrored(512)
    assert np.allclose(back.body, body) and back.left_hand is not None
