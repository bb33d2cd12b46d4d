"""An animator for a worker's process that does as it is ordered, and tells what it does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from helpers.orders import CHUNK, ENDED, Orders
from helpers.tiny import tiny_models

from poseanimate.animator import Animator
from poseanimate.events import Event, Frame, Stage
from poseanimate.storage.stage_cache import StageCache


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
