"""The first part's handlers: a picture that is given, one that is refused, surprises."""

from __future__ import annotations

import io
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import gradio as gr
import numpy as np
import pytest
from helpers.scripted import Scripted
from helpers.tiny import scene_at_ease, tiny_models
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from poseanimate.poses.motion import preset_names
from poseanimate.ui import texts
from poseanimate.ui.input_cache import InputCache
from poseanimate.ui.sections.character import CharacterHandlers
from poseanimate.ui.theme import EXAMPLES, caption, example_names
from poseanimate.ui.widgets.own_picture import THUMBNAIL_PX, make_thumbnail

SURPRISE = ("motion_from", "motion_preset", "picture", "example", "prompt", "joints", "given")


def handlers(draw: Callable[[int], Any] | None = None, seed: int = 0) -> CharacterHandlers:
    engine = Scripted(replace(tiny_models(), draw_character=draw))
    return CharacterHandlers(engine, InputCache(engine), Random(seed))


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "character.png"
    Image.fromarray(scene_at_ease().picture).save(path)
    return str(path)


@pytest.mark.parametrize("prompt", [caption("room-boy"), "a surprise", "", "my own words"])
def test_a_given_picture_takes_the_place_of_an_example_and_of_its_description(
    picture: str, prompt: str
) -> None:
    taken = handlers().take(picture, prompt, (2, "a surprise"))
    described = gr.skip() if prompt in ("", "my own words") else ""
    assert taken == ("", picture, None, described, "", (3, ""))


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("me.txt", b"this is text", "not a picture that can be read. Choose a PNG"),
        ("me.png", b"%PDF-1.7", "a PDF, which can't be read as a picture. Save it as PNG"),
        ("me.png", (EXAMPLES / "park-girl.png").read_bytes()[:3000], "damaged"),
        ("large.bmp", bytes(50_000_001), "too large: 50.0 MB"),
        (None, b"", "no picture yet"),
    ],
    ids=["text", "PDF", "torn", "large", "none"],
)
def test_a_refused_file_changes_nothing_but_what_the_tile_says(
    tmp_path: Path, name: str | None, content: bytes, why: str
) -> None:
    path = None
    if name is not None:
        (tmp_path / name).write_bytes(content)
        path = str(tmp_path / name)
    own, *others = handlers().take(path, "a girl", (0, ""))
    assert others == [gr.skip()] * 5
    assert own["value"] == "" and why in own["refused"] and own["refused"].endswith(texts.KEPT)


def doll(seed: int) -> tuple[np.ndarray, str]:
    return np.full((64, 64, 3), seed % 251, np.uint8), f"doll {seed}"


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**32),
    motion=st.sampled_from([*preset_names(), None]),
    number=st.integers(0, 9),
)
def test_a_surprise_is_a_new_character_in_another_motion(
    seed: int, motion: str | None, number: int
) -> None:
    once, again = handlers(doll, seed), handlers(doll, seed)
    prompts = []
    for _ in range(3):
        for values in once.surprise("room-boy", motion, (number, "")):
            named = dict(zip(SURPRISE, values, strict=True))
            pixels = np.asarray(Image.open(named["picture"]))  # while it is there
        (repeated,) = again.surprise("room-boy", motion, (number, ""))
        prompt = named["prompt"]
        np.testing.assert_array_equal(pixels, doll(int(prompt.removeprefix("doll ")))[0])
        assert named["example"] is None and named["joints"] == ""
        assert named["given"] == (number + 1, prompt)
        assert named["motion_from"] == texts.FROM_PRESET
        assert named["motion_preset"] in {*preset_names()} - {motion}
        assert dict(zip(SURPRISE, repeated, strict=True)) | {"picture": ""} == named | {
            "picture": ""
        }
        prompts.append(prompt)
    assert len(set(prompts)) == 3, "another one each time"


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32), example=st.sampled_from([*example_names(), None]))
def test_a_family_without_a_world_surprises_with_another_example(
    seed: int, example: str | None
) -> None:
    (values,) = handlers(None, seed).surprise(example, "walk", (0, ""))
    named = dict(zip(SURPRISE, values, strict=True))
    name = named["example"]
    assert name in {*example_names()} - {example}
    assert named["picture"] == str(EXAMPLES / f"{name}.png") and named["prompt"] == caption(name)
    assert named["motion_preset"] != "walk"


def test_the_tile_shows_the_picture_that_is_looked_at(picture: str) -> None:
    *_, own = handlers().look(picture)
    assert own["thumbnail"].startswith("data:image/jpeg") and own["refused"] == ""
    *_, own = handlers().look(None)
    assert own["thumbnail"] == ""


@pytest.mark.parametrize("size", [(64, 64), (1000, 500), (300, 1000)])
def test_a_thumbnail_is_small_and_has_the_pictures_shape(size: tuple[int, int]) -> None:
    url = make_thumbnail(np.zeros((*size, 3), np.uint8))
    with Image.open(io.BytesIO(b64decode(url.partition("base64,")[2]))) as small:
        assert min(small.size) == min(*size, THUMBNAIL_PX)
        assert small.height / small.width == pytest.approx(size[0] / size[1], rel=0.02)
