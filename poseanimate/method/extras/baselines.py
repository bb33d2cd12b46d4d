"""Attention between frames as other training-free and one-shot methods have it, to compare with DCAM.

Both replace every self-attention layer of the U-Net; the paper's replaces those of the up blocks alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from poseanimate.method.cross_frame import AttendedFrame, CrossFrameAttention
from poseanimate.method.processors import is_self_attention


@dataclass(frozen=True, kw_only=True)
class CrossFrame(CrossFrameAttention):
    """Every frame attends to frame 0 alone (Text2Video-Zero, arXiv 2303.13439, Eq. 9)."""

    @staticmethod
    def replaces(layer: str) -> bool:
        return is_self_attention(layer)

    def combine(
        self, q: Tensor, first: AttendedFrame, previous: AttendedFrame, own: AttendedFrame
    ) -> Tensor:
        return scaled_dot_product_attention(q, first.k, first.v)


@dataclass(frozen=True, kw_only=True)
class SpatioTemporal(CrossFrameAttention):
    """Frame i attends to frames 0 and i - 1 in one softmax (Tune-A-Video, arXiv 2212.11565, Sec. 4.1)."""

    @staticmethod
    def replaces(layer: str) -> bool:
        return is_self_attention(layer)

    def combine(
        self, q: Tensor, first: AttendedFrame, previous: AttendedFrame, own: AttendedFrame
    ) -> Tensor:
        k, v = torch.cat([first.k, previous.k], dim=2), torch.cat([first.v, previous.v], dim=2)
        return scaled_dot_product_attention(q, k, v)
