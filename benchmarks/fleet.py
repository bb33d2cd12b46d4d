"""What a cluster's workers gain, cost and survive: two workers on this machine's CPU, one core each.

`PYTHONPATH=tests python benchmarks/fleet.py [--only NAME …] [--jobs 300] [--json]`

Pocket models. Seconds depend on the machine; gains are ratios within one run. Each part checks what it makes: a frame
that is missing, shown twice or differs from what this process makes ends the benchmark.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import torch

from poseanimate.animator import Animator, Character
from poseanimate.engines import fleet as fleets
from poseanimate.engines.address import ClusterAddress
from poseanimate.engines.cluster import Cluster
from poseanimate.engines.fleet import Fleet
from poseanimate.engines.worker import Identity, load_animator, open_no_cache
from poseanimate.events import Event, Frame, Note, Step
from poseanimate.media import load_picture
from poseanimate.models.loading import load_models
from poseanimate.poses.motion import load_preset
from poseanimate.resources import resource_folder
from poseanimate.settings import Settings

WORKERS = 2
STORE_BYTES = 100_000_000
VISITORS = 8
QUEUED = 200
CANCELLED = 60
SIDES_PX = (128, 512, 1024)
SENT = 100  # events for the time of one
PICTURES = 4  # that jobs take in turn
# a job of about a second, and one of a fifth of it
USUAL = Settings.preset("fast", "pocket").changed({"frames": 8, "crop": False})
SHORT = USUAL.changed({"frames": 3, "num_inference_steps": 4})
PROMPT = "a boy in the street"

load = partial(load_animator, "pocket", "cpu", open_no_cache, None, {})


@contextmanager
def cluster(
    address: str = f"ray:cpu={WORKERS}", load: Callable[[], Any] = load, patience_s: float = 120.0
) -> Iterator[Cluster]:
    """An engine whose workers all answer."""
    workers = Fleet(ClusterAddress.parse(address))
    engine = Cluster(load_models("pocket", "cpu"), None, None, workers, load, patience_s)
    try:
        wait_for(lambda: workers.answering == workers.places)
        yield engine
    finally:
        workers.close()


def wait_for(condition: Callable[[], bool]) -> float:
    """Seconds until it holds."""
    began = time.monotonic()
    while not condition():
        time.sleep(0.02)
    return time.monotonic() - began


@cache
def here() -> Animator:
    return load()


@cache
def character(number: int) -> Character:
    """Another picture for each number; they differ in a pixel."""
    file = resource_folder("examples") / "characters" / "street-boy.png"
    found = here().character(load_picture(file))
    picture = found.picture.copy()
    picture[0, 0] = number
    return replace(found, picture=picture)


def job(number: int, settings: Settings) -> tuple[Any, ...]:
    return character(number), load_preset("walk"), settings, PROMPT


@cache
def expected(number: int, settings: Settings) -> list[bytes]:
    return [
        frame_bytes(event)
        for event in here().animate(*job(number, settings))
        if isinstance(event, Frame)
    ]


def frame_bytes(event: Frame) -> bytes:
    return event.picture.tobytes()


def run(engine: Animator, number: int, settings: Settings) -> list[Event]:
    """The events of a job whose frames are right."""
    events = list(engine.animate(*job(number, settings)))
    made = [frame_bytes(event) for event in events if isinstance(event, Frame)]
    assert made == expected(number, settings), "frames are missing, shown twice or wrong"
    return events


# --- the parts ---


def measure_visitors() -> dict[str, float]:
    """Eight visitors at once, each with a picture of their own, on both workers and on one of them."""
    for number in range(VISITORS):
        expected(number, USUAL)
    found: dict[str, float] = {}
    with cluster() as engine:
        for at_once in (WORKERS, 1, WORKERS, 1):
            ended_s: list[float] = []
            began = time.monotonic()

            def visit(number: int, began: float = began, ended_s: list[float] = ended_s) -> None:
                run(engine, number, USUAL)
                ended_s.append(time.monotonic() - began)

            with ThreadPoolExecutor(at_once) as visitors:
                list(visitors.map(visit, range(VISITORS)))
            name = f"on_{at_once}_s"
            found[name] = min(found.get(name, np.inf), max(ended_s))
    return found | {"gain": found["on_1_s"] / found[f"on_{WORKERS}_s"]}


class Sender:
    """In the place of an animator: sends pictures as fast as it can."""

    identity, cost_model = "sender", None
    models = SimpleNamespace(device=torch.device("cpu"))

    def animate(self, side: int) -> Iterator[Event]:
        picture = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
        for index in range(SENT):
            yield Frame(index, picture)


def measure_events() -> dict[str, float]:
    """Milliseconds of an event with a picture of such a side, from worker to page."""
    workers = Fleet(ClusterAddress.parse("ray:cpu=1"))
    workers.start(Sender, Identity.of(Sender.identity))  # type: ignore[arg-type]
    try:
        wait_for(lambda: workers.answering == 1)
        found = {}
        for side in SIDES_PX:
            taken_ms = []
            for _ in range(3):
                place = workers.take("", 60.0)
                assert place is not None
                began = time.monotonic()
                assert len(list(workers.stream(place, side))) == SENT
                taken_ms.append(1000 * (time.monotonic() - began) / SENT)
            found[f"picture_{side}_ms"] = min(taken_ms)
        return found
    finally:
        workers.close()


def measure_overhead() -> dict[str, float]:
    """A job on a worker, in times of the same job in this process."""
    taken: dict[str, list[float]] = {"here": [], "there": []}
    with cluster() as engine:
        for _ in range(3):
            for name, where in (("here", here()), ("there", engine)):
                began = time.monotonic()
                events = run(where, 0, USUAL)
                taken[name].append(time.monotonic() - began)
    return {
        "events": len(events),
        "here_s": min(taken["here"]),
        "ratio": min(taken["there"]) / min(taken["here"]),
    }


def measure_queue() -> dict[str, float]:
    """Two hundred jobs in line."""
    for number in range(PICTURES):
        expected(number, SHORT)
    with cluster() as engine, ThreadPoolExecutor(WORKERS) as line:
        began = time.monotonic()
        list(line.map(lambda number: run(engine, number % PICTURES, SHORT), range(QUEUED)))
        return {"jobs": QUEUED, "job_s": (time.monotonic() - began) / QUEUED}


def measure_cancelling() -> dict[str, float]:
    """Runs that are closed after a few events, one after another from two threads; then a job."""
    chance = random.Random(0)
    after = [chance.randrange(1, 40) for _ in range(CANCELLED)]
    with cluster() as engine, ThreadPoolExecutor(WORKERS) as storm:

        def cancel(number: int) -> float:
            with closing(engine.animate(*job(number % PICTURES, USUAL))) as events:  # type: ignore[type-var]
                for _, _event in zip(range(after[number]), events, strict=False):
                    pass
                began = time.monotonic()
            return time.monotonic() - began

        closed_s = list(storm.map(cancel, range(CANCELLED)))
        began = time.monotonic()
        run(engine, 0, SHORT)
        return {
            "cancelled": CANCELLED,
            "longest_close_s": max(closed_s),
            "next_job_s": time.monotonic() - began,
        }


def measure_soak(jobs: int) -> dict[str, Any]:
    """What short jobs leave behind, in this process and in its workers: megabytes, threads, descriptors, files."""
    for number in range(PICTURES):
        expected(number, SHORT)
    curve = []
    with cluster() as engine, ThreadPoolExecutor(WORKERS) as line:
        processes = [
            psutil.Process(place.answer.process) for place in engine._fleet._places if place.answer
        ]
        folder = engine._fleet._folder
        assert folder is not None
        for done in range(0, jobs + 1, max(jobs // 6, 1)):
            if done:
                list(line.map(lambda n: run(engine, n % PICTURES, SHORT), range(max(jobs // 6, 1))))
            own = psutil.Process()
            curve.append(
                {
                    "jobs": done,
                    "page_mb": own.memory_info().rss // 2**20,
                    "workers_mb": [each.memory_info().rss // 2**20 for each in processes],
                    "threads": own.num_threads(),
                    "descriptors": own.num_fds(),
                    "worker_threads": [each.num_threads() for each in processes],
                    "worker_descriptors": [each.num_fds() for each in processes],
                    "files": sum(path.is_file() for path in Path(folder.name).rglob("*")),
                }
            )
    return {"curve": curve}


def measure_killing() -> dict[str, float]:
    """A worker is killed at its tenth event: until the job goes on elsewhere, and until the worker answers again."""
    found: dict[str, list[float]] = {"goes_on_s": [], "answers_s": []}
    with cluster() as engine:
        for number in range(3):
            events = engine.animate(*job(number, USUAL))
            with closing(events):  # type: ignore[type-var]
                seen = [next(events) for _ in range(10)]
                [place] = [each for each in engine._fleet._places if each.busy]
                assert place.answer is not None
                os.kill(place.answer.process, signal.SIGKILL)
                began = time.monotonic()
                while not isinstance(seen[-1], Note) or "lost" not in seen[-1].text:
                    seen.append(next(events))
                while not isinstance(seen[-1], Step):
                    seen.append(next(events))
                found["goes_on_s"].append(time.monotonic() - began)
                seen += events
            assert [frame_bytes(e) for e in seen if isinstance(e, Frame)] == expected(number, USUAL)
            wait_for(lambda: engine._fleet.answering == WORKERS)
            found["answers_s"].append(time.monotonic() - began)
    return {name: statistics.median(values) for name, values in found.items()}


@contextmanager
def two_nodes() -> Iterator[Any]:
    """A head without workers and two nodes with one core each, all on this machine."""
    from ray.cluster_utils import Cluster as Nodes

    with TemporaryDirectory(
        prefix="poseray-", dir=fleets.SOCKETS, ignore_cleanup_errors=True
    ) as folder:
        head = {
            "num_cpus": 0,
            "object_store_memory": STORE_BYTES,
            "include_dashboard": False,
        }
        (Path(folder) / "ray").mkdir()
        os.environ["RAY_TMPDIR"] = folder
        nodes = Nodes(initialize_head=True, head_node_args=head)
        try:
            nodes.removable = [
                nodes.add_node(num_cpus=1, object_store_memory=STORE_BYTES) for _ in range(2)
            ]
            yield nodes
        finally:
            nodes.shutdown()
            del os.environ["RAY_TMPDIR"]


def measure_nodes() -> dict[str, float]:
    """Two nodes; the one that runs a job is removed, later another one joins."""
    with two_nodes() as nodes, cluster(f"{nodes.address}:cpu=2") as engine:
        events = engine.animate(*job(0, USUAL))
        seen = [next(events) for _ in range(10)]
        [place] = [each for each in engine._fleet._places if each.busy]
        assert place.answer is not None
        parents = {each.pid for each in psutil.Process(place.answer.process).parents()}
        [node] = [
            each
            for each in nodes.removable
            if each.all_processes["raylet"][0].process.pid in parents
        ]
        began = time.monotonic()
        nodes.remove_node(node, allow_graceful=False)
        while not (isinstance(seen[-1], Note) and "lost" in seen[-1].text):
            seen.append(next(events))
        lost_s = time.monotonic() - began
        seen += events
        assert [frame_bytes(e) for e in seen if isinstance(e, Frame)] == expected(0, USUAL)
        assert engine._fleet.answering == 1
        run(engine, 1, SHORT)
        nodes.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
        joined_s = wait_for(lambda: engine._fleet.answering == 2)
        return {"noticed_s": lost_s, "new_node_answers_s": joined_s}


LOSE_HEAD = """
import sys, time
import fleet
from poseanimate.errors import DeviceError
with fleet.cluster(sys.argv[1] + ":cpu=2", patience_s=10.0) as engine:
    events = engine.animate(*fleet.job(0, fleet.USUAL.changed({"num_inference_steps": 100})))
    for _ in range(10):
        next(events)
    print("running", flush=True)
    try:
        for event in events: pass
        print("done", flush=True)
        for event in engine.animate(*fleet.job(1, fleet.SHORT)): pass
        print("next done", flush=True)
        time.sleep(120)
    except DeviceError as error:
        print("sentence", error, flush=True)
