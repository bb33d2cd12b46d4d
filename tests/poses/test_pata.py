"""Pose alignment: its specification as properties, item by item."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseanimate.errors import PictureError, SettingsError
from poseanimate.poses import overlay
from poseanimate.poses.motion import Motion
from poseanimate.poses.pata import (
    Alignment,
    FindingCode,
    PataSettings,
    Severity,
    align,
    findings,
)
from poseanimate.poses.pata.one_euro import one_euro
from poseanimate.poses.pata.track import fit_driver, read_track
from poseanimate.poses.pata.transition import ease, longest_path_px
from poseanimate.poses.skeleton import JOINT_NAMES, MIRRORED, PARENTS, ROOT_FIRST, Pose

SIDE = 600
PLAIN = PataSettings(smooth=False)
quick = settings(max_examples=40, deadline=None)

# Bones of a person of about 320 px: length in px and angle in degrees (x to the right, y down).
BONES = {
    0: (50, -90), 2: (40, 175), 3: (55, 100), 4: (50, 95), 5: (40, 5), 6: (55, 80), 7: (50, 85),
    8: (105, 105), 9: (75, 92), 10: (75, 92), 11: (105, 75), 12: (75, 88), 13: (75, 88),
    14: (14, -140), 15: (14, -40), 16: (14, 160), 17: (14, 20),
}  # fmt: skip


def person(
    neck: tuple[float, float] = (300, 160),
    scale: float = 1.0,
    lengths: Mapping[int, float] | None = None,
    turns: Mapping[int, float] | None = None,
    **parts: np.ndarray,
) -> Pose:
    """The person with some bones' lengths multiplied and some turned (degrees)."""
    body = np.ones((18, 3))
    body[1, :2] = neck
    for joint in ROOT_FIRST[1:]:
        length = BONES[joint][0] * scale * (lengths or {}).get(joint, 1.0)
        angle = math.radians(BONES[joint][1] + (turns or {}).get(joint, 0.0))
        bone = (length * math.cos(angle), length * math.sin(angle))
        body[joint, :2] = body[PARENTS[joint], :2] + bone
    return Pose(body, **parts)


def clip(poses: list[Pose], side: int = SIDE, fps: float = 12.0) -> Motion:
    return Motion(tuple(poses), side, side, fps, "test")


def random_pose(rng: np.random.Generator, scale: float = 1.0) -> Pose:
    return person(
        neck=tuple(rng.uniform(260, 340, 2) - (0, 120)),
        scale=scale,
        lengths={j: rng.uniform(0.85, 1.15) for j in BONES},
        turns={j: rng.uniform(-25, 25) for j in BONES},
    )


def random_clip(seed: int, frames: int = 5) -> Motion:
    rng = np.random.default_rng(seed)
    return clip([random_pose(rng, 0.9) for _ in range(frames)])


def without(pose: Pose, *joints: int) -> Pose:
    body = pose.body.copy()
    body[list(joints)] = 0
    return replace(pose, body=body)


def moving(alignment: Alignment) -> tuple[Pose, ...]:
    return alignment.poses[1 + alignment.transition :]


def bone_length(pose: Pose, joint: int) -> float:
    return float(np.linalg.norm(pose.xy[joint] - pose.xy[PARENTS[joint]]))


def codes(alignment: Alignment) -> set[FindingCode]:
    return {finding.code for finding in alignment.findings}


def assert_same(a: Alignment, b: Alignment, tolerance_px: float = 1e-6) -> None:
    assert (len(a.poses), a.transition) == (len(b.poses), b.transition)
    for left, right in zip(a.poses, b.poses, strict=True):
        np.testing.assert_allclose(left.body, right.body, rtol=0, atol=tolerance_px)


options = st.builds(
    PataSettings,
    anchor=st.sampled_from(["anchored", "pinned"]),
    retarget_limbs=st.booleans(),
    smooth=st.booleans(),
    transition_frames=st.sampled_from([None, 0, 1, 5, 12]),
)
seeds = st.integers(0, 10_000)


# The listed properties


@quick
@given(seeds, options, st.floats(-40, 40), st.floats(-40, 40))
def test_shifting_the_driver_changes_nothing(
    seed: int, chosen: PataSettings, dx: float, dy: float
) -> None:
    source, motion = random_pose(np.random.default_rng(seed + 1)), random_clip(seed)
    shifted = replace(motion, poses=tuple(p.shifted(dx, dy) for p in motion.poses))
    assert_same(
        align(source, motion, SIDE, SIDE, chosen), align(source, shifted, SIDE, SIDE, chosen)
    )


