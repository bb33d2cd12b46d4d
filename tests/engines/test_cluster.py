"""Runs in a cluster: one of Ray, of two workers on this machine, for all tests of this file."""

from __future__ import annotations

import argparse
import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest
import ray
from helpers.orders import CHUNK, ENDED, Orders, load_fragile, load_nothing
from helpers.tiny import scene_at_ease, tiny_models
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from poseanimate.animator import Animator, Character
from poseanimate.cli import serve
from poseanimate.cli.arguments import add_serving, build_parser
from poseanimate.cli.engines import create_cluster, join_cluster
from poseanimate.engines import fleet
from poseanimate.engines.address import ClusterAddress
from poseanimate.engines.cluster import TRIES, Cluster
from poseanimate.engines.dispatch import rank
from poseanimate.engines.fleet import UNREAD, Fleet, LostWorker, Place
from poseanimate.engines.worker import Identity, Worker
from poseanimate.errors import DeviceError, PoseAnimateError, SettingsError
from poseanimate.evaluation.plan import plan
from poseanimate.events import Aligned, Done, Event, Frame, Note, Placed, Preview, Stage, Step
from poseanimate.pipeline.cost import CostModel
from poseanimate.poses.motion import load_preset
from poseanimate.settings import Settings
from poseanimate.storage.stage_cache import FOLDER_VARIABLE, StageCache
from poseanimate.ui.page import create_demo

WORKERS = 2
PATIENCE_S = 900.0  # on a machine that other tests keep busy, a worker is slow to start
QUICK = Settings(num_inference_steps=2, inner_steps=1, guidance_scale=2, frames=1 + 2 * CHUNK)
LONG = QUICK.changed({"num_inference_steps": 100})


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Orders:
    return Orders(tmp_path_factory.mktemp("workers"))


@pytest.fixture(scope="module")
def engine(orders: Orders) -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # workers find the helpers there
        # by default any other program goes before them: on a busy machine they would take minutes to start
        patch.setenv("RAY_worker_niceness", "0")
        # how long Ray waits for the reason of an actor's death
        patch.setenv("RAY_timeout_ms_task_wait_for_death_info", "100")
        patch.setattr(fleet, "STORE_BYTES", 100_000_000)
        patch.setattr(fleet, "PAUSE_S", 0.1)
        patch.setattr(fleet.os, "sched_getaffinity", lambda _: range(WORKERS))
        workers = Fleet(ClusterAddress.parse(f"ray:cpu={WORKERS}"))
    folder = Path(workers._folder.name)  # type: ignore[union-attr]
    load = partial(load_fragile, orders.folder)
    engine = Cluster(tiny_models(), None, None, workers, load, PATIENCE_S)
    yield engine
    assert folder.is_dir()
    workers.close()
    assert not folder.exists() and not ray.is_initialized()


def character(seed: int = 0) -> Character:
    """Each seed's picture is another, so that nothing of it is cached."""
    found = Animator(tiny_models()).character(Image.fromarray(scene_at_ease().picture))
    picture = found.picture.copy()
    picture[0, 0] = seed
    return replace(found, picture=picture)


def job(seed: int = 0, settings: Settings = QUICK) -> tuple[Any, ...]:
    return character(seed), load_preset("walk"), settings, "a girl"


def wait_until(condition: Callable[[], bool]) -> None:
    """The limit only ends a hang."""
    give_up_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up_s
        time.sleep(0.05)


def here(*job: Any) -> list[Event]:
    return list(Animator(tiny_models(), chunk_size=CHUNK).animate(*job))


def frames(events: list[Event]) -> list[Frame]:
    return [event for event in events if isinstance(event, Frame)]


def assert_equal_frames(made: list[Event], expected: list[Event]) -> None:
    assert [each.index for each in frames(made)] == list(range(QUICK.frames))
    for one, other in zip(frames(made), frames(expected), strict=True):
        assert np.array_equal(one.picture, other.picture)
        assert (one.mask is None) == (other.mask is None)
        assert one.mask is None or np.array_equal(one.mask, other.mask)  # type: ignore[arg-type]


# --- a run elsewhere ---


def test_a_run_elsewhere_tells_and_makes_the_same(engine: Cluster) -> None:
    made, expected = list(engine.animate(*job(1))), here(*job(1))
    assert_equal_frames(made, expected)
    placed = [event for event in made if isinstance(event, Placed)]
    assert placed and all(each == Placed(placed[0].engine, 1, WORKERS) for each in placed)

    def told(events: list[Event]) -> list[Any]:
        starting = Stage("engine", 1)
        return [
            (type(each), getattr(each, "index", getattr(each, "name", "")))
            for each in events
            # how many previews there are depends on the time that they take
            if not isinstance(each, Placed | Preview) and each != starting
        ]

    assert told(made) == told(expected)
    done = made[-1]
    assert isinstance(done, Done) and len(done.frames) == QUICK.frames
    assert all(np.array_equal(a, b.picture) for a, b in zip(done.frames, frames(made), strict=True))
    assert all(each.picture.flags.writeable for each in frames(made)), "no part of Ray's memory"


