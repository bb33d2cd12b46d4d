"""The source picture as a prompt beside the text: IP-Adapter's decoupled cross-attention (arXiv 2308.06721, Eq. 5).

Of the baseline IP+CtrlN of Table 1; no part of PoseAnimate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch import Tensor
from torch.nn.functional import linear, scaled_dot_product_attention

from poseanimate.method.processors import (
    heads_of,
    is_cross_attention,
    output,
    processors,
    project,
)


@dataclass(frozen=True, eq=False)
class ImagePrompt:
    """A picture as the U-Net's cross-attention sees it.

    tokens: of no picture and of the picture, (2, n, d), for the unconditional and the conditional branch.
    weights: W'_k and W'_v (channels, d) of every cross-attention layer, by its processor's name.
    scale: λ, the picture's weight beside the text.
    """

    tokens: Tensor
    weights: Mapping[str, tuple[Tensor, Tensor]]
    scale: float

    @contextmanager
    def installed(self, unet: UNet2DConditionModel, branches: int) -> Iterator[None]:
        """Within, every cross-attention sees the picture too; `branches` of guidance are in a batch."""
        with processors(unet, is_cross_attention, lambda name: _Processor(self, name, branches)):
            yield


class _Processor:
    """softmax(Q Kᵀ) V of the text + λ softmax(Q K'ᵀ) V' of the picture."""

    def __init__(self, prompt: ImagePrompt, layer: str, branches: int) -> None:
        self.tokens, self.scale = prompt.tokens[-branches:], prompt.scale
        self.to_k, self.to_v = prompt.weights[layer]

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        q, k, v = project(attn, hidden_states, encoder_hidden_states)
        frames = len(q) // len(self.tokens)
        tokens = self.tokens.to(q.dtype).repeat_interleave(frames, 0)
        k_image, v_image = (heads_of(attn, linear(tokens, w)) for w in (self.to_k, self.to_v))
        of_image = scaled_dot_product_attention(q, k_image, v_image)
        return output(attn, scaled_dot_product_attention(q, k, v) + self.scale * of_image)
