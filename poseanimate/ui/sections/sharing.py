"""Sharing: a link to a clip or a draft and all it was made of, open to anyone who has it, until it is revoked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from poseanimate.errors import PoseAnimateError
from poseanimate.storage.shared_clips import SharedClips, ShareToken
from poseanimate.storage.stage_cache import default_folder
from poseanimate.ui import texts
from poseanimate.ui.event_options import BESIDE, QUIET
from poseanimate.ui.outputs import Outputs, in_order
from poseanimate.ui.sections.draft import DraftHandlers
from poseanimate.ui.sections.inputs import InputComponents
from poseanimate.ui.sections.opening import OpeningHandlers, restore_nothing
from poseanimate.ui.sections.stage import StageHandlers
from poseanimate.ui.server.front_page import PARAMETER

FOLDER_VARIABLE = "POSEANIMATE_SHARED"
SHARING_OUTPUTS = ("token", "id", "link", "unshare", "message")
LINK = f"""id => {{
    setTimeout(() => document.getElementById("SAID")?.scrollIntoView({{ block: "nearest" }}), 100);
    return id ? location.origin + location.pathname + "?{PARAMETER}=" + id : "";
}}"""
"""JavaScript: only the page knows its own address; the link, and what is said below it (SAID), come into sight."""


def shared_folder() -> Path:
    """Where shared clips are kept: $POSEANIMATE_SHARED, or a folder in the cache's."""
    return Path(os.environ.get(FOLDER_VARIABLE) or default_folder() / "shared")


@dataclass(frozen=True)
class SharingSection:
    """A link to a clip or a draft."""

    token: gr.State
    id: gr.Textbox
    share: gr.Button
    unshare: gr.Button
    link: gr.Textbox
    message: gr.HTML

    @property
    def outputs(self) -> list[gr.components.Component]:
        """As SHARING_OUTPUTS."""
        return [self.token, self.id, self.link, self.unshare, self.message]


def add_sharing(
    title: str = texts.SHARE, about: str = texts.SHARE_HELP, of: str = ""
) -> SharingSection:
    """A button that makes a link, and one that takes it back.

    Args:
        of: what is shared, where it isn't the clip: a prefix of the elements' names.
    """
    token = gr.State(None)
    with gr.Accordion(title, open=False, elem_id=f"{of}sharing"):
        gr.Markdown(about)
        with gr.Row(equal_height=True):
            share = gr.Button(title, elem_id=f"{of}share")
            unshare = gr.Button(texts.UNSHARE, visible=False, elem_id=f"{of}unshare")
        id = gr.Textbox(visible=False)
        link = gr.Textbox(
            label=texts.SHARE_LINK,
            interactive=False,
            visible=False,
            buttons=["copy"],
            elem_id=f"{of}share-link",
        )
        message = gr.HTML(elem_id=f"{of}share-said")
    return SharingSection(token, id, share, unshare, link, message)


class SharingHandlers:
    """The handlers of sharing; a session can revoke its last clip, and its last draft."""

    def __init__(
        self,
        stage: StageHandlers,
        drafts: DraftHandlers,
        opening: OpeningHandlers,
        shared_clips: SharedClips,
    ) -> None:
        self.stage, self.drafts, self.opening = stage, drafts, opening
        self.rate_limit, self.shared_clips = stage.handlers.rate_limit, shared_clips

    def share(self, request: gr.Request) -> Outputs:
        """Shares the session's last clip."""
        return self._share(request, lambda: self.stage.bundle(request), texts.NOTHING_TO_SHARE)

    def share_draft(
        self, request: gr.Request, picture: str | None, joints: str, prompt: str, *values: Any
    ) -> Outputs:
        """Shares the draft of what is on the page; arguments as `Handlers.animate`."""
        job = picture, joints, prompt, *values
        return self._share(request, lambda: self.drafts.bundle(*job), texts.NO_DRAFT)

    def _share(
        self, request: gr.Request, make: Callable[[], bytes | None], without: str
    ) -> Outputs:
        """Shares the bundle that is made, or says that there is none."""
        if message := self.rate_limit.count(request):
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

    def another(self, token: tuple[str, str] | None) -> Outputs:
        """Another clip is shown than the one that was shared."""
        if token is None:
            return sharing_outputs()
        return sharing_outputs(message=texts.sentence(texts.SHARED_BEFORE, "note"))

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
        """Restores the clip of a link with an id, as `OpeningHandlers.restore` does with a file."""
        id = dict(getattr(request, "query_params", {})).get(PARAMETER)
        if not id:
            yield restore_nothing()
            return
        try:
            bundle = self.shared_clips.get(str(id))
        except PoseAnimateError as error:
            yield restore_nothing(texts.sentence(str(error), "error"))
            return
        yield from self.opening.restored(request, bundle, texts.OPENED, shared=True)


def sharing_outputs(**changed: Any) -> Outputs:
    """New values of `SHARING_OUTPUTS`; what isn't named stays as it is."""
    return in_order(SHARING_OUTPUTS, changed)


def connect_sharing(
    demo: gr.Blocks,
    sharing: SharingHandlers,
    clip: SharingSection,
    draft: SharingSection,
    inputs: InputComponents,
    back: list[gr.components.Component],
) -> Any:
    """The buttons of clip and draft, and what a link opens, whose event is returned.

    Args:
        back: as RESTORE_OUTPUTS and settings.
    """
    presses: list[Any] = [
        (clip.share, sharing.share, None, clip),
        (clip.unshare, sharing.unshare, clip.token, clip),
        (draft.share, sharing.share_draft, inputs.all, draft),
        (draft.unshare, sharing.unshare, draft.token, draft),
    ]
    for button, handler, reads, shown in presses:
        link = LINK.replace("SAID", str(shown.message.elem_id))
        button.click(handler, reads, shown.outputs, **BESIDE).then(
            None, shown.id, shown.link, js=link, **QUIET
        )
    return demo.load(sharing.opened, None, back, **BESIDE)
