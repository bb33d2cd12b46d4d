"""Mask-guided decoupling module (Sec. 3.4): attention that keeps character and background apart, Eqs. 9, 10.

Masks are binary, so Eq. 10 picks one answer for each query: DCA^c where the query is the character's, DCA^b elsewhere.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, scaled_dot_product_attention


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


def shared_region(query_regions: Tensor, key_regions: Tensor) -> Tensor:
    """Which keys a query may see: those of its own region, or all where its region is empty.

    Args:
        query_regions: (frames, q) bool.
        key_regions: (frames, k) bool.

    Returns:
        (frames, 1, q, k) bool.
    """
    same = query_regions[:, :, None] == key_regions[:, None, :]
    empty = ~same.any(dim=-1, keepdim=True)
    return (same | empty)[:, None]


def decoupled_attention(
    q: Tensor, k: Tensor, v: Tensor, query_regions: Tensor, key_regions: Tensor, form: str
) -> Tensor:
    """CFA^c where the query is the character's and CFA^b elsewhere, Eqs. 9, 10.

    Form "hadamard" multiplies keys and values by the mask as Eq. 9 is written: masked-out keys keep a logit of 0, and
    take their share of the attention to nothing. Form "region", which is not the paper's, takes the softmax over the
    query's region alone.

    Args:
        q, k, v: (frames, heads, tokens, d).
        query_regions, key_regions: (frames, tokens) bool.
    """
    if form == "region":
        return scaled_dot_product_attention(q, k, v, shared_region(query_regions, key_regions))
    character = key_regions[:, None, :, None].to(k.dtype)
    cfa_c = scaled_dot_product_attention(q, k * character, v * character)
    cfa_b = scaled_dot_product_attention(q, k * (1 - character), v * (1 - character))
    return torch.where(query_regions[:, None, :, None], cfa_c, cfa_b)
