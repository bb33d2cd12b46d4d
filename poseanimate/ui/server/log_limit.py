"""A log that a flood of bad calls can't fill: so many lines a minute, then how many were left out."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

LINES, PERIOD_S = 20, 60.0
SERVERS_LOGGER = "uvicorn.error"  # with a handler of its own


class LogLimit(logging.Filter):
    """Lets so many records of a period through; the first one after it tells how many weren't.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        lines: int = LINES,
        period_s: float = PERIOD_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.lines, self.period_s, self.clock = lines, period_s, clock
        self._lock = threading.Lock()
        self._since_s = clock()
        self._passed = self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is written."""
        with self._lock:
            if self.clock() - self._since_s >= self.period_s:
                if self._left_out:
                    record.msg = f"{record.getMessage()} ({self._left_out} earlier lines left out)"
                    record.args = None
                self._since_s, self._passed, self._left_out = self.clock(), 0, 0
            if self._passed >= self.lines:
                self._left_out += 1
                return False
            self._passed += 1
            return True


LIMIT = LogLimit()


def limit_logs() -> None:
    """Limits what goes to stderr where no handlers are set up: our lines, the server's, warnings of Python."""
    logging.captureWarnings(True)
    for place in (logging.lastResort, logging.getLogger(SERVERS_LOGGER)):
        if place is not None and LIMIT not in place.filters:
            place.addFilter(LIMIT)