@quick
@given(seeds, options, st.integers(60, 140), st.booleans())
def test_scaling_the_driver_uniformly_changes_nothing(
    seed: int, chosen: PataSettings, percent: int, with_canvas: bool
) -> None:
    source, motion = random_pose(np.random.default_rng(seed + 1)), random_clip(seed)
    factor = percent / 100
    side = SIDE * percent // 100 if with_canvas else SIDE
    # Scaled about a corner of the lower half, the person stays inside the canvas.
    scaled = [p.shifted(-300, -250).scaled(factor, factor) for p in motion.poses]
    away = (300 * side / SIDE, 250 * side / SIDE)
    other = clip([p.shifted(*away) for p in scaled], side)
    assert_same(align(source, motion, SIDE, SIDE, chosen), align(source, other, SIDE, SIDE, chosen))


@quick
@given(seeds, options)
def test_the_first_pose_is_the_source_bit_for_bit(seed: int, chosen: PataSettings) -> None:
    rng = np.random.default_rng(seed)
    source = random_pose(rng)
    noisy = source.body.copy()
    noisy[:, 2] = rng.uniform(0, 1, 18)
    source = Pose(noisy, face=rng.uniform(0, 1, (70, 3)))
    alignment = align(source, random_clip(seed), SIDE, SIDE, chosen)
    assert alignment.poses[0].equals(Pose(noisy, face=source.face))
    assert alignment.errors or len(alignment.poses) == 6 + alignment.transition


@quick
@given(seeds, options)
def test_bone_lengths_are_the_drivers_times_one_ratio_per_bone(
    seed: int, chosen: PataSettings
) -> None:
    source, motion = random_pose(np.random.default_rng(seed + 1)), random_clip(seed)
    alignment = align(source, motion, SIDE, SIDE, chosen)
    ratios = np.zeros(18)
    for joint in BONES:
        quotients = [
            bone_length(out, joint) / bone_length(q, joint)
            for out, q in zip(moving(alignment), motion.poses, strict=True)
        ]
        np.testing.assert_allclose(quotients, quotients[0], rtol=1e-9)
        ratios[joint] = quotients[0] / alignment.scale
    np.testing.assert_allclose(ratios, ratios[list(MIRRORED)], rtol=1e-9)
    bones = ratios[list(BONES)]
    if chosen.retarget_limbs:
        assert bones.min() >= 0.6 - 1e-9
        assert bones.max() <= 1.6 + 1e-9
    else:
        np.testing.assert_allclose(bones, 1.0, rtol=1e-9)


