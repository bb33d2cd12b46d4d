"""Findings about an alignment, before any expensive work (PATA, step 10).

Codes with a severity, a message and a remedy, and the two functions that find them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from poseanimate.poses.faults import Faults
from poseanimate.poses.measures import MIN_TORSO_PX, neck_to_hips
from poseanimate.poses.motion import Motion
from poseanimate.poses.pata.track import Track
from poseanimate.poses.skeleton import (
    JOINT_NAMES,
    L_HIP,
    L_KNEE,
    L_SHOULDER,
    NECK,
    NOSE,
    R_HIP,
    R_KNEE,
    R_SHOULDER,
)

SCALE_EXPECTED = (0.5, 2.0)
"""A scale outside this range gets a finding."""
MAX_SHARE_OUTSIDE = 0.2
"""A larger share of the joints outside the canvas gets a finding."""

# In torso lengths: how wide the shoulders must be to tell front from back, how far the nose must
# stick out to tell left from right, how far knees are below the hips when sitting and standing.
_FACING_WIDTH = 0.2
_LOOKING_WIDTH = 0.15
_SITTING_BELOW = 0.35
_STANDING_ABOVE = 0.65


class Severity(Enum):
    """How serious a finding is."""

    ERROR = "error"
    """There is nothing to animate; a run must not start."""
    WARNING = "warning"
    """The clip can be made but is likely to disappoint."""
    NOTE = "note"
    """Nothing is wrong, but it is good to know beforehand."""


class FindingCode(Enum):
    """What was found. The values are stable and may be stored and compared."""

    NOBODY_IN_PICTURE = "nobody_in_picture"
    NOBODY_IN_MOTION = "nobody_in_motion"
    SEVERAL_PEOPLE = "several_people"
    TORSO_MISSING = "torso_missing"
    GAPS_IN_MOTION = "gaps_in_motion"
    FACING_FLIPPED = "facing_flipped"
    SCALE_OUT_OF_RANGE = "scale_out_of_range"
    LEAVES_CANVAS = "leaves_canvas"
    SITTING_AGAINST_STANDING = "sitting_against_standing"
    SHOWN_IN_PART = "shown_in_part"
    SHORTER_THAN_ASKED = "shorter_than_asked"
    READ_WITH_CARE = "read_with_care"
    TRACKING_FAULTS = "tracking_faults"
    CUT_IN_MOTION = "cut_in_motion"
    MOTION_TURNED = "motion_turned"
    SEEN_LATE = "seen_late"


@dataclass(frozen=True)
class Finding:
    """One finding: what is wrong (`message`) and what to do about it (`remedy`; a note may have none).

    fix: settings that do this, or choices of how the motion is read, if any.
    """

    code: FindingCode
    severity: Severity
    message: str
    remedy: str
    fix: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".rstrip()


def nobody_in_picture() -> Finding:
    """No joint of the source pose counts."""
    return Finding(
        FindingCode.NOBODY_IN_PICTURE,
        Severity.ERROR,
        "Nobody was found in the picture.",
        "Choose a picture that shows one person clearly, best from head to feet.",
    )


def nobody_in_motion() -> Finding:
    """No joint of any of the motion's poses counts."""
    return Finding(
        FindingCode.NOBODY_IN_MOTION,
        Severity.ERROR,
        "Nobody was found in the whole motion.",
        "Choose a video that shows one person clearly, or one of the preset motions.",
    )


def nobody_in_clip(frames: int) -> Finding:
    """No joint counts in the part of the motion that fits into the clip."""
    return Finding(
        FindingCode.NOBODY_IN_MOTION,
        Severity.ERROR,
        f"Nobody is seen in the {frames} frames of the motion that the clip would show.",
        "Start the motion later, or ask for more frames.",
    )


def several_people(count: int) -> Finding:
    """The motion shows more than one person. (`find_character` reports several people in a picture.)"""
    return Finding(
        FindingCode.SEVERAL_PEOPLE,
        Severity.WARNING,
        f"Up to {count} people are seen in the motion; who is largest at first is followed.",
        "Cut or crop the motion to the right person.",
    )


def read_with_care(notes: Sequence[str]) -> Finding:
    """Something was left out or assumed when the motion was read; notes: sentences that say what."""
    return Finding(
        FindingCode.READ_WITH_CARE,
        Severity.NOTE,
        f"About the motion's file: {' '.join(notes)}",
        "",
    )


def neck_missing(where: str) -> Finding:
    """Neither a neck nor both shoulders count in the picture or in the whole motion."""
    return Finding(
        FindingCode.TORSO_MISSING,
        Severity.ERROR,
        f"The {where} shows neither a neck nor both shoulders, so nothing can be placed.",
        f"Choose a {where} in which the upper body is seen.",
    )


