"""BlazePose's second network: 33 landmarks of the person in a region, whether there is one, and the person's mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseanimate.models.blazepose.boxes import Region
from poseanimate.poses.skeleton import JOINTS, L_SHOULDER, NECK, R_SHOULDER, FloatArray, Pose

SIDE = 256  # of the network's input, px
HEAT_SIDE = 64
LANDMARKS, ALL_LANDMARKS = 33, 39
HIPS, CIRCLE = 33, 34  # what the next frame's region is around
PRESENCE = 0.5
PEAK, REACH = 0.5, 3  # heat that corrects a landmark, and how far around it in cells
# BlazePose's landmarks in the order of OpenPose's joints; the neck is between the shoulders
BODY = (0, -1, 12, 14, 16, 11, 13, 15, 24, 26, 28, 23, 25, 27, 5, 2, 8, 7)


@dataclass(frozen=True, eq=False)
class Found:
    """A person.

    pose: in pixels of the picture. presence: in [0, 1], that there is somebody. region: where the network looked.
    mask: (256, 256) in [0, 1], on the upright region. following: the region around the landmarks, for the next frame.
    """

    pose: Pose
    presence: float
    region: Region
    mask: NDArray[np.float32]
    following: Region


def read_person(
    raw: NDArray[np.float32],
    presence: float,
    mask: NDArray[np.float32],
    heat: NDArray[np.float32],
    region: Region,
    width: int,
    height: int,
) -> Found:
    """The person in a region of a picture.

    Args:
        raw: (39, 5): x, y and depth in pixels of the region, visibility and presence as logits.
        mask: (256, 256), heat: (64, 64, 39), as logits.
        width, height: of the picture; joints outside are absent.
    """
    points = raw[:, :2].astype(np.float64)
    points[:LANDMARKS] = refine(points[:LANDMARKS], _sigmoid(heat[..., :LANDMARKS]))
    matrix = region.to_picture(SIDE)
    xy = points @ matrix[:, :2].T + matrix[:, 2]
    confidence = (_sigmoid(raw[:, 3]) * _sigmoid(raw[:, 4])).astype(np.float64)
    return Found(
        pose=build_pose(xy, confidence, width, height),
        presence=presence,
        region=region,
        mask=_sigmoid(mask),
        following=Region.around(xy[HIPS], xy[CIRCLE]),
    )


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
