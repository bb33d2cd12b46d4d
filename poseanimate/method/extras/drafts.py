"""A frame's draft as its start; no part of the paper.

A draft shows the character in the frame's pose without any network: its limbs are moved as they are, before the
background without it. Inverted under that pose, and not all the way, it is a latent that already holds them, where the
source's own holds the old pose. FreeAnimate (arXiv 2606.06885) inverts such frames, too; SDEdit (arXiv 2108.01073)
starts from a picture with part of the noise, and blended diffusion (arXiv 2111.14818) sets a picture's parts into what
is sampled.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, max_pool2d

# of T: from more noise small hands are lost, from less nothing mends what a draft tears
SHARE_OF_STEPS = 0.6
TOUCHED = 0.05  # of a latent pixel: hands and thin limbs fill none
LEFT = 0.5  # of a latent pixel: with less, heads that turn are cut


def draft_step(steps: int) -> int:
    """The step k of T at which drafts are set in, at least 1."""
    return max(round(SHARE_OF_STEPS * steps), 1)


@dataclass(frozen=True, eq=False)
class Drafts:
    """Drafts of some frames, as they are set into their latents before step k.

    latents: Z_k, (frames, c, h, w), each inverted under its own pose. believed: where, (frames, 1, h, w) of bool.
    left: where the figure was and isn't, (frames, 1, h, w) of bool.
    ground: Z_T of the picture without it, (1, c, h, w); None where frames start at step k.
    """

    k: int
    latents: Tensor
    believed: Tensor
    left: Tensor
    ground: Tensor | None = None

    @staticmethod
    def of(k: int, latents: Tensor, belief: Tensor, ground: Tensor | None = None) -> Drafts:
        """Those believed wherever a latent pixel touches what of the figure is, or the ground that it has left and
        nothing doubtful is near: a head in profile reaches beyond its front's outline.

        belief: (frames, 3, H, W), in this order: of the figure what is believed and what isn't, the ground.
        """
        share = adaptive_avg_pool2d(belief, (latents.shape[2], latents.shape[3]))
        figure, doubtful, uncovered = (share > TOUCHED).split(1, dim=1)
        near = max_pool2d(doubtful.float(), 3, stride=1, padding=1) > 0
        return Drafts(k, latents, figure | (uncovered & ~near), share[:, 2:] > LEFT, ground)

    def frames(self, chosen: list[int]) -> Drafts:
        """Those of some frames."""
        latents, believed, left = self.latents[chosen], self.believed[chosen], self.left[chosen]
        return Drafts(self.k, latents, believed, left, self.ground)

    def begin(self, z_t: Tensor) -> Tensor:
        """Where frames start, (frames, c, h, w): as given, but for the ground that the figure has left."""
        return z_t if self.ground is None else torch.where(self.left, self.ground, z_t)

    def set_in(self, z_k: Tensor) -> Tensor:
        """Z_k of the frames, (frames, c, h, w): the drafts' where they are believed, else what is there."""
        return torch.where(self.believed, self.latents, z_k)
