"""The line of those who wait, and what a run tells about the next."""

from __future__ import annotations

import itertools
import subprocess
import sys
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
import torch
from helpers.tiny import tiny_models
from hypothesis import given
from hypothesis import strategies as st

from poseanimate.animator import Animator
from poseanimate.events import Done, Placed, Stage, Step
from poseanimate.pipeline import cost as gauge
from poseanimate.pipeline.cost import CostModel, MemoryMonitor
from poseanimate.ui import texts
from poseanimate.ui.runs.run_queue import GONE_S, SILENT_S, RunQueue
from poseanimate.ui.runs.run_view import RunView
from poseanimate.ui.sections.run import Handlers


def test_whoever_asks_first_comes_first() -> None:
    queue = RunQueue()
    for session in "abc":
        queue.join(session)
    assert [queue.ahead(session)[0] for session in "abc"] == [0, 1, 2]
    queue.begin("a")
    assert queue.ahead("c") == (2, None), "no run has told yet how long one takes"
    queue.end("a")
    assert [queue.ahead(session)[0] for session in "bc"] == [0, 1]


def test_the_wait_is_what_is_left_of_the_run_and_what_runs_take() -> None:
    clock = SimpleNamespace(now=0.0)
    queue = RunQueue(lambda: clock.now)
    before = queue.begin("before")
    clock.now = 60.0
    before.done = Done((), 12.0, {}, {}, None)
    queue.end("before")
    for session in "abc":
        queue.join(session)
    queue.begin("a").take(Step("generation", 1, 4, 20.0))
    count, seconds = queue.ahead("c")
    assert count == 2 and seconds == 20 + 60


@given(st.lists(st.floats(0, 1e4), max_size=12), st.integers(1, 5))
def test_of_several_engines_the_first_free_one_takes_the_next(
    left_s: list[float], places: int
) -> None:
    queue = RunQueue(lambda: 0.0, places)
    for number, seconds in enumerate(left_s):
        queue.begin(str(number)).left_s = seconds
    queue.join("me")
    count, turn_s = queue.ahead("me")
    assert count == len(left_s) and turn_s is not None
    assert (
        turn_s <= sum(left_s)
        and turn_s >= (sum(left_s) - places * max(left_s, default=0)) / places - 1e-6
    )
    assert (places != 1) or turn_s == pytest.approx(sum(left_s))
    assert turn_s == 0 or count >= places
    more = RunQueue(lambda: 0.0, places + 1)
    for number, seconds in enumerate(left_s):
        more.begin(str(number)).left_s = seconds
    assert (more.ahead("me")[1] or 0) <= turn_s


@given(st.permutations(range(6)), st.integers(1, 4))
def test_no_more_runs_go_on_than_there_are_places(over_in: list[int], places: int) -> None:
    clock = itertools.count()
    queue = RunQueue(lambda: next(clock), places)
    runs = [queue.begin(str(number)) for number in range(6)]
    for number in over_in:
        going_on = [run for run in runs if not run.over]
        assert not any(map(queue.must_wait, going_on[:places]))
        assert all(map(queue.must_wait, going_on[places:]))
        assert queue.is_crowded() is (len(going_on) > places)
        queue.end_run(runs[number])
        runs[number].over = True


def test_a_run_that_was_stopped_is_not_waited_for() -> None:
    queue = RunQueue()
    queue.join("a")
    queue.join("b")
    stopped = queue.current("a")
    assert stopped is not None
    stopped.stopped = True
    assert queue.ahead("b")[0] == 0


def test_a_run_that_begins_without_having_asked_is_waited_for() -> None:
    queue = RunQueue()
    queue.join("a")
    queue.begin("a program")
    assert queue.ahead("a")[0] == 1


def test_what_was_stopped_or_failed_tells_nothing_about_how_long_runs_take() -> None:
    queue = RunQueue()
    queue.begin("stopped")
    queue.end("stopped")
    queue.begin("a")
    queue.join("b")
    assert queue.ahead("b") == (1, None)


def test_who_asks_again_is_the_last_in_the_line() -> None:
    queue = RunQueue()
    for session in ("a", "b", "a"):
        queue.join(session)
    assert queue.ahead("a")[0] == 1 and queue.ahead("b")[0] == 0


def test_a_run_that_has_begun_is_not_replaced_by_a_second_click() -> None:
    queue = RunQueue()
    first = queue.begin("a")
    queue.join("a")
    assert queue.current("a") is first


