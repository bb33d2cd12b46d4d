"""The motion's part of the page, without a browser: tabs, timeline, parts, findings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from helpers.tiny import ToldEyes, scene_at_ease, tiny_models
from hypothesis import given
from hypothesis import strategies as st

from poseanimate.animator import Animator
from poseanimate.errors import VideoError
from poseanimate.events import Returning
from poseanimate.media import VideoLimits, read_video, write_clip
from poseanimate.poses.faults import Faults
from poseanimate.poses.motion import load_preset
from poseanimate.poses.pata import Alignment
from poseanimate.poses.pata.findings import clip_length, motion_faults, torso_uncertain
from poseanimate.poses.skeleton import Pose
from poseanimate.settings import Settings
from poseanimate.ui import input_cache, texts
from poseanimate.ui.input_cache import ALIGNMENT_SETTINGS, FoundMotion, InputCache, MotionChoice
from poseanimate.ui.sections.draft import DraftHandlers
from poseanimate.ui.sections.motion import MotionHandlers
from poseanimate.ui.widgets import player

FRAMES, FPS = 12, 12
AS_IT_IS = (0, 0, 1, 0, False, None, True)


class Walker:
    """Eyes that find somebody whose place tells how light a frame is."""

    identity = "walker"

    def __init__(self, people: int = 1) -> None:
        self.people, self.looked = people, 0

    def detect(self, image: np.ndarray) -> list[Pose]:
        self.looked += 1
        body = scene_at_ease().pose.body.copy()
        body[:, 0] += image.mean() / 10
        return [Pose(body)] * self.people

    def segment(self, image: np.ndarray) -> np.ndarray:
        return scene_at_ease().mask


def seeing(eyes: Any) -> MotionHandlers:
    animator = Animator(replace(tiny_models(), detector=eyes))
    return MotionHandlers(animator, InputCache(animator))


@pytest.fixture
def handlers() -> MotionHandlers:
    animator = Animator(tiny_models())
    return MotionHandlers(animator, InputCache(animator))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A second that grows lighter from frame to frame."""
    path = tmp_path_factory.mktemp("videos") / "light.mp4"
    frames = [np.full((64, 64, 3), 20 * i, np.uint8) for i in range(FRAMES)]
    write_clip(frames, path, FPS)
    return str(path)


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> str:
    """More frames than are read."""
    path = tmp_path_factory.mktemp("videos") / "slow.mp4"
    write_clip([np.full((32, 32, 3), i % 256, np.uint8) for i in range(660)], path, 60)
    return str(path)


def shown(handlers: MotionHandlers, file: Any, *part: Any) -> Any:
    given = (texts.FROM_VIDEO, None, file, *(part or AS_IT_IS))
    return handlers.timeline("", *given)["content"]


def loaded(inputs: InputCache, choice: MotionChoice) -> FoundMotion:
    steps = Returning(inputs.load_motion(choice))
    for _ in steps:
        pass
    return steps.result


# The timeline --------------------------------------------------------------------------------------


def test_a_video_is_shown_with_what_was_found_in_every_frame(
    handlers: MotionHandlers, tmp_path: Path
) -> None:
    path = tmp_path / "wave.mp4"
    write_clip([scene_at_ease().picture] * FRAMES, path, FPS)
    line = shown(handlers, str(path))
    assert line["count"] == FRAMES and line["fps"] == pytest.approx(FPS, rel=0.01)
    assert line["marks"] == [1.0] * FRAMES and set(line["notes"]) == {"18 of 18 joints"}
    assert line["start_s"] == 0 and line["trims"]


def test_the_whole_video_is_shown_whatever_part_is_chosen(video: str) -> None:
    eyes = Walker()
    handlers = seeing(eyes)
    update = handlers.timeline(
        "", texts.FROM_VIDEO, None, video, 0.5, 0.75, 1, 0, False, None, True
    )
    assert update["content"]["count"] == FRAMES
    assert update["part"] == {"start_s": 0.5, "end_s": 0.75, "number": 0}
    other = handlers.part("", texts.FROM_VIDEO, None, video, 0.25, None, 1, 0, False, None, True)
    assert other["part"] == {"start_s": 0.25, "end_s": 0, "number": 0} and "content" not in other
    assert eyes.looked == FRAMES


