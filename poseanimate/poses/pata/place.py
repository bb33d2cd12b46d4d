"""Placement of the motion on the canvas (PATA, steps 6 and 8)."""

from __future__ import annotations

import numpy as np

from poseanimate.poses.measures import box_diagonal
from poseanimate.poses.pata.calibrate import Calibration
from poseanimate.poses.pata.settings import PataSettings
from poseanimate.poses.pata.smoothing import smooth_travel
from poseanimate.poses.pata.track import Track, read_parts, to_pose
from poseanimate.poses.skeleton import L_ANKLE, L_HIP, NECK, R_ANKLE, R_HIP, FloatArray

PART_RATIO_RANGE = (0.8, 1.5)
"""Of the sizes of hands and face."""

_GROUND_JOINTS = (R_HIP, L_HIP, R_ANKLE, L_ANKLE)


def place(
    limbs: FloatArray,
    character: Track,
    driver: Track,
    calibration: Calibration,
    fps: float,
    settings: PataSettings,
) -> Track:
    """The aligned motion on the canvas.

    In the calibration frame the neck lands on that of p_s or, if hips and ankles are seen in both,
    the middle of the hips and the level of the lower ankle do. If these are seen throughout the
    motion, their travel is kept, so that feet stay on the ground whatever the legs' lengths;
    otherwise the neck's travel is.
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
            body_px = max(box_diagonal(character.xy[character.seen]), 1.0)
            travel = smooth_travel(travel, driver.seen[:, [NECK]], fps, body_px)
        root = root + travel - travel[calibration.frame]
    xy = limbs + root[:, None]
    xy = np.where(driver.seen[..., None], xy, 0.0)
    factors = calibration.scale * np.clip(calibration.ratios, *PART_RATIO_RANGE)
    poses = tuple(
        to_pose(xy[i], driver.confidence[i], read_parts(driver, i, factors)) for i in range(len(xy))
    )
    return Track(poses, xy, driver.confidence, driver.seen)


def nudge(
    aligned: Track, character: Track, canvas: tuple[int, int], settings: PataSettings
) -> Track:
    """Scales the motion about the point where the character stands and shifts it, as set."""
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
    """(frames, 2): the point of each frame that is anchored to the character."""
    if not on_feet:
        return xy[:, NECK]
    middle_x = xy[:, [R_HIP, L_HIP], 0].mean(axis=1)
    ground_y = xy[:, [R_ANKLE, L_ANKLE], 1].max(axis=1)
    return np.stack([middle_x, ground_y], axis=1)
