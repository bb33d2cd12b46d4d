"""Mask-guided decoupling module (Sec. 3.4): attention that keeps character and background apart, Eqs. 9, 10."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

# of attentions: measuring all took 9 % of the generation; prime, so that layers and λ take turns
MEASURED_EVERY = 7
MEASURED_QUERIES = 16  # of a layer; all of them would take as long as the attention itself


def decoupled_attention(
    q: Tensor, k: Tensor, v: Tensor, queries: Tensor, keys: Tensor, form: str
) -> Tensor:
    """CFA^c where the query is the character's and CFA^b elsewhere: masks are binary, so Eq. 10 picks one of them.

    Form "hadamard" multiplies keys and values by the mask as Eq. 9 is written: masked-out keys keep a logit of 0, and
    take their share of the attention to nothing. Form "region", which is not the paper's, takes the softmax over the
    query's region alone, or over all keys where its region is empty; it is the other one divided by what isn't lost.

    Args:
        q, k, v: (frames, heads, tokens, d).
        queries, keys: (frames, tokens) bool, where the character is in the frames that attend and in those that are
            attended to.
    """
    if form == "region":
        same = queries[:, :, None] == keys[:, None, :]
        empty = ~same.any(dim=-1, keepdim=True)
        return scaled_dot_product_attention(q, k, v, (same | empty)[:, None])
    m = keys[:, None, :, None].to(k.dtype)
    cfa_c = scaled_dot_product_attention(q, k * m, v * m)  # Eq. 9
    cfa_b = scaled_dot_product_attention(q, k * (1 - m), v * (1 - m))
    return torch.where(queries[:, None, :, None], cfa_c, cfa_b)  # Eq. 10


@dataclass(frozen=True, eq=False)
class LostAttention:
    """The share of attention that Eq. 9 to the letter gives to masked-out keys, and so to nothing.

    Measured in one of `MEASURED_EVERY` attentions, at `MEASURED_QUERIES` places of each frame's conditional branch. A
    chunk that is done again counts as often as it was begun.
    """

    branches: int
    # by tokens: rows character and background; columns lost and all
    _sums: dict[int, Tensor] = field(default_factory=dict)
    _calls: Counter[int] = field(default_factory=Counter)

    @torch.no_grad()
    def add(self, q: Tensor, k: Tensor, queries: Tensor, keys: Tensor, weight: float) -> None:
        """Adds one attention of `decoupled_attention`; `weight` is its λ of Eq. 8."""
        tokens = q.shape[2]
        self._calls[tokens] += 1
        if (self._calls[tokens] - 1) % MEASURED_EVERY:
            return
        # an odd stride meets all columns of a layer, whose sides are mostly even
        some = slice(None, None, max(tokens // MEASURED_QUERIES, 1) | 1)
        frames = slice(len(q) - len(q) // self.branches, None)
        q, k, inside = q[frames, :, some].float(), k[frames].float(), queries[frames, some]
        other = inside[:, :, None] != keys[frames, None, :]  # (frames, queries, keys)
        logits = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).masked_fill(other[:, None], 0.0)
        lost = (logits.softmax(-1) * other[:, None]).sum(-1).mean(1)
        found = weight * torch.stack(
            [torch.stack([(lost * at).sum(), at.sum()]) for at in (inside, ~inside)]
        )
        self._sums[tokens] = self._sums[tokens] + found if tokens in self._sums else found

    def shares(self) -> dict[int, tuple[float, float]]:
        """By tokens of a layer, most first: what the character's queries and the background's lose, 0 to 1.

        Layers so coarse that they saw only one of the two are left out.
        """
        sums = {tokens: self._sums[tokens].tolist() for tokens in sorted(self._sums, reverse=True)}
        return {
            tokens: (character / places, background / others)
            for tokens, ((character, places), (background, others)) in sums.items()
            if places and others
        }
