"""BlazePose: its geometry, and its real networks, which `make setup` fetches, on pictures of scikit-image."""

from __future__ import annotations

import math
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from skimage import data

from poseanimate.errors import ModelsError
from poseanimate.models.blazepose.boxes import (
    MARGIN,
    SIDE,
    Region,
    decode_people,
    letterbox,
    make_anchors,
    merge_overlapping,
)
from poseanimate.models.blazepose.detector import NEW_PEOPLE_EVERY, BlazePose
from poseanimate.models.blazepose.eyes import BlazePoseEyes
from poseanimate.models.blazepose.files import LANDMARKS, MEDIAPIPE, PEOPLE, SELFIE
from poseanimate.models.blazepose.landmarks import BODY, OTHER_SIDE, Look, build_pose, refine
from poseanimate.models.blazepose.networks import _without_notice
from poseanimate.models.blazepose.plausibility import is_person
from poseanimate.models.input_models import load_input_models
from poseanimate.models.pose_detection import start_tracking
from poseanimate.models.wheel import default_folder, fetch_members
from poseanimate.poses.skeleton import (
    JOINT_NAMES,
    L_EYE,
    L_SHOULDER,
    NECK,
    NOSE,
    R_EYE,
    R_SHOULDER,
    Pose,
)

NUMBERS = st.floats(-500, 500)
ASTRONAUT = data.astronaut()
EYES_PX = {R_EYE: (206, 104), L_EYE: (243, 112), NOSE: (224, 130)}  # read off the picture by hand
# MediaPipe's landmarks by name, from its documentation
PUBLISHED = {
    "nose": 0, "left eye": 2, "right eye": 5, "left ear": 7, "right ear": 8,
    "left shoulder": 11, "right shoulder": 12, "left elbow": 13, "right elbow": 14,
    "left wrist": 15, "right wrist": 16, "left hip": 23, "right hip": 24,
    "left knee": 25, "right knee": 26, "left ankle": 27, "right ankle": 28,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder() -> Path:
    """The real networks, where `make setup` has put them."""
    kept = default_folder(MEDIAPIPE)
    assert (kept / LANDMARKS).is_file(), (
        "BlazePose's networks are missing: run `python -m poseanimate.models.blazepose.files`"
    )
    return fetch_members(MEDIAPIPE)


@pytest.fixture(scope="module")
def blazepose(folder: Path) -> BlazePose:
    return BlazePose(folder)


# --- geometry ---


@given(NUMBERS, NUMBERS, st.floats(1, 300), st.floats(-math.pi, math.pi))
def test_a_region_is_a_square_around_the_hips_that_stands_on_its_lower_side(
    x: float, y: float, radius: float, angle: float
) -> None:
    hips = np.array([x, y])
    top = hips + radius * np.array([math.sin(angle), -math.cos(angle)])
    region = Region.around(hips, top)
    matrix = region.to_picture(256)

    def place(column: float, row: float) -> np.ndarray:
        return matrix @ [column, row, 1]

    assert np.allclose(place(128, 128), hips)
    assert np.allclose(place(128, 0), hips + MARGIN * (top - hips))
    assert math.isclose(region.side, 2 * MARGIN * radius)
    corners = [place(0, 0), place(256, 0), place(256, 256), place(0, 256)]
    for here, there in zip(corners, corners[1:] + corners[:1], strict=True):
        assert math.isclose(math.dist(here, there), region.side, rel_tol=1e-9)
    assert np.linalg.det(matrix[:, :2]) > 0  # not mirrored


def test_a_region_is_cropped_upright() -> None:
    image = np.zeros((300, 400, 3), np.uint8)
    image[140:160, 100:120] = 255  # left of the hips: above them for somebody who lies on the back
    region = Region.around(np.array([200.0, 150.0]), np.array([100.0, 150.0]))
    crop = region.crop(image, 256)
    row, column = np.argwhere(crop[..., 0] > 128).mean(axis=0)
    assert abs(column - 128) < 2 and row < 50


@given(st.integers(1, 900), st.integers(1, 900))
def test_the_letterbox_keeps_places(width: int, height: int) -> None:
    assume(max(width, height) < 40 * min(width, height))
    image = np.full((height, width, 3), 255, np.uint8)
    canvas, scale, corner = letterbox(image)
    rows, columns = np.nonzero(canvas[..., 0] > 0)
    first = np.array([columns.min(), rows.min()]) * scale + corner
    last = np.array([columns.max() + 1, rows.max() + 1]) * scale + corner
    assert np.abs(first).max() <= scale and np.abs(last - [width, height]).max() <= 2 * scale
    assert canvas.shape == (SIDE, SIDE, 3) and math.isclose(scale, max(width, height) / SIDE)


def test_there_is_an_anchor_for_each_output_of_the_network() -> None:
    anchors = make_anchors()
    assert anchors.shape == (2254, 2)
    assert anchors[0].tolist() == anchors[1].tolist() == [4, 4]
    assert anchors[2 * 28 * 28].tolist() == [8, 8] and anchors[-1].tolist() == [208, 208]


def test_boxes_that_overlap_are_one_person_in_the_mean() -> None:
    boxes = np.array([[0, 0, 10, 10], [50, 50, 60, 60], [1, 0, 11, 10.0]])
    points = np.arange(3.0).reshape(3, 1, 1) * np.ones((3, 4, 2))
    first, second = merge_overlapping(boxes, points, [0.9, 0.8, 0.6], 6)
    assert first[0] == 0.9 and np.allclose(first[1], 2 * 0.6 / 1.5)
    assert second[0] == 0.8 and np.allclose(second[1], 1)
    assert len(merge_overlapping(boxes, points, [0.9, 0.8, 0.6], 1)) == 1


@given(st.integers(0, 2253), st.floats(0.1, 20))
def test_an_anchors_answer_is_read_at_its_place(number: int, logit: float) -> None:
    raw, logits = np.zeros((2254, 12), np.float32), np.full(2254, -20, np.float32)
    logits[number] = logit
    raw[number] = [0, 0, 20, 20, 1, 2, 3, 4, 5, 6, 7, 8]
    anchors = make_anchors()
    [(score, points)] = decode_people(raw, logits, anchors, 0.5, 6)
    assert math.isclose(score, 1 / (1 + math.exp(-logit)), rel_tol=1e-4)
    assert np.allclose(points - anchors[number], [[1, 2], [3, 4], [5, 6], [7, 8]])


def test_landmarks_are_in_openposes_order() -> None:
    assert {JOINT_NAMES[j]: mark for j, mark in enumerate(BODY) if j != NECK} == PUBLISHED


@given(st.lists(st.tuples(NUMBERS, NUMBERS, st.floats(0, 1)), min_size=39, max_size=39))
def test_joints_outside_the_picture_are_absent(marks: list[tuple[float, float, float]]) -> None:
    points = np.array(marks)
    pose = build_pose(points[:, :2], points[:, 2], 200, 100)
    for joint, mark in enumerate(BODY):
        x, y, confidence = points[mark]
        if joint != NECK:
            inside = 0 <= x < 200 and 0 <= y < 100
            assert pose.confidence[joint] == (confidence if inside else 0)
    if pose.confidence[NECK] > 0:
        assert np.allclose(pose.xy[NECK], (points[11, :2] + points[12, :2]) / 2)


@given(st.floats(20, 230), st.floats(20, 230), st.floats(-6, 6), st.floats(-6, 6))
def test_a_landmark_moves_to_the_heat_around_it(x: float, y: float, dx: float, dy: float) -> None:
    rows, columns = np.mgrid[:64, :64]
    heat = np.exp(-((columns - (x + dx) / 4) ** 2 + (rows - (y + dy) / 4) ** 2)).astype(np.float32)
    [[refined_x, refined_y]] = refine(np.array([[x, y]]), heat[..., None])
    assert math.hypot(refined_x - x - dx, refined_y - y - dy) < 2
    assert refine(np.array([[x, y]]), 0.4 * heat[..., None]).tolist() == [[x, y]]


def made_look(seed: int = 0, presence: float = 0.99) -> Look:
    rng = np.random.default_rng(seed)
    mask = np.zeros((256, 256), np.float32)
    cv2.circle(mask, (100, 120), 80, 1, -1)
    return Look(rng.uniform(40, 200, (39, 2)), rng.uniform(0.5, 1, 39), mask, presence)


def test_mirrored_twice_is_as_before_and_sides_are_changed() -> None:
    look = made_look()
    twice = look.mirrored().mirrored()
    assert np.allclose(twice.points, look.points)
    assert np.array_equal(twice.confidence, look.confidence)
    assert np.array_equal(twice.mask, look.mask)
    for name, landmark in PUBLISHED.items():
        side, _, part = name.partition(" ")
        other = {"left": f"right {part}", "right": f"left {part}"}.get(side, name)
        assert OTHER_SIDE[landmark] == PUBLISHED[other]


def test_looks_are_averaged() -> None:
    one, two = made_look(1), made_look(2)
    mean = one.averaged(two)
    assert np.allclose(mean.points, (one.points + two.points) / 2)
    assert np.allclose(mean.confidence, (one.confidence + two.confidence) / 2)


def test_a_person_looks_the_same_in_a_mirror() -> None:
    look = made_look()
    assert is_person(look, look)
    moved = Look(look.points + 10, look.confidence, look.mask, look.presence)
    assert not is_person(look, moved)
    unsure = Look(
        look.points, look.confidence, np.maximum(look.mask, np.float32(0.3)), look.presence
    )
    assert not is_person(unsure, unsure)
    shifted = Look(look.points, look.confidence, np.roll(look.mask, 60, axis=1), look.presence)
    assert not is_person(look, shifted)
    hidden = Look(look.points, 0.2 * look.confidence, look.mask, look.presence)
    assert not is_person(hidden, hidden)
    assert not is_person(look, made_look(presence=0.8))


def test_a_joint_far_outside_the_mask_is_absent() -> None:
    look = made_look()
    look.points[:] = (100, 120)
    look.points[BODY[NOSE]] = (240, 20)
    region = Region.around(np.array([300.0, 300.0]), np.array([300.0, 200.0]))
    seen = look.build_pose(region, 600, 600).visible()
    assert not seen[NOSE] and seen.sum() == 17


# --- the real networks ---


def test_a_photographed_person_is_found_where_she_is(blazepose: BlazePose) -> None:
    [pose] = blazepose.detect(ASTRONAUT)
    for joint, place in EYES_PX.items():
        assert math.dist(pose.xy[joint], place) < 12, JOINT_NAMES[joint]
    assert pose.xy[R_SHOULDER, 0] < pose.xy[NECK, 0] < pose.xy[L_SHOULDER, 0]
    assert pose.visible()[[R_SHOULDER, L_SHOULDER, NECK, NOSE]].all()
    assert not pose.visible()[8:14].any()  # hips and legs are outside the picture


def apart(pose: Pose, other: Pose) -> float:
    """The largest distance of joints that both show, in pixels."""
    both = pose.visible() & other.visible()
    assert both.sum() >= 7
    return float(np.hypot(*(pose.xy[both] - other.xy[both]).T).max())


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_the_size_of_the_picture_does_not_matter(blazepose: BlazePose, factor: float) -> None:
    resized = cv2.resize(ASTRONAUT, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    [pose], [other] = blazepose.detect(ASTRONAUT), blazepose.detect(np.asarray(resized))
    assert apart(pose, other.scaled(1 / factor, 1 / factor)) < 12


def test_a_mirrored_picture_has_the_mirrored_pose(blazepose: BlazePose) -> None:
    [pose] = blazepose.detect(ASTRONAUT)
    [other] = blazepose.detect(np.ascontiguousarray(ASTRONAUT[:, ::-1]))
    assert apart(pose, other.mirrored(512)) < 32


def test_two_people_are_two(blazepose: BlazePose) -> None:
    both = np.concatenate([ASTRONAUT, ASTRONAUT[:, ::-1]], axis=1)
    people = blazepose.detect(np.ascontiguousarray(both))
    assert sorted(round(pose.xy[NOSE, 0] / 1024, 1) for pose in people) == [0.2, 0.8]


@pytest.mark.parametrize("name", ["coffee", "rocket", "chelsea", "brick", "grass", "moon"])
def test_nobody_is_found_where_nobody_is(blazepose: BlazePose, name: str) -> None:
    picture = getattr(data, name)()
    assert blazepose.detect(picture if picture.ndim == 3 else np.stack([picture] * 3, -1)) == []


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_picture_has_the_turned_pose(blazepose: BlazePose, turns: int) -> None:
    [pose] = blazepose.detect(ASTRONAUT)
    [turned] = blazepose.detect(np.ascontiguousarray(np.rot90(ASTRONAUT, turns)))
    both = pose.visible() & turned.visible()
    assert both.sum() >= 8
    xy = turned.xy
    for _ in range(turns):
        xy = np.stack([512 - xy[:, 1], xy[:, 0]], axis=1)
    assert np.hypot(*(xy[both] - pose.xy[both]).T).max() < 32


def shown(image: np.ndarray, dx: int) -> np.ndarray:
    return np.ascontiguousarray(np.roll(image, dx, axis=1))


def test_people_are_followed_from_frame_to_frame(blazepose: BlazePose) -> None:
    detect = start_tracking(blazepose)
    [first] = blazepose.detect(ASTRONAUT)
    for step in range(NEW_PEOPLE_EVERY + 2):
        [pose] = detect(shown(ASTRONAUT, 8 * step))
        moved = pose.xy - first.xy - [8 * step, 0]
        assert np.hypot(*moved[[NOSE, L_EYE, R_EYE]].T).max() < 12


def test_who_comes_later_is_found_and_who_leaves_is_gone(blazepose: BlazePose) -> None:
    empty = np.full_like(ASTRONAUT, 128)
    detect = start_tracking(blazepose)
    assert detect(empty) == []
    assert len(detect(ASTRONAUT)) == 1  # looked for at once, since nobody is followed
    assert detect(empty) == []
    pair = np.concatenate([ASTRONAUT, ASTRONAUT[:, ::-1]], axis=1)
    alone = np.concatenate([ASTRONAUT, empty], axis=1)
    detect = start_tracking(blazepose)
    counts = [len(detect(alone))] + [len(detect(pair)) for _ in range(NEW_PEOPLE_EVERY)]
    assert counts[:2] == [1, 1] and counts[-1] == 2


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (17, 33)])
def test_tiny_pictures_show_nobody(
    blazepose: BlazePose, folder: Path, size: tuple[int, int]
) -> None:
    image = np.full((*size, 3), 90, np.uint8)
    assert blazepose.detect(image) == []
    assert BlazePoseEyes(folder).segment(image).shape == size


