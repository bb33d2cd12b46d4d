"""Antialiased drawing in the pocket world's units, into a picture and optionally a mask."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]
Point = Sequence[float] | NDArray[np.float64]

OVERSAMPLING = 3
SUBPIXEL_BITS = 4


def shade(colour: Colour, factor: float) -> Colour:
    """Darkens the colour (factor < 1) or moves it towards white (factor > 1, at most 2)."""
    if factor <= 1:
        red, green, blue = (round(c * factor) for c in colour)
    else:
        red, green, blue = (round(c + (255 - c) * (factor - 1)) for c in colour)
    return red, green, blue


class View(NamedTuple):
    """A part of a scene, in its pixels."""

    left: int
    top: int
    width: int
    height: int


class Canvas:
    """A picture of a scene of `width` x `height` pixels or of a `view` of it, drawn larger and scaled down at the end.

    Coordinates and lengths are in pixels of the scene. While `masked` is set, shapes also count as part of the
    character.
    """

    def __init__(self, width: int, height: int, view: View | None = None) -> None:
        self.width, self.height = width, height
        self.view = view or View(0, 0, width, height)
        size = (self.view.height * OVERSAMPLING, self.view.width * OVERSAMPLING)
        self._picture = np.zeros((*size, 3), np.uint8)
        self._mask = np.zeros(size, np.uint8)
        self.masked = False

    def polygon(self, points: Sequence[Point] | NDArray[np.float64], colour: Colour) -> None:
        """A filled polygon of any shape."""
        fixed = self._fixed(np.asarray(points, dtype=np.float64))
        for layer, value in self._layers(colour):
            cv2.fillPoly(layer, [fixed], value, cv2.LINE_AA, SUBPIXEL_BITS)

    def rectangle(
        self, left: float, top: float, width: float, height: float, colour: Colour
    ) -> None:
        right, bottom = left + width, top + height
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def ellipse(self, centre: Point, radii: Point, colour: Colour, angle_deg: float = 0.0) -> None:
        self.polygon(_ellipse(centre, radii, angle_deg), colour)

    def circle(self, centre: Point, radius: float, colour: Colour) -> None:
        self.ellipse(centre, (radius, radius), colour)

    def capsule(
        self, start: Point, end: Point, radius: float, end_radius: float, colour: Colour
    ) -> None:
        """The convex hull of two discs: a limb."""
        discs = [_ellipse(start, (radius, radius)), _ellipse(end, (end_radius, end_radius))]
        hull = cv2.convexHull(np.concatenate(discs).astype(np.float32))
        self.polygon(hull[:, 0].astype(np.float64), colour)

    def line(self, points: Sequence[Point], width: float, colour: Colour) -> None:
        """An open line with round ends."""
        for start, end in pairwise(points):
            self.capsule(start, end, width / 2, width / 2, colour)

    def shadow(self, centre: Point, radii: Point, strength: float) -> None:
        """Darkens an ellipse, most in its middle and nothing at its rim; never part of a mask."""
        middle = (np.asarray(centre, np.float64) - self.view[:2]) * OVERSAMPLING
        reach = np.asarray(radii, np.float64) * OVERSAMPLING
        low = np.maximum((middle - reach).astype(int), 0)
        high = np.minimum((middle + reach).astype(int) + 1, self._mask.shape[::-1])
        if (high <= low).any():
            return
        x, y = (np.arange(a, b) for a, b in zip(low, high, strict=True))
        away = ((x - middle[0]) / reach[0])[None] ** 2 + ((y - middle[1]) / reach[1])[:, None] ** 2
        light = 1 - strength * np.clip(1 - away, 0, 1) ** 0.7
        part = self._picture[low[1] : high[1], low[0] : high[0]]
        part[...] = (part * light[..., None]).round()

    def gradient(self, top: float, bottom: float, upper: Colour, lower: Colour) -> None:
        """A full-width band fading from `upper` to `lower`; never part of a mask."""
        first, last = (round((y - self.view.top) * OVERSAMPLING) for y in (top, bottom))
        weight = np.linspace(0, 1, max(last - first, 1))[:, None]
        rows = (1 - weight) * np.array(upper) + weight * np.array(lower)
        start, stop = np.clip((first, last), 0, len(self._picture))
        rows = rows[start - first : stop - first]
        self._picture[start:stop] = rows[:, None, :].round().astype(np.uint8)

    def paste(self, other: Canvas) -> None:
        """Starts from a finished drawing of the same view."""
        self._picture[:] = other._picture

    def picture(self) -> NDArray[np.uint8]:
        """(h, w, 3) RGB of the view."""
        size = self.view[2:]
        return np.asarray(cv2.resize(self._picture, size, interpolation=cv2.INTER_AREA), np.uint8)

    def mask(self) -> NDArray[np.float32]:
        """(h, w) in [0, 1] of the view."""
        size = self.view[2:]
        mask = cv2.resize(self._mask, size, interpolation=cv2.INTER_AREA)
        return np.asarray(mask, np.float32) / np.float32(255)

    def _layers(self, colour: Colour) -> list[tuple[NDArray[np.uint8], tuple[int, ...]]]:
        layers: list[tuple[NDArray[np.uint8], tuple[int, ...]]] = [(self._picture, colour)]
        if self.masked:
            layers.append((self._mask, (255,)))
        return layers

    def _fixed(self, points: NDArray[np.float64]) -> NDArray[np.int32]:
        # OpenCV's pixel centres are at whole numbers, ours half a pixel further
        scaled = ((points - self.view[:2]) * OVERSAMPLING - 0.5) * (1 << SUBPIXEL_BITS)
        return np.asarray(scaled.round(), np.int32)


def _ellipse(centre: Point, radii: Point, angle_deg: float = 0.0) -> NDArray[np.float64]:
    turn = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    angle = np.deg2rad(angle_deg)
    x, y = radii[0] * np.cos(turn), radii[1] * np.sin(turn)
    rotated = [x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)]
    return np.asarray(centre, np.float64) + np.stack(rotated, axis=1)
