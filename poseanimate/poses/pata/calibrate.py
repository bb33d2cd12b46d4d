"""The driver's scale and the ratios of bone lengths (PATA, steps 3 and 4)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from poseanimate.poses.pata.settings import PataSettings
from poseanimate.poses.pata.track import MIN_BONE_PX, MIRROR, PARENT, Track
from poseanimate.poses.skeleton import (
    JOINTS,
    L_EAR,
    L_EYE,
    L_HIP,
    L_SHOULDER,
    NECK,
    NOSE,
    R_EAR,
    R_EYE,
    R_HIP,
    R_SHOULDER,
    ROOT_FIRST,
    FloatArray,
)

TRUSTED_CONFIDENCE = 0.5
"""The confidence at which a joint is used for measuring."""
BONE_PERCENTILE = 90.0
"""The percentile over the clip that gives the driver's bone lengths."""
FORESHORTENED_BELOW = 0.5
"""A source bone shorter than this share of its mirror bone takes the mirror's length."""
SCALE_RANGE = (0.33, 3.0)
LIMB_RATIO_RANGE = (0.6, 1.6)

_TORSO = (NECK, R_SHOULDER, L_SHOULDER, R_HIP, L_HIP)
_UPPER_TORSO = (NECK, R_SHOULDER, L_SHOULDER)
_HEAD = (NOSE, NECK, R_EYE, L_EYE, R_EAR, L_EAR)
_FIT_SETS: tuple[tuple[tuple[int, ...], int], ...] = ((_TORSO, 5), (_UPPER_TORSO, 3), (_HEAD, 3))
"""Joints to fit, and how many of them must be seen; the first usable set is taken."""
_MIN_AGREEMENT = 0.7
"""Below this correlation of the two torsos a fit is degenerate: one is bent or turned."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """How the driver relates to the character.

    frame: the driver's frame compared with p_s; measured: the scale before clipping, scale: after;
    ratios: (18,) further factor for each bone; certain: whether shoulders and hips were fitted.
    """

    frame: int
    measured: float
    scale: float
    ratios: FloatArray
    certain: bool


def calibrate(character: Track, driver: Track, settings: PataSettings) -> Calibration:
    """The driver's scale by a similarity fit without rotation, and each bone's ratio."""
    source_px = bone_lengths(character)
    driver_px = bone_lengths(driver)
    frame, joints = _what_to_fit(character, driver)
    measured = _fitted_scale(character, driver, frame, joints)
    low, high = SCALE_RANGE
    # Three joints in a row fit anything, so a fit outside the range is not trusted either.
    if measured is None or not low <= measured <= high:
        measured = _median_ratio(undo_foreshortening(source_px), driver_px)
    scale = float(np.clip(measured, low, high))
    ratios = np.ones(JOINTS)
    if settings.retarget_limbs:
        ratios = limb_ratios(source_px, scale * driver_px)
    return Calibration(frame, measured, scale, ratios, certain=joints == _TORSO)


def bone_lengths(track: Track) -> FloatArray:
    """(18,) px: a high percentile over the clip, since foreshortening only shortens; 0: unknown."""
    trusted = track.confidence >= TRUSTED_CONFIDENCE
    length_px, _ = track.bones()
    lengths = np.zeros(JOINTS)
    for joint in ROOT_FIRST[1:]:
        frames = trusted[:, joint] & trusted[:, PARENT[joint]] & track.seen[:, joint]
        if frames.any():
            lengths[joint] = np.percentile(length_px[frames, joint], BONE_PERCENTILE)
    return np.where(lengths < MIN_BONE_PX, 0.0, lengths)


def undo_foreshortening(lengths: FloatArray) -> FloatArray:
    """(18,) px: bones much shorter than their mirror bone take its length."""
    mirrored = lengths[MIRROR]
    return np.where(lengths < FORESHORTENED_BELOW * mirrored, mirrored, lengths)


def limb_ratios(source_px: FloatArray, scaled_driver_px: FloatArray) -> FloatArray:
    """(18,): character's over scaled driver's bone length, averaged over sides, clipped; unknown: 1."""
    source_px = undo_foreshortening(source_px)
    known = (source_px > 0) & (scaled_driver_px > 0)
    ratio = np.where(known, source_px / np.where(known, scaled_driver_px, 1.0), 0.0)
    sides = known.astype(float) + known[MIRROR]
    averaged = (ratio + ratio[MIRROR]) / np.maximum(sides, 1.0)
    return np.where(sides > 0, np.clip(averaged, *LIMB_RATIO_RANGE), 1.0)


def _what_to_fit(character: Track, driver: Track) -> tuple[int, tuple[int, ...]]:
    """The driver's first frame that shows the best set of torso joints, and these joints."""
    common = (
        (driver.confidence >= TRUSTED_CONFIDENCE)
        & (character.confidence >= TRUSTED_CONFIDENCE)
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
    """Weighted least squares for source ≈ scale · driver + shift; None if degenerate."""
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
