"""Previews of an alignment: skeletons over the source picture, as a strip and as a video."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np

from poseanimate.errors import PictureError
from poseanimate.media.tiles import tiled
from poseanimate.poses.pata import Alignment
from poseanimate.poses.skeleton import ByteArray, Pose, draw_pose

MIN_SIDE_PX = 256
"""Smaller pictures are enlarged by a whole factor until their short side has at least this many pixels."""

_PICTURE_DIMMING = 0.6
_LIGHTENING = 50.0
_GAP_PX = 4
_MAX_STRIP_SIDE_PX = 8192


def draw_over(picture: ByteArray, pose: Pose) -> ByteArray:
    """The skeleton over a picture (H, W, 3), neither dimmed nor enlarged."""
    return _over(picture, pose, 1, 1.0)


def frames(picture: ByteArray, alignment: Alignment) -> list[ByteArray]:
    """Every pose of the alignment over the dimmed picture, as video frames at `alignment.fps`.

    Args:
        picture: (H, W, 3) uint8 RGB.
        alignment: with poses in pixels of the picture.

    Returns:
        (k·H, k·W, 3) uint8 RGB each, with the smallest whole k that makes the short side at least 256.

    Raises:
        PictureError: the picture isn't such an array.
    """
    background, factor = _enlarged(picture), _factor(picture)
    return [_over(background, pose, factor) for pose in alignment.poses]


def reduced(picture: ByteArray, alignment: Alignment, most_px: int) -> tuple[ByteArray, Alignment]:
    """A picture (H, W, 3) and the alignment on it, with at most so many pixels on the long side."""
    height, width = picture.shape[:2]
    factor = most_px / max(height, width)
    if factor >= 1:
        return picture, alignment
    size = max(1, round(width * factor)), max(1, round(height * factor))
    scale = size[0] / width, size[1] / height
    poses = tuple(pose.scaled(*scale) for pose in alignment.poses)
    return _resized(picture, *size, cv2.INTER_AREA), replace(alignment, poses=poses)


def strip(picture: ByteArray, alignment: Alignment, columns: int = 8) -> ByteArray:
    """All poses over the picture as one contact sheet, row by row, (H, W, 3) uint8 RGB.

    Tiles are scaled down if a side of the sheet would exceed 8192 pixels.
    """
    tiles = frames(picture, alignment)
    columns = max(1, min(columns, len(tiles)))
    rows = math.ceil(len(tiles) / columns)
    height, width = tiles[0].shape[:2]
    reduction = min(
        1.0,
        (_MAX_STRIP_SIDE_PX / columns - _GAP_PX) / width,
        (_MAX_STRIP_SIDE_PX / rows - _GAP_PX) / height,
    )
    if reduction < 1.0:
        width, height = max(1, int(width * reduction)), max(1, int(height * reduction))
        tiles = [_resized(tile, width, height, cv2.INTER_AREA) for tile in tiles]
    return tiled(tiles, columns, _GAP_PX)


def _factor(picture: ByteArray) -> int:
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise PictureError(
            f"A preview needs an RGB picture, not {picture.dtype} of shape {picture.shape}.",
            "Give an array of height x width x 3 bytes.",
        )
    return math.ceil(MIN_SIDE_PX / min(picture.shape[:2])) or 1


def _enlarged(picture: ByteArray) -> ByteArray:
    factor = _factor(picture)
    height, width = picture.shape[:2]
    if factor == 1:
        return picture
    return _resized(picture, width * factor, height * factor, cv2.INTER_CUBIC)


def _resized(picture: ByteArray, width: int, height: int, interpolation: int) -> ByteArray:
    return np.asarray(cv2.resize(picture, (width, height), interpolation=interpolation), np.uint8)


def _over(
    background: ByteArray, pose: Pose, factor: int, dimming: float = _PICTURE_DIMMING
) -> ByteArray:
    height, width = background.shape[:2]
    skeleton = draw_pose(pose.scaled(factor, factor), width, height).astype(np.float64)
    # The brightest channel is the skeleton's coverage of the pixel: smooth at its edges.
    cover = np.clip(skeleton.max(axis=2, keepdims=True) / 150.0, 0.0, 1.0)
    # Lightened, as the drawing's dark blues would be lost over a picture.
    mixed = background * dimming * (1 - cover) + skeleton + _LIGHTENING * cover
    return mixed.clip(0, 255).round().astype(np.uint8)
