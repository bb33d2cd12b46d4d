"""Null-text inversion (Mokady et al. 2023), as a baseline for pose-aware inversion.

Written from the paper and its published procedure: one embedding of the empty prompt is optimised per timestep.
ControlNet is called as in the plain pipeline, in full and with the drawing, for whichever branch is computed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import torch
from torch import Tensor

from poseanimate.method.ddim import DDIM
from poseanimate.models.family import Models

LEARNING_RATE, LEARNING_RATE_OVER = 1e-2, 100  # lr = 1e-2 · (1 - i / 100)
TOLERANCE, TOLERANCE_RISE = 1e-5, 2e-5  # stops below 1e-5 + i · 2e-5
PUBLISHED_STEPS = 50  # that i counts


@dataclass(frozen=True, eq=False)
class NullText:
    """The result.

    embeddings: ∅, (T, L, d); entry k - 1 belongs to step k. z_0: the reconstruction's latent, (1, c, h, w).
    losses: of every inner step, T lists of at most n, by timestep in order of processing.
    """

    embeddings: Tensor
    z_0: Tensor
    losses: list[list[float]]


@dataclass
class NullTextInversion:
    """Null-text inversion of one picture.

    text, null: embeddings (1, L, d) of the prompt and the empty prompt. drawing: of the source pose, (1, 3, H, W) in
    [0, 1]. calls: samples through "unet", "controlnet" and, backwards, "gradient".
    """

    models: Models
    text: Tensor
    null: Tensor
    drawing: Tensor
    guidance_scale: float
    calls: Counter[str] = field(default_factory=Counter)

    def run(self, ddim: DDIM, inverted: Tensor, inner_steps: int) -> NullText:
        """Optimises along Z_0 … Z_T, (T + 1, c, h, w), with up to n Adam steps per timestep."""
        z, null = inverted[-1:], self.null
        embeddings: list[Tensor] = []
        losses: list[list[float]] = []
        for i, k in enumerate(range(ddim.steps, 0, -1)):
            timestep, target = ddim.timestep(k), inverted[k - 1 : k]
            place = i * PUBLISHED_STEPS / ddim.steps
            null = null.detach().clone().requires_grad_(True)
            adam = torch.optim.Adam([null], lr=LEARNING_RATE * (1 - place / LEARNING_RATE_OVER))
            with torch.no_grad():
                eps_text = self._predict(z, timestep, self.text)
            losses.append([])
            for _ in range(inner_steps):
                with torch.enable_grad():
                    eps = self._guided(self._predict(z, timestep, null), eps_text)
                    loss = (ddim.step(z, eps, k) - target).square().sum()
                # apply the mean's factor after the gradient: half precision would lose it
                (gradient,) = torch.autograd.grad(loss, null)
                null.grad = gradient / target.numel()
                self.calls["gradient"] += 1
                adam.step()
                losses[-1].append(float(loss.detach()) / target.numel())
                if losses[-1][-1] < TOLERANCE + place * TOLERANCE_RISE:
                    break
            null = null.detach()
            embeddings.append(null)
            # the published procedure continues with both branches in one batch
            with torch.no_grad():
                eps_null, eps_text = self._predict(
                    z.expand(2, -1, -1, -1), timestep, torch.cat([null, self.text])
                ).chunk(2)
                z = ddim.step(z, self._guided(eps_null, eps_text), k)
        return NullText(torch.cat(embeddings[::-1]), z, losses)

    def _guided(self, eps_null: Tensor, eps_text: Tensor) -> Tensor:
        return eps_null + self.guidance_scale * (eps_text - eps_null)

    def _predict(self, z: Tensor, timestep: int, text: Tensor) -> Tensor:
        """ε for latents (n, c, h, w) and embeddings (n, L, d), float32 whatever the networks' precision."""
        models, dtype = self.models, self.models.unet.dtype
        z, text, drawing = (x.to(dtype) for x in (z, text, self.drawing))
        down, mid = models.controlnet(
            z, timestep, text, controlnet_cond=drawing.expand(len(z), -1, -1, -1),
            return_dict=False,
        )  # fmt: skip
        eps: Tensor = models.unet(
            z, timestep, text,
            down_block_additional_residuals=down, mid_block_additional_residual=mid,
        ).sample  # fmt: skip
        self.calls["controlnet"] += len(z)
        self.calls["unet"] += len(z)
        return eps.float()
