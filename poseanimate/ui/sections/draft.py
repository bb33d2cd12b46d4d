"""The stage's draft: the motion aligned to the character."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr

from poseanimate.engines.engine import Engine
from poseanimate.errors import MotionError, PoseAnimateError, VideoError
from poseanimate.events import Returning, Stage, Step
from poseanimate.inputs.aligner import MAX_FULL_SIDE
from poseanimate.inputs.bundle import Bundle
from poseanimate.inputs.character import Character
from poseanimate.inputs.driver_sound import read_driver_sound
from poseanimate.media import Sound
from poseanimate.media.clips import GIF_MAX_FPS
from poseanimate.poses import overlay
from poseanimate.poses.pata import Alignment
from poseanimate.ui import texts
from poseanimate.ui.event_options import BESIDE, FOLLOWING, QUIET
from poseanimate.ui.input_cache import (
    ALIGNMENT_SETTINGS,
    MOTION_NAMES,
    FormValues,
    FoundMotion,
    InputCache,
    MotionChoice,
)
from poseanimate.ui.outputs import Outputs
from poseanimate.ui.runs.clips import write_clip
from poseanimate.ui.runs.drafts import DraftJob, draw_preview, write_drafts
from poseanimate.ui.sections.inputs import InputComponents
from poseanimate.ui.sections.motion import FIXABLE, MotionSection
from poseanimate.ui.sections.settings import Controls
from poseanimate.ui.widgets.hint import add_hint

ALIGNMENT_OUTPUTS = ("alignment", "findings", "fixes", *FIXABLE, "draft_files")
DRAFT_NAME = "clip"  # of one whose motion was uploaded: never text from outside


@dataclass(frozen=True)
class AlignmentSection:
    """The stage's draft: the motion aligned to the character."""

    view: gr.Radio
    outputs: list[gr.components.Component]  # as ALIGNMENT_OUTPUTS
    buttons: dict[str, gr.Button]
    download: gr.Button


def add_alignment(findings: gr.HTML, buttons: dict[str, gr.Button]) -> AlignmentSection:
    """The stage's draft.

    Args:
        findings, buttons: what is said of the motion, and its remedies, wherever they are.
    """
    view = gr.Radio(
        texts.ALIGNMENT_VIEWS,
        value=texts.DRAFT,
        label=texts.ALIGNMENT_VIEW,
        show_label=False,
        container=False,
        elem_id="alignment-view",
    )
    picture = gr.Image(
        label=texts.ALIGNED,
        alt_text=texts.ALIGNED_ALT,
        interactive=False,
        buttons=["fullscreen"],
        elem_id="alignment",
    )
    add_hint(texts.NO_DRAFT_YET)
    fixes = gr.State({})
    download = gr.Button(texts.DRAFT_DOWNLOAD, size="sm", elem_id="draft-download")
    files = gr.File(
        label=texts.DRAFT_FILES,
        file_count="multiple",
        interactive=False,
        visible="hidden",  # as the clip's
        elem_id="draft-files",
    )
    outputs = [picture, findings, fixes, *buttons.values(), files]
    return AlignmentSection(view, outputs, buttons, download)


def connect_fixes(fit: AlignmentSection, controls: Controls, motion: MotionSection) -> None:
    """A click on a finding's fix changes the setting, or the choice of motion, that it names."""

    def fix_for(name: str) -> Callable[[dict[str, Any]], Any]:
        return lambda fixes: fixes.get(name, gr.skip())

    fixes = fit.outputs[2]
    fixable = {**controls, **dict(zip(MOTION_NAMES, motion.chosen, strict=True))}
    for name, button in fit.buttons.items():
        button.click(fix_for(name), fixes, fixable[name], **QUIET)


