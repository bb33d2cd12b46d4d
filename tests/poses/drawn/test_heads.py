"""Heads under the white points of faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.faces import with_face
from helpers.media import ffmpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from poses.drawn.test_drawn import SIDE, random_body, read_one

from poseanimate.media import read_video, write_clip
from poseanimate.poses.drawn import DrawnSkeletons
from poseanimate.poses.skeleton import (
    L_EAR,
    L_EYE,
    NOSE,
    R_EAR,
    R_EYE,
    FloatArray,
    Pose,
    draw_pose,
)

HEAD = [NOSE, R_EYE, L_EYE, R_EAR, L_EAR]


def off(read: Pose, drawn: Pose) -> FloatArray:
    """(5,): distances of the head's joints in pixels, infinite where one wasn't read."""
    distances = np.hypot(*(read.xy - drawn.xy)[HEAD].T)
    return np.where(read.confidence[HEAD] > 0, distances, np.inf)


@pytest.mark.parametrize(("between_eyes_px", "near"), [(16, 0.92), (22, 0.96), (30, 0.97)])
def test_covered_joints_are_read_within_2_px(between_eyes_px: int, near: float) -> None:
    people = [with_face(random_body(seed), seed, between_eyes_px) for seed in range(40)]
    read = np.stack([off(read_one(draw_pose(each, SIDE, SIDE)), each) for each in people])
    assert (read <= 2).mean() >= near
    assert (read <= 4).mean() >= 0.98 and read.max() < 10


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), between_eyes_px=st.floats(18, 32))
def test_every_covered_joint_is_found_near_its_place(seed: int, between_eyes_px: float) -> None:
    drawn = with_face(random_body(seed), seed, between_eyes_px)
    assert off(read_one(draw_pose(drawn, SIDE, SIDE)), drawn).max() <= between_eyes_px / 2


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    missing=st.sampled_from([[R_EAR], [L_EAR], [R_EAR, R_EYE], [L_EAR, L_EYE], [R_EAR, L_EAR]]),
)
def test_what_is_not_drawn_under_a_face_is_not_read(seed: int, missing: list[int]) -> None:
    person = with_face(random_body(seed), seed, 22)
    body = np.array(person.body)
    body[missing] = 0
    drawn = Pose(body, face=person.face)
    read = read_one(draw_pose(drawn, SIDE, SIDE))
    assert not read.confidence[missing].any()
    assert off(read, drawn)[drawn.visible()[HEAD]].max() <= 11


def test_strong_compression_leaves_most_within_4_px(tmp_path: Path) -> None:
    people = [with_face(random_body(seed), seed, 22) for seed in range(24)]
    write_clip([draw_pose(each, SIDE, SIDE) for each in people], tmp_path / "clean.mp4", 4)
    clean, small = tmp_path / "clean.mp4", tmp_path / "small.mp4"
    ffmpeg("-i", clean, "-c:v", "libx264", "-crf", "34", "-pix_fmt", "yuv420p", small)
    frames = read_video(small).frames
    read = np.stack(
        [off(read_one(frame), each) for frame, each in zip(frames, people, strict=True)]
    )
    assert (read <= 4).mean() >= 0.85


def test_each_of_two_people_has_a_head_of_their_own() -> None:
    people = []
    for seed, x in ((1, -110), (2, 120)):
        body = np.array(random_body(seed))
        body[:, :2] = (body[:, :2] - SIDE / 2) * 0.6 + (SIDE / 2 + x, SIDE / 2 + 30)
        people.append(with_face(body, seed, 20))
    picture = np.maximum(*(draw_pose(each, SIDE, SIDE) for each in people))
    read = DrawnSkeletons().detect(picture)
    assert len(read) == 2
    for drawn in people:
        assert min(np.sort(off(each, drawn))[3] for each in read) <= 3


@pytest.mark.parametrize("size", [(120, 45), (40, 40), (400, 90)])
def test_white_things_that_are_no_face_do_no_harm(size: tuple[int, int]) -> None:
    drawn = Pose(random_body(5))
    picture = draw_pose(drawn, SIDE, SIDE)
    x, y = drawn.xy[NOSE].astype(int)
    picture[y - 15 - size[1] : y - 15, x - size[0] // 2 : x + size[0] // 2] = 255
    assert off(read_one(picture), drawn).max() <= 4
