"""A run's work, which goes on for a while when its page has gone."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Iterator

from poseanimate.errors import PoseAnimateError
from poseanimate.ui import texts
from poseanimate.ui.runs.run_view import RunView

_log = logging.getLogger(__name__)

LOOK_S = 0.5  # between looks at a step that another follower takes


class Work:
    """Steps that whoever follows the run takes, one at a time; without a follower a thread does, until the grace ends.

    Args:
        steps: change the run; closed when it is stopped.
        at_end: called once, when there are no more; what fails in it is logged.
        grace_s: how long the run may go on alone, seconds; asked after every step.
    """

    def __init__(
        self,
        run: RunView,
        steps: Generator[None, None, None],
        at_end: Callable[[], None],
        grace_s: Callable[[], float],
    ) -> None:
        self.run, self._steps, self._at_end, self._grace_s = run, steps, at_end, grace_s
        self._step = threading.Lock()  # of whoever takes one
        self._joining = threading.Lock()
        self._followers = 0
        self.thread: threading.Thread | None = None  # that takes steps without a follower

    def follow(self) -> Iterator[None]:
        """Takes the steps, or sees others take them; yields after each until the run is over."""
        with self._joining:
            self._followers += 1
        try:
            while not self.run.over:
                self._take_step()
                if not self.run.over:
                    yield
        finally:
            self._leave()

    def _leave(self) -> None:
        with self._joining:
            self._followers -= 1
            if self._followers or self.run.over:
                return
            if self._grace_s() > 0:
                self.thread = threading.Thread(target=self._go_on, name="run", daemon=True)
                self.thread.start()
                return
        self.run.stopped = True
        self._take_step()

    def _go_on(self) -> None:
        """Takes steps until somebody follows again, or nobody has for too long."""
        since_s = self.run.clock()
        while not self._followers and not self.run.over:
            away_s = self.run.clock() - since_s
            if away_s >= self._grace_s():
                self.run.stopped, self.run.away_s = True, away_s
            self._take_step()

    def _take_step(self) -> None:
        """Takes the next step; nothing while another takes it."""
        if not self._step.acquire(timeout=LOOK_S):
            return
        try:
            if self.run.over:
                return
            try:
                if self.run.stopped or not self._has_more():
                    self._end()
            except PoseAnimateError as error:
                self._end(str(error))
            except Exception:
                _log.exception("A run failed.")
                self._end(texts.INTERNAL)
        finally:
            self._step.release()

    def _has_more(self) -> bool:
        try:
            next(self._steps)
        except StopIteration:
            return False
        return not self.run.stopped

    def _end(self, trouble: str = "") -> None:
        self._steps.close()
        self.run.trouble = trouble or self.run.trouble
        try:
            self._at_end()
        except Exception:
            _log.exception("A run's end failed.")
        self.run.over = True
