"""Joints over time: what counts of what a detector saw, and the measures taken from it.

The ground under the pose alignment (`pata`): its settings and the first three of its steps.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Literal

import numpy as np

from poseanimate.errors import SettingsError
from poseanimate.poses.motion import Motion
from poseanimate.poses.skeleton import (
    JOINTS,
    L_SHOULDER,
    L_WRIST,
    MIRRORED,
    NECK,
    NOSE,
    PARENTS,
    R_SHOULDER,
    R_WRIST,
    ROOT_FIRST,
    BoolArray,
    FloatArray,
    Pose,
)

Range = tuple[float, float]

PARENT = np.array(PARENTS)
MIRROR = np.array(MIRRORED)

MIN_BONE_PX = 1e-3
"""Below this a bone has no direction."""
LONGEST_TRANSITION = 12


@dataclass(frozen=True)
class PataSettings:
    """Every knob of the alignment.

    Raises:
        SettingsError: a value outside its range; the message shows both.
    """

    anchor: Literal["anchored", "pinned"] = "anchored"
    """'anchored' keeps the driver's own travel, scaled; 'pinned' stays on the spot."""
    retarget_limbs: bool = True
    """Give bones the character's lengths; otherwise the driver's, scaled."""
    smooth: bool = True
    """Filter root and joint angles."""
    transition_frames: int | None = None
    """Frames between the picture's pose and the motion, 0 to 12; None: 2 to 8 by its speed."""
    scale: float = 1.0
    """The aligned motion is made so many times as large, from where the character stands."""
    shift: tuple[float, float] = (0.0, 0.0)
    """And moved by these parts of the canvas' width and height."""
    confidence: float = 0.3
    """From here a joint counts."""
    calibration_confidence: float = 0.5
    """From here a joint is trusted to measure by."""
    margin: float = 0.1
    """Joints further outside the canvas than this part of its sides do not count."""
    longest_gap: int = 3
    """Gaps of up to this many frames are interpolated."""
    bone_percentile: float = 90.0
    """The driver's bone lengths are this percentile over the clip."""
    scale_clip: Range = (0.33, 3.0)
    limb_ratio_clip: Range = (0.6, 1.6)
    part_ratio_clip: Range = (0.8, 1.5)
    """For hands and face."""
    foreshortened_below: float = 0.5
    """A source bone under this part of its mirror bone takes the mirror's length."""
    smooth_cutoff_hz: float = 1.5
    smooth_beta_angle: float = 2.0
    """Rise of the cutoff in Hz per rad/s."""
    smooth_beta_root: float = 8.0
    """Rise of the cutoff in Hz per body size/s."""
    scale_expected: Range = (0.5, 2.0)
    """A scale outside gets a finding."""
    leaving_share: float = 0.2
    """More than this part of the joints outside the canvas gets a finding."""

    def __post_init__(self) -> None:
        if self.anchor not in ("anchored", "pinned"):
            self._refuse("anchor", "'anchored' or 'pinned'")
        if self.transition_frames is not None and not (
            0 <= self.transition_frames <= LONGEST_TRANSITION
        ):
            self._refuse("transition_frames", f"None or 0 to {LONGEST_TRANSITION}")
        self._within("scale", 0.1, 10.0)
        if not all(-2 <= part <= 2 for part in self.shift):
            self._refuse("shift", "two numbers of -2 to 2")
        for name in ("confidence", "calibration_confidence", "margin", "foreshortened_below"):
            self._within(name, 0.0, 1.0)
        self._within("leaving_share", 0.0, 1.0)
        self._within("longest_gap", 0, 100)
        self._within("bone_percentile", 0.0, 100.0)
        self._within("smooth_cutoff_hz", 0.01, 100.0)
        self._within("smooth_beta_angle", 0.0, 1000.0)
        self._within("smooth_beta_root", 0.0, 1000.0)
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "shift":
                continue
            if isinstance(value, tuple) and not (len(value) == 2 and 0 < value[0] <= value[1]):
                self._refuse(field.name, "two numbers above 0, the smaller one first")

    def _within(self, name: str, lowest: float, highest: float) -> None:
        if not lowest <= getattr(self, name) <= highest:
            self._refuse(name, f"{lowest:g} to {highest:g}")

    def _refuse(self, name: str, allowed: str) -> None:
        raise SettingsError(
            f"The alignment's {name} is {getattr(self, name)!r}.", f"Allowed: {allowed}."
        )


DEFAULT_SETTINGS = PataSettings()


@dataclass(frozen=True, eq=False)
class Track:
    """Joints over time, and the poses they came from (for hands and faces).

    xy: (frames, 18, 2) in pixels; confidence: (frames, 18); seen: (frames, 18) bool. Seen joints
    have seen parents. Where not seen, the others are 0.
    """

    poses: tuple[Pose, ...]
    xy: FloatArray
    confidence: FloatArray
    seen: BoolArray

    def noticed(self, threshold: float) -> bool:
        """Whether any joint has this confidence, whatever its place and its parents."""
        return any(pose.visible(threshold).any() for pose in self.poses)

    def at(self, frame: int) -> Track:
        """The track of this one frame."""
        return self._part(slice(frame, frame + 1))

    def first(self, frames: int) -> Track:
        """The track of the first so many frames."""
        return self._part(slice(0, frames))

    def _part(self, part: slice) -> Track:
        return Track(self.poses[part], self.xy[part], self.confidence[part], self.seen[part])

    def bones(self) -> tuple[FloatArray, FloatArray]:
        """Length in pixels and angle in radians of the bone to each joint, (frames, 18) each."""
        towards = np.where(self.seen[..., None], self.xy - self.xy[:, PARENT], 0.0)
        towards[:, NECK] = 0.0
        length_px = np.linalg.norm(towards, axis=2)
        angle_rad = np.arctan2(towards[..., 1], towards[..., 0])
        return length_px, np.where(length_px < MIN_BONE_PX, 0.0, angle_rad)


