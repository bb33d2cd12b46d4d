"""People as DWPose sees them: bodies with a face of 68 points, at random."""

from __future__ import annotations

import math

import numpy as np

from poseanimate.poses.skeleton import (
    FACE_POINTS,
    L_EAR,
    L_EYE,
    NECK,
    NOSE,
    R_EAR,
    R_EYE,
    FloatArray,
    Pose,
)


def turned(points: FloatArray, angle_rad: float) -> FloatArray:
    """Points (n, 2) turned clockwise about the origin, as y points down."""
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    return np.asarray(points @ np.array([[cos, sin], [-sin, cos]]))


def ellipse(x: float, y: float, wide: float, high: float, count: int) -> FloatArray:
    turns = np.linspace(math.pi, 3 * math.pi, count, endpoint=False)
    return np.column_stack([x + wide * np.cos(turns), y + high * np.sin(turns)])


def face_points(rng: np.random.Generator) -> FloatArray:
    """(68, 2) in the common order, the eyes at (-0.5, 0) and (0.5, 0), y down; no two are alike."""
    high, wide = rng.uniform(0.85, 1.15), rng.uniform(0.9, 1.1)
    lids, lips, brows = rng.uniform(0.03, 0.12), rng.uniform(0.05, 0.3), rng.uniform(0.25, 0.4)
    jaw = np.linspace(0, math.pi, 17)
    brow = np.linspace(0, math.pi, 5)
    bow = np.column_stack([-0.57 - 0.38 * np.cos(brow), -brows - 0.12 * np.sin(brow)])
    return np.concatenate(
        [
            np.column_stack([-1.08 * wide * np.cos(jaw), 1.75 * high * np.sin(jaw) ** 0.9]),
            bow,
            bow[::-1] * (-1, 1),
            np.column_stack([np.zeros(4), np.linspace(0, 0.6, 4)]),
            np.column_stack([np.linspace(-0.25, 0.25, 5), [0.72, 0.77, 0.8, 0.77, 0.72]]),
            ellipse(-0.5, 0, 0.2, lids, 6),
            ellipse(0.5, 0, 0.2, lids, 6),
            ellipse(0, 1.15 * high, 0.38, 0.1 + lips, 12),
            ellipse(0, 1.15 * high, 0.28, lips, 8),
        ]
    )


def with_face(body: FloatArray, seed: int, between_eyes_px: float) -> Pose:
    """The body with a face over its neck, turned a little to the side, and the head's joints at their places in it."""
    rng = np.random.default_rng(seed)
    body = np.array(body)
    yaw = rng.uniform(-0.35, 0.35)  # moves what is near the camera against the rest
    head = np.array(
        [
            [yaw, 0.6],
            [-0.5 + yaw / 2, 0],
            [0.5 + yaw / 2, 0],
            [-1.2 - yaw / 2, 0.15],
            [1.2 - yaw / 2, 0.15],
        ]
    )
    face = face_points(rng)
    face[17:, 0] += yaw / 2
    face[27:36, 0] += yaw / 2
    roll = rng.uniform(-0.4, 0.4)
    over = body[NECK, :2] + turned(np.array([[0, -2.6 * between_eyes_px]]), roll / 2)
    joints = [NOSE, R_EYE, L_EYE, R_EAR, L_EAR]
    body[joints, :2] = over + between_eyes_px * turned(head, roll) + rng.uniform(-1, 1, (5, 2))
    body[joints, 2] = 1
    points = np.zeros((FACE_POINTS, 3))
    points[:68, :2] = over + between_eyes_px * turned(face, roll) + rng.uniform(-0.5, 0.5, (68, 2))
    points[:68, 2] = 1
    return Pose(body, face=points)
