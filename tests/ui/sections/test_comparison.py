"""The page's comparison, without a browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from helpers.tiny import scene_at_ease, tiny_models
from PIL import Image

from poseanimate.animator import Animator
from poseanimate.errors import SettingsError
from poseanimate.media import read_video
from poseanimate.settings import Settings
from poseanimate.storage.stage_cache import StageCache
from poseanimate.ui import texts
from poseanimate.ui.input_cache import SETTING_NAMES
from poseanimate.ui.sections.comparison import (
    LABEL_PX,
    TILE_PX,
    ComparisonHandlers,
    by_modules,
    by_values,
    side_by_side,
    tell_modules,
)
from poseanimate.ui.sections.run import RESULT_OUTPUTS, Handlers
from poseanimate.ui.sections.settings import SWITCHES
from poseanimate.ui.server.rate_limit import RateLimit

WALK = (texts.FROM_PRESET, "walk", None, 0, 0, 1, 0, False, None, True)
QUICK = Settings(num_inference_steps=2, inner_steps=1, frames=3, pacm_pose=False, mgdm=False)


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "character.png"
    Image.fromarray(scene_at_ease().picture).save(path)
    return str(path)


def answers(
    comparison: ComparisonHandlers, *asked: Any, who: str = "a"
) -> Iterator[dict[str, Any]]:
    settings = [getattr(QUICK, name) for name in SETTING_NAMES]
    for answer in comparison.compare(gr.Request(session_hash=who), *asked, *WALK, *settings):
        named = zip(RESULT_OUTPUTS, answer, strict=True)
        yield {name: value for name, value in named if value != gr.skip()}


def test_modules_go_one_at_a_time() -> None:
    jobs = by_modules(Settings())
    assert list(jobs) == [texts.YOURS, *(texts.without(name) for name in SWITCHES)]
    for name in SWITCHES:
        off = [each for each in SWITCHES if not getattr(jobs[texts.without(name)], each)]
        assert off == [name]
    none = Settings().changed(dict.fromkeys(SWITCHES, False))
    with pytest.raises(SettingsError, match="off already"):
        by_modules(none)
    assert list(by_modules(QUICK)) == [
        "your settings",
        "without alignment (PATA)",
        "without matching the picture (PACM)",
        "without consistency (DCAM)",
    ]


def test_it_is_told_which_modules_are_compared_and_which_are_off() -> None:
    said = tell_modules(texts.BY_MODULES, True, False, False, True, False)
    assert "3 clips: your settings, without alignment (PATA), without consistency (DCAM)." in said
    assert "Off already: Matching the picture (PACM), Matching each pose (PACM), Masks" in said
    assert "Off already" not in tell_modules(texts.BY_MODULES, *[True] * 5)
    assert texts.ALL_OFF in tell_modules(texts.BY_MODULES, *[False] * 5)
    assert tell_modules(texts.BY_VALUES, *[True] * 5) == ""


def test_values_are_those_typed() -> None:
    jobs = by_values(Settings(), "lambda_first", " 0.3, 1 ,")
    assert list(jobs) == ["First frame (λ1) 0.3", "First frame (λ1) 1"]
    assert [job.lambda_first for job in jobs.values()] == [0.3, 1.0]


@pytest.mark.parametrize(
    ("name", "values", "says"),
    [
        ("lambda_first", "", "0 values"),
        ("lambda_first", ",".join(f"0.{i}" for i in range(10)), "10 values"),
        ("lambda_first", "0.3", "1 value is given; 2 to 9"),
        ("lambda_first", "0.3, 0.3", "1 value is given; 2 to 9"),
        ("lambda_first", "0.3, 7", "between 0 and 1"),
        ("lambda_first", "a, b", "a number"),
        ("__class__", "1, 2", "no setting"),
    ],
)
def test_values_that_will_not_do(name: str, values: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        by_values(Settings(), name, values)


def test_tiles_are_in_step_and_the_shorter_clip_waits() -> None:
    grey = [np.full((64, 32, 3), 40 * i, np.uint8) for i in range(4)]
    frames = side_by_side({"one": grey, "two": grey[:2], "three": grey[1:]})
    assert len(frames) == 4
    factor = TILE_PX // 32
    height, width = 64 * factor, 32 * factor
    assert frames[0].shape == (2 * (height + LABEL_PX), 2 * width, 3)
    one, two = (frame[LABEL_PX + height // 2] for frame in (frames[3], frames[1]))
    assert one[width // 2, 0] == 120 and one[width + width // 2, 0] == 40
    assert two[width // 2, 0] == two[width + width // 2, 0] == 40
    assert frames[0][:LABEL_PX, :width].min() < 100, "no name above the tile"


def test_letters_of_the_page_are_drawn_above_the_tiles() -> None:
    frames = [np.zeros((32, 32, 3), np.uint8)]
    names = (
        "λ1 first",
        "η1 first",
        "?1 first",
        "without PATA · alignment",
        "without PATA ? alignment",
    )
    headers = {side_by_side({name: frames})[0][:LABEL_PX].tobytes() for name in names}
    assert len(headers) == len(names)


def test_a_comparison_makes_one_clip_and_reuses_what_is_cached(
    picture: str, tmp_path: Path
) -> None:
    cache = StageCache(tmp_path / "cache", 10**8)
    comparison = ComparisonHandlers(Handlers(Animator(tiny_models(), cache)))
    bars, sizes = [], []
    for answer in answers(
        comparison, texts.BY_VALUES, "lambda_first", "0, 1", picture, "", "a girl"
    ):
        bars.append(answer.get("bar", ""))
        if "grid" in answer:
            clip = read_video(Path(answer["grid"]["value"]))
            sizes.append((len(clip.frames), *clip.frames[0].shape[:2]))
    assert [size[0] for size in sizes] == [3, 3] and sizes[1][2] == 2 * sizes[0][2]
    second = [bar for bar in bars if "2 of 2: First frame (λ1) 1" in bar]
    assert any("from the cache" in bar for bar in second)
    assert "Done: 2 clips" in bars[-1]
    assert answer["generate"].interactive and answer["compare"].interactive
    assert not answer["stop"].interactive


def test_stop_keeps_the_clips_that_are_done(picture: str) -> None:
    handlers = Handlers(Animator(tiny_models()))
    comparison, last, grids = ComparisonHandlers(handlers), {}, 0
    for last in answers(comparison, texts.BY_MODULES, "seed", "", picture, "", "a girl"):
        grids += "grid" in last
        if "2 of 4" in last.get("bar", ""):
            handlers.stop(gr.Request(session_hash="a"))
    assert grids == 1 and "Stopped: 1 clip." in last["bar"]


def test_trouble_gets_a_sentence_and_the_buttons_back(picture: str) -> None:
    comparison = ComparisonHandlers(Handlers(Animator(tiny_models())))
    *_, last = answers(comparison, texts.BY_VALUES, "frames", "1, 3", picture, "", "")
    assert "frames" in last["bar"] and "alert" in last["bar"] and last["compare"].interactive
    *_, last = answers(comparison, texts.BY_MODULES, "frames", "", None, "", "")
    assert "no picture" in last["bar"]


def test_a_queue_that_is_full_gets_a_sentence_and_the_buttons_back() -> None:
    handlers = Handlers(Animator(tiny_models()))
    who = gr.Request(session_hash="a")
    handlers.begin(who)
    last = dict(zip(RESULT_OUTPUTS, handlers.failed(who), strict=True))
    assert texts.TOO_MANY in last["bar"]
    assert last["generate"].interactive and last["compare"].interactive
    assert not last["stop"].interactive


def test_every_setting_can_be_swept() -> None:
    for each in fields(Settings):
        value = getattr(Settings(), each.name)
        if value != "":
            about = each.metadata
            others = [*about["choices"], about["low"], about["high"], not value]
            other = next(v for v in others if v is not None and v != value)
            jobs = by_values(Settings(), each.name, f"{value}, {other}")
            assert jobs[f"{texts.label(each.name)} {value}"] == Settings()


@pytest.mark.slow
def test_every_clip_of_a_comparison_counts_as_a_run(picture: str) -> None:
    comparison = ComparisonHandlers(Handlers(Animator(tiny_models())))
    comparison.handlers.rate_limit = RateLimit(2)
    asked = (texts.BY_VALUES, "lambda_first", "0, 0.5, 1", picture, "", "a girl")
    *_, last = answers(comparison, *asked)
    assert "2 runs within an hour" in last["bar"] and 'role="alert"' in last["bar"]
    assert last["compare"].interactive
