"""Pictures on their side: whether somebody is found once they are turned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from poseanimate.media import Frame
from poseanimate.models.pose_detection import PoseDetector
from poseanimate.poses.measures import torso_turn
from poseanimate.poses.skeleton import Pose

TURNS = (90, 270, 180)
MOST_FRAMES = 3


def find_turn(frames: Sequence[Frame], detector: PoseDetector) -> int:
    """How far pictures in which nobody is found have to be turned clockwise so that somebody stands in them.

    Looks at up to 3 of them, spread evenly.

    Returns:
        Degrees: 90, 180, 270, or 0 where nobody is found that way either.
    """
    count = min(len(frames), MOST_FRAMES)
    sampled = [frames[i] for i in np.linspace(0, len(frames) - 1, count).round().astype(int)]
    sureness = {
        turn: sum(_sureness(detector.detect(_turned(frame, turn))) for frame in sampled)
        for turn in TURNS
    }
    best = max(TURNS, key=lambda turn: sureness[turn])
    return best if sureness[best] else 0


def _turned(frame: Frame, degrees: int) -> Frame:
    return np.ascontiguousarray(np.rot90(frame, -degrees // 90))


def _sureness(people: Sequence[Pose]) -> float:
    """The confidences of the surest person who stands upright, together."""
    upright = [pose for pose in people if torso_turn(pose) == 0]
    return max((float(pose.confidence.sum()) for pose in upright), default=0.0)
