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

    The order is measured: BlazePose also finds many rendered characters, but less exactly, while the pocket network's
    answer tells whether it knows the picture's world.
    """

    def __init__(self, pocket: Perception, blazepose: BlazePoseEyes) -> None:
        self._pocket = pocket
        self._blazepose = blazepose

    @property
    def identity(self) -> str:
        """All networks' digests."""
        return f"{self._pocket.identity}+{self._blazepose.identity}"

    def detect(self, image: NDArray[np.uint8]) -> list[Pose]:
        """The people in an RGB picture (height, width, 3), in its pixels, largest first."""
        return self._choose(image).detect(image)

    def segment(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The soft mask, (height, width) in [0, 1], of an RGB picture (height, width, 3)."""
        return self._choose(image).segment(image)

    def start_tracking(self) -> Callable[[NDArray[np.uint8]], list[Pose]]:
        """A function like `detect` for the frames of one video: it asks anew only when it has lost everybody."""
        follow = self._blazepose.start_tracking()
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

    def _choose(self, image: NDArray[np.uint8]) -> Perception | BlazePoseEyes:
        return self._pocket if self._pocket.is_of_its_world(image) else self._blazepose
