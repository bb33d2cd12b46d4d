"""Step 10: findings."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.people import SIDE, SITTING, clip, codes, moving, person, travelling, without

from poseanimate.poses.faults import Faults
from poseanimate.poses.pata import FindingCode, Severity, align, findings
from poseanimate.poses.skeleton import MIRRORED, Pose


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


def test_every_finding_is_a_sentence_with_a_remedy() -> None:
    every = [
        findings.nobody_in_picture(),
        findings.nobody_in_motion(),
        findings.several_people(3),
        findings.read_with_care(["The file names no canvas."]),
        findings.neck_missing("motion"),
        findings.torso_uncertain(),
        findings.gaps_in_motion(3, 10),
        findings.facing_flipped(in_profile=False),
        findings.facing_flipped(in_profile=True),
        findings.scale_out_of_range(2.5),
        findings.leaves_canvas(0.35, pinned=False),
        findings.sitting_against_standing("picture", "motion"),
        *findings.motion_faults(
            Faults(swapped=(1,), wild=((2, 4),), cut=3, turn=90, first=2), clip([person()] * 4)
        ),
        *findings.clip_length(16, 4, 16, 240),
        *findings.clip_length(24, 4, 16, 240),
    ]
    assert {v.code for v in every} == set(FindingCode)
    for finding in every:
        assert finding.message.endswith(".")
        if (
            finding.code is FindingCode.READ_WITH_CARE
        ):  # the notes say what to do, where there is something
            assert str(finding) == finding.message and not finding.remedy
            continue
        assert finding.remedy.startswith(
            ("Choose", "Cut", "Mirror", "Pin", "Repair", "Rotate", "Start", "For", "With")
        )
        assert str(finding) == f"{finding.message} {finding.remedy}"


def test_a_clip_of_another_length_than_the_motion_is_remarked_on() -> None:
    (part,) = findings.clip_length(asked=16, transition=4, poses=16, at_most=240)
    assert part.code is FindingCode.SHOWN_IN_PART and part.severity is Severity.NOTE
    assert part.message == "Shows 11 of 16 poses." and "21 frames" in part.remedy
    (short,) = findings.clip_length(asked=24, transition=4, poses=16, at_most=240)
    assert short.code is FindingCode.SHORTER_THAN_ASKED and "21 frames, not 24" in short.message
    assert findings.clip_length(asked=21, transition=4, poses=16, at_most=240) == ()
    assert findings.clip_length(asked=24, transition=4, poses=16, at_most=240, loop=True) == ()
    assert findings.clip_length(asked=16, transition=4, poses=16, at_most=240, loop=True) == (part,)
    (long,) = findings.clip_length(asked=16, transition=4, poses=300, at_most=240)
    assert "305" not in long.remedy and "240 frames at most" in long.remedy
    (none,) = findings.clip_length(asked=4, transition=4, poses=16, at_most=240)
    assert none.message == "Shows none of 16 poses."


def test_a_motion_of_several_people_is_remarked_on() -> None:
    alone = clip([person()] * 3)
    (finding,) = align(person(), replace(alone, people=3), SIDE, SIDE).findings
    assert finding.code is FindingCode.SEVERAL_PEOPLE and "3 people" in finding.message
    assert finding.severity is Severity.WARNING
