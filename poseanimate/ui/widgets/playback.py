"""How the stage's clip plays: speed, back and forth, sound. Its browser side is playback.js."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from poseanimate.ui import texts

SCRIPT = Path(__file__).with_suffix(".js")
SPEEDS = (0.5, 1, 2)


def playback(element_id: str) -> gr.HTML:
    """Buttons for whichever clip is shown above them."""
    speeds = "".join(
        f'<button type="button" data-speed="{speed}" aria-pressed="{str(speed == 1).lower()}">{speed:g}&times;</button>'
        for speed in SPEEDS
    )
    words = texts.PLAYBACK
    return gr.HTML(
        "",
        html_template=(
            f'<div class="pa-playback"><span role="group" aria-label="{words["speed"]}">{speeds}</span>'
            f'<button type="button" class="pa-back" aria-pressed="false">{words["back"]}</button>'
            f'<button type="button" class="pa-sound" data-on="{words["mute"]}" data-off="{words["unmute"]}" hidden>'
            "</button></div>"
        ),
        js_on_load=SCRIPT.read_text(encoding="utf-8"),
        elem_id=element_id,
    )
