"""The engine's interface: whatever passes it can be pickled, and the page needs nothing else."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import gradio as gr
import numpy as np
import pytest
from helpers.tiny import scene_at_ease, tiny_models
from PIL import Image

from poseanimate.animator import Animator
from poseanimate.engines.engine import Engine
from poseanimate.media import write_clip
from poseanimate.pocket.characters import draw_character
from poseanimate.settings import Settings
from poseanimate.ui import texts
from poseanimate.ui.input_cache import ALIGNMENT_SETTINGS, SETTING_NAMES
from poseanimate.ui.sections.character import CharacterHandlers
from poseanimate.ui.sections.description import DescriptionHandlers
from poseanimate.ui.sections.draft import DraftHandlers
from poseanimate.ui.sections.opening import OpeningHandlers
from poseanimate.ui.sections.run import Handlers
from poseanimate.ui.sections.stage import StageHandlers

MEMBERS = sorted(name for name in vars(Engine) if not name.startswith("_"))
QUICK = Settings(
    num_inference_steps=2,
    inner_steps=1,
    guidance_scale=2,
    frames=3,
    frame_masks="skeleton",
    mgdm=False,
)


def sent(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


class Remote:
    """Another process's engine: has the interface's members alone, and pickles what goes in and comes out."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.used: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        if name not in MEMBERS:
            raise AttributeError(f"an engine has no {name}")
        self.used.add(name)
        member = getattr(self._engine, name)
        return self._method(member) if callable(member) else sent(member)

    @staticmethod
    def _method(method: Any) -> Any:
        def call(*args: Any, **more: Any) -> Any:
            answer = method(*sent(args), **sent(more))
            return _each(answer) if inspect.isgenerator(answer) else sent(answer)

        return call


def _each(events: Iterator[Any]) -> Iterator[Any]:
    for event in events:
        yield sent(event)


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "character.png"
    Image.fromarray(scene_at_ease().picture).save(path)
    return str(path)


def session(engine: Engine, picture: str, video: str) -> list[Any]:
    """All that the page does with one character: previews, a run and the look back at it."""
    handlers, request = Handlers(engine), gr.Request(session_hash="a")
    stage, reading = StageHandlers(handlers), (engine, handlers.inputs)
    described, draft = DescriptionHandlers(*reading), DraftHandlers(*reading)
    motion = (texts.FROM_FILE, None, video, 0, 0, 1, 0, False, None, True)
    values = [getattr(QUICK, name) for name in SETTING_NAMES]
    adjusted = [getattr(QUICK, name) for name in ALIGNMENT_SETTINGS]
    character = CharacterHandlers(*reading, Random(0))
    said = [
        character.look(picture)[1],
        next(character.surprise("room-boy", "walk", (0, "")))[4],
        described.suggestion(picture, "", "").value,
        described.words("a girl", ""),
        [findings for _, findings, *_ in draft.fit(texts.PLAYING, picture, "", *motion, *adjusted)],
        "to do" in handlers.forecast(picture, "", "a girl", *motion, *values),
    ]
    list(handlers.animate(request, picture, "", "a girl", *motion, *values))
    run = handlers.queue.last("a")
    assert run is not None
    packed = list(stage.pack(request))
    (back,) = OpeningHandlers(handlers).restored(request, stage.bundle(request) or b"")
    return [*said, packed[1][3], back[0], np.stack(run.frames).tobytes()]


def test_the_page_works_with_an_engine_on_another_machine(picture: str, tmp_path: Path) -> None:
    video = str(tmp_path / "dance.mp4")
    write_clip([scene_at_ease().picture] * 4, Path(video), 12)
    models = replace(tiny_models(), draw_character=draw_character)
    remote = Remote(Animator(models))
    assert session(remote, picture, video) == session(Animator(models), picture, video)
    told = {"family", "image_prompts", "answering"}  # which the page itself asks for, and /metrics
    assert sorted(remote.used | told) == MEMBERS
