"""Which constant rate a video is read at."""

from __future__ import annotations

import math

UNKNOWN_FPS = 30.0
MIN_FPS, MAX_FPS = 0.1, 240.0
STEADY_FROM_FPS = 24.0  # a mean rate from here on loses no motion
_NTSC_RATES = (
    24,
    30,
    48,
    60,
    120,
)  # times 1000/1001 where two decimals are told: 23.98, 29.97, ...


def choose_rate(mean: float | None, base: float | None) -> tuple[float, bool]:
    """The rate to read at, and whether the file's own rate varies.

    A file whose frames come at irregular times has a low mean and a higher base rate: a screen
    recording at 30 frames a second stores only those that change. Such a file is read at its base
    rate, at most 30, by its time stamps.

    Args:
        mean: frames by seconds; None if unknown.
        base: the lowest rate that has room for every frame; None if unknown or absurd.
    """
    if mean is None:
        return (UNKNOWN_FPS if base is None else _bounded(base)), False
    if mean >= STEADY_FROM_FPS or (base is not None and abs(mean - base) <= 0.02 * base):
        return _bounded(mean), False
    base = max(base or UNKNOWN_FPS, mean)
    return _bounded(base / max(1, math.ceil(base / UNKNOWN_FPS - 0.01))), True


def _bounded(fps: float) -> float:
    fps = min(max(fps, MIN_FPS), MAX_FPS)
    ntsc = round(fps) * 1000 / 1001
    return ntsc if round(fps) in _NTSC_RATES and abs(fps - ntsc) < 0.005 else fps