masks = st.lists(st.lists(st.booleans(), min_size=18, max_size=18), min_size=1, max_size=6)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.booleans(), min_size=18, max_size=18), masks, options, seeds)
def test_any_joints_may_be_missing(
    in_source: list[bool], in_motion: list[list[bool]], chosen: PataSettings, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    source = without(random_pose(rng), *np.flatnonzero(np.invert(in_source)))
    poses = [without(random_pose(rng), *np.flatnonzero(np.invert(m))) for m in in_motion]
    alignment = align(source, clip(poses), SIDE, SIDE, chosen)
    # A pose can't hold anything that is not finite, so being here is the larger part.
    assert alignment.poses[0].equals(source)
    assert bool(alignment.errors) == (len(alignment.poses) == 1)
    for out, pose in zip(moving(alignment), poses, strict=False):
        assert np.isfinite(out.body).all()
        assert (np.abs(out.xy) < 10 * SIDE).all()
        # Nothing is invented but a neck between the shoulders and what short gaps hide.
        if len(poses) == 1:
            assert not (out.visible() & ~pose.visible())[[0, *range(2, 18)]].any()


rough_points = st.lists(
    st.tuples(
        st.sampled_from([-70, -50, 0, 299, 300, 640, 1000]),
        st.sampled_from([-1000, 0, 150, 151, 599]),
        st.sampled_from([0.0, 0.3, 0.4, 0.5, 1.0]),
    ),
    min_size=18,
    max_size=18,
).map(lambda points: Pose(np.array(points, dtype=float)))


@settings(max_examples=150, deadline=None)
@given(rough_points, st.lists(rough_points, min_size=1, max_size=6), options)
def test_any_joints_may_fall_together_or_far_away(
    source: Pose, poses: list[Pose], chosen: PataSettings
) -> None:
    alignment = align(source, clip(poses), SIDE, SIDE, chosen)
    assert bool(alignment.errors) == (len(alignment.poses) == 1)
    assert all(np.isfinite(pose.body).all() for pose in alignment.poses)


@quick
@given(seeds, st.integers(0, 12), masks)
def test_the_transitions_largest_step(seed: int, frames: int, missing: list[list[bool]]) -> None:
    rng = np.random.default_rng(seed)
    lost = [np.flatnonzero(np.invert(m))[2:6] for m in (missing[0], missing[-1])]
    source = without(person(turns={j: rng.uniform(-170, 170) for j in BONES}), *lost[0])
    target = without(person(turns={j: rng.uniform(-170, 170) for j in BONES}), *lost[1])
    chosen = replace(PLAIN, transition_frames=frames)
    alignment = align(source, clip([target]), SIDE, SIDE, chosen)
    if alignment.errors:
        return
    assert alignment.transition == frames
    start = read_track((source,), SIDE, SIDE)
    end = read_track((alignment.poses[-1],), 1e6, 1e6)
    bound = 1.9 * longest_path_px(start, end) / (frames + 1)
    track = np.stack([start.xy[0], *[p.xy for p in alignment.poses[1:]]])
    there = np.stack([start.seen[0], *[p.confidence > 0 for p in alignment.poses[1:]]])
    steps = np.linalg.norm(np.diff(track, axis=0), axis=2)
    assert steps[there[1:] & there[:-1]].max(initial=0.0) <= bound + 1e-9


def test_the_way_bound_is_the_distance_of_a_shift_and_the_arc_of_a_swing() -> None:
    a = read_track((person(),), SIDE, SIDE)
    shifted = read_track((person(neck=(330, 200)),), SIDE, SIDE)
    assert longest_path_px(a, shifted) == pytest.approx(50)
    swung = read_track((person(turns={4: -90}),), SIDE, SIDE)
    assert longest_path_px(a, swung) == pytest.approx(50 * math.pi / 2)


# 1, 2: pixels and what counts


def test_the_canvases_are_fitted_by_one_factor_for_both_axes() -> None:
    motion = Motion((person(),), 600, 1200, 12, "tall")
    track = fit_driver(motion, 300, 300)
    np.testing.assert_allclose(track.xy[0], person().xy / 4)


def test_only_confident_joints_near_the_canvas_count() -> None:
    body = person().body.copy()
    body[4, 2], body[7, 2] = 0.29, 0.30
    body[10, :2], body[13, :2] = (300, SIDE * 1.11), (300, SIDE * 1.09)
    seen = read_track((Pose(body),), SIDE, SIDE).seen[0]
    assert [bool(seen[j]) for j in (4, 7, 10, 13)] == [False, True, False, True]


def test_joints_after_a_missing_one_are_dropped() -> None:
    track = read_track((without(person(), 3, 0, 8),), SIDE, SIDE)
    assert np.flatnonzero(~track.seen[0]).tolist() == [0, 3, 4, 8, 9, 10, 14, 15, 16, 17]
    assert not track.xy[0, 4].any()


def test_a_missing_neck_is_put_between_the_shoulders() -> None:
    track = read_track((without(person(), 1),), SIDE, SIDE)
    assert track.seen.all()
    np.testing.assert_allclose(track.xy[0, 1], person().xy[[2, 5]].mean(axis=0))


@pytest.mark.parametrize(("gap", "filled"), [(1, True), (3, True), (4, False)])
def test_short_gaps_are_interpolated(gap: int, filled: bool) -> None:
    whole = [person(neck=(200 + 10 * i, 160)) for i in range(gap + 4)]
    holed = [without(p, 3) if 2 <= i < 2 + gap else p for i, p in enumerate(whole)]
    track = read_track(tuple(holed), SIDE, SIDE)
    assert track.seen[2 : 2 + gap, [3, 4]].all() == filled
    assert track.seen[2 : 2 + gap, [3, 4]].any() == filled
    if filled:
        np.testing.assert_allclose(track.xy, [p.xy for p in whole])


def test_gaps_at_the_ends_stay() -> None:
    poses = (without(person(), 4), person(), without(person(), 4))
    assert read_track(poses, SIDE, SIDE).seen[:, 4].tolist() == [False, True, False]


# 3, 4: lengths and scale


def test_the_drivers_bones_are_measured_where_they_are_not_foreshortened() -> None:
    # The arm points at the camera in most frames; the first frame would make it far too short.
    poses = [person(lengths={3: 0.3, 6: 0.3})] * 8 + [person()] * 4
    alignment = align(person(), clip(poses), SIDE, SIDE, PLAIN)
    assert bone_length(moving(alignment)[-1], 3) == pytest.approx(55)
    assert bone_length(moving(alignment)[0], 3) == pytest.approx(0.3 * 55)


@pytest.mark.parametrize("lost", [(), (8,), (8, 11), (2, 5, 8, 11), (14, 2, 5)])
@pytest.mark.parametrize("scale", [0.5, 0.8, 1.4])
def test_the_scale_is_found_from_whatever_is_seen(lost: tuple[int, ...], scale: float) -> None:
    driver = without(person(scale=scale), *lost)
    alignment = align(person(), clip([driver]), SIDE, SIDE, PLAIN)
    assert alignment.scale == pytest.approx(1 / scale)
    assert (FindingCode.TORSO_MISSING in codes(alignment)) == bool(set(lost) & {2, 5, 8, 11})


def test_uncertain_joints_do_not_calibrate() -> None:
    body = person(scale=0.5).body.copy()
    body[:, 2] = 0.49
    sure = person(scale=0.8)
    alignment = align(person(), clip([Pose(body), sure]), SIDE, SIDE, PLAIN)
    assert alignment.scale == pytest.approx(1 / 0.8)


def test_a_bent_torso_gets_the_scale_of_its_bones() -> None:
    lying = person(turns={j: 90 for j in BONES}, scale=0.8)
    assert align(person(), clip([lying]), SIDE, SIDE, PLAIN).scale == pytest.approx(1 / 0.8)


def test_the_scale_is_clipped_and_said() -> None:
    alignment = align(person(), clip([person(scale=0.2)]), SIDE, SIDE, PLAIN)
    assert alignment.scale == 3.0
    [finding] = [v for v in alignment.findings if v.code is FindingCode.SCALE_OUT_OF_RANGE]
    assert "5 times" in finding.message


# 5: root


def travelling(frames: int = 6, **kwargs: Any) -> list[Pose]:
    return [
        person(neck=(250 + 12 * i, 170 - 6 * (i % 2)), scale=0.8, **kwargs) for i in range(frames)
    ]


@pytest.mark.parametrize("smooth", [True, False])
def test_hips_and_ground_land_on_the_source_and_travel_is_scaled(smooth: bool) -> None:
    source = person(neck=(280, 140), lengths={9: 0.9, 12: 0.9})
    chosen = PataSettings(smooth=smooth)
    out = moving(align(source, clip(travelling()), SIDE, SIDE, chosen))
    assert out[0].xy[[8, 11], 0].mean() == pytest.approx(source.xy[[8, 11], 0].mean())
    assert out[0].xy[[10, 13], 1].max() == pytest.approx(source.xy[[10, 13], 1].max())
    if not smooth:
        scale = align(source, clip(travelling()), SIDE, SIDE, chosen).scale
        assert out[5].xy[8, 0] - out[0].xy[8, 0] == pytest.approx(scale * 60)


def test_feet_stay_on_the_ground_whatever_the_legs_lengths() -> None:
    # A squat: the driver's ankles stay where they are while its neck goes down.
    squat = []
    for bend in (0, 20, 40, 20, 0):
        turns = {9: bend, 12: -bend, 10: -bend, 13: bend}
        pose = person(turns=turns)
        squat.append(pose.shifted(0, 500 - pose.xy[10, 1]))
    short_legs = person(lengths=dict.fromkeys((9, 10, 12, 13), 0.7))
    out = moving(align(short_legs, clip(squat), SIDE, SIDE, PLAIN))
    grounds = [pose.xy[[10, 13], 1].max() for pose in out]
    np.testing.assert_allclose(grounds, short_legs.xy[[10, 13], 1].max())
    assert out[2].xy[1, 1] > out[0].xy[1, 1] + 10


@pytest.mark.parametrize("lost", [(10,), (8, 11)])
def test_without_feet_the_neck_lands_on_the_source(lost: tuple[int, ...]) -> None:
    source = without(person(neck=(280, 140)), *lost)
    alignment = align(source, clip(travelling()), SIDE, SIDE, PLAIN)
    out = moving(alignment)
    np.testing.assert_allclose(out[0].xy[1], (280, 140))
    np.testing.assert_allclose(
        out[5].xy[1] - out[0].xy[1], alignment.scale * np.array([60.0, -6.0])
    )


def test_feet_that_vanish_land_once_and_leave_travel_to_the_neck() -> None:
    poses = travelling(12)
    poses = [poses[0], *[without(p, 10, 13) for p in poses[1:]]]
    source = person(neck=(280, 140))
    alignment = align(source, clip(poses), SIDE, SIDE, PLAIN)
    out = moving(alignment)
    assert out[0].xy[[10, 13], 1].max() == pytest.approx(source.xy[[10, 13], 1].max())
    np.testing.assert_allclose(
        out[11].xy[1] - out[0].xy[1], alignment.scale * np.array([132.0, -6.0])
    )


@pytest.mark.parametrize("lost", [(), (10, 13)])
def test_pinned_stays_on_the_spot(lost: tuple[int, ...]) -> None:
    source = without(person(), *lost)
    chosen = replace(PLAIN, anchor="pinned")
    out = moving(align(source, clip(travelling()), SIDE, SIDE, chosen))
    for pose in out:
        np.testing.assert_allclose(pose.xy[1], out[0].xy[1])


# 6: limbs


def test_the_characters_own_limbs_are_given_to_the_driver() -> None:
    source = person(lengths=dict.fromkeys((3, 4, 6, 7), 1.3))
    driver = person(scale=0.8, turns={3: 40, 6: -60})
    out = moving(align(source, clip([driver]), SIDE, SIDE, PLAIN))[0]
    np.testing.assert_allclose(
        out.xy, person(lengths=dict.fromkeys((3, 4, 6, 7), 1.3), turns={3: 40, 6: -60}).xy
    )
    kept = moving(align(source, clip([driver]), SIDE, SIDE, replace(PLAIN, retarget_limbs=False)))[
        0
    ]
    np.testing.assert_allclose(kept.xy, person(turns={3: 40, 6: -60}).xy)


def test_sides_are_averaged_and_ratios_clipped() -> None:
    source = person(lengths={3: 1.2, 6: 1.4, 4: 3.0, 7: 3.0, 9: 0.3, 12: 0.3})
    out = moving(align(source, clip([person()]), SIDE, SIDE, PLAIN))[0]
    lengths = [bone_length(out, j) / BONES[j][0] for j in (3, 6, 4, 7, 9, 12)]
    np.testing.assert_allclose(lengths, [1.3, 1.3, 1.6, 1.6, 0.6, 0.6])


def test_a_foreshortened_source_bone_takes_its_mirrors_length() -> None:
    out = moving(align(person(lengths={3: 0.4}), clip([person()]), SIDE, SIDE, PLAIN))[0]
    assert bone_length(out, 3) == pytest.approx(55)
    seen_as_it_is = align(person(lengths={3: 0.6}), clip([person()]), SIDE, SIDE, PLAIN)
    assert bone_length(moving(seen_as_it_is)[0], 3) == pytest.approx(0.8 * 55)


def test_bones_that_the_source_hides_keep_the_drivers_length() -> None:
    source = without(person(lengths={4: 1.5, 7: 1.5}), 4, 7)
    out = moving(align(source, clip([person(scale=0.8)]), SIDE, SIDE, PLAIN))[0]
    assert bone_length(out, 4) == pytest.approx(50)


def hand_at(pose: Pose, wrist: int) -> np.ndarray:
    return np.column_stack([pose.xy[wrist] + np.arange(42).reshape(21, 2), np.full(21, 0.8)])


def test_hands_and_face_hang_on_wrist_and_nose() -> None:
    driver = person(scale=0.8, turns={3: 30})
    face = np.column_stack([driver.xy[0] + np.arange(140).reshape(70, 2) / 7, np.full(70, 0.9)])
    driver = replace(driver, right_hand=hand_at(driver, 4), left_hand=hand_at(driver, 7), face=face)
    source = person(lengths={4: 1.2, 7: 1.2, 0: 2.0})
    alignment = align(source, clip([without(driver, 7)]), SIDE, SIDE, PLAIN)
    out = moving(alignment)[0]
    assert out.right_hand is not None
    assert out.face is not None
    offsets = out.right_hand[:, :2] - out.xy[4]
    np.testing.assert_allclose(offsets, np.arange(42).reshape(21, 2) * 1.2 / 0.8)
    # The neck is 2.0 times as long, limbs clip at 1.6, parts at 1.5.
    face_offsets = out.face[:, :2] - out.xy[0]
    np.testing.assert_allclose(face_offsets, np.arange(140).reshape(70, 2) / 7 * 1.5 / 0.8)
    np.testing.assert_array_equal(out.face[:, 2], 0.9)
    assert out.left_hand is None


# 7: smoothing


def elbow_angles(poses: list[Pose], chosen: PataSettings) -> np.ndarray:
    out = moving(align(person(), clip(poses), SIDE, SIDE, chosen))
    bones = np.stack([pose.xy[3] - pose.xy[2] for pose in out])
    return np.degrees(np.unwrap(np.arctan2(bones[:, 1], bones[:, 0])))


def test_smoothing_takes_jitter_from_still_limbs() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 2, (48, 18, 2))
    poses = [Pose(np.column_stack([person().xy + n, np.ones(18)])) for n in noise]
    raw, smoothed = elbow_angles(poses, PLAIN), elbow_angles(poses, PataSettings())
    assert np.abs(np.diff(smoothed)).mean() < 0.5 * np.abs(np.diff(raw)).mean()
    assert smoothed.mean() == pytest.approx(raw.mean(), abs=0.5)


