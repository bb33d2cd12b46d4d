"""ControlNet's emphasis: more weight where the character is new; no part of the paper."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d


def emphasised(masks: Tensor, before: Tensor, emphasis: float, grid: tuple[int, int]) -> Tensor:
    """Weights of ControlNet's residuals at each latent pixel, (frames, 1, h, w).

    They go from 1 to the emphasis where M_i is and the character was not, by the square of a latent pixel's share
    in it: what is mostly background is hardly touched.

    Args:
        masks: M_i, (frames, H, W) in [0, 1].
        before: where the character was in the source, (H, W) in [0, 1].
        grid: (h, w) of the latents.
    """
    share = adaptive_avg_pool2d((masks - before).clamp(min=0)[:, None], grid)
    return 1 + (emphasis - 1) * share**2
