"""Steps 6 and 8: where the motion stands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.people import PLAIN, SIDE, SITTING, clip, moving, person, travelling, without

from poseanimate.poses.pata import PataSettings, align


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
