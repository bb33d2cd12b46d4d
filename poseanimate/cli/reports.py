"""How the command line reports progress and results: sentences and bars, or JSON lines for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from typing import IO, Any, Protocol, TypeVar

from tqdm import tqdm  # type: ignore[import-untyped]

from poseanimate.errors import PoseAnimateError
from poseanimate.events import Aligned, Done, Event, Frame, Note, Placed, Returning, Stage, Step

Result = TypeVar("Result")


class Report(Protocol):
    """Where a command reports what happens."""

    def show(self, event: Event) -> None:
        """Something happened."""

    def result(self, figures: dict[str, Any], summary: str) -> None:
        """The command is done: figures for programs, a sentence for people."""

    def fail(self, error: PoseAnimateError) -> None:
        """The command has failed."""

    def close(self) -> None:
        """Nothing more follows."""


class Sentences:
    """For people: a bar per stage (on terminals alone), remarks and errors on stderr."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._stage = ""
        self._frames = 0

    def show(self, event: Event) -> None:
        match event:
            case Stage(name, steps, cached):
                self.close()
                if not cached:
                    self._open(name, steps)
            case Step(stage, index, total, left_s):
                if stage != self._stage or self._bar is None:
                    self._open(stage, total)
                words = [f"frames done: {self._frames}"] if self._frames else []
                words += [] if left_s is None else [f"{tqdm.format_interval(left_s)} left"]
                self._bar.set_postfix_str(", ".join(words), refresh=False)
                self._bar.update(index - self._bar.n)
            case Frame():
                self._frames += 1
            case Note(text):
                tqdm.write(text, file=sys.stderr)

    def result(self, figures: dict[str, Any], summary: str) -> None:
        self.close()
        print(summary)

    def fail(self, error: PoseAnimateError) -> None:
        self.close()
        print(f"error: {error}", file=sys.stderr)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _open(self, stage: str, steps: int) -> None:
        self.close()
        self._stage = stage
        self._bar = tqdm(
            total=steps,
            desc=stage.replace("_", " "),
            bar_format="{desc:<12} {bar:30} {n_fmt}/{total_fmt}{postfix}",
            leave=False,
            mininterval=0,  # steps are slow enough to show each
            disable=None,  # where stderr is no terminal
            file=sys.stderr,
        )


class JsonLines:
    """For programs: one JSON object per event, without its pictures."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._stage = ""

    def show(self, event: Event) -> None:
        values = _values(event)
        self._stage = values.setdefault("stage", self._stage)
        self._line(type(event).__name__.lower(), values)

    def result(self, figures: dict[str, Any], summary: str) -> None:
        self._line("done", figures)

    def fail(self, error: PoseAnimateError) -> None:
        words = {"type": type(error).__name__, "message": error.message, "remedy": error.remedy}
        self._line("error", words)
        print(f"error: {error}", file=sys.stderr)

    def close(self) -> None:
        pass

    def _line(self, event: str, values: dict[str, Any]) -> None:
        print(json.dumps({"event": event} | values), file=self._stream, flush=True)


def _values(event: Event) -> dict[str, Any]:
    """What JSON can hold of an event."""
    match event:
        case Placed(engine, busy, engines):
            return {"engine": engine, "busy": busy, "engines": engines}
        case Stage(name, steps, cached):
            which = {} if event.frames is None else {"frames": list(event.frames)}
            return {"stage": name, "steps": steps, "cached": cached} | which
        case Step(stage, index, total, left_s):
            left = None if left_s is None else round(left_s, 2)
            return {"stage": stage, "index": index, "total": total, "left_s": left}
        case Aligned(alignment):
            findings = [
                {
                    "code": finding.code.value,
                    "severity": finding.severity.value,
                    "message": finding.message,
                    "remedy": finding.remedy,
                }
                for finding in alignment.findings
            ]
            poses, transition = len(alignment.poses), alignment.transition
            return {"poses": poses, "transition": transition, "findings": findings}
        case Note(text):
            return {"text": text}
        case Done():
            return {}
    return {"index": event.index}


def show_all(events: Generator[Event, None, Result], report: Report) -> Result:
    """Shows all events of a generator; returns its result."""
    steps = Returning(events)
    for event in steps:
        report.show(event)
    return steps.result
