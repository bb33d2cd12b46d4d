"""The page's work for programs: endpoints without components, documented for callers in docs/api.md.

Notable:
- Gradio passes any JSON on, and checks files only if they look like its own uploads, so every argument is checked here
  before it is used.
- Gradio reads types and help from signatures and docstrings: one line per argument, `tuple` for each yielded value
  (so annotations must not be strings), and optional files without `| None`, which MCP couldn't fill.
"""

import logging
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypedDict

import gradio as gr
from gradio.data_classes import FileDataMeta
from gradio_client.utils import is_file_obj_with_meta

from poseanimate.errors import MotionError, PoseAnimateError, SettingsError
from poseanimate.events import Returning, Stage, Step
from poseanimate.inputs.aligner import MAX_FULL_SIDE, full_side
from poseanimate.poses.motion import Motion, load_preset, preset_names
from poseanimate.poses.pata import Alignment
from poseanimate.settings import Settings
from poseanimate.ui import texts
from poseanimate.ui.input_cache import MotionChoice
from poseanimate.ui.runs.drafts import draw_draft
from poseanimate.ui.runs.run_view import RunView
from poseanimate.ui.sections.draft import draw_alignment
from poseanimate.ui.sections.run import Handlers

_log = logging.getLogger(__name__)

MAX_NUMBER = 1_000_000  # seconds, or frames

Overrides = dict[str, float | bool | str]


class ApiFile(TypedDict):
    """A file as Gradio's clients send and fetch it."""

    path: str
    meta: FileDataMeta


class ApiProgress(TypedDict):
    """Step `step` of `steps` of a stage is done; left_s: remaining seconds, where known."""

    stage: str
    step: int
    steps: int
    left_s: float | None


class ApiNote(TypedDict):
    """A remark on the run."""

    text: str
    warning: bool


class ApiFigures(TypedDict):
    """Figures of a finished clip; see `Done`."""

    frames: int
    fps: float
    seconds: dict[str, float]
    model_calls: dict[str, int]
    source_psnr_db: float | None
    inversion_psnr_db: float | None
    lost_attention: dict[str, list[float]]
    cached_stages: list[str]
    notes: list[ApiNote]


class ApiFinding(TypedDict):
    """A finding of the alignment; see `poses.pata.Finding`."""

    severity: str
    message: str
    remedy: str
    fix: dict[str, Any]


class PresetMotion(TypedDict):
    """A motion that ships with the program."""

    name: str
    frames: int
    fps: float
    seconds: float


