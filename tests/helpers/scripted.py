"""An animator without networks, for tests of what reads its events."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from helpers.tiny import tiny_models

from poseanimate.animator import Animator
from poseanimate.events import Done, Frame, Placed, Stage, Step
from poseanimate.models.family import Models


class Scripted(Animator):
    """Sees with its models' eyes, the tiny ones' by default; its runs are ten frames of one step each, or a failure."""

    def __init__(self, models: Models | None = None) -> None:
        super().__init__(models or tiny_models())
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


class ScriptedCluster(Scripted):
    """Two engines; each holds its run until it may end."""

    places = 2

    def __init__(self, models: Models) -> None:
        super().__init__(models)
        self.may_end = [threading.Semaphore(0) for _ in range(self.places)]
        self._free, self._lock = [1, 2], threading.Lock()

    def animate(self, *job: Any) -> Iterator[Any]:
        with self._lock:
            number = self._free.pop(0)
            busy = self.places - len(self._free)
        try:
            yield Placed(number, busy, self.places)
            yield Stage("inversion", 5)
            yield Step("inversion", 1, 5, 75.0)
            self.may_end[number - 1].acquire()
            yield from super().animate(*job)
        finally:
            with self._lock:
                self._free.append(number)
