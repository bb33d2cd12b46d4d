"""Hands of 21 points at random: turned, tilted, and closed as far as one likes."""

from __future__ import annotations

import numpy as np
from helpers.faces import turned

from poseanimate.poses.skeleton import FloatArray

_FINGERS = (  # direction in degrees and lengths, thumb first, in lengths of the hand
    (-48, (0.18, 0.2, 0.15, 0.12)),
    (-14, (0.46, 0.23, 0.14, 0.11)),
    (0, (0.45, 0.26, 0.16, 0.13)),
    (13, (0.42, 0.24, 0.15, 0.12)),
    (28, (0.40, 0.18, 0.11, 0.10)),
)


def hand_points(
    seed: int, wrist: FloatArray, angle_rad: float, size_px: float, closed: float, tilt: float = 0.5
) -> FloatArray:
    """(21, 3): a hand that points up, turned by an angle.

    Args:
        size_px: from the wrist to the tip of the middle finger, when it is stretched and not tilted.
        closed: 0 for stretched fingers to 1 for a fist.
        tilt: the most that the hand turns away from the camera, in radians.
    """
    rng = np.random.default_rng(seed)
    points = np.zeros((21, 3))
    for finger, (degrees, lengths) in enumerate(_FINGERS):
        side = np.radians(degrees + rng.uniform(-5, 5))
        ahead = np.array([np.sin(side), -np.cos(side), 0.0])
        at, bend = np.zeros(3), 0.0
        for link, length in enumerate(lengths):
            if link:
                bend += closed * rng.uniform(0.7, 1.3) * (0.6 if finger == 0 else 1.2)
            at = at + length * (np.cos(bend) * ahead + np.sin(bend) * np.array([0, 0, 1.0]))
            points[4 * finger + link + 1] = at
    pitch, yaw = rng.uniform(-tilt, tilt, 2)
    x, y, z = points.T
    y, z = y * np.cos(pitch) - z * np.sin(pitch), y * np.sin(pitch) + z * np.cos(pitch)
    x = (x * np.cos(yaw) + z * np.sin(yaw)) * rng.choice([-1, 1])
    flat = turned(size_px * np.column_stack([x, y]), angle_rad) + wrist
    return np.column_stack([flat, np.ones(21)])
