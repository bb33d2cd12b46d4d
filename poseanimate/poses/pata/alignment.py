"""Pose alignment: fits a driver's motion to the character of a picture (PATA, Sec. 3.1).

The paper gives no formulas; these are ours, in the order of `align`:
1. everything happens in isotropic pixels of the target canvas    `track.in_target_pixels`
2. which joints count, gaps, missing parents                      `track.read_track`
3. bone lengths that foreshortening can't shrink                  `track.bone_lengths`
4. the driver's scale from a similarity fit on the torso          `calibrate`
5. where the driver stands: anchored to the character or pinned   `place`
6. the character's limb lengths at the driver's angles            `limb_ratios`, `retarget`
7. smoothing of root and angles                                   `one_euro`, in 5 and 6
8. size and place by hand                                         `nudge`
9. a transition from the picture's pose into the motion           `transition.transition`
10. findings before any expensive work                             `findings.judge`
Letters: p_s the source pose, q_i the driver's poses, P = {p_0 … p_N} the result, p_0 = p_s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from poseanimate.poses.measures import box_diagonal
from poseanimate.poses.motion import Motion
from poseanimate.poses.pata.findings import (
    Finding,
    FindingCode,
    Severity,
    find_errors,
    judge,
    several_people,
)
from poseanimate.poses.pata.one_euro import one_euro
from poseanimate.poses.pata.track import (
    DEFAULT_SETTINGS,
    MIN_BONE_PX,
    MIRROR,
    PARENT,
    PataSettings,
    Track,
    bone_lengths,
    in_target_pixels,
    parts_of,
    read_track,
    to_pose,
    unforeshortened,
)
from poseanimate.poses.pata.transition import transition, transition_length
from poseanimate.poses.skeleton import (
    JOINTS,
    L_ANKLE,
    L_EAR,
    L_EYE,
    L_HIP,
    L_SHOULDER,
    NECK,
    NOSE,
    R_ANKLE,
    R_EAR,
    R_EYE,
    R_HIP,
    R_SHOULDER,
    ROOT_FIRST,
    BoolArray,
    FloatArray,
    Pose,
)

__all__ = ["Alignment", "Finding", "FindingCode", "PataSettings", "Severity", "align"]

_TORSO = (NECK, R_SHOULDER, L_SHOULDER, R_HIP, L_HIP)
_UPPER_TORSO = (NECK, R_SHOULDER, L_SHOULDER)
_HEAD = (NOSE, NECK, R_EYE, L_EYE, R_EAR, L_EAR)
_FIT_SETS: tuple[tuple[tuple[int, ...], int], ...] = ((_TORSO, 5), (_UPPER_TORSO, 3), (_HEAD, 3))
"""Joints to fit on, and how many of them must be seen; the first that can be used is."""

_GROUND_JOINTS = (R_HIP, L_HIP, R_ANKLE, L_ANKLE)
_MIN_AGREEMENT = 0.7
"""A fit whose two torsos correlate less is called degenerate: one of them is bent or turned."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """The target poses and what is to be said about them.

    poses: p_0 … p_N in pixels of the target canvas; p_0 is the source pose itself. With an error
        among the findings it is the only one.
    transition: how many poses after p_0 lead into the motion.
    fps: the motion's frame rate.
    findings: findings, errors first.
    scale: by how much the driver was scaled, after its canvas was fitted into the target's and by hand.
    """

    poses: tuple[Pose, ...]
    transition: int
    fps: float
    findings: tuple[Finding, ...]
    scale: float = 1.0

    def repeated(self, frames: int) -> Alignment:
        """With the motion again and again, without its transition, until there are so many poses.

        The same poses come back, so what was worked out for them once serves every time.
        """
        motion = self.poses[1 + self.transition :]
        missing = frames - len(self.poses)
        if missing <= 0 or not motion:
            return self
        again = motion * -(-missing // len(motion))
        return replace(self, poses=(*self.poses, *again[:missing]))

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that forbid going on; empty when the alignment can be used."""
        return tuple(v for v in self.findings if v.severity is Severity.ERROR)


@dataclass(frozen=True, eq=False)
class Calibration:
    """How the driver relates to the character.

    frame: the driver's frame that was compared with p_s; measured: the scale before, scale: after
    clipping; ratios: (18,) further factor for each bone; certain: shoulders and hips were fitted.
    """

    frame: int
    measured: float
    scale: float
    ratios: FloatArray
    certain: bool


