"""How long the stages of a run took, and how long the rest will take."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from poseanimate.events import Step


@dataclass
class ProgressTimer:
    """Times stages and forecasts what is left, in passes of one frame through the networks.

    Only the engine's own time counts, not what the consumer of the events does between two of them.

    planned: passes to do. seconds: by stage, added to. clock: returns the time in seconds.
    """

    planned: float
    seconds: dict[str, float]
    done: float = 0.0
    worked_s: float = 0.0
    clock: Callable[[], float] = time.monotonic
    last_s: float = field(init=False)

    def __post_init__(self) -> None:
        self.resume()

    def tick(self, stage: str, cost: float, index: int, total: int) -> Step:
        """Step `index` of a stage's total is done, which took `cost` passes."""
        self.spend(stage)
        self.done += cost
        left_s = max(self.planned - self.done, 0.0) * self.worked_s / self.done
        return Step(stage, index, total, left_s)

    @property
    def pace_s(self) -> float | None:
        """Seconds of a pass so far; None before the first is done."""
        return self.worked_s / self.done if self.done else None

    def spend(self, stage: str) -> None:
        """Charges the time since the last call to a stage."""
        now = self.clock()
        self.worked_s += now - self.last_s
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self.last_s
        self.last_s = now

    def affords(self, stage: str, share: float) -> bool:
        """Whether a stage has taken at most its share of the time worked so far."""
        return self.seconds.get(stage, 0.0) <= share * self.worked_s

    def resume(self) -> None:
        """The consumer asks for the next event: its own time doesn't count."""
        self.last_s = self.clock()
