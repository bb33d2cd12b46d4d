"""What `fuzz` asks of a reader: inputs, and what a result must be."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

from poseanimate.media import Video, VideoLimits
from poseanimate.poses.motion import Motion
from poseanimate.poses.skeleton import Pose


@dataclass(frozen=True)
class Reader:
    """make: an input, by a generator of random numbers. read: reads it, and demands what a result must be."""

    make: Callable[[Generator], Any]
    read: Callable[[Any], None]
    max_mb: int = 400  # of memory, with the program itself


class WrongResultError(Exception):
    """A reader's result is outside its limits."""


def demand(condition: bool, what: str) -> None:
    if not condition:
        raise WrongResultError(what)


def with_file(read: Callable[[Path], None], data: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        read(Path(file.name))


def demand_video(video: Video) -> None:
    limits = VideoLimits()
    demand(1 <= len(video.frames) <= limits.max_frames, f"{len(video.frames)} frames")
    demand(math.isfinite(video.fps) and 0 < video.fps <= 240, f"rate {video.fps}")
    shapes = {frame.shape for frame in video.frames}
    height, width, channels = shapes.pop()
    demand(not shapes and channels == 3, "frames of several shapes")
    demand(min(width, height) > 0 and max(width, height) <= limits.max_side_px, "their size")


def demand_motion(motion: Motion) -> None:
    demand(1 <= len(motion.poses) <= 2000, f"{len(motion.poses)} poses")
    demand(0.1 <= motion.fps <= 240, f"rate {motion.fps}")
    demand(all(note.endswith(".") for note in motion.notes), f"notes {motion.notes}")
    demand_poses(motion.poses)


def demand_poses(poses: Sequence[Pose]) -> None:
    for pose in poses:
        parts = [pose.body, pose.left_hand, pose.right_hand, pose.face]
        demand(all(np.isfinite(p).all() for p in parts if p is not None), "not finite")
