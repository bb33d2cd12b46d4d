"""What operators' tools are told: alive, ready, how many runs; and nothing about anybody."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from helpers.tiny import tiny_models
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.testclient import TestClient

from poseanimate.animator import Animator
from poseanimate.engines.late import LateEngine
from poseanimate.errors import DeviceError
from poseanimate.events import Done, Frame
from poseanimate.ui.runs.run_counts import FAILED, FINISHED, STOPPED
from poseanimate.ui.runs.run_queue import RunQueue
from poseanimate.ui.runs.run_view import COMPARISON
from poseanimate.ui.server.health import list_routes
from poseanimate.ui.server.log_format import JsonLines, write_json_lines

PICTURE = np.zeros((8, 8, 3), np.uint8)


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def served(engine: Any, queue: RunQueue | None = None) -> TestClient:
    registry = None if queue is None else queue.counts.registry
    return TestClient(Starlette(routes=list_routes(engine, registry)))


def told(queue: RunQueue) -> dict[str, float]:
    """Values of /metrics by name and label."""
    answer = served(None, queue).get("/metrics")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain")
    return {
        sample.name + "".join(sample.labels.get(key, "") for key in ("end", "le")): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def end_run(queue: RunQueue, clock: Clock, session: str, how: str, frames: int, s: float) -> None:
    run = queue.begin(session)
    for index in range(frames + 1):
        run.take(Frame(index, PICTURE))
    clock.seconds += s
    if how == FINISHED:
        run.take(Done((PICTURE,) * (frames + 1), 12.0, {}, {}, None))
    if how == STOPPED:
        run.stopped = True
    queue.end(session)


def test_a_server_is_alive_before_it_is_ready() -> None:
    late = LateEngine("pocket", image_prompts=False)
    client = served(late)
    assert client.get("/health").json() == {"status": "ok"}
    answer = client.get("/ready")
    assert answer.status_code == 503 and answer.json()["detail"] == "The models are loading."
    assert late.answering == 0
    late.set(Animator(tiny_models()))
    assert late.answering == 1
    assert client.get("/ready").status_code == 200
    assert served(Animator(tiny_models())).get("/ready").status_code == 200


def test_a_server_whose_models_fail_says_why_it_is_not_ready() -> None:
    late = LateEngine("pocket", image_prompts=False)
    late.fail(DeviceError("The models aren't loaded.", "Start the program again."))
    answer = served(late).get("/ready")
    assert answer.status_code == 503 and late.answering == 0
    assert answer.json()["detail"] == "The models aren't loaded. Start the program again."


def test_without_the_option_there_are_no_metrics() -> None:
    assert served(Animator(tiny_models())).get("/metrics").status_code == 404


ends = st.tuples(st.sampled_from([FINISHED, STOPPED, FAILED]), st.integers(0, 9), st.floats(0, 1e4))


@given(runs=st.lists(ends, max_size=12))
def test_every_run_is_counted_once(runs: list[tuple[str, int, float]]) -> None:
    clock = Clock()
    queue = RunQueue(clock, places=3)
    for number, (how, frames, seconds) in enumerate(runs):
        queue.join(f"session {number}")
        end_run(queue, clock, f"session {number}", how, frames, seconds)
        queue.end(f"session {number}")  # over twice is over once
    found = told(queue)
    for end in (FINISHED, STOPPED, FAILED):
        assert found[f"poseanimate_runs_total{end}"] == sum(how == end for how, *_ in runs)
    assert found["poseanimate_frames_total"] == sum(frames for _, frames, _ in runs)
    took = [seconds for how, _, seconds in runs if how == FINISHED]
    assert found["poseanimate_run_seconds_count"] == len(took)
    assert found["poseanimate_run_seconds_sum"] == pytest.approx(sum(took), abs=1e-6)
    assert found["poseanimate_runs_waiting"] == found["poseanimate_runs_running"] == 0
    assert found["poseanimate_engines"] == found["poseanimate_engines_answering"] == 3


def test_the_line_is_told_as_it_is_now() -> None:
    queue = RunQueue(Clock(), places=2)
    for session in ("a", "b", "c"):
        queue.join(session)
    queue.begin("a")
    found = told(queue)
    assert (found["poseanimate_runs_waiting"], found["poseanimate_runs_running"]) == (2, 1)
    run = queue.current("a")
    queue.leave("a")
    assert run is not None
    queue.end_run(run)  # as its work does when it notices
    queue.end("b")  # it never began
    found = told(queue)
    assert (found["poseanimate_runs_waiting"], found["poseanimate_runs_running"]) == (1, 0)
    assert (
        found["poseanimate_runs_totalstopped"] == 1 and found["poseanimate_runs_totalfailed"] == 0
    )
    assert found["process_resident_memory_bytes"] > 0


def test_a_comparison_is_finished_when_no_variant_lacks() -> None:
    queue = RunQueue(Clock())
    for all_compared in (True, False):
        run = queue.begin("a")
        run.kind, run.all_compared = COMPARISON, all_compared
        run.variants = {"one": [PICTURE] * 3, "other": [PICTURE] * 3}
        queue.end_run(run)
    found = told(queue)
    assert found["poseanimate_runs_totalfinished"] == found["poseanimate_runs_totalfailed"] == 1
    assert found["poseanimate_frames_total"] == 8


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """The log of the package as lines of JSON."""
    log, stream = logging.getLogger("poseanimate"), io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield stream
    log.removeHandler(handler)
    log.setLevel(before)


def test_a_run_is_one_line_of_the_log_without_a_word_of_who_or_what(lines: io.StringIO) -> None:
    clock = Clock()
    queue = RunQueue(clock)
    run = queue.begin("secret-session")
    run.name, run.joints = "secret-name", "secret-joints"
    end_run(queue, clock, "secret-session", FINISHED, 4, 2.5)
    [line] = map(json.loads, lines.getvalue().splitlines())
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "poseanimate.ui.runs.run_counts",
        "text": "run",
        "end": "finished",
        "frames": 4,
        "seconds": 2.5,
        "cached": [],
    }
    assert "secret" not in lines.getvalue()


@given(text=st.text(), number=st.integers())
def test_a_record_is_one_line_whatever_it_says(text: str, number: int) -> None:
    record = logging.LogRecord("poseanimate.x", logging.WARNING, "", 0, "%s", (text,), None)
    record.about = {"frames": number}
    made = JsonLines().format(record)
    assert "\n" not in made and json.loads(made)["text"] == text
    assert json.loads(made)["frames"] == number


def test_an_error_is_told_with_its_place() -> None:
    try:
        raise ValueError("of no use")
    except ValueError:
        record = logging.getLogger("poseanimate").makeRecord(
            "poseanimate", logging.ERROR, "", 0, "A run failed.", (), sys.exc_info()
        )
    line = json.loads(JsonLines().format(record))
    assert "test_health.py" in line["error"] and "of no use" in line["error"]


def test_a_flood_of_warnings_is_limited_and_runs_are_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    root, own = logging.getLogger(), logging.getLogger("poseanimate")
    before = root.handlers[:], root.level, own.level
    try:
        write_json_lines()
        for _ in range(100):
            own.warning("again")
            own.info("run")
        written = [json.loads(line)["text"] for line in capsys.readouterr().err.splitlines()]
        assert written.count("run") == 100 and written.count("again") <= 20
    finally:
        root.handlers[:], root.level, own.level = before