def test_of_a_video_that_is_too_long_its_part_is_shown(long_video: str) -> None:
    handlers = seeing(Walker())
    assert shown(handlers, long_video) is player.NOTHING
    given = (texts.FROM_VIDEO, None, long_video, 0.5, 0.75, 1, 0, False, None, True)
    for update in (handlers.timeline("", *given), handlers.part("", *given)):
        assert update["content"]["count"] == 15 and update["content"]["start_s"] == 0.5
        assert update["part"] == {"start_s": 0.5, "end_s": 0.75, "number": 0}


def test_frames_without_a_person_are_marked(video: str) -> None:
    class Eyes(ToldEyes):
        def detect(self, image: np.ndarray) -> list[Pose]:
            return [] if 10 < image.mean() < 50 else [scene_at_ease().pose]

    animator = Animator(replace(tiny_models(), detector=Eyes((), scene_at_ease().mask)))
    line = shown(MotionHandlers(animator, InputCache(animator)), video)
    assert [mark > 0 for mark in line["marks"][:4]] == [True, False, False, True]
    assert line["notes"][1] == texts.NOBODY_SEEN


def test_a_pose_file_has_a_timeline_and_a_preset_has_none(
    handlers: MotionHandlers, tmp_path: Path
) -> None:
    path = tmp_path / "walk.json"
    path.write_text(load_preset("walk").to_json())
    for tab in (texts.FROM_FILE, texts.FROM_VIDEO):
        update = handlers.timeline("", tab, None, str(path), *AS_IT_IS)
        assert update["content"]["count"] == len(load_preset("walk").poses)
    preset = handlers.timeline("", texts.FROM_PRESET, "walk", str(path), *AS_IT_IS)
    assert preset == gr.update(content=player.NOTHING, part=None)


def test_what_is_no_motion_has_no_timeline(handlers: MotionHandlers, tmp_path: Path) -> None:
    text = tmp_path / "wave.mp4"
    text.write_text("this is text")
    assert shown(handlers, str(text)) is player.NOTHING
    assert shown(handlers, None) is player.NOTHING
    assert handlers.part("", texts.FROM_VIDEO, None, None, *AS_IT_IS) == gr.skip()


# A part --------------------------------------------------------------------------------------------


def test_an_answer_names_what_it_answers(video: str) -> None:
    handlers, told = seeing(Walker()), '{"start_s": 0.5, "end_s": 0, "number": 7}'
    given = (texts.FROM_VIDEO, None, video, 0.25, None, 1, 0, False, None, True)
    for answer in (handlers.timeline, handlers.part):
        assert answer(told, *given)["part"] == {"start_s": 0.25, "end_s": 0, "number": 7}
        for odd in ("", "{}", "[]", "no json", '{"number": "x"}', "1"):
            assert answer(odd, *given)["part"]["number"] == 0


