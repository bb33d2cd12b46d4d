"""Step 9: the transition from the picture's pose."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from helpers.people import (
    BONES,
    PLAIN,
    SIDE,
    bone_length,
    clip,
    hand_at,
    masks,
    person,
    quick,
    seeds,
    without,
)
from hypothesis import given
from hypothesis import strategies as st

from poseanimate.poses.pata import PataSettings, align
from poseanimate.poses.pata.track import read_track
from poseanimate.poses.pata.transition import ease, longest_path_px


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
