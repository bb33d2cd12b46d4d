"""ZeroGPU's contract: runs go on in a forked worker; what goes in and out is pickled, all else is lost."""

from __future__ import annotations

import argparse
import json
import pickle
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import gradio as gr
import numpy as np
import pytest
import spaces
from helpers.tiny import scene_at_ease, tiny_models
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from spaces import config as spaces_settings
from spaces.zero import client
from spaces.zero import config as spaces_config

from poseanimate.animator import Animator
from poseanimate.cli import serve as serving
from poseanimate.cli.arguments import add_serving
from poseanimate.engines import zero_gpu
from poseanimate.engines.zero_gpu import (
    DAILY_S,
    FIRST_S,
    MAX_S,
    START_S,
    ZeroGPU,
    _engines,
    borrowed_s,
)
from poseanimate.errors import CacheError, DeviceError, MotionError, SettingsError
from poseanimate.events import Done, Frame, Stage
from poseanimate.models import loading
from poseanimate.pipeline.cost import CostModel, keep_cost_model, kept_cost_model
from poseanimate.pipeline.run import Run
from poseanimate.poses.motion import load_preset
from poseanimate.poses.skeleton import Pose
from poseanimate.settings import Settings
from poseanimate.storage.stage_cache import StageCache
from poseanimate.ui import texts

QUICK = Settings(
    num_inference_steps=2,
    inner_steps=1,
    guidance_scale=2,
    frames=3,
    frame_masks="skeleton",
    mgdm=False,
)