def test_smoothing_leaves_movement() -> None:
    swing = 40 * np.sin(2 * np.pi * 0.75 * np.arange(48) / 12)
    poses = [person(turns={3: a, 6: -a}) for a in swing]
    difference = elbow_angles(poses, PataSettings()) - elbow_angles(poses, PLAIN)
    assert np.abs(difference).max() < 5


def test_smoothing_goes_round_full_turns() -> None:
    poses = [person(turns={3: 20.0 * i}) for i in range(36)]
    difference = elbow_angles(poses, PataSettings()) - elbow_angles(poses, PLAIN)
    assert np.abs(difference[4:-4]).max() < 5


@quick
@given(seeds, options, st.sampled_from([0.25, 0.5, 2.0]))
def test_the_resolution_makes_no_difference(seed: int, chosen: PataSettings, factor: float) -> None:
    source, motion = random_pose(np.random.default_rng(seed + 1)), random_clip(seed)
    side = int(SIDE * factor)
    small = align(source.scaled(factor, factor), motion, side, side, chosen)
    large = align(source, motion, SIDE, SIDE, chosen)
    enlarged = tuple(pose.scaled(1 / factor, 1 / factor) for pose in small.poses)
    assert_same(replace(small, poses=enlarged), large)


def test_the_filter_leaves_still_and_unseen_values_alone() -> None:
    values = np.full((10, 2, 1), 3.0)
    seen = np.ones((10, 2), bool)
    values[4:6, 1], seen[4:6, 1] = 99.0, False
    np.testing.assert_allclose(one_euro(values, seen, 12.0, 1.0, 1.0), values)


