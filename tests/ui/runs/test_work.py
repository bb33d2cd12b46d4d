"""A run's work: who takes its steps, and what happens when its page has gone."""

from __future__ import annotations

import threading
from collections.abc import Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseanimate.errors import MotionError
from poseanimate.ui import texts
from poseanimate.ui.runs.run_view import RunView
from poseanimate.ui.runs.work import Work


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Steps:
    """So many steps, of a second each; each that is taken is noted, and whether they were closed."""

    def __init__(self, count: int, clock: Clock, fails: Exception | None = None) -> None:
        self.count, self.clock, self.fails = count, clock, fails
        self.taken, self.closed, self.ends = 0, 0, 0
        self.may_go = threading.Event()
        self.may_go.set()

    def take(self) -> Generator[None, None, None]:
        try:
            for _ in range(self.count):
                assert self.may_go.wait(60)
                self.taken += 1
                self.clock.seconds += 1
                yield
            if self.fails is not None:
                raise self.fails
        finally:
            self.closed += 1


def working(
    count: int, grace_s: float = 0.0, fails: Exception | None = None
) -> tuple[Work, Steps, RunView]:
    clock = Clock()
    run, steps = RunView(clock=clock), Steps(count, clock, fails)

    def at_end() -> None:
        steps.ends += 1
        assert not run.over, "whoever follows must see what was done at the end"

    return Work(run, steps.take(), at_end, lambda: grace_s), steps, run


def alone(work: Work) -> None:
    """Waits until the thread that goes on has ended."""
    if work.thread is not None:
        work.thread.join(60)
        assert not work.thread.is_alive()


@given(st.integers(0, 6))
def test_a_follower_takes_every_step_once(count: int) -> None:
    work, steps, run = working(count)
    assert sum(1 for _ in work.follow()) == count
    assert (steps.taken, steps.closed, steps.ends) == (count, 1 if count else steps.closed, 1)
    assert run.over and not run.stopped
    assert list(work.follow()) == [], "it is over"


@given(st.integers(1, 5), st.integers(6, 9))
def test_without_grace_a_run_ends_when_its_page_goes(left_after: int, count: int) -> None:
    work, steps, run = working(count)
    following = work.follow()
    for _ in range(left_after):
        next(following)
    following.close()
    assert (steps.taken, steps.closed, steps.ends) == (left_after, 1, 1)
    assert run.over and run.stopped and work.thread is None


@given(st.integers(1, 5), st.integers(6, 20), st.integers(1, 9))
def test_a_run_goes_on_alone_until_its_grace_ends(left_after: int, count: int, grace: int) -> None:
    work, steps, run = working(count, grace)
    following = work.follow()
    for _ in range(left_after):
        next(following)
    following.close()
    alone(work)
    assert run.over and work.thread is not None and steps.closed == steps.ends == 1
    assert steps.taken == min(count, left_after + grace)
    assert run.stopped is (count - left_after >= grace)
    assert run.away_s == (grace if run.stopped else None)


def test_who_comes_back_takes_the_steps_that_are_left() -> None:
    work, steps, run = working(6, 1e9)
    following = work.follow()
    next(following)
    steps.may_go.clear()
    following.close()
    back = work.follow()
    next(back)  # looks, while the thread takes a step
    steps.may_go.set()
    alone(work)
    list(back)
    assert (steps.taken, steps.closed, steps.ends) == (6, 1, 1)
    assert run.over and not run.stopped


def test_two_pages_see_the_same_run() -> None:
    work, steps, run = working(4)
    one, other = work.follow(), work.follow()
    for _ in range(2):
        next(one), next(other)
    assert steps.taken == 4
    one.close()
    assert not run.over, "the other page still follows"
    list(other)
    assert run.over and not run.stopped


def test_stop_ends_it_at_the_next_step() -> None:
    work, steps, run = working(5)
    following = work.follow()
    next(following)
    run.stopped = True
    assert list(following) == []
    assert (steps.taken, steps.closed, steps.ends) == (1, 1, 1)


def test_an_end_that_fails_is_logged_and_is_the_end(caplog: pytest.LogCaptureFixture) -> None:
    ends: list[int] = []

    def fail() -> None:
        ends.append(1)
        raise OSError("no room")

    run, steps = RunView(clock=Clock()), Steps(2, Clock())
    assert len(list(Work(run, steps.take(), fail, lambda: 0.0).follow())) == 2
    assert ends == [1] and run.over and len(caplog.records) == 1


def test_what_goes_wrong_is_the_runs_trouble(caplog: pytest.LogCaptureFixture) -> None:
    work, _, run = working(1, fails=MotionError("It broke.", "Mend it."))
    assert len(list(work.follow())) == 1 and run.trouble == "It broke. Mend it."
    assert not caplog.records
    work, _, run = working(1, fails=ValueError("secret"))
    assert len(list(work.follow())) == 1 and run.trouble == texts.INTERNAL
    assert len(caplog.records) == 1, "the log says what"
