"""The same motion in the files of many tools."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers.people import person
from helpers.pose_files import frame, read, triples
from hypothesis import given, settings
from hypothesis import strategies as st

from poseanimate.errors import MotionError
from poseanimate.poses.formats.orders import BETWEEN_SHOULDERS, ORDERS
from poseanimate.poses.motion import Motion
from poseanimate.poses.skeleton import JOINT_NAMES, L_SHOULDER, NECK, R_SHOULDER, Pose

WIDTH, HEIGHT = 400, 500


def coco(pose: Pose) -> np.ndarray:
    return listed(pose, 17)


def listed(pose: Pose, count: int) -> np.ndarray:
    """(count, 3): the pose in the usual order of so many points."""
    points = np.zeros((count, 3))
    for joint, place in enumerate(ORDERS[count][0].joints):
        if place != BETWEEN_SHOULDERS:
            points[place] = pose.body[joint]
    return points


def with_middle_neck(pose: Pose) -> Pose:
    """The pose as it is in files without a neck."""
    body = pose.body.copy()
    body[NECK] = body[[R_SHOULDER, L_SHOULDER]].mean(axis=0)
    return Pose(body)


POSES = tuple(with_middle_neck(person().shifted(3 * i, 2 * i)) for i in range(4))


def landmarks(pose: Pose) -> list[dict[str, float]]:
    return [
        {"x": x / WIDTH, "y": y / HEIGHT, "z": 0.1, "visibility": c} for x, y, c in listed(pose, 33)
    ]


def named(pose: Pose) -> dict[str, dict[str, float]]:
    return {
        name.title().replace(" ", ""): {"x": x, "y": y, "z": 0.3}
        for name, (x, y, _) in zip(JOINT_NAMES, pose.body, strict=True)
    }


def ultralytics(pose: Pose) -> dict[str, Any]:
    x, y, visible = coco(pose).T.tolist()
    box = {"x1": 0, "y1": 0, "x2": 9, "y2": 9}
    return {"name": "person", "box": box, "keypoints": {"x": x, "y": y, "visible": visible}}


def mmpose(pose: Pose) -> dict[str, Any]:
    points = coco(pose)
    scores = points[:, 2].tolist()
    return {"keypoints": points[:, :2].tolist(), "keypoint_scores": scores, "bbox": [[0, 0, 9, 9]]}


FILES: dict[str, Callable[[], Any]] = {
    "ours": lambda: {"fps": 12, "frames": [frame(pose) for pose in POSES]},
    "OpenPose, a list": lambda: [frame(pose) for pose in POSES],
    "triples": lambda: [{"people": [{"pose_keypoints_2d": p.body.tolist()}]} for p in POSES],
    "OpenPose's older keys": lambda: [{"people": [{"pose_keypoints": triples(p)}]} for p in POSES],
    "a list in a list": lambda: [[frame(pose)] for pose in POSES],
    "text in text": lambda: json.dumps([frame(pose) for pose in POSES]),
    "an API's answer": lambda: {"images": [""], "poses": [frame(pose) for pose in POSES]},
    "AlphaPose": lambda: [
        {"image_id": f"{i}.jpg", "keypoints": coco(pose).ravel().tolist(), "idx": [1]}
        for i, pose in enumerate(POSES)
    ],
    "AlphaPose, by image": lambda: {
        f"{i}.jpg": {"version": "AlphaPose v0.3", "bodies": [{"joints": triples(pose)}]}
        for i, pose in enumerate(POSES)
    },
    "COCO": lambda: {
        "images": [{"id": i} for i in range(4)],
        "annotations": [
            {"image_id": i, "keypoints": (coco(pose) * (1, 1, 2)).ravel().tolist()}
            for i, pose in enumerate(POSES)
        ],
    },
    "MMPose": lambda: {
        "meta_info": {"dataset_name": "coco"},
        "instance_info": [
            {"frame_id": i, "instances": [mmpose(pose)]} for i, pose in enumerate(POSES)
        ],
    },
    "MMPose's lists": lambda: [
        {"frame_id": i, "instances": [mmpose(pose)]} for i, pose in enumerate(POSES)
    ],
    "Ultralytics": lambda: [[ultralytics(pose)] for pose in POSES],
    "MediaPipe": lambda: [
        {"landmarks": landmarks(pose), "width": WIDTH, "height": HEIGHT} for pose in POSES
    ],
    "MediaPipe's tasks": lambda: [
        {"pose_landmarks": [landmarks(pose)], "width": WIDTH, "height": HEIGHT} for pose in POSES
    ],
    "PoseNet": lambda: [
        {"pose": {"keypoints": [
            {"part": name, "position": {"x": x, "y": y}, "score": c}
            for name, (x, y, c) in zip(JOINT_NAMES, pose.body, strict=True) if name != "neck"
        ]}}
        for pose in POSES
    ],
    "by name": lambda: {f"frame_{i:04}": {"person_0": named(p)} for i, p in enumerate(POSES)},
    "lists of numbers": lambda: [triples(pose) for pose in POSES],
}  # fmt: skip


@pytest.mark.parametrize("tool", FILES)
def test_the_same_motion_is_read_from_the_files_of_many_tools(tool: str) -> None:
    motion = read(FILES[tool]())
    assert len(motion.poses) == len(POSES)
    for pose, wanted in zip(motion.poses, POSES, strict=True):
        np.testing.assert_allclose(pose.body, wanted.body, atol=1e-9)


def test_json_lines_are_frames() -> None:
    lines = "\n".join(json.dumps(frame(pose)) for pose in POSES)
    motion = Motion.from_json(lines, "lines")
    assert all(a.equals(b) for a, b in zip(motion.poses, POSES, strict=True))


@pytest.mark.parametrize("document", [
    {"width": 512, "height": 512, "keypoints": POSES[0].xy.ravel().tolist()},
    {"width": 512, "height": 512, "keypoints": [POSES[0].xy.tolist()]},
    triples(POSES[0]),
    [ultralytics(POSES[0])],
    landmarks(POSES[0]),
])  # fmt: skip
def test_one_pose_is_a_motion_of_one_pose(document: Any) -> None:
    motion = read(document)
    assert len(motion.poses) == 1 and motion.poses[0].visible().all()


def test_frames_that_a_tool_left_out_show_nobody() -> None:
    people = [
        {"image_id": f"{i}.jpg", "keypoints": coco(POSES[0]).ravel().tolist()} for i in (30, 0, 20)
    ]
    motion = read(people)
    assert [bool(pose.visible().any()) for pose in motion.poses] == [True, False, True, True]
    assert any("missing in the file, and show nobody: 1" in note for note in motion.notes)


def test_numbers_that_are_times_leave_no_gaps() -> None:
    people = [
        {"image_id": i, "keypoints": coco(POSES[0]).ravel().tolist()} for i in (0, 33, 67, 100)
    ]
    assert len(read(people).poses) == 4


@pytest.mark.parametrize("size", [5, 51, 56, 67, 71])
@pytest.mark.parametrize("key", ["face_keypoints_2d", "hand_left_keypoints_2d"])
def test_a_part_of_another_length_is_left_out_and_said(size: int, key: str) -> None:
    one = {"pose_keypoints_2d": triples(POSES[0]), key: [50.0, 60.0, 1.0] * size}
    motion = read([frame(people=[one])] * 3)
    assert motion.poses[0].equals(POSES[0])
    words = "face" if key.startswith("face") else "left hand"
    assert f"A {words} of {size} points" in motion.notes[0] and "3 times" in motion.notes[0]


def test_a_face_without_pupils_is_kept() -> None:
    one = {"pose_keypoints_2d": triples(POSES[0]), "face_keypoints_2d": [50.0, 60.0, 1.0] * 68}
    (pose,) = read([frame(people=[one])]).poses
    assert pose.face is not None
    assert pose.face[:68].tolist() == [[50, 60, 1]] * 68 and not pose.face[68:].any()


NAMED_REFUSALS: dict[str, tuple[Any, str]] = {
    "animals": ([{"version": "ap10k", "animals": [[1.0, 2.0, 1.0] * 17]}], "animals"),
    "MMPose's animals": (
        {"meta_info": {"dataset_name": "ap10k"}, "instance_info": [{"instances": []}]},
        "animals",
    ),
    "joint angles": ({"dataList": [{"jointAngles": [{"x": 1, "y": 2, "z": 3}]}]}, "joint angles"),
    "3D beside empty 2D": (
        [{"people": [{"pose_keypoints_2d": [], "pose_keypoints_3d": [1.0] * 100}]}],
        "3D",
    ),
    "MMPose 3D": (
        [{"instances": [{"keypoints": [[1, 2, 3]] * 17, "keypoint_scores": [1] * 17}]}],
        "3D",
    ),
    "hands alone": ({"left_hand": [[1, 2, 1]] * 21, "right_hand": [], "face": []}, "no bodies"),
    "something else": ([{"id": 1, "name": "x"}], "no 'people'"),
    "settings": ({"steps": 20, "cfg": 7}, "neither 'frames' nor 'people'"),
    "21 joints": ([frame(people=[{"pose_keypoints_2d": [1.0] * 63}])], "63 values"),
}


@pytest.mark.parametrize("name", NAMED_REFUSALS)
def test_what_can_not_be_used_is_named(name: str) -> None:
    document, words = NAMED_REFUSALS[name]
    with pytest.raises(MotionError, match=words) as caught:
        read(document)
    assert caught.value.remedy.endswith(".")


KEYS = (
    "frames", "people", "pose_keypoints_2d", "keypoints", "keypoint_scores", "landmarks", "instances", "bodies",
    "joints", "image_id", "frame_id", "instance_info", "annotations", "poses", "animals", "box", "x", "y", "visible",
    "score", "name", "position", "pose", "nose", "left_hip", "frame_1", "person_0", "canvas_width", "canvas_height",
    "fps", "meta_info", "dataList", "person_id", "face_keypoints_2d", "hand_left_keypoints_2d", "pose_keypoints_3d",
)  # fmt: skip
numbers = st.none() | st.integers(-3, 600) | st.floats() | st.just("30") | st.just(True)
rows = st.sampled_from([17, 18, 25, 33, 51, 54, 63, 75, 210]).flatmap(
    lambda size: numbers.map(lambda number: [number] * size)
)
json_values = st.recursive(
    numbers | rows | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=14,
)


@settings(max_examples=400, deadline=None)
@given(json_values)
def test_any_json_in_any_layout_is_read_or_refused(value: Any) -> None:
    try:
        motion = read(value)
    except MotionError as error:
        assert error.message.endswith(".") and error.remedy.endswith(".")
        assert len(str(error)) < 600
        return
    assert all(np.isfinite(pose.body).all() for pose in motion.poses)
