"""Steps 3 and 4: bone lengths and the driver's scale."""

from __future__ import annotations

import pytest
from helpers.people import BONES, PLAIN, SIDE, bone_length, clip, codes, moving, person, without

from poseanimate.poses.pata import FindingCode, align
from poseanimate.poses.skeleton import Pose


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
