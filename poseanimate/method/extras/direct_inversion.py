"""Direct inversion (Ju et al. 2023, arXiv 2310.01506) for the background; no part of the paper.

There the source's branch alone is corrected. Here every frame is given, at every step, the difference by which the
source's own sampling misses its inverted trajectory, where the character is in neither the source nor the frame: a
frame in the source's pose then is the source.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d


def background_share(masks: Tensor | None, source_mask: Tensor | None, z_t: Tensor) -> Tensor:
    """Where the source's deviation is added, (frames, 1, h, w): 1 where there is no character, 0 elsewhere.

    Args:
        masks: M_i, (frames, H, W); source_mask: M_s, (1, H, W). Without them it is added everywhere.
        z_t: latents (frames, c, h, w).
    """
    if masks is None or source_mask is None:
        return torch.ones_like(z_t[:, :1])
    body = torch.maximum(masks, source_mask)[:, None]
    return 1 - adaptive_max_pool2d(body, z_t.shape[2:])
