"""Attention between frames: what a frame sees of frame 0 and of the frame before it, Eq. 7.

Notable: frames come in chunks. A chunk's frames are denoised together; its first frame attends to the keys and values
that the last frame of the chunk before has left behind at the same timestep and layer, so chunks of any size give
the same result. Frame 0's keys and values are recorded once, along the source's own trajectory.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch import Tensor

from poseanimate.method.processors import output, processors, project

KeysValues = tuple[Tensor, Tensor]


@dataclass
class KeyValueCache:
    """Keys and values of frames 0 and i - 1, by (timestep, layer); each (branches, heads, tokens, d).

    What a chunk leaves behind counts once the chunk is done, so that one that fails can be done again.

    offloaded: kept there and brought back layer by layer, where the device has no room for them.
    locked: so that a GPU copies them on the side (page-locked memory).
    """

    first: dict[tuple[int, str], KeysValues] = field(default_factory=dict)
    previous: dict[tuple[int, str], KeysValues] = field(default_factory=dict)
    offloaded: bool = False
    locked: bool = False
    _next: dict[tuple[int, str], KeysValues] = field(default_factory=dict)
    _page_bytes: int = 0
    _page: Tensor = field(default_factory=lambda: torch.empty(0))  # what is left of it

    def keep_first(self, key: tuple[int, str], keys_values: KeysValues) -> None:
        """Of frame 0, which is also frame 1's previous frame."""
        self.first[key] = self.previous[key] = self._kept(keys_values)

    def keep_last(self, key: tuple[int, str], keys_values: KeysValues) -> None:
        """Of a chunk's last frame."""
        self._next[key] = self._kept(keys_values)

    def of_first(self, key: tuple[int, str], device: torch.device) -> KeysValues:
        k, v = self.first[key]
        return k.to(device, non_blocking=True), v.to(device, non_blocking=True)

    def of_previous(self, key: tuple[int, str], device: torch.device) -> KeysValues:
        k, v = self.previous[key]
        return k.to(device, non_blocking=True), v.to(device, non_blocking=True)

    def begin(self) -> None:
        """A chunk begins, or begins again."""
        self._next.clear()
        self._page = torch.empty(0)

    def done(self) -> None:
        """A chunk is done: its last frame is the next chunk's previous one."""
        self.previous.update(self._next)
        self._next.clear()

    def nbytes(self) -> int:
        """Of frame 0's keys and values so far."""
        return sum(x.nbytes for keys_values in self.first.values() for x in keys_values)

    def offload(self, locked: bool) -> None:
        """What is kept, which is one timestep of one frame, and what will be."""
        self.offloaded, self.locked, self._page_bytes = True, locked, self.nbytes()
        for key, keys_values in self.first.items():
            self.first[key] = self.previous[key] = self._kept(keys_values)

    def _kept(self, keys_values: KeysValues) -> KeysValues:
        if not self.offloaded:
            return keys_values
        k, v = (self._placed(x) for x in keys_values)
        return k, v

    def _placed(self, x: Tensor) -> Tensor:
        """A copy on a page that holds a whole timestep: each lock rounds what it takes up to a power of two."""
        if len(self._page) < x.numel():
            size = max(self._page_bytes // x.itemsize, x.numel())
            self._page = torch.empty(size, dtype=x.dtype, pin_memory=self.locked)
        place, self._page = self._page[: x.numel()], self._page[x.numel() :]
        return place.view(x.shape).copy_(x, non_blocking=self.locked)


@dataclass(kw_only=True)
class FrameAttention(ABC):
    """Self-attention layers that look at other frames too; one object serves one run.

    branches: of classifier-free guidance in a batch.
    timestep, masks and recording are set before each pass through the U-Net: masks (1 + 1 + frames, H, W) in [0, 1] are
        those of frame 0, of the frame before the chunk and of the chunk's frames, or None where nobody is masked; while
        `recording`, the batch is frame 0 alone, which is its own first and previous frame (Eq. 8 at i = 0).
    """

    branches: int
    memory: KeyValueCache = field(default_factory=KeyValueCache)
    timestep: int = 0
    masks: Tensor | None = None
    recording: bool = False

    @staticmethod
    @abstractmethod
    def replaces(layer: str) -> bool:
        """Whether an attention layer of the U-Net, by its processor's name, looks at other frames."""

    @abstractmethod
    def combine(
        self, q: Tensor, first: KeysValues, previous: KeysValues, own: KeysValues
    ) -> Tensor:
        """The attention output of frames x_i, all tensors (branches·frames, heads, tokens, d).

        Args:
            q: Q^i.
            first, previous, own: keys and values of frames 0, i - 1 and i.
        """

    @contextmanager
    def installed(self, unet: UNet2DConditionModel) -> Iterator[None]:
        """Within, the layers that this attention replaces use it."""
        with processors(unet, self.replaces, lambda name: _Processor(self, name)):
            yield

    def attend(self, layer: str, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """The attention output of a chunk's frames; q, k, v (branches·frames, heads, tokens, d)."""
        key = (self.timestep, layer)
        by_branch = [x.unflatten(0, (self.branches, -1)) for x in (k, v)]
        # detached, so that a frame's gradient is its own whatever the chunk
        last = (by_branch[0][:, -1].detach().clone(), by_branch[1][:, -1].detach().clone())
        if self.recording:
            self.memory.keep_first(key, last)
            return self.combine(q, (k, v), (k, v), (k, v))
        frames = by_branch[0].shape[1]
        k_0, v_0 = (
            x[:, None].expand(-1, frames, -1, -1, -1).flatten(0, 1)
            for x in self.memory.of_first(key, q.device)
        )
        k_prev, v_prev = (
            torch.cat([kept[:, None], x[:, :-1].detach()], dim=1).flatten(0, 1)
            for kept, x in zip(self.memory.of_previous(key, q.device), by_branch, strict=True)
        )
        self.memory.keep_last(key, last)
        return self.combine(q, (k_0, v_0), (k_prev, v_prev), (k, v))


class _Processor:
    """Self-attention of one layer, handed to a FrameAttention."""

    def __init__(self, attention: FrameAttention, layer: str) -> None:
        self.attention, self.layer = attention, layer

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        q, k, v = project(attn, hidden_states, hidden_states)
        return output(attn, self.attention.attend(self.layer, q, k, v))
