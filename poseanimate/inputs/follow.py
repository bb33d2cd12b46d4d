"""One person's motion from a video, followed from frame to frame."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import numpy as np

from poseanimate.errors import NoCharacterError
from poseanimate.media import Video
from poseanimate.models.pose_detection import PoseDetector
from poseanimate.poses.motion import Motion
from poseanimate.poses.skeleton import NECK, FloatArray, Pose


def follow_person(video: Video, detector: PoseDetector, name: str) -> Generator[Pose, None, Motion]:
    """Yields one person's pose per frame: first the largest person, then whoever is nearest to the last position.

    A frame in which nobody is visible yields an absent pose (all confidences 0); the person is looked for again near
    where they were last seen.

    Args:
        name: of the motion.

    Returns:
        The poses as a motion on the video's canvas and at its rate.

    Raises:
        NoCharacterError: nobody is visible in any frame.
    """
    poses: list[Pose] = []
    last_xy: FloatArray | None = None
    most = 0
    for frame in video.frames:
        people = [pose for pose in detector.detect(frame) if pose.visible().any()]
        most = max(most, len(people))
        person = _choose(people, last_xy) if people else Pose.absent()
        last_xy = _position(person) if people else last_xy
        poses.append(person)
        yield person
    if most == 0:
        raise NoCharacterError(
            f"Nobody was found in any frame of {name}.",
            "Choose a video that shows one person, whole and not too small.",
        )
    height, width = video.frames[0].shape[:2]
    return Motion(tuple(poses), width, height, video.fps, name, most)


def _choose(people: Sequence[Pose], last_xy: FloatArray | None) -> Pose:
    if last_xy is None:
        return people[0]
    distances = [float(np.hypot(*(_position(pose) - last_xy))) for pose in people]
    return people[int(np.argmin(distances))]


def _position(pose: Pose) -> FloatArray:
    """(2,): the neck, or the mean of the visible joints."""
    seen = pose.visible()
    return pose.xy[NECK] if seen[NECK] else np.asarray(pose.xy[seen].mean(axis=0))