class Lender:
    """Stands in for `spaces`: what goes in and out is pickled, and an engine forgets what changed in a run."""

    def __init__(self) -> None:
        self.asked_s: list[int] = []
        self.closed = 0

    def GPU(self, duration: Callable[..., int]) -> Callable:
        def lend(function: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
            def call(*arguments: Any) -> Iterator[Any]:
                self.asked_s.append(duration(*arguments))
                [engine] = _engines
                before = dict(vars(engine))
                events = function(*pickle.loads(pickle.dumps(arguments)))
                try:
                    for event in events:
                        vars(engine).update(before)
                        yield pickle.loads(pickle.dumps(event))
                except Exception as error:  # as `spaces` does
                    raise gr.Error(type(error).__name__, title="ZeroGPU worker error") from None
                finally:
                    events.close()
                    self.closed += 1

            return call

        return lend


@pytest.fixture
def lender(monkeypatch: pytest.MonkeyPatch) -> Lender:
    lender = Lender()
    monkeypatch.setattr(spaces, "GPU", lender.GPU)
    return lender


def job() -> tuple[Any, ...]:
    animator = Animator(tiny_models())
    scene = scene_at_ease()
    return animator.character(Image.fromarray(scene.picture)), load_preset("walk"), QUICK, "a girl"


def clip(events: Iterator[Any]) -> list[np.ndarray]:
    return [event.picture for event in events if isinstance(event, Frame)]


def test_a_run_in_a_worker_makes_the_same_clip(lender: Lender) -> None:
    there = clip(ZeroGPU(tiny_models()).animate(*job()))
    here = clip(Animator(tiny_models()).animate(*job()))
    assert len(there) == QUICK.frames and all(map(np.array_equal, there, here))


def test_time_is_asked_for_as_the_forecast_says(lender: Lender, tmp_path: Path) -> None:
    engine = ZeroGPU(tiny_models(), StageCache(tmp_path, 10**9))
    told = engine.forecast(*job())
    assert told is not None and told.seconds is None and not told.remark, "a guess isn't told"
    events = list(engine.animate(*job()))
    assert isinstance(events[-1], Done), "what is learnt is no event"
    assert engine.cost_model is not None and engine.cost_model.pace_s > 0, (
        "the worker's pace came back"
    )
    list(engine.animate(*job()))
    forecast = engine.forecast(*job())
    assert forecast is not None and "inversion" in forecast.cached, "the worker's results are kept"
    first, second = lender.asked_s
    assert START_S <= second < first <= FIRST_S


def test_what_was_learnt_is_there_after_a_restart_of_the_same_models_on_the_same_card(
    lender: Lender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = StageCache(tmp_path, 10**9)
    engine = ZeroGPU(tiny_models(), cache)
    list(engine.animate(*job()))
    assert ZeroGPU(tiny_models(), cache).cost_model == engine.cost_model
    assert ZeroGPU(replace(tiny_models(), identity="others"), cache).cost_model is None
    monkeypatch.setattr(zero_gpu, "_card", lambda: ("another", 1.0))
    assert ZeroGPU(tiny_models(), cache).cost_model is None
    assert ZeroGPU(tiny_models()).cost_model is None


@given(pace_s=st.floats(1e-6, 10), fixed=st.integers(0, 10**12), each=st.floats(0, 1e10))
def test_a_cost_model_is_kept_to_the_bit(pace_s: float, fixed: int, each: float) -> None:
    with TemporaryDirectory() as folder:
        cache, model = StageCache(Path(folder)), CostModel(pace_s, fixed, each)
        keep_cost_model(cache, "models", "card", model)
        assert kept_cost_model(cache, "models", "card") == model


def test_a_cache_that_cannot_be_written_costs_no_run(
    lender: Lender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = StageCache(tmp_path, 10**9)
    monkeypatch.setattr(cache, "put", _full)
    assert isinstance(list(ZeroGPU(tiny_models(), cache).animate(*job()))[-1], Done)


def _full(*_: Any) -> None:
    raise CacheError("The disk is full.", "Free some.")


@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_spaces_own_code_counts_no_more_than_is_meant(
    lender: Lender, monkeypatch: pytest.MonkeyPatch, factor: float
) -> None:
    """Its margin for slower cards doesn't come on top of ours: a first visitor's request stays within the day's."""
    zero_gpu._card()  # it is asked once, with a warning where there is no driver
    card = {**spaces_config.get_config(), "duration_factor": factor}
    monkeypatch.setattr(spaces_config, "get_config", lambda: card)
    for preset, family in (("fast", "pocket"), ("balanced", "pocket"), ("fast", "sd15")):
        engine = ZeroGPU(tiny_models())
        character, motion, _, prompt = job()
        asked = (character, motion, Settings.preset(preset, family), prompt)
        needed_s = engine.needed_s(*asked)
        duration = timedelta(seconds=borrowed_s(*asked))
        counted_s = client.get_duration_seconds(duration, "large")
        assert needed_s is not None and needed_s - 1.5 <= counted_s <= needed_s <= FIRST_S < DAILY_S


def test_a_first_run_that_may_not_fit_is_told_so_before_the_click_and_not_begun(
    lender: Lender,
) -> None:
    engine = ZeroGPU(tiny_models())
    character, motion, _, prompt = job()
    paper = character, motion, Settings.preset("paper", "pocket"), prompt
    told = engine.forecast(*paper)
    assert told is not None and told.seconds is told.memory_bytes is None, "a guess isn't told"
    assert told.remark.startswith(
        "No run has been measured here yet, so a GPU is borrowed for 60 s at most"
    )
    assert re.search(r"The preset fast with \d+ frames asks for \d+ s\.$", told.remark)
    with pytest.raises(DeviceError, match="No run has been measured") as caught:
        list(engine.animate(*paper))
    assert caught.value.remedy in told.remark
    assert not lender.asked_s, "no GPU was borrowed"


@pytest.mark.parametrize(
    ("pace_s", "remark"),
    [
        (1e-6, "^$"),
        (0.2, "^Visitors without an account have 120 s"),
        (30, "one is lent for 300 s at most"),
    ],
)
def test_a_run_that_asks_for_much_is_told_so(lender: Lender, pace_s: float, remark: str) -> None:
    engine = ZeroGPU(tiny_models())
    engine.cost_model = CostModel(pace_s, 0, 0)
    character, motion, quick, prompt = job()
    asked = character, motion, replace(quick, num_inference_steps=10, frames=8), prompt
    told = engine.forecast(*asked)
    assert told is not None and re.search(remark, told.remark)
    assert told.remark in texts.forecast(told)
    borrowed = borrowed_s(*asked)
    events = engine.animate(*asked)
    if borrowed > MAX_S:
        with pytest.raises(DeviceError):
            next(events)
    else:
        next(events)
        assert lender.asked_s == [borrowed]
        events.close()


@given(
    pace_s=st.floats(1e-4, 100),
    frames=st.integers(2, 60),
    preset=st.sampled_from(["fast", "paper"]),
)
@settings(max_examples=25, deadline=None)
def test_what_is_proposed_fits(pace_s: float, frames: int, preset: str) -> None:
    engine = ZeroGPU(tiny_models())
    engine.cost_model = CostModel(pace_s, 0, 0)
    character, motion, _, prompt = job()
    asked = character, motion, replace(Settings.preset(preset, "pocket"), frames=frames), prompt
    told = engine.forecast(*asked)
    assert told is not None
    needed_s = engine.needed_s(*asked)
    assert needed_s is not None and bool(told.remark) == (needed_s > DAILY_S)
    if found := re.search(r"fast with (\d+) frames asks for (\d+) s", told.remark):
        count, seconds = map(int, found.groups())
        assert count <= frames and seconds <= DAILY_S


def test_a_closed_run_closes_its_worker(lender: Lender) -> None:
    events = ZeroGPU(tiny_models()).animate(*job())
    assert isinstance(next(events), Stage)
    events.close()
    assert lender.closed == 1


def test_errors_of_a_worker_keep_their_sentences(
    lender: Lender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package lets only the name of an error's class out of a worker."""
    monkeypatch.setattr(Run, "events", _out_of_memory)
    with pytest.raises(DeviceError, match=r"^Memory ran out, .* choose a smaller picture"):
        list(ZeroGPU(tiny_models()).animate(*job()))
    assert len(lender.asked_s) == lender.closed == 1


def _out_of_memory(_: Run) -> Iterator[Any]:
    yield Stage("inversion", 1)
    raise MemoryError


def test_a_run_that_would_not_begin_borrows_nothing(lender: Lender) -> None:
    character, motion, quick, _ = job()
    for break_it, kind in (
        ((character, motion, quick, "a girl " * 2000), SettingsError),
        ((character, replace(motion, poses=(Pose.absent(),) * 8), quick, ""), MotionError),
    ):
        with pytest.raises(kind) as there:
            list(ZeroGPU(tiny_models()).animate(*break_it))
        with pytest.raises(kind) as here:
            list(Animator(tiny_models()).animate(*break_it))
        assert str(there.value) == str(here.value) and there.value.remedy
    assert not lender.asked_s


def test_a_fault_in_a_worker_is_told_as_the_platforms(
    lender: Lender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Animator, "animate", lambda *_: iter(range(1 // 0)))
    with pytest.raises(DeviceError, match=r"^ZeroGPU worker error: ZeroDivisionError\. "):
        list(ZeroGPU(tiny_models()).animate(*job()))


class Platform(BaseHTTPRequestHandler):
    """ZeroGPU's scheduler, as far as the package asks it: it knows what is left of a day."""

    left_s = 120
    asked_s: ClassVar[list[int]] = []

    def do_POST(self) -> None:
        asked_s = int(parse_qs(urlsplit(self.path).query)["durationSeconds"][0])
        self.asked_s.append(asked_s)
        if asked_s > self.left_s:
            status, answer = 429, {"left": self.left_s, "wait": 3600}
        else:
            status = 200
            answer = {"idle": False, "nvidiaIndex": 0, "nvidiaUUID": "GPU-0", "allowToken": "t"}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Platform]]:
    """Lends a GPU through the package's own client, whose scheduler is a server here; runs go on in this process."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Platform)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(
        spaces_settings.Config, "zero_device_api_url", f"http://127.0.0.1:{server.server_port}"
    )
    monkeypatch.setattr(Platform, "asked_s", [])
    monkeypatch.setattr(Platform, "left_s", 120)
    zero_gpu._card()

    def GPU(duration: Callable[..., float]) -> Callable:
        def lend(function: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
            def call(*arguments: Any) -> Iterator[Any]:
                client.schedule(1, None, timedelta(seconds=duration(*arguments)))
                yield from function(*arguments)

            return call

        return lend

    monkeypatch.setattr(spaces, "GPU", GPU)
    yield Platform
    server.shutdown()
    server.server_close()


def test_a_first_visitors_runs_fit_into_the_day_with_the_packages_own_client(
    platform: type[Platform],
) -> None:
    engine = ZeroGPU(tiny_models())
    assert isinstance(list(engine.animate(*job()))[-1], Done)
    assert isinstance(list(engine.animate(*job()))[-1], Done)
    assert len(platform.asked_s) == 2 and sum(platform.asked_s) <= DAILY_S


def test_a_day_that_is_used_up_is_told_in_a_sentence(platform: type[Platform]) -> None:
    platform.left_s = 3
    with pytest.raises(DeviceError, match="quota exceeded") as caught:
        list(ZeroGPU(tiny_models()).animate(*job()))
    assert "Log in to Hugging Face" in str(caught.value)


def test_elsewhere_the_real_package_lends_nothing_and_changes_nothing() -> None:
    made = clip(ZeroGPU(tiny_models()).animate(*job()))
    assert all(map(np.array_equal, made, clip(Animator(tiny_models()).animate(*job()))))


def test_a_forecast_touches_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        type(tiny_models()), "embed", lambda *_: pytest.fail("a forecast embedded a prompt")
    )
    assert Animator(tiny_models()).forecast(*job()) is not None


def test_all_events_can_be_sent_elsewhere() -> None:
    for event in Animator(tiny_models()).animate(*job()):
        again = pickle.loads(pickle.dumps(event))
        assert type(again) is type(event) and vars(again).keys() == vars(event).keys()


def test_the_app_borrows_on_zero_gpu_alone(
    monkeypatch: pytest.MonkeyPatch, lender: Lender, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        loading,
        "load_models",
        lambda *_, **more: SimpleNamespace(
            asked=more, inputs=tiny_models().inputs, identity="models"
        ),
    )
    cache = StageCache(tmp_path, 10**9)
    parser = argparse.ArgumentParser()
    add_serving(parser)
    options = parser.parse_args([])
    engine = serving.create_engine(options, "pocket", cache)
    assert type(engine) is Animator and engine.models.asked["inputs_device"] is None
    monkeypatch.setattr(serving, "ON_ZERO_GPU", True)
    engine = serving.create_engine(options, "pocket", cache)
    assert type(engine) is ZeroGPU and engine.models.asked["inputs_device"] == "cpu"
