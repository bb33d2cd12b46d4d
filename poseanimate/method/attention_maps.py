"""Frame masks M_i from cross-attention (Sec. 3.4): where the words that stand for the character look."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch import Tensor
from torch.nn.functional import max_pool2d, scaled_dot_product_attention

from poseanimate.method.processors import is_cross_attention, output, processors, project


def choose_grid(
    unet: UNet2DConditionModel, latents: tuple[int, int], resolution: int
) -> tuple[int, int]:
    """(h, w) of the cross-attention layers nearest to `resolution`, the side of a square of as many tokens.

    latents: (h, w) of the latents, which each level of the U-Net halves, rounding up.
    """
    grids, grid = [], latents
    for kind in unet.config.down_block_types:
        if kind.startswith("CrossAttn"):
            grids.append(grid)
        coarsest = grid
        grid = -(-grid[0] // 2), -(-grid[1] // 2)
    if "CrossAttn" in str(unet.config.mid_block_type):
        grids.append(coarsest)
    return min(grids, key=lambda each: abs(math.log(math.sqrt(math.prod(each)) / resolution)))


@dataclass
class CrossAttentionMaps:
    """Sums the attention that the character's tokens receive, over heads, layers and passes.

    tokens: positions in the prompt of what stands for the character.
    frames: how many there are; they are the last samples of a batch, the conditional branch.
    grid: (h, w) of the layers that count.
    pooled: as prompt-to-prompt has it, each place takes the most of its eight neighbours and itself, and maps are
        shares of their maximum; otherwise they are stretched from their minimum to it.
    """

    tokens: tuple[int, ...]
    frames: int
    grid: tuple[int, int]
    pooled: bool = False
    total: Tensor | None = None

    @contextmanager
    def recording(self, unet: UNet2DConditionModel) -> Iterator[None]:
        """Within, the U-Net's cross-attention is watched; its results do not change."""
        with processors(unet, is_cross_attention, lambda _: _Watcher(self)):
            yield

    @torch.no_grad()
    def add(self, q: Tensor, k: Tensor) -> None:
        """Adds one layer's attention; q (batch, heads, tokens, d), k (batch, heads, L, d)."""
        if q.shape[2] != math.prod(self.grid):
            return
        q, k = q[-self.frames :].float(), k[-self.frames :].float()
        attention = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1)
        # one by one: a list of them would have to be copied to the device in every layer
        words = torch.stack([attention[..., token] for token in self.tokens]).sum(0)
        received = words.mean(1).unflatten(-1, self.grid)
        self.total = received if self.total is None else self.total + received

    def maps(self) -> Tensor:
        """(frames, h, w) in [0, 1]."""
        if self.total is None:
            raise ValueError("no cross-attention was recorded")
        if self.pooled:
            total = max_pool2d(self.total, 3, stride=1, padding=1)
            return total / total.amax((1, 2), keepdim=True).clamp(min=1e-8)
        total = self.total
        low, high = total.amin((1, 2), keepdim=True), total.amax((1, 2), keepdim=True)
        return (total - low) / (high - low).clamp(min=1e-8)


class _Watcher:
    """Plain cross-attention that reports its queries and keys."""

    def __init__(self, maps: CrossAttentionMaps) -> None:
        self.maps = maps

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        q, k, v = project(attn, hidden_states, encoder_hidden_states)
        self.maps.add(q, k)
        return output(attn, scaled_dot_product_attention(q, k, v))
