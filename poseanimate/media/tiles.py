"""Tiling pictures of one size into one picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def tiled(
    pictures: Sequence[Picture],
    columns: int,
    gap_px: int = 0,
    paper: tuple[int, int, int] = (255, 255, 255),
) -> Picture:
    """Pictures (h, w, 3) in reading order, `columns` per row, with gaps of colour `paper`."""
    height, width = pictures[0].shape[:2]
    rows = math.ceil(len(pictures) / columns)
    size = (rows * (height + gap_px) - gap_px, columns * (width + gap_px) - gap_px, 3)
    sheet = np.full(size, paper, np.uint8)
    for i, picture in enumerate(pictures):
        top, left = i // columns * (height + gap_px), i % columns * (width + gap_px)
        sheet[top : top + height, left : left + width] = picture
    return sheet
