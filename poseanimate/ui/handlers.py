"""Runs: what Generate, Stop, downloads and bundles do; values of components in and out, no layout.

Notable:
- Stop only asks: the run itself notices after its step, makes a clip of what is finished, and has
  the last word on the page. A session has at most one run, waiting or begun.
- Files live in a temporary folder until Gradio has copied them to its own cache. A session's last
  run is remembered until the page is closed, so that its clip can be had in other forms.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import gradio as gr

from poseanimate.engines.engine import Engine
from poseanimate.errors import PoseAnimateError
from poseanimate.events import Event, Frame
from poseanimate.inputs.bundle import Bundle
from poseanimate.inputs.character import Character
from poseanimate.settings import Settings
from poseanimate.ui import texts
from poseanimate.ui.files import bundled, downloads, laid_out, read_bundle
from poseanimate.ui.input_cache import MOTION_NAMES, SETTING_NAMES, InputCache, MotionChoice
from poseanimate.ui.player import NOTHING
from poseanimate.ui.rate_limit import Rate
from poseanimate.ui.review import frames_shown, seen
from poseanimate.ui.run_queue import RunQueue
from poseanimate.ui.run_view import RunView

_log = logging.getLogger(__name__)

Outputs = tuple[Any, ...]


class Handlers:
    """The handlers of one page, for all of its sessions."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.reader = InputCache(engine)
        self.rate = Rate.from_environment()
        self.runs = RunQueue()

    def begin(self, request: gr.Request) -> Outputs:
        """Answers the click at once; the run itself may have to wait for its turn."""
        self.runs.ask(_session(request))
        return shown(
            bar=self.line(request),
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
            trouble = yield from self._followed(request, run, picture, joints, prompt, values)
            self.runs.remember(_session(request), run)
            yield from self._ended(run, trouble)
        finally:
            self.forget(request)
        if trouble:
            raise gr.Error(trouble, print_exception=False)

    def waiting(self, request: gr.Request) -> tuple[Any, Any]:
        """The bar while a run waits, and whether to look again."""
        run = self.runs.of(_session(request))
        if run is None or run.begun or run.stopped:
            return gr.skip(), gr.Timer(active=False)
        return self.line(request), gr.skip()

    def line(self, request: gr.Request) -> str:
        """The bar of a run that waits."""
        return texts.progress(texts.WAITING, 0.0, texts.ahead(*self.runs.ahead(_session(request))))

    def stop(self, request: gr.Request) -> Outputs:
        """Asks a session's run to end after its step."""
        run = self.runs.of(_session(request))
        if run is None:
            return shown(stop=gr.Button(interactive=False))
        run.stopped = True
        said = (
            texts.progress(texts.STOPPING, run.share) if run.begun else texts.ended(0, stopped=True)
        )
        return shown(bar=said, stop=gr.Button(interactive=False))

    def failed(self, request: gr.Request) -> Outputs:
        """The run ended with an error, or never began because too many wait."""
        run = self.runs.end(_session(request))
        never_began = {} if run is None else {"bar": texts.sentence(texts.TOO_MANY, "error")}
        return shown(
            **never_began,
            generate=gr.Button(interactive=True),
            stop=gr.Button(interactive=False),
        )

    def leave(self, request: gr.Request) -> None:
        """The page was closed."""
        self.runs.leave(_session(request))

    # 6: what is taken away, and brought back ------------------------------------------------------

    def pack(self, request: gr.Request) -> Iterator[Any]:
        """The last run frame by frame, what is seen in it, and its clip in every form; values of `PACKED`."""
        run = self._last_of(request)
        if run is None or run.job is None or run.aligned is None:
            return
        yield gr.update(shown=frames_shown(run.aligned, run.frames)), gr.skip(), gr.skip()
        alphas = [self.engine.segment(frame) for frame in run.frames]
        found = seen(run.aligned, run.frames, alphas, self.engine.detect)
        if self._overtaken(run, request):
            return
        yield gr.skip(), found, gr.skip()
        with TemporaryDirectory(prefix="poseanimate-") as folder:
            try:
                clip = run.write(Path(folder))
                if clip is None:
                    return
                made = downloads(run.job, clip, run.frames, alphas, run.fps, Path(folder))
            except PoseAnimateError as error:
                raise gr.Error(str(error), print_exception=False) from error
            if not self._overtaken(run, request):
                yield gr.skip(), gr.skip(), gr.update(value=made, visible=True)

    def _overtaken(self, run: RunView, request: gr.Request) -> bool:
        """Whether the session's next run has begun, whose results are to be seen and no longer this one's."""
        following = self.runs.of(_session(request))
        begun = following is not None and following.begun
        return begun or self._last_of(request) is not run

    def bundle(self, request: gr.Request) -> bytes | None:
        """What a session has made last, in one file; None where it has made nothing.

        Raises:
            OutputError: the clip can't be written.
        """
        run = self._last_of(request)
        if run is None or run.job is None:
            return None
        with TemporaryDirectory(prefix="poseanimate-") as folder:
            clip = run.write(Path(folder))
            return None if clip is None else bundled(run.job, Path(clip)).to_bytes()

    def restore(self, path: str | None) -> Iterator[Outputs]:
        """All that an uploaded bundle holds; see `restored`."""
        try:
            data = read_bundle(path)
        except PoseAnimateError as error:
            yield nothing_restored(texts.sentence(str(error), "error"))
            return
        yield from self.restored(data)

    def restored(self, data: bytes, greeting: str = "") -> Iterator[Outputs]:
        """All that a bundle holds, as values of `RESTORED` and settings; an unusable one changes nothing."""
        with TemporaryDirectory(prefix="poseanimate-") as folder:
            try:
                job = Bundle.from_bytes(data)
                picture, motion, clip = laid_out(job, Path(folder))
            except PoseAnimateError as error:
                yield nothing_restored(texts.sentence(str(error), "error"))
                return
            values = [getattr(job.settings, name) for name in SETTING_NAMES]
            said = texts.restored(job.models == self.engine.identity, greeting)
            where = (texts.FROM_FILE, gr.skip(), motion, 0, None, 1)
            yield said, None, picture, job.joints, job.prompt, *where, clip, *values

    def _last_of(self, request: gr.Request) -> RunView | None:
        return self.runs.last(_session(request))

    def events(
        self,
        run: RunView,
        character: Character,
        prompt: str,
        choice: MotionChoice,
        settings: Settings,
    ) -> Generator[Event, None, None]:
        """The motion's steps, where it must be looked for in a video, and then the engine's."""
        motion = (yield from self.reader.motion(choice)).motion
        models = self.engine.identity
        run.job = Bundle(character.picture, motion, settings, prompt or "", models, run.joints)
        events = cast(
            Generator[Event, None, None],
            self.engine.animate(character, motion, settings, prompt or ""),
        )
        with closing(events):
            yield from events

    def _followed(
        self,
        request: gr.Request,
        run: RunView,
        picture: str | None,
        joints: str,
        prompt: str,
        values: Sequence[Any],
    ) -> Generator[Outputs, None, str]:
        """Shows a run until it is done, stopped or in trouble; returns what the trouble is."""
        if run.stopped:
            return ""
        if said := self.rate.count(request):
            return said
        yield shown(bar=run.bar)
        try:
            settings = Settings(**dict(zip(SETTING_NAMES, values[6:], strict=True)))
            choice = MotionChoice.of(values[:6])
            run.name = choice.name_or_path if values[0] == texts.FROM_PRESET else run.name
            character = self.reader.character(picture, joints)
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

    def _news(self, run: RunView, event: Event) -> dict[str, Any]:
        """What an event changes. The last run's clip goes when this one has passed all checks."""
        changed: dict[str, Any] = {"bar": run.bar}
        if isinstance(event, Frame) and len(run.frames) == 1:
            changed |= {"clip": None, "report": "", "frames": gr.update(shown=NOTHING), "seen": ""}
            changed["files"] = gr.update(value=None, visible=False)
        if run.frames and (sheet := run.sheet(time.monotonic())) is not None:
            changed["sheet"] = sheet
        return changed

    def _ended(self, run: RunView, trouble: str) -> Iterator[Outputs]:
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

    def start(self, request: gr.Request) -> RunView:
        """The turn of a session's run has come."""
        return self.runs.begin(_session(request))

    def forget(self, request: gr.Request) -> None:
        """A session's run is over."""
        self.runs.end(_session(request))


PACKED = ("frames", "seen", "files")
RESULT_OUTPUTS = ("bar", "sheet", "clip", "report", *PACKED, "generate", "stop")
RESTORED = (
    "restored",
    "example",
    "picture",
    "joints",
    "prompt",
    *MOTION_NAMES,
    "clip",
)  # and all settings


def nothing_restored(said: Any = None) -> Outputs:
    """Values of `RESTORED` and settings where a bundle changes nothing but perhaps a sentence."""
    rest = len(RESTORED) + len(SETTING_NAMES) - 1
    return (gr.skip() if said is None else said, *(gr.skip(),) * rest)


def shown(**changed: Any) -> Outputs:
    """New values of `RESULT_OUTPUTS`; what isn't named stays as it is."""
    return tuple(changed.pop(name, gr.skip()) for name in RESULT_OUTPUTS)


def _session(request: gr.Request) -> str:
    return str(request.session_hash)
