"""What Generate, Stop, downloads and bundles do; component values in and out, no layout.

Notable:
- Stop only sets a flag: the run itself notices it after its step, makes a clip of the finished frames and updates the
  page last. A session has at most one run, waiting or begun.
- Files live in a temporary folder until Gradio has copied them to its own cache. A session's last run is kept until the
  page is closed, so that its clip can be downloaded in other formats.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import gradio as gr

from poseanimate.engines.engine import Engine
from poseanimate.errors import PictureError, PoseAnimateError
from poseanimate.events import Event, Frame
from poseanimate.inputs.aligner import full_side
from poseanimate.inputs.bundle import Bundle
from poseanimate.inputs.character import Character
from poseanimate.settings import Settings
from poseanimate.ui import texts
from poseanimate.ui.files import read_bundle, with_clip, write_downloads, write_inputs
from poseanimate.ui.input_cache import (
    MOTION_NAMES,
    SETTING_NAMES,
    FormValues,
    InputCache,
    MotionChoice,
)
from poseanimate.ui.player import NOTHING
from poseanimate.ui.rate_limit import RateLimit
from poseanimate.ui.review import compare_frames, measure_clip
from poseanimate.ui.run_queue import RunQueue
from poseanimate.ui.run_view import RunView
from poseanimate.ui.theme import ready_made_url

_log = logging.getLogger(__name__)

Outputs = tuple[Any, ...]

CLIP_TAB, DRAFT_TAB = "clip", "draft"  # of the stage


class Handlers:
    """The handlers of one page, for all of its sessions.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.monotonic) -> None:
        self.engine, self.clock = engine, clock
        self.inputs = InputCache(engine)
        self.rate_limit = RateLimit.from_environment(clock)
        self.queue = RunQueue(clock, engine.places, lambda: engine.answering)
        # by session: the last picture that the models weren't made for
        self._refused: dict[str, str | None] = {}

    def begin(self, request: gr.Request) -> Outputs:
        """Answers the click at once; the run itself may wait in the queue."""
        self.queue.join(_session(request))
        return run_outputs(
            bar=self.waiting_bar(request),
            generate=gr.Button(interactive=False),
            stop=gr.Button(interactive=True),
        )

    def animate(
        self, request: gr.Request, picture: str | None, joints: str, prompt: str, *values: Any
    ) -> Iterator[Outputs]:
        """Runs the job and updates the page after each step.

        Args:
            joints: OpenPose keypoints of the picture, the character first; empty: they are detected.
            values: of `MOTION_NAMES`, then of `SETTING_NAMES`.
        """
        run = self.start(request)
        try:
            trouble = yield from self._follow(request, run, picture, joints, prompt, values)
            self.queue.remember(_session(request), run)
            yield from self._finish(run, trouble)
        finally:
            self.forget(request)
        if trouble:
            raise gr.Error(trouble, print_exception=False)

    def waiting(self, request: gr.Request) -> tuple[Any, Any]:
        """The bar while a run waits, and whether to ask again."""
        run = self.queue.current(_session(request))
        if run is None or run.begun or run.stopped:
            return gr.skip(), gr.Timer(active=False)
        return self.waiting_bar(request), gr.skip()

    def waiting_bar(self, request: gr.Request) -> str:
        """The progress bar of a waiting run."""
        runs, seconds = self.queue.ahead(_session(request))
        return texts.progress(texts.WAITING, 0.0, texts.ahead(runs, seconds, self.queue.places))

    def chosen(
        self, request: gr.Request, example: str | None, source: str, preset: str | None
    ) -> Outputs:
        """Another character or motion: the stage shows the pair's ready-made clip, or else its draft.

        A clip that was made here stays; the bar says that it is of other inputs.
        """
        session = _session(request)
        if self.queue.current(session) is not None:
            return run_outputs()
        if self.queue.last(session) is not None:
            stale = texts.sentence(texts.CHANGED, "warning")
            return run_outputs(stage=gr.Tabs(selected=DRAFT_TAB), bar=stale)
        url = ready_made_url(example, preset) if source == texts.FROM_PRESET else None
        changed: dict[str, Any] = {"ready": texts.ready_made(url), "bar": ""}
        if url is None:
            return run_outputs(stage=gr.Tabs(selected=DRAFT_TAB), **changed)
        # in place of an opened clip, or of frames that were not finished
        changed |= dict.fromkeys(("clip", "contact_sheet"), gr.update(visible="hidden"))
        return run_outputs(stage=gr.Tabs(selected=CLIP_TAB), **changed)

    def stop(self, request: gr.Request) -> Outputs:
        """Stops a session's run after its current step."""
        run = self.queue.current(_session(request))
        if run is None:
            return run_outputs(stop=gr.Button(interactive=False))
        run.stopped = True
        message = (
            texts.progress(texts.STOPPING, run.share) if run.begun else texts.ended(0, stopped=True)
        )
        return run_outputs(bar=message, stop=gr.Button(interactive=False))

    def failed(self, request: gr.Request) -> Outputs:
        """The run ended with an error, or never began because the queue is full."""
        run = self.queue.end(_session(request))
        never_began = {} if run is None else {"bar": texts.sentence(texts.TOO_MANY, "error")}
        return run_outputs(
            **never_began,
            generate=gr.Button(interactive=True),
            stop=gr.Button(interactive=False),
        )

    def leave(self, request: gr.Request) -> None:
        """The page was closed."""
        self.forget_session(_session(request))

    def forget_session(self, session: str) -> None:
        """A session is over."""
        self.queue.leave(session)
        self._refused.pop(session, None)

    # Downloads and bundles ------------------------------------------------------

    def pack(self, request: gr.Request) -> Iterator[Any]:
        """Shows the last run frame by frame, measures it and writes the downloads; values of `PACK_OUTPUTS`."""
        run = self._last_run(request)
        if run is None or run.job is None or run.aligned is None:
            return
        yield gr.update(content=compare_frames(run.aligned, run.frames)), gr.skip(), gr.skip()
        picture = run.aligned.picture
        alphas = [self.engine.segment(frame, like=picture) for frame in run.frames]
        detect = partial(self.engine.detect, like=picture)
        review = measure_clip(run.aligned, run.frames, alphas, detect)
        if self._overtaken(run, request):
            return
        yield gr.skip(), review, gr.skip()
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
                yield gr.skip(), gr.skip(), made

    def frame_by_frame(self, request: gr.Request) -> Any:
        """The last run, frame by frame; nothing without one."""
        run = self._last_run(request)
        if run is None or run.aligned is None:
            return gr.skip()
        return gr.update(content=compare_frames(run.aligned, run.frames))

    def _overtaken(self, run: RunView, request: gr.Request) -> bool:
        """Whether the session's next run has begun, so that this one's results must no longer be shown."""
        following = self.queue.current(_session(request))
        begun = following is not None and following.begun
        return begun or self._last_run(request) is not run

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
                message = texts.restored(job.models == self.engine.identity, greeting, job.lost)
            where = (texts.FROM_FILE, gr.skip(), [motion], 0, None, 1, 0, False, None, True)
            shown = gr.Tabs(selected=CLIP_TAB), "", gr.update(value=clip, visible=True)
            yield message, None, picture, job.joints, job.prompt, *where, *shown, *values

    def _last_run(self, request: gr.Request) -> RunView | None:
        return self.queue.last(_session(request))

    def events(
        self,
        run: RunView,
        character: Character,
        prompt: str,
        choice: MotionChoice,
        settings: Settings,
    ) -> Generator[Event, None, None]:
        """The steps of finding the motion in a video, if it comes from one, then the engine's events."""
        found = yield from self.inputs.load_motion(choice)
        motion, models = found.motion, self.engine.identity
        run.sound_from = choice.name_or_path if found.whole_video and choice.sound else None
        run.job = Bundle(character.picture, motion, settings, prompt or "", models, run.joints)
        events = cast(
            Generator[Event, None, None],
            self.engine.animate(character, motion, settings, prompt or ""),
        )
        with closing(events):
            yield from events

    def _follow(
        self,
        request: gr.Request,
        run: RunView,
        picture: str | None,
        joints: str,
        prompt: str,
        values: Sequence[Any],
    ) -> Generator[Outputs, None, str]:
        """Updates the page until a run is done, stopped or failed; returns the error message."""
        if run.stopped:
            return ""
        if message := self.rate_limit.count(request):
            return message
        yield run_outputs(bar=run.bar)
        try:
            form = FormValues.of(values)
            settings, choice = form.settings(), form.motion()
            run.name = choice.name_or_path if form.uses_preset else run.name
            character = self.load_character(request, picture, joints, settings)
            run.joints = joints
            with closing(self.events(run, character, prompt, choice, settings)) as events:
                for event in events:
                    run.take(event)
                    if run.stopped:
                        break
                    yield run_outputs(**self._changes(run, event))
        except PoseAnimateError as error:
            return str(error)
        except Exception:
            _log.exception("A run failed.")
            return texts.INTERNAL
        return ""

    def _changes(self, run: RunView, event: Event) -> dict[str, Any]:
        """What an event changes on the page. The previous clip goes once this run has passed all checks."""
        changed: dict[str, Any] = {"bar": run.bar}
        if isinstance(event, Frame) and len(run.frames) == 1:
            changed |= {
                "stage": gr.Tabs(selected=CLIP_TAB),
                "ready": "",
                "clip": gr.update(value=None, visible="hidden"),
                "notes": "",
                "report": "",
                "frames": gr.update(content=NOTHING),
                "review": "",
            }
            changed["files"] = None
        if run.frames and (sheet := run.contact_sheet(throttled=True)) is not None:
            changed["contact_sheet"] = gr.update(value=sheet, visible=True)
        return changed

    def _finish(self, run: RunView, trouble: str) -> Iterator[Outputs]:
        """The page after a run, with the clip of the finished frames."""
        with TemporaryDirectory(prefix="poseanimate-") as folder:
            run.add_sound()
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
                changed |= {"notes": run.notes_said(), "report": run.figures()}
                if (sheet := run.contact_sheet()) is not None:
                    changed["contact_sheet"] = gr.update(value=sheet, visible=True)
            if path:
                changed["clip"] = gr.update(value=path, visible=True)
                changed["contact_sheet"] = gr.update(visible="hidden")
            yield run_outputs(**changed)

    def load_character(
        self, request: gr.Request, picture: str | None, joints: str, settings: Settings
    ) -> Character:
        """The character of a run.

        Raises:
            PictureError: also where the models weren't made for such a picture. That is said once: asking again is
                insisting.
            NoCharacterError, SeveralCharactersError: see `InputCache.load_character`.
        """
        character = self.inputs.load_character(picture, joints, full_side(settings))
        if self._refused.get(_session(request)) != picture:
            try:
                self.engine.check_paintable(character.picture, texts.PAINT_ANYWAY)
            except PictureError:
                self._refused[_session(request)] = picture
                raise
        return character

    def start(self, request: gr.Request) -> RunView:
        """Begins a session's run."""
        return self.queue.begin(_session(request))

    def forget(self, request: gr.Request) -> None:
        """A session's run is over."""
        self.queue.end(_session(request))


PACK_OUTPUTS = ("frames", "review", "files")
SHOWN = ("ready", "contact_sheet", "clip", "notes", "report")
RESULT_OUTPUTS = ("bar", "stage", *SHOWN, *PACK_OUTPUTS, "generate", "stop")
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
)  # and all settings


def restore_nothing(message: Any = None) -> Outputs:
    """Values of `RESTORE_OUTPUTS` and settings that change nothing, except perhaps the message."""
    rest = len(RESTORE_OUTPUTS) + len(SETTING_NAMES) - 1
    return (gr.skip() if message is None else message, *(gr.skip(),) * rest)


def run_outputs(**changed: Any) -> Outputs:
    """New values of `RESULT_OUTPUTS`; outputs that aren't named stay as they are."""
    return in_order(RESULT_OUTPUTS, changed)


def in_order(names: Sequence[str], changed: dict[str, Any]) -> Outputs:
    """Values of named outputs, in the order of their components; without a new value one stays as it is."""
    assert changed.keys() <= {*names}, changed.keys() - {*names}
    return tuple(changed.get(name, gr.skip()) for name in names)


def _session(request: gr.Request) -> str:
    return str(request.session_hash)
