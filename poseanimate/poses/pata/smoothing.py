"""Smoothing of joint angles and of the root's travel (PATA, step 7, within 5 and 6)."""

from __future__ import annotations

import numpy as np

from poseanimate.poses.pata.one_euro import one_euro
from poseanimate.poses.skeleton import BoolArray, FloatArray

CUTOFF_HZ = 1.5
BETA_ANGLE = 2.0
"""Rise of the cutoff in Hz per rad/s."""
BETA_ROOT = 8.0
"""Rise of the cutoff in Hz per body size/s."""


def smooth_angles(angle_rad: FloatArray, seen: BoolArray, fps: float) -> FloatArray:
    """(frames, 18) each; full turns are unwrapped first."""
    unwrapped = np.unwrap(angle_rad, axis=0)[..., None]
    return one_euro(unwrapped, seen, fps, CUTOFF_HZ, BETA_ANGLE)[..., 0]


def smooth_travel(travel_px: FloatArray, seen: BoolArray, fps: float, body_px: float) -> FloatArray:
    """(frames, 2) px; speeds are in body sizes, so the picture's resolution makes no difference.

    Args:
        seen: (frames, 1).
    """
    smoothed = one_euro(travel_px[:, None] / body_px, seen, fps, CUTOFF_HZ, BETA_ROOT)
    return smoothed[:, 0] * body_px