def test_the_filter_does_not_lag() -> None:
    ramp = np.arange(60.0)[:, None, None]
    smoothed = one_euro(ramp, np.ones((60, 1), bool), 12.0, 1.0, 0.0)
    np.testing.assert_allclose(smoothed[25:35], ramp[25:35], atol=0.05)


# 8: transition


def test_the_ease_starts_and_ends_at_rest() -> None:
    u = np.linspace(0, 1, 1001)
    values = np.array([ease(v) for v in u])
    assert (values[0], ease(0.5), values[-1]) == (0.0, 0.5, 1.0)
    slopes = np.diff(values) / np.diff(u)
    assert slopes.min() >= 0
    assert slopes.max() <= 1.875
    assert slopes[[0, -1]].max() < 1e-4


def test_limbs_turn_by_the_shorter_arc_and_keep_their_length() -> None:
    source, target = person(turns={3: 60}), person(turns={3: 200})
    alignment = align(source, clip([target]), SIDE, SIDE, replace(PLAIN, transition_frames=7))
    middle = alignment.poses[4]
    assert bone_length(middle, 3) == pytest.approx(55)
    bone = middle.xy[3] - middle.xy[2]
    assert math.degrees(math.atan2(bone[1], bone[0])) == pytest.approx(100 + 130 - 360)
    across = align(
        person(turns={3: 60}),
        clip([person(turns={3: -110})]),
        SIDE,
        SIDE,
        replace(PLAIN, transition_frames=7),
    )
    bone = across.poses[4].xy[3] - across.poses[4].xy[2]
    assert math.degrees(math.atan2(bone[1], bone[0])) == pytest.approx(100 - 25)


