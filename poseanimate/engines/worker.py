"""What a worker of a cluster does in a process of its own; no Ray in here.

Notable: torch and the networks' libraries are imported as the models are loaded, which is faster: a lost worker is soon
back.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import poseanimate
from poseanimate.errors import DeviceError, PoseAnimateError
from poseanimate.events import Done, Event
from poseanimate.models.imports import fast_imports
from poseanimate.storage.stage_cache import StageCache, default_folder, default_size

if TYPE_CHECKING:
    from poseanimate.animator import Animator
    from poseanimate.pipeline.cost import CostModel


@dataclass(frozen=True)
class Identity:
    """What must be equal for equal clips: of the models, and the versions of what computes them."""

    models: str
    versions: tuple[tuple[str, str], ...]

    @staticmethod
    def of(models: str) -> Identity:
        """In this process."""
        libraries = (
            (name, version(name).partition("+")[0]) for name in ("torch", "diffusers")
        )  # without torch's suffix for CUDA
        return Identity(models, (("poseanimate", poseanimate.__version__), *libraries))

    def difference(self, other: Identity) -> str:
        """In words, what another one has differently; empty where they are equal."""
        for (name, own), (_, its) in zip(self.versions, other.versions, strict=True):
            if own != its:
                return f"it has {name} {its}, the page {own}"
        return "" if self.models == other.models else "its models are others than the page's"


@dataclass(frozen=True)
class Answer:
    """Who a worker is.

    identity: None where it can't load its models; trouble says why.
    machine: its host. name: of its GPU there; empty on a CPU. device: the kind, whose runs cost the same.
    """

    identity: Identity | None
    trouble: str
    machine: str
    name: str
    device: str
    process: int


class Worker:
    """Owns an animator and runs jobs with it, one at a time.

    Args:
        load: makes the animator.
        threads: of torch; None: its own choice.
    """

    def __init__(self, load: Callable[[], Animator], threads: int | None = None) -> None:
        self._animator: Animator | None = None
        self._trouble = ""
        with fast_imports():
            if threads is not None:
                import torch

                torch.set_num_threads(threads)
            try:
                self._animator = load()
            except PoseAnimateError as error:
                # said to whoever asks; a process that ends would be started for ever
                self._trouble = str(error)

    def answer(self) -> Answer:
        """Who it is."""
        animator, identity, device = self._animator, None, ""
        if animator is not None:
            identity = Identity.of(animator.identity)
            device = animator.models.device.type
            if device == "cuda":
                import torch

                device = torch.cuda.get_device_name()
        gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        return Answer(identity, self._trouble, platform.node(), gpu, device, os.getpid())

    def run(self, *job: Any) -> Iterator[Event | CostModel | PoseAnimateError]:
        """The events of `Animator.animate`, then what was learnt of the cost; or an error as the last item.

        Done comes without its frames, which have been sent.
        """
        assert self._animator is not None
        own: tuple[Any, ...] = deepcopy(job)  # Ray's arrays are read-only
        try:
            with closing(self._animator.animate(*own)) as events:  # type: ignore[type-var]
                for event in events:
                    yield replace(event, frames=()) if isinstance(event, Done) else event
        except PoseAnimateError as error:
            if isinstance(error, DeviceError) and _is_broken(error.__cause__):
                os._exit(1)  # CUDA doesn't recover in this process; another one is started
            yield error
        if self._animator.cost_model is not None:
            yield self._animator.cost_model


def load_animator(
    name: str,
    device: str | None,
    cache: Callable[[], StageCache | None],
    max_side: int | None,
    options: Mapping[str, Any],
) -> Animator:
    """What a worker owns.

    Args:
        name, device, options: see `load_models`. cache: opens it on the worker's machine.
    """
    from poseanimate.animator import Animator
    from poseanimate.models.loading import load_models

    return Animator(load_models(name, device, **options), cache(), max_side)


def open_own_cache() -> StageCache:
    """The worker's machine's own."""
    return StageCache(default_folder(), default_size())


def open_no_cache() -> None:
    """No results are kept."""


def _is_broken(error: BaseException | None) -> bool:
    import torch

    from poseanimate.pipeline.memory import is_out_of_memory

    return isinstance(error, torch.AcceleratorError) and not is_out_of_memory(error)
