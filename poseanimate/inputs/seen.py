"""People found in frames of videos, kept: whatever part of a video is read next, no frame is looked at twice."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

import numpy as np

from poseanimate.media import Frame
from poseanimate.models.pose_detection import PoseDetector, start_tracking
from poseanimate.poses.skeleton import Pose
from poseanimate.storage.recent import Recent

MOST = 8192  # frames and people together: at most 30 MB

_Key = tuple[str, tuple[int, ...], bytes]


class SeenPeople:
    """Remembers what detectors found in frames; several threads may use it.

    A frame is known by its pixels and by the detector's identity, so neither files nor rotations nor detectors mix.
    What was seen longest ago is forgotten first.

    Args:
        most: how many frames and people are kept together.
    """

    def __init__(self, most: int = MOST) -> None:
        self._found = Recent[_Key, tuple[Pose, ...]](most, lambda people: 1 + len(people))

    def start_tracking(self, detector: PoseDetector) -> Callable[[Frame], list[Pose]]:
        """What finds people in the frames of one video, given in their order; the detector looks at new ones alone.

        A detector that follows people can't follow them through frames that it isn't shown: after such frames it begins
        as with a new video.
        """
        track = start_tracking(detector)
        before: _Key | None = None
        tracked: _Key | None = None  # the last frame that the detector was shown

        def detect(frame: Frame) -> list[Pose]:
            nonlocal track, before, tracked
            pixels = blake2b(np.ascontiguousarray(frame).data, digest_size=16).digest()
            key = (detector.identity, frame.shape, pixels)
            people = self._found.get(key)
            if people is None:
                if before != tracked:
                    track = start_tracking(detector)
                people = tuple(track(frame))
                tracked = key
                self._found.put(key, people)
            before = key
            return list(people)

        return detect