class Api:
    """The endpoints of one page; their runs are limited and queued like the page's own."""

    def __init__(self, handlers: Handlers) -> None:
        self.handlers = handlers

    def animate(  # type: ignore[misc]  # a generator
        self,
        request: gr.Request,
        picture: ApiFile,
        motion: str = "walk",
        motion_file: ApiFile = None,  # type: ignore[assignment]
        prompt: str = "",
        preset: str = "fast",
        settings: Overrides = {},  # noqa: B006  only read, and null would not be this type
        joints: str = "",
        start_s: float = 0.0,
        end_s: float = 0.0,
        stride: int = 1,
        fps: float = 0.0,
        rotate: int = 0,
        repair: bool = False,
        more_files: list[ApiFile] = [],  # noqa: B006  as above
        sound: bool = True,
        anyway: bool = False,
    ) -> tuple[ApiFile | None, ApiProgress | ApiFigures]:
        """Animates the character of a picture with a motion. Until the clip is made, there is only progress.

        Args:
            picture: PNG, JPEG, WebP, HEIC, AVIF, GIF, BMP or TIFF with one character in it.
            motion: the name of a motion that ships with the program; `motions` lists them.
            motion_file: a video, a picture, pose JSON (one file or a ZIP) or BVH, instead of `motion`.
            prompt: what the picture shows, beginning with the character; at most 2000 characters.
            preset: the settings to start from: fast, balanced, paper, few-step (not for pocket), or a baseline's name.
            settings: what differs from the preset, by name, such as {"frames": 24}.
            joints: OpenPose keypoints (JSON text) of the people in the picture, the character first; empty: found.
            start_s: where the part of the motion that is used begins, in seconds, from 0.
            end_s: where it ends, in seconds; 0: at the motion's end.
            stride: every nth frame of it is used, from 1.
            fps: frames per second of keypoints or of a motion that ships with the program; 0: its own.
            rotate: degrees by which the motion is turned clockwise: 0, 90, 180 or 270.
            repair: whether left and right are swapped back, and joints that jump away dropped.
            more_files: what follows `motion_file`: pictures to go on to, 16 in all, or pose JSON of later frames.
            sound: whether a clip that shows a whole video, once, has its sound.
            anyway: also animate a picture that the models weren't made for, such as a photograph for the pocket models.

        Returns:
            the clip (MP4) and its figures; before that, no clip and the progress.
        """
        if message := self.handlers.rate_limit.count(request):
            raise _error(message)
        with _sentences():
            how = _settings(preset, self.handlers.engine.family, settings)
            choice = _choice(motion, motion_file, start_s, end_s, stride, fps, rotate)
            choice = replace(choice, repair=repair is True, sound=sound is True)
            choice = replace(choice, more=_paths(more_files, motion_file))
            path = _path("picture", picture)
            character = self.handlers.inputs.load_character(path, joints, full_side(how))
            prompt = _text("prompt", prompt)
            if anyway is not True:
                self.handlers.engine.check_paintable(character.picture, texts.PAINT_ANYWAY_API)
            run = self.handlers.start(request)
            run.joints = joints
            try:
                with closing(self.handlers.events(run, character, prompt, choice, how)) as events:
                    for event in events:
                        run.take(event)
                        if isinstance(event, Stage | Step):
                            yield None, _progress(event)
            finally:
                self.handlers.forget(request)
            run.add_sound()
            with TemporaryDirectory(prefix="poseanimate-") as folder:
                yield _file(run.write(Path(folder))), _figures(run)

    def align(  # type: ignore[misc]  # a generator
        self,
        picture: ApiFile,
        motion: str = "walk",
        motion_file: ApiFile = None,  # type: ignore[assignment]
        preset: str = "fast",
        settings: Overrides = {},  # noqa: B006  as above
        joints: str = "",
        start_s: float = 0.0,
        end_s: float = 0.0,
        stride: int = 1,
        fps: float = 0.0,
        rotate: int = 0,
        repair: bool = False,
        more_files: list[ApiFile] = [],  # noqa: B006  as above
    ) -> tuple[ApiFile | None, list[ApiFinding]]:
        """Fits a motion to the character of a picture and says how well it fits; no diffusion model is used.

        Args:
            picture: PNG, JPEG, WebP, HEIC, AVIF, GIF, BMP or TIFF with one character in it.
            motion: the name of a motion that ships with the program; `motions` lists them.
            motion_file: a video, a picture, pose JSON (one file or a ZIP) or BVH, instead of `motion`.
            preset: the settings to start from: fast, balanced, paper, few-step (not for pocket), or a baseline's name.
            settings: what differs from the preset, by name, such as {"frames": 24}.
            joints: OpenPose keypoints (JSON text) of the people in the picture, the character first; empty: found.
            start_s: where the part of the motion that is used begins, in seconds, from 0.
            end_s: where it ends, in seconds; 0: at the motion's end.
            stride: every nth frame of it is used, from 1.
            fps: frames per second of keypoints or of a motion that ships with the program; 0: its own.
            rotate: degrees by which the motion is turned clockwise: 0, 90, 180 or 270.
            repair: whether left and right are swapped back, and joints that jump away dropped.
            more_files: what follows `motion_file`: pictures to go on to, 16 in all, or pose JSON of later frames.

        Returns:
            skeletons over the picture (GIF), and findings; while people are detected in a video, neither.
        """
        with _sentences():
            how = _settings(preset, self.handlers.engine.family, settings)
            choice = _choice(motion, motion_file, start_s, end_s, stride, fps, rotate)
            choice = replace(choice, repair=repair is True, more=_paths(more_files, motion_file))
            character = self.handlers.inputs.load_character(_path("picture", picture), joints)
            chosen = yield from self._looked_through(choice)
            alignment = self.handlers.engine.align(character, chosen, how)
            with TemporaryDirectory(prefix="poseanimate-") as folder:
                yield (
                    _file(draw_alignment(character, alignment, Path(folder))),
                    _findings(alignment),
                )

    def draft(  # type: ignore[misc]  # a generator
        self,
        picture: ApiFile,
        motion: str = "walk",
        motion_file: ApiFile = None,  # type: ignore[assignment]
        preset: str = "fast",
        settings: Overrides = {},  # noqa: B006  as above
        joints: str = "",
        start_s: float = 0.0,
        end_s: float = 0.0,
        stride: int = 1,
        fps: float = 0.0,
        rotate: int = 0,
        repair: bool = False,
        more_files: list[ApiFile] = [],  # noqa: B006  as above
    ) -> tuple[ApiFile | None, list[ApiFinding]]:
        """Moves the character itself, cut out of the picture limb by limb; no diffusion model is used.

        Args:
            picture: PNG, JPEG, WebP, HEIC, AVIF, GIF, BMP or TIFF with one character in it.
            motion: the name of a motion that ships with the program; `motions` lists them.
            motion_file: a video, a picture, pose JSON (one file or a ZIP) or BVH, instead of `motion`.
            preset: the settings to start from: fast, balanced, paper, few-step (not for pocket), or a baseline's name.
            settings: what differs from the preset, by name, such as {"frames": 24}.
            joints: OpenPose keypoints (JSON text) of the people in the picture, the character first; empty: found.
            start_s: where the part of the motion that is used begins, in seconds, from 0.
            end_s: where it ends, in seconds; 0: at the motion's end.
            stride: every nth frame of it is used, from 1.
            fps: frames per second of keypoints or of a motion that ships with the program; 0: its own.
            rotate: degrees by which the motion is turned clockwise: 0, 90, 180 or 270.
            repair: whether left and right are swapped back, and joints that jump away dropped.
            more_files: what follows `motion_file`: pictures to go on to, 16 in all, or pose JSON of later frames.

        Returns:
            the draft (MP4) and findings; no draft while people are detected, nor for a motion with errors.
        """
        with _sentences():
            how = _settings(preset, self.handlers.engine.family, settings)
            choice = _choice(motion, motion_file, start_s, end_s, stride, fps, rotate)
            choice = replace(choice, repair=repair is True, more=_paths(more_files, motion_file))
            path, inputs = _path("picture", picture), self.handlers.inputs
            character = inputs.load_character(path, joints)
            chosen = yield from self._looked_through(choice)
            alignment = self.handlers.engine.align(character, chosen, how)
            with TemporaryDirectory(prefix="poseanimate-") as folder:
                made = None
                if not alignment.errors:
                    puppet = inputs.cut_out(path, joints, MAX_FULL_SIDE)
                    made = draw_draft(puppet, character, alignment, Path(folder) / "draft.mp4")
                yield _file(made), _findings(alignment)

    def motions(self) -> list[PresetMotion]:
        """Lists the motions that ship with the program.

        Returns:
            name, frames, frames per second and seconds of each.
        """
        return [
            {
                "name": each.name,
                "frames": len(each.poses),
                "fps": each.fps,
                "seconds": each.duration_s,
            }
            for each in map(load_preset, preset_names())
        ]

    def _looked_through(
        self, choice: MotionChoice
    ) -> Generator[tuple[None, list[ApiFinding]], None, Motion]:
        """The chosen motion; yields after each video frame, so that a client can cancel."""
        steps = Returning(self.handlers.inputs.load_motion(choice))
        for _ in steps:
            yield None, []
        return steps.result.motion


