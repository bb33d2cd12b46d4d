"""A person's size: the box around the joints, and the torso."""

from __future__ import annotations

import numpy as np

from poseanimate.poses.skeleton import L_HIP, NECK, NOSE, R_HIP, BoolArray, FloatArray, Pose

MIN_TORSO_PX = 1.0


def person_size(pose: Pose) -> float:
    """The diagonal in pixels of the box around a person's visible joints; 0 if there are none."""
    return box_diagonal(pose.xy[pose.visible()])


def box_diagonal(points: FloatArray) -> float:
    """The diagonal of the box around points (n, 2); 0 if there are none."""
    return float(np.hypot(*np.ptp(points, axis=0))) if len(points) else 0.0


def torso_length(pose: Pose) -> float:
    """The distance in pixels from the neck to the middle of the hips, at least 1.

    Without hips, twice the distance from neck to nose; without a neck, half the visible joints' extent.
    """
    xy, seen = pose.xy, pose.visible()
    length = neck_to_hips(xy, seen)
    if length is None and seen[NECK] and seen[NOSE]:
        length = 2 * float(np.linalg.norm(xy[NOSE] - xy[NECK]))
    if length is None:
        length = float(np.ptp(xy[seen], axis=0).max() if seen.any() else 1.0) / 2
    return max(length, MIN_TORSO_PX)


def torso_turn(pose: Pose) -> int | None:
    """How far a pose has to be turned clockwise so that its hips are below its neck; None without neck or hips.

    Returns:
        Degrees: 0, 90, 180 or 270, whichever is nearest.
    """
    seen = pose.visible()
    hips = [joint for joint in (R_HIP, L_HIP) if seen[joint]]
    if not (seen[NECK] and hips):
        return None
    x, y = pose.xy[hips].mean(axis=0) - pose.xy[NECK]
    return round(float(np.degrees(np.arctan2(x, y))) / 90) % 4 * 90


def neck_to_hips(xy: FloatArray, seen: BoolArray) -> float | None:
    """The distance from the neck to the middle of the visible hips; None without neck or hips.

    Args:
        xy: (18, 2); seen: (18,) bool.
    """
    hips = [joint for joint in (R_HIP, L_HIP) if seen[joint]]
    if not (seen[NECK] and hips):
        return None
    return float(np.linalg.norm(xy[hips].mean(axis=0) - xy[NECK]))