def test_joints_of_one_side_only_fade() -> None:
    source, target = without(person(), 4), without(person(), 13)
    out = align(source, clip([target]), SIDE, SIDE, replace(PLAIN, transition_frames=3)).poses
    coming = [pose.confidence[4] for pose in out]
    going = [pose.confidence[13] for pose in out]
    np.testing.assert_allclose(coming, [0, ease(0.25), 0.5, ease(0.75), 1])
    np.testing.assert_allclose(going, coming[::-1])
    np.testing.assert_allclose(out[2].xy[4], person().xy[4])


def test_hands_of_one_side_only_fade_with_their_wrist() -> None:
    source = person()
    source = replace(source, right_hand=hand_at(source, 4))
    target = person(turns={3: 90})
    out = align(source, clip([target]), SIDE, SIDE, replace(PLAIN, transition_frames=3)).poses[2]
    assert out.right_hand is not None
    np.testing.assert_allclose(out.right_hand[:, 2], 0.4)
    np.testing.assert_allclose(out.right_hand[:, :2] - out.xy[4], np.arange(42).reshape(21, 2))
    assert out.left_hand is None


def test_the_automatic_transition_follows_the_motions_speed() -> None:
    source = person(turns={3: 90, 6: -90})

    def frames(step: float, count: int = 12) -> int:
        poses = [person(turns={3: step * i}) for i in range(count)]
        return align(source, clip(poses), SIDE, SIDE, PLAIN).transition

    assert frames(0) == 8
    assert frames(1) == 8
    assert frames(60) == 2
    assert 2 < frames(25) < 8
    assert frames(25, count=1) == 8
    still = align(person(), clip([person()] * 3), SIDE, SIDE, PataSettings())
    assert still.transition == 8
    same_start = [person(turns={3: 10.0 * i}) for i in range(12)]
    assert align(person(), clip(same_start), SIDE, SIDE, PLAIN).transition == 2


# 9: findings


def test_a_good_match_has_no_findings() -> None:
    assert align(person(), clip(travelling()), SIDE, SIDE).findings == ()


NOBODY = Pose.absent()
FAINT = Pose(person().body * (1, 1, 0.2))


