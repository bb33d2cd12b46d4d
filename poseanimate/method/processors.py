"""Shared by all attention processors: projection to heads and back, and installation within a scope."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch import Tensor


def heads_of(attn: Attention, tokens: Tensor) -> Tensor:
    """(batch, tokens, heads·d) -> (batch, heads, tokens, d)."""
    return tokens.unflatten(-1, (attn.heads, -1)).transpose(1, 2)


def project(attn: Attention, hidden: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """q of `hidden`, k and v of `context`, each (batch, heads, tokens, d)."""
    q, k, v = attn.to_q(hidden), attn.to_k(context), attn.to_v(context)
    return heads_of(attn, q), heads_of(attn, k), heads_of(attn, v)


def output(attn: Attention, attended: Tensor) -> Tensor:
    """(batch, heads, tokens, d) -> the layer's output (batch, tokens, channels)."""
    merged = attended.transpose(1, 2).flatten(2)
    projected: Tensor = attn.to_out[1](attn.to_out[0](merged))
    return projected


_known: WeakKeyDictionary[UNet2DConditionModel, dict[str, Attention]] = WeakKeyDictionary()


@contextmanager
def processors(
    unet: UNet2DConditionModel, chosen: Callable[[str], bool], make: Callable[[str], Any]
) -> Iterator[list[str]]:
    """Within, the attention layers whose names are `chosen` use what `make` gives them; yields those names."""
    layers = {name: layer for name, layer in _layers(unet).items() if chosen(name)}
    before = {name: layer.processor for name, layer in layers.items()}
    try:
        for name, layer in layers.items():
            layer.processor = make(name)
        yield list(layers)
    finally:
        for name, layer in layers.items():
            layer.processor = before[name]


def _layers(unet: UNet2DConditionModel) -> dict[str, Attention]:
    """A U-Net's attention layers by their processors' names; cached, since every step asks for them."""
    if unet not in _known:
        modules = unet.named_modules()
        _known[unet] = {f"{n}.processor": m for n, m in modules if isinstance(m, Attention)}
    return _known[unet]


def is_self_attention_of_up_blocks(name: str) -> bool:
    """DCAM's place: the self-attention of the U-Net's up blocks (end of Sec. 3.3)."""
    return name.startswith("up_blocks") and is_self_attention(name)


def is_self_attention(name: str) -> bool:
    return name.endswith("attn1.processor")


def is_cross_attention(name: str) -> bool:
    return name.endswith("attn2.processor")
