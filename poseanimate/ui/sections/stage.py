"""The stage's clip: a ready-made one, the one that was made, its frames and its files.

Notable: files live in a temporary folder until Gradio has copied them to its own cache. A session's last run is kept
until the page is closed, so that its clip can be downloaded in other formats.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import gradio as gr
import numpy as np
from numpy.typing import NDArray

from poseanimate.errors import PoseAnimateError
from poseanimate.events import Aligned
from poseanimate.inputs.aligner import full_side
from poseanimate.inputs.bundle import Bundle
from poseanimate.ui import texts
from poseanimate.ui.event_options import BESIDE, CHOSEN
from poseanimate.ui.outputs import Outputs, session_of
from poseanimate.ui.runs.files import with_clip, write_downloads, write_inputs
from poseanimate.ui.runs.review import compare_frames, measure_clip
from poseanimate.ui.runs.run_view import RunView
from poseanimate.ui.sections.character import FIRST_EXAMPLE
from poseanimate.ui.sections.comparison import ComparisonSection
from poseanimate.ui.sections.inputs import InputComponents
from poseanimate.ui.sections.motion import FIRST_MOTION
from poseanimate.ui.sections.run import CLIP_TAB, DRAFT_TAB, Handlers, RunSection, run_outputs
from poseanimate.ui.theme import ready_made_url
from poseanimate.ui.widgets.contact_sheet import enlargement
from poseanimate.ui.widgets.hint import add_hint
from poseanimate.ui.widgets.playback import playback
from poseanimate.ui.widgets.player import player


@dataclass(frozen=True)
class StageSection:
    """What is looked at: clips and drafts.

    notes: sentences about a run. verdict: its numbers in a line; figures, review: all of them.
    """

    tabs: gr.Tabs
    ready: gr.HTML
    clip: gr.Video
    contact_sheet: gr.Image
    own: gr.HTML
    before_after: gr.ImageSlider
    frames: gr.HTML
    notes: gr.HTML
    verdict: gr.HTML
    files: gr.File
    figures: gr.HTML
    review: gr.HTML
    comparing: ComparisonSection

    def outputs(self, run: RunSection) -> list[Any]:
        """As RESULT_OUTPUTS."""
        shown = [self.ready, self.contact_sheet, self.clip, self.notes, self.figures]
        compared = [self.comparing.compare, self.comparing.grid]
        return [run.bar, self.tabs, *shown, *self.packed, run.generate, run.stop, *compared]

    def restored(self, run: RunSection) -> list[Any]:
        """The end of RESTORE_OUTPUTS."""
        shown = [self.tabs, self.ready, self.clip, self.comparing.grid, self.own]
        return [*shown, run.bar, self.files]

    @property
    def packed(self) -> list[gr.components.Component]:
        """As PACK_OUTPUTS, filled after a run."""
        return [self.before_after, self.frames, self.verdict, self.review, self.files]


def add_clip() -> tuple[gr.HTML, gr.Video, gr.Image, gr.HTML]:
    """The stage's clip: a ready-made one, the one that was made, or its frames while they are drawn.

    Below it is, if it came from somebody else, the way to one's own, and how it plays.
    """
    ready = gr.HTML(
        texts.ready_made(ready_made_url(FIRST_EXAMPLE, FIRST_MOTION)), elem_id="ready-made"
    )
    clip = gr.Video(
        label=texts.CLIP,
        show_label=False,
        interactive=False,
        autoplay=True,
        loop=True,
        visible="hidden",
        # the community button can work on a Space alone
        buttons=["download", "share"] if gr.utils.get_space() else ["download"],
        elem_id="clip",
    )
    contact_sheet = gr.Image(
        label=texts.CONTACT_SHEET,
        show_label=False,
        alt_text=texts.CONTACT_SHEET_ALT,
        interactive=False,
        format="jpeg",
        visible="hidden",
        buttons=["fullscreen", "download"],
        elem_id="contact-sheet",
    )
    own = gr.HTML(elem_id="make-own")
    playback("playback")
    return ready, clip, contact_sheet, own


def add_before_after() -> gr.ImageSlider:
    """The picture and a frame, one over the other."""
    slider = gr.ImageSlider(
        label=texts.BEFORE_AFTER,
        show_label=False,
        interactive=False,
        format="png",
        max_height=560,
        visible="hidden",
        elem_id="before-after",
    )
    add_hint(texts.NO_CLIP_YET)
    return slider


def add_frames() -> gr.HTML:
    """The clip frame by frame."""
    frames = player("frames", texts.SIDE_BY_SIDE)
    add_hint(texts.NO_CLIP_YET)
    return frames


def add_downloads() -> gr.File:
    """The clip's files, in their place from the start."""
    with gr.Accordion(texts.DOWNLOADS, open=False, elem_id="taking"):
        return gr.File(
            label=texts.DOWNLOADS_HELP,
            file_count="multiple",
            interactive=False,
            elem_id="downloads",
        )


