"""BlazePose's second network: 33 landmarks of the person in a region, whether there is one, and the person's mask."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from poseanimate.models.blazepose.boxes import Region
from poseanimate.poses.skeleton import (
    JOINTS,
    L_SHOULDER,
    NECK,
    R_SHOULDER,
    THRESHOLD,
    FloatArray,
    Pose,
)

SIDE = 256  # of the network's input, px
HEAT_SIDE = 64
LANDMARKS, ALL_LANDMARKS = 33, 39
HIPS, CIRCLE = 33, 34  # what the next region is around
PEAK, REACH = 0.5, 3  # heat that corrects a landmark, and how far around it in cells
OUTSIDE_PX = 8  # a joint further outside the mask is none, px of the region
# BlazePose's landmarks in the order of OpenPose's joints; the neck is between the shoulders
BODY = (0, -1, 12, 14, 16, 11, 13, 15, 24, 26, 28, 23, 25, 27, 5, 2, 8, 7)
LANDMARKS_OF_BODY = [landmark for landmark in BODY if landmark >= 0]
# the same landmark on the other side: the eyes' corners, then pairs from the ears to the feet; the rest are no sides
OTHER_SIDE = [0, 4, 5, 6, 1, 2, 3]
OTHER_SIDE += [n + 1 if n % 2 else n - 1 for n in range(len(OTHER_SIDE), LANDMARKS)]
OTHER_SIDE += range(LANDMARKS, ALL_LANDMARKS)


@dataclass(frozen=True, eq=False)
class Look:
    """What the network sees in an upright region.

    points: (39, 2) in pixels of the region. confidence: (39,). mask: (256, 256). presence: that there is somebody. All
    but the points in [0, 1].
    """

    points: FloatArray
    confidence: FloatArray
    mask: NDArray[np.float32]
    presence: float

    @staticmethod
    def read(
        raw: NDArray[np.float32],
        presence: float,
        mask: NDArray[np.float32],
        heat: NDArray[np.float32],
    ) -> Look:
        """From the network's outputs.

        Args:
            raw: (39, 5): x, y and depth in pixels of the region, visibility and presence as logits.
            mask: (256, 256), heat: (64, 64, 39), as logits.
        """
        points = raw[:, :2].astype(np.float64)
        points[:LANDMARKS] = refine(points[:LANDMARKS], _sigmoid(heat[..., :LANDMARKS]))
        confidence = (_sigmoid(raw[:, 3]) * _sigmoid(raw[:, 4])).astype(np.float64)
        return Look(points, confidence, _sigmoid(mask), presence)

    def mirrored(self) -> Look:
        """The same look at the mirror image of the region."""
        points = self.points[OTHER_SIDE]
        points[:, 0] = SIDE - points[:, 0]
        mask = np.ascontiguousarray(self.mask[:, ::-1])
        return Look(points, self.confidence[OTHER_SIDE], mask, self.presence)

    def averaged(self, other: Look) -> Look:
        """The mean of two looks at one region."""
        return Look(
            (self.points + other.points) / 2,
            (self.confidence + other.confidence) / 2,
            np.asarray((self.mask + other.mask) / 2, np.float32),
            (self.presence + other.presence) / 2,
        )

    def place(self, region: Region) -> FloatArray:
        """(39, 2): the points in pixels of the picture."""
        matrix = region.to_picture(SIDE)
        return np.asarray(self.points @ matrix[:, :2].T + matrix[:, 2])

    def following(self, region: Region) -> Region:
        """The region around these landmarks, for the next look."""
        xy = self.place(region)
        return Region.around(xy[HIPS], xy[CIRCLE])

    def build_pose(self, region: Region, width: int, height: int) -> Pose:
        """OpenPose's 18 joints in pixels of the picture; outside it, and far outside the mask, they are absent."""
        reached = cv2.dilate(self.mask, np.ones((2 * OUTSIDE_PX + 1,) * 2, np.uint8))
        x, y = np.clip(self.points.round().astype(int), 0, SIDE - 1).T
        covered = np.asarray(reached)[y, x] > 0.5
        return build_pose(self.place(region), self.confidence * covered, width, height)

    def seen(self) -> NDArray[np.bool_]:
        """(39,): the landmarks of the body that are seen."""
        seen = np.zeros(ALL_LANDMARKS, bool)
        seen[LANDMARKS_OF_BODY] = self.confidence[LANDMARKS_OF_BODY] >= THRESHOLD
        return seen


def build_pose(xy: FloatArray, confidence: FloatArray, width: int, height: int) -> Pose:
    """OpenPose's 18 joints from landmarks (n, 2) with confidences (n,); joints outside the picture are absent."""
    body = np.zeros((JOINTS, 3))
    body[:, :2], body[:, 2] = xy[list(BODY)], confidence[list(BODY)]
    shoulders = body[[R_SHOULDER, L_SHOULDER]]
    body[NECK] = *shoulders[:, :2].mean(axis=0), shoulders[:, 2].min()
    x, y = body[:, 0], body[:, 1]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return Pose(body * inside[:, None])


def refine(points: FloatArray, heat: NDArray[np.float32]) -> FloatArray:
    """Points (n, 2) in pixels of the region, moved to the middle of the heat (64, 64, n) around them where it peaks."""
    refined = points.copy()
    scale = SIDE / HEAT_SIDE
    for number, (x, y) in enumerate(points / scale):
        row, column = int(y), int(x)
        if not (0 <= row < HEAT_SIDE and 0 <= column < HEAT_SIDE):
            continue
        top, left = max(row - REACH, 0), max(column - REACH, 0)
        near = heat[top : row + REACH + 1, left : column + REACH + 1, number].astype(np.float64)
        if near.max() < PEAK:
            continue
        rows, columns = np.indices(near.shape)
        total = near.sum()
        refined[number] = (
            np.array([(near * columns).sum() / total + left, (near * rows).sum() / total + top])
            * scale
        )
    return refined


def _sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -60, 60))), np.float32)