def test_what_a_run_cost_there_foretells_the_next(engine: Cluster) -> None:
    list(engine.animate(*job(2)))
    forecast = engine.forecast(*job(3))
    assert forecast is not None and forecast.seconds is not None and forecast.seconds > 0
    assert engine.cost_model is None, "nothing ran here"


def test_errors_come_as_they_are_and_the_worker_goes_on(engine: Cluster) -> None:
    with pytest.raises(SettingsError) as there:
        list(engine.animate(*job()[:3], "long " * 1000))
    with pytest.raises(SettingsError) as expected:
        here(*job()[:3], "long " * 1000)
    assert str(there.value) == str(expected.value)
    assert isinstance(list(engine.animate(*job(4)))[-1], Done)


def test_as_many_runs_go_on_at_once_as_there_are_workers(engine: Cluster) -> None:
    """The second one's picture is the first one's: where that is busy, another takes it."""
    first = engine.animate(*job(5, LONG))
    while not isinstance(next(first), Step):
        pass
    second = list(engine.animate(*job(5)))
    [*_, placed] = (event for event in second if isinstance(event, Placed))
    assert placed.busy == WORKERS and isinstance(second[-1], Done)
    assert isinstance(next(first), Event)
    first.close()  # type: ignore[attr-defined]


def test_runs_in_threads_do_not_mix(engine: Cluster) -> None:
    made: dict[int, list[Event]] = {}

    def run(seed: int) -> None:
        made[seed] = list(engine.animate(*job(seed)))

    threads = [threading.Thread(target=run, args=(seed,)) for seed in (6, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in (6, 7):
        assert_equal_frames(made[seed], here(*job(seed)))


def test_a_pictures_jobs_go_to_the_same_worker(engine: Cluster) -> None:
    def places(seed: int) -> set[int]:
        return {e.engine for e in engine.animate(*job(seed)) if isinstance(e, Placed)}

    seen = {seed: places(seed) for seed in (10, 11, 12)}
    assert all(places(seed) == where and len(where) == 1 for seed, where in seen.items())


def test_an_evaluation_that_was_stopped_measures_the_same_there(
    engine: Cluster, tmp_path: Path
) -> None:
    rows = {"rows": "controlnet", "motions": "walk,wave"}
    evaluation = plan("pocket", QUICK, split="validation", characters=1, **rows)

    def metrics(animator: Animator) -> list[dict[str, float]]:
        store = evaluation.open_store(tmp_path / str(animator.places), "tiny", "1")
        with closing(evaluation.run(animator, store)) as steps:  # type: ignore[type-var]
            assert next(steps).index == 1
        kept = {path: path.stat().st_mtime_ns for path in (store.folder / "results").iterdir()}
        left = [step.index for step in evaluation.run(animator, store)]
        assert left == list(range(len(kept) + 1, evaluation.clips + 1)), "nothing twice"
        assert kept and all(path.stat().st_mtime_ns == when for path, when in kept.items())
        return [result.metrics | {"seconds": 0} for result in store.load_results()]

    assert metrics(engine) == metrics(Animator(tiny_models(), chunk_size=CHUNK))


# --- what goes wrong ---


@pytest.mark.parametrize(
    ("stage", "shown"),
    [
        ("alignment", 0),
        ("inversion", 1),
        ("pacm_source", 1),
        ("frame_0", 1),
        ("pacm_pose", 1 + CHUNK),
        ("generation", 1 + CHUNK),
    ],
)
def test_a_killed_workers_job_goes_on_elsewhere(
    engine: Cluster, orders: Orders, stage: str, shown: int
) -> None:
    one = job(20 + shown + 5 * len(stage))
    orders.kill(stage, shown)
    made = list(engine.animate(*one))
    assert orders.killed
    assert_equal_frames(made, here(*one))
    notes = [event.text for event in made if isinstance(event, Note)]
    assert sum("was lost" in note for note in notes) == 1 and len(notes) == len({*notes})
    assert sum(isinstance(event, Aligned) for event in made) == 1
    done = made[-1]
    assert isinstance(done, Done)
    assert ("inversion" in done.cached_stages) == (stage not in ("alignment", "inversion"))
    seen = 0
    for event in made:
        seen += isinstance(event, Frame)
        assert not isinstance(event, Preview) or event.index >= seen, "of a frame that is finished"


def test_an_idle_worker_that_dies_is_missed_until_it_is_back(
    engine: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = engine._fleet
    registry = create_demo(engine).counts.registry

    def told() -> float | None:
        return registry.get_sample_value("poseanimate_engines_answering")

    monkeypatch.setattr(fleet, "BEAT_S", 0.1)
    for place in workers._places:
        workers._lose(place)  # they are asked anew, and again soon
    wait_until(lambda: told() == WORKERS)
    [first, _] = workers._places
    assert first.answer is not None
    os.kill(first.answer.process, signal.SIGKILL)
    wait_until(lambda: told() == 1)
    assert registry.get_sample_value("poseanimate_engines") == WORKERS
    wait_until(lambda: told() == WORKERS)


def test_a_stream_that_hangs_as_its_worker_dies_is_given_up(
    engine: Cluster, orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in ray#39109: what fails with the worker is the question behind the job, not the stream."""
    workers, hung = engine._fleet, []

    def wait(refs: list[Any], timeout: float) -> tuple[list[Any], list[Any]]:
        if orders.killed and not hung:
            hung.extend(refs)
        return ([], refs) if refs == hung else real(refs, timeout=timeout)

    real = workers._ray.wait
    monkeypatch.setattr(fleet, "BEAT_S", 0.1)
    monkeypatch.setattr(fleet, "SILENT_S", 0.1)
    monkeypatch.setattr(workers._ray, "wait", wait)
    for place in workers._places:
        workers._lose(place)  # they are asked anew, and again soon
    orders.kill("pacm_pose", 1)
    made = list(engine.animate(*job(83)))
    assert hung and orders.killed
    assert_equal_frames(made, here(*job(83)))
    assert sum("was lost" in event.text for event in made if isinstance(event, Note)) == 1


def test_a_job_that_kills_its_workers_ends_with_a_sentence() -> None:
    """Of a fleet that loses whatever takes a job."""
    taken: list[Place] = []

    def take(*_: Any) -> Place:
        taken.append(Place(len(taken) + 1, None))
        return taken[-1]

    def lose(*_: Any) -> Iterator[Event]:
        yield Stage("character", 1)
        raise LostWorker

    fragile = SimpleNamespace(start=lambda *_: None, take=take, stream=lose, busy=1, places=9)
    lost = Cluster(tiny_models(), None, None, fragile, load_nothing)  # type: ignore[arg-type]
    events = lost.animate(*job())
    with pytest.raises(DeviceError, match=f"lost with its engine {TRIES} times"):
        for event in events:
            assert isinstance(event, Placed | Stage | Note)
    assert len(taken) == TRIES


def test_a_closed_run_ends_after_its_step_and_the_worker_takes_the_next(
    engine: Cluster, orders: Orders
) -> None:
    orders.forget()
    with closing(engine.animate(*job(81, LONG))) as events:  # type: ignore[type-var]
        read = 1
        while not isinstance(next(events), Step):
            read += 1
    again = list(engine.animate(*job(81)))
    assert isinstance(again[-1], Done)
    # the first may have ended on another worker
    wait_until(lambda: orders.trace.count(ENDED) >= 2)
    first = orders.trace[: orders.trace.index(ENDED)]
    assert first.count("Step") <= read + 2 * UNREAD < LONG.num_inference_steps


def test_a_worker_that_differs_is_refused_until_it_does_not(engine: Cluster) -> None:
    workers = engine._fleet
    expected = workers._expected
    (name, own), *others = expected.versions
    assert name == "poseanimate"
    list(engine.animate(*job(82)))
    workers._expected = replace(expected, versions=((name, "0.0.1"), *others))
    for place in workers._places:
        workers._lose(place)
    with pytest.raises(
        DeviceError, match=re.escape(f"it has poseanimate {own}, the page 0.0.1")
    ) as refused:
        list(engine.animate(*job(82)))
    assert "None of the 2 engines answers" in refused.value.message
    workers._expected = expected
    wait_until(lambda: workers.answering == WORKERS)
    assert isinstance(list(engine.animate(*job(82)))[-1], Done)


def test_where_no_worker_answers_there_is_a_sentence(engine: Cluster) -> None:
    """It waits for a GPU that no machine has."""
    nowhere = Fleet(ClusterAddress.parse("ray:gpu=1"))
    away = Cluster(tiny_models(), None, None, nowhere, load_nothing, patience_s=1.0)
    waiting = away.animate(*job())
    assert next(waiting) == Stage("engine", 1)
    assert away.places == 1 and away.forecast(*job()).seconds is None  # type: ignore[union-attr]
    with pytest.raises(DeviceError, match=r"None of the 1 engines answers\. Start them again"):
        list(waiting)
    nowhere.close()
    assert ray.is_initialized(), "the connection is another's"


def test_a_cluster_without_gpus_is_not_taken_for_one(engine: Cluster) -> None:
    with pytest.raises(DeviceError, match=r"no GPU\. Add a machine .* --engines ray:cpu=2"):
        Fleet(ClusterAddress.parse("ray"))


TERMINATED = """
import time
from poseanimate.engines.address import ClusterAddress
from poseanimate.engines.fleet import Fleet
fleet = Fleet(ClusterAddress.parse("ray:cpu=1"))
print(fleet._folder.name, flush=True)
time.sleep(600)
"""


@pytest.mark.slow
def test_a_terminated_program_takes_its_cluster_along() -> None:
    """And what a killed one has left."""
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    left = Path(fleet.SOCKETS) / f"{fleet.PREFIX}{gone.pid}-left"
    left.mkdir()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", TERMINATED],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None and program.stderr is not None
        folder = Path(program.stdout.readline().strip())
        processes = psutil.Process(program.pid).children(recursive=True)
        assert folder.is_dir() and processes and not left.exists()
        program.terminate()
        assert program.stderr.read() == ""
    assert program.returncode == 128 + signal.SIGTERM and not folder.exists()
    psutil.wait_procs(processes, timeout=60)
    assert not any(each.is_running() for each in processes)


# --- a worker, without a cluster ---


def received(value: Any) -> Any:
    """As Ray delivers it: arrays can't be written to."""
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    return pickle.loads(data, buffers=[bytes(buffer.raw()) for buffer in buffers])


def test_a_worker_takes_pictures_that_can_not_be_written_to(tmp_path: Path) -> None:
    sent = received(job(1))
    assert not sent[0].picture.flags.writeable
    *made, last = Worker(partial(load_fragile, tmp_path)).run(*sent)
    assert_equal_frames(made, here(*job(1)))  # type: ignore[arg-type]
    assert isinstance(made[-1], Done) and not made[-1].frames and isinstance(last, CostModel)


def test_a_worker_without_models_says_why() -> None:
    answer = Worker(load_nothing).answer()
    assert answer.identity is None and answer.trouble == "The models aren't here. Bring them."


def test_identities_differ_in_words() -> None:
    own = Identity("a", (("poseanimate", "1"), ("torch", "2")))
    assert not own.difference(own)
    assert "others than the page's" in own.difference(replace(own, models="b"))
    other = replace(own, versions=(("poseanimate", "1"), ("torch", "3")))
    assert own.difference(other) == "it has torch 3, the page 2"


@given(st.text(max_size=50), st.text(max_size=50), st.dictionaries(st.text(), st.integers()))
def test_errors_travel_between_processes(message: str, remedy: str, fix: dict[str, object]) -> None:
    error = DeviceError(message, remedy, fix)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is DeviceError and str(again) == str(error) and again.fix == fix


# --- which worker ---

NAMES = st.text(min_size=1, max_size=6)
WHO = st.lists(st.tuples(NAMES, NAMES), unique=True, min_size=1, max_size=12)


@given(st.text(), WHO, st.randoms())
def test_the_order_of_workers_does_not_matter(
    picture: str, workers: list[tuple[str, str]], random: Any
) -> None:
    ranked = rank(picture, workers)
    assert sorted(ranked) == sorted(workers)
    random.shuffle(workers)
    assert rank(picture, workers) == ranked


@given(st.text(), WHO, st.data())
def test_a_worker_that_leaves_changes_nothing_between_the_others(
    picture: str, workers: list[tuple[str, str]], data: st.DataObject
) -> None:
    gone = data.draw(st.sampled_from(workers))
    left = [each for each in rank(picture, workers) if each != gone]
    assert rank(picture, [each for each in workers if each != gone]) == left


@given(st.text(), WHO)
def test_workers_of_one_machine_stand_together(
    picture: str, workers: list[tuple[str, str]]
) -> None:
    machines = [machine for machine, _ in rank(picture, workers)]
    changes = sum(a != b for a, b in pairwise(machines))
    assert changes == len({*machines}) - 1


def test_pictures_spread_over_the_workers() -> None:
    workers = [(f"m{machine}", str(gpu)) for machine in range(4) for gpu in range(4)]
    first = [rank(str(picture), workers)[0] for picture in range(3200)]
    assert all(
        120 < first.count(worker) < 280 for worker in workers
    )  # 200 and 5.8 deviations of 14


# --- what --engines names ---


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ray", ClusterAddress(None)),
        ("ray:cpu=2", ClusterAddress(None, "cpu", 2)),
        ("ray:gpu=4", ClusterAddress(None, "gpu", 4)),
        ("ray://head", ClusterAddress("head:6379")),
        ("ray://head:7000:cpu=3", ClusterAddress("head:7000", "cpu", 3)),
        ("10.0.0.1:6379", ClusterAddress("10.0.0.1:6379")),
        ("[fd00::1]:6379:gpu=8", ClusterAddress("[fd00::1]:6379", "gpu", 8)),
        ("auto", ClusterAddress("auto")),
    ],
)
def test_addresses(text: str, address: ClusterAddress) -> None:
    assert ClusterAddress.parse(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rays",
        "head",
        "ray:cpu=0",
        "ray:tpu=1",
        "http://head:6379",
        "head:0",
        "head:99999",
        "a b:1",
    ],
)
def test_what_names_no_engines_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        ClusterAddress.parse(text)


def test_ray_client_is_refused_with_what_to_do() -> None:
    with pytest.raises(SettingsError, match="ray start --address=head:6379 --num-cpus=0"):
        ClusterAddress.parse("ray://head:10001")


@given(st.text())
def test_any_text_is_an_address_or_gets_a_sentence(text: str) -> None:
    try:
        address = ClusterAddress.parse(text)
    except PoseAnimateError as error:
        assert error.remedy
    else:
        assert address.device in ("cpu", "gpu")


def test_without_ray_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(SettingsError, match=r"pip install 'poseanimate\[cluster\]'"):
        join_cluster("ray", print)
    assert join_cluster("", print) is None


def test_a_head_that_does_not_answer_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(DeviceError, match=rf"127\.0\.0\.1:{port} can't be joined .*refused"):
        Fleet(ClusterAddress.parse(f"127.0.0.1:{port}:cpu=1"))


def test_the_page_lets_as_many_runs_go_on(engine: Cluster) -> None:
    demo = create_demo(engine)
    limits = {fn.api_name: fn.concurrency_limit for fn in demo.fns.values()}
    assert limits["animate"] == limits["generate"] == limits["compare"] == WORKERS
    assert limits["align"] == 1


@pytest.mark.parametrize(
    ("engines", "device", "precision"),
    [("ray:gpu=2", "cuda", "half"), ("auto:cpu=2", "cpu", "full")],
)
def test_workers_load_what_the_page_has(
    tmp_path: Path, engines: str, device: str, precision: str
) -> None:
    started: list[Any] = []
    workers = SimpleNamespace(
        address=ClusterAddress.parse(engines), places=2, start=lambda *given: started.extend(given)
    )
    parser = argparse.ArgumentParser()
    add_serving(parser)
    options = parser.parse_args(["--max-side", "160"])
    cache = StageCache(tmp_path / "page", 1000)
    made = create_cluster(options, "pocket", cache, workers, print)  # type: ignore[arg-type]
    load, expected = pickle.loads(pickle.dumps(started))
    assert made.places == 2 and expected == Identity.of(made.identity)
    name, on, open_cache, max_side, chosen = load.args
    assert (name, on, max_side, chosen["precision"]) == ("pocket", device, 160, precision)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER_VARIABLE, str(tmp_path / "own"))
        local = engines.startswith("ray")
        assert open_cache().folder == tmp_path / ("page" if local else "own")
    without = create_cluster(options, "pocket", None, workers, print)  # type: ignore[arg-type]
    assert without.cache is None and started[-2].args[2]() is None


def test_a_zero_gpu_space_needs_no_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "ON_ZERO_GPU", True)
    with pytest.raises(SettingsError, match="ZeroGPU Space lends GPUs itself"):
        serve.check(argparse.Namespace(engines="ray"))


def test_the_variable_is_the_options_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSEANIMATE_ENGINES", "ray:cpu=2")

    def parse(*arguments: str) -> Any:
        commands = [lambda: None for _ in range(10)]
        names = (
            "animate", "align", "draft", "motions", "settings", "cache", "evaluate", "doctor",
            "judge", "serve",
        )  # fmt: skip
        for command, name in zip(commands, names, strict=True):
            command.__name__, command.__doc__ = name, name
        return build_parser(*commands).parse_args(arguments)

    assert parse("serve").engines == parse("animate", "a", "b", "-o", "c").engines == "ray:cpu=2"
    assert parse("evaluate", "pocket", "-o", "c", "--engines", "auto").engines == "auto"
