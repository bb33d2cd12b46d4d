"""Which kind of picture this is: skeletons in OpenPose's colours, other renderings of poses, or an ordinary picture."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from functools import cache

import cv2
import numpy as np

from poseanimate.errors import MotionError
from poseanimate.poses.drawn.reader import read_figures
from poseanimate.poses.skeleton import ByteArray

MIN_LIMBS = 4
"""So many limbs from dot to dot, each in its own colour, are no coincidence."""

_SAMPLED_FRAMES = 8
_BITS = 5  # of each channel, where colours are compared
_MIN_SIDE_PX = 16  # where flat areas and lines can be told
_FLAT_STEP = 4
_DENSEPOSE_SHARE = 0.9
_COLOUR_MAPS = (cv2.COLORMAP_VIRIDIS, cv2.COLORMAP_PARULA)
_STICKS_BACKGROUND = 0.85
_STICKS_SHARE = (0.002, 0.12)
_STICKS_HALF_WIDTH = 1 / 48  # of the picture's short side
_STICKS_SOLIDITY = 0.5  # of the area that a band around the lines would hold
_STICKS_ENCLOSED = 4.0  # times the lines' own area; outlines of a figure enclose more


class Kind(Enum):
    """What the pictures of a video show."""

    OPENPOSE = "OpenPose drawing"
    STICKS = "another palette"
    DENSEPOSE = "DensePose rendering"
    ORDINARY = "ordinary picture"


def tell_kind(frames: Sequence[ByteArray]) -> Kind:
    """What most of a video's frames (H, W, 3) uint8 RGB show, by at most 8 of them; blank ones don't count."""
    steps = np.linspace(0, len(frames) - 1, min(_SAMPLED_FRAMES, len(frames))).round().astype(int)
    kinds = [_picture_kind(frames[i]) for i in steps if np.ptp(frames[i]) >= 64]
    for kind in (Kind.OPENPOSE, Kind.DENSEPOSE, Kind.STICKS):
        if kinds and 2 * kinds.count(kind) >= len(kinds):
            return kind
    return Kind.ORDINARY


def is_drawn(frames: Sequence[ByteArray]) -> bool:
    """Whether a video shows skeletons that can be read by colour.

    Raises:
        MotionError: it shows poses in a form that can't be read: DensePose, or skeletons in other colours.
    """
    kind = tell_kind(frames)
    if kind is Kind.DENSEPOSE:
        raise MotionError(
            "This is a DensePose rendering: it shows surfaces of the body, not joints.",
            "Bring the video it was made from, or skeletons as OpenPose or DWPose draw them.",
        )
    if kind is Kind.STICKS:
        raise MotionError(
            "These look like skeletons or stick figures in colours other than OpenPose's.",
            "Bring skeletons as OpenPose or DWPose draw them, pose JSON, or the video of the person.",
        )
    return kind is Kind.OPENPOSE


def _picture_kind(picture: ByteArray) -> Kind:
    figures = read_figures(picture)
    if figures and figures[0].limbs >= MIN_LIMBS:
        return Kind.OPENPOSE
    if min(picture.shape[:2]) < _MIN_SIDE_PX:
        return Kind.ORDINARY
    if _is_densepose(picture):
        return Kind.DENSEPOSE
    return Kind.STICKS if _is_sticks(picture) else Kind.ORDINARY


def _is_densepose(picture: ByteArray) -> bool:
    """Flat areas in the colours of a map for numbers, several of them, and one colour or black around."""
    flat = (np.abs(np.diff(picture.astype(np.int16), axis=1)) <= _FLAT_STEP).all(axis=2)
    if flat.mean() < 0.85:
        return False
    codes = _codes(picture)
    for colour_map in _COLOUR_MAPS:
        index = _colour_map_table(colour_map)[codes]
        drawn = picture.max(axis=2) >= 32
        known = (index >= 0) & drawn
        if drawn.mean() < 0.02 or known.sum() < _DENSEPOSE_SHARE * drawn.sum():
            continue
        shares = np.bincount(index[known] // 16, minlength=16) / drawn.sum()
        if (shares >= 0.01).sum() >= 4 and (shares[6:] >= 0.01).any():
            return True
    return False


@cache
def _colour_map_table(colour_map: int) -> np.ndarray:
    """The nearest colour's number in a map of 256, by the code of a colour; -1 where none is near."""
    scale = np.arange(256, dtype=np.uint8)[:, None]
    colours = cv2.applyColorMap(scale, colour_map)[:, 0, ::-1].astype(np.float64)
    step = 1 << (8 - _BITS)
    levels = np.arange(step / 2, 256, step)
    rgb = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    distance = np.concatenate(
        [np.abs(part[:, None] - colours).max(axis=2) for part in np.array_split(rgb, 32)]
    )
    return np.where(distance.min(axis=1) <= 2 * step, distance.argmin(axis=1), -1)


def _is_sticks(picture: ByteArray) -> bool:
    """Thin lines that enclose little, on a background of one colour."""
    codes = _codes(picture)
    common = np.bincount(codes.ravel()).argmax()
    colour = picture[codes == common].mean(axis=0)
    away = np.abs(picture - colour).max(axis=2)
    lines = (away > 48).astype(np.uint8)
    if not _STICKS_SHARE[0] <= lines.mean() <= _STICKS_SHARE[1]:
        return False
    if (away <= 16).mean() < _STICKS_BACKGROUND:
        return False
    rows, columns = np.nonzero(lines)
    extent = max(np.ptp(rows) / lines.shape[0], np.ptp(columns) / lines.shape[1])
    thickest = cv2.distanceTransform(lines, cv2.DIST_L2, 3).max()
    if extent < 0.2 or thickest > max(4.0, _STICKS_HALF_WIDTH * min(lines.shape)):
        return False
    hull = cv2.contourArea(cv2.convexHull(np.stack([columns, rows], axis=1).astype(np.float32)))
    if lines.sum() > _STICKS_SOLIDITY * hull:  # one bar or blot
        return False
    outlines, _ = cv2.findContours(lines, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    enclosed = sum(cv2.contourArea(outline) for outline in outlines)
    return bool(enclosed <= _STICKS_ENCLOSED * lines.sum())


def _codes(picture: ByteArray) -> np.ndarray:
    high = (picture >> (8 - _BITS)).astype(np.int64)
    return (high[..., 0] << 2 * _BITS) | (high[..., 1] << _BITS) | high[..., 2]
