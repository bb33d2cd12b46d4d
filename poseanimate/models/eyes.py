"""The default eyes: the pocket world's own where a picture is of that world, BlazePose everywhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from poseanimate.models.blazepose.eyes import BlazePoseEyes
from poseanimate.poses.skeleton import Pose

if TYPE_CHECKING:
    from poseanimate.pocket.perception import Perception  # imports torch


class Eyes:
    """Finds people and cuts them out.

    The order is measured (docs/inputs.md): BlazePose also finds many rendered characters, but less exactly, while the
    pocket network's answer tells whether it knows the picture's world.

    Args:
        blazepose: without it nobody is found in pictures of other worlds.
    """

    def __init__(self, pocket: Perception, blazepose: BlazePoseEyes | None) -> None:
        self._pocket = pocket
        self._others = blazepose or _Blind(pocket)

    @property
    def identity(self) -> str:
        """All networks' digests."""
        return f"{self._pocket.identity}+{self._others.identity}"

    def choose(self, picture: NDArray[np.uint8]) -> Perception | BlazePoseEyes | _Blind:
        """What looks at an RGB picture (height, width, 3), and at others of its world."""
        return self._pocket if self._pocket.is_of_its_world(picture) else self._others

    def detect(self, image: NDArray[np.uint8]) -> list[Pose]:
        """The people in an RGB picture (height, width, 3), in its pixels, largest first."""
        return self.choose(image).detect(image)

    def segment(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The soft mask, (height, width) in [0, 1], of an RGB picture (height, width, 3)."""
        return self.choose(image).segment(image)

    def start_tracking(self) -> Callable[[NDArray[np.uint8]], list[Pose]]:
        """A function like `detect` for the frames of one video: it asks anew only when it has lost everybody."""
        follow = self._others.start_tracking()
        look = follow
        people: list[Pose] = []

        def detect(frame: NDArray[np.uint8]) -> list[Pose]:
            nonlocal look, people
            people = look(frame) if people else []
            if not people:
                look = self._pocket.detect if self._pocket.is_of_its_world(frame) else follow
                people = look(frame)
            return people

        return detect


class _Blind:
    """Finds nobody; around joints that are given the pocket network cuts out."""

    identity = "nobody"

    def __init__(self, pocket: Perception) -> None:
        self.segment = pocket.segment

    def detect(self, _: NDArray[np.uint8]) -> list[Pose]:
        return []

    def start_tracking(self) -> Callable[[NDArray[np.uint8]], list[Pose]]:
        return self.detect
