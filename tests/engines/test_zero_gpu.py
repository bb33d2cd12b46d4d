"""ZeroGPU's contract: runs go on in a forked worker; what goes in and out is pickled, all else is lost."""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import spaces
from helpers.tiny import scene_at_ease, tiny_models
from PIL import Image

from poseanimate.animator import Animator
from poseanimate.cli import serve as serving
from poseanimate.cli.arguments import add_serving
from poseanimate.engines.zero_gpu import MAX_S, START_S, UNKNOWN_S, ZeroGPU, _engines, borrowed_s
from poseanimate.events import Done, Frame, Stage
from poseanimate.models import loading
from poseanimate.pipeline.cost import CostModel
from poseanimate.poses.motion import load_preset
from poseanimate.settings import Settings
from poseanimate.storage.stage_cache import StageCache

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
    events = list(engine.animate(*job()))
    assert isinstance(events[-1], Done), "what is learnt is no event"
    assert engine.cost_model is not None and engine.cost_model.pace_s > 0, (
        "the worker's pace came back"
    )
    list(engine.animate(*job()))
    forecast = engine.forecast(*job())
    assert forecast is not None and "inversion" in forecast.cached, "the worker's results are kept"
    first, second = lender.asked_s
    assert first == START_S + UNKNOWN_S and START_S <= second < first
    engine.cost_model = CostModel(1e6, 0, 0)
    assert borrowed_s(*job()) == MAX_S


def test_a_closed_run_closes_its_worker(lender: Lender) -> None:
    events = ZeroGPU(tiny_models()).animate(*job())
    assert isinstance(next(events), Stage)
    events.close()
    assert lender.closed == 1


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
        lambda *_, **more: SimpleNamespace(asked=more, inputs=tiny_models().inputs),
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
