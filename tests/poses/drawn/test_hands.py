"""Hands read from drawn skeletons: what is read is right, what is unclear stays missing."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from helpers.hands import hand_points
from helpers.media import ffmpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from poses.drawn.test_drawn import random_body

from poseanimate.media import Frame, read_video, write_clip
from poseanimate.poses.drawn import DrawnSkeletons, drop_outliers, hands
from poseanimate.poses.drawn.hands import read_hands
from poseanimate.poses.skeleton import (
    L_ELBOW,
    L_WRIST,
    R_ELBOW,
    R_WRIST,
    FloatArray,
    Pose,
    draw_pose,
)

SIDE = 512
OPEN, HALF, FIST = 0.1, 0.4, 1.2


def person(seed: int, size_px: float, closed: float, zoom: int = 1) -> Pose:
    """A random body with hands that go on in the arms' directions."""
    body = np.array(random_body(seed))
    body[:, :2] *= zoom
    both = []
    for wrist, elbow in ((L_WRIST, L_ELBOW), (R_WRIST, R_ELBOW)):
        rng = np.random.default_rng(seed + wrist)
        arm = body[wrist, :2] - body[elbow, :2]
        turn = math.atan2(arm[0], -arm[1]) + rng.uniform(-0.7, 0.7)
        root = body[wrist, :2] + rng.uniform(-3, 3, 2)
        both.append(hand_points(2 * seed + wrist, root, turn, size_px, closed))
    return Pose(body, *both)


def largest(picture: Frame) -> Pose:
    return DrawnSkeletons().detect(picture)[0]


def distances(read: Pose, drawn: Pose) -> FloatArray:
    """(42,): of both hands' points in pixels; NaN where one wasn't read."""
    off = []
    for ours, true in ((read.left_hand, drawn.left_hand), (read.right_hand, drawn.right_hand)):
        assert true is not None
        if ours is None:
            off.append(np.full(21, np.nan))
            continue
        assert set(ours[:, 2]) <= {0.0, 1.0} and not ours[ours[:, 2] == 0].any()
        off.append(np.where(ours[:, 2] > 0, np.hypot(*(ours - true)[:, :2].T), np.nan))
    return np.concatenate(off)


def is_free(drawn: Pose) -> FloatArray:
    """(42,) bool: the points of both hands whose dots no other dot of a hand touches."""
    xy = np.concatenate([drawn.left_hand, drawn.right_hand])[:, :2]  # type: ignore[list-item]
    apart = np.hypot(*(xy[:, None] - xy[None]).transpose(2, 0, 1)) + 1e3 * np.eye(len(xy))
    return np.asarray(apart.min(axis=1) > 9.5)


@pytest.mark.parametrize(
    ("size_px", "closed", "zoom", "least"),
    [(80, OPEN, 1, 0.5), (60, OPEN, 1, 0.15), (80, HALF, 1, 0.2), (120, OPEN, 2, 0.7), (120, HALF, 2, 0.5)],
)  # fmt: skip
def test_what_is_read_of_a_hand_is_right(
    size_px: float, closed: float, zoom: int, least: float
) -> None:
    people = [person(seed, size_px, closed, zoom) for seed in range(16)]
    off = np.concatenate(
        [distances(largest(draw_pose(each, zoom * SIDE, zoom * SIDE)), each) for each in people]
    )
    read = ~np.isnan(off)
    assert read.mean() >= least
    assert (off[read] <= 5).mean() >= 0.98
    free = read & np.concatenate([is_free(each) for each in people])
    assert (off[free] <= 2).mean() >= 0.97


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_hands_that_are_not_drawn_are_not_read(seed: int) -> None:
    read = largest(draw_pose(Pose(random_body(seed)), SIDE, SIDE))
    assert read.left_hand is None and read.right_hand is None


def test_small_fists_are_left_out() -> None:
    for seed in range(12):
        read = largest(draw_pose(person(seed, 60, FIST), SIDE, SIDE))
        assert read.left_hand is None and read.right_hand is None


