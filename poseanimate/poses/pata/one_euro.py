"""The One-Euro filter (Casiez, Roussel and Vogel, CHI 2012) over a whole clip.

Unlike the original, it averages a forward and a backward pass, since the whole clip is known and
the two lags cancel.
"""

from __future__ import annotations

import math

import numpy as np

from poseanimate.poses.skeleton import BoolArray, FloatArray

_SPEED_CUTOFF_HZ = 1.0


def one_euro(
    values: FloatArray, seen: BoolArray, fps: float, cutoff_hz: float, beta: float
) -> FloatArray:
    """Removes jitter from values and keeps fast movements.

    Args:
        values: (frames, tracks, dims); returned unchanged where not seen.
        seen: (frames, tracks); a track starts afresh after every gap.
        fps: frames per second.
        cutoff_hz: cutoff frequency at rest; lower is smoother.
        beta: how much the cutoff rises per unit of speed (units of `values` per second).
    """
    forwards = _one_way(values, seen, fps, cutoff_hz, beta)
    backwards = _one_way(values[::-1], seen[::-1], fps, cutoff_hz, beta)[::-1]
    return np.where(seen[..., None], (forwards + backwards) / 2, values)


def _one_way(
    values: FloatArray, seen: BoolArray, fps: float, cutoff_hz: float, beta: float
) -> FloatArray:
    smoothed = values.copy()
    velocity = np.zeros_like(values[0])
    for i in range(1, len(values)):
        goes_on = (seen[i] & seen[i - 1])[:, None]
        raw_velocity = (values[i] - smoothed[i - 1]) * fps
        velocity += _weight(_SPEED_CUTOFF_HZ, fps) * (raw_velocity - velocity)
        velocity = np.where(goes_on, velocity, 0.0)
        speed = np.linalg.norm(velocity, axis=1, keepdims=True)
        weight = _weight(cutoff_hz + beta * speed, fps)
        followed = smoothed[i - 1] + weight * (values[i] - smoothed[i - 1])
        smoothed[i] = np.where(goes_on, followed, values[i])
    return smoothed


def _weight(cutoff_hz: FloatArray | float, fps: float) -> FloatArray:
    """Weight of the new value in exponential smoothing with this cutoff."""
    return np.asarray(1.0 / (1.0 + fps / (2 * math.pi * cutoff_hz)))