class DraftHandlers:
    """The handlers of this section."""

    def __init__(self, engine: Engine, inputs: InputCache) -> None:
        self.engine, self.inputs = engine, inputs

    def fit(self, view: str, picture: str | None, joints: str, *values: Any) -> Iterator[Outputs]:
        """The draft or the skeletons, the findings and their fixes, as values of `ALIGNMENT_OUTPUTS`.

        Args:
            view: texts.DRAFT; skeletons: texts.PLAYING, texts.IN_A_STRIP, or texts.AS_IT_CAME (before PATA).
            values: of `MOTION_NAMES`, then of `ALIGNMENT_SETTINGS`.
        """
        character = None
        with suppress(PoseAnimateError):  # what is wrong is said beside the picture
            character = self.inputs.load_character(picture, joints)
        try:
            form = FormValues.of(values, ALIGNMENT_SETTINGS)
            choice = form.motion()
        except MotionError:
            missing = texts.NO_MOTION if character else texts.NO_CHARACTER
            yield alignment_outputs(None, texts.sentence(missing))
            return
        try:
            settings = form.settings()
            if form.uses_video and self.inputs.cached_motion(choice) is None:
                yield alignment_outputs(gr.skip(), texts.progress(texts.stage("motion"), 0))
            motion = (yield from self._report(self.inputs.load_motion(choice))).motion
            if character is None:
                yield alignment_outputs(None, texts.sentence(texts.NO_CHARACTER))
                return
            alignment = self.engine.align(character, motion, settings)
            shown = alignment
            if view == texts.AS_IT_CAME:
                shown = self.engine.align(character, motion, settings.changed({"pata": False}))
            with TemporaryDirectory(prefix="poseanimate-") as folder:
                if view == texts.DRAFT and not alignment.errors:
                    puppet = self.inputs.load_puppet(picture, joints)
                    path = draw_preview(puppet, character, alignment, Path(folder))
                else:
                    strip = view == texts.IN_A_STRIP
                    path = draw_alignment(character, shown, Path(folder), strip)
                yield alignment_outputs(path, texts.findings(alignment), _fixes(alignment))
        except PoseAnimateError as error:
            yield alignment_outputs(None, texts.sentence(str(error), "error"), error.fix)

    def download(self, picture: str | None, joints: str, *values: Any) -> Iterator[Outputs]:
        """The draft at the picture's full size, as files: values of the button and the files.

        Args:
            values: of `MOTION_NAMES`, then of `ALIGNMENT_SETTINGS`.
        """
        yield gr.Button(texts.DRAWING_DRAFT, interactive=False), gr.skip()
        try:
            form = FormValues.of(values, ALIGNMENT_SETTINGS)
            job = self._draft_job(picture, joints, form)
            if job is None:  # beside the preview it is said why
                return
            name = str(form.motion().name_or_path) if form.uses_preset else DRAFT_NAME
            made = []
            with TemporaryDirectory(prefix="poseanimate-") as folder:
                for path in write_drafts(job, name, Path(folder)):
                    made.append(path)
                    yield gr.skip(), gr.update(value=made, visible=True)
        except PoseAnimateError as error:
            raise gr.Error(str(error), print_exception=False) from error

    def bundle(self, picture: str | None, joints: str, prompt: str, *values: Any) -> bytes | None:
        """The draft at the picture's full size with its inputs in one file; None where the motion can't be used.

        Args:
            values: of `MOTION_NAMES`, then of `SETTING_NAMES`.

        Raises:
            PoseAnimateError: the inputs can't be used, or the draft can't be written.
        """
        form = FormValues.of(values)
        job = self._draft_job(picture, joints, form)
        if job is None:
            return None
        with TemporaryDirectory(prefix="poseanimate-") as folder:
            clip = job.write(Path(folder) / "draft.mp4")
            made = Bundle(
                job.puppet.picture,
                job.motion,
                form.settings(),
                prompt or "",
                self.engine.identity,
                joints or "",
                clip.read_bytes(),
                draft=True,
            )
        return made.to_bytes()

    def _draft_job(self, picture: str | None, joints: str, form: FormValues) -> DraftJob | None:
        """What a draft at full size is made of; None where the motion can't be used."""
        choice = form.motion()
        character = self.inputs.load_character(picture, joints)
        steps = Returning(self.inputs.load_motion(choice))
        for _ in steps:
            pass
        found = steps.result
        alignment = self.engine.align(character, found.motion, form.settings())
        if alignment.errors:
            return None
        sound = _driver_sound(choice, found, alignment)
        puppet = self.inputs.cut_out(picture, joints, MAX_FULL_SIDE)
        return DraftJob(puppet, character, alignment, found.motion, sound)

    def _report(
        self, steps: Generator[Stage | Step, None, FoundMotion]
    ) -> Generator[Outputs, None, FoundMotion]:
        """Reports progress while people are detected in a video; the last preview stays."""
        progress = Returning(steps)
        told = 0
        for event in progress:
            # at most a hundred reports: each takes as long as some frames
            if isinstance(event, Step) and 100 * event.index // event.total > told:
                share = event.index / event.total
                told = 100 * event.index // event.total
                about = texts.step_detail(event.index, event.total, None)
                message = texts.progress(texts.stage(event.stage), share, about)
                yield alignment_outputs(gr.skip(), message)
        return progress.result