@pytest.mark.parametrize(
    ("source", "poses", "expected"),
    [
        (NOBODY, [person()], {FindingCode.NOBODY_IN_PICTURE}),
        (FAINT, [person()], {FindingCode.NOBODY_IN_PICTURE}),
        (person(), [NOBODY, NOBODY], {FindingCode.NOBODY_IN_MOTION}),
        (NOBODY, [FAINT], {FindingCode.NOBODY_IN_PICTURE, FindingCode.NOBODY_IN_MOTION}),
        (without(person(), 1, 2), [person()], {FindingCode.TORSO_MISSING}),
        (person(), [without(person(), 1, 5)], {FindingCode.TORSO_MISSING}),
    ],
)
def test_what_can_not_be_aligned_is_an_error(
    source: Pose, poses: list[Pose], expected: set[FindingCode]
) -> None:
    alignment = align(source, clip(poses), SIDE, SIDE)
    assert codes(alignment) == expected
    assert len(alignment.errors) == len(alignment.findings)
    assert alignment.poses == (source,)


def mirrored(pose: Pose) -> Pose:
    """Seen from behind: left and right change places, the picture stays."""
    return Pose(pose.body[list(MIRRORED)])


def profile(side: int) -> Pose:
    """Somebody seen from the side: shoulders and hips narrow, the nose ahead."""
    body = person().body.copy()
    body[:, 0] = 300 + (body[:, 0] - 300) * 0.1
    body[0, 0] = 300 + side * 25
    return Pose(body)


SITTING = person(lengths={9: 0.3, 12: 0.3})


@pytest.mark.parametrize(
    ("source", "poses", "code"),
    [
        (person(), [mirrored(person())], FindingCode.FACING_FLIPPED),
        (profile(1), [profile(-1)], FindingCode.FACING_FLIPPED),
        (person(), [person(scale=0.45)], FindingCode.SCALE_OUT_OF_RANGE),
        (person(scale=0.45), [person()], FindingCode.SCALE_OUT_OF_RANGE),
        (
            person(neck=(60, 160)),
            [person().shifted(-10 * i, 0) for i in range(10)],
            FindingCode.LEAVES_CANVAS,
        ),
        (SITTING, [person()], FindingCode.SITTING_AGAINST_STANDING),
        (person(), [SITTING], FindingCode.SITTING_AGAINST_STANDING),
        (person(), [person(), *[NOBODY] * 5, person()], FindingCode.GAPS_IN_MOTION),
        (without(person(), 8), [person()], FindingCode.TORSO_MISSING),
    ],
)
def test_what_is_likely_to_disappoint_is_a_warning(
    source: Pose, poses: list[Pose], code: FindingCode
) -> None:
    alignment = align(source, clip(poses), SIDE, SIDE)
    assert code in codes(alignment)
    assert not alignment.errors
    assert len(moving(alignment)) == len(poses)


@pytest.mark.parametrize("pose", [profile(1), mirrored(person()), SITTING, person()])
def test_like_and_like_get_no_finding(pose: Pose) -> None:
    assert align(pose, clip([pose] * 3), SIDE, SIDE).findings == ()


def test_the_fix_of_a_flipped_profile_is_the_mirrored_motion() -> None:
    motion = clip([profile(-1)] * 3)
    (flipped,) = align(profile(1), motion, SIDE, SIDE).findings
    assert flipped.code is FindingCode.FACING_FLIPPED and flipped.fix == {"mirror": True}
    assert align(profile(1), motion.mirrored(), SIDE, SIDE).findings == ()
    (from_behind,) = align(person(), clip([mirrored(person())] * 3), SIDE, SIDE).findings
    assert from_behind.fix == {}


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


@pytest.mark.parametrize("anchor", ["anchored", "pinned"])
def test_the_motion_is_sized_and_moved_by_hand(anchor: str) -> None:
    source, motion = person(), clip([person(), SITTING, person().shifted(9, 3)])
    how = PataSettings(anchor=anchor, transition_frames=0, smooth=False)  # type: ignore[arg-type]
    plain = align(source, motion, SIDE, SIDE, how)
    by_hand = align(source, motion, SIDE, SIDE, replace(how, scale=1.5, shift=(0.1, -0.2)))
    hips, ankles = source.xy[[8, 11]].mean(axis=0), source.xy[[10, 13]].max(axis=0)
    stands = np.array([hips[0], ankles[1]])
    assert by_hand.poses[0].equals(source)
    for one, other in zip(plain.poses[1:], by_hand.poses[1:], strict=True):
        expected = stands + 1.5 * (one.xy - stands) + np.array([0.1, -0.2]) * SIDE
        assert np.allclose(other.xy[one.visible()], expected[one.visible()])
    assert by_hand.scale == pytest.approx(1.5 * plain.scale)