@pytest.mark.parametrize(
    ("runs", "seconds", "said"),
    [
        (0, None, ""),
        (1, None, "1 run before it"),
        (3, 75.0, "3 runs before it · about 1 min 15 s"),
    ],
)
def test_the_line_is_told_in_words(runs: int, seconds: float | None, said: str) -> None:
    assert texts.ahead(runs, seconds) == said


def test_the_bar_tells_the_line_over_all_engines_and_which_one_runs() -> None:
    assert texts.ahead(3, 20.0, 2) == "3 runs before it on 2 engines · about 20 s"
    run = RunView(clock=lambda: 0.0)
    run.take(Placed(engine=2, busy=3, engines=4))
    run.take(Stage("inversion", 5))
    assert "5 steps · engine 2 · 1 of 4 free" in run.bar
    run.take(Step("inversion", 1, 5, 9.0))
    assert "about 9 s left · engine 2 · 1 of 4 free" in run.bar
    run.take(Stage("engine", 1))
    assert "Waiting for an engine" in run.bar and "engine 2" not in run.bar


@given(st.integers(1, 32), st.integers(1, 32))
def test_memory_is_foretold_as_it_was_measured(measured: int, asked: int) -> None:
    learnt = CostModel(0.5, 1000, 100.0)
    assert learnt.memory_bytes(asked) == 1000 + 100 * asked
    assert learnt.seconds(8, 2) == 8
    again = _told(learnt.memory_bytes(measured), measured)
    assert again.memory_bytes(asked) == pytest.approx(learnt.memory_bytes(asked), abs=1)


def _told(peak_bytes: int, together: int) -> CostModel:
    gauge = MemoryMonitor(torch.device("cpu"))
    gauge.fixed_bytes, gauge.peak_bytes = 1000, peak_bytes
    return gauge.cost_model(0.5, together)


def test_the_highest_reading_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([5, 9, 7])
    monkeypatch.setattr(gauge, "used_bytes", lambda _: next(readings))
    watched = MemoryMonitor(torch.device("cpu"))
    watched.update()
    watched.update()
    assert (watched.fixed_bytes, watched.peak_bytes) == (5, 9)


def test_memory_in_use_grows_with_what_is_held() -> None:
    """In a process of its own: this one's allocator may still hold what other tests have freed."""
    code = (
        "import torch; from poseanimate.pipeline.cost import used_bytes; cpu = torch.device('cpu')\n"
        "before = used_bytes(cpu); held = torch.ones(400_000_000, dtype=torch.uint8)\n"
        "print(used_bytes(cpu) - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 0.9 * 400_000_000


def test_the_timer_stops_when_nothing_waits() -> None:
    handlers = Handlers(Animator(tiny_models()))
    other, mine = (gr.Request(session_hash=name) for name in "ab")
    handlers.start(other)
    handlers.begin(mine)
    bar, timer = handlers.waiting(mine)
    assert "1 run before it" in bar and timer == gr.skip()
    handlers.start(mine)
    bar, timer = handlers.waiting(mine)
    assert bar == gr.skip() and timer.active is False


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_who_joins_and_never_asks_again_is_before_nobody() -> None:
    """As somebody who calls the page's own functions, but for the run."""
    clock = Clock()
    queue = RunQueue(clock)
    queue.join("silent")
    queue.join("patient")
    assert queue.ahead("patient")[0] == 1 and queue.line() == (2, 0)
    clock.seconds += SILENT_S
    assert queue.ahead("patient")[0] == 0 and queue.line() == (1, 0)
    clock.seconds += SILENT_S - 1
    assert queue.ahead("silent")[0] == 0, "a phone wakes up, and keeps its turn"
    assert queue.ahead("patient")[0] == 1
    assert queue.begin("silent").begun
    clock.seconds += GONE_S
    queue.join("later")
    assert queue.current("silent") is not None and queue.current("patient") is None
    assert queue.ahead("later")[0] == 1, "what has begun goes on"


def test_finished_runs_are_kept_up_to_a_size_and_the_last_whatever_its_size() -> None:
    queue, frame = RunQueue(), np.zeros((1000, 1000, 3), np.uint8)
    for session, frames in (("long", 80), ("short", 3), ("longer", 90), ("none", 1)):
        queue.remember(session, RunView(frames=[frame] * frames))
    kept = [each for each in ("long", "short", "longer", "none") if queue.last(each)]
    assert kept == ["longer"]


def test_runs_of_many_visitors_are_kept_together() -> None:
    queue, frames = RunQueue(), [np.zeros((512, 512, 3), np.uint8)] * 16
    visitors = [f"visitor {number}" for number in range(20)]
    for each in visitors:
        queue.remember(each, RunView(frames=frames))
    assert all(queue.last(each) for each in visitors)