def draw_alignment(
    character: Character, alignment: Alignment, folder: Path, strip: bool = False
) -> str:
    """Draws the aligned skeletons over the picture into a GIF or a strip (PNG); returns the file."""
    path = folder / ("alignment.png" if strip else "alignment.gif")
    if strip:
        write_clip([overlay.strip(character.picture, alignment)], path, alignment.fps)
    else:
        pictures = overlay.frames(character.picture, alignment)
        write_clip(pictures, path, min(alignment.fps, GIF_MAX_FPS))
    return str(path)


def _driver_sound(choice: MotionChoice, found: FoundMotion, alignment: Alignment) -> Sound | None:
    """The sound of a motion's video, if it is wanted and fits; a damaged one is left out."""
    if not (choice.sound and found.whole_video):
        return None
    try:
        path, frames = Path(choice.name_or_path), len(alignment.poses)
        return read_driver_sound(path, found.motion, alignment, frames)
    except VideoError:
        return None


def _fixes(alignment: Alignment) -> dict[str, object]:
    return {name: value for each in alignment.findings for name, value in each.fix.items()}


def alignment_outputs(
    picture: Any, findings: str, fixes: dict[str, object] | None = None
) -> Outputs:
    """Values of `ALIGNMENT_OUTPUTS`; a button for every setting that a finding's fix changes.

    Former drafts at full size go: they are of another job.
    """
    fixes = fixes or {}
    buttons = (
        gr.Button(texts.fix(name, fixes.get(name)), visible=name in fixes) for name in FIXABLE
    )
    return picture, findings, fixes, *buttons, gr.update(value=None, visible="hidden")


def connect_draft(
    demo: gr.Blocks, handlers: DraftHandlers, inputs: InputComponents, fit: AlignmentSection
) -> Any:
    """The draft follows its inputs; returns its event."""
    source, motion = inputs.source, inputs.motion.chosen
    aligned_by = [inputs.settings[name] for name in ALIGNMENT_SETTINGS]
    reads: list[Any] = [fit.view, *motion, *aligned_by]
    made_of = [source.picture, source.joints, *motion, *aligned_by]
    fit.download.click(handlers.download, made_of, [fit.download, fit.outputs[-1]], **BESIDE).then(
        lambda: gr.Button(texts.DRAFT_DOWNLOAD, interactive=True), None, fit.download, **QUIET
    )
    return gr.on(
        [demo.load, *source.placed, *(each.change for each in reads)],
        handlers.fit,
        [fit.view, *made_of],
        fit.outputs,
        **FOLLOWING,
    )
