"""An animator without networks, for tests of what reads its events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from helpers.tiny import tiny_models

from poseanimate.animator import Animator
from poseanimate.events import Done, Frame, Stage, Step


class Scripted(Animator):
    """Sees with the tiny models' eyes; its runs are ten frames of one step each, or a failure."""

    def __init__(self) -> None:
        super().__init__(tiny_models())
        self.closed = 0
        self.begun = 0
        self.failure: Exception | None = None

    def animate(self, picture, motion, settings, prompt="") -> Iterator[Any]:
        self.begun += 1
        try:
            yield Stage("generation", 10)
            for index in range(10):
                yield Frame(index, np.full((8, 8, 3), 20 * index, np.uint8))
                yield Step("generation", index + 1, 10, 9.0 - index)
                if index == 4 and self.failure is not None:
                    raise self.failure
            yield Done((), 12.0, {"generation": 1.0}, {"unet": 10}, 30.0, ("inversion",))
        finally:
            self.closed += 1