# 1. Pixels of the target canvas ------------------------------------------------------------------


def in_target_pixels(motion: Motion, width: int, height: int, settings: PataSettings) -> Track:
    """The driver, its canvas fitted into the target's by one factor for both axes."""
    factor = min(width / motion.width, height / motion.height)
    poses = tuple(pose.scaled(factor, factor) for pose in motion.poses)
    return read_track(poses, motion.width * factor, motion.height * factor, settings)


# 2. Which joints count ---------------------------------------------------------------------------


def read_track(
    poses: tuple[Pose, ...], width: float, height: float, settings: PataSettings
) -> Track:
    """Joints that count: confident, near the canvas, short gaps filled, with all ancestors."""
    xy = np.stack([pose.xy for pose in poses])
    confidence = np.stack([pose.confidence for pose in poses])
    size = np.array([width, height])
    near = ((xy >= -settings.margin * size) & (xy <= (1 + settings.margin) * size)).all(axis=2)
    seen = (confidence >= settings.confidence) & (confidence > 0) & near
    _derive_neck(xy, confidence, seen)
    _fill_gaps(xy, confidence, seen, settings.longest_gap)
    for joint in ROOT_FIRST[1:]:
        seen[:, joint] &= seen[:, PARENT[joint]]
    xy[~seen] = 0.0
    confidence[~seen] = 0.0
    return Track(poses, xy, confidence, seen)


def _derive_neck(xy: FloatArray, confidence: FloatArray, seen: BoolArray) -> None:
    """A neck that does not count is put between the shoulders, which is what it stands for."""
    derived = ~seen[:, NECK] & seen[:, R_SHOULDER] & seen[:, L_SHOULDER]
    shoulders = [R_SHOULDER, L_SHOULDER]
    xy[derived, NECK] = xy[derived][:, shoulders].mean(axis=1)
    confidence[derived, NECK] = confidence[derived][:, shoulders].min(axis=1)
    seen[:, NECK] |= derived


def _fill_gaps(xy: FloatArray, confidence: FloatArray, seen: BoolArray, longest_gap: int) -> None:
    """Interpolates a joint linearly over gaps of up to `longest_gap` frames, in place."""
    for joint in range(JOINTS):
        for before, after in pairwise(np.flatnonzero(seen[:, joint])):
            if 1 < after - before <= longest_gap + 1:
                gap = slice(before + 1, after)
                u = np.linspace(0, 1, after - before + 1)[1:-1]
                xy[gap, joint] = mix(xy[before, joint], xy[after, joint], u[:, None])
                confidence[gap, joint] = mix(confidence[before, joint], confidence[after, joint], u)
                seen[gap, joint] = True


def mix(a: FloatArray, b: FloatArray, u: FloatArray | float) -> FloatArray:
    return np.asarray(a + u * (b - a))


# 3. Bone lengths ---------------------------------------------------------------------------------


def bone_lengths(track: Track, settings: PataSettings) -> FloatArray:
    """(18,) px: a high percentile over the clip, as foreshortening only shortens; 0: unknown."""
    trusted = track.confidence >= settings.calibration_confidence
    length_px, _ = track.bones()
    lengths = np.zeros(JOINTS)
    for joint in ROOT_FIRST[1:]:
        frames = trusted[:, joint] & trusted[:, PARENT[joint]] & track.seen[:, joint]
        if frames.any():
            lengths[joint] = np.percentile(length_px[frames, joint], settings.bone_percentile)
    return np.where(lengths < MIN_BONE_PX, 0.0, lengths)


def unforeshortened(lengths: FloatArray, settings: PataSettings) -> FloatArray:
    """The source's bones, those far shorter than their mirror bone taken from there."""
    mirrored = lengths[MIRROR]
    return np.where(lengths < settings.foreshortened_below * mirrored, mirrored, lengths)


# Hands and face ----------------------------------------------------------------------------------

PART_JOINTS = {"left_hand": L_WRIST, "right_hand": R_WRIST, "face": NOSE}
Parts = dict[str, FloatArray]
"""Points of hands and face relative to wrist and nose: (points, 3) as dx_px, dy_px, confidence."""


def parts_of(track: Track, frame: int, factors: FloatArray | None = None) -> Parts:
    """A frame's hands and face, their offsets times the factor of the joint they hang on.

    factors: (18,), 1 where None. A part whose joint is not seen is left out.
    """
    parts: Parts = {}
    for name, joint in PART_JOINTS.items():
        points = getattr(track.poses[frame], name)
        if points is not None and track.seen[frame, joint]:
            offsets = points[:, :2] - track.xy[frame, joint]
            factor = 1.0 if factors is None else factors[joint]
            parts[name] = np.column_stack([offsets * factor, points[:, 2]])
    return parts


def to_pose(xy: FloatArray, confidence: FloatArray, parts: Parts) -> Pose:
    """The pose of (18, 2) pixels and (18,) confidences, hands and face on wrists and nose."""
    hung = {name: points + np.append(xy[PART_JOINTS[name]], 0.0) for name, points in parts.items()}
    return Pose(np.column_stack([xy, confidence]), **hung)
