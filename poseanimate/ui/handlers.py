"""What the page's events do: values of components in, values of components out; knows no layout.

Notable:
- What was read from a file is remembered by its path: uploads are stored under the hash of their
  content, so equal paths are equal files.
- Stop only asks: the run itself notices after its step, makes a clip of what is finished, and has
  the last word on the page. A session has at most one run, waiting or begun.
- Files live in a temporary folder until Gradio has copied them to its own cache. A session's last
  run is remembered until the page is closed, so that its clip can be had in other forms.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from functools import lru_cache, wraps
from inspect import Parameter, Signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from poseanimate.animator import Animator
from poseanimate.bundle import Bundle
from poseanimate.character import Character, found, placed
from poseanimate.errors import (
    MotionError,
    NoCharacterError,
    PictureError,
    PoseAnimateError,
    SeveralCharactersError,
)
from poseanimate.events import Event, Frame, Stage, Step
from poseanimate.media import load_picture, write_clip
from poseanimate.media.clips import GIF_MAX_FPS
from poseanimate.motion_source import iter_motion, open_motion
from poseanimate.poses import preview
from poseanimate.poses.keypoints import read_people
from poseanimate.poses.motion import Motion
from poseanimate.poses.skeleton import Pose
from poseanimate.settings import Settings
from poseanimate.ui import joints as editor
from poseanimate.ui import texts
from poseanimate.ui.files import downloads, laid_out, opened
from poseanimate.ui.run import Run

REMEMBERED = 8
SETTING_NAMES = tuple(each.name for each in fields(Settings))
MOTION_NAMES = ("motion_from", "motion_preset", "motion_file", "start_s", "end_s", "stride")
ALIGNMENT_SETTINGS = (
    "frames",
    "pata",
    "transition_frames",
    "anchor",
    "retarget_limbs",
    "smooth",
    "loop",
)

_log = logging.getLogger(__name__)

Outputs = tuple[Any, ...]


@dataclass(frozen=True)
class MotionChoice:
    """What was chosen as motion: a preset's name or an uploaded file, and which part of it."""

    name_or_path: str
    start_s: float = 0.0
    end_s: float | None = None
    stride: int = 1

    @staticmethod
    def of(values: Sequence[Any]) -> MotionChoice:
        """From the values of `MOTION_NAMES`.

        Raises:
            MotionError: nothing is chosen.
        """
        source, preset, file, start_s, end_s, stride = values
        if source == texts.FROM_FILE and file:
            return MotionChoice(str(file), float(start_s or 0), end_s or None, int(stride or 1))
        if source == texts.FROM_PRESET and preset:
            return MotionChoice(str(preset))
        raise MotionError("There is no motion yet.", texts.NO_MOTION)


