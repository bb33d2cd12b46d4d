"""A frame's draft as its start; no part of the paper.

A draft shows the character in the frame's pose without any network: its limbs are moved as they are, before the
background without it. Inverted under that pose, and not all the way, it is a latent that already holds them, where the
source's own holds the old pose. FreeAnimate (arXiv 2606.06885) inverts such frames, too; SDEdit (arXiv 2108.01073)
starts from a picture with part of the noise.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

# of T: from more noise small hands are lost, from less nothing mends what a draft tears
SHARE_OF_STEPS = 0.6
TOUCHED = 0.05  # of a latent pixel: hands and thin limbs fill none


def first_step(steps: int) -> int:
    """The step k of T at which frames start, at least 1."""
    return max(round(SHARE_OF_STEPS * steps), 1)


def start_from_drafts(z_t: Tensor, drafts: Tensor, trusted: Tensor) -> Tensor:
    """Z_k of frames, (frames, c, h, w): the drafts' wherever these are believed, else the source's.

    Args:
        z_t: of the source, (1, c, h, w).
        drafts: Z_k of the frames' drafts, (frames, c, h, w).
        trusted: where the drafts are believed, (frames, H, W) in [0, 1].
    """
    share = adaptive_avg_pool2d(trusted[:, None], (z_t.shape[2], z_t.shape[3]))
    return torch.where(share > TOUCHED, drafts, z_t)
