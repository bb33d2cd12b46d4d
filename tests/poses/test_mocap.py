"""BVH files: what is read, where their joints are, and how a camera sees them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers.bvh import CONVENTIONS, bvh, channels_of, skeleton_text
from hypothesis import given, settings
from hypothesis import strategies as st

from poseanimate.errors import MotionError
from poseanimate.poses.bvh import MAX_BVH_JOINTS, MAX_DEPTH, MAX_NAME_CHARACTERS, read_recording
from poseanimate.poses.keypoints import MAX_FRAMES
from poseanimate.poses.mocap import ESTIMATED, read_bvh
from poseanimate.poses.motion import Motion
from poseanimate.poses.skeleton import (
    L_ANKLE,
    L_EAR,
    L_ELBOW,
    L_EYE,
    L_HIP,
    L_KNEE,
    L_SHOULDER,
    L_WRIST,
    NECK,
    NOSE,
    R_EAR,
    R_EYE,
    R_HIP,
    R_WRIST,
)  # fmt: skip


def scale_of(motion: Motion) -> float:
    """Pixels per centimetre, by the first frame's hips, where the camera faces them."""
    pose = motion.poses[0].xy
    return float(np.linalg.norm(pose[L_HIP] - pose[R_HIP])) / 20


def from_hips(motion: Motion, frame: int, joint: int) -> list[float]:
    """Where a joint is from the middle of the hips, in centimetres to the right and down."""
    xy = motion.poses[frame].xy
    middle = (xy[L_HIP] + xy[R_HIP]) / 2
    return [round(float(each), 3) for each in (xy[joint] - middle) / scale_of(motion)]


def test_a_standing_person_faces_the_viewer() -> None:
    motion = read_bvh(bvh(skeleton_text(), {}), "stand")
    assert from_hips(motion, 0, L_HIP) == [10, 0]  # its left is at the viewer's right
    assert from_hips(motion, 0, L_ANKLE) == [10, 80]
    assert from_hips(motion, 0, NECK) == [0, -50]
    assert from_hips(motion, 0, L_WRIST) == [75, -50]
    assert from_hips(motion, 0, R_WRIST) == [-75, -50]
    assert (motion.poses[0].visible()).all() and motion.fps == 30
    seen = motion.poses[0].confidence
    assert {seen[joint] for joint in (NOSE, L_EYE, R_EYE, L_EAR, R_EAR)} == {ESTIMATED}
    x, y = motion.poses[0].xy.T
    assert x[R_EAR] < x[R_EYE] < x[NOSE] < x[L_EYE] < x[L_EAR] and y[NOSE] < y[NECK]
    assert x.min() > 0 and x.max() < motion.width and y.min() > 0 and y.max() < motion.height


def test_joints_are_turned_about_their_parents() -> None:
    frame = {"LeftArm Zrotation": 90, "LeftForeArm Zrotation": -90, "LeftUpLeg Xrotation": -90}
    motion = read_bvh(bvh(skeleton_text(), {}, frame), "turn")
    assert from_hips(motion, 1, L_SHOULDER) == [20, -50]
    assert from_hips(motion, 1, L_ELBOW) == [20, -80]  # up, as z comes out of the picture
    assert from_hips(motion, 1, L_WRIST) == [45, -80]
    assert from_hips(motion, 1, L_KNEE) == [10, 0]  # towards the viewer
    assert from_hips(motion, 1, L_ANKLE) == [10, 0]


@pytest.mark.parametrize(
    ("order", "expected"),
    [  # of an arm to the left (x), turned by 90 degrees about z and by 90 about y
        ("Zrotation Yrotation Xrotation", [20, -50]),  # y first: to the back, where z leaves it
        ("Yrotation Zrotation Xrotation", [20, -80]),  # z first: up, where y leaves it
    ],
)
def test_rotations_are_in_the_order_of_the_channels(order: str, expected: list[float]) -> None:
    frame = {"LeftArm Zrotation": 90, "LeftArm Yrotation": 90}
    motion = read_bvh(bvh(skeleton_text(order=order), {}, frame), "order")
    assert from_hips(motion, 1, L_ELBOW) == expected


def test_the_root_moves_over_the_canvas() -> None:
    frames = [{"Hips Xposition": 3 * index, "Hips Yposition": index} for index in range(5)]
    motion = read_bvh(bvh(skeleton_text(), *frames), "walk")
    hips = np.array([pose.xy[[L_HIP, R_HIP]].mean(axis=0) for pose in motion.poses])
    moved = (hips - hips[0]) / scale_of(motion)
    assert np.allclose(moved, [[3 * index, -index] for index in range(5)])


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_joints_are_known_by_the_names_of_every_convention(convention: str) -> None:
    collars = convention in ("CMU", "Rokoko", "Xsens")
    motion = read_bvh(bvh(skeleton_text(CONVENTIONS[convention], collars=collars), {}), convention)
    expected = read_bvh(bvh(skeleton_text(), {}), "expected")
    assert np.allclose(motion.poses[0].body, expected.poses[0].body)


