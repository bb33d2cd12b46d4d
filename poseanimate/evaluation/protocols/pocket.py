"""Protocol `pocket`: characters of the rendered world in motions whose true frames are known."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

from PIL import Image

from poseanimate.animator import Animator
from poseanimate.evaluation.case import EvaluationCase, Truth
from poseanimate.evaluation.metrics.appearance import find_difference
from poseanimate.evaluation.protocols.protocol import Protocol
from poseanimate.evaluation.rows import DRAFT, SOURCE_COPY, VAE_BOUND
from poseanimate.models.family import Models
from poseanimate.models.pose_detection import choose_eyes
from poseanimate.pocket.body import Angles
from poseanimate.pocket.world.motions import FPS, sample_motion
from poseanimate.pocket.world.scene import Rendered, Scene
from poseanimate.poses.motion import Motion
from poseanimate.poses.skeleton import Pose
from poseanimate.settings import Settings

SPLITS = ("validation", "held-out")
CAPTIONS = ("full", "brief")
DRIVERS_FROM = 500  # a split's scenes from here on drive the others


@dataclass(frozen=True)
class Pocket(Protocol):
    """Characters of a split, from number `first` on, in motions of the presets.

    captions: one of `CAPTIONS`; a brief one says nothing of looks, so that only the source shows them.
    """

    split: str
    characters: int
    motions: tuple[str, ...]
    first: int = 0
    captions: str = "full"
    name = "pocket"
    references = (VAE_BOUND, SOURCE_COPY, DRAFT)
    has_drivers = True

    def list_cases(self) -> tuple[tuple[str, str], ...]:
        characters = (f"{self.split}-{i}" for i in self._numbers)
        return tuple(product(characters, self.motions))

    @property
    def _numbers(self) -> range:
        return range(self.first, self.first + self.characters)

    def request(self) -> dict[str, Any]:
        return super().request() | {"split": self.split, "captions": self.captions}

    def kinds(self, character: str) -> tuple[str, ...]:
        return Scene.sample(self.split, _index_of(character)).kinds

    def load_case(
        self, animator: Animator, character: str, motion: str, settings: Settings
    ) -> EvaluationCase:
        """Renders the character in a motion; the clip's frames are spread over one loop."""
        side, models = animator.models.painted_side, animator.models
        index = _index_of(character)
        scene, other = (Scene.sample(self.split, i) for i in (index, DRIVERS_FROM + index))
        angles = sample_motion(motion, settings.frames - 1)
        truth = tuple(scene.render(a, side, side) for a in angles)
        relettered = [
            tuple(s.render(a, side, side).picture for s in scene.relettered()) for a in angles
        ]
        tanned = [scene.tanned().render(a, side, side).picture for a in angles]
        return EvaluationCase(
            motion=motion,
            prompt=scene.caption if self.captions == "full" else scene.brief_caption,
            source=animator.character(Image.fromarray(scene.render(Angles(), side, side).picture)),
            own=Motion(tuple(t.pose for t in truth), side, side, FPS, motion),
            another=_detect_motion(models, [other.render(a, side, side) for a in angles], motion),
            truth=tuple(
                Truth(t.picture, t.mask, t.pose, others, find_difference(t.picture, other))
                for t, others, other in zip(truth, relettered, tanned, strict=True)
            ),
        )


def _index_of(character: str) -> int:
    return int(character.rpartition("-")[2])


def _detect_motion(models: Models, driver: list[Rendered], name: str) -> Motion:
    """Detects the poses of the largest person in pictures of a driver, as in a video."""
    detector = choose_eyes(models.detector, driver[0].picture)
    poses = []
    for each in driver:
        people = detector.detect(each.picture)
        poses.append(people[0] if people else Pose.absent())
    height, width = driver[0].picture.shape[:2]
    return Motion(tuple(poses), width, height, FPS, name)
