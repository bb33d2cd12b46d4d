"""What was found of a video is kept: no frame is looked at twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.media import clip_frames
from helpers.tiny import tiny_models
from hypothesis import given
from hypothesis import strategies as st

from poseanimate.animator import Animator
from poseanimate.events import Returning
from poseanimate.inputs.motion import iter_motion, open_motion
from poseanimate.inputs.seen import SeenPeople
from poseanimate.media import Frame, Video, write_clip
from poseanimate.poses.motion import Motion, load_preset
from poseanimate.poses.skeleton import Pose, draw_pose
from poseanimate.ui.input_cache import InputCache, MotionChoice

FRAMES = 12


class Counting:
    """Sees one person at the mean of a frame, and counts its looks."""

    def __init__(self, identity: str = "counting", people: int = 1) -> None:
        self.identity, self.people = identity, people
        self.looked: list[bytes] = []

    def detect(self, image: Frame) -> list[Pose]:
        self.looked.append(image.tobytes())
        return [Pose(np.full((18, 3), (float(image.mean()), i, 1.0))) for i in range(self.people)]


class Tracking(Counting):
    """Counts how often it begins to follow."""

    begun = 0

    def start_tracking(self) -> Callable[[Frame], list[Pose]]:
        self.begun += 1
        return self.detect


def plain(levels: Sequence[int]) -> list[Frame]:
    return [np.full((6, 8, 3), level, np.uint8) for level in levels]


def look(seen: SeenPeople, detector: Counting, frames: Sequence[Frame]) -> list[Any]:
    detect = seen.start_tracking(detector)
    return [[pose.body.tolist() for pose in detect(frame)] for frame in frames]


def read(seen: SeenPeople, detector: Counting, path: Path, *part: Any) -> Motion:
    source = open_motion(path, *part)
    assert isinstance(source, Video)
    steps = Returning(iter_motion(source, detector, path.name, seen=seen))
    for _ in steps:
        pass
    return steps.result


def xs(motion: Motion) -> list[float]:
    return [float(pose.xy[0, 0]) for pose in motion.poses]


@given(
    st.lists(
        st.tuples(st.integers(0, FRAMES - 1), st.integers(1, FRAMES), st.integers(1, 4)),
        min_size=1,
        max_size=6,
    )
)
def test_every_frame_is_looked_at_once_and_found_as_ever(parts: list[tuple[int, int, int]]) -> None:
    frames, seen, detector = plain(range(FRAMES)), SeenPeople(), Counting()
    wanted = set()
    for start, length, stride in parts:
        part = frames[start : start + length : stride]
        assert look(seen, detector, part) == look(SeenPeople(), Counting(), part)
        wanted |= {frame.tobytes() for frame in part}
    assert len(detector.looked) == len(wanted) and {*detector.looked} == wanted


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "bar.mp4"
    write_clip(clip_frames(FRAMES), path, fps=10)
    return path


@pytest.mark.parametrize(
    "part", [(0.3,), (0.0, 0.7), (0.0, None, 3), (0.44, 1.0, 2), (0.25, None, 1)]
)
def test_another_part_of_a_file_needs_no_look(part: tuple[Any, ...], video: Path) -> None:
    seen, detector = SeenPeople(), Counting()
    read(seen, detector, video)
    assert len(detector.looked) == FRAMES
    again = read(seen, detector, video, *part)
    assert len(detector.looked) == FRAMES
    assert xs(again) == xs(read(SeenPeople(), Counting(), video, *part))


def test_a_longer_part_needs_looks_at_the_rest(video: Path) -> None:
    seen, detector = SeenPeople(), Counting()
    read(seen, detector, video, 0.0, None, 2)
    assert len(detector.looked) == FRAMES // 2
    whole = read(seen, detector, video)
    assert len(detector.looked) == FRAMES
    assert xs(whole) == xs(read(SeenPeople(), Counting(), video))


def test_files_rotations_and_detectors_do_not_mix(video: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mp4"
    write_clip([frame[::-1] // 2 for frame in clip_frames(FRAMES)], other, fps=10)
    seen, detector = SeenPeople(), Counting()
    for count, part in enumerate(((video,), (other,), (video, 0.0, None, 1, 90)), start=1):
        found = read(seen, detector, *part)
        assert len(detector.looked) == count * FRAMES
        assert xs(found) == xs(read(SeenPeople(), Counting(), *part))
    two = Counting("two", people=2)
    assert read(seen, two, video).people == 2 and len(two.looked) == FRAMES
    assert read(seen, detector, video).people == 1


def test_the_same_pixels_in_another_shape_are_another_frame() -> None:
    seen, detector = SeenPeople(), Counting()
    [frame] = plain([7])
    look(seen, detector, [frame, frame.reshape(8, 6, 3), frame.transpose(1, 0, 2)])
    assert len(detector.looked) == 2


def test_a_still_picture_is_looked_at_once() -> None:
    detector = Counting()
    look(SeenPeople(), detector, plain([3]) * 9)
    assert len(detector.looked) == 1


def test_drawn_skeletons_are_kept_too(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [draw_pose(pose, 512, 512) for pose in load_preset("walk").poses[:4]]
    seen = SeenPeople()
    for _ in range(2):
        steps = Returning(iter_motion(Video(frames, 8.0), Counting(), "walk.mp4", seen=seen))
        assert len([*steps]) == 5 and steps.result.notes
        monkeypatch.setattr("poseanimate.poses.drawn.DrawnSkeletons.detect", None)


def test_who_is_followed_is_looked_for_anew_after_a_gap_alone() -> None:
    seen, detector = SeenPeople(), Tracking()
    look(seen, detector, plain([0, 1, 1, 2, 3]))  # a frame shown twice is no gap
    assert detector.begun == 1
    look(seen, detector, plain([0, 1, 10, 11, 2, 3, 12]))
    assert detector.begun == 4  # once for the video, then before 10 and before 12
    assert len(detector.looked) == 7


@given(st.lists(st.integers(0, 255), max_size=60), st.integers(0, 3), st.integers(1, 20))
def test_what_is_kept_is_bounded(levels: list[int], people: int, most: int) -> None:
    seen, detector = SeenPeople(most), Counting(people=people)
    look(seen, detector, plain(levels))
    kept = min(len(set(levels)), most // (1 + people)) * (1 + people)
    assert seen._found.total == (kept or (1 + people if levels else 0))


def test_the_oldest_is_forgotten_first() -> None:
    seen, detector = SeenPeople(most=4), Counting()
    look(seen, detector, plain([0, 1, 0, 2]))
    assert len(detector.looked) == 3
    look(seen, detector, plain([0, 2]))
    assert len(detector.looked) == 3
    look(seen, detector, plain([1]))
    assert len(detector.looked) == 4


def test_what_a_caller_does_with_the_people_stays_outside() -> None:
    seen, detector = SeenPeople(), Counting()
    [frame] = plain([5])
    seen.start_tracking(detector)(frame).clear()
    assert len(seen.start_tracking(detector)(frame)) == 1


def test_threads_share_it() -> None:
    seen, frames = SeenPeople(most=40), plain(range(30))
    expected = look(SeenPeople(), Counting(), frames)
    with ThreadPoolExecutor(8) as threads:
        for found in threads.map(lambda _: look(seen, Counting(), frames), range(32)):
            assert found == expected
    assert seen._found.total == 40


def test_the_page_does_not_look_again(video: Path) -> None:
    detector = Tracking()
    inputs = InputCache(Animator(replace(tiny_models(), detector=detector)))
    for choice in (
        MotionChoice(str(video)),
        MotionChoice(str(video), start_s=0.3),
        MotionChoice(str(video), end_s=0.9, stride=2),
    ):
        steps = Returning(inputs.load_motion(choice))
        for _ in steps:
            pass
        assert len(steps.result.frames) == len(steps.result.motion.poses)
        assert len(detector.looked) == FRAMES
