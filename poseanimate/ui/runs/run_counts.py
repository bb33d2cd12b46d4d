"""How many runs ended, how, and how long they took: for Prometheus, and as a line of the log for each.

Nothing here says who ran what: no address, session, file name, prompt or picture.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from poseanimate.ui.runs.run_view import RunView

_log = logging.getLogger(__name__)

FINISHED, STOPPED, FAILED = "finished", "stopped", "failed"
SECONDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


class RunCounts:
    """Counters of one page.

    Args:
        line: how many runs wait and how many go on now.
        places: how many may go on at once. answering: how many engines answer now.
    """

    def __init__(
        self, line: Callable[[], tuple[int, int]], places: int, answering: Callable[[], int]
    ) -> None:
        self.registry = CollectorRegistry()
        self._runs = Counter(
            "poseanimate_runs", "Runs that have ended, by how.", ["end"], registry=self.registry
        )
        self._frames = Counter(
            "poseanimate_frames", "Frames made, source pictures left out.", registry=self.registry
        )
        self._seconds = Histogram(
            "poseanimate_run_seconds",
            "How long finished runs took, without waiting.",
            buckets=SECONDS,
            registry=self.registry,
        )
        for end in (FINISHED, STOPPED, FAILED):
            self._runs.labels(end)
        self.registry.register(_Line(line, places, answering))
        ProcessCollector(registry=self.registry)

    def add(self, run: RunView, seconds: float) -> None:
        """Counts a run that had begun and is over, and logs it."""
        end = FINISHED if run.finished else STOPPED if run.stopped else FAILED
        self._runs.labels(end).inc()
        self._frames.inc(run.made)
        if end == FINISHED:
            self._seconds.observe(seconds)
        about = {"end": end, "frames": run.made, "seconds": round(seconds, 2)}
        if run.done is not None:
            about["cached"] = list(run.done.cached_stages)
        _log.info("run", extra={"about": about})


class _Line(Collector):
    """Reads the line of runs whenever somebody asks."""

    def __init__(
        self, line: Callable[[], tuple[int, int]], places: int, answering: Callable[[], int]
    ) -> None:
        self._line, self._places, self._answering = line, places, answering

    def collect(self) -> Iterator[GaugeMetricFamily]:
        waiting, running = self._line()
        yield GaugeMetricFamily("poseanimate_runs_waiting", "Runs in line.", value=waiting)
        yield GaugeMetricFamily("poseanimate_runs_running", "Runs that go on.", value=running)
        yield GaugeMetricFamily(
            "poseanimate_engines", "How many runs may go on at once.", value=self._places
        )
        yield GaugeMetricFamily(
            "poseanimate_engines_answering",
            "Engines that can be used, busy ones included.",
            value=self._answering(),
        )
