"""BlazePose that also cuts out whom it finds, and MediaPipe's selfie segmentation where it finds nobody."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from poseanimate.models.blazepose import landmarks
from poseanimate.models.blazepose.detector import BlazePose, Found
from poseanimate.models.blazepose.files import SELFIE
from poseanimate.models.blazepose.networks import Network
from poseanimate.models.guided_filter import refine_mask

SELFIE_SIDE = 256
REACH = 1 / 64  # of the longer side: how far from an edge the networks' masks may be off


class BlazePoseEyes(BlazePose):
    """Finds people and cuts them out.

    Args:
        folder: holds the networks, see `files`.

    Raises:
        ModelsError: ai-edge-litert isn't installed, or a network is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._selfie = Network(folder / SELFIE, SELFIE_SIDE, ((1, SELFIE_SIDE, SELFIE_SIDE, 1),))

    @property
    def identity(self) -> str:
        """The networks' digests."""
        return f"{super().identity}:{self._selfie.digest}"

    def segment(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The soft mask, (height, width) in [0, 1], of an RGB picture (height, width, 3)."""
        people = self.find_people(image)
        mask = draw_masks(people, image) if people else self._segment_selfie(image)
        return refine_mask(mask, image, max(round(max(image.shape) * REACH), 1))

    def _segment_selfie(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        side = (SELFIE_SIDE, SELFIE_SIDE)
        small = np.asarray(cv2.resize(image, side, interpolation=cv2.INTER_AREA), np.float32)
        [mask] = self._selfie.run(small / np.float32(255))
        return np.asarray(cv2.resize(mask[..., 0], image.shape[1::-1]), np.float32)


def draw_masks(people: Sequence[Found], image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The masks of people together, (height, width) in [0, 1]."""
    whole = np.zeros(image.shape[:2], np.float32)
    for person in people:
        matrix = person.region.to_picture(landmarks.SIDE)
        mask = cv2.warpAffine(person.look.mask, matrix, image.shape[1::-1], flags=cv2.INTER_LINEAR)
        whole = np.maximum(whole, mask)
    return whole
