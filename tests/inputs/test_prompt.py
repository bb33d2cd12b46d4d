"""Which words of a prompt are taken for the character."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.tiny import tiny_models
from hypothesis import given
from hypothesis import strategies as st

from poseanimate.errors import SettingsError
from poseanimate.inputs.prompt import (
    ARTICLES,
    MAX_PROMPT_CHARACTERS,
    check_prompt,
    find_character_positions,
    find_character_words,
    list_words,
)


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("an iron man on the road", ["iron", "man"]),
        ("a girl with pale skin, curly red hair, in the park", ["girl"]),
        ("A Boy, in a red shirt", ["boy"]),
        ("the spider-man", ["spider-man"]),
        ("one astronaut dancing on the moon", ["astronaut"]),
        ("astronaut", ["astronaut"]),
        ("an old man and a dog", ["old", "man"]),
        ("ein Mädchen mit Hut", ["ein", "mädchen", "mit", "hut"]),
        ("", []),
        ("  , . ", []),
        ("the", []),
    ],
)
def test_the_first_noun_phrase_is_the_character(prompt: str, words: list[str]) -> None:
    assert find_character_words(prompt) == words


PLACES = ("in the park", "on the beach")


@pytest.mark.parametrize(
    ("prompt", "tokens"),
    [
        ("a girl with a red hat, on the beach", "a girl with a red hat"),
        ("A boy, in a red shirt", "a boy , in a red shirt"),
        ("a boy in the park", "a boy"),
        ("in the park, a girl", ", a girl"),
        ("a boy, red shoes, in the park, on the beach", "a boy , red shoes"),
        ("on the beach", ""),
        ("", ""),
    ],
)
def test_a_family_may_take_all_but_the_place_for_the_character(prompt: str, tokens: str) -> None:
    models = replace(tiny_models(), places=PLACES)
    words = models.tokenizer.convert_ids_to_tokens(models.tokenizer(prompt).input_ids)
    found = [words[i].removesuffix("</w>") for i in find_character_positions(models, prompt)]
    assert found == tokens.split()
    named = find_character_words(prompt, places=PLACES)
    assert set(named) == set(tokens.split()) - ARTICLES - {",", "in", "with"}


def test_chosen_words_stand_for_the_character_in_every_family() -> None:
    prompt = "a girl with a red hat, on the beach"
    assert find_character_words(prompt, "hat", PLACES) == ["hat"]
    models = tiny_models()
    hat = models.token_positions(prompt, ["hat"])
    assert find_character_positions(replace(models, places=PLACES), prompt, "hat") == hat
    assert find_character_positions(models, prompt) == models.token_positions(prompt, ["girl"])


@pytest.mark.parametrize(
    ("chosen", "words"),
    [("dog", ["dog"]), ("  Iron,  Man ", ["iron", "man"]), (" ", ["girl"])],
)
def test_chosen_words_go_before_those_of_the_prompt(chosen: str, words: list[str]) -> None:
    assert find_character_words("a girl with a dog", chosen) == words


@given(st.text(max_size=200))
def test_any_prompt_yields_words_of_its_own_without_articles(prompt: str) -> None:
    words = find_character_words(prompt)
    assert all(word in prompt.lower() for word in words)
    assert not ARTICLES & set(words)


@given(st.text(max_size=200))
def test_what_names_the_character_is_among_all_words(prompt: str) -> None:
    words = list_words(prompt)
    assert set(find_character_words(prompt)) <= set(words) or not find_character_words(prompt)
    assert len(words) == len(set(words))


def test_words_come_once_and_without_articles() -> None:
    assert list_words("a girl in a red shirt, red shoes and the hat") == [
        "girl", "red", "shirt", "shoes", "hat",
    ]  # fmt: skip


def test_a_prompt_is_text_of_a_length_that_a_bundle_can_hold() -> None:
    check_prompt("é" * MAX_PROMPT_CHARACTERS)
    with pytest.raises(SettingsError, match="2001 characters, and 2000 are possible"):
        check_prompt("é" * (MAX_PROMPT_CHARACTERS + 1))
    with pytest.raises(SettingsError, match="broken characters"):
        check_prompt("half of a pair: \ud800")
