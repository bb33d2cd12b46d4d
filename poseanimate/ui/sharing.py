"""Sharing: a link to a clip with all that it was made of, for whoever has the link; and taking it back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from poseanimate.errors import PoseAnimateError
from poseanimate.storage.shared_clips import SharedClips, ShareToken
from poseanimate.storage.stage_cache import default_folder
from poseanimate.ui import texts
from poseanimate.ui.handlers import Handlers, Outputs, nothing_restored

FOLDER_VARIABLE = "POSEANIMATE_SHARED"
PARAMETER = "shared"  # of the link
SHARED = ("ticket", "id", "link", "unshare", "said")
LINK = f"id => id ? location.origin + location.pathname + '?{PARAMETER}=' + id : ''"
"""JavaScript: the page alone knows under which address it is seen."""


def shared_folder() -> Path:
    """Where shared clips are kept: $POSEANIMATE_SHARED, or beside the cache."""
    return Path(os.environ.get(FOLDER_VARIABLE) or default_folder() / "shared")


class Sharing:
    """The handlers of sharing; a session can take back what it shared last."""

    def __init__(self, handlers: Handlers, shelf: SharedClips) -> None:
        self.handlers, self.shelf = handlers, shelf

    def share(self, request: gr.Request) -> Outputs:
        """Puts the session's last clip on the shelf."""
        if said := self.handlers.rate.count(request):
            return shared(said=texts.sentence(said, "error"))
        try:
            bundle = self.handlers.bundle(request)
            if bundle is None:
                return shared(said=texts.sentence(texts.NOTHING_TO_SHARE, "warning"))
            ticket = self.shelf.put(bundle)
        except PoseAnimateError as error:
            return shared(said=texts.sentence(str(error), "error"))
        return shared(
            ticket=(ticket.id, ticket.key),
            id=ticket.id,
            link=gr.Textbox(visible=True),
            unshare=gr.Button(visible=True),
            said=texts.sentence(texts.IS_SHARED, "good"),
        )

    def unshare(self, ticket: tuple[str, str] | None) -> Outputs:
        """Takes back what the session shared."""
        gone = ticket is not None and self.shelf.remove(ShareToken(*ticket))
        said = (texts.TAKEN_BACK, "good") if gone else (texts.NOT_THERE, "warning")
        return shared(
            ticket=None,
            id="",
            link=gr.Textbox(visible=False),
            unshare=gr.Button(visible=False),
            said=texts.sentence(*said),
        )

    def opened(self, request: gr.Request) -> Iterator[Outputs]:
        """What a link with an id brings onto the page, as `Handlers.restore` does."""
        id = dict(getattr(request, "query_params", {})).get(PARAMETER)
        if not id:
            yield nothing_restored()
            return
        try:
            bundle = self.shelf.get(str(id))
        except PoseAnimateError as error:
            yield nothing_restored(texts.sentence(str(error), "error"))
            return
        yield from self.handlers.restored(bundle, texts.OPENED)


def shared(**changed: Any) -> Outputs:
    """New values of `SHARED`; what isn't named stays as it is."""
    return tuple(changed.pop(name, gr.skip()) for name in SHARED)