def test_a_finger_that_is_not_drawn_is_missing() -> None:
    seen = 0
    for seed in range(8):
        whole = person(seed, 120, OPEN, zoom=2)
        hand = np.array(whole.left_hand)
        hand[9:13] = 0  # the middle finger
        drawn = Pose(whole.body, left_hand=hand)
        read = largest(draw_pose(drawn, 2 * SIDE, 2 * SIDE))
        assert read.right_hand is None
        if read.left_hand is not None:
            seen += 1
            assert not read.left_hand[9:13, 2].any()
    assert seen >= 3


def compressed(frames: list[Frame], folder: Path) -> list[Frame]:
    write_clip(frames, folder / "clean.mp4", 4)
    clean, small = folder / "clean.mp4", folder / "small.mp4"
    ffmpeg("-i", clean, "-c:v", "libx264", "-crf", "34", "-pix_fmt", "yuv420p", small)
    return read_video(small).frames


def test_strong_compression_hides_points_but_moves_few(tmp_path: Path) -> None:
    people = [person(seed, 80, OPEN) for seed in range(16)]
    frames = compressed([draw_pose(each, SIDE, SIDE) for each in people], tmp_path)
    off = np.concatenate(
        [distances(largest(frame), each) for frame, each in zip(frames, people, strict=True)]
    )
    read = ~np.isnan(off)
    assert read.mean() >= 0.15 and (off[read] <= 5).mean() >= 0.95


def test_wrists_are_not_taken_for_the_lines_of_fingers() -> None:
    """The index finger's first line has the right wrist's colour, the middle finger's the left one's."""
    wrists = [L_WRIST, R_WRIST]
    off = []
    for seed in range(24):
        drawn = person(seed, 80, OPEN)
        read = largest(draw_pose(drawn, SIDE, SIDE))
        off.append(np.hypot(*(read.xy - drawn.xy)[wrists].T))
    assert np.median(off) <= 2 and (np.array(off) <= 6).mean() >= 0.85


def test_a_small_picture_gives_hands_in_its_own_pixels() -> None:
    drawn = person(5, 120, OPEN)
    picture = draw_pose(drawn.scaled(0.5, 0.5), SIDE // 2, SIDE // 2)
    off = distances(largest(picture), drawn.scaled(0.5, 0.5))
    assert np.isnan(off).all() or np.nanmedian(off) <= 1.5


def test_dropping_a_joint_keeps_the_hands() -> None:
    poses = []
    for t in range(5):
        body = np.array(random_body(1))
        body[R_WRIST, 2] = 0.5
        body[R_WRIST, 0] += 200 * (t == 2)
        poses.append(Pose(body, left_hand=np.ones((21, 3))))
    kept = drop_outliers(poses)
    assert not kept[2].confidence[R_WRIST] and kept[2].left_hand is not None


def test_blue_areas_are_no_hands_and_are_not_weighed(monkeypatch: pytest.MonkeyPatch) -> None:
    body = np.array(random_body(4))
    picture = draw_pose(Pose(body), SIDE, SIDE)
    x, y = body[R_WRIST, :2].astype(int)
    area = picture[y : y + 90, max(x - 80, 0) : x + 80]
    area[~area.any(axis=2)] = (0, 0, 255)
    monkeypatch.setattr(hands, "_Lines", None)  # whoever weighs dots fails
    assert read_hands(picture, body, 4.0) == (None, None)
    monkeypatch.undo()
    assert read_hands(draw_pose(person(4, 80, OPEN), SIDE, SIDE), body, 13.0) == (None, None)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), blots=st.integers(1, 30))
def test_any_blue_and_colourful_mess_gives_hands_or_none(seed: int, blots: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = person(seed, 80, rng.uniform(0, 1.5))
    picture = draw_pose(drawn, SIDE, SIDE)
    colours = np.array([(0, 0, 255), (255, 0, 0), (178, 0, 255), (0, 77, 255), (0, 0, 0)])
    for x, y, width, height in rng.integers(0, 60, (blots, 4)):
        left, top = drawn.xy[R_WRIST].astype(int) + np.array([x - 30, y - 30])
        area = picture[
            max(top, 0) : max(top + height // 3, 0), max(left, 0) : max(left + width // 3, 0)
        ]
        area[:] = rng.choice(colours)
    for pose in DrawnSkeletons().detect(picture):
        for hand in (pose.left_hand, pose.right_hand):
            assert hand is None or (hand[:, 2] > 0).sum() >= 12
