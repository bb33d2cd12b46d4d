"""Mask-guided decoupling module (Sec. 3.4): attention that keeps character and background apart, Eqs. 9, 10.

Masks are binary, so Eq. 10 picks one answer for each query: DCA^c where the query is the character's, DCA^b elsewhere.
A query then needs the keys of its own region alone, which makes decoupled attention cheaper than the plain one: tokens
are sorted by region, and each region attends to itself. What Eq. 9 to the letter adds are keys with a logit of 0 and a
value of 0, one for each token outside the region: together they are one key of 0 with the logarithm of their number as
its logit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, pad, scaled_dot_product_attention

SORTED_FROM = 256  # tokens; with fewer, sorting costs more than it saves
ALIGNED = 8  # keys: what fast kernels ask of a mask's rows


def regions(masks: Tensor, grid: tuple[int, int]) -> Tensor:
    """Character masks at an attention layer's resolution.

    Args:
        masks: (frames, H, W) in [0, 1].
        grid: (h, w) of the layer's tokens.

    Returns:
        (frames, h·w) bool; a token is the character's when at least half of it is.
    """
    return adaptive_avg_pool2d(masks[:, None].float(), grid).flatten(1) >= 0.5


def layer_grid(latent_grid: tuple[int, int], tokens: int) -> tuple[int, int]:
    """(h, w) of a layer with that many tokens: the latents' grid halved, rounding up, as often as it takes."""
    height, width = latent_grid
    while height * width > tokens:
        height, width = -(-height // 2), -(-width // 2)
    if height * width != tokens:
        raise ValueError(f"{tokens} tokens do not fit latents of {latent_grid}")
    return height, width


def decoupled_attention(
    q: Tensor, k: Tensor, v: Tensor, queries: RegionIndex, keys: RegionIndex, form: str
) -> Tensor:
    """CFA^c where the query is the character's and CFA^b elsewhere, Eqs. 9, 10.

    Form "hadamard" multiplies keys and values by the mask as Eq. 9 is written: masked-out keys keep a logit of 0, and
    take their share of the attention to nothing. Form "region", which is not the paper's, takes the softmax over the
    query's region alone, or over all keys where its region is empty.

    Args:
        q, k, v: (frames, heads, tokens, d).
        queries, keys: where the character is in the frames that look and in those that are looked at.
    """
    if q.shape[2] >= SORTED_FROM:
        return sorted_attention(q, k, v, queries, keys, form)
    if form == "region":
        return scaled_dot_product_attention(q, k, v, queries.shared(keys))
    character = keys.inside[:, None, :, None].to(k.dtype)
    cfa_c = scaled_dot_product_attention(q, k * character, v * character)
    cfa_b = scaled_dot_product_attention(q, k * (1 - character), v * (1 - character))
    return torch.where(queries.inside[:, None, :, None], cfa_c, cfa_b)


def sorted_attention(
    q: Tensor, k: Tensor, v: Tensor, queries: RegionIndex, keys: RegionIndex, form: str
) -> Tensor:
    """`decoupled_attention` with the tokens sorted by region."""
    parts, place = queries.as_queries
    found = [
        scaled_dot_product_attention(
            _rows(q, rows),
            _rows(k, taken.rows) * taken.real.to(k.dtype),
            _rows(v, taken.rows) * taken.real.to(v.dtype),
            taken.logits.to(q.dtype).expand(-1, -1, rows.shape[1], -1),
        )
        for rows, taken in zip(parts, keys.as_keys(form), strict=True)
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
    """Tokens of frames, split into character and background.

    inside: (frames, tokens) bool, True for the character's. What is worked out of it is kept, for many layers and
    timesteps ask the same.
    """

    inside: Tensor

    def shared(self, keys: RegionIndex) -> Tensor:
        """Which keys a query may see, (frames, 1, q, k) bool: those of its region, or all where that is empty."""
        same = self.inside[:, :, None] == keys.inside[:, None, :]
        empty = ~same.any(dim=-1, keepdim=True)
        return (same | empty)[:, None]

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
                self._taken(self._sorted, self.inside.sum(1), self._most[0], form),
                self._taken(self._sorted.flip(1), (~self.inside).sum(1), self._most[1], form),
            )
        return self._kept[form]

    def _taken(self, rows: Tensor, count: Tensor, most: int, form: str) -> GatheredKeys:
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
