"""The page's first line: what it is, and the way to what is further down."""

from __future__ import annotations

import gradio as gr

from poseanimate.ui import texts


def add_header() -> None:
    """Name, purpose, and links; page.js opens what they lead to and turns the lights off and on."""
    links = "".join(
        f'<a class="pa-jump" href="#{part}">{name}</a>'
        for part, name in (("restore", texts.OPEN_PROJECT), ("about", texts.ABOUT_LINK))
    )
    gr.HTML(
        f'<a class="pa-skip" href="#generate">{texts.SKIP}</a>'
        f'<header class="pa-header" data-ready="{texts.CLIP_READY}"><h1>{texts.TITLE}</h1>'
        f"<p>{texts.INTRO}</p><nav>{links}"
        f'<button type="button" class="pa-theme" aria-label="{texts.DARK_OR_LIGHT}" title="{texts.DARK_OR_LIGHT}">◐'
        "</button></nav></header>",
        elem_id="intro",
    )
