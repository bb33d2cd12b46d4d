"""The eyes that know two worlds: rendered characters and photographs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from poseanimate.errors import ModelsError
from poseanimate.models import input_models
from poseanimate.models.eyes import Eyes
from poseanimate.models.input_models import InputModels, load_input_models
from poseanimate.pocket.perception import Perception
from poseanimate.pocket.training.data import sample_training_angles
from poseanimate.pocket.world.scene import Scene
from poseanimate.poses.skeleton import NOSE, Pose

ASTRONAUT = data.astronaut()
PHOTOGRAPHS = ("astronaut", "coffee", "rocket", "chelsea")


@pytest.fixture(scope="module")
def looking() -> InputModels:
    return load_input_models("pocket", "cpu", detector="auto")


@pytest.fixture(scope="module")
def pocket() -> Perception:
    found = load_input_models("pocket", "cpu").detector
    assert isinstance(found, Perception)
    return found


def doll(index: int, side: int = 128) -> np.ndarray:
    angles = sample_training_angles(np.random.default_rng(index))
    return Scene.sample("held-out", index).render(angles, side, side).picture


def same(people: list[Pose], others: list[Pose]) -> bool:
    return len(people) == len(others) and all(
        one.equals(other) for one, other in zip(people, others, strict=True)
    )


@pytest.mark.parametrize("side", [128, 300])
def test_rendered_characters_are_seen_as_by_the_pocket_worlds_own_eyes(
    looking: InputModels, pocket: Perception, side: int
) -> None:
    assert looking.segmenter is looking.detector
    for index in range(12):
        picture = doll(index, side)
        people = looking.detector.detect(picture)
        assert len(people) == 1 and same(people, pocket.detect(picture))
        assert np.array_equal(looking.segmenter.segment(picture), pocket.segment(picture))


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_photographs_are_not_of_the_pocket_world(pocket: Perception, name: str) -> None:
    assert not pocket.is_of_its_world(getattr(data, name)())


def test_photographs_are_seen_by_blazepose(looking: InputModels) -> None:
    blazepose = load_input_models("pocket", "cpu", detector="blazepose")
    people = looking.detector.detect(ASTRONAUT)
    assert len(people) == 1 and same(people, blazepose.detector.detect(ASTRONAUT))
    assert looking.segmenter.segment(ASTRONAUT)[110, 225] > 0.9
    assert looking.detector.detect(data.coffee()) == []


def tracker(looking: InputModels) -> Callable[[np.ndarray], list[Pose]]:
    assert isinstance(looking.detector, Eyes)
    return looking.detector.start_tracking()


def test_a_video_of_either_world_is_followed(looking: InputModels, pocket: Perception) -> None:
    detect = tracker(looking)
    for index in range(3):
        picture = doll(index)
        assert same(detect(picture), pocket.detect(picture))
    detect = tracker(looking)
    for _ in range(3):
        [pose] = detect(ASTRONAUT)
    [alone] = looking.detector.detect(ASTRONAUT)
    assert np.hypot(*(pose.xy[NOSE] - alone.xy[NOSE])) < 12


def test_who_comes_from_the_other_world_is_found(looking: InputModels, pocket: Perception) -> None:
    detect = tracker(looking)
    empty = np.full_like(ASTRONAUT, 128)
    counts = [len(detect(frame)) for frame in (empty, doll(1), empty, ASTRONAUT, empty, doll(2))]
    assert counts == [0, 1, 0, 1, 0, 1]


def test_without_its_networks_the_pocket_worlds_own_eyes_remain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def offline(*_: object, **__: object) -> Path:
        raise ModelsError("mediapipe can't be fetched.", "Check the connection.")

    monkeypatch.setattr(input_models, "fetch_members", offline)
    messages: list[str] = []
    looking = load_input_models("pocket", "cpu", detector="auto", on_message=messages.append)
    assert isinstance(looking.detector, Perception)
    assert looking.segmenter is looking.detector
    assert messages == [
        "Only characters of the pocket world are found: mediapipe can't be fetched. Check the connection."
    ]
    with pytest.raises(ModelsError, match="can't be fetched"):
        load_input_models("pocket", "cpu", detector="blazepose")
