"""Following one person through a video."""

from __future__ import annotations

import numpy as np
import pytest

from poseanimate.errors import MotionError, NoCharacterError
from poseanimate.events import Returning
from poseanimate.inputs.follow import follow_person
from poseanimate.media import Frame, Video
from poseanimate.poses.measures import person_size
from poseanimate.poses.motion import Motion, load_preset
from poseanimate.poses.skeleton import Pose, draw_pose

STANDING = load_preset("walk").poses[0].xy / 512


def person(x: float, scale: float = 100.0, neck: float = 1.0) -> Pose:
    body = np.ones((18, 3))
    body[:, :2] = STANDING * scale + (x, 0)
    body[1, 2] = neck
    return Pose(body)


class Script:
    """A detector that knows who is in each frame; a frame's first pixel is its number."""

    identity = "script"

    def __init__(self, people: list[list[Pose]]) -> None:
        self.people = people

    def detect(self, image: Frame) -> list[Pose]:
        return self.people[int(image[0, 0, 0])]


def video(count: int) -> Video:
    return Video([np.full((80, 120, 3), index, np.uint8) for index in range(count)], fps=10.0)


def follow(people: list[list[Pose]]) -> Motion:
    steps = Returning(follow_person(video(len(people)), Script(people), "dance.mp4"))
    poses = list(steps)
    assert steps.result.poses == tuple(poses)
    return steps.result


def test_the_largest_is_followed_even_when_it_shrinks() -> None:
    tracks = [(person(0 + 5 * i, 100 - 15 * i), person(200 - 5 * i, 60)) for i in range(5)]
    people = [sorted(pair, key=person_size, reverse=True) for pair in tracks]
    assert people[4][0] is tracks[4][1]  # by the end the other one is larger
    assert follow(people).poses == tuple(pair[0] for pair in tracks)


def test_gaps_are_absent_and_the_person_is_found_again() -> None:
    a, b = person(0), person(300, 140)
    poses = follow([[a], [], [Pose.absent()], [b, a]]).poses
    assert poses[0] is a and poses[3] is a
    assert not poses[1].confidence.any() and not poses[2].confidence.any()


def test_nobody_at_first() -> None:
    a = person(0)
    assert follow([[], [a]]).poses[1] is a


def test_without_a_neck_the_middle_counts() -> None:
    a, a_no_neck, b = person(0), person(4, neck=0.1), person(200, 140)
    assert follow([[a], [b, a_no_neck], [b, a]]).poses == (a, a_no_neck, a)


def test_detection_goes_frame_by_frame() -> None:
    seen: list[int] = []

    class Watched(Script):
        def detect(self, image: Frame) -> list[Pose]:
            seen.append(int(image[0, 0, 0]))
            return super().detect(image)

    poses = follow_person(video(3), Watched([[person(0)]] * 3), "dance.mp4")
    assert seen == []
    next(poses)
    assert seen == [0]


def test_the_motion_has_the_videos_canvas_and_rate() -> None:
    people = [[person(0)], [], [person(9)]]
    motion = follow(people)
    assert (motion.width, motion.height, motion.fps, motion.name) == (120, 80, 10.0, "dance.mp4")
    assert motion.poses[0] is people[0][0] and motion.poses[2] is people[2][0]
    assert len(motion.poses) == 3 and motion.people == 1


def test_a_motion_knows_how_many_were_seen_at_once() -> None:
    a, b, unseen = person(0), person(200, 60), Pose.absent()
    assert follow([[a], [a, b], [a, unseen]]).people == 2


def unsure() -> Pose:
    body = person(0).body.copy()
    body[:, 2] = 0.2
    return Pose(body)


@pytest.mark.parametrize("people", [[], [Pose.absent()], [unsure()]])
def test_nobody_in_any_frame(people: list[Pose]) -> None:
    with pytest.raises(NoCharacterError, match=r"dance\.mp4") as caught:
        follow([people] * 2)
    assert caught.value.remedy


def test_drawn_skeletons_are_read_without_the_detector() -> None:
    drawn = load_preset("walk").poses[:6]
    frames = [draw_pose(pose, 512, 512) for pose in drawn]
    steps = Returning(follow_person(Video(frames, fps=8.0), Script([]), "walk.mp4"))
    assert len(list(steps)) == len(drawn)
    assert steps.result.notes == ("Read from drawn skeletons.",)
    for read, pose in zip(steps.result.poses, drawn, strict=True):
        seen = pose.visible()
        off = np.hypot(*(read.xy - pose.xy)[seen].T)
        assert np.median(off) <= 1.0 and np.sort(off)[-3] <= 4.0


def test_one_picture_of_a_drawn_skeleton_is_a_motion_of_one_pose() -> None:
    picture = draw_pose(load_preset("walk").poses[0], 512, 512)
    steps = Returning(follow_person(Video([picture], fps=8.0), Script([]), "pose.png"))
    assert list(steps) == list(steps.result.poses)


def test_drawings_of_another_kind_are_refused_by_name() -> None:
    swapped = [draw_pose(load_preset("walk").poses[0], 512, 512)[..., ::-1].copy()]
    with pytest.raises(MotionError, match="colours other than OpenPose's"):
        list(follow_person(Video(swapped, fps=8.0), Script([]), "pose.mp4"))