def test_a_skeleton_whose_z_is_up_stands_as_well() -> None:
    lying = read_bvh(bvh(skeleton_text(z_up=True), {}), "z")
    assert np.allclose(lying.poses[0].body, read_bvh(bvh(skeleton_text(), {}), "y").poses[0].body)


def centred(motion: Motion, frame: int) -> np.ndarray:
    xy = motion.poses[frame].xy
    return xy - xy[[L_HIP, R_HIP]].mean(axis=0)


BODY_JOINTS = slice(1, 14)
ANGLES = st.floats(-180, 180)


@given(turn=ANGLES, pitch=st.floats(-80, 80), arm=ANGLES, knee=st.floats(0, 120))
@settings(max_examples=60, deadline=None)
def test_a_figure_turned_is_a_camera_turned_the_other_way(
    turn: float, pitch: float, arm: float, knee: float
) -> None:
    pose = {"LeftArm Zrotation": arm, "RightLeg Xrotation": knee}
    text = skeleton_text(order="Yrotation Xrotation Zrotation")
    figure = read_bvh(bvh(text, {}, pose | {"Hips Yrotation": turn}), "figure", pitch=pitch)
    camera = read_bvh(bvh(text, {}, pose), "camera", yaw=-turn, pitch=pitch)
    one, other = centred(figure, 1), centred(camera, 1)
    assert np.allclose(one[BODY_JOINTS], other[BODY_JOINTS], atol=1e-6)


@given(turn=ANGLES, x=st.floats(-500, 500), z=st.floats(-500, 500))
@settings(max_examples=40, deadline=None)
def test_wherever_the_figure_begins_it_faces_the_viewer(turn: float, x: float, z: float) -> None:
    text = skeleton_text(order="Yrotation Xrotation Zrotation")
    place = {"Hips Yrotation": turn, "Hips Xposition": x, "Hips Zposition": z}
    moved = read_bvh(bvh(text, place), "moved")
    assert np.allclose(moved.poses[0].body, read_bvh(bvh(text, {}), "as it was").poses[0].body)


def test_who_turns_away_shows_no_face() -> None:
    away = read_bvh(bvh(skeleton_text(), {}, {"Hips Yrotation": 180}), "away").poses[1].visible()
    assert not away[[NOSE, L_EYE, R_EYE]].any() and away[[L_EAR, R_EAR]].all()
    aside = read_bvh(bvh(skeleton_text(), {}, {"Head Yrotation": 80}), "aside").poses[1].visible()
    # it looks to its left: the right of its face is seen
    assert aside[[NOSE, R_EYE, R_EAR]].all() and not aside[[L_EYE, L_EAR]].any()


@pytest.mark.parametrize(
    ("fps", "count", "expected_fps", "expected_count"),
    [
        (30, 4, 30, 4),
        (24, 4, 24, 4),
        (60, 6, 30, 3),
        (120, 8, 30, 2),
        (100, 8, 25, 2),
        (50, 5, 25, 3),
    ],
)
def test_fast_recordings_are_thinned(
    fps: float, count: int, expected_fps: float, expected_count: int
) -> None:
    frames = [{"Hips Xposition": index} for index in range(count)]
    motion = read_bvh(bvh(skeleton_text(), *frames, frame_s=round(1 / fps, 7)), "fast")
    assert math.isclose(motion.fps, expected_fps, rel_tol=1e-4)
    assert len(motion.poses) == expected_count


def recorded(count: int, frame_s: float) -> str:
    """A file of this many frames, whose root's first number is the frame's index."""
    rest = " ".join(["0"] * (len(channels_of(skeleton_text())) - 1))
    rows = "\n".join(f"{index} {rest}" for index in range(count))
    return f"{skeleton_text()}MOTION\nFrames: {count}\nFrame Time: {frame_s}\n{rows}"


def test_a_part_of_a_long_recording() -> None:
    recording = read_recording(recorded(100, 0.1), 2.0, 3.0)
    assert recording.values[:, 0].tolist() == list(range(20, 30)) and recording.fps == 10
    long = recorded(MAX_FRAMES + 1, 0.1)
    with pytest.raises(MotionError, match="too long: 200 s, at most 200 are read"):
        read_recording(long)
    assert len(read_recording(long, 100.0).values) == MAX_FRAMES - 999
    with pytest.raises(MotionError, match="is empty"):
        read_recording(long, 300.0)


def test_longer_than_frames_allow_but_fast_is_thinned_more() -> None:
    recording = read_recording(recorded(MAX_FRAMES + 1, 0.04))
    assert recording.fps == 12.5 and len(recording.values) == MAX_FRAMES // 2 + 1


