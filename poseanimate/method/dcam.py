"""Dual consistency attention module (Sec. 3.3): Eq. 8, with MGDM's regions inside where masks are given."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from poseanimate.method.cross_frame import FrameAttention, KeysValues
from poseanimate.method.mgdm import RegionIndex, decoupled_attention, layer_grid, regions
from poseanimate.method.processors import is_self_attention_of_up_blocks


@dataclass(frozen=True)
class Lambdas:
    """λ1, λ2, λ3 of Eq. 8: shares of frame 0, of the previous frame and of the frame itself."""

    first: float = 0.7
    prev: float = 0.15
    self: float = 0.15


@dataclass(kw_only=True)
class DualConsistency(FrameAttention):
    """DC attention in the U-Net's up blocks (end of Sec. 3.3).

    latent_grid: (h, w) of the latents; a layer's grid is a power of two smaller.
    mask_form: see mgdm.decoupled_attention; None without MGDM.
    """

    lambdas: Lambdas
    latent_grid: tuple[int, int]
    mask_form: str | None = "hadamard"
    _splits: dict[int, tuple[RegionIndex, RegionIndex, RegionIndex]] = field(
        default_factory=dict
    )  # by tokens
    _split_of: Tensor | None = None  # the masks that they are of

    @staticmethod
    def replaces(layer: str) -> bool:
        return is_self_attention_of_up_blocks(layer)

    def combine(
        self, q: Tensor, first: KeysValues, previous: KeysValues, own: KeysValues
    ) -> Tensor:
        """DCA_i, Eq. 8."""
        seen = self._split(q.shape[2])
        dca = torch.zeros_like(q)
        for weight, (k_j, v_j), which in (
            (self.lambdas.first, first, 0),
            (self.lambdas.prev, previous, 1),
            (self.lambdas.self, own, 2),
        ):
            if weight == 0:
                continue
            if seen is None or self.mask_form is None:
                cfa = scaled_dot_product_attention(q, k_j, v_j)  # Eq. 7
            else:
                cfa = decoupled_attention(q, k_j, v_j, seen[2], seen[which], self.mask_form)
            dca = dca + weight * cfa
        return dca

    def _split(self, tokens: int) -> tuple[RegionIndex, RegionIndex, RegionIndex] | None:
        """Regions, of branches·frames each, of frame 0, of each frame's previous one and of itself."""
        if self.masks is None or self.mask_form is None:
            return None
        if self._split_of is not self.masks:
            self._split_of, self._splits = self.masks, {}
        if tokens not in self._splits:
            seen = regions(self.masks, layer_grid(self.latent_grid, tokens))
            first, previous, own = seen[:1].expand(len(seen) - 2, -1), seen[1:-1], seen[2:]
            repeat = (self.branches, 1)
            self._splits[tokens] = (
                RegionIndex(first.repeat(repeat)),
                RegionIndex(previous.repeat(repeat)),
                RegionIndex(own.repeat(repeat)),
            )
        return self._splits[tokens]