def torso_uncertain() -> Finding:
    """The scale was estimated from bones other than shoulders and hips."""
    return Finding(
        FindingCode.TORSO_MISSING,
        Severity.WARNING,
        "We can't see both shoulders and hips, so the size is a guess.",
        "Choose a picture and a motion that show the person at least down to the hips.",
    )


def gaps_in_motion(empty: int, frames: int) -> Finding:
    """Some of the motion's frames show nobody."""
    return Finding(
        FindingCode.GAPS_IN_MOTION,
        Severity.WARNING,
        f"Nobody is seen in {empty} of the motion's {frames} frames that the clip shows.",
        "Cut the motion to the passage in which the person is seen.",
    )


def facing_flipped(in_profile: bool) -> Finding:
    """Picture and motion show the person from opposite sides; in_profile: left and right."""
    return Finding(
        FindingCode.FACING_FLIPPED,
        Severity.WARNING,
        "The person in the picture and the one in the motion face opposite ways.",
        "Mirror the motion, or choose one seen from the same side."
        if in_profile
        else "Choose a picture and a motion seen from the same side.",
        {"mirror": True} if in_profile else {},
    )


def scale_out_of_range(scale: float) -> Finding:
    """The driver must be scaled a lot to fit the character."""
    return Finding(
        FindingCode.SCALE_OUT_OF_RANGE,
        Severity.WARNING,
        f"The person in the motion must be made {scale:.2g} times as large to fit the picture.",
        "Choose or crop the two so that both people fill about the same part of the frame.",
    )


def leaves_canvas(share: float, pinned: bool) -> Finding:
    """Too many joints of the aligned motion lie outside the picture."""
    return Finding(
        FindingCode.LEAVES_CANVAS,
        Severity.WARNING,
        f"{share:.0%} of the moving joints leave the picture.",
        "Pin the person to the spot, choose a calmer motion, or leave more room around the person.",
        {} if pinned else {"anchor": "pinned"},
    )


def sitting_against_standing(sitter: str, stander: str) -> Finding:
    """Of picture and motion, one shows a sitting person and the other a standing one."""
    return Finding(
        FindingCode.SITTING_AGAINST_STANDING,
        Severity.WARNING,
        f"The person in the {sitter} sits while the one in the {stander} stands.",
        f"Choose a {sitter} of somebody standing, or a {stander} of somebody sitting.",
    )


def clip_length(
    asked: int, transition: int, poses: int, at_most: int, loop: bool = False
) -> tuple[Finding, ...]:
    """Whether a clip of the requested length shows the whole motion and is as long as requested.

    Args:
        asked: frames of the clip, including the source.
        transition: frames before the motion.
        poses: number of poses in the whole motion.
        at_most: maximum frames of a clip.
        loop: whether the motion repeats until the clip is full.
    """
    whole = 1 + transition + poses
    if asked == whole or (loop and asked > whole):
        return ()
    if asked < whole:
        shown = max(asked - 1 - transition, 0)
        remedy = (
            f"With {whole} frames it shows all of them."
            if whole <= at_most
            else f"A clip has {at_most} frames at most: choose a part of the motion, or fewer frames a second."
        )
        message = f"Shows {shown or 'none'} of {poses} poses."
        fix = {"frames": whole} if whole <= at_most else {}
        return (Finding(FindingCode.SHOWN_IN_PART, Severity.NOTE, message, remedy, fix),)
    return (
        Finding(
            FindingCode.SHORTER_THAN_ASKED,
            Severity.NOTE,
            f"The motion gives {whole} frames, not {asked}.",
            "For a longer clip, turn on loop, or choose a longer motion.",
            {"loop": True},
        ),
    )


def motion_faults(faults: Faults, motion: Motion) -> tuple[Finding, ...]:
    """What a detector or a camera left wrong in a motion, each with what corrects it.

    The fixes are choices of how the motion is read: `repair`, `start_s` and `rotate`.
    """

    def at(frame: int) -> float:
        return round(motion.start_s + frame / motion.fps, 2)

    found = []
    if faults.first:
        found.append(
            Finding(
                FindingCode.SEEN_LATE,
                Severity.WARNING,
                f"Nobody is seen in the first {faults.first / motion.fps:.1f} s of the motion.",
                f"Start it at {at(faults.first):g} s.",
                {"start_s": at(faults.first)},
            )
        )
    if faults.turn:
        found.append(
            Finding(
                FindingCode.MOTION_TURNED,
                Severity.WARNING,
                "The person in the motion is upside down."
                if faults.turn == 180
                else "The person in the motion lies on the side.",
                "Rotate the motion if that is the camera's doing.",
                {"rotate": (motion.rotate + faults.turn) % 360},
            )
        )
    if faults.cut is not None:
        found.append(
            Finding(
                FindingCode.CUT_IN_MOTION,
                Severity.WARNING,
                f"The motion is cut at {at(faults.cut):g} s: the person jumps.",
                "Start it there, or end it there.",
                {"start_s": at(faults.cut)},
            )
        )
    faulty, repaired = [], []
    if faults.swapped:
        faulty.append(f"left and right are swapped in {_frames(len(faults.swapped))}")
        repaired.append("sides are swapped back")
    if faults.wild:
        name = JOINT_NAMES[faults.wild[0][1]] if len(faults.wild) == 1 else "a joint"
        faulty.append(f"{name} jumps away in {_frames(len({frame for frame, _ in faults.wild}))}")
        repaired.append("it is filled in from the frames around")
    if faulty:
        found.append(
            Finding(
                FindingCode.TRACKING_FAULTS,
                Severity.WARNING,
                f"In the motion {' and '.join(faulty)}.",
                f"Repair the motion: {', and '.join(repaired)}.",
                {"repair": True},
            )
        )
    return tuple(found)


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


