"""Masks refined to a picture's edges: the guided filter of He, Sun and Tang (2010), with colours as guide."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SHRINK = 2  # coefficients are computed at half the size, as in He and Sun (2015): three times as fast, as good
EPS = 1e-5  # of colours in [0, 1]: how weak an edge may be

Plane = NDArray[np.float32]


def refine_mask(mask: Plane, image: NDArray[np.uint8], radius: int) -> Plane:
    """A soft mask (H, W) in [0, 1] that follows the edges of an RGB picture (H, W, 3).

    Args:
        radius: how far from an edge the mask may be off, in pixels; at least 1.
    """
    height, width = mask.shape
    size = (max(width // SHRINK, 1), max(height // SHRINK, 1))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    coarse = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), np.float32)
    slope, offset = (
        cv2.resize(each, (width, height))
        for each in _fit_locally(_to_unit(small), coarse, max(radius // SHRINK, 1))
    )
    refined = (slope * _to_unit(image)).sum(axis=-1) + offset
    return np.asarray(np.clip(refined, 0, 1), np.float32)


def _fit_locally(image: Plane, mask: Plane, radius: int) -> tuple[Plane, Plane]:
    """Slope (h, w, 3) and offset (h, w) of the mask as a linear function of the colours around each pixel."""

    def mean(values: Plane) -> Plane:
        window = (2 * radius + 1, 2 * radius + 1)
        filtered = cv2.boxFilter(values, -1, window, borderType=cv2.BORDER_REFLECT)
        return np.asarray(filtered, np.float32)

    colour, covered = mean(image), mean(mask)
    together = mean(image * mask[..., None]) - colour * covered[..., None]
    spread = np.empty((*mask.shape, 3, 3), np.float32)
    for i in range(3):
        for j in range(i, 3):
            product = mean(image[..., i] * image[..., j]) - colour[..., i] * colour[..., j]
            spread[..., i, j] = spread[..., j, i] = product
    slope = np.linalg.solve(spread + EPS * np.eye(3, dtype=np.float32), together[..., None])[..., 0]
    return mean(slope), mean(covered - (slope * colour).sum(axis=-1))


def _to_unit(image: NDArray[np.uint8]) -> Plane:
    return np.asarray(image, np.float32) / np.float32(255)
