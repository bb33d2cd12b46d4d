"""Eqs. 9 and 10 with the tokens sorted by region: the same result for less work than full attention.

A query needs the keys of its own region alone. Tokens are sorted by region, and each region attends to itself. What
Eq. 9 to the letter adds are keys with a logit of 0 and a value of 0, one for each token outside the region: together
they are one key of 0 with the logarithm of their number as its logit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

SORTED_FROM = 256  # tokens; with fewer, sorting costs more than it saves
ALIGNED = 8  # keys: what fast kernels ask of a mask's rows


def sorted_attention(
    q: Tensor, k: Tensor, v: Tensor, queries: RegionIndex, keys: RegionIndex, form: str
) -> Tensor:
    """See `mgdm.decoupled_attention`."""
    parts, place = queries.as_queries
    found = [
        scaled_dot_product_attention(
            _rows(q, rows),
            _rows(k, gathered.rows) * gathered.real.to(k.dtype),
            _rows(v, gathered.rows) * gathered.real.to(v.dtype),
            gathered.logits.to(q.dtype).expand(-1, -1, rows.shape[1], -1),
        )
        for rows, gathered in zip(parts, keys.as_keys(form), strict=True)
    ]
    return _rows(torch.cat(found, dim=2), place)


@dataclass(frozen=True, eq=False)
class GatheredKeys:
    """The keys that one region's queries see, padded to one length m for all frames.

    rows: (frames, m) which tokens they are. real: (frames, 1, m, 1) bool, False for padding and for the key of 0.
    logits: (frames, 1, 1, m), what is added to their logits.
    """

    rows: Tensor
    real: Tensor
    logits: Tensor


@dataclass(frozen=True, eq=False)
class RegionIndex:
    """Tokens of frames by region; what is worked out once serves many layers and timesteps.

    inside: (frames, tokens) bool, True for the character's.
    """

    inside: Tensor

    @cached_property
    def as_queries(self) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Rows (frames, m) of the character's and of the background's tokens, and each token's place in both."""
        tokens, most = self.inside.shape[1], self._most
        rows = self._sorted[:, : most[0]], self._sorted[:, tokens - most[1] :]
        place = self._sorted.argsort(dim=1)
        behind = most[0] + most[1] - tokens  # longer parts overlap
        return rows, torch.where(self.inside, place, place + behind)

    def as_keys(self, form: str) -> tuple[GatheredKeys, GatheredKeys]:
        """What the character's queries see, and what the background's."""
        if form not in self._kept:
            self._kept[form] = (
                self._gathered(self._sorted, self.inside.sum(1), self._most[0], form),
                self._gathered(self._sorted.flip(1), (~self.inside).sum(1), self._most[1], form),
            )
        return self._kept[form]

    def _gathered(self, rows: Tensor, count: Tensor, most: int, form: str) -> GatheredKeys:
        tokens = rows.shape[1]
        if form == "region" and 0 in self._fewest:
            count, most = torch.where(count == 0, tokens, count), tokens
        length = -(-(most + 1) // ALIGNED) * ALIGNED
        rows = pad(rows[:, :length], (0, max(length - tokens, 0)))
        column = torch.arange(length, device=rows.device)
        real = column < count[:, None]
        logits = torch.zeros(real.shape, device=rows.device).masked_fill(~real, -torch.inf)
        if form == "hadamard":
            nothing = (tokens - count).float().log()[:, None]
            logits = torch.where(column == count[:, None], nothing, logits)
        return GatheredKeys(rows, real[:, None, :, None], logits[:, None, None])

    @cached_property
    def _kept(self) -> dict[str, tuple[GatheredKeys, GatheredKeys]]:
        return {}

    @cached_property
    def _sorted(self) -> Tensor:
        """(frames, tokens): the character's tokens, then the background's."""
        return (~self.inside).to(torch.uint8).argsort(dim=1, stable=True)

    @cached_property
    def _most(self) -> tuple[int, int]:
        """The largest character and the largest background of the frames, in tokens."""
        counts: list[int] = self.inside.sum(1).tolist()
        return max(counts), self.inside.shape[1] - min(counts)

    @property
    def _fewest(self) -> tuple[int, int]:
        """The smallest of them."""
        tokens = self.inside.shape[1]
        return tokens - self._most[1], tokens - self._most[0]


def _rows(x: Tensor, rows: Tensor) -> Tensor:
    """(frames, heads, tokens, d) -> (frames, heads, m, d) of the tokens that `rows` (frames, m) names."""
    frames = torch.arange(len(x), device=x.device)[:, None]
    return x.transpose(1, 2)[frames, rows].transpose(1, 2)