def find_errors(character: Track, driver: Track) -> tuple[Finding, ...]:
    """What makes an alignment impossible: nobody, or nothing to place."""
    errors = []
    for track, nobody, where in (
        (character, nobody_in_picture, "picture"),
        (driver, nobody_in_motion, "motion"),
    ):
        if not track.seen.any():
            errors.append(neck_missing(where) if track.has_confident_joints() else nobody())
    return tuple(errors)


def find_warnings(
    character: Track,
    compared: Track,
    aligned: Track,
    scale: float,
    certain: bool,
    canvas: tuple[int, int],
    pinned: bool,
) -> tuple[Finding, ...]:
    """What is likely to disappoint.

    Args:
        character: p_s as a track of one frame.
        compared: the driver's frame that p_s was compared with.
        aligned: the kept part of the result, in pixels of the canvas.
        scale: the driver's scale before clipping.
        certain: whether shoulders and hips were measured.
        canvas: width and height.
        pinned: whether the motion already stays on the spot.
    """
    if not aligned.seen.any():
        return (nobody_in_clip(len(aligned.seen)),)
    found = []
    if not certain:
        found.append(torso_uncertain())
    empty = int((~aligned.seen.any(axis=1)).sum())
    if empty:
        found.append(gaps_in_motion(empty, len(aligned.seen)))
    if (in_profile := _faces_away(character, compared)) is not None:
        found.append(facing_flipped(in_profile))
    low, high = SCALE_EXPECTED
    if not low <= scale <= high:
        found.append(scale_out_of_range(scale))
    joints_xy = aligned.xy[aligned.seen]
    outside = float(((joints_xy < 0) | (joints_xy >= canvas)).any(axis=1).mean())
    if outside > MAX_SHARE_OUTSIDE:
        found.append(leaves_canvas(outside, pinned))
    picture, motion = _posture(character), _posture(compared)
    if {picture, motion} == {"sitting", "standing"}:
        places = ("picture", "motion") if picture == "sitting" else ("motion", "picture")
        found.append(sitting_against_standing(*places))
    return tuple(found)


def _torso_px(track: Track) -> float | None:
    """Distance from neck to the middle of the hips in the first frame; None if unseen."""
    if not track.seen[0, [R_HIP, L_HIP]].all():
        return None
    length = neck_to_hips(track.xy[0], track.seen[0])
    return length if length is not None and length > MIN_TORSO_PX else None


def _faces_away(a: Track, b: Track) -> bool | None:
    """False for front against back, True for left against right if both are in profile; else None."""
    (front_a, look_a), (front_b, look_b) = _facing(a), _facing(b)
    if front_a * front_b < 0:
        return False
    return True if front_a == front_b == 0 and look_a * look_b < 0 else None


def _facing(track: Track) -> tuple[int, int]:
    """1 front, -1 back, 0 side or unknown; and 1 right, -1 left, 0 straight or unknown."""
    torso_px = _torso_px(track)
    if torso_px is None:
        return 0, 0
    x, seen = track.xy[0, :, 0] / torso_px, track.seen[0]
    width = x[L_SHOULDER] - x[R_SHOULDER] if seen[[L_SHOULDER, R_SHOULDER]].all() else 0.0
    nose = x[NOSE] - x[NECK] if seen[NOSE] else 0.0
    return (
        int(np.sign(width)) * int(abs(width) > _FACING_WIDTH),
        int(np.sign(nose)) * int(abs(nose) > _LOOKING_WIDTH),
    )


def _posture(track: Track) -> str | None:
    """'sitting', 'standing', or None if hips and knees don't tell."""
    torso_px = _torso_px(track)
    drops = [
        (track.xy[0, knee, 1] - track.xy[0, hip, 1]) / torso_px
        for hip, knee in ((R_HIP, R_KNEE), (L_HIP, L_KNEE))
        if torso_px is not None and track.seen[0, knee]
    ]
    if not drops:
        return None
    drop = float(np.mean(drops))
    if drop < _SITTING_BELOW:
        return "sitting"
    return "standing" if drop > _STANDING_ABOVE else None
