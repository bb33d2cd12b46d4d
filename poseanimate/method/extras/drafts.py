"""A frame's draft as its start; no part of the paper.

A draft shows the character in the frame's pose without any network: its limbs are moved as they are, before the
background without it. Its inversion under that pose is noise that already holds them, where the source's own holds
the old pose. FreeAnimate (arXiv 2606.06885) inverts such frames, too.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d


def start_from_drafts(z_t: Tensor, drafts: Tensor, trusted: Tensor) -> Tensor:
    """Z_T of frames, (frames, c, h, w): the drafts' where these are mostly believed, else the source's.

    Args:
        z_t: of the source, (1, c, h, w).
        drafts: Z_T of the frames' drafts, (frames, c, h, w).
        trusted: where the drafts are believed, (frames, H, W) in [0, 1].
    """
    share = adaptive_avg_pool2d(trusted[:, None], (z_t.shape[2], z_t.shape[3]))
    return torch.where(share > 0.5, drafts, z_t)
