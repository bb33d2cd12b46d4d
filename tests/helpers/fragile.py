"""An animator for a worker's process that does what files of a folder tell it, and tells there what it does."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.tiny import tiny_models

from poseanimate.animator import Animator
from poseanimate.errors import ModelsError
from poseanimate.events import Event, Frame, Stage
from poseanimate.storage.stage_cache import StageCache

CHUNK = 2
ENDED = "ended"


@dataclass(frozen=True)
class Orders:
    """What happens in a folder."""

    folder: Path

    def kill(self, stage: str, frames: int) -> None:
        """The worker that next begins this stage, after so many frames, is killed there, as by a lack of memory."""
        (self.folder / "kill").write_text(f"{stage} {frames}")

    @property
    def killed(self) -> bool:
        return not (self.folder / "kill").exists()

    @property
    def trace(self) -> list[str]:
        """The events that workers have yielded since the last `forget`, and when a run ended."""
        path = self.folder / "trace"
        return path.read_text().split() if path.exists() else []

    def forget(self) -> None:
        (self.folder / "trace").unlink(missing_ok=True)

    def obey(self, stage: str, frames: int) -> None:
        path = self.folder / "kill"
        if path.exists() and path.read_text() == f"{stage} {frames}":
            path.unlink()
            os.kill(os.getpid(), signal.SIGKILL)

    def tell(self, word: str) -> None:
        with (self.folder / "trace").open("a") as file:
            file.write(f"{word}\n")


class Fragile(Animator):
    def __init__(self, orders: Orders) -> None:
        cache = StageCache(orders.folder / "cache", 10**9)
        super().__init__(tiny_models(), cache, chunk_size=CHUNK)
        self.orders = orders

    def animate(self, *job: Any) -> Iterator[Event]:
        frames = 0
        try:
            for event in super().animate(*job):
                frames += isinstance(event, Frame)
                if isinstance(event, Stage) and event.steps:
                    self.orders.obey(event.name, frames)
                self.orders.tell(type(event).__name__)
                yield event
        finally:
            self.orders.tell(ENDED)


def load_fragile(folder: Path) -> Fragile:
    return Fragile(Orders(folder))


def load_nothing() -> Animator:
    raise ModelsError("The models aren't here.", "Bring them.")
