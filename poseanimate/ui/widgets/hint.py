"""What is said where nothing is shown yet."""

from __future__ import annotations

import gradio as gr

from poseanimate.ui import texts


def add_hint(text: str) -> None:
    """A sentence below a component; the style sheet hides it as soon as that shows something."""
    gr.HTML(texts.sentence(text), elem_classes="pa-hint")
