"""The eyes that know two worlds: rendered characters and photographs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from poseanimate.errors import ModelsError, PictureError
from poseanimate.inputs.aligner import Aligner
from poseanimate.models import input_models
from poseanimate.models.eyes import Eyes
from poseanimate.models.input_models import InputModels, load_input_models
from poseanimate.models.pose_detection import choose_eyes
from poseanimate.pocket.perception import Perception
from poseanimate.pocket.training.data import sample_training_angles
from poseanimate.pocket.world.scene import Scene
from poseanimate.poses.skeleton import NOSE, Pose

ASTRONAUT = data.astronaut()
PHOTOGRAPHS = ("astronaut", "coffee", "rocket", "chelsea")


@pytest.fixture(scope="module")
def looking() -> InputModels:
    return load_input_models("pocket", "cpu")


@pytest.fixture(scope="module")
def pocket() -> Perception:
    found = load_input_models("pocket", "cpu", detector="pocket").detector
    assert isinstance(found, Perception)
    return found


def doll(index: int, side: int = 128) -> np.ndarray:
    angles = sample_training_angles(np.random.default_rng(index))
    return Scene.sample("held-out", index).render(angles, side, side).picture


def stretch(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    return np.asarray(cv2.resize(picture, (width * 5 // 2, height)))


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


def test_other_proportions_are_not_of_the_pocket_world(pocket: Perception) -> None:
    pictures = [doll(index, 192) for index in range(20)]
    assert all(pocket.is_of_its_world(picture) for picture in pictures)
    stretched = [stretch(picture) for picture in pictures]
    assert sum(len(pocket.detect(picture)) > 0 for picture in stretched) >= 15
    assert sum(pocket.is_of_its_world(picture) for picture in stretched) <= 2


@pytest.mark.parametrize("detector", ["", "blazepose"])
def test_the_pocket_family_refuses_what_it_does_not_paint(detector: str) -> None:
    aligner = Aligner(load_input_models("pocket", "cpu", detector=detector))
    aligner.check_paintable(doll(1), "Do something.")
    with pytest.raises(PictureError, match="paint drawn figures") as refused:
        aligner.check_paintable(ASTRONAUT, "Do something.")
    assert refused.value.remedy == "Do something."


def test_frames_made_from_a_picture_are_left_to_what_looked_at_the_picture(
    looking: InputModels, pocket: Perception
) -> None:
    odd = stretch(doll(1))
    aligner = Aligner(looking)
    assert not same(aligner.detect(odd), pocket.detect(odd))
    assert same(aligner.detect(odd, like=doll(1)), pocket.detect(odd))
    assert np.array_equal(aligner.segment(odd, like=doll(1)), pocket.segment(odd))
    blazepose = load_input_models("pocket", "cpu", detector="blazepose")
    assert choose_eyes(blazepose.detector, doll(0)) is blazepose.detector


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
    looking = load_input_models("pocket", "cpu", on_message=messages.append)
    assert looking.segmenter is looking.detector
    picture = doll(3)
    assert len(looking.detector.detect(picture)) == 1
    assert looking.segmenter.segment(picture).max() > 0.9
    assert looking.detector.detect(ASTRONAUT) == []
    assert [len(tracker(looking)(frame)) for frame in (ASTRONAUT, picture)] == [0, 1]
    assert messages == [
        "Only characters of the pocket world are found: mediapipe can't be fetched. Check the connection."
    ]
    with pytest.raises(ModelsError, match="can't be fetched"):
        load_input_models("pocket", "cpu", detector="blazepose")
