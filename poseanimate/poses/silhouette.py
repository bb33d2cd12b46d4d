"""A character's silhouette drawn from its skeleton: thick limbs, a filled torso, a head disc.

The thickness is fitted to the source picture, where both skeleton and mask are known, and used for every pose.
(The paper takes frame masks from cross-attention alone; silhouettes are sharper where attention is coarse.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from poseanimate.poses.measures import torso_length
from poseanimate.poses.skeleton import PARENTS, Pose

FloatArray = NDArray[np.float64]
Mask = NDArray[np.float32]

TORSO = (2, 5, 11, 8)
MAX_THICKNESS_PX = 32767  # OpenCV draws no thicker lines
ENDS = (4, 7, 10, 13)  # wrists and ankles: hands and feet extend beyond them
FACE = (0, 14, 15, 16, 17)
LIMBS = np.array([0.06, 0.09, 0.12, 0.16, 0.2, 0.25])  # half-width, in torso lengths
TYPICAL_LIMB, TYPICAL_HEAD = 0.16, 0.6
HEADS = np.array([0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0])  # radius, in torso lengths


@dataclass(frozen=True)
class Silhouette:
    """limb: half-width of limbs; head: radius of the head disc; both in pixels of the canvas."""

    limb: float
    head: float

    @staticmethod
    def fit(pose: Pose, mask: Mask) -> Silhouette:
        """The silhouette that best overlaps the source's mask (H, W)."""
        torso = torso_length(pose)
        truth = mask > 0.5

        def overlap(limb: float, head: float) -> float:
            drawn = Silhouette(limb, head).draw(pose, *mask.shape[::-1]) > 0.5
            return float((drawn & truth).sum() / max((drawn | truth).sum(), 1))

        sizes = [(limb * torso, head * torso) for limb, head in product(LIMBS, HEADS)]
        return Silhouette(*max(sizes, key=lambda size: overlap(*size)))

    @staticmethod
    def typical(pose: Pose) -> Silhouette:
        """Typical proportions, without a mask to fit to."""
        torso = torso_length(pose)
        return Silhouette(TYPICAL_LIMB * torso, TYPICAL_HEAD * torso)

    def widened(self, factor: float) -> Silhouette:
        return Silhouette(self.limb * factor, self.head * factor)

    def draw(self, pose: Pose, width: int, height: int) -> Mask:
        """(height, width), 1 inside and 0 outside."""
        mask = np.zeros((height, width), np.uint8)
        xy, seen = pose.body[:, :2], pose.visible()
        thickness = min(max(round(2 * self.limb), 1), MAX_THICKNESS_PX)
        for joint, parent in enumerate(PARENTS):
            if parent >= 0 and seen[joint] and seen[parent]:
                end = xy[joint]
                if joint in ENDS:
                    bone = xy[joint] - xy[parent]
                    end = end + bone / max(np.linalg.norm(bone), 1e-6) * self.limb
                cv2.line(mask, _point(xy[parent]), _point(end), 1, thickness)
        if seen[list(TORSO)].all():
            corners = np.array([_point(xy[joint]) for joint in TORSO], np.int32)
            cv2.fillPoly(mask, [corners], 1)
            cv2.polylines(mask, [corners], True, 1, thickness)
        face = [joint for joint in FACE if seen[joint]]
        if face:
            cv2.circle(mask, _point(xy[face].mean(axis=0)), max(round(self.head), 1), 1, -1)
        return mask.astype(np.float32)


def draw_nearest_region(pose: Pose, others: Sequence[Pose], width: int, height: int) -> Mask:
    """(height, width): 1 where the pose's bones are nearer than any other pose's, else 0."""

    def distance(each: Pose) -> Mask:
        bones = Silhouette(0.5, 0.5).draw(each, width, height)
        if not bones.any():
            return np.full((height, width), np.inf, np.float32)
        away = cv2.distanceTransform(
            (bones == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
        )
        return np.asarray(away, np.float32)

    own = distance(pose)
    near = np.ones((height, width), np.float32)
    for each in others:
        near[distance(each) < own] = 0
    return near


def _point(xy: FloatArray) -> tuple[int, int]:
    return round(float(xy[0])), round(float(xy[1]))
