"""Step 5: the character's limbs at the driver's angles."""

from __future__ import annotations

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
    moving,
    options,
    person,
    quick,
    random_clip,
    random_pose,
    seeds,
    without,
)
from hypothesis import given

from poseanimate.poses.pata import PataSettings, align
from poseanimate.poses.skeleton import MIRRORED


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
