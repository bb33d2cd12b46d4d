"""Limits of a prompt, and which of its words and tokens name the character (the paper leaves it open; see MGDM)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from poseanimate.errors import SettingsError
from poseanimate.settings import is_text

if TYPE_CHECKING:  # so that limits can be read without torch
    from poseanimate.models.family import Models

MAX_PROMPT_CHARACTERS = 2000

ARTICLES = set("a an the one this that some my our".split())  # noqa: SIM905
# words that end the noun phrase that a prompt begins with
ENDS = set(
    "in on at with by near under over behind before of from as against inside and or who that which is are "  # noqa: SIM905
    "wearing holding standing sitting walking running dancing smiling looking playing".split()
)
MEDIUM = re.compile(
    r"^\s*(?:(?:a|an|the)\s+)?(?:photo|picture|painting|drawing|image|portrait|illustration)\w*\s+of\s+"
)


def check_prompt(prompt: str) -> None:
    """Raises SettingsError where a prompt is too long, or no text that can be written down."""
    if len(prompt) > MAX_PROMPT_CHARACTERS:
        raise SettingsError(
            f"The prompt has {len(prompt)} characters, and {MAX_PROMPT_CHARACTERS} are possible.",
            "Use fewer words.",
        )
    if not is_text(prompt):
        raise SettingsError("The prompt holds broken characters.", "Type it again.")


def find_character_words(prompt: str, chosen: str = "", places: Sequence[str] = ()) -> list[str]:
    """The chosen words, or the first noun phrase without its article: 'an iron man on the road' -> iron, man.

    Args:
        places: phrases that name a place; with any, all words of the prompt but theirs are the character's.
    """
    if chosen.strip():
        return re.findall(r"[\w'-]+", chosen.lower())
    if places:
        anywhere = "|".join(rf"\b{re.escape(place)}\b" for place in places)
        return list_words(re.sub(anywhere, " ", prompt.lower()))
    phrase = re.split(r"[,.;:!?()]", MEDIUM.sub("", prompt.lower()))[0]
    words: list[str] = []
    for word in re.findall(r"[\w'-]+", phrase):
        if word in ENDS and words:
            break
        if word not in ARTICLES | ENDS:
            words.append(word)
    return words


def list_words(prompt: str) -> list[str]:
    """The words of a prompt that may name the character, each once."""
    words = re.findall(r"[\w'-]+", prompt.lower())
    return [word for word in dict.fromkeys(words) if word not in ARTICLES | ENDS]


def find_character_positions(models: Models, prompt: str, chosen: str = "") -> tuple[int, ...]:
    """Positions in the prompt's embedding of the tokens that stand for the character (Sec. 3.4).

    These are the tokens of the chosen words, else of the first noun phrase. For models with `places`, they are all
    tokens but the places', small words and commas included, because much of the attention lies on those.
    """
    if chosen.strip() or not models.places:
        return models.token_positions(prompt, find_character_words(prompt, chosen))
    count = len(models.token_ids(prompt)) - 2  # without the begin and end marks
    places = [*models.places, *(f", {place}" for place in models.places)]
    elsewhere = {*models.token_positions(prompt, places)}
    return tuple(sorted({*range(1, count + 1)} - elsewhere))