def test_every_finding_is_a_sentence_with_a_remedy() -> None:
    every = [
        findings.nobody_in_picture(),
        findings.nobody_in_motion(),
        findings.several_people(3),
        findings.neck_missing("motion"),
        findings.torso_uncertain(),
        findings.gaps_in_motion(3, 10),
        findings.facing_flipped(in_profile=False),
        findings.facing_flipped(in_profile=True),
        findings.scale_out_of_range(2.5),
        findings.leaves_canvas(0.35, pinned=False),
        findings.sitting_against_standing("picture", "motion"),
        *findings.clip_length(16, 4, 16, 240),
        *findings.clip_length(24, 4, 16, 240),
    ]
    assert {v.code for v in every} == set(FindingCode)
    for finding in every:
        assert finding.message.endswith(".")
        assert finding.remedy.startswith(("Choose", "Cut", "Mirror", "Pin", "Where", "With"))
        assert str(finding) == f"{finding.message} {finding.remedy}"


def test_a_clip_of_another_length_than_the_motion_is_remarked_on() -> None:
    (part,) = findings.clip_length(asked=16, transition=4, poses=16, at_most=240)
    assert part.code is FindingCode.SHOWN_IN_PART and part.severity is Severity.NOTE
    assert "first 11 of the motion's 16" in part.message and "21 frames" in part.remedy
    (short,) = findings.clip_length(asked=24, transition=4, poses=16, at_most=240)
    assert short.code is FindingCode.SHORTER_THAN_ASKED and "21 frames, not 24" in short.message
    assert findings.clip_length(asked=21, transition=4, poses=16, at_most=240) == ()
    assert findings.clip_length(asked=24, transition=4, poses=16, at_most=240, loop=True) == ()
    assert findings.clip_length(asked=16, transition=4, poses=16, at_most=240, loop=True) == (part,)
    (long,) = findings.clip_length(asked=16, transition=4, poses=300, at_most=240)
    assert "305" not in long.remedy and "240 frames at most" in long.remedy
    (none,) = findings.clip_length(asked=4, transition=4, poses=16, at_most=240)
    assert "shows none of the motion's 16" in none.message


def test_a_motion_of_several_people_is_remarked_on() -> None:
    alone = clip([person()] * 3)
    (finding,) = align(person(), replace(alone, people=3), SIDE, SIDE).findings
    assert finding.code is FindingCode.SEVERAL_PEOPLE and "3 people" in finding.message
    assert finding.severity is Severity.WARNING


# Settings and previews


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("anchor", "floating"),
        ("transition_frames", 13),
        ("transition_frames", -1),
        ("scale", 0.05),
        ("scale", float("nan")),
        ("shift", (0.0, 2.5)),
        ("shift", (float("nan"), 0.0)),
    ],
)
def test_settings_outside_their_range_are_refused(name: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=name):
        PataSettings(**{name: value})


def test_previews_are_large_enough_to_see() -> None:
    picture = np.full((100, 150, 3), 200, np.uint8)
    alignment = align(person().scaled(1 / 6, 1 / 6), clip(travelling()), 100, 100)
    frames = overlay.frames(picture, alignment)
    assert len(frames) == len(alignment.poses)
    assert {frame.shape for frame in frames} == {(300, 450, 3)}
    np.testing.assert_array_equal(frames[0], overlay.overlay(picture, alignment.poses[0]))
    assert overlay.overlay(picture, Pose.absent()).max() <= 121
    assert frames[0].max() > 200
    # The right shoulder's dot is orange, at three times its place in the picture.
    x, y = (alignment.poses[0].xy[2] * 3).astype(int)
    r, g, b = frames[0][y, x].astype(int)
    assert r > 180
    assert r > g > b + 50
    large = np.zeros((300, 256, 3), np.uint8)
    assert overlay.overlay(large, Pose.absent()).shape == large.shape


def test_the_strip_holds_every_pose() -> None:
    picture = np.full((64, 64, 3), 200, np.uint8)
    alignment = align(person().scaled(0.1, 0.1), clip(travelling(5)), 64, 64)
    count = len(alignment.poses)
    sheet = overlay.strip(picture, alignment, columns=4)
    assert sheet.shape == (math.ceil(count / 4) * 260 - 4, 4 * 260 - 4, 3)
    np.testing.assert_array_equal(sheet[:256, 260:516], overlay.frames(picture, alignment)[1])
    many = replace(alignment, poses=alignment.poses[:1] * 150)
    assert max(overlay.strip(picture, many, columns=1).shape) <= 8192


@pytest.mark.parametrize("shape", [(64, 64), (64, 64, 4), (0, 64, 3)])
def test_previews_refuse_what_is_no_picture(shape: tuple[int, ...]) -> None:
    with pytest.raises(PictureError):
        overlay.overlay(np.zeros(shape, np.uint8), Pose.absent())
