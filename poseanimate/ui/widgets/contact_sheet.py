"""The contact sheet of a run: finished frames, predicted ones with a border, skeletons for the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from poseanimate.media import tiled

Picture = NDArray[np.uint8]

WIDTH_PX = 1024
GAP_PX = 6
BORDER_PX = 4
PREDICTED_RGB = (245, 158, 11)
PAPER_RGB = (128, 128, 128)


class ContactSheet:
    """All frames of a clip in reading order.

    Args:
        skeletons: shown for each frame until it is painted, (h, w, 3) uint8.
        width, height: of the clip's frames, px; small frames are enlarged by a whole factor.
    """

    def __init__(self, skeletons: Sequence[Picture], width: int, height: int) -> None:
        self.columns = math.ceil(math.sqrt(len(skeletons)))
        room = (WIDTH_PX - GAP_PX * (self.columns - 1)) / self.columns / width
        factor = math.floor(room) if room >= 1 else room
        self.tile = (max(1, round(width * factor)), max(1, round(height * factor)))
        self._tiles = [self._fitted(picture) for picture in skeletons]

    def finish(self, index: int, picture: Picture) -> None:
        """Shows the finished frame `index`."""
        self._tiles[index] = self._fitted(picture)

    def predict(self, index: int, picture: Picture) -> None:
        """Shows frame `index` as predicted so far, with a border."""
        tile = self._fitted(picture).copy()
        for edge in (
            np.s_[:BORDER_PX],
            np.s_[-BORDER_PX:],
            np.s_[:, :BORDER_PX],
            np.s_[:, -BORDER_PX:],
        ):
            tile[edge] = PREDICTED_RGB
        self._tiles[index] = tile

    def picture(self) -> Picture:
        """The sheet, (H, W, 3) uint8."""
        return tiled(self._tiles, self.columns, GAP_PX, PAPER_RGB)

    def _fitted(self, picture: Picture) -> Picture:
        if picture.shape[1::-1] == self.tile:
            return picture
        smaller = picture.shape[1] > self.tile[0]
        interpolation = cv2.INTER_AREA if smaller else cv2.INTER_LANCZOS4
        return np.asarray(cv2.resize(picture, self.tile, interpolation=interpolation), np.uint8)


def enlargement(width: int, height: int, side_px: int = 512) -> int:
    """The whole factor that brings a clip's short side near `side_px`."""
    return max(1, round(side_px / min(width, height)))
