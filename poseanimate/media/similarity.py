"""The similarity of two pictures: PSNR and mean difference, over all or some pixels.

Pictures are (H, W, 3) uint8 RGB, masks (H, W) in [0, 1].
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Mask = NDArray[np.float32]
Inside = NDArray[np.bool_]

MARGIN = 1 / 64  # of the longer side: around masks antialiasing and autoencoder blend both sides
MAX_PSNR_DB = 99.0


def psnr_db(made: Picture, truth: Picture, where: Inside | None = None) -> float:
    """Peak signal-to-noise ratio in dB, over the pixels `where` (H, W); at most 99."""
    error = (made.astype(np.float64) - truth) ** 2
    mean = float(error[where].mean() if where is not None else error.mean())
    return MAX_PSNR_DB if mean == 0 else float(10 * np.log10(255**2 / mean))


def change(one: Picture, other: Picture, where: Inside | None = None) -> float:
    """Mean absolute difference in grey levels, over the pixels `where` (H, W); 0 if there are none."""
    difference = np.abs(one.astype(np.float64) - other)
    chosen = difference if where is None else difference[where]
    return float(chosen.mean()) if chosen.size else 0.0


def outside(*masks: Mask) -> Inside:
    """The pixels (H, W) covered by none of the masks, with a margin."""
    margin = max(round(MARGIN * max(masks[0].shape)), 1)
    kernel = np.ones((2 * margin + 1,) * 2, np.uint8)
    union = np.any([mask > 0.02 for mask in masks], axis=0).astype(np.uint8)
    return np.asarray(cv2.dilate(union, kernel) == 0)
