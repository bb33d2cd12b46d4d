"""A limit on the runs that a visitor may start within an hour."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

import gradio as gr

from poseanimate.errors import SettingsError
from poseanimate.ui import texts

VARIABLE = "POSEANIMATE_RUNS_PER_HOUR"
ON_A_SPACE = 60
HOUR_S = 3600.0
MAX_VISITORS = 10_000


class RateLimit:
    """Counts runs by visitor and forgets those who came longest ago.

    Args:
        runs_per_hour: 0 for no limit.
    """

    def __init__(self, runs_per_hour: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.runs_per_hour, self._clock = runs_per_hour, clock
        self._times: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    @staticmethod
    def from_environment(clock: Callable[[], float] = time.monotonic) -> RateLimit:
        """$POSEANIMATE_RUNS_PER_HOUR; by default 60 on a Space and no limit elsewhere.

        Raises:
            SettingsError: it is not a whole number from 0.
        """
        value = os.environ.get(VARIABLE, str(ON_A_SPACE if os.environ.get("SPACE_ID") else 0))
        if not value.isdecimal():
            raise SettingsError(
                f"{VARIABLE} is {value[:40]!r}.", "Give a whole number; 0 is as many as wanted."
            )
        return RateLimit(int(value), clock)

    def count(self, request: gr.Request) -> str:
        """Counts a run; returns the message for a visitor who must wait, "" for the others."""
        if not self.runs_per_hour:
            return ""
        who, now = visitor_address(request), self._clock()
        with self._lock:
            times = self._times.setdefault(who, deque())
            self._times.move_to_end(who)
            while len(self._times) > MAX_VISITORS:
                self._times.popitem(last=False)
            while times and now - times[0] >= HOUR_S:
                times.popleft()
            if len(times) < self.runs_per_hour:
                times.append(now)
                return ""
            return texts.too_often(self.runs_per_hour, HOUR_S - (now - times[0]))


def visitor_address(request: gr.Request) -> str:
    """The address that a request comes from; on a Space the one that the Space's proxy reports.

    A proxy appends the address that it sees; anything before it may be forged.
    """
    forwarded = dict(getattr(request, "headers", {})).get("x-forwarded-for", "")
    if os.environ.get("SPACE_ID") and forwarded:
        return str(forwarded).rpartition(",")[2].strip()
    client = getattr(request, "client", None)
    return str(client.host if client else request.session_hash)
