"""Attention between frames: what a frame sees of frame 0 and of the frame before it, Eq. 7.

Notable: frames come in chunks. A chunk's frames are denoised together; its first frame attends to the keys and values
that the last frame of the chunk before has left behind at the same timestep and layer, so chunks of any size give
the same result. Frame 0's keys and values are recorded once, along the source's own trajectory.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch import Tensor

from poseanimate.method.extras.sorted_attention import RegionIndex
from poseanimate.method.processors import output, processors, project
from poseanimate.method.regions import ChunkRegions

Key = tuple[int, str]  # timestep, layer


@dataclass(eq=False)
class KeyValueCache:
    """Keys and values of one frame, by timestep and layer; each (branches, heads, tokens, d).

    offloaded: kept in the main memory and brought back layer by layer, where the device has no room for them.
    pinned: in page-locked memory, which a GPU copies on the side.
    page_bytes: of one timestep, where they are offloaded.
    """

    offloaded: bool = False
    pinned: bool = False
    page_bytes: int = 0
    _kept: dict[Key, tuple[Tensor, Tensor]] = field(default_factory=dict)
    _page: Tensor = field(default_factory=lambda: torch.empty(0))  # what is left of it

    def keep(self, key: Key, k: Tensor, v: Tensor) -> None:
        """Takes what a layer has at a timestep."""
        self._kept[key] = (self._placed(k), self._placed(v)) if self.offloaded else (k, v)

    def get(self, key: Key, device: torch.device) -> tuple[Tensor, Tensor]:
        """What `keep` took."""
        k, v = self._kept[key]
        return k.to(device, non_blocking=True), v.to(device, non_blocking=True)

    def another(self) -> KeyValueCache:
        """An empty one, for another frame, in the same memory."""
        return KeyValueCache(self.offloaded, self.pinned, self.page_bytes)

    @property
    def nbytes(self) -> int:
        return sum(x.nbytes for pair in self._kept.values() for x in pair)

    def offload(self, pinned: bool) -> None:
        """Moves to the main memory what is kept, which is one timestep, and what will be."""
        self.offloaded, self.pinned, self.page_bytes = True, pinned, self.nbytes
        for key, (k, v) in self._kept.items():
            self._kept[key] = self._placed(k), self._placed(v)

    def _placed(self, x: Tensor) -> Tensor:
        """A copy on a page that holds a whole timestep: each lock rounds its size up to a power of two."""
        if len(self._page) < x.numel():
            size = max(self.page_bytes // x.itemsize, x.numel())
            self._page = torch.empty(size, dtype=x.dtype, pin_memory=self.pinned)
        place, self._page = self._page[: x.numel()], self._page[x.numel() :]
        return place.view(x.shape).copy_(x, non_blocking=self.pinned)


class AttendedFrame(NamedTuple):
    """Frames that are attended to: K^j and V^j, (branches·frames, heads, tokens, d), and the character's place in them.

    region: None without MGDM.
    """

    k: Tensor
    v: Tensor
    region: RegionIndex | None


@dataclass(frozen=True, eq=False)
class FramePass:
    """One pass through the U-Net.

    first, previous: keys and values of frame 0 and of the frame before the chunk; None where the batch is frame 0
        alone, which is its own first and previous frame.
    last: takes those of the batch's last frame.
    regions: None without masks.
    """

    timestep: int
    first: KeyValueCache | None
    previous: KeyValueCache | None
    last: KeyValueCache
    regions: ChunkRegions | None = None


@dataclass(frozen=True, kw_only=True)
class CrossFrameAttention(ABC):
    """Self-attention layers that attend to other frames too.

    branches: of classifier-free guidance in a batch.
    """

    branches: int

    @property
    def decouples(self) -> bool:
        """Whether it keeps regions apart."""
        return False

    def lost_attention(self) -> dict[int, tuple[float, float]]:
        """Of all passes so far, see `LostAttention.shares`; empty where nothing is lost."""
        return {}

    @staticmethod
    @abstractmethod
    def replaces(layer: str) -> bool:
        """Whether an attention layer of the U-Net, by its processor's name, attends to other frames."""

    @abstractmethod
    def combine(
        self, q: Tensor, first: AttendedFrame, previous: AttendedFrame, own: AttendedFrame
    ) -> Tensor:
        """The attention output of frames x_i, (branches·frames, heads, tokens, d).

        Args:
            q: Q^i.
            first, previous, own: frames 0, i - 1 and i.
        """

    @contextmanager
    def installed(self, unet: UNet2DConditionModel, frames: FramePass) -> Iterator[None]:
        """Within, the layers that this attention replaces use it."""

        def processor(layer: str) -> _Processor:
            return _Processor(lambda q, k, v: self.attend(frames, layer, q, k, v))

        with processors(unet, self.replaces, processor):
            yield

    def attend(self, frames: FramePass, layer: str, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """The attention output of a batch; q, k, v (branches·frames, heads, tokens, d)."""
        key = (frames.timestep, layer)
        regions = (None, None, None) if frames.regions is None else frames.regions.at(q.shape[2])
        by_branch = [x.unflatten(0, (self.branches, -1)) for x in (k, v)]
        # detached, so that a frame's gradient is its own whatever the chunk
        frames.last.keep(key, *(x[:, -1].detach().clone() for x in by_branch))
        own = AttendedFrame(k, v, regions[2])
        if frames.first is None or frames.previous is None:
            return self.combine(q, own, own, own)
        count = by_branch[0].shape[1]
        k_0, v_0 = (
            x[:, None].expand(-1, count, -1, -1, -1).flatten(0, 1)
            for x in frames.first.get(key, q.device)
        )
        k_prev, v_prev = (
            torch.cat([kept[:, None], x[:, :-1].detach()], dim=1).flatten(0, 1)
            for kept, x in zip(frames.previous.get(key, q.device), by_branch, strict=True)
        )
        first = AttendedFrame(k_0, v_0, regions[0])
        return self.combine(q, first, AttendedFrame(k_prev, v_prev, regions[1]), own)


class _Processor:
    """Self-attention of one layer, handed to a CrossFrameAttention."""

    def __init__(self, attend: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        self.attend = attend

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        return output(attn, self.attend(*project(attn, hidden_states, hidden_states)))
