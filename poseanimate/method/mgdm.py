"""Mask-guided decoupling module (Sec. 3.4): attention that keeps character and background apart, Eqs. 9, 10."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def decoupled_attention(
    q: Tensor, k: Tensor, v: Tensor, queries: Tensor, keys: Tensor, form: str
) -> Tensor:
    """CFA^c where the query is the character's and CFA^b elsewhere: masks are binary, so Eq. 10 picks one of them.

    Form "hadamard" multiplies keys and values by the mask as Eq. 9 is written: masked-out keys keep a logit of 0, and
    take their share of the attention to nothing. Form "region", which is not the paper's, takes the softmax over the
    query's region alone, or over all keys where its region is empty.

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
