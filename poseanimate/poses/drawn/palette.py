"""Colours of a drawn skeleton as labels: which joint, which limb, or neither.

OpenPose gives limb i and joint i the hue of 20° times i. Compression and reduction take chroma away from thin lines
but keep the hue, so a label follows from the hue, and the chroma tells a joint from a limb, which is drawn at 60 %.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from poseanimate.poses.skeleton import COLOURS, JOINTS, LIMBS, ByteArray, FloatArray

BLACK, WHITE, OTHER = 0, 1, 2
FIRST_JOINT = 3
FIRST_LIMB = FIRST_JOINT + JOINTS
LABELS = FIRST_LIMB + len(LIMBS)

_BITS = 6  # of each channel: 262 144 colours
_HUE_STEP = 360 / len(COLOURS)
_BLACK_BELOW = 48
_WHITE_FROM = 170
_WHITE_MAX_CHROMA = 60
_MIN_CHROMA = 66
_MIN_SATURATION = 0.55
_JOINT_FROM = 180  # chroma; joints have 255 and limbs 153


def label_colours(picture: ByteArray) -> ByteArray:
    """(H, W): BLACK, WHITE, OTHER, FIRST_JOINT + j or FIRST_LIMB + i for every pixel of (H, W, 3) RGB."""
    high = (picture >> (8 - _BITS)).astype(np.uint32)
    return _table()[(high[..., 0] << 2 * _BITS) | (high[..., 1] << _BITS) | high[..., 2]]


@cache
def _table() -> ByteArray:
    step = 1 << (8 - _BITS)
    levels = np.arange(step / 2, 256, step)
    rgb = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    value, chroma = rgb.max(axis=1), np.ptp(rgb, axis=1)
    hue = (find_hues(rgb) / _HUE_STEP).round().astype(int) % len(COLOURS)
    coloured = (chroma >= _MIN_CHROMA) & (chroma >= _MIN_SATURATION * value)
    bright = chroma >= _JOINT_FROM
    labels = np.full(len(rgb), OTHER, np.uint8)
    labels[coloured & bright] = FIRST_JOINT + hue[coloured & bright]
    dim = coloured & ~bright & (hue < len(LIMBS))
    labels[dim] = FIRST_LIMB + hue[dim]
    labels[(value >= _WHITE_FROM) & (chroma <= _WHITE_MAX_CHROMA)] = WHITE
    labels[value < _BLACK_BELOW] = BLACK
    labels.flags.writeable = False
    return labels


def find_hues(rgb: FloatArray) -> FloatArray:
    """(N,): degrees in [0, 360) of (N, 3)."""
    red, green, blue = rgb.T
    value, chroma = rgb.max(axis=1), np.maximum(np.ptp(rgb, axis=1), 1e-9)
    sixths = np.select(
        [value == red, value == green],
        [((green - blue) / chroma) % 6, (blue - red) / chroma + 2],
        (red - green) / chroma + 4,
    )
    return np.asarray(60 * sixths, dtype=np.float64) % 360
