"""A saved project comes back: an uploaded bundle, or one behind a link."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import gradio as gr
import numpy as np
from numpy.typing import NDArray

from poseanimate.errors import PoseAnimateError
from poseanimate.inputs.bundle import Bundle
from poseanimate.media import load_picture, read_video
from poseanimate.poses.motion import Motion, load_preset, preset_names
from poseanimate.ui import texts
from poseanimate.ui.input_cache import MOTION_NAMES, SETTING_NAMES
from poseanimate.ui.outputs import Outputs, session_of
from poseanimate.ui.runs.files import read_bundle, write_inputs
from poseanimate.ui.runs.run_view import CLIP, COMPARISON, RunView
from poseanimate.ui.sections.inputs import InputComponents
from poseanimate.ui.sections.run import CLIP_TAB, COMPARE_TAB, Handlers
from poseanimate.ui.theme import example_names, example_picture

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
    "grid",
    "own",
    "bar",
    "files",
)  # and all settings


class OpeningHandlers:
    """The handlers of this section."""

    def __init__(self, handlers: Handlers) -> None:
        self.handlers = handlers

    def restore(self, request: gr.Request, path: str | None) -> Iterator[Outputs]:
        """Puts an uploaded bundle back on the page; see `restored`."""
        try:
            data = read_bundle(path)
        except PoseAnimateError as error:
            yield restore_nothing(texts.sentence(str(error), "error"))
            return
        yield from self.restored(request, data)

    def restored(
        self,
        request: gr.Request,
        data: bytes,
        greeting: str = "",
        kind: str = CLIP,
        shared: bool = False,
    ) -> Iterator[Outputs]:
        """A bundle's contents as values of `RESTORE_OUTPUTS` and settings; an unusable one changes nothing.

        Its clip is the session's last now, so that it can be downloaded and shared.

        Args:
            kind: CLIP or COMPARISON, what its clip shows. shared: whether it is somebody else's.
        """
        with TemporaryDirectory(prefix="poseanimate-") as folder:
            try:
                job = Bundle.from_bytes(data)
                picture, motion, clip = write_inputs(job, Path(folder))
                if clip and kind == CLIP and not job.draft:
                    self.handlers.queue.remember(session_of(request), reopened(job, Path(clip)))
            except PoseAnimateError as error:
                yield restore_nothing(texts.sentence(str(error), "error"))
                return
            values = [getattr(job.settings, name) for name in SETTING_NAMES]
            if job.draft:
                message = texts.restored(True, texts.DRAFT_OPENED, job.lost)
            else:
                same = job.models == self.handlers.engine.identity
                message = texts.restored(same, greeting, job.lost)
            example, preset = find_example(job.picture), find_preset(job.motion)
            picture = str(example_picture(example)) if example else picture
            source: Outputs = (texts.FROM_FILE, gr.skip(), [motion])
            if preset:
                source = (texts.FROM_PRESET, preset, None)
            where = (*source, 0, None, 1, 0, False, None, True)
            yield (
                message,
                example,
                picture,
                job.joints,
                job.prompt,
                *where,
                *_shown(clip, kind),
                texts.MAKE_YOUR_OWN if shared else "",
                "",
                None,
                *values,
            )


def _shown(clip: str | None, kind: str) -> Outputs:
    """What the stage shows of a clip: its tab, the ready-made clip, the clip, the comparison."""
    if clip is None:
        return (gr.skip(),) * 4
    if kind == COMPARISON:
        grid = gr.update(value=clip, visible=True)
        return gr.Tabs(selected=COMPARE_TAB), gr.skip(), gr.skip(), grid
    return gr.Tabs(selected=CLIP_TAB), "", gr.update(value=clip, visible=True), gr.skip()


def find_preset(motion: Motion) -> str | None:
    """The preset that a motion is; None if it is another."""
    if motion.name not in preset_names():
        return None
    return motion.name if load_preset(motion.name).to_json() == motion.to_json() else None


def find_example(picture: NDArray[np.uint8]) -> str | None:
    """The example that a picture (H, W, 3) is; None if it is another."""
    for name in example_names():
        if np.array_equal(np.asarray(load_picture(example_picture(name))), picture):
            return name
    return None


def reopened(job: Bundle, clip: Path) -> RunView:
    """The run of a saved clip, as far as it can be told."""
    video = read_video(clip)
    height, width = job.picture.shape[:2]
    small = partial(cv2.resize, dsize=(width, height), interpolation=cv2.INTER_AREA)
    frames = [np.asarray(small(frame), np.uint8) for frame in video.frames]
    return RunView(
        name=find_preset(job.motion) or RunView.name,
        fps=video.fps,
        frames=frames,
        job=job,
        joints=job.joints,
        over=True,
        written=job.clip,
    )


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