@contextmanager
def _sentences() -> Iterator[None]:
    """Turns errors into messages for the client; bugs are logged."""
    try:
        yield
    except PoseAnimateError as error:
        raise _error(str(error)) from error
    except Exception as error:
        _log.exception("A call failed.")
        raise _error(texts.INTERNAL) from error


def _error(sentence: str) -> gr.Error:
    return gr.Error(sentence, print_exception=False)


# arguments ------------------------------------------------------------------------------------


def _path(what: str, file: Any) -> str:
    """The path of an upload. Gradio has already refused paths of other files, but only in values of this form."""
    if not is_file_obj_with_meta(file):
        raise SettingsError(f"{what} is no uploaded file.", "Upload it first; see docs/api.md.")
    return str(file["path"])


def _paths(files: Any, first: Any) -> tuple[str, ...]:
    """The paths of uploads that follow a first one."""
    if not isinstance(files, list):
        raise SettingsError("more_files is no list of files.", "Give uploaded files.")
    if files and first is None:
        raise SettingsError(
            "There is no motion_file before more_files.", "Give the first one there."
        )
    return tuple(_path("more_files", file) for file in files)


def _text(what: str, value: Any) -> str:
    if not isinstance(value, str):
        raise SettingsError(f"{what} is {value!r:.80}.", "Give a text.")
    return value


