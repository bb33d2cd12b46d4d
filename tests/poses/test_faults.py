"""Faults of a motion: put into preset motions, then found and corrected."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseanimate.poses.faults import Faults, find_faults, repair
from poseanimate.poses.motion import Motion, load_preset, preset_names
from poseanimate.poses.pata.findings import FindingCode, motion_faults
from poseanimate.poses.skeleton import JOINTS, MIRRORED, R_WRIST, Pose

PRESETS = preset_names()


def changed(motion: Motion, frames: range, body: object) -> Motion:
    """The motion with other joints in some frames; body: (18, 3) -> (18, 3)."""
    poses = list(motion.poses)
    for frame in frames:
        poses[frame] = Pose(body(poses[frame].body.copy()))  # type: ignore[operator]
    return replace(motion, poses=tuple(poses))


def swap(body: np.ndarray) -> np.ndarray:
    return body[list(MIRRORED)]


def throw_wrist(body: np.ndarray) -> np.ndarray:
    body[R_WRIST, :2] += (200.0, -300.0)
    return body


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_without_faults(name: str) -> None:
    motion = load_preset(name)
    assert find_faults(motion) == Faults()
    assert repair(motion) is motion


@pytest.mark.parametrize("degrees", [10, 20, 30, 40])
def test_a_person_who_turns_round_is_no_fault(degrees: int) -> None:
    pose = load_preset("wave").poses[0]
    middle = pose.xy[1, 0]

    def turned(frame: int) -> Pose:
        body = pose.body.copy()
        body[:, 0] = middle + (body[:, 0] - middle) * np.cos(np.radians(degrees * (frame + 0.5)))
        return Pose(body)

    motion = Motion(tuple(map(turned, range(24))), 512, 512, 12.0, "turns")
    assert find_faults(motion).swapped == ()


@settings(max_examples=25)
@given(st.sampled_from(["walk", "wave", "squat", "jumping-jacks"]), st.data())
def test_swapped_sides_are_found_and_swapped_back(name: str, data: st.DataObject) -> None:
    motion = load_preset(name)
    first = data.draw(st.integers(1, len(motion.poses) - 3))
    last = data.draw(st.integers(first, min(first + 3, len(motion.poses) - 2)))
    faulty = changed(motion, range(first, last + 1), swap)
    assert find_faults(faulty).swapped == tuple(range(first, last + 1))
    for mended, whole in zip(repair(faulty).poses, motion.poses, strict=True):
        np.testing.assert_array_equal(mended.body, whole.body)


@settings(max_examples=25)
@given(st.sampled_from(PRESETS), st.data())
def test_a_joint_that_jumps_away_for_a_frame_is_dropped(name: str, data: st.DataObject) -> None:
    motion = load_preset(name)
    frame = data.draw(st.integers(1, len(motion.poses) - 2))
    faulty = changed(motion, range(frame, frame + 1), throw_wrist)
    assert (frame, R_WRIST) in find_faults(faulty).wild
    mended = repair(faulty)
    assert mended.poses[frame].confidence[R_WRIST] == 0
    assert mended.poses[frame - 1] is motion.poses[frame - 1]


@settings(max_examples=25)
@given(st.integers(2, 8))
def test_a_cut_is_found(frame: int) -> None:
    motion = load_preset("wave")
    far = np.array([400.0, 0.0, 0.0])
    cut = changed(motion, range(frame, len(motion.poses)), lambda body: body + far)
    assert find_faults(cut).cut == frame


@settings(max_examples=25)
@given(st.sampled_from(PRESETS), st.sampled_from([0, 90, 180, 270]))
def test_a_turned_camera_is_found_and_rotation_undoes_it(name: str, degrees: int) -> None:
    motion = load_preset(name)
    lying = motion.rotated(-degrees)
    assert find_faults(lying).turn == degrees
    upright = lying.rotated(find_faults(lying).turn)
    assert (upright.width, upright.height) == (motion.width, motion.height)
    for a, b in zip(upright.poses, motion.poses, strict=True):
        np.testing.assert_allclose(a.body, b.body, atol=1e-9)


def test_who_is_seen_late_is_said_with_the_second() -> None:
    motion = replace(load_preset("wave"), start_s=2.0)
    empty = (Pose.absent(),) * round(1.5 * motion.fps)
    late = replace(motion, poses=(*empty, *motion.poses))
    faults = find_faults(late)
    assert faults.first == len(empty)
    (finding,) = motion_faults(faults, late)
    assert finding.code is FindingCode.SEEN_LATE and finding.fix == {"start_s": 3.5}


def test_findings_name_what_is_wrong_and_what_corrects_it() -> None:
    motion = load_preset("walk")
    faults = Faults(swapped=(3, 4), wild=((7, R_WRIST),), cut=6, turn=90)
    turned, cut, tracking = motion_faults(faults, motion)
    assert turned.fix == {"rotate": 90} and "lies" in turned.message
    assert cut.fix == {"start_s": round(6 / motion.fps, 2)}
    assert tracking.fix == {"repair": True}
    assert "swapped in 2 frames and right wrist jumps away in 1 frame" in tracking.message


@settings(max_examples=25)
@given(st.integers(1, 6), st.data())
def test_any_motion_has_an_answer(frames: int, data: st.DataObject) -> None:
    numbers = st.floats(-600, 600)
    joint = st.tuples(numbers, numbers, st.sampled_from([0.0, 0.2, 1.0]))
    bodies = st.lists(joint, min_size=JOINTS, max_size=JOINTS)
    poses = tuple(Pose(np.array(data.draw(bodies))) for _ in range(frames))
    motion = Motion(poses, 512, 512, 12.0, "any")
    assert len(repair(motion).poses) == frames
    motion_faults(find_faults(motion), motion)