class StageHandlers:
    """The handlers of this section."""

    def __init__(self, handlers: Handlers) -> None:
        self.handlers = handlers

    def chosen(
        self, request: gr.Request, example: str | None, source: str, preset: str | None
    ) -> Outputs:
        """Another character or motion: the stage shows the pair's ready-made clip, or else its draft.

        A clip that was made here stays; the bar says that it is of other inputs.
        """
        session = session_of(request)
        if self.handlers.queue.current(session) is not None:
            return run_outputs()
        if self.handlers.queue.last(session) is not None:
            stale = texts.sentence(texts.CHANGED, "warning")
            return run_outputs(stage=gr.Tabs(selected=DRAFT_TAB), bar=stale)
        url = ready_made_url(example, preset) if source == texts.FROM_PRESET else None
        changed: dict[str, Any] = {"ready": texts.ready_made(url), "bar": ""}
        if url is None:
            return run_outputs(stage=gr.Tabs(selected=DRAFT_TAB), **changed)
        # in place of an opened clip, or of frames that were not finished
        changed |= dict.fromkeys(("clip", "contact_sheet"), gr.update(visible="hidden"))
        return run_outputs(stage=gr.Tabs(selected=CLIP_TAB), **changed)

    def pack(self, request: gr.Request) -> Iterator[Any]:
        """Shows the last run frame by frame, measures it and writes the downloads; values of `PACK_OUTPUTS`."""
        run = self._last_run(request)
        if run is None or run.job is None:
            return
        run.aligned = run.aligned or self._align(run.job)
        if run.aligned is None:
            return
        slider = _slider(run.frames)
        frames = gr.update(content=compare_frames(run.aligned, run.frames))
        yield slider, frames, *(gr.skip(),) * 3
        picture = run.aligned.picture
        alphas = [self.handlers.engine.segment(frame, like=picture) for frame in run.frames]
        detect = partial(self.handlers.engine.detect, like=picture)
        measured = measure_clip(run.aligned, run.frames, alphas, detect)
        if self._overtaken(run, request):
            return
        yield *(gr.skip(),) * 2, texts.verdict(measured), texts.review(measured), gr.skip()
        with TemporaryDirectory(prefix="poseanimate-") as folder:
            try:
                clip = run.write(Path(folder))
                if clip is None:
                    return
                made = write_downloads(
                    run.job, clip, run.frames, alphas, run.fps, Path(folder), run.sound
                )
            except PoseAnimateError as error:
                raise gr.Error(str(error), print_exception=False) from error
            if not self._overtaken(run, request):
                yield *(gr.skip(),) * 4, made

    def frame_by_frame(self, request: gr.Request) -> Any:
        """The last run, frame by frame; nothing without one."""
        run = self._last_run(request)
        if run is None or run.aligned is None:
            return gr.skip()
        return gr.update(content=compare_frames(run.aligned, run.frames))

    def before_and_after(self, request: gr.Request) -> Any:
        """The last run's picture and a frame; nothing without one."""
        run = self._last_run(request)
        return gr.skip() if run is None else _slider(run.frames)

    def bundle(self, request: gr.Request) -> bytes | None:
        """The session's last clip with its inputs in one file; None without a clip.

        Raises:
            OutputError: the clip can't be written.
        """
        run = self._last_run(request)
        if run is None or run.job is None:
            return None
        with TemporaryDirectory(prefix="poseanimate-") as folder:
            clip = run.write(Path(folder))
            return None if clip is None else with_clip(run.job, Path(clip)).to_bytes()

    def _last_run(self, request: gr.Request) -> RunView | None:
        return self.handlers.queue.last(session_of(request))

    def _align(self, job: Bundle) -> Aligned | None:
        """What a reopened clip was made of; None where its character isn't found again."""
        with TemporaryDirectory(prefix="poseanimate-") as folder, suppress(PoseAnimateError):
            picture, *_ = write_inputs(replace(job, clip=b""), Path(folder))
            side = full_side(job.settings)
            character = self.handlers.inputs.load_character(picture, job.joints, side)
            alignment = self.handlers.engine.align(character, job.motion, job.settings)
            return Aligned(alignment, character.picture, character.mask)
        return None

    def _overtaken(self, run: RunView, request: gr.Request) -> bool:
        """Whether the session's next run has begun, so that this one's results must no longer be shown."""
        following = self.handlers.queue.current(session_of(request))
        begun = following is not None and following.begun
        return begun or self._last_run(request) is not run


def _slider(frames: Sequence[NDArray[np.uint8]]) -> Any:
    """The picture and the frame in the middle, enlarged as the clip is."""
    height, width = frames[0].shape[:2]
    factor = enlargement(width, height)
    size = (factor * width, factor * height)
    shown = (frames[0], frames[len(frames) // 2])
    large = (cv2.resize(frame, size, interpolation=cv2.INTER_LANCZOS4) for frame in shown)
    return gr.update(value=tuple(np.asarray(frame, np.uint8) for frame in large), visible=True)


def connect_stage(
    handlers: StageHandlers,
    inputs: InputComponents,
    run: RunSection,
    result: StageSection,
    before_after_tab: gr.Tab,
    frames_tab: gr.Tab,
) -> None:
    """Who chooses another pair sees its ready-made clip, or else its draft."""
    source, motion = inputs.source, list[Any](inputs.motion.chosen[:3])
    chosen = [*source.chosen]  # by hand alone
    chosen += [motion[0].input, motion[1].input, motion[2].upload]
    gr.on(chosen, handlers.chosen, [source.example, *motion[:2]], result.outputs(run), **CHOSEN)
    # what was sent while a tab had not been opened is lost
    before_after_tab.select(handlers.before_and_after, None, result.before_after, **BESIDE)
    frames_tab.select(handlers.frame_by_frame, None, result.frames, **BESIDE)
