"""Frame masks M_i from cross-attention (Sec. 3.4): where the words that stand for the character look."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch import Tensor
from torch.nn.functional import interpolate, scaled_dot_product_attention

from poseanimate.method.mgdm import layer_grid
from poseanimate.method.processors import is_cross_attention, output, processors, project


@dataclass
class CrossAttentionMaps:
    """Sums the attention that the character's tokens receive, over heads, layers and passes.

    tokens: positions in the prompt of what stands for the character.
    frames: how many there are; they are the last samples of a batch, the conditional branch.
    grid: (h, w) of the latents; `levels` are the halvings of it whose layers count (0 = the latents' own).
    """

    tokens: tuple[int, ...]
    frames: int
    grid: tuple[int, int]
    levels: tuple[int, ...]
    total: Tensor | None = None
    _grids: set[tuple[int, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        height, width = self.grid
        for level in range(max(self.levels) + 1):
            if level in self.levels:
                self._grids.add((height, width))
            height, width = -(-height // 2), -(-width // 2)

    @contextmanager
    def recording(self, unet: UNet2DConditionModel) -> Iterator[None]:
        """Within, the U-Net's cross-attention is watched; its results do not change."""
        with processors(unet, is_cross_attention, lambda _: _Watcher(self)):
            yield

    @torch.no_grad()
    def add(self, q: Tensor, k: Tensor) -> None:
        """Adds one layer's attention; q (batch, heads, tokens, d), k (batch, heads, L, d)."""
        grid = layer_grid(self.grid, q.shape[2])
        if grid not in self._grids:
            return
        q, k = q[-self.frames :].float(), k[-self.frames :].float()
        attention = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1)
        # one by one: a list of them would have to be copied to the device in every layer
        words = torch.stack([attention[..., token] for token in self.tokens]).sum(0)
        seen = words.mean(1).unflatten(-1, grid)
        seen = interpolate(seen[:, None], self.grid, mode="bilinear")[:, 0]
        self.total = seen if self.total is None else self.total + seen

    def maps(self) -> Tensor:
        """(frames, h, w), each stretched to [0, 1]."""
        if self.total is None:
            raise ValueError("no cross-attention was recorded")
        low, high = self.total.amin((1, 2), keepdim=True), self.total.amax((1, 2), keepdim=True)
        return (self.total - low) / (high - low).clamp(min=1e-8)


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