def align(
    source: Pose,
    motion: Motion,
    width: int,
    height: int,
    settings: PataSettings = DEFAULT_SETTINGS,
    frames: int | None = None,
) -> Alignment:
    """Target poses P from the source pose p_s and a driver's motion (PATA, Sec. 3.1).

    Args:
        source: p_s, in pixels of the target canvas.
        motion: the driver, in pixels of its own canvas.
        width, height: the target canvas.
        settings: see `PataSettings`.
        frames: how many poses are kept, p_0 included; None for all. The motion is aligned as a whole
            all the same, so that a longer clip begins as the shorter one did; findings speak of the
            poses that are kept.

    What can't be aligned gets a finding instead of an exception.

    Raises:
        MotionError: the motion holds coordinates so far outside its canvas that they leave the
            range of a pose when scaled.
    """
    character = read_track((source,), width, height, settings)
    driver = in_target_pixels(motion, width, height, settings)
    errors = find_errors(character, driver, settings)
    if errors:
        return Alignment((source,), 0, motion.fps, errors)
    calibration = calibrate(character, driver, settings)
    limbs = retarget(driver, calibration, motion.fps, settings)
    aligned = place(limbs, character, driver, calibration, motion.fps, settings)
    aligned = nudge(aligned, character, (width, height), settings)
    leading = transition_length(character, aligned, settings)
    poses = (source, *transition(character, aligned, leading), *aligned.poses)[:frames]
    findings = judge(
        character,
        driver.at(calibration.frame),
        aligned.first(len(poses) - 1 - leading) if len(poses) > 1 + leading else aligned,
        calibration.measured,
        calibration.certain,
        (width, height),
        settings,
    )
    if motion.people > 1:
        findings = (several_people(motion.people), *findings)
    return Alignment(
        poses,
        min(leading, len(poses) - 1),
        motion.fps,
        findings,
        calibration.scale * settings.scale,
    )


# 4. Scale ----------------------------------------------------------------------------------------


def calibrate(character: Track, driver: Track, settings: PataSettings) -> Calibration:
    """The driver's scale by a similarity fit without rotation, and each bone's ratio."""
    source_px = bone_lengths(character, settings)
    driver_px = bone_lengths(driver, settings)
    frame, joints = _what_to_fit(character, driver, settings)
    measured = _fitted_scale(character, driver, frame, joints)
    low, high = settings.scale_clip
    # Three joints in a row fit anything: a fit that leads out of the clip is not believed either.
    if measured is None or not low <= measured <= high:
        measured = _median_ratio(unforeshortened(source_px, settings), driver_px)
    scale = float(np.clip(measured, low, high))
    ratios = limb_ratios(source_px, scale * driver_px, settings)
    return Calibration(frame, measured, scale, ratios, certain=joints == _TORSO)


def _what_to_fit(
    character: Track, driver: Track, settings: PataSettings
) -> tuple[int, tuple[int, ...]]:
    """The first driver's frame that shows the best set of torso joints, and those joints."""
    threshold = settings.calibration_confidence
    common = (
        (driver.confidence >= threshold)
        & (character.confidence >= threshold)
        & driver.seen
        & character.seen
    )
    for joints, needed in _FIT_SETS:
        usable = common[:, NECK] & (common[:, joints].sum(axis=1) >= needed)
        if usable.any():
            frame = int(np.argmax(usable))
            return frame, tuple(j for j in joints if common[frame, j])
    return int(np.argmax(driver.seen[:, NECK])), ()


def _fitted_scale(
    character: Track, driver: Track, frame: int, joints: tuple[int, ...]
) -> float | None:
    """Weighted least squares for source ≈ scale · driver + shift; None where degenerate."""
    if not joints:
        return None
    index = list(joints)
    weight = (character.confidence[0, index] * driver.confidence[frame, index])[:, None]
    weight = weight / weight.sum()
    a, b = driver.xy[frame, index], character.xy[0, index]
    a, b = a - (weight * a).sum(axis=0), b - (weight * b).sum(axis=0)
    spread_a, spread_b = float((weight * a * a).sum()), float((weight * b * b).sum())
    together = float((weight * a * b).sum())
    if min(spread_a, spread_b) < MIN_BONE_PX**2:
        return None
    if together < _MIN_AGREEMENT * math.sqrt(spread_a * spread_b):
        return None
    return together / spread_a


def _median_ratio(source_px: FloatArray, driver_px: FloatArray) -> float:
    known = (source_px > 0) & (driver_px > 0)
    return float(np.median(source_px[known] / driver_px[known])) if known.any() else 1.0


# 6. Limbs ----------------------------------------------------------------------------------------


def limb_ratios(
    source_px: FloatArray, scaled_driver_px: FloatArray, settings: PataSettings
) -> FloatArray:
    """(18,): character's over scaled driver's bone length, sides averaged, clipped; unknown: 1."""
    if not settings.retarget_limbs:
        return np.ones(JOINTS)
    source_px = unforeshortened(source_px, settings)
    known = (source_px > 0) & (scaled_driver_px > 0)
    ratio = np.where(known, source_px / np.where(known, scaled_driver_px, 1.0), 0.0)
    sides = known.astype(float) + known[MIRROR]
    averaged = (ratio + ratio[MIRROR]) / np.maximum(sides, 1.0)
    return np.where(sides > 0, np.clip(averaged, *settings.limb_ratio_clip), 1.0)


