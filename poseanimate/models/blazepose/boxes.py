"""BlazePose's first network: where people are, and how they lean.

An SSD on 224 x 224 px. For each of 2254 anchors it gives a box of the face, four points of the body, and a score. Two
of the points are enough: the middle of the hips, and one on the circle around the whole person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from poseanimate.poses.skeleton import FloatArray

SIDE = 224  # of the network's input, px
ANCHORS_AT_STRIDE = ((8, 2), (16, 2), (32, 6))  # for each cell of a grid
POINTS = 4
OVERLAP = 0.3
MARGIN = 1.25  # of the square around the circle


@dataclass(frozen=True)
class Region:
    """A turned square around a person, in pixels of the picture.

    centre: (2,), of the hips. up: (2,), from the centre to the middle of the upper side; as long as half the side.
    """

    centre: FloatArray
    up: FloatArray

    @staticmethod
    def around(hips: FloatArray, top: FloatArray) -> Region:
        """From the middle of the hips, and the point above the head on the circle around the person."""
        return Region(hips, (top - hips) * MARGIN)

    @property
    def side(self) -> float:
        """In pixels."""
        return 2 * float(np.hypot(*self.up))

    def to_picture(self, side: int) -> FloatArray:
        """(2, 3): maps pixels of the region, drawn upright on a square with this side, to the picture's."""
        scale = 2 / side
        down, right = -self.up, np.array([-self.up[1], self.up[0]])
        corner = self.centre + self.up - right
        return np.column_stack([right * scale, down * scale, corner])

    def crop(self, image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
        """The region, upright, (side, side, 3). Reduced by area first, so that fine patterns don't alias."""
        to_picture = self.to_picture(side)
        shrink = self.side / side
        if shrink > 2:
            size = [max(1, round(length / shrink)) for length in image.shape[1::-1]]
            ratio = np.array([size[0] / image.shape[1], size[1] / image.shape[0]])
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
            to_picture = to_picture * ratio[:, None]
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cropped = cv2.warpAffine(
            image, to_picture, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(cropped, np.uint8)


def letterbox(image: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float, FloatArray]:
    """The network's input (224, 224, 3) in [-1, 1], its pixel in pixels of the picture, and its corner there."""
    height, width = image.shape[:2]
    scale = max(height, width) / SIDE
    size = (max(1, round(width / scale)), max(1, round(height / scale)))
    method = cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR
    left, top = (SIDE - size[0]) // 2, (SIDE - size[1]) // 2
    canvas = np.full((SIDE, SIDE, 3), -1, np.float32)
    small = cv2.resize(image, size, interpolation=method).astype(np.float32)
    canvas[top : top + size[1], left : left + size[0]] = small / 127.5 - 1
    return canvas, scale, np.array([-left * scale, -top * scale])


def make_anchors() -> FloatArray:
    """(2254, 2): the anchors' centres in pixels of the network's input."""
    grids = []
    for stride, count in ANCHORS_AT_STRIDE:
        rows, columns = np.mgrid[: SIDE // stride, : SIDE // stride] + 0.5
        centres = np.stack([columns.ravel(), rows.ravel()], axis=1) * stride
        grids.append(np.repeat(centres, count, axis=0))
    return np.concatenate(grids)


def decode_people(
    raw: NDArray[np.float32],
    logits: NDArray[np.float32],
    anchors: FloatArray,
    score: float,
    most: int,
) -> list[tuple[float, FloatArray]]:
    """Scores and points (4, 2), in pixels of the network's input, by falling score.

    Args:
        raw: (2254, 12): centre and size of the face's box and four points, from the anchor, in pixels. logits: (2254,).
        score: from which it counts. most: how many people at most.
    """
    scores = 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -100, 100)))
    likely = np.flatnonzero(scores >= score)
    places = raw[likely].astype(np.float64)
    centre, size = places[:, :2] + anchors[likely], places[:, 2:4]
    boxes = np.concatenate([centre - size / 2, centre + size / 2], axis=1)
    points = places[:, 4:].reshape(-1, POINTS, 2) + anchors[likely][:, None]
    order = np.argsort(-scores[likely], kind="stable")
    return merge_overlapping(boxes[order], points[order], scores[likely][order], most)


def merge_overlapping(
    boxes: FloatArray, points: FloatArray, scores: Sequence[float] | FloatArray, most: int
) -> list[tuple[float, FloatArray]]:
    """Boxes (n, 4) by falling score that overlap become one person, with their points' mean weighted by the scores."""
    people: list[tuple[float, FloatArray]] = []
    weights = np.asarray(scores, np.float64)
    left = np.arange(len(boxes))
    while len(left) and len(people) < most:
        same = _overlap(boxes[left[0]], boxes[left]) > OVERLAP
        same[0] = True
        group = left[same]
        mean = np.average(points[group], axis=0, weights=weights[group])
        people.append((float(weights[group[0]]), mean))
        left = left[~same]
    return people


def _overlap(box: FloatArray, boxes: FloatArray) -> FloatArray:
    """(n,): intersection over union of a box with others."""
    corner = np.maximum(box[:2], boxes[:, :2])
    opposite = np.minimum(box[2:], boxes[:, 2:])
    common = np.prod(np.clip(opposite - corner, 0, None), axis=1)
    areas = np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1)
    own = float(np.prod(np.clip(box[2:] - box[:2], 0, None)))
    return np.asarray(common / np.maximum(areas + own - common, 1e-9))
