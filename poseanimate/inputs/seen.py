"""People found in frames of videos, kept: whatever part of a video is read next, no frame is looked at twice."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b

import numpy as np

from poseanimate.media import Frame
from poseanimate.models.pose_detection import PoseDetector, start_tracking
from poseanimate.poses.skeleton import Pose

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
        self._most, self._size = most, 0
        self._found: OrderedDict[_Key, tuple[Pose, ...]] = OrderedDict()
        self._lock = threading.Lock()

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
            people = self._get(key)
            if people is None:
                if before != tracked:
                    track = start_tracking(detector)
                people = tuple(track(frame))
                tracked = key
                self._put(key, people)
            before = key
            return list(people)

        return detect

    def _get(self, key: _Key) -> tuple[Pose, ...] | None:
        with self._lock:
            people = self._found.get(key)
            if people is not None:
                self._found.move_to_end(key)
            return people

    def _put(self, key: _Key, people: tuple[Pose, ...]) -> None:
        with self._lock:
            if key in self._found:  # another thread was faster
                return
            self._found[key] = people
            self._size += 1 + len(people)
            while self._size > self._most:
                self._size -= 1 + len(self._found.popitem(last=False)[1])