class Handlers:
    """The handlers of one page, for all of its sessions."""

    def __init__(self, animator: Animator) -> None:
        self.animator = animator
        self._seen = lru_cache(maxsize=REMEMBERED)(self._looked_at)
        self._character = lru_cache(maxsize=REMEMBERED)(self._placed)
        self._motions: OrderedDict[MotionChoice, Motion] = OrderedDict()
        self._runs: dict[str, Run] = {}
        self._last: OrderedDict[str, Run] = OrderedDict()
        self._lock = threading.Lock()

    # 1 to 3: before any diffusion model is touched ------------------------------------------------

    def look(self, picture: str | None, joints: str = "") -> tuple[dict[str, Any], str]:
        """What the editor of joints shows, and a sentence about it."""
        people: list[Pose] = []
        mask, pixels = None, None
        try:
            given, pixels, people = self._seen(self._path(picture))
            character = self.character(picture, joints)
        except NoCharacterError as error:
            said = texts.sentence(f"{error.message} {texts.PLACE_ONE}", "error")
        except SeveralCharactersError as error:
            said = texts.sentence(f"{error.message} {texts.CHOOSE_ONE}", "warning")
        except PoseAnimateError as error:
            said = texts.sentence(str(error), "error" if picture else "plain")
        else:
            mask = character.mask
            height, width = pixels.shape[:2]
            count = int(character.pose.visible().sum())
            said = texts.found(count, bool(joints), character.outlined, given, (width, height))
        shown = None if pixels is None else editor.shown(pixels, people, mask)
        return gr.update(shown=shown), said

    def fit(
        self, picture: str | None, joints: str, *values: Any
    ) -> Iterator[tuple[str | dict[str, Any] | None, str]]:
        """The aligned skeletons as a looping clip, and the verdicts.

        Args:
            values: of `MOTION_NAMES`, then of `ALIGNMENT_SETTINGS`.
        """
        try:
            character = self.character(picture, joints)
        except PoseAnimateError:
            yield None, texts.sentence(texts.NO_CHARACTER)
            return
        try:
            choice = MotionChoice.of(values[:6])
        except MotionError:
            yield None, texts.sentence(texts.NO_MOTION)
            return
        try:
            settings = Settings(**dict(zip(ALIGNMENT_SETTINGS, values[6:], strict=True)))
            motion = yield from self._told(self._motion(choice))
            alignment = self.animator.align(character, motion, settings)
            with TemporaryDirectory(prefix="poseanimate-") as folder:
                path = Path(folder) / "alignment.gif"
                pictures = preview.frames(character.picture, alignment)
                write_clip(pictures, path, min(alignment.fps, GIF_MAX_FPS))
                yield str(path), texts.verdicts(alignment)
        except PoseAnimateError as error:
            yield None, texts.sentence(str(error), "error")

    # 4: settings ----------------------------------------------------------------------------------

    @staticmethod
    def preset(name: str) -> list[Any]:
        """A preset's values, in the order of `SETTING_NAMES`."""
        settings = Settings.preset(name)
        return [getattr(settings, each) for each in SETTING_NAMES]

    @staticmethod
    def weigh(*lambdas: float) -> str:
        """What λ1, λ2 and λ3 sum to."""
        return texts.lambda_sum(sum(value or 0 for value in lambdas))

    @staticmethod
    def normalise(first: float, prev: float) -> tuple[float, float, float]:
        """λ1 as it is, λ2 as far as there is room, and λ3 as what is left of 1; in hundredths."""
        first = min(round(first or 0, 2), 1.0)
        prev = min(round(prev or 0, 2), round(1 - first, 2))
        return first, prev, round(1 - first - prev, 2)

    def forecast(self, picture: str | None, joints: str, prompt: str, *values: Any) -> str:
        """What Generate would take; nothing where it would not begin, or the motion is still looked for.

        Args:
            values: of `MOTION_NAMES`, then of `SETTING_NAMES`.
        """
        try:
            settings = Settings(**dict(zip(SETTING_NAMES, values[6:], strict=True)))
            choice = MotionChoice.of(values[:6])
            character = self.character(picture, joints)
            with self._lock:
                motion = self._motions.get(choice)
            if motion is None:
                return ""
            found = self.animator.forecast(character, motion, settings, prompt or "")
        except PoseAnimateError:
            return ""
        return "" if found is None else texts.forecast(found)

    # 5: the clip ----------------------------------------------------------------------------------

    def begin(self, request: gr.Request) -> Outputs:
        """Answers the click at once; the run itself may have to wait for its turn."""
        with self._lock:
            run = self._runs.get(_session(request))
            if run is None or not run.begun:
                self._runs[_session(request)] = Run()
        return shown(
            bar=texts.progress(texts.WAITING, 0.0),
            generate=gr.Button(interactive=False),
            stop=gr.Button(interactive=True),
        )

    def animate(
        self, request: gr.Request, picture: str | None, joints: str, prompt: str, *values: Any
    ) -> Iterator[Outputs]:
        """A run, shown after each of its steps.

        Args:
            joints: OpenPose keypoints of the picture, the character first; empty: found in it.
            values: of `MOTION_NAMES`, then of `SETTING_NAMES`.
        """
        run = self.start(request)
        try:
            trouble = yield from self._followed(run, picture, joints, prompt, values)
            self._remember(request, run)
            yield from self._ended(run, trouble)
        finally:
            self.forget(request)
        if trouble:
            raise gr.Error(trouble, print_exception=False)

    def stop(self, request: gr.Request) -> Outputs:
        """Asks a session's run to end after its step."""
        with self._lock:
            run = self._runs.get(_session(request))
        if run is None:
            return shown(stop=gr.Button(interactive=False))
        run.stopped = True
        said = (
            texts.progress(texts.STOPPING, run.share) if run.begun else texts.ended(0, stopped=True)
        )
        return shown(bar=said, stop=gr.Button(interactive=False))

    def failed(self, request: gr.Request) -> Outputs:
        """The run ended with an error, or never began because too many wait."""
        with self._lock:
            run = self._runs.pop(_session(request), None)
        never_began = {} if run is None else {"bar": texts.sentence(texts.TOO_MANY, "error")}
        return shown(
            **never_began,
            generate=gr.Button(interactive=True),
            stop=gr.Button(interactive=False),
        )

    def leave(self, request: gr.Request) -> None:
        """The page was closed."""
        with self._lock:
            run = self._runs.pop(_session(request), None)
            self._last.pop(_session(request), None)
        if run is not None:
            run.stopped = True

    # 6: what is taken away, and brought back ------------------------------------------------------

    def pack(self, request: gr.Request) -> Iterator[Any]:
        """The last run's clip in every form, with the bundle that makes it again."""
        with self._lock:
            run = self._last.get(_session(request))
        if run is None or run.job is None:
            return
        alphas = [self.animator.models.segmenter.segment(frame) for frame in run.frames]
        with TemporaryDirectory(prefix="poseanimate-") as folder:
            try:
                clip = run.write(Path(folder))
                if clip is None:
                    return
                made = downloads(run.job, clip, run.frames, alphas, run.fps, Path(folder))
            except PoseAnimateError as error:
                raise gr.Error(str(error), print_exception=False) from error
            yield gr.update(value=made, visible=True)

    def restore(self, path: str) -> Iterator[Outputs]:
        """All that a bundle holds, as values of `RESTORED`; an unusable one changes nothing."""
        with TemporaryDirectory(prefix="poseanimate-") as folder:
            try:
                job = opened(path)
                picture, motion, clip = laid_out(job, Path(folder))
            except PoseAnimateError as error:
                said = texts.sentence(str(error), "error")
                yield (said, *(gr.skip(),) * (len(RESTORED) + len(SETTING_NAMES) - 1))
                return
            values = [getattr(job.settings, name) for name in SETTING_NAMES]
            said = texts.restored(job.models == self.animator.models.identity)
            where = (texts.FROM_FILE, gr.skip(), motion, 0, None, 1)
            yield said, None, picture, job.joints, job.prompt, *where, clip, *values

    def character(self, picture: str | None, joints: str = "") -> Character:
        """The character in a picture, where it was found or where its joints are said to be.

        Raises:
            PictureError: there is no picture, it can't be used, or the joints can't be.
            NoCharacterError, SeveralCharactersError: see `Animator.character`.
        """
        if not isinstance(joints or "", str):  # Gradio lets anything pass
            raise PictureError("The picture's joints are no text.", "Give OpenPose keypoint JSON.")
        return self._character(self._path(picture), joints or "")

    @staticmethod
    def _path(picture: str | None) -> str:
        if not picture:
            raise PictureError("There is no picture yet.", texts.NO_PICTURE)
        return str(picture)

    def _looked_at(self, path: str) -> tuple[tuple[int, int], NDArray[np.uint8], list[Pose]]:
        """A picture's own width and height, its pixels on the clip's canvas, and who is there."""
        picture = load_picture(Path(path))
        pixels = self.animator.fitted(picture)
        return picture.size, pixels, self.animator.models.detector.detect(pixels)

    def _placed(self, path: str, joints: str) -> Character:
        _, pixels, people = self._seen(path)
        segmenter = self.animator.models.segmenter
        if not joints:
            return found(pixels, people, segmenter)
        height, width = pixels.shape[:2]
        return placed(pixels, read_people(joints, width, height), segmenter)

    def _motion(self, choice: MotionChoice) -> Generator[Stage | Step, None, Motion]:
        with self._lock:
            motion = self._motions.get(choice)
        if motion is None:
            part = (choice.start_s, choice.end_s, choice.stride)
            source = open_motion(choice.name_or_path, *part)
            name = Path(choice.name_or_path).name
            motion = yield from iter_motion(source, self.animator.models.detector, name)
            with self._lock:
                self._motions[choice] = motion
                while len(self._motions) > REMEMBERED:
                    self._motions.popitem(last=False)
        return motion

    def _told(
        self, steps: Generator[Stage | Step, None, Motion]
    ) -> Generator[tuple[Any, str], None, Motion]:
        """Reports on a video that is looked through; the last preview stays."""
        while True:
            try:
                event = next(steps)
            except StopIteration as end:
                motion: Motion = end.value
                return motion
            if isinstance(event, Step):
                share = event.index / event.total
                about = texts.step_detail(event.index, event.total, None)
                yield gr.skip(), texts.progress(texts.stage(event.stage), share, about)

    def events(
        self, run: Run, character: Character, prompt: str, choice: MotionChoice, settings: Settings
    ) -> Generator[Event, None, None]:
        """The motion's steps, where it must be looked for in a video, and then the engine's."""
        motion = yield from self._motion(choice)
        models = self.animator.models.identity
        run.job = Bundle(character.picture, motion, settings, prompt or "", models, run.joints)
        events = cast(
            Generator[Event, None, None],
            self.animator.animate(character, motion, settings, prompt or ""),
        )
        with closing(events):
            yield from events

    def _followed(
        self, run: Run, picture: str | None, joints: str, prompt: str, values: Sequence[Any]
    ) -> Generator[Outputs, None, str]:
        """Shows a run until it is done, stopped or in trouble; returns what the trouble is."""
        if run.stopped:
            return ""
        yield shown(bar=run.bar)
        try:
            settings = Settings(**dict(zip(SETTING_NAMES, values[6:], strict=True)))
            choice = MotionChoice.of(values[:6])
            run.name = choice.name_or_path if values[0] == texts.FROM_PRESET else run.name
            character = self.character(picture, joints)
            run.joints = joints
            with closing(self.events(run, character, prompt, choice, settings)) as events:
                for event in events:
                    run.take(event)
                    if run.stopped:
                        break
                    yield shown(**self._news(run, event))
        except PoseAnimateError as error:
            return str(error)
        except Exception:
            _log.exception("A run failed.")
            return texts.INTERNAL
        return ""

    def _news(self, run: Run, event: Event) -> dict[str, Any]:
        """What an event changes. The last run's clip goes when this one has passed all checks."""
        changed: dict[str, Any] = {"bar": run.bar}
        if isinstance(event, Frame) and len(run.frames) == 1:
            changed |= {"clip": None, "files": gr.update(value=None, visible=False), "report": ""}
        if run.frames and (sheet := run.sheet(time.monotonic())) is not None:
            changed["sheet"] = sheet
        return changed

    def _ended(self, run: Run, trouble: str) -> Iterator[Outputs]:
        """The page after a run, with the clip of what is finished."""
        with TemporaryDirectory(prefix="poseanimate-") as folder:
            try:
                path = run.write(Path(folder))
            except PoseAnimateError as error:
                path, trouble = None, trouble or str(error)
            finished = len(run.frames) if path else 0
            changed: dict[str, Any] = {
                "bar": texts.ended(finished, run.stopped and run.done is None, trouble),
                "generate": gr.Button(interactive=True),
                "stop": gr.Button(interactive=False),
            }
            if run.frames:
                changed["report"] = run.report()
                if (sheet := run.sheet()) is not None:
                    changed["sheet"] = sheet
            if path:
                changed["clip"] = path
            yield shown(**changed)

    def start(self, request: gr.Request) -> Run:
        with self._lock:
            run = self._runs.get(_session(request))
            if run is None or run.begun:
                run = self._runs[_session(request)] = Run()
            run.begin()
        return run

    def _remember(self, request: gr.Request, run: Run) -> None:
        """Keeps what a session has made last; what a run without frames leaves is the clip before it."""
        if len(run.frames) < 2:
            return
        with self._lock:
            self._last[_session(request)] = run
            self._last.move_to_end(_session(request))
            while len(self._last) > REMEMBERED:
                self._last.popitem(last=False)

    def forget(self, request: gr.Request) -> None:
        with self._lock:
            self._runs.pop(_session(request), None)


RESULT_OUTPUTS = ("bar", "sheet", "clip", "files", "report", "generate", "stop")
RESTORED = (
    "restored",
    "example",
    "picture",
    "joints",
    "prompt",
    *MOTION_NAMES,
    "clip",
)  # and all settings


def shown(**changed: Any) -> Outputs:
    """New values of `RESULT_OUTPUTS`; what isn't named stays as it is."""
    return tuple(changed.pop(name, gr.skip()) for name in RESULT_OUTPUTS)


def named(handler: Callable[..., Iterator[Outputs]]) -> Callable[..., Iterator[Outputs]]:
    """`Handlers.animate` with its values' names in its signature, where the API's clients see them."""

    @wraps(handler)
    def with_names(*values: Any) -> Iterator[Outputs]:
        yield from handler(*values)

    names = ("request", "picture", "joints", "prompt", *MOTION_NAMES, *SETTING_NAMES)
    parameters = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    with_names.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return with_names


def _session(request: gr.Request) -> str:
    return str(request.session_hash)
