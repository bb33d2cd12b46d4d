"""Measures the engine from outside: seconds, FLOP, memory and operators between one event of a run and the next.

The engine's own clock doesn't wait for a GPU's queue, so stages are timed here, with the device synchronised at every
event. Nothing depends on the engine's internals, so it can change without changing this.
"""

from __future__ import annotations

import contextlib
import gc
import resource
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import torch
from torch.autograd import DeviceType
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from poseanimate.events import Aligned, Done, Event, Frame, Preview, Stage, Step

OPERATORS = 12
CUDA_MATMUL, CPU_MATMUL = 8192, 2048  # rows of a large square matrix
MATMULS = 5
OTHER = "other"  # cache, drawings, masks, decoding for PSNR


@dataclass
class Reading:
    """What was measured in a scope."""

    value: float = 0.0


Result = TypeVar("Result")
Scope = Callable[[], AbstractContextManager[Reading]]


def now(device: torch.device) -> float:
    """Seconds, once all queued work is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@contextmanager
def stopwatch(device: torch.device) -> Iterator[Reading]:
    """Elapsed seconds."""
    reading, started = Reading(), now(device)
    yield reading
    reading.value = now(device) - started


@contextmanager
def flop() -> Iterator[Reading]:
    """Counts floating-point operations, a multiplication and an addition as two.

    Attention is counted as its matrix products, as the counter doesn't know every fused kernel.
    """
    reading = Reading()
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        yield reading
    reading.value = float(counter.get_total_flops())


# A run's events -----------------------------------------------------------------------------------


@dataclass
class Timed:
    """One run: synchronised seconds by stage; steps by stage; seconds until frame 1; Done.

    chunk_size: most frames generated at a time; fewer than requested if memory ran out.
    """

    seconds: dict[str, float]
    steps: Counter[str]
    first_frame_s: float
    chunk_size: int
    done: Done

    @property
    def total_s(self) -> float:
        return sum(self.seconds.values())


def timed(events: Iterator[Event], device: torch.device) -> Timed:
    """Times a run to its end."""
    seconds: dict[str, float] = defaultdict(float)
    steps: Counter[str] = Counter()
    first_frame_s, chunk_size, in_work, done = 0.0, 0, 0, None
    for stage, reading, event in intervals(events, lambda: stopwatch(device)):
        seconds[stage] += reading.value
        if isinstance(event, Step):
            steps[stage] += 1
        if isinstance(event, Stage) and event.name == "generation" and event.frames:
            in_work = event.frames[1] - event.frames[0] + 1
        if isinstance(event, Frame):
            first_frame_s = sum(seconds.values()) if event.index == 1 else first_frame_s
            chunk_size = max(chunk_size, in_work)
        if isinstance(event, Done):
            done = event
    if done is None:
        raise RuntimeError("the run ended without a clip")
    return Timed(dict(seconds), steps, first_frame_s, chunk_size, done)


@dataclass
class Counted:
    """FLOP of a run: of each step by stage, in order, and of each decoding."""

    steps: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    decodings: list[float] = field(default_factory=list)


def counted(events: Iterator[Event], only: str | None = None) -> Counted:
    """Runs to the end, or to the end of the only stage requested."""
    found = Counted()
    for stage, reading, event in intervals(events, flop):
        if only in found.steps and stage != only:
            break
        if isinstance(event, Step):
            found.steps[stage].append(reading.value)
        elif isinstance(event, Frame) and event.index > 0:
            found.decodings.append(reading.value)
    return found


def intervals(events: Iterator[Event], scope: Scope) -> Iterator[tuple[str, Reading, Event]]:
    """Each event, the stage of the work before it, and what its scope measured."""
    begun = OTHER
    while True:
        with scope() as reading:
            event = next(events, None)
        if event is None:
            return
        yield _worked_on(event, begun), reading, event
        begun = event.name if isinstance(event, Stage) else OTHER


def _worked_on(event: Event, begun: str) -> str:
    if isinstance(event, Step):
        return event.stage
    if isinstance(event, Preview):
        return "previews"
    if isinstance(event, Frame) and event.index > 0:
        return "decoding"
    if isinstance(event, Stage | Aligned) and begun in ("character", "alignment"):
        return begun
    return OTHER


# The machine --------------------------------------------------------------------------------------


def matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of a large matrix product, best of several."""
    rows = CUDA_MATMUL if device.type == "cuda" else CPU_MATMUL
    a, b = (torch.ones(rows, rows, device=device).div(rows).to(dtype) for _ in range(2))
    best_s = float("inf")
    for _ in range(MATMULS):
        with stopwatch(device) as reading:
            a @ b
        best_s = min(best_s, reading.value)
    return 2 * rows**3 / best_s


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Reading]:
    """Measures peak bytes: on a GPU those allocated by torch, otherwise those of this process."""
    reading = Reading()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        yield reading
        reading.value = float(torch.cuda.max_memory_allocated(device))
        return
    gc.collect()  # garbage that goes meanwhile would hide what comes
    with contextlib.suppress(OSError):  # resets the peak on Linux
        Path("/proc/self/clear_refs").write_text("5")
    yield reading
    reading.value = float(_high_water_bytes())


def _high_water_bytes() -> int:
    """This process's peak. Linux's getrusage won't do: a new process inherits its parent's."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most << 10


# Operators ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Operator:
    """One operator's own time in s, its share of all operators' time, and its calls."""

    name: str
    self_s: float
    share: float
    calls: int


def operators_of_a_step(
    events: Iterator[Event], stage: str, device: torch.device
) -> list[Operator] | None:
    """Operators in a stage's second step, as the first may be cold; None if there are fewer than two steps."""
    if not any(isinstance(event, Step) and event.stage == stage for event in events):
        return None
    while True:
        top, event = operators(lambda: next(events, None), device)
        if not isinstance(event, Preview):
            return top if isinstance(event, Step) and event.stage == stage else None


def operators(work: Callable[[], Result], device: torch.device) -> tuple[list[Operator], Result]:
    """The operators that take most time, longest first; GPU time if there is a GPU."""
    cuda = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with profile(activities=activities) as profiler:
        result = work()
        now(device)
    # kernels have rows of their own besides the operators that called them: keep only the latter, once each
    rows = [row for row in profiler.key_averages() if row.device_type == DeviceType.CPU]
    own = [(row.self_device_time_total if cuda else row.self_cpu_time_total, row) for row in rows]
    total = sum(us for us, _ in own) or 1.0
    own.sort(key=lambda pair: -pair[0])
    top = [
        Operator(row.key, us / 1e6, us / total, row.count) for us, row in own[:OPERATORS] if us > 0
    ]
    return top, result
