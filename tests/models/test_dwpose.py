"""DWPose on networks of its exact format that find coloured marks, so that places must come back through every crop."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.dwpose import COLOURS, NETWORK, add_box, no_boxes, save_detector, save_points
from hypothesis import given, settings
from hypothesis import strategies as st

from poseanimate.errors import ModelsError
from poseanimate.models.dwpose import (
    BODY,
    FILES,
    PERSON_SCORE,
    STRIDES,
    DWPoseDetector,
    decode_boxes,
)
from poseanimate.poses.skeleton import FACE_POINTS, NECK

BACKGROUND = (120, 120, 120)


def detector(folder: Path, raw: np.ndarray, **parts: bool) -> DWPoseDetector:
    save_detector(folder / FILES[0], raw)
    if not (folder / FILES[1]).exists():
        save_points(folder / FILES[1])
    return DWPoseDetector.load(folder, **parts)


def person(picture: np.ndarray, box: tuple[float, ...], seed: int = 0) -> np.ndarray:
    """Draws the 17 points somewhere in a box; returns their places (17, 2)."""
    rng = np.random.default_rng(seed)
    left, top, right, bottom = box
    size = np.array([right - left, bottom - top])
    grid = np.stack(np.meshgrid(np.linspace(0.1, 0.9, 4), np.linspace(0.08, 0.92, 5)), -1).reshape(
        -1, 2
    )
    places = np.array([left, top]) + size * rng.permutation(grid)[: len(COLOURS)]
    radius = max(
        4.0, float(size.min()) / 12
    )  # they fade outwards, so that the middle is the nearest to their colour
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    for place, colour in zip(places, COLOURS, strict=True):
        share = np.clip(1 - np.hypot(x - place[0], y - place[1]) / radius, 0, 1)[..., None]
        picture[:] = np.where(share > 0, BACKGROUND + share * (colour - BACKGROUND), picture)
    return places


def canvas(width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), BACKGROUND, np.uint8)


# --- YOLOX's boxes ---


@given(st.integers(0, 2**16), st.sampled_from([(64, 96), (96, 64), (128, 128)]))
@settings(max_examples=20)
def test_boxes_are_decoded_cell_by_cell(seed: int, size: tuple[int, int]) -> None:
    width, height = size
    count = sum((width // s) * (height // s) for s in STRIDES)
    raw = np.random.default_rng(seed).normal(size=(count, 85)).astype(np.float32)
    boxes, scores = decode_boxes(raw, width, height)
    i = 0
    for stride in STRIDES:
        for row in range(height // stride):
            for column in range(width // stride):
                x, y = (column + raw[i, 0]) * stride, (row + raw[i, 1]) * stride
                w, h = math.exp(raw[i, 2]) * stride, math.exp(raw[i, 3]) * stride
                expected = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
                np.testing.assert_allclose(boxes[i], expected, rtol=1e-4, atol=1e-3)
                assert scores[i] == pytest.approx(raw[i, 4] * raw[i, 5], rel=1e-5)
                i += 1
    assert i == count


# --- people ---


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize(("width", "height"), [(640, 640), (480, 720), (901, 333), (200, 300)])
def test_every_joint_comes_back_to_its_place(
    tmp_path: Path, width: int, height: int, stride: int
) -> None:
    box = (0.3 * width, 0.1 * height, 0.75 * width, 0.9 * height)
    ratio = NETWORK / max(width, height)
    raw = no_boxes()
    add_box(raw, tuple(ratio * x for x in box), stride=stride)
    picture = canvas(width, height)
    places = person(picture, box)
    (pose,) = detector(tmp_path, raw).detect(picture)
    assert pose.left_hand is None and pose.face is None
    near = max(2.0, 0.012 * max(width, height))
    for joint, row in enumerate(BODY):
        if joint == NECK:
            continue
        assert np.abs(pose.body[joint, :2] - places[row]).max() < near
        assert pose.body[joint, 2] > 0.5
    shoulders = pose.body[[2, 5]]
    np.testing.assert_allclose(pose.body[NECK, :2], shoulders[:, :2].mean(axis=0), atol=1e-6)
    assert pose.body[NECK, 2] == shoulders[:, 2].min()


def test_moving_the_person_moves_the_joints(tmp_path: Path) -> None:
    found = []
    for shift in (0, 80):
        box = (100.0 + shift, 60.0 + shift, 300.0 + shift, 400.0 + shift)
        raw, picture = no_boxes(), canvas(640, 640)
        add_box(raw, box)
        person(picture, box)
        (pose,) = detector(tmp_path, raw).detect(picture)
        found.append(pose.body[:, :2])
    np.testing.assert_allclose(found[1] - found[0], 80, atol=0.01)


def test_a_point_that_is_not_there_has_no_confidence(tmp_path: Path) -> None:
    """A half body: its legs aren't in the picture."""
    raw, picture = no_boxes(), canvas(640, 640)
    add_box(raw, (100, 50, 500, 640))
    places = person(picture, (100, 50, 500, 640))
    for row in (13, 14, 15, 16):
        cv2.circle(picture, tuple(map(int, places[row])), 40, BACKGROUND, -1)
    (pose,) = detector(tmp_path, raw).detect(picture)
    hidden = [joint for joint, row in enumerate(BODY) if row in (13, 14, 15, 16)]
    assert (pose.body[hidden, 2] < 0.3).all() and not pose.visible()[hidden].any()
    assert pose.visible().sum() >= 12


