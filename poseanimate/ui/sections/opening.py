"""A saved project comes back: an uploaded bundle, or one behind a link."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr

from poseanimate.errors import PoseAnimateError
from poseanimate.inputs.bundle import Bundle
from poseanimate.ui import texts
from poseanimate.ui.input_cache import MOTION_NAMES, SETTING_NAMES
from poseanimate.ui.outputs import Outputs
from poseanimate.ui.runs.files import read_bundle, write_inputs
from poseanimate.ui.sections.inputs import InputComponents
from poseanimate.ui.sections.run import CLIP_TAB, Handlers

RESTORE_OUTPUTS = (
    "restored",
    "example",
    "picture",
    "joints",
    "prompt",
    *MOTION_NAMES,
    "stage",
    "ready",
    "clip",
)  # and all settings  # and all settings


class OpeningHandlers:
    """The handlers of this section."""

    def __init__(self, handlers: Handlers) -> None:
        self.handlers = handlers

    def restore(self, path: str | None) -> Iterator[Outputs]:
        """Puts an uploaded bundle back on the page; see `restored`."""
        try:
            data = read_bundle(path)
        except PoseAnimateError as error:
            yield restore_nothing(texts.sentence(str(error), "error"))
            return
        yield from self.restored(data)

    def restored(self, data: bytes, greeting: str = "") -> Iterator[Outputs]:
        """A bundle's contents as values of `RESTORE_OUTPUTS` and settings; an unusable one changes nothing."""
        with TemporaryDirectory(prefix="poseanimate-") as folder:
            try:
                job = Bundle.from_bytes(data)
                picture, motion, clip = write_inputs(job, Path(folder))
            except PoseAnimateError as error:
                yield restore_nothing(texts.sentence(str(error), "error"))
                return
            values = [getattr(job.settings, name) for name in SETTING_NAMES]
            if job.draft:
                message = texts.restored(True, texts.DRAFT_OPENED, job.lost)
            else:
                message = texts.restored(
                    job.models == self.handlers.engine.identity, greeting, job.lost
                )
            where = (texts.FROM_FILE, gr.skip(), [motion], 0, None, 1, 0, False, None, True)
            shown = gr.Tabs(selected=CLIP_TAB), "", gr.update(value=clip, visible=True)
            yield message, None, picture, job.joints, job.prompt, *where, *shown, *values


def restore_nothing(message: Any = None) -> Outputs:
    """Values of `RESTORE_OUTPUTS` and settings that change nothing, except perhaps the message."""
    rest = len(RESTORE_OUTPUTS) + len(SETTING_NAMES) - 1
    return (gr.skip() if message is None else message, *(gr.skip(),) * rest)


def add_opening() -> gr.File:
    """Where a project is uploaded."""
    with gr.Accordion(texts.RESTORE, open=False, elem_id="restore"):
        return gr.File(label=texts.BUNDLE, file_types=[".zip"], height=110, elem_id="bundle")


def restore_outputs(inputs: InputComponents, restored: gr.HTML, shown: Sequence[Any]) -> list[Any]:
    """The components of RESTORE_OUTPUTS and of all settings; shown: those of the stage."""
    source = inputs.source
    said = [restored, source.example, source.picture, source.joints, inputs.described.prompt]
    return [*said, *inputs.motion.chosen, *shown, *inputs.settings.values()]