@given(first=st.integers(0, FRAMES - 1), count=st.integers(1, FRAMES), stride=st.integers(1, 4))
def test_a_part_of_the_whole_is_what_reading_the_part_gives(
    video: str, first: int, count: int, stride: int
) -> None:
    start_s, end_s = (int(1000 * frame / FPS) / 1000 for frame in (first, first + count))
    choice = MotionChoice(video, start_s, end_s if first + count < FRAMES else None, stride)
    alone = loaded(seeing(Walker()).inputs, choice)
    eyes = Walker()
    inputs = seeing(eyes).inputs
    loaded(inputs, choice.whole)
    part = loaded(inputs, choice)
    assert eyes.looked == FRAMES
    assert len(part.frames) == len(alone.frames) == -(-min(count, FRAMES - first) // stride)
    assert all(np.array_equal(a, b) for a, b in zip(part.frames, alone.frames, strict=True))
    a, b = part.motion, alone.motion
    assert all(np.array_equal(p.body, q.body) for p, q in zip(a.poses, b.poses, strict=True))
    assert a.fps == b.fps and a.start_s == pytest.approx(b.start_s, abs=0.001)
    assert part.whole_video == alone.whole_video


def test_a_part_needs_no_file_any_more(video: str, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = seeing(Walker()).inputs
    loaded(inputs, MotionChoice(video))
    monkeypatch.setattr(input_cache, "open_motion", lambda *_: pytest.fail("it was read again"))
    assert len(loaded(inputs, MotionChoice(video, 0.25, 0.5)).frames) == 3


def test_of_several_people_each_part_follows_its_own(video: str) -> None:
    inputs = seeing(Walker(people=2)).inputs
    loaded(inputs, MotionChoice(video))
    assert inputs.cached_motion(MotionChoice(video, 0.25)) is None


def test_an_empty_part_is_refused_by_whoever_reads_it(video: str) -> None:
    inputs = seeing(Walker()).inputs
    loaded(inputs, MotionChoice(video))
    for part in (MotionChoice(video, 5.0), MotionChoice(video, 0.5, 0.25)):
        assert inputs.cached_motion(part) is None


# What is said --------------------------------------------------------------------------------------


def said(*found: Any) -> str:
    pose = scene_at_ease().pose
    return texts.findings(Alignment((pose,) * 16, 4, 12.0, found))


def test_a_remedy_that_a_button_has_is_not_said_twice() -> None:
    words = said(*clip_length(16, 4, 16, 240))
    counted = "16 frames: picture, 4 to lead in, 11 of 16 poses.<"
    assert "Good fit" in words and counted in words
    assert "4 to lead in, 11 poses.<" in said()
    assert texts.fix("frames", 21) == "Show all · 21 frames"
    assert "choose a part of the motion" in said(*clip_length(16, 4, 300, 240))  # has none
    late = motion_faults(Faults(first=6), load_preset("walk"))
    assert "Start it at" not in said(*late) and "Nobody is seen in the first" in said(*late)
    assert "the size is a guess. Choose a picture" in said(torso_uncertain())


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("start_s", 1.5, "Start at 1.5 s"),
        ("end_s", 60.0, "End at 60.0 s"),
        ("stride", 2, "Use every 2nd frame"),
        ("stride", 13, "Use every 13th frame"),
        ("stride", 21, "Use every 21st frame"),
        ("loop", True, "Repeat the motion"),
        ("stride", None, "Use fewer frames"),
    ],
)
def test_a_button_says_what_it_does(name: str, value: Any, words: str) -> None:
    assert texts.fix(name, value) == words


def test_what_a_video_is_too_long_for_has_a_button(long_video: str) -> None:
    with pytest.raises(VideoError) as refused:
        loaded(seeing(Walker()).inputs, MotionChoice(long_video))
    assert refused.value.fix == {"stride": 2}
    assert len(loaded(seeing(Walker()).inputs, MotionChoice(long_video, stride=2)).frames) == 330
    with pytest.raises(VideoError, match="too long") as refused:
        read_video(Path(long_video), 0.5, limits=VideoLimits(max_seconds=4))
    assert refused.value.fix == {"end_s": 4.5}
    assert refused.value.fix.keys() <= texts.FIX.keys()


def test_a_motion_is_judged_before_there_is_a_character(video: str, tmp_path: Path) -> None:
    eyes = Walker()
    inputs = seeing(eyes).inputs
    drafts = DraftHandlers(inputs.engine, inputs)
    settings = [getattr(Settings(), name) for name in ALIGNMENT_SETTINGS]

    def said(file: str | None, tab: str = texts.FROM_VIDEO) -> list[str]:
        given = (texts.PLAYING, None, "", tab, None, file, *AS_IT_IS, *settings)
        return [answer[1] for answer in drafts.fit(*given)]

    words = tmp_path / "words.txt"
    words.write_text("some words")
    assert "not a video that can be read" in said(str(words))[-1]
    assert "a pose file" in said(str(words), texts.FROM_FILE)[-1]
    first, *steps, last = said(video)
    assert 'aria-valuenow="0"' in first and len(steps) == FRAMES
    assert last == texts.sentence(texts.NO_CHARACTER) == said(None)[0]
    assert said(video) == [last]
