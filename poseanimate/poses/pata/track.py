"""Joints over time: the detected joints that count, in pixels of the target canvas (PATA, steps 1 and 2)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

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
    THRESHOLD,
    BoolArray,
    FloatArray,
    Pose,
)

PARENT = np.array(PARENTS)
MIRROR = np.array(MIRRORED)

MIN_BONE_PX = 1e-3
"""Shorter bones have no direction."""
MARGIN = 0.1
"""Joints outside the canvas by more than this share of its sides don't count."""
LONGEST_GAP = 3
"""Gaps up to this many frames are interpolated."""


@dataclass(frozen=True, eq=False)
class Track:
    """Joints over time, and the poses they came from (for hands and faces).

    xy: (frames, 18, 2) in pixels; confidence: (frames, 18); seen: (frames, 18) bool. Seen joints
    have seen parents. Where seen is false, the others are 0.
    """

    poses: tuple[Pose, ...]
    xy: FloatArray
    confidence: FloatArray
    seen: BoolArray

    def has_confident_joints(self) -> bool:
        """Whether any joint is confident, regardless of place and parents."""
        return any(pose.visible().any() for pose in self.poses)

    def at(self, frame: int) -> Track:
        """The track of one frame."""
        return self._part(slice(frame, frame + 1))

    def first(self, frames: int) -> Track:
        """The track of the first frames."""
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


def fit_driver(motion: Motion, width: int, height: int) -> Track:
    """The driver, with its canvas fitted into the target's by one factor for both axes."""
    factor = min(width / motion.width, height / motion.height)
    poses = tuple(pose.scaled(factor, factor) for pose in motion.poses)
    return read_track(poses, motion.width * factor, motion.height * factor)


def read_track(poses: tuple[Pose, ...], width: float, height: float) -> Track:
    """The joints that count: confident, near the canvas, with all ancestors; short gaps filled."""
    xy = np.stack([pose.xy for pose in poses])
    confidence = np.stack([pose.confidence for pose in poses])
    size = np.array([width, height])
    near = ((xy >= -MARGIN * size) & (xy <= (1 + MARGIN) * size)).all(axis=2)
    seen = (confidence >= THRESHOLD) & (confidence > 0) & near
    _derive_neck(xy, confidence, seen)
    _fill_gaps(xy, confidence, seen)
    for joint in ROOT_FIRST[1:]:
        seen[:, joint] &= seen[:, PARENT[joint]]
    xy[~seen] = 0.0
    confidence[~seen] = 0.0
    return Track(poses, xy, confidence, seen)


def _derive_neck(xy: FloatArray, confidence: FloatArray, seen: BoolArray) -> None:
    """Puts a neck that doesn't count between the shoulders, as COCO-18 defines it; in place."""
    derived = ~seen[:, NECK] & seen[:, R_SHOULDER] & seen[:, L_SHOULDER]
    shoulders = [R_SHOULDER, L_SHOULDER]
    xy[derived, NECK] = xy[derived][:, shoulders].mean(axis=1)
    confidence[derived, NECK] = confidence[derived][:, shoulders].min(axis=1)
    seen[:, NECK] |= derived


def _fill_gaps(xy: FloatArray, confidence: FloatArray, seen: BoolArray) -> None:
    """Interpolates joints linearly over gaps of up to `LONGEST_GAP` frames, in place."""
    for joint in range(JOINTS):
        for before, after in pairwise(np.flatnonzero(seen[:, joint])):
            if 1 < after - before <= LONGEST_GAP + 1:
                gap = slice(before + 1, after)
                u = np.linspace(0, 1, after - before + 1)[1:-1]
                xy[gap, joint] = lerp(xy[before, joint], xy[after, joint], u[:, None])
                confidence[gap, joint] = lerp(
                    confidence[before, joint], confidence[after, joint], u
                )
                seen[gap, joint] = True


def lerp(a: FloatArray, b: FloatArray, u: FloatArray | float) -> FloatArray:
    """Linear interpolation: a at u = 0, b at u = 1."""
    return np.asarray(a + u * (b - a))


# Hands and face ----------------------------------------------------------------------------------

PART_JOINTS = {"left_hand": L_WRIST, "right_hand": R_WRIST, "face": NOSE}
Parts = dict[str, FloatArray]
"""Points of hands and face relative to wrist and nose, (points, 3): dx_px, dy_px, confidence."""


def read_parts(track: Track, frame: int, factors: FloatArray | None = None) -> Parts:
    """A frame's hands and face, with offsets scaled by the factor of their joint.

    factors: (18,), 1 if None. A part whose joint is not seen is left out.
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
    """The pose of (18, 2) pixels and (18,) confidences, with hands and face at wrists and nose."""
    moved = {name: points + np.append(xy[PART_JOINTS[name]], 0.0) for name, points in parts.items()}
    return Pose(np.column_stack([xy, confidence]), **moved)
