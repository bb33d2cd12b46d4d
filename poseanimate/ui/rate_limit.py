"""How many runs a visitor may ask for in an hour."""

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


class Rate:
    """Counts by visitor; the ones that were here longest ago are forgotten.

    Args:
        runs_per_hour: 0 for as many as wanted.
    """

    def __init__(self, runs_per_hour: int, now: Callable[[], float] = time.monotonic) -> None:
        self.runs_per_hour, self._now = runs_per_hour, now
        self._times: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    @staticmethod
    def from_environment() -> Rate:
        """$POSEANIMATE_RUNS_PER_HOUR; without it 60 on a Space, elsewhere as many as wanted.

        Raises:
            SettingsError: it is no whole number of at least 0.
        """
        told = os.environ.get(VARIABLE, str(ON_A_SPACE if os.environ.get("SPACE_ID") else 0))
        if not told.isdecimal():
            raise SettingsError(
                f"{VARIABLE} is {told[:40]!r}.", "Give a whole number; 0 is as many as wanted."
            )
        return Rate(int(told))

    def count(self, request: gr.Request) -> str:
        """Counts a run; returns what to say to a visitor who must wait, "" to the others."""
        if not self.runs_per_hour:
            return ""
        who, now = visitor(request), self._now()
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


def visitor(request: gr.Request) -> str:
    """The address that a request comes from; on a Space the one that its own proxy names.

    A proxy adds the address that it sees at the end; what stands before it the visitor may have made up.
    """
    forwarded = dict(getattr(request, "headers", {})).get("x-forwarded-for", "")
    if os.environ.get("SPACE_ID") and forwarded:
        return str(forwarded).rpartition(",")[2].strip()
    client = getattr(request, "client", None)
    return str(client.host if client else request.session_hash)
