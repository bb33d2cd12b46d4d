"""What a run costs in time and memory, and what the next one will."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import astuple, dataclass, field

import numpy as np
import psutil
import torch

from poseanimate.errors import CacheError
from poseanimate.storage.stage_cache import StageCache, content_key


@dataclass(frozen=True)
class CostModel:
    """Measured in the last run.

    pace_s: seconds of one frame's pass through the networks in one guidance branch.
    fixed_bytes: memory in use before the run.
    sample_bytes: memory added at its peak by each sample (a frame in one branch) that was evaluated at once.

    Frames count by their area: one of twice the models' own area counts as two.
    """

    pace_s: float
    fixed_bytes: int
    sample_bytes: float

    def seconds(self, passes: float, branches: int) -> float:
        """Forecast for a run of so many passes."""
        return self.pace_s * branches * passes

    def memory_bytes(self, samples: float) -> int:
        """Forecast of the peak while so many samples are evaluated at once."""
        return round(self.fixed_bytes + self.sample_bytes * samples)


def keep_cost_model(cache: StageCache | None, identity: str, device: str, model: CostModel) -> None:
    """Keeps what was learnt with the models of this identity on a device, for later processes."""
    if cache is not None:
        with suppress(CacheError):  # then it is learnt anew
            cache.put(_key(identity, device), {"cost": np.array(astuple(model), np.float64)})


def kept_cost_model(cache: StageCache | None, identity: str, device: str) -> CostModel | None:
    """What was learnt with these models on this device; None where nothing was."""
    found = None if cache is None else cache.get(_key(identity, device))
    if found is None:
        return None
    pace_s, fixed_bytes, sample_bytes = map(float, found["cost"])
    return CostModel(pace_s, round(fixed_bytes), sample_bytes)


def _key(identity: str, device: str) -> str:
    return content_key("cost model", identity, device)


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

    def update(self) -> None:
        """Takes a reading."""
        self.peak_bytes = max(self.peak_bytes, used_bytes(self.device))

    def cost_model(self, pace_s: float, samples: float) -> CostModel:
        """After a run that evaluated so many samples at once."""
        return CostModel(pace_s, self.fixed_bytes, (self.peak_bytes - self.fixed_bytes) / samples)


def used_bytes(device: torch.device) -> int:
    """Memory in use: on a GPU torch's peak since the last reset, elsewhere this process's resident memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return int(psutil.Process().memory_info().rss)