def _choice(
    motion: Any, file: Any, start_s: Any, end_s: Any, stride: Any, fps: Any, rotate: Any
) -> MotionChoice:
    start_s, end_s = _number("start_s", start_s), _number("end_s", end_s) or None
    stride = _number("stride", stride, least=1)
    if stride != int(stride):
        raise MotionError(f"The stride is {stride:g}.", "Give a whole number from 1.")
    if file is not None:
        name = _path("motion_file", file)
    else:
        name = _text("motion", motion)
        load_preset(name)  # raises for other names: a path would be opened
    fps = _number("fps", fps) or None
    rotate = _number("rotate", rotate)
    if rotate % 90:
        raise MotionError(f"The rotation is {rotate:g} degrees.", "Give 0, 90, 180 or 270.")
    return MotionChoice(name, start_s, end_s, int(stride), int(rotate) % 360, fps=fps)


def _number(name: str, value: Any, least: int = 0) -> float:
    if isinstance(value, int | float) and least <= value <= MAX_NUMBER:  # false for NaN
        return float(value)
    raise MotionError(f"{name} is {value!r:.80}.", f"Give a number from {least} to {MAX_NUMBER}.")


def _settings(preset: Any, family: str, changed: Any) -> Settings:
    if not isinstance(changed, dict):
        raise SettingsError(
            f"The settings are {changed!r:.80}.", 'Give names and values, such as {"frames": 24}.'
        )
    return Settings.preset(_text("preset", preset), family).changed(changed)


# answers ------------------------------------------------------------------------------------


def _file(path: str | None) -> ApiFile | None:
    return None if path is None else {"path": path, "meta": {"_type": "gradio.FileData"}}


def _progress(event: Stage | Step) -> ApiProgress:
    if isinstance(event, Stage):
        return {"stage": event.name, "step": 0, "steps": event.steps, "left_s": None}
    return {"stage": event.stage, "step": event.index, "steps": event.total, "left_s": event.left_s}


def _figures(run: RunView) -> ApiFigures:
    assert run.done is not None, "events end with Done"
    return {
        "frames": len(run.frames),
        "fps": run.fps,
        "seconds": run.done.seconds,
        "model_calls": run.done.model_calls,
        "source_psnr_db": run.done.source_psnr_db,
        "inversion_psnr_db": run.done.inversion_psnr_db,
        "lost_attention": {
            str(tokens): list(shares) for tokens, shares in run.done.lost_attention.items()
        },
        "cached_stages": list(run.done.cached_stages),
        "notes": [{"text": note.text, "warning": note.warning} for note in run.notes],
    }


def _findings(alignment: Alignment) -> list[ApiFinding]:
    return [
        {
            "severity": each.severity.value,
            "message": each.message,
            "remedy": each.remedy,
            "fix": dict(each.fix),
        }
        for each in alignment.findings
    ]
