"""What a run reports, in the order in which it happens; all frozen, all free of torch.

Pictures are (H, W, 3) uint8 RGB.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from poseanimate.poses.pata import Alignment

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Forecast:
    """The cost of a run: stages that are cached, stages to compute, seconds and memory where known.

    size: width and height of its frames, px.
    remark: what stands against it, and what would not; empty where nothing does.
    """

    cached: tuple[str, ...]
    to_do: tuple[str, ...]
    size: tuple[int, int]
    seconds: float | None
    memory_bytes: int | None = None
    remark: str = ""


@dataclass(frozen=True)
class Placed:
    """An engine of several runs the job: its number, from 1, and how many of all are busy."""

    engine: int
    busy: int
    engines: int


@dataclass(frozen=True)
class Stage:
    """A stage begins; it has `steps` steps, none if its result was cached.

    frames: the first and the last that it works on; None for the whole clip.
    """

    name: str
    steps: int
    cached: bool = False
    frames: tuple[int, int] | None = None


@dataclass(frozen=True)
class Step:
    """Step `index` (from 1) of `total` of a stage is done; `left_s` seconds remain of the whole run."""

    stage: str
    index: int
    total: int
    left_s: float | None = None


@dataclass(frozen=True, eq=False)
class Aligned:
    """PATA is done: poses, findings, and the source picture on the clip's canvas."""

    alignment: Alignment
    picture: Picture
    mask: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Preview:
    """The clean picture of frame `index`, as predicted during denoising."""

    index: int
    picture: Picture


@dataclass(frozen=True, eq=False)
class Frame:
    """Frame `index` is finished; frame 0 is the source picture.

    mask: M_i, (H, W) in {0, 1}; None for frame 0, and where `Settings.masked` is false.
    """

    index: int
    picture: Picture
    mask: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Note:
    """Something a person should know; the run goes on. warning: the clip may disappoint because of it."""

    text: str
    warning: bool = True


@dataclass(frozen=True, eq=False)
class Done:
    """The run is over.

    seconds: by stage. model_calls: samples through each network. source_psnr_db: of frame 0 as PACM's first
    optimisation reconstructs it, against the source picture; None without that. inversion_psnr_db: of the same,
    against what the autoencoder makes of the source picture. stage_calls: samples through all networks
    together, by stage. lost_attention: by the tokens of a layer, the share of the character's and of the background's
    attention that Eq. 9 to the letter gives to nothing.
    """

    frames: tuple[Picture, ...]
    fps: float
    seconds: dict[str, float]
    model_calls: dict[str, int]
    source_psnr_db: float | None
    inversion_psnr_db: float | None = None
    cached_stages: tuple[str, ...] = field(default=())
    stage_calls: dict[str, int] = field(default_factory=dict)
    lost_attention: dict[int, tuple[float, float]] = field(default_factory=dict)

    @property
    def lost_in_words(self) -> str:
        """Such as "52% and 4% at 256 tokens", the character's and the background's; empty where nothing is lost."""
        return ", ".join(
            f"{character:.0%} and {background:.0%} at {tokens} tokens"
            for tokens, (character, background) in self.lost_attention.items()
        )


Event = Placed | Stage | Step | Aligned | Preview | Frame | Note | Done

Item = TypeVar("Item")
Result = TypeVar("Result")


class Returning(Generic[Item, Result]):
    """Iterates over what a generator yields, and keeps what it returns as `result`."""

    result: Result

    def __init__(self, steps: Generator[Item, Any, Result]) -> None:
        self._steps = steps

    def __iter__(self) -> Iterator[Item]:
        self.result = yield from self._steps
