"""What a run takes of the machine, and what that tells about the next one."""

from __future__ import annotations

from dataclasses import dataclass, field

import psutil
import torch


@dataclass(frozen=True)
class CostModel:
    """From the last run.

    pace_s: seconds of one frame's pass through the networks in one guidance branch. fixed_bytes: of memory before the
    run. sample_bytes: more memory at its peak, for each frame and branch that went through together. A frame is one of
    the models' own area; a larger one counts as so many more.
    """

    pace_s: float
    fixed_bytes: int
    sample_bytes: float

    def seconds(self, passes: float, branches: int) -> float:
        """Of a run of so many passes."""
        return self.pace_s * branches * passes

    def memory_bytes(self, samples: float) -> int:
        """At the peak of a run in which so many samples (frames times branches) are evaluated at once."""
        return round(self.fixed_bytes + self.sample_bytes * samples)


@dataclass
class MemoryMonitor:
    """Watches memory while a run lasts: the device's where it is a GPU, else this process's."""

    device: torch.device
    fixed_bytes: int = field(init=False)
    peak_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        self.fixed_bytes = self.peak_bytes = used_bytes(self.device)

    def look(self) -> None:
        """Takes a reading; on a GPU the highest since the last reset."""
        self.peak_bytes = max(self.peak_bytes, used_bytes(self.device))

    def cost_model(self, pace_s: float, samples: float) -> CostModel:
        """After a run in which so many samples were evaluated at once."""
        return CostModel(pace_s, self.fixed_bytes, (self.peak_bytes - self.fixed_bytes) / samples)


def used_bytes(device: torch.device) -> int:
    """Memory in use: on a GPU the highest that torch has had since the last reset, elsewhere this process's now."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return int(psutil.Process().memory_info().rss)
