"""Which words of a prompt name the character (the paper leaves it open; see MGDM)."""

from __future__ import annotations

import re

ARTICLES = {"a", "an", "the", "one", "this", "that", "some", "my", "our"}
# words that end the noun phrase that a prompt begins with
ENDS = (
    {"in", "on", "at", "with", "by", "near", "under", "over", "behind", "before", "of", "from"}
    | {
        "and",
        "or",
        "who",
        "that",
        "which",
        "is",
        "are",
        "wearing",
        "holding",
        "standing",
        "sitting",
    }
    | {"walking", "running", "dancing", "smiling", "looking", "playing", "as", "against", "inside"}
)


def character_words(prompt: str, chosen: str = "") -> list[str]:
    """The chosen words, or the first noun phrase without its article: 'an iron man on the road' -> iron, man."""
    if chosen.strip():
        return re.findall(r"[\w'-]+", chosen.lower())
    phrase = re.split(r"[,.;:!?()]", prompt.lower())[0]
    words = []
    for word in re.findall(r"[\w'-]+", phrase):
        if word in ENDS and words:
            break
        if word not in ARTICLES | ENDS:
            words.append(word)
    return words
