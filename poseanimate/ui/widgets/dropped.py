"""Takes a motion's files that are dropped on its part, and refuses large ones. Its script is dropped.js."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from poseanimate.media import VideoLimits
from poseanimate.ui import texts

SCRIPT = Path(__file__).with_suffix(".js")


def dropped() -> gr.HTML:
    """A sentence about a file that is too large to be sent; else nothing."""
    return gr.HTML(
        "",
        html_template='<p class="pa-sentence pa-error" role="alert" hidden></p>',
        js_on_load=SCRIPT.read_text(encoding="utf-8"),
        max_bytes=VideoLimits().max_bytes,
        words={"large": texts.TOO_LARGE},
        elem_id="motion-refused",
    )
