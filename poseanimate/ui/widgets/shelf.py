"""The shelf: small pictures of clips, each with a button that opens and one that deletes it. Its script is shelf.js."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gradio as gr

from poseanimate.storage.own_clips import Card
from poseanimate.ui import texts

SCRIPT = Path(__file__).with_suffix(".js")


def shelf(element_id: str, label: str) -> gr.HTML:
    """The component; empty until it is given `content`.

    Its events: `select` and `delete` with a card's id, `submit` when the page may have missed a run's end.
    """
    return gr.HTML(
        "",
        label=label,
        html_template=f'<section class="pa-shelf" aria-label="{label}" hidden></section>',
        js_on_load=SCRIPT.read_text(encoding="utf-8"),
        content=None,
        elem_id=element_id,
    )


def make_content(cards: Sequence[Card], goes_on: bool = False) -> dict[str, Any]:
    """What the shelf shows.

    Args:
        goes_on: whether a run of this browser goes on, or has ended unseen.
    """
    return {"cards": [asdict(card) for card in cards], "goes_on": goes_on, "words": texts.SHELF}
