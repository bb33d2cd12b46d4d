"""A still picture as a motion: a pose to reach and hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from poseanimate.errors import MotionError
from poseanimate.media import Video, VideoLimits, load_picture

STILL_FPS = 12.0
HOLD_S = 1.0


def read_still(
    path: Path, start_s: float = 0.0, end_s: float | None = None, stride: int = 1, rotate: int = 0
) -> Video:
    """A picture as a video that stands still, for a second or as long as the part from start_s to end_s.

    Args:
        stride: divides the rate, as of a video.
        rotate: degrees by which to turn it clockwise: a multiple of 90.

    Raises:
        MotionError: the part is empty or too long.
        PictureError: see `load_picture`.
    """
    limits = VideoLimits()
    seconds = (start_s + HOLD_S if end_s is None else end_s) - start_s
    if start_s < 0 or not 0 < seconds <= limits.max_seconds / 2 or stride < 1:
        raise MotionError(
            f"A still picture can't be held for {seconds:g} s with a stride of {stride}.",
            f"Give a start from 0, an end up to {limits.max_seconds / 2:g} s after it, and a stride from 1.",
        )
    picture = load_picture(path)
    picture.thumbnail((limits.max_side_px, limits.max_side_px))
    frame = np.rot90(np.asarray(picture), -rotate // 90).copy()
    return Video([frame] * max(1, round(seconds * STILL_FPS / stride)), STILL_FPS / stride)
