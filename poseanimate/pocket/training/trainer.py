"""One resumable training loop for the pocket family's networks, on CPU and CUDA.

On a CPU, several single-threaded processes average their gradients, which is faster than one process with several
threads. Denormal numbers are flushed, as they slow the backward pass as training goes on. The learning rate follows
the total training time over all resumptions, so that a run ends when planned. Networks that an earlier run finished
continue from their weights with a new optimiser and plan.
"""

from __future__ import annotations

import ctypes
import json
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from poseanimate.storage.atomic import write_atomically

REPORT_EVERY_S = 180.0
RAMP_STEPS = 100  # of a new optimiser, as its first estimates are poor


@dataclass(frozen=True)
class TrainingPlan:
    """How and how long to train."""

    minutes: float
    batch: int  # per process
    learning_rate: float
    runs: Path  # for checkpoints and rendered sets
    workers: int
    device: str
    bf16: bool
    compiled: bool = False  # compiling takes minutes
    flat: float = 0.3  # share of the time before the cosine begins


class Task(Protocol):
    """What is trained: its networks, loss and metrics."""

    name: str
    networks: nn.ModuleDict  # new, or finished by an earlier run

    def count(self) -> int:
        """The number of training samples."""

    def loss(self, indices: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        """The mean loss of the samples."""

    def evaluate(self) -> dict[str, float]:
        """Metrics of the current networks on the validation split."""


class Average:
    """Exponential moving average of the networks' weights."""

    def __init__(self, networks: nn.Module) -> None:
        self.weights = {k: v.detach().clone() for k, v in networks.state_dict().items()}

    def update(self, networks: nn.Module, step: int) -> None:
        decay = min(0.999, (1 + step) / (10 + step))
        for name, value in networks.state_dict().items():
            average = self.weights[name]
            if average.is_floating_point():
                average.lerp_(value.detach(), 1 - decay)
            else:
                average.copy_(value)

    def swap(self, networks: nn.Module) -> dict[str, Tensor]:
        """Puts the averaged weights into the networks; returns the previous ones."""
        own = {k: v.detach().clone() for k, v in networks.state_dict().items()}
        networks.load_state_dict(self.weights)
        return own


def learning_rate(progress: float, plan: TrainingPlan) -> float:
    """Constant, then a half cosine down to a hundredth."""
    if progress < plan.flat:
        return plan.learning_rate
    fall = min((progress - plan.flat) / (1 - plan.flat), 1.0)
    return plan.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * fall)))


def train(task: Task, plan: TrainingPlan, rank: int) -> dict[str, float]:
    """Trains from the last checkpoint, if any, until the planned minutes are used up.

    Returns the samples, steps and minutes of training, including earlier runs.
    """
    torch.set_flush_denormal(True)
    _keep_memory()
    networks = task.networks.to(plan.device).train()
    optimiser = torch.optim.AdamW(
        networks.parameters(),
        lr=plan.learning_rate,
        betas=(0.9, 0.99),
        weight_decay=0.01,
        fused=True,
    )
    if plan.compiled:
        for network in networks.children():
            network.compile()
    average, spent_s = Average(networks), 0.0
    folder = plan.runs / task.name
    checkpoint, summary = folder / "checkpoint.pt", folder / "summary.json"
    earlier = json.loads(summary.read_text()) if summary.exists() else {}
    step, samples = earlier.get("steps", 0), earlier.get("samples", 0)
    earlier_minutes, ramp_from = earlier.get("minutes", 0.0), step
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True, map_location=plan.device)
        networks.load_state_dict(saved["networks"])
        optimiser.load_state_dict(saved["optimiser"])
        average.weights, step = saved["average"], saved["step"]
        spent_s, samples = saved["spent_s"], saved["samples"]
        earlier_minutes, ramp_from = saved["earlier_minutes"], saved["ramp_from"]
    rng = np.random.default_rng([rank, step])
    torch.manual_seed(rank + 1000 * step)
    last, reported, losses = time.monotonic(), spent_s, []
    since_s, since_samples = spent_s, samples

    def save() -> None:
        state = {
            "networks": networks.state_dict(),
            "optimiser": optimiser.state_dict(),
            "average": average.weights,
            "step": step,
            "spent_s": spent_s,
            "samples": samples,
            "earlier_minutes": earlier_minutes,
            "ramp_from": ramp_from,
        }
        _save(state, checkpoint)

    while True:
        progress = _agree(spent_s / (60 * plan.minutes))
        if progress >= 1:
            break
        ramp = min((step - ramp_from + 1) / RAMP_STEPS, 1)
        for group in optimiser.param_groups:
            group["lr"] = ramp * learning_rate(progress, plan)
        indices = rng.integers(task.count(), size=plan.batch)
        # plain attention: its backward pass is faster on short sequences
        with (
            torch.autocast(plan.device, torch.bfloat16, enabled=plan.bf16),
            sdpa_kernel(SDPBackend.MATH),
        ):
            loss = task.loss(indices, rng)
        loss.backward()
        _average_gradients(networks)
        nn.utils.clip_grad_norm_(networks.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        average.update(networks, step)
        step, samples = step + 1, samples + plan.batch * plan.workers
        losses.append(float(loss.detach()))
        now = time.monotonic()
        spent_s, last = spent_s + now - last, now
        if rank == 0 and spent_s - reported > REPORT_EVERY_S:
            figures = _evaluate(task, networks, average)
            speed = (samples - since_samples) / (spent_s - since_s)
            since_s, since_samples, reported = spent_s, samples, spent_s
            shown = " ".join(f"{name} {value:.4g}" for name, value in figures.items())
            print(
                f"{task.name} {spent_s / 60:.1f}/{plan.minutes:g} min, {samples} samples, "
                f"{speed:.1f} samples/s, loss {np.mean(losses):.4f}, {shown}",
                flush=True,
            )
            losses = []
            save()
            last = time.monotonic()
    if rank == 0:
        save()
    average.swap(networks)
    networks.eval()
    return {"samples": samples, "steps": step, "minutes": earlier_minutes + spent_s / 60}


def _keep_memory() -> None:
    """Lets glibc keep freed memory: returning and fetching it for each large tensor takes a fifth of the time."""
    keep = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if keep is not None:
        keep(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
        keep(-3, 2**30)  # M_MMAP_THRESHOLD


def _evaluate(task: Task, networks: nn.Module, average: Average) -> dict[str, float]:
    own = average.swap(networks)
    networks.eval()
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):  # other shapes
        figures = task.evaluate()
    networks.load_state_dict(own)
    networks.train()
    return figures


def _save(state: dict[str, object], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_atomically(path) as part:
        torch.save(state, part)


def _average_gradients(networks: nn.Module) -> None:
    if not dist.is_initialized():
        return
    gradients = [p.grad for p in networks.parameters() if p.grad is not None]
    flat = torch.cat([g.reshape(-1) for g in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def _agree(progress: float) -> float:
    """The first process's clock, so that all stop at the same step."""
    if not dist.is_initialized():
        return progress
    shared = torch.tensor([progress], dtype=torch.float64)
    dist.broadcast(shared, 0)
    return float(shared)
