"""One person's motion from a video, followed from frame to frame."""

from __future__ import annotations

from collections.abc import Generator

from poseanimate.errors import NoCharacterError
from poseanimate.inputs.seen import SeenPeople
from poseanimate.inputs.turned import find_turn
from poseanimate.media import Video
from poseanimate.models.pose_detection import PoseDetector
from poseanimate.poses.drawn import DrawnSkeletons, drop_outliers, is_drawn
from poseanimate.poses.follow import Follower
from poseanimate.poses.motion import Motion
from poseanimate.poses.skeleton import Pose


def follow_person(
    video: Video, detector: PoseDetector, name: str, seen: SeenPeople | None = None
) -> Generator[Pose, None, Motion]:
    """Yields one person's pose per frame: first the largest person, then whoever is nearest to the last position.

    A frame in which nobody is visible yields an absent pose (all confidences 0); the person is looked for again near
    where they were last seen. A video of drawn skeletons is read by colour, without the detector; afterwards joints
    that were misread for a moment are dropped from the motion.

    Args:
        name: of the motion.
        seen: what was found in frames before; the detector looks at others alone.

    Returns:
        The poses as a motion on the video's canvas and at its rate.

    Raises:
        NoCharacterError: nobody is visible in any frame. It says if somebody is once the video is turned.
        MotionError: poses are drawn in a form that can't be read.
    """
    drawn = is_drawn(video.frames)
    detect = (seen or SeenPeople()).start_tracking(DrawnSkeletons() if drawn else detector)
    poses: list[Pose] = []
    follower = Follower()
    most = 0
    for frame in video.frames:
        people = [pose for pose in detect(frame) if pose.visible().any()]
        most = max(most, len(people))
        person = follower.choose(people)
        poses.append(person)
        yield person
    if most == 0:
        raise _nobody(video, 0 if drawn else find_turn(video.frames, detector), name)
    height, width = video.frames[0].shape[:2]
    return Motion(
        drop_outliers(poses) if drawn else tuple(poses),
        width,
        height,
        video.fps,
        name,
        most,
        notes=("Read from drawn skeletons.",) if drawn else (),
        start_s=video.start_s,
        rotate=video.rotate,
    )


def _nobody(video: Video, turn: int, name: str) -> NoCharacterError:
    """turn: degrees clockwise by which it shows somebody; 0 where it doesn't either."""
    where = f"any frame of {name}" if len(video.frames) > 1 else name
    if not turn:
        return NoCharacterError(
            f"Nobody was found in {where}.",
            "Choose one that shows one person, whole and not too small.",
        )
    rotate = (video.rotate + turn) % 360
    turned = f"turned by {rotate} degrees clockwise" if rotate else "left as it is"
    return NoCharacterError(
        f"Nobody was found in {where}, but somebody is when it is {turned}.",
        f"Set rotate (--rotate) to {rotate}.",
        {"rotate": rotate},
    )
