"""DDIM sampling and its inversion (Eqs. 1 to 5).

Notation: `alpha_bar` is the cumulative product of Eq. 2, `z_t` a latent (frames, c, h, w), `eps` the predicted
noise of the same shape. Steps are counted k = T … 1 as in the paper; `timesteps[k - 1]` is the network's timestep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from diffusers import DDIMScheduler
from torch import Tensor


@dataclass(frozen=True, eq=False)
class DDIM:
    """The schedule of one run.

    timesteps: (T,) ascending, the network's timestep at step k = 1 … T.
    alpha_bar: (T + 1,) float64, alpha_bar[k] belongs to Z_k and alpha_bar[0] to the clean latent.
    """

    timesteps: Tensor
    alpha_bar: Tensor

    @staticmethod
    def from_scheduler(
        scheduler: DDIMScheduler, num_inference_steps: int, spacing: str = "own"
    ) -> DDIM:
        """Reads the noise schedule of a model family for T = num_inference_steps.

        Args:
            spacing: the family's "own", or "trailing", which begins at the last timestep, as networks distilled to few
                steps were trained (Lin et al. 2024, Table 2).
        """
        changes = {} if spacing == "own" else {"timestep_spacing": spacing}
        scheduler = DDIMScheduler.from_config(scheduler.config, **changes)
        scheduler.set_timesteps(num_inference_steps)
        # of some T, 61 for one, diffusers gives one more when they trail
        timesteps = scheduler.timesteps[:num_inference_steps].flip(0)
        first = scheduler.final_alpha_cumprod.double().reshape(1)
        return DDIM(timesteps, torch.cat([first, scheduler.alphas_cumprod.double()[timesteps]]))

    @property
    def steps(self) -> int:
        """T."""
        return len(self.timesteps)

    def until(self, k: int) -> DDIM:
        """The schedule's first k steps, for what starts at Z_k."""
        return DDIM(self.timesteps[:k], self.alpha_bar[: k + 1])

    def timestep(self, k: int) -> int:
        return int(self.timesteps[k - 1])

    def predict_z0(self, z_t: Tensor, eps: Tensor, k: int) -> Tensor:
        """The clean latent as predicted at step k, Eq. 5."""
        a_t = float(self.alpha_bar[k])
        return (z_t - (1 - a_t) ** 0.5 * eps) / a_t**0.5

    def step(self, z_t: Tensor, eps: Tensor, k: int) -> Tensor:
        """z_{k-1} from z_k, Eq. 4."""
        a_prev = float(self.alpha_bar[k - 1])
        return a_prev**0.5 * self.predict_z0(z_t, eps, k) + (1 - a_prev) ** 0.5 * eps

    def invert_step(self, z_prev: Tensor, eps: Tensor, k: int) -> Tensor:
        """z_k from z_{k-1}: Eq. 4 solved for z_t, with the noise predicted at z_{k-1}."""
        a_t, a_prev = float(self.alpha_bar[k]), float(self.alpha_bar[k - 1])
        z_0 = (z_prev - (1 - a_prev) ** 0.5 * eps) / a_prev**0.5
        return a_t**0.5 * z_0 + (1 - a_t) ** 0.5 * eps


Predict = Callable[[Tensor, int], Tensor]


def invert(ddim: DDIM, z_0: Tensor, predict: Predict) -> Iterator[Tensor]:
    """DDIM inversion, Alg. 1 line 1: yields Z_0, Z_1, …, Z_T.

    Args:
        z_0: the source picture's latent (1, c, h, w).
        predict: noise of (z, timestep) at guidance scale 1. It is asked at the step's target timestep, as
            null-text inversion does.
    """
    z = z_0
    yield z
    for k in range(1, ddim.steps + 1):
        z = ddim.invert_step(z, predict(z, ddim.timestep(k)), k)
        yield z