def test_the_largest_person_comes_first_and_doubles_are_dropped(tmp_path: Path) -> None:
    raw, picture = no_boxes(), canvas(640, 640)
    small, large = (40.0, 200.0, 160.0, 400.0), (260.0, 20.0, 600.0, 620.0)
    add_box(raw, small, 0.95)
    add_box(raw, large, 0.6)
    add_box(raw, (264.0, 24.0, 600.0, 610.0), 0.5, stride=32)  # the large one again
    add_box(raw, (0.0, 0.0, 60.0, 60.0), PERSON_SCORE - 0.05, stride=8)  # too unsure
    person(picture, small, 1)
    places = person(picture, large, 2)
    poses = detector(tmp_path, raw).detect(picture)
    assert len(poses) == 2
    nose = poses[0].body[0]
    assert np.abs(nose[:2] - places[0]).max() < 8


def test_without_a_box_the_whole_picture_is_tried(tmp_path: Path) -> None:
    eyes, picture = detector(tmp_path, no_boxes()), canvas(300, 400)
    assert eyes.detect(picture) == []
    places = person(picture, (20, 20, 280, 380))
    (pose,) = eyes.detect(picture)
    assert np.abs(pose.body[0, :2] - places[0]).max() < 6


def test_a_box_with_nobody_in_it_is_nobody(tmp_path: Path) -> None:
    raw, picture = no_boxes(), canvas(640, 640)
    box = (300.0, 60.0, 600.0, 600.0)
    add_box(raw, box)
    add_box(raw, (120.0, 120.0, 190.0, 230.0))
    person(picture, box)
    eyes = detector(tmp_path, raw)
    assert len(eyes.detect(picture)) == 1
    assert eyes.detect(canvas(640, 640)) == []


@pytest.mark.parametrize("size", [(2000, 3), (3, 2000)])
def test_a_sliver_of_a_picture_holds_nobody(tmp_path: Path, size: tuple[int, int]) -> None:
    assert detector(tmp_path, no_boxes()).detect(canvas(*size)) == []


def test_hands_and_face_have_openposes_shapes(tmp_path: Path) -> None:
    raw, picture = no_boxes(), canvas(640, 640)
    add_box(raw, (100, 50, 500, 600))
    places = person(picture, (100, 50, 500, 600))
    (pose,) = detector(tmp_path, raw, hands=True, face=True).detect(picture)
    assert pose.face is not None and pose.face.shape == (FACE_POINTS, 3)
    # of the other points none is seen: a hand without any is no hand
    assert pose.left_hand is None and pose.right_hand is None
    # the pupils are the eyes: right, then left
    assert np.abs(pose.face[68, :2] - places[2]).max() < 6
    assert np.abs(pose.face[69, :2] - places[1]).max() < 6


# --- files ---


def test_identity_is_that_of_weights_and_parts(tmp_path: Path) -> None:
    plain = detector(tmp_path, no_boxes()).identity
    assert detector(tmp_path, no_boxes()).identity == plain
    assert detector(tmp_path, no_boxes(), hands=True).identity != plain
    other = no_boxes()
    add_box(other, (1, 1, 90, 90))
    assert detector(tmp_path, other).identity != plain


@pytest.mark.parametrize("damage", ["gone", "garbage", "cut", "another"])
@pytest.mark.parametrize("name", FILES)
def test_files_that_cannot_be_used_get_a_sentence(tmp_path: Path, name: str, damage: str) -> None:
    save_detector(tmp_path / FILES[0], no_boxes())
    save_points(tmp_path / FILES[1])
    path = tmp_path / name
    if damage == "gone":
        path.unlink()
    elif damage == "garbage":
        path.write_bytes(b"\xff" * 1000)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    elif name == FILES[0]:
        save_points(path)
    else:
        save_points(path, 17)
    with pytest.raises(ModelsError) as caught:
        DWPoseDetector.load(tmp_path)
    assert name in caught.value.message and caught.value.remedy.endswith(".")
