"""What a figure is drawn on: layers looked up where maps say, and laid over each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from poseanimate.poses.skeleton import FloatArray
from poseanimate.puppet.areas import Picture
from poseanimate.puppet.moves import Map
from poseanimate.puppet.parts import Part

Box = tuple[slice, slice]


class Canvas:
    """(height, width, 4 or 5) float32 of 255: RGB multiplied by alpha, alpha, and how much of it is believed.

    step: maps are smooth, so that they are made for every so many pixels alone.
    believed: whether the fifth is asked for.
    """

    def __init__(self, height: int, width: int, step: int, believed: bool = False) -> None:
        self.pixels = np.zeros((height, width, 5 if believed else 4), np.float32)
        self.step = step

    def window(self, points: FloatArray | Map, reach: float) -> Window | None:
        """The part of the canvas within reach of points (n, 2), px; None where that is nothing."""
        height, width = self.pixels.shape[:2]
        left, top = np.floor(points.min(axis=0) - reach).astype(int)
        right, bottom = np.ceil(points.max(axis=0) + reach).astype(int)
        left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
        if left >= right or top >= bottom:
            return None
        box = (slice(int(top), int(bottom)), slice(int(left), int(right)))
        return Window(self.pixels[box], box, self.step)

    def lay_before(self, behind: Picture) -> Picture:
        """A picture (height, width, 3) behind what was drawn."""
        found = behind.copy()
        if (box := _covered(self.pixels[..., 3])) is not None:
            figure = self.pixels[box]
            mixed = figure[..., :3] + behind[box] * (1 - figure[..., 3:4] / 255)
            found[box] = mixed.round().clip(0, 255)
        return found


@dataclass(frozen=True, eq=False)
class Window:
    """A part of a canvas, (h, w, 4 or 5), where it lies, and how many pixels lie between the points of its grid."""

    pixels: NDArray[np.float32]
    box: Box
    step: int

    @property
    def grid(self) -> Map:
        """(n, m, 2): x and y of points all over the window and around it."""
        ends = ((side.start, side.stop) for side in self.box)
        rows, columns = (
            start + self.step * (np.arange(-1, -(-(stop - start) // self.step) + 1) + 0.5) - 0.5
            for start, stop in ends
        )
        found = np.meshgrid(columns.astype(np.float32), rows.astype(np.float32))
        return np.asarray(np.stack(found, -1))

    def lay(self, part: Part, back: Map, shown: Map | None = None, trust: float = 1.0) -> None:
        """Lays a part's pixels over what is there; `trust` says how far they are believed.

        back: (n, m, 2), where those of the grid's points lie in the picture. shown: (n, m), how much of them, 0 to 1.
        """
        planes = back if shown is None else np.dstack([back, shown])
        fine = self._fine(np.ascontiguousarray(planes, np.float32))
        x, y = fine[..., 0] - np.float32(part.left), fine[..., 1] - np.float32(part.top)
        layer = cv2.remap(part.layer, x, y, cv2.INTER_LINEAR)
        box = _covered(layer[..., 3])
        if box is None:
            return
        upper = layer[box].astype(np.float32)
        if shown is not None:
            upper *= fine[box][..., 2:]
        under = self.pixels[box]
        under *= 1 - upper[..., 3:] / 255
        under[..., :4] += upper
        under[..., 4:] += trust * upper[..., 3:]

    def _fine(self, planes: Map) -> Map:
        """Values (n, m, c) at the grid's points, for each pixel."""
        if self.step > 1:
            rows, columns = planes.shape[:2]
            size = (columns * self.step, rows * self.step)
            planes = np.asarray(cv2.resize(planes, size, interpolation=cv2.INTER_LINEAR))
        height, width = self.pixels.shape[:2]
        return planes[self.step : self.step + height, self.step : self.step + width]


def _covered(alpha: NDArray[Any]) -> Box | None:
    """The smallest part with all that is there; None where there is nothing."""
    left, top, width, height = cv2.boundingRect((alpha > 0).astype(np.uint8))
    return None if width == 0 else (slice(top, top + height), slice(left, left + width))
