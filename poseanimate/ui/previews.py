"""What the page shows before any diffusion model runs: joints, alignment and the cost of a run."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from poseanimate.engines.engine import Engine
from poseanimate.errors import (
    MotionError,
    NoCharacterError,
    PictureError,
    PoseAnimateError,
    SeveralCharactersError,
    VideoError,
)
from poseanimate.events import Returning, Stage, Step
from poseanimate.inputs.aligner import MAX_FULL_SIDE, full_side
from poseanimate.inputs.bundle import Bundle
from poseanimate.inputs.character import Character
from poseanimate.inputs.driver_sound import read_driver_sound
from poseanimate.inputs.prompt import list_words
from poseanimate.inputs.suggest import suggest_prompt
from poseanimate.media import Sound
from poseanimate.media.clips import GIF_MAX_FPS
from poseanimate.poses import overlay
from poseanimate.poses.pata import Alignment
from poseanimate.poses.skeleton import JOINT_NAMES, Pose, draw_pose
from poseanimate.settings import Settings
from poseanimate.ui import joints as editor
from poseanimate.ui import player, texts
from poseanimate.ui.clips import write_clip
from poseanimate.ui.drafts import DraftJob, draw_preview, write_drafts
from poseanimate.ui.input_cache import (
    SETTING_NAMES,
    FormValues,
    FoundMotion,
    InputCache,
    MotionChoice,
)

ALIGNMENT_SETTINGS = (
    "frames",
    "pata",
    "transition_frames",
    "anchor",
    "retarget_limbs",
    "smooth",
    "mirror",
    "motion_scale",
    "shift_x",
    "shift_y",
    "loop",
)
FIXABLE = tuple(texts.FIX)
NOUNS = ("person", "girl")  # the first that is a single token is used
MAX_WORDS = 60
TIMELINE_PX = 256  # width of a frame of a motion without a video
ALIGNMENT_OUTPUTS = ("alignment", "findings", "fixes", *FIXABLE, "draft_files")
DRAFT_NAME = "clip"  # of one whose motion was uploaded: never text from outside

Outputs = tuple[Any, ...]


class PreviewHandlers:
    """The handlers of everything before a run."""

    def __init__(self, engine: Engine, inputs: InputCache) -> None:
        self.engine, self.inputs = engine, inputs

    def look(self, picture: str | None, joints: str = "") -> tuple[dict[str, Any], str]:
        """What the joint editor shows, and a message about it."""
        people: list[Pose] = []
        mask, seen = None, None
        try:
            seen = self.inputs.see(self.inputs.require_path(picture))
            people = seen.people
            character = self.inputs.load_shown(picture, joints)
        except NoCharacterError as error:
            message = texts.sentence(f"{error.message} {texts.PLACE_ONE}", "error")
        except SeveralCharactersError as error:
            message = texts.sentence(f"{error.message} {texts.CHOOSE_ONE}", "warning")
        except PoseAnimateError as error:
            message = texts.sentence(str(error), "error" if picture else "plain")
        else:
            mask = character.mask
            height, width = seen.on_canvas.shape[:2]
            count = int(character.pose.visible().sum())
            message = texts.character_found(
                count,
                bool(joints),
                character.outlined,
                seen.size,
                (width, height),
                self._foreign(seen.on_canvas),
            )
        shown = player.NOTHING if seen is None else editor.make_content(seen.shown, people, mask)
        return gr.update(content=shown), message

    def _foreign(self, pixels: NDArray[np.uint8]) -> str:
        """A warning where the models don't paint such pictures."""
        try:
            self.engine.check_paintable(pixels, texts.ALIGNED_ANYWAY)
        except PictureError as error:
            return str(error)
        return ""

    def suggestion(self, picture: str | None, joints: str, prompt: str) -> gr.Button:
        """Suggests a prompt if there is none yet, for a picture of the models' world: of others too little is seen."""
        if (prompt or "").strip():
            return gr.Button(visible=False)
        try:
            character = self.inputs.load_character(picture, joints)
            self.engine.check_paintable(character.picture, "")
        except PoseAnimateError:
            return gr.Button(visible=False)
        known = [noun for noun in NOUNS if self.engine.knows_word(noun)]
        return gr.Button(texts.USE + suggest_prompt(character, (known or NOUNS)[0]), visible=True)

    def words(self, prompt: str, chosen: str) -> dict[str, Any]:
        """A prompt's words, with those selected that name the character."""
        words = list_words(prompt or "")[:MAX_WORDS]
        naming = self.engine.find_character_words(prompt or "", chosen or "")
        return gr.update(choices=words, value=[word for word in words if word in naming])

    def named(self, marked: list[str], prompt: str) -> str:
        """The setting for the selected words; empty if they are the default ones."""
        shown = list_words(prompt or "")[:MAX_WORDS]
        usual = {*self.engine.find_character_words(prompt or "", "")} & {*shown}
        return "" if {*marked} == usual else " ".join(marked)

    def fit(self, view: str, picture: str | None, joints: str, *values: Any) -> Iterator[Outputs]:
        """The draft or the skeletons, the findings and their fixes, as values of `ALIGNMENT_OUTPUTS`.

        Args:
            view: texts.DRAFT; skeletons: texts.PLAYING, texts.IN_A_STRIP, or texts.AS_IT_CAME (before PATA).
            values: of `MOTION_NAMES`, then of `ALIGNMENT_SETTINGS`.
        """
        try:
            character = self.inputs.load_character(picture, joints)
        except PoseAnimateError:
            yield alignment_outputs(None, texts.sentence(texts.NO_CHARACTER))
            return
        try:
            form = FormValues.of(values, ALIGNMENT_SETTINGS)
            choice = form.motion()
        except MotionError:
            yield alignment_outputs(None, texts.sentence(texts.NO_MOTION))
            return
        try:
            settings = form.settings()
            motion = (yield from self._report(self.inputs.load_motion(choice))).motion
            alignment = self.engine.align(character, motion, settings)
            shown = alignment
            if view == texts.AS_IT_CAME:
                shown = self.engine.align(character, motion, settings.changed({"pata": False}))
            with TemporaryDirectory(prefix="poseanimate-") as folder:
                said = texts.findings(alignment)
                if view == texts.DRAFT and not alignment.errors:
                    puppet = self.inputs.load_puppet(picture, joints)
                    path = draw_preview(puppet, character, alignment, Path(folder))
                    if self._foreign(character.picture):
                        said += texts.sentence(texts.DRAFT_IS_RESULT, "note")
                else:
                    strip = view == texts.IN_A_STRIP
                    path = draw_alignment(character, shown, Path(folder), strip)
                yield alignment_outputs(path, said, _fixes(alignment))
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

    def timeline(self, *values: Any) -> dict[str, Any]:
        """A file's motion frame by frame, with no part chosen yet; empty without a motion.

        Args:
            values: of `MOTION_NAMES`.
        """
        seen, start_s = None, 0.0
        try:
            form = FormValues.of(values, ())
            choice = form.motion()
            if not form.uses_preset:  # a preset has its thumbnail
                for _ in self.inputs.load_motion(choice):
                    pass  # reported beside the alignment
                seen, start_s = self.inputs.cached_motion(choice), choice.start_s
        except PoseAnimateError:
            pass  # reported beside the alignment
        shown = player.NOTHING if seen is None else _timeline_content(seen, start_s)
        return gr.update(content=shown, value="")

    @staticmethod
    def trim(part: str) -> tuple[Any, Any]:
        """Start and end of the part chosen on the timeline, in seconds."""
        try:
            chosen = json.loads(part or "{}")
            start_s, end_s = float(chosen["start_s"]), float(chosen["end_s"])
        except (ValueError, KeyError, TypeError):
            return gr.skip(), gr.skip()
        return start_s, end_s

    def forecast(self, picture: str | None, joints: str, prompt: str, *values: Any) -> str:
        """The cost of a run; empty if it could not begin, or while the motion is still being detected.

        Args:
            values: of `MOTION_NAMES`, then of `SETTING_NAMES`.
        """
        try:
            form = FormValues.of(values)
            settings, choice = form.settings(), form.motion()
            character = self.inputs.load_character(picture, joints, full_side(settings))
            seen = self.inputs.cached_motion(choice)
            if seen is None:
                return ""
            found = self.engine.forecast(character, seen.motion, settings, prompt or "")
        except PoseAnimateError:
            return ""
        return "" if found is None else texts.forecast(found)

    @staticmethod
    def preset(name: str) -> list[Any]:
        """A preset's values, in the order of `SETTING_NAMES`."""
        settings = Settings.preset(name)
        return [getattr(settings, each) for each in SETTING_NAMES]

    @staticmethod
    def quality(name: str) -> list[Any]:
        """A preset's values but for the length and the alignment, in the order of `SETTING_NAMES`."""
        settings = Settings.preset(name)
        return [getattr(settings, each) for each in SETTING_NAMES if each not in ALIGNMENT_SETTINGS]

    @staticmethod
    def weigh(*lambdas: float) -> str:
        """What λ1, λ2 and λ3 sum to."""
        return texts.lambda_sum(sum(value or 0 for value in lambdas))

    @staticmethod
    def normalise(first: float, prev: float) -> tuple[float, float, float]:
        """λ1 unchanged, λ2 at most what that leaves of 1, and λ3 the rest; in hundredths."""
        first = min(round(first or 0, 2), 1.0)
        prev = min(round(prev or 0, 2), round(1 - first, 2))
        return first, prev, round(1 - first - prev, 2)

    def _report(
        self, steps: Generator[Stage | Step, None, FoundMotion]
    ) -> Generator[Outputs, None, FoundMotion]:
        """Reports progress while people are detected in a video; the last preview stays."""
        progress = Returning(steps)
        for event in progress:
            if isinstance(event, Step):
                share = event.index / event.total
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


def _timeline_content(seen: FoundMotion, start_s: float) -> dict[str, Any]:
    motion, frames = seen.motion, seen.frames
    if frames:
        label, (height, width) = texts.VIDEO_SEEN, frames[0].shape[:2]
    else:
        label, width = texts.POSES_SEEN, TIMELINE_PX
        height = max(1, round(motion.height * width / motion.width))
    poses = [pose.scaled(width / motion.width, height / motion.height) for pose in motion.poses]
    pictures = (
        [overlay.draw_over(frame, pose) for frame, pose in zip(frames, poses, strict=True)]
        if frames
        else [draw_pose(pose, width, height) for pose in poses]
    )
    joints = [int(pose.visible().sum()) for pose in poses]
    notes = [texts.JOINTS_SEEN.format(count) if count else texts.NOBODY_SEEN for count in joints]
    marks = [count / len(JOINT_NAMES) for count in joints]
    return player.make_content({label: pictures}, motion.fps, start_s, notes, marks, trims=True)


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