def changed(old: str, new: str) -> str:
    text = bvh(skeleton_text(), {}, {})
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("HIERARCHY", "no MOTION"),
        (changed("Frames: 2", "Frames: 3"), "promises 3 frames and holds 2"),
        (changed("Frames: 2", "Frames: -2"), "how many frames"),
        (changed("Frame Time: 0.0333", "Frame Time: 0.0000333"), "a frame lasts"),
        (changed("Frame Time: 0.0333", "Frame Time: nan"), "numbers|finite"),
        (changed("0.0 0.0", "0.0"), "numbers instead of"),
        (changed("0.0 0.0", "0.0 nan"), "not finite"),
        (changed("0.0 0.0", "0.0 1e30"), "too large"),
        (changed("0.0 0.0", "0.0 x"), "are no numbers"),
        (changed("Zrotation", "Wrotation"), "channels .* are unknown"),
        (changed("CHANNELS 6", "CHANNELS 5"), "channels .* are unknown"),
        (changed("ROOT Hips\n{", "ROOT Hips\n"), "outside|braces"),
        (changed("}\nMOTION", "MOTION"), "braces"),
        (changed("}\nMOTION", "}\n}\nMOTION"), "braces|outside"),
        (changed("OFFSET 0 0 0", "SCALE 0 0 0"), "unknown in a skeleton"),
        (changed("OFFSET 0 0 0", "OFFSET"), "numbers instead of 3"),
        (changed("CHANNELS 3 Zrotation Yrotation Xrotation", "CHANNELS"), "channels .* are unknown"),
        (bvh(skeleton_text(lambda side, part: f"{side}-wing-{part}x"), {}), "not known as a person's: Hips"),
        (bvh(skeleton_text().replace("OFFSET", "OFFSET 0 0 0\nSKIP"), {}), "unknown in a skeleton"),
        ("HIERARCHY\n" + "ROOT a {\n" * (MAX_DEPTH + 2) + "MOTION", "in a row"),
        ("HIERARCHY\n" + "ROOT a {\n}\n" * (MAX_BVH_JOINTS + 2) + "MOTION", "more than 1000 joints"),
        ("HIERARCHY\n" + " " * 1_000_001 + "\nMOTION", "megabyte"),
    ],
)  # fmt: skip
def test_what_is_damaged_gets_a_sentence(text: str, said: str) -> None:
    with pytest.raises(MotionError, match=said) as refused:
        read_bvh(text, "damaged")
    assert refused.value.remedy


def test_names_of_joints_are_told_without_their_control_characters() -> None:
    text = bvh(skeleton_text(lambda side, part: f"{side}\x8a骨{part}"), {})
    with pytest.raises(MotionError, match="骨") as refused:
        read_bvh(text, "odd")
    assert refused.value.message.isprintable()


def test_a_joints_name_is_cut() -> None:
    """One of a megabyte would take a minute to understand."""
    text = bvh(skeleton_text().replace("Hips", "bip_" * 5000), {})
    assert max(len(joint.name) for joint in read_recording(text).joints) == MAX_NAME_CHARACTERS


def test_a_skeleton_of_one_point_is_refused() -> None:
    text = "\n".join(
        "OFFSET 0 0 0" if line.startswith("OFFSET") else line
        for line in skeleton_text().splitlines()
    )
    with pytest.raises(MotionError, match="no width or no height"):
        read_bvh(bvh(text + "\n", {}), "point")


@given(
    place=st.floats(0, 0.999),
    damage=st.text(max_size=20) | st.sampled_from(["{", "}", "1e7", "-1e7 ", "\n", "MOTION\n"]),
    cut=st.integers(0, 40),
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_damage_is_never_anything_but_a_motion_error(place: float, damage: str, cut: int) -> None:
    text = bvh(skeleton_text(), {}, {"Hips Yrotation": 30, "LeftArm Zrotation": 50})
    at = int(place * len(text))
    try:
        motion = read_bvh(text[:at] + damage + text[at + cut :], "damaged")
    except MotionError as error:
        assert error.remedy
    else:
        assert all(np.isfinite(pose.body).all() for pose in motion.poses)


WORDS = [*"{}", "HIERARCHY", "ROOT Hips", "JOINT LeftArm", "JOINT RightArm", "JOINT LeftUpLeg", "JOINT RightUpLeg",
         "End Site", "OFFSET 1 2 3", "CHANNELS 3 Xrotation Yrotation Zrotation", "CHANNELS 1 Xposition",
         "MOTION", "Frames: 1", "Frame Time: 0.1", "1", "0 0 0"]  # fmt: skip


@given(words=st.lists(st.sampled_from(WORDS), max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_lines_of_bvh_are_read_or_refused(words: list[str]) -> None:
    try:
        motion = read_bvh("\n".join(["HIERARCHY", *words]), "any")
    except MotionError as error:
        assert error.remedy
    else:
        assert len(motion.poses) == 1
