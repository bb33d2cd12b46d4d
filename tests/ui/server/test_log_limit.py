"""A log's limit, with a clock that the test sets."""

from __future__ import annotations

import logging

from hypothesis import given
from hypothesis import strategies as st

from poseanimate.ui.server.log_limit import SERVERS_LOGGER, LogLimit, limit_logs


class Log(logging.Handler):
    """What a logger writes behind a limit, at times that are set."""

    def __init__(self, lines: int, period_s: float) -> None:
        super().__init__()
        self.now_s, self.written = 0.0, list[str]()
        self.addFilter(LogLimit(lines, period_s, lambda: self.now_s))

    def emit(self, record: logging.LogRecord) -> None:
        self.written.append(record.getMessage())

    def say(self, text: str, *values: object) -> None:
        self.handle(logging.LogRecord("a", logging.WARNING, "", 0, text, values, None))


@given(lines=st.integers(1, 5), told=st.lists(st.integers(0, 20), min_size=1, max_size=6))
def test_a_flood_leaves_so_many_lines_a_period(lines: int, told: list[int]) -> None:
    log = Log(lines, 60)
    for count in told:
        before = len(log.written)
        for i in range(count):
            log.say("line %d", i)
        assert len(log.written) - before == min(count, lines)
        log.now_s += 60


def test_what_was_left_out_is_told() -> None:
    log = Log(1, 60)
    for _ in range(4):
        log.say("a %s", "b")
    log.now_s = 60
    log.say("c %d", 5)
    assert log.written == ["a b", "c 5 (3 earlier lines left out)"]


def test_the_servers_and_our_own_lines_are_limited_once() -> None:
    for _ in range(2):
        limit_logs()
    assert logging.lastResort is not None
    for place in (logging.lastResort, logging.getLogger(SERVERS_LOGGER)):
        assert sum(isinstance(each, LogLimit) for each in place.filters) == 1
