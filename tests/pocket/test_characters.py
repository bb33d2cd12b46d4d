"""New characters of the pocket world."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from poseanimate.pocket.characters import draw_character
from poseanimate.pocket.training.nets import caption_words
from poseanimate.pocket.world.scene import Scene

SEEDS = st.integers(0, 2**31)


@settings(deadline=None, max_examples=30)
@given(SEEDS)
def test_a_seed_always_draws_the_same_character(seed: int) -> None:
    picture, prompt = draw_character(seed)
    again, said = draw_character(seed)
    np.testing.assert_array_equal(picture, again)
    assert said == prompt and picture.shape == (512, 512, 3) and picture.dtype == np.uint8


def test_other_seeds_draw_other_characters_that_the_models_have_words_for() -> None:
    drawn = [draw_character(seed) for seed in range(0, 2000, 100)]
    assert len({prompt for _, prompt in drawn}) == len(drawn)
    assert len({picture.tobytes() for picture, _ in drawn}) == len(drawn)
    known = set(caption_words())
    assert all({*prompt.replace(",", "").split()} <= known for _, prompt in drawn)


def test_hard_cases_are_left_out() -> None:
    hard = next(index for index in range(100) if Scene.sample("train", index).kinds)
    following = next(index for index in range(hard, 200) if not Scene.sample("train", index).kinds)
    assert draw_character(hard)[1] == Scene.sample("train", following).caption
