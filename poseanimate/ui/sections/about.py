"""The page's last section: the method in pictures, licences, limits and privacy."""

from __future__ import annotations

import base64
from html import escape

import gradio as gr

from poseanimate.resources import resource_folder
from poseanimate.ui import texts

PICTURES = resource_folder("examples") / "about"


def add_about() -> None:
    """Adds an accordion, closed at first."""
    with gr.Accordion(texts.ABOUT, open=False, elem_id="about"):
        gr.Markdown(texts.ABOUT_METHOD)
        gr.HTML("".join(_figure(name, *caption) for name, caption in texts.ABOUT_MODULES.items()))
        gr.Markdown(texts.ABOUT_REST)


def _figure(name: str, heading: str, caption: str) -> str:
    picture = base64.b64encode((PICTURES / f"{name}.webp").read_bytes()).decode()
    return (
        f'<figure class="pa-module"><img src="data:image/webp;base64,{picture}" loading="lazy" '
        f'alt="{escape(texts.ABOUT_ALT.format(heading))}">'
        f"<figcaption><strong>{escape(heading)}</strong> {escape(caption)}</figcaption></figure>"
    )
