"""Sharing: a link to a clip or a draft and all it was made of, open to anyone who has it, until it is revoked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from poseanimate.errors import PoseAnimateError
from poseanimate.storage.shared_clips import SharedClips, ShareToken
from poseanimate.storage.stage_cache import default_folder
from poseanimate.ui import texts
from poseanimate.ui.handlers import Handlers, Outputs, in_order, restore_nothing
from poseanimate.ui.previews import PreviewHandlers

FOLDER_VARIABLE = "POSEANIMATE_SHARED"
PARAMETER = "shared"  # of the link
SHARING_OUTPUTS = ("token", "id", "link", "unshare", "message")
LINK = f"id => id ? location.origin + location.pathname + '?{PARAMETER}=' + id : ''"
"""JavaScript: only the page knows its own address."""


def shared_folder() -> Path:
    """Where shared clips are kept: $POSEANIMATE_SHARED, or a folder in the cache's."""
    return Path(os.environ.get(FOLDER_VARIABLE) or default_folder() / "shared")


class SharingHandlers:
    """The handlers of sharing; a session can revoke its last clip, and its last draft."""

    def __init__(
        self, handlers: Handlers, previews: PreviewHandlers, shared_clips: SharedClips
    ) -> None:
        self.handlers, self.previews, self.shared_clips = handlers, previews, shared_clips

    def share(self, request: gr.Request) -> Outputs:
        """Shares the session's last clip."""
        return self._share(request, lambda: self.handlers.bundle(request), texts.NOTHING_TO_SHARE)

    def share_draft(
        self, request: gr.Request, picture: str | None, joints: str, prompt: str, *values: Any
    ) -> Outputs:
        """Shares the draft of what is on the page; arguments as `Handlers.animate`."""
        job = picture, joints, prompt, *values
        return self._share(request, lambda: self.previews.bundle(*job), texts.NO_DRAFT)

    def _share(
        self, request: gr.Request, make: Callable[[], bytes | None], without: str
    ) -> Outputs:
        """Shares the bundle that is made, or says that there is none."""
        if message := self.handlers.rate_limit.count(request):
            return sharing_outputs(message=texts.sentence(message, "error"))
        try:
            bundle = make()
            if bundle is None:
                return sharing_outputs(message=texts.sentence(without, "warning"))
            token = self.shared_clips.put(bundle)
        except PoseAnimateError as error:
            return sharing_outputs(message=texts.sentence(str(error), "error"))
        return sharing_outputs(
            token=(token.id, token.key),
            id=token.id,
            link=gr.Textbox(visible=True),
            unshare=gr.Button(visible=True),
            message=texts.sentence(texts.IS_SHARED, "good"),
        )

    def unshare(self, token: tuple[str, str] | None) -> Outputs:
        """Revokes the session's share."""
        gone = token is not None and self.shared_clips.remove(ShareToken(*token))
        message = (texts.TAKEN_BACK, "good") if gone else (texts.NOT_THERE, "warning")
        return sharing_outputs(
            token=None,
            id="",
            link=gr.Textbox(visible=False),
            unshare=gr.Button(visible=False),
            message=texts.sentence(*message),
        )

    def opened(self, request: gr.Request) -> Iterator[Outputs]:
        """Restores the clip of a link with an id, as `Handlers.restore` does with a file."""
        id = dict(getattr(request, "query_params", {})).get(PARAMETER)
        if not id:
            yield restore_nothing()
            return
        try:
            bundle = self.shared_clips.get(str(id))
        except PoseAnimateError as error:
            yield restore_nothing(texts.sentence(str(error), "error"))
            return
        yield from self.handlers.restored(bundle, texts.OPENED)


def sharing_outputs(**changed: Any) -> Outputs:
    """New values of `SHARING_OUTPUTS`; what isn't named stays as it is."""
    return in_order(SHARING_OUTPUTS, changed)
