"""The character's limb lengths at the driver's angles (PATA, step 5)."""

from __future__ import annotations

import numpy as np

from poseanimate.poses.pata.calibrate import Calibration
from poseanimate.poses.pata.settings import PataSettings
from poseanimate.poses.pata.smoothing import smooth_angles
from poseanimate.poses.pata.track import PARENT, Track
from poseanimate.poses.skeleton import ROOT_FIRST, FloatArray


def retarget(
    driver: Track, calibration: Calibration, fps: float, settings: PataSettings
) -> FloatArray:
    """(frames, 18, 2) px from the neck: the driver's angles with the character's bone lengths.

    Foreshortened bones stay so: their lengths are multiplied, not replaced.
    """
    length_px, angle_rad = driver.bones()
    if settings.smooth:
        angle_rad = smooth_angles(angle_rad, driver.seen, fps)
    return _forward(length_px * calibration.scale * calibration.ratios, angle_rad)


def _forward(length_px: FloatArray, angle_rad: FloatArray) -> FloatArray:
    """Forward kinematics with the neck at (0, 0): (frames, 18) each -> (frames, 18, 2)."""
    bone = length_px[..., None] * np.stack([np.cos(angle_rad), np.sin(angle_rad)], axis=-1)
    xy = np.zeros_like(bone)
    for joint in ROOT_FIRST[1:]:
        xy[:, joint] = xy[:, PARENT[joint]] + bone[:, joint]
    return xy