"""


def measure_head() -> dict[str, Any]:
    """The head is killed during a job: what the page's process still does, and when and how it ends."""
    with two_nodes() as nodes:
        command = [sys.executable, "-c", LOSE_HEAD, nodes.address]
        search = [str(Path(__file__).parent), *sys.path]
        page = subprocess.Popen(
            command,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(search)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert page.stdout is not None
        assert page.stdout.readline().strip() == "running"
        nodes.head_node.kill_gcs_server()
        began = time.monotonic()
        said: dict[str, float] = {}
        for line in page.stdout:
            said[line.strip()[:60]] = time.monotonic() - began
        return {"said": said, "exit": page.wait(), "ended_s": time.monotonic() - began}


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "events": measure_events,
    "overhead": measure_overhead,
    "visitors": measure_visitors,
    "queue": measure_queue,
    "cancelling": measure_cancelling,
    "killing": measure_killing,
    "soak": measure_soak,
    "nodes": measure_nodes,
    "head": measure_head,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--only", nargs="+", choices=PARTS, default=[*PARTS])
    parser.add_argument("--jobs", type=int, default=300, help="of the soak; default: 300")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    logging.getLogger("ray").setLevel(logging.ERROR)
    fleets.STORE_BYTES = STORE_BYTES
    torch.set_num_threads(1)  # as each worker, for equal frames
    found = {}
    for name in options.only:
        measure = PARTS[name]
        found[name] = measure(options.jobs) if name == "soak" else measure()
        if not options.json:
            print(name, json.dumps(found[name]), flush=True)
    if options.json:
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
