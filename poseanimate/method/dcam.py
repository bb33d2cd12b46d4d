"""Dual consistency attention module (Sec. 3.3): Eqs. 7, 8, with MGDM's regions inside where masks are given.

Notable: frames come in chunks. A chunk's frames are denoised together; its first frame attends to the keys and values
that the last frame of the chunk before has left behind at the same timestep and layer, so chunks of any size give
the same result. Frame 0's keys and values are recorded once, along the source's own trajectory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from poseanimate.method.attention import (
    is_self_attention_of_up_blocks,
    output,
    processors,
    project,
)
from poseanimate.method.mgdm import decoupled_attention, regions

KeysValues = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Weights:
    """λ1, λ2, λ3 of Eq. 8: shares of frame 0, of the previous frame and of the frame itself."""

    first: float = 0.7
    prev: float = 0.15
    self: float = 0.15


@dataclass
class FrameMemory:
    """Keys and values of frames 0 and i - 1, by (timestep, layer); each (branches, heads, tokens, d)."""

    first: dict[tuple[int, str], KeysValues] = field(default_factory=dict)
    previous: dict[tuple[int, str], KeysValues] = field(default_factory=dict)


@dataclass
class DualConsistency:
    """DC attention of one run: its weights, what it remembers, and where it stands.

    latent_grid: (h, w) of the latents; a layer's grid is a power of two smaller.
    mask_form: see mgdm.decoupled_attention.
    timestep, masks and recording are set before each pass through the U-Net: masks (1 + 1 + frames, H, W) in [0, 1] are
        those of frame 0, of the frame before the chunk and of the chunk's frames, or None without MGDM; while
        `recording`, the batch is frame 0 alone.
    """

    weights: Weights
    branches: int
    latent_grid: tuple[int, int]
    mask_form: str = "region"
    memory: FrameMemory = field(default_factory=FrameMemory)
    timestep: int = 0
    masks: Tensor | None = None
    recording: bool = False

    @contextmanager
    def installed(self, unet: UNet2DConditionModel) -> Iterator[None]:
        """Within, the up blocks' self-attention is dual consistency attention."""
        with processors(unet, is_self_attention_of_up_blocks, lambda name: _Processor(self, name)):
            yield

    def attend(self, layer: str, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """DCA_i of a chunk's frames, Eq. 8; q, k, v (branches·frames, heads, tokens, d)."""
        key = (self.timestep, layer)
        by_branch = [x.unflatten(0, (self.branches, -1)) for x in (k, v)]
        last = (by_branch[0][:, -1].clone(), by_branch[1][:, -1].clone())
        if self.recording:
            self.memory.first[key] = self.memory.previous[key] = last
            return scaled_dot_product_attention(q, k, v)
        frames = by_branch[0].shape[1]
        first = [
            x[:, None].expand(-1, frames, -1, -1, -1).flatten(0, 1) for x in self.memory.first[key]
        ]
        previous = [
            torch.cat([kept[:, None], x[:, :-1]], dim=1).flatten(0, 1)
            for kept, x in zip(self.memory.previous[key], by_branch, strict=True)
        ]
        self.memory.previous[key] = last
        seen = self._regions(q.shape[2])
        attended = torch.zeros_like(q)
        for weight, (k_j, v_j), which in (
            (self.weights.first, first, 0),
            (self.weights.prev, previous, 1),
            (self.weights.self, (k, v), 2),
        ):
            if weight == 0:
                continue
            if seen is None:
                cfa = scaled_dot_product_attention(q, k_j, v_j)  # Eq. 7
            else:
                cfa = decoupled_attention(q, k_j, v_j, seen[2], seen[which], self.mask_form)
            attended = attended + weight * cfa
        return attended

    def _regions(self, tokens: int) -> tuple[Tensor, Tensor, Tensor] | None:
        """Regions (branches·frames, tokens) of frame 0, of each frame's previous one and of itself."""
        if self.masks is None:
            return None
        seen = regions(self.masks, layer_grid(self.latent_grid, tokens))
        first, previous, own = seen[:1].expand(len(seen) - 2, -1), seen[1:-1], seen[2:]
        repeat = (self.branches, 1)
        return first.repeat(repeat), previous.repeat(repeat), own.repeat(repeat)


def layer_grid(latent_grid: tuple[int, int], tokens: int) -> tuple[int, int]:
    """(h, w) of a layer with that many tokens: the latents' grid halved, rounding up, as often as it takes."""
    height, width = latent_grid
    while height * width > tokens:
        height, width = -(-height // 2), -(-width // 2)
    if height * width != tokens:
        raise ValueError(f"{tokens} tokens do not fit latents of {latent_grid}")
    return height, width


class _Processor:
    """Self-attention of one layer, handed to DualConsistency."""

    def __init__(self, attention: DualConsistency, layer: str) -> None:
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
