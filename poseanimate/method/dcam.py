"""Dual consistency attention module (Sec. 3.3): Eq. 8, with MGDM's regions inside where there are masks."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from poseanimate.method.cross_frame import AttendedFrame, CrossFrameAttention
from poseanimate.method.extras.sorted_attention import SORTED_FROM, sorted_attention
from poseanimate.method.mgdm import LostAttention, decoupled_attention
from poseanimate.method.processors import is_self_attention_of_up_blocks


@dataclass(frozen=True)
class Lambdas:
    """λ1, λ2, λ3 of Eq. 8: shares of frame 0, of the previous frame and of the frame itself."""

    first: float = 0.7
    prev: float = 0.15
    self: float = 0.15


@dataclass(frozen=True, kw_only=True)
class DualConsistency(CrossFrameAttention):
    """DC attention in the U-Net's up blocks (end of Sec. 3.3).

    mask_form: see mgdm.decoupled_attention; None without MGDM.
    lost: takes what its form "hadamard" loses.
    """

    lambdas: Lambdas
    mask_form: str | None = "hadamard"
    lost: LostAttention = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lost", LostAttention(self.branches))

    @property
    def decouples(self) -> bool:
        return self.mask_form is not None

    def lost_attention(self) -> dict[int, tuple[float, float]]:
        return self.lost.shares()

    @staticmethod
    def replaces(layer: str) -> bool:
        return is_self_attention_of_up_blocks(layer)

    def combine(
        self, q: Tensor, first: AttendedFrame, previous: AttendedFrame, own: AttendedFrame
    ) -> Tensor:
        """DCA_i, Eq. 8."""

        def attend(frame: AttendedFrame) -> Tensor:
            return self._cfa(q, frame, own)

        λ = self.lambdas
        if self.mask_form == "hadamard" and own.region is not None and first is not own:
            for weight, frame in ((λ.first, first), (λ.prev, previous), (λ.self, own)):
                assert frame.region is not None
                self.lost.add(q, frame.k, own.region.inside, frame.region.inside, weight)
        return λ.first * attend(first) + λ.prev * attend(previous) + λ.self * attend(own)

    def _cfa(self, q: Tensor, frame: AttendedFrame, own: AttendedFrame) -> Tensor:
        """CFA_{i,j}, Eq. 7; with regions CFA^c and CFA^b of Eqs. 9, 10."""
        k, v, keys = frame
        if self.mask_form is None or keys is None or own.region is None:
            return scaled_dot_product_attention(q, k, v)
        if q.shape[2] >= SORTED_FROM:
            return sorted_attention(q, k, v, own.region, keys, self.mask_form)
        return decoupled_attention(q, k, v, own.region.inside, keys.inside, self.mask_form)
