"""Where the pixels of a part come from, for a target pose: maps from the target's pixels back to the source's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poseanimate.poses.skeleton import FloatArray

Map = NDArray[np.float32]

SHORTEST, LONGEST = 0.15, 3.0  # of a bone's length in the source


def along_bone(
    grid: Map,
    source: tuple[FloatArray, FloatArray],
    target: tuple[FloatArray, FloatArray],
    scale: float,
) -> Map:
    """The source's points for points (..., 2) around a bone.

    The length follows the bone; the width, and what lies beyond its ends, only the figure's `scale`.
    """
    (start, u, length), (to, v, long) = (_axis(*bone) for bone in (source, target))
    offset = grid - to.astype(np.float32)
    t = offset @ v.astype(np.float32)
    across = offset @ np.array([-v[1], v[0]], np.float32)
    stretched = np.clip(t, 0, long) * (length / max(long, 1e-6))
    beyond = (t - np.clip(t, 0, long)) / scale
    at = (stretched + beyond)[..., None] * u.astype(np.float32)
    at = at + (across / scale)[..., None] * np.array([-u[1], u[0]], np.float32)
    return at + start.astype(np.float32)


def fit_affine(
    target: FloatArray, source: FloatArray, stiff: float, narrowest: float
) -> FloatArray:
    """(2, 3): the map of target joints (n, 2) to the source's, near a similarity.

    stiff: 1 is a similarity, 0 the least-squares affine map. narrowest: the least width, of the source's.
    """
    middle, back = target.mean(axis=0), source.mean(axis=0)
    a, b = target - middle, source - back
    # similarity, by complex numbers: source to target
    z, w = b[:, 0] + 1j * b[:, 1], a[:, 0] + 1j * a[:, 1]
    power = float((np.abs(z) ** 2).sum())
    turn = complex((np.conj(z) * w).sum() / power) if power > 0 else 1 + 0j
    if abs(turn) < 1e-3:
        turn = 1 + 0j
    similar = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    if len(target) >= 3:
        weight = stiff * power / len(target) + 1e-9
        normal = b.T @ b + weight * np.eye(2)
        forward = np.linalg.solve(normal, b.T @ a + weight * similar.T).T
    else:
        forward = similar
    forward = _held(forward, abs(turn), narrowest)
    inverse = np.linalg.inv(forward)
    return np.column_stack([inverse, back - inverse @ middle])


def _held(forward: FloatArray, size: float, narrowest: float) -> FloatArray:
    """A linear map that stretches between `narrowest` and 1 / `narrowest` of the size, and mirrors nothing."""
    u, s, vt = np.linalg.svd(forward)
    if np.linalg.det(u @ vt) < 0:
        s[1] = -s[1]
        s = np.abs(s)
        u[:, 1] = -u[:, 1]
    return np.asarray(u @ np.diag(np.clip(s, narrowest * size, size / narrowest)) @ vt)


def _axis(start: FloatArray, end: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    bone = end - start
    length = float(np.linalg.norm(bone))
    return start, (bone / length if length > 1e-6 else np.array([0.0, 1.0])), length
