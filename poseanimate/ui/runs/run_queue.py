"""Which sessions run, wait or have run, and how long one waits for its turn."""

from __future__ import annotations

import heapq
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from statistics import mean

from poseanimate.storage.recent import Recent
from poseanimate.ui.runs.run_counts import RunCounts
from poseanimate.ui.runs.run_view import RunView

MAX_BYTES = 256_000_000  # of the finished runs that are kept
TYPICAL_OF = 5  # the runs whose mean duration is the estimate
SILENT_S = 30.0  # a page asks every two seconds; whoever doesn't, may never come
GONE_S = 3600.0  # then nobody comes any more: a phone that sleeps asks again


class RunQueue:
    """At most one run per session, first come, first served; the last finished ones are kept.

    Args:
        places: how many runs go on at once.
        answering: how many engines answer now; None: all always do.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        places: int = 1,
        answering: Callable[[], int] | None = None,
    ) -> None:
        self._clock, self.places = clock, places
        self.counts = RunCounts(self.line, places, answering or (lambda: places))
        self._runs: dict[str, RunView] = {}
        self._unseen = Recent[str, RunView](MAX_BYTES, RunView.size_bytes)  # by owner
        self._finished = Recent[str, RunView](MAX_BYTES, RunView.size_bytes)
        self._took_s: deque[float] = deque(maxlen=TYPICAL_OF)
        self._lock = threading.Lock()

    def join(self, session: str) -> None:
        """Puts a session's run at the end of the queue; one that has begun goes on."""
        with self._lock:
            run = self._runs.get(session)
            if run is None or not run.begun:
                self._put(session, RunView(clock=self._clock, asked_s=self._clock()))

    def begin(self, session: str) -> RunView:
        """Begins a session's run."""
        with self._lock:
            run = self._runs.get(session)
            if run is None or run.begun:
                run = self._put(session, RunView(clock=self._clock))
            run.begin()
            return run

    def current(self, session: str) -> RunView | None:
        """The run that a session waits for or has begun."""
        with self._lock:
            return self._runs.get(session)

    def end(self, session: str) -> RunView | None:
        """A session's run is over, or will never begin."""
        with self._lock:
            run = self._runs.pop(session, None)
        self._count(run)
        return run

    def end_run(self, run: RunView) -> None:
        """A run is over, whichever session has it; one that `leave` ended isn't counted again."""
        with self._lock:
            goes_on = {who: each for who, each in self._runs.items() if each is not run}
            had_ended = len(goes_on) == len(self._runs)
            self._runs = goes_on
        if not had_ended:
            self._count(run)
        if run.owner:
            self._unseen.put(run.owner, run)

    def saw(self, owner: str) -> None:
        """A browser has shown how its run ended."""
        self._unseen.forget(owner)

    def find(self, owner: str) -> RunView | None:
        """A browser's run that goes on, or whose end no page has shown."""
        with self._lock:
            for run in self._runs.values():
                if owner and run.owner == owner and run.begun:
                    return run
        return self._unseen.get(owner)

    def is_crowded(self) -> bool:
        """Whether more runs have begun than there are places: some go on without the page that began them."""
        return self.line()[1] > self.places

    def must_wait(self, run: RunView) -> bool:
        """Whether runs that began before this one hold all places."""
        with self._lock:
            begun = [each for each in self._runs.values() if each.begun]
        begun.sort(key=lambda each: each.begun_s)
        return any(each is run for each in begun[self.places :])

    def _count(self, run: RunView | None) -> None:
        if run is not None and run.begun:
            took_s = self._clock() - run.begun_s
            if run.done is not None:
                self._took_s.append(took_s)
            self.counts.add(run, took_s)

    def line(self) -> tuple[int, int]:
        """How many runs wait, and how many go on."""
        with self._lock:
            runs = list(self._runs.values())
            begun = sum(run.begun for run in runs)
            return sum(self._counts(run) and not run.begun for run in runs), begun

    def leave(self, session: str) -> None:
        """The session is over: its run, unless somebody may come back to it, stops; none is remembered."""
        run = self.current(session)
        if run is None or not (run.begun and run.owner):
            if run is not None:
                run.stopped = True
            self.end(session)
        self._finished.forget(session)

    def ahead(self, session: str) -> tuple[int, float | None]:
        """How many runs come before a session's, and in how many seconds its turn comes; None where unknown."""
        with self._lock:
            if session in self._runs:
                self._runs[session].asked_s = self._clock()
            line = list(self._runs)
            earlier = line[: line.index(session)] if session in line else line
            before = [
                run
                for who, run in self._runs.items()
                if who != session and (run.begun or who in earlier) and self._counts(run)
            ]
            typical_s = mean(self._took_s) if self._took_s else None
        left = [typical_s if run.left_s is None else run.left_s for run in before]
        known = [seconds for seconds in left if seconds is not None]
        if len(before) < self.places:
            return len(before), 0.0
        return len(before), _turn_s(known, self.places) if len(known) == len(left) else None

    def remember(self, session: str, run: RunView) -> None:
        """Keeps a session's last run; a run without frames doesn't replace the one before it."""
        if len(run.frames) > 1:
            self._finished.put(session, run)

    def last(self, session: str) -> RunView | None:
        """The last run that a session finished."""
        return self._finished.get(session)

    def _counts(self, run: RunView) -> bool:
        """Whether others wait for a run: it goes on, or a page that is there asks for it."""
        return not run.stopped and (run.begun or self._clock() - run.asked_s < SILENT_S)

    def _put(self, session: str, run: RunView) -> RunView:
        for who, other in [*self._runs.items()]:
            if not other.begun and self._clock() - other.asked_s >= GONE_S:
                del self._runs[who]
        self._runs.pop(session, None)  # a new one goes to the end
        self._runs[session] = run
        return run


def _turn_s(left: Sequence[float], places: int) -> float:
    """When the first of several places is free, while runs of these durations go to whichever is free first."""
    free_at = [0.0] * places
    for seconds in left:
        heapq.heapreplace(free_at, free_at[0] + seconds)
    return free_at[0]
