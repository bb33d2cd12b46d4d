"""Whoever is found only once a picture or video is turned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from helpers.tiny import ToldEyes, scene_at_ease
from hypothesis import given
from hypothesis import strategies as st

from poseanimate.errors import NoCharacterError
from poseanimate.events import Returning
from poseanimate.inputs.character import find_character
from poseanimate.inputs.follow import follow_person
from poseanimate.inputs.turned import MOST_FRAMES, TURNS, find_turn
from poseanimate.media import Frame, Video
from poseanimate.poses.measures import torso_turn
from poseanimate.poses.motion import load_preset
from poseanimate.poses.skeleton import Pose

STANDING = load_preset("walk").poses[0]
SIDE = 8


def shown(turn: int = 0, width: int = SIDE) -> Frame:
    """A picture whose sky is at the top until it is turned clockwise."""
    frame = np.zeros((SIDE, width, 3), np.uint8)
    frame[0] = 255
    return np.ascontiguousarray(np.rot90(frame, -turn // 90))


class UprightOnly:
    """Sees somebody where the sky is at the top."""

    identity = "upright only"

    def __init__(self, pose: Pose = STANDING) -> None:
        self.pose, self.looks = pose, 0

    def detect(self, image: Frame) -> list[Pose]:
        self.looks += 1
        return [self.pose] if image[0].all() else []


def follow(frames: Sequence[Frame], detector: UprightOnly, rotate: int = 0) -> NoCharacterError:
    steps = follow_person(Video([*frames], 10.0, rotate=rotate), detector, "dance.mp4")
    with pytest.raises(NoCharacterError) as caught:
        list(steps)
    return caught.value


@given(st.sampled_from(TURNS), st.integers(1, 40), st.integers(SIDE, 3 * SIDE))
def test_the_turn_that_shows_somebody_is_found(turn: int, count: int, width: int) -> None:
    detector = UprightOnly()
    found = find_turn([shown(turn, width)] * count, detector)
    assert (found + turn) % 360 == 0
    assert detector.looks == len(TURNS) * min(count, MOST_FRAMES)


def test_one_frame_of_three_is_enough() -> None:
    dark = np.zeros_like(shown())
    assert find_turn([dark, dark, shown(90)], UprightOnly()) == 270


def test_who_lies_when_the_picture_is_turned_is_nobody() -> None:
    lying = STANDING.quarter_turned(512)
    assert torso_turn(lying) == 270 and torso_turn(STANDING) == 0
    assert find_turn([shown(90)], UprightOnly(lying)) == 0
    assert find_turn([shown(90)], UprightOnly(Pose.absent())) == 0
    assert find_turn([np.zeros_like(shown())], UprightOnly()) == 0


@pytest.mark.parametrize(("left", "right", "turn"), [(255, 160, 90), (160, 255, 270)])
def test_the_surer_of_two_turns_is_told(left: int, right: int, turn: int) -> None:
    class SureByLight(UprightOnly):
        def detect(self, image: Frame) -> list[Pose]:
            light = float(image[0].min()) / 255
            return [Pose(STANDING.body * (1, 1, light))] if light else []

    frame = np.zeros_like(shown())
    frame[:, 0], frame[:, -1] = left, right
    assert find_turn([frame], SureByLight()) == turn


@pytest.mark.parametrize(
    ("rotated", "said", "rotate"),
    [(0, "turned by 270 degrees clockwise", 270), (90, "left as it is", 0)],
)
def test_a_refused_video_says_how_to_turn_it(rotated: int, said: str, rotate: int) -> None:
    error = follow([shown(90)] * 5, UprightOnly(), rotated)
    assert f"any frame of dance.mp4, but somebody is when it is {said}." in error.message
    assert error.remedy == f"Set rotate (--rotate) to {rotate}." and error.fix == {"rotate": rotate}


def test_where_nobody_is_found_either_way_no_turn_is_told() -> None:
    error = follow([np.zeros_like(shown())] * 5, UprightOnly())
    assert "turned" not in str(error) and error.fix == {}


def test_nothing_is_turned_where_somebody_is_found() -> None:
    detector = UprightOnly()
    frames = [shown(), np.zeros_like(shown())]
    steps = Returning(follow_person(Video(frames, 10.0), detector, "dance.mp4"))
    assert len([*steps]) == detector.looks == 2


def test_a_refused_picture_says_how_to_turn_it() -> None:
    eyes = ToldEyes((), scene_at_ease().mask)
    with pytest.raises(NoCharacterError, match="turned by 180 degrees clockwise"):
        find_character(shown(180), [], eyes, UprightOnly())
    with pytest.raises(NoCharacterError, match="found in the picture\\. Choose one"):
        find_character(np.zeros_like(shown()), [], eyes, UprightOnly())
