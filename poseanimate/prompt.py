"""What a prompt may be, and which of its words name the character (the paper leaves it open; see MGDM)."""

from __future__ import annotations

import re

from poseanimate.errors import SettingsError

MAX_PROMPT_CHARACTERS = 2000

ARTICLES = set("a an the one this that some my our".split())  # noqa: SIM905
# words that end the noun phrase that a prompt begins with
ENDS = set(
    "in on at with by near under over behind before of from as against inside and or who that which is are "  # noqa: SIM905
    "wearing holding standing sitting walking running dancing smiling looking playing".split()
)
PLACES = set("in on at near under over behind before inside".split())  # noqa: SIM905
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


def is_text(text: str) -> bool:
    """Whether it can be written as UTF-8, which half of a surrogate pair can't; JSON lets such halves through."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def character_words(prompt: str, chosen: str = "", described: bool = False) -> list[str]:
    """The chosen words, or the first noun phrase without its article: 'an iron man on the road' -> iron, man.

    Args:
        described: take the words of `description` in place of the noun phrase.
    """
    if chosen.strip():
        return re.findall(r"[\w'-]+", chosen.lower())
    if described:
        return all_words(description(prompt))
    phrase = re.split(r"[,.;:!?()]", MEDIUM.sub("", prompt.lower()))[0]
    words: list[str] = []
    for word in re.findall(r"[\w'-]+", phrase):
        if word in ENDS and words:
            break
        if word not in ARTICLES | ENDS:
            words.append(word)
    return words


def description(prompt: str) -> str:
    """A prompt without a last clause that tells a place: 'a boy, red shoes, in a room' -> a boy, red shoes."""
    said, _, last = prompt.rpartition(",")
    tells_a_place = bool(PLACES & set(last.lower().split()[:1]))
    return said if said.strip() and tells_a_place else prompt


def all_words(prompt: str) -> list[str]:
    """Words of a prompt that may name the character, each once."""
    words = re.findall(r"[\w'-]+", prompt.lower())
    return [word for word in dict.fromkeys(words) if word not in ARTICLES | ENDS]