def retarget(
    driver: Track, calibration: Calibration, fps: float, settings: PataSettings
) -> FloatArray:
    """(frames, 18, 2) px from the neck: the driver's angles with the character's bone lengths.

    A bone that is foreshortened in a frame stays so: its length there is multiplied, not replaced.
    """
    length_px, angle_rad = driver.bones()
    if settings.smooth:
        unwrapped = np.unwrap(angle_rad, axis=0)[..., None]
        angle_rad = one_euro(
            unwrapped, driver.seen, fps, settings.smooth_cutoff_hz, settings.smooth_beta_angle
        )[..., 0]
    return _forward(length_px * calibration.scale * calibration.ratios, angle_rad)


def _forward(length_px: FloatArray, angle_rad: FloatArray) -> FloatArray:
    """Forward kinematics from a neck at (0, 0): (frames, 18) each -> (frames, 18, 2)."""
    bone = length_px[..., None] * np.stack([np.cos(angle_rad), np.sin(angle_rad)], axis=-1)
    xy = np.zeros_like(bone)
    for joint in ROOT_FIRST[1:]:
        xy[:, joint] = xy[:, PARENT[joint]] + bone[:, joint]
    return xy


# 5. Place ----------------------------------------------------------------------------------------


def place(
    limbs: FloatArray,
    character: Track,
    driver: Track,
    calibration: Calibration,
    fps: float,
    settings: PataSettings,
) -> Track:
    """The aligned motion on the canvas.

    In the calibration frame the neck lands on p_s; or, where hips and ankles are seen in both, the
    middle of the hips and the line of the lower ankle. Where these are seen all along the motion
    it is their travel that is kept, so that feet keep to the ground whatever the legs' lengths
    are; otherwise the neck's.
    """
    seen_in_both = driver.seen[:, _GROUND_JOINTS] & character.seen[:, _GROUND_JOINTS]
    lands_on_feet = bool(seen_in_both[calibration.frame].all())
    stays_on_feet = bool(seen_in_both.all())
    held = _anchors(limbs, lands_on_feet)
    if not stays_on_feet:
        held = held[[calibration.frame]]
    root = _anchors(character.xy, lands_on_feet) - held
    if settings.anchor == "anchored":
        travel = calibration.scale * _anchors(driver.xy, stays_on_feet)
        if settings.smooth:
            travel = _smooth_travel(travel, driver.seen[:, [NECK]], character, fps, settings)
        root = root + travel - travel[calibration.frame]
    xy = limbs + root[:, None]
    xy = np.where(driver.seen[..., None], xy, 0.0)
    factors = calibration.scale * np.clip(calibration.ratios, *settings.part_ratio_clip)
    poses = tuple(
        to_pose(xy[i], driver.confidence[i], parts_of(driver, i, factors)) for i in range(len(xy))
    )
    return Track(poses, xy, driver.confidence, driver.seen)


def nudge(
    aligned: Track, character: Track, canvas: tuple[int, int], settings: PataSettings
) -> Track:
    """The motion made larger or smaller from where the character stands, and moved, as somebody wishes."""
    if settings.scale == 1 and settings.shift == (0, 0):
        return aligned
    stands = _anchors(character.xy, bool(character.seen[0, _GROUND_JOINTS].all()))[0]
    to = stands + np.multiply(settings.shift, canvas)
    poses = tuple(
        pose.shifted(*-stands).scaled(settings.scale, settings.scale).shifted(*to)
        for pose in aligned.poses
    )
    xy = np.where(aligned.seen[..., None], (aligned.xy - stands) * settings.scale + to, 0.0)
    return Track(poses, xy, aligned.confidence, aligned.seen)


def _anchors(xy: FloatArray, on_feet: bool) -> FloatArray:
    """(frames, 2): the point of each frame that is held on the character."""
    if not on_feet:
        return xy[:, NECK]
    middle_x = xy[:, [R_HIP, L_HIP], 0].mean(axis=1)
    ground_y = xy[:, [R_ANKLE, L_ANKLE], 1].max(axis=1)
    return np.stack([middle_x, ground_y], axis=1)


def _smooth_travel(
    travel: FloatArray, present: BoolArray, character: Track, fps: float, settings: PataSettings
) -> FloatArray:
    # Speeds are told in body sizes, so that the picture's resolution makes no difference.
    body_px = max(box_diagonal(character.xy[character.seen]), 1.0)
    smoothed = one_euro(
        travel[:, None] / body_px,
        present,
        fps,
        settings.smooth_cutoff_hz,
        settings.smooth_beta_root,
    )
    return smoothed[:, 0] * body_px
