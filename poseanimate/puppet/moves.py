"""Where the pixels of a part come from, for a target pose: maps from the target's pixels back to the source's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseanimate.poses.skeleton import FloatArray

Map = NDArray[np.float32]

FOLDED = -0.2  # cosine of a bend from which two bones lie over each other
BOTH = 2.0  # from here on, in the same, the pixels of each bone are where it says alone
BEND = 1.0  # how far from a joint, in half-widths, both of its bones say where pixels are


@dataclass(frozen=True)
class Bone:
    """Where a bone is in the picture and in the target pose: (start, end), each (2,) px."""

    source: tuple[FloatArray, FloatArray]
    target: tuple[FloatArray, FloatArray]

    def back(self, grid: Map, scale: float) -> Map:
        """The source's points for points (..., 2) around the bone.

        The length follows the bone; the width, and what lies beyond its ends, only the figure's `scale`.
        """
        (start, u, length), (to, v, long) = (_axis(*bone) for bone in (self.source, self.target))
        offset = grid - to.astype(np.float32)
        t = offset @ v.astype(np.float32)
        across = offset @ np.array([-v[1], v[0]], np.float32)
        stretched = np.clip(t, 0, long) * (length / max(long, 1e-6))
        beyond = (t - np.clip(t, 0, long)) / scale
        at = (stretched + beyond)[..., None] * u.astype(np.float32)
        at = at + (across / scale)[..., None] * np.array([-u[1], u[0]], np.float32)
        return np.asarray(at + start.astype(np.float32), np.float32)

    @property
    def turn_rad(self) -> float:
        """From the target to the source."""
        (_, u, _), (_, v, _) = (_axis(*bone) for bone in (self.source, self.target))
        return float(np.arctan2(v[0] * u[1] - v[1] * u[0], u @ v))


@dataclass(frozen=True)
class Joint:
    """Where a bone follows on something else: around it both fade into each other.

    before: (2,), the direction in which that comes to the joint, in the target. wide: how far both reach, px.
    """

    bone: Bone
    before: FloatArray
    wide: float

    def share(self, grid: Map) -> Map:
        """(...,): how far points (..., 2) of the target are the bone's, from 0 to 1."""
        joint, direction, _ = _axis(*self.bone.target)
        across = _direction(self.before) + direction
        normal = _direction(across if np.linalg.norm(across) > 0.2 else direction)
        along = (grid - joint.astype(np.float32)) @ (normal / (2 * self.wide)).astype(np.float32)
        along = np.clip(along + np.float32(0.5), 0, 1)
        return np.asarray(along * along * (3 - 2 * along), np.float32)

    def near(self, grid: Map) -> Map:
        """(...,): 1 around the joint, where pixels of both are shown, and 0 away from it."""
        offset = grid - self.bone.target[0].astype(np.float32)
        away = np.hypot(offset[..., 0], offset[..., 1]) / np.float32(self.wide)
        return np.asarray(np.clip(2 * (BOTH - away), 0, 1), np.float32)

    def back(self, grid: Map, first: Map, first_turn: float, share: Map, scale: float) -> Map:
        """The source's points for points (..., 2), by the bone and, before the joint, by what it follows.

        first, first_turn: the source's points by that, and how far it turns them, in radians.
        """
        last = self.bone.back(grid, scale)
        found = first + share[..., None] * (last - first)
        # between two turns points keep their distance from the joint, so that it doesn't grow thin or pointed
        mixed = (share > 0) & (share < 1)
        half = (self.bone.turn_rad - first_turn + np.pi) % (2 * np.pi) - np.pi
        part = share[mixed]
        turn = np.exp(1j * (first_turn + part * half))
        turn -= (1 - part) * np.exp(1j * first_turn) + part * np.exp(1j * (first_turn + half))
        offset = (grid[mixed] - self.bone.target[0]) @ np.array([1, 1j]) * turn / scale
        found[mixed] += np.stack([offset.real, offset.imag], -1).astype(np.float32)
        return np.asarray(found, np.float32)


def are_folded(before: FloatArray, after: FloatArray) -> bool:
    """Whether a limb comes back along itself, from the directions (2,) of its bones."""
    return float(_direction(before) @ _direction(after)) < FOLDED


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


def _direction(vector: FloatArray) -> FloatArray:
    return _axis(np.zeros(2), vector)[1]