def test_a_person_is_cut_out(blazepose: BlazePose, folder: Path) -> None:
    mask = BlazePoseEyes(folder).segment(ASTRONAUT)
    assert mask.shape == (512, 512) and mask.dtype == np.float32
    assert mask.min() >= 0 and mask.max() <= 1
    for x, y in ((225, 110), (200, 40), (120, 300), (230, 360)):  # face, hair, sleeve, chest
        assert mask[y, x] > 0.9
    for x, y in ((30, 60), (420, 60), (480, 200)):  # flag, shuttle, backdrop
        assert mask[y, x] < 0.1


def test_blazepose_is_a_detector_and_a_segmenter_by_name(folder: Path) -> None:
    looking = load_input_models("pocket", "cpu", detector="blazepose", segmenter="blazepose")
    assert isinstance(looking.detector, BlazePoseEyes)
    assert looking.segmenter is looking.detector


@pytest.mark.parametrize("content", [None, b"", b"TFL3" * 100])
def test_a_damaged_network_gets_a_sentence(
    folder: Path, tmp_path: Path, content: bytes | None
) -> None:
    for name in (PEOPLE, LANDMARKS, SELFIE):
        (tmp_path / name).symlink_to(folder / name)
    (tmp_path / LANDMARKS).unlink()
    if content is not None:
        (tmp_path / LANDMARKS).write_bytes(content)
    with pytest.raises(ModelsError, match=LANDMARKS):
        BlazePose(tmp_path)


def test_another_network_gets_a_sentence(folder: Path, tmp_path: Path) -> None:
    (tmp_path / PEOPLE).symlink_to(folder / SELFIE)
    (tmp_path / LANDMARKS).symlink_to(folder / LANDMARKS)
    with pytest.raises(ModelsError, match=PEOPLE):
        BlazePose(tmp_path)


def test_loading_is_silent_but_for_what_matters(capfd: pytest.CaptureFixture[str]) -> None:
    with _without_notice():
        os.write(
            2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\nSomething is wrong.\n"
        )
    assert capfd.readouterr().err == "Something is wrong.\n"
    BlazePose(default_folder(MEDIAPIPE))
    assert capfd.readouterr().err == ""
