"""What begins and ends a run, and how far it is; other sections' runs, too.

Notable: Stop only sets a flag: the run itself notices it after its step, makes a clip of the finished frames and
updates the page last. A session has at most one run, waiting or begun.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import gradio as gr

from poseanimate.engines.engine import Engine
from poseanimate.errors import PictureError, PoseAnimateError
from poseanimate.events import Event, Stage
from poseanimate.inputs.aligner import full_side
from poseanimate.inputs.bundle import Bundle
from poseanimate.inputs.character import Character
from poseanimate.settings import Settings
from poseanimate.storage.own_clips import OwnClips, is_key
from poseanimate.storage.stage_cache import default_folder
from poseanimate.ui import texts
from poseanimate.ui.event_options import BESIDE, FOLLOWING, QUIET
from poseanimate.ui.input_cache import ALIGNMENT_SETTINGS, FormValues, InputCache, MotionChoice
from poseanimate.ui.outputs import Outputs, in_order, session_of
from poseanimate.ui.runs.kept import keep
from poseanimate.ui.runs.run_queue import RunQueue
from poseanimate.ui.runs.run_view import RunView
from poseanimate.ui.runs.work import Work
from poseanimate.ui.sections.inputs import InputComponents
from poseanimate.ui.server.rate_limit import RateLimit
from poseanimate.ui.widgets.player import NOTHING

GRACE_S = 60.0  # how long a run goes on without its page
GRACE_IN_LINE_S = 10.0  # the same while others wait
CROWDED_S = 0.25
WAITING_S = 2  # between updates of a waiting run's bar
CLIP_TAB, DRAFT_TAB, COMPARE_TAB = "clip", "draft", "compare"  # of the stage
PACK_OUTPUTS = ("before_after", "frames", "verdict", "review", "files")
SHOWN = ("ready", "contact_sheet", "clip", "notes", "report")
RESULT_OUTPUTS = (
    "bar",
    "stage",
    *SHOWN,
    *PACK_OUTPUTS,
    "generate",
    "stop",
    "compare",
    "grid",
)


@dataclass(frozen=True)
class RunSection:
    """What begins and ends a run, and how far it is."""

    generate: gr.Button
    stop: gr.Button
    bar: gr.HTML
    forecast: gr.HTML


def add_run() -> RunSection:
    """What begins and ends a run, and how far it is; always in sight."""
    with gr.Group(elem_id="run"):
        bar = gr.HTML(elem_id="bar")
        gr.HTML(texts.UNFOLD_BAR, elem_id="unfold")
        forecast = gr.HTML(elem_id="forecast")
        with gr.Row(elem_id="buttons"):
            generate = gr.Button(texts.GENERATE, variant="primary", elem_id="generate", scale=3)
            stop = gr.Button(
                texts.STOP,
                variant="stop",
                interactive=False,
                elem_id="stop",
                scale=1,
                min_width=90,
            )
    return RunSection(generate, stop, bar, forecast)


class Handlers:
    """The handlers of a page's runs, for all of its sessions.

    Args:
        clock: seconds that only go forward. own_clips: those of browsers; None for those in the cache's folder.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Callable[[], float] = time.monotonic,
        own_clips: OwnClips | None = None,
    ) -> None:
        self.engine, self.clock = engine, clock
        self.own_clips = own_clips or OwnClips(default_folder() / "own")
        self.inputs = InputCache(engine)
        self.rate_limit = RateLimit.from_environment(clock)
        self.queue = RunQueue(clock, engine.places, lambda: engine.answering)
        self._owners: dict[str, str] = {}  # the browsers' keys, by session
        # by session: the last picture that the models weren't made for
        self._refused: dict[str, str | None] = {}

    def begin(self, request: gr.Request, owner: str = "") -> Outputs:
        """Answers the click at once; the run itself may wait in the queue.

        Args:
            owner: the browser's key.
        """
        self.recognise(request, owner)
        self.queue.join(session_of(request))
        return run_outputs(bar=self.waiting_bar(request), **running(True))

    def animate(
        self, request: gr.Request, picture: str | None, joints: str, prompt: str, *values: Any
    ) -> Iterator[Outputs]:
        """Runs the job and updates the page after each step.

        Args:
            joints: OpenPose keypoints of the picture, the character first; empty: they are detected.
            values: of `MOTION_NAMES`, then of `SETTING_NAMES`.
        """
        run = self.start(request)
        steps = self._steps(request, run, picture, joints, prompt, values)
        work = self.work(run, steps, partial(self._keep, run))
        yield from self.follow(request, work)

    def follow(self, request: gr.Request, work: Work) -> Iterator[Outputs]:
        """Updates the page after each step of a run, which another page may have begun, until it is over."""
        run, shown = work.run, False
        for _ in work.follow():
            yield run_outputs(**self._changes(run, first=bool(run.frames) and not shown))
            shown = bool(run.frames)
        self.queue.remember(session_of(request), run)
        yield from self._finish(run, first=bool(run.frames) and not shown)
        if run.trouble:
            # the bar says it
            raise gr.Error(run.trouble, visible=False, print_exception=False)

    def _keep(self, run: RunView) -> None:
        """Keeps a finished clip for its browser."""
        run.add_sound()
        with TemporaryDirectory(prefix="poseanimate-") as folder, suppress(PoseAnimateError):
            if clip := run.write(Path(folder)):  # what is wrong is said when the page gets it
                keep(self.own_clips, run, Path(clip).read_bytes())

    def work(
        self,
        run: RunView,
        steps: Generator[None, None, None],
        keep: Callable[[], None],
    ) -> Work:
        """A run's work.

        Args:
            keep: keeps what it has made, at its end.
        """

        def at_end() -> None:
            self.queue.end_run(run)
            keep()

        run.work = Work(run, steps, at_end, partial(self._grace_s, run))
        return run.work

    def bar(self, run: RunView) -> str:
        """A run's bar, and what happens if its page is closed where that is sooner than usual."""
        grace_s = self._grace_s(run)
        keep_open = run.owner and grace_s < GRACE_S
        note = texts.sentence(texts.KEEP_OPEN.format(grace_s), "note") if keep_open else ""
        return run.bar + note

    def _grace_s(self, run: RunView) -> float:
        """How long a run may go on without a page, in seconds."""
        if not run.owner:
            return 0.0  # nobody could come back to it
        others_wait = self.queue.line()[0] > 0 or self.queue.is_crowded()
        return GRACE_IN_LINE_S if others_wait else GRACE_S

    def owner(self, request: gr.Request) -> str:
        """The key of a page's browser; empty if it has none."""
        return self._owners.get(session_of(request), "")

    def recognise(self, request: gr.Request, owner: str) -> None:
        """Notes which browser a page belongs to."""
        self._owners[session_of(request)] = owner if is_key(owner) else ""

    def waiting(self, request: gr.Request) -> tuple[Any, Any]:
        """The bar while a run waits, and whether to ask again."""
        run = self.queue.current(session_of(request))
        if run is None or run.begun or run.stopped:
            return gr.skip(), gr.Timer(active=False)
        return self.waiting_bar(request), gr.skip()

    def waiting_bar(self, request: gr.Request) -> str:
        """The progress bar of a waiting run."""
        runs, seconds = self.queue.ahead(session_of(request))
        return texts.progress(texts.WAITING, 0.0, texts.ahead(runs, seconds, self.queue.places))

    def stop(self, request: gr.Request) -> Outputs:
        """Stops a session's run after its current step."""
        run = self.queue.current(session_of(request)) or self.queue.find(self.owner(request))
        if run is None or run.over:
            return run_outputs(stop=gr.Button(interactive=False))
        run.stopped = True
        message = (
            texts.progress(texts.STOPPING, run.share) if run.begun else texts.ended(0, stopped=True)
        )
        return run_outputs(bar=message, stop=gr.Button(interactive=False))

    def failed(self, request: gr.Request) -> Outputs:
        """The run ended with an error, or never began because the queue is full."""
        run = self.queue.current(session_of(request))
        if run is not None and run.begun:  # the connection was lost, and the run goes on
            return run_outputs()
        self.queue.end(session_of(request))
        never_began = {} if run is None else {"bar": texts.sentence(texts.TOO_MANY, "error")}
        return run_outputs(**never_began, **running(False))

    def leave(self, request: gr.Request) -> None:
        """The page was closed."""
        self.forget_session(session_of(request))

    def forget_session(self, session: str) -> None:
        """A session is over."""
        self.queue.leave(session)
        self._refused.pop(session, None)
        self._owners.pop(session, None)

    def events(
        self,
        run: RunView,
        character: Character,
        prompt: str,
        choice: MotionChoice,
        settings: Settings,
        whole: RunView | None = None,
    ) -> Generator[Event, None, None]:
        """Waits for a place, finds the motion in a video, if it comes from one, then does what the engine does.

        Args:
            whole: the session's run, if run is a part of it.
        """
        while self.queue.must_wait(whole or run):
            yield Stage("place", 1)
            time.sleep(CROWDED_S)
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

    def _steps(
        self,
        request: gr.Request,
        run: RunView,
        picture: str | None,
        joints: str,
        prompt: str,
        values: Sequence[Any],
    ) -> Generator[None, None, None]:
        """The steps of a run; raises what is wrong with its inputs."""
        if message := self.rate_limit.count(request):
            run.trouble = message
            return
        yield
        form = FormValues.of(values)
        settings, choice = form.settings(), form.motion()
        run.name = choice.name_or_path if form.uses_preset else run.name
        character = self.load_character(request, picture, joints, settings)
        run.joints = joints
        with closing(self.events(run, character, prompt, choice, settings)) as events:
            for event in events:
                run.take(event)
                yield

    def _changes(self, run: RunView, first: bool = False) -> dict[str, Any]:
        """What a step changes on the page. The previous clip goes once this run has passed all checks.

        Args:
            first: whether the page sees frames of this run for the first time.
        """
        changed: dict[str, Any] = {"bar": self.bar(run)}
        if first:
            changed |= {
                "stage": gr.Tabs(selected=CLIP_TAB),
                "ready": "",
                "clip": gr.update(value=None, visible="hidden"),
                "notes": "",
                "report": "",
                "before_after": gr.update(value=None, visible="hidden"),
                "frames": gr.update(content=NOTHING),
                "verdict": "",
                "review": "",
            }
            changed["files"] = None
        if run.frames and (sheet := run.contact_sheet(throttled=True)) is not None:
            changed["contact_sheet"] = gr.update(value=sheet, visible=True)
        return changed

    def _finish(self, run: RunView, first: bool = False) -> Iterator[Outputs]:
        """The page after a run, with the clip of the finished frames."""
        with TemporaryDirectory(prefix="poseanimate-") as folder:
            try:
                path = run.write(Path(folder))
            except PoseAnimateError as error:
                path, run.trouble = None, run.trouble or str(error)
            finished = len(run.frames) if path else 0
            changed: dict[str, Any] = self._changes(run, first) | {
                "bar": texts.ended(
                    finished, run.stopped and run.done is None, run.trouble, run.away_s
                ),
                **running(False),
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
        if self._refused.get(session_of(request)) != picture:
            try:
                self.engine.check_paintable(character.picture, texts.PAINT_ANYWAY)
            except PictureError:
                self._refused[session_of(request)] = picture
                raise
        return character

    def start(self, request: gr.Request) -> RunView:
        """Begins a session's run."""
        run = self.queue.begin(session_of(request))
        run.owner = self.owner(request)
        return run

    def forget(self, request: gr.Request) -> None:
        """A session's run is over."""
        self.queue.end(session_of(request))

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


def running(goes_on: bool) -> dict[str, Any]:
    """Which buttons can be pressed while a run goes on, or when none does."""
    idle = gr.Button(interactive=not goes_on)
    return {"generate": idle, "compare": idle, "stop": gr.Button(interactive=goes_on)}


def run_outputs(**changed: Any) -> Outputs:
    """New values of `RESULT_OUTPUTS`; outputs that aren't named stay as they are."""
    return in_order(RESULT_OUTPUTS, changed)


def add_timer(handlers: Handlers, bar: gr.HTML) -> gr.Timer:
    """While a run waits and the timer is on, the bar says how long that may take."""
    timer = gr.Timer(WAITING_S, active=False)
    timer.tick(handlers.waiting, None, [bar, timer], **QUIET)
    return timer


def start_timer(timer: gr.Timer) -> tuple[Any, None, gr.Timer]:
    """An event that starts the timer. A click's events follow one another: it comes after the run has joined the line,
    and before the run, which would hold it back until its end.
    """
    return lambda: gr.Timer(active=True), None, timer


def connect_start(
    button: gr.Button,
    handlers: Handlers,
    run: Callable[..., Iterator[Outputs]],
    reads: list[Any],
    outputs: list[Any],
    key: gr.BrowserState,
    timer: gr.Timer,
    **more: Any,
) -> Any:
    """A button that begins a run; returns the run's event.

    Args:
        reads: of `run`. outputs: as RESULT_OUTPUTS. key: of the browser. more: options of the event.
    """
    button.click(handlers.begin, key, outputs, **QUIET)
    button.click(*start_timer(timer), **QUIET)
    event = button.click(run, reads, outputs, api_visibility="private", **more)
    event.failure(handlers.failed, None, outputs, **QUIET)
    return event


def connect_run(
    handlers: Handlers,
    inputs: InputComponents,
    buttons: RunSection,
    outputs: list[Any],
    key: gr.BrowserState,
    timer: gr.Timer,
    diffusion: dict[str, Any],
) -> Any:
    """Generate and Stop; returns the run's event.

    Args:
        outputs: as RESULT_OUTPUTS. key: of the browser. diffusion: where runs wait for one another.
    """
    buttons.stop.click(handlers.stop, None, outputs, **QUIET)
    return connect_start(
        buttons.generate,
        handlers,
        handlers.animate,
        inputs.all,
        outputs,
        key,
        timer,
        show_progress="minimal",
        show_progress_on=buttons.bar,
        api_name="generate",
        **diffusion,
    )


def connect_forecast(
    handlers: Handlers, inputs: InputComponents, forecast: gr.HTML, after: Sequence[Any]
) -> None:
    """The forecast follows its inputs.

    Args:
        after: events that change it otherwise, such as a run or the draft of another motion.
    """
    forecasts: list[Any] = [handlers.forecast, inputs.all, forecast]
    for event in after:
        event.then(*forecasts, **BESIDE)
    others = [each for name, each in inputs.settings.items() if name not in ALIGNMENT_SETTINGS]
    changes: list[Any] = [inputs.described.prompt, *others]
    gr.on([each.change for each in changes], *forecasts, **FOLLOWING)
