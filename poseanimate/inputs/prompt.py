"""What a prompt may be, and which of its words name the character (the paper leaves it open; see MGDM)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from poseanimate.errors import SettingsError
from poseanimate.settings import is_text

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
            "Say it in fewer words.",
        )
    if not is_text(prompt):
        raise SettingsError("The prompt holds broken characters.", "Type it anew.")


def character_words(prompt: str, chosen: str = "", places: Sequence[str] = ()) -> list[str]:
    """The chosen words, or the first noun phrase without its article: 'an iron man on the road' -> iron, man.

    Args:
        places: phrases that tell a place; where there are some, all words of the prompt but theirs are the character's.
    """
    if chosen.strip():
        return re.findall(r"[\w'-]+", chosen.lower())
    if places:
        anywhere = "|".join(rf"\b{re.escape(place)}\b" for place in places)
        return all_words(re.sub(anywhere, " ", prompt.lower()))
    phrase = re.split(r"[,.;:!?()]", MEDIUM.sub("", prompt.lower()))[0]
    words: list[str] = []
    for word in re.findall(r"[\w'-]+", phrase):
        if word in ENDS and words:
            break
        if word not in ARTICLES | ENDS:
            words.append(word)
    return words


def all_words(prompt: str) -> list[str]:
    """Words of a prompt that may name the character, each once."""
    words = re.findall(r"[\w'-]+", prompt.lower())
    return [word for word in dict.fromkeys(words) if word not in ARTICLES | ENDS]
