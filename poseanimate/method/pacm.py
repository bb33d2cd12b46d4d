"""Pose-aware control module (Sec. 3.2): pose-aware inversion, Eq. 6, and embedding optimisation, Alg. 1.

Notation: Z is the inverted trajectory of the source, Z̄ its reconstruction under guidance, Z̃ a target frame's
latents; ∅_s the source embeddings, one per step, and ∅̃ the pose-aware ones, one per frame and step.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from poseanimate.method.attention_maps import CrossAttentionMaps
from poseanimate.method.ddim import DDIM
from poseanimate.method.denoiser import Denoiser
from poseanimate.method.extras.drafts import Drafts


@dataclass(frozen=True)
class SourceOptimisation:
    """How Eq. 6 is minimised.

    inner_steps: n, Adam steps per timestep (Sec. 4.1: 5).
    learning_rate: of the first timestep; falls by half until the last (null-text inversion's schedule).
    tolerance: stop early when the loss is under tolerance · (1 + 2 i) at the i-th timestep of 50; 0: never.
    start: what a timestep starts from, the embedding found at the "previous" one, as the paper's progressive
        optimisation, or the "prompt"'s.
    """

    inner_steps: int = 5
    learning_rate: float = 1e-2
    tolerance: float = 0.0
    start: str = "previous"

    def passes(self, steps: int) -> int:
        """Passes through the networks over T timesteps, where none stops early."""
        return steps * (1 + self.inner_steps)

    def cost(self, steps: int) -> int:
        """Their cost in forward passes; a gradient costs two."""
        return steps * (1 + 3 * self.inner_steps)


@dataclass(frozen=True)
class PoseOptimisation:
    """How Alg. 1, line 7 is done.

    steps: gradient steps per timestep (Alg. 1: one); 0 keeps the source embeddings.
    learning_rate: η, of the squared error's sum over a frame's latents. Alg. 1 writes their mean, whose η would be as
        many times larger as there are latents, and so mean less the larger the pictures.
    """

    steps: int = 1
    learning_rate: float = 3e-4

    @property
    def passes(self) -> int:
        """Passes through the networks per timestep."""
        return max(self.steps, 1)

    @property
    def cost(self) -> int:
        """Their cost per timestep, in forward passes; a gradient costs two."""
        return 3 * self.steps or 1


@dataclass(frozen=True, eq=False)
class Prediction:
    """After one pass at step k: the clean latents z_0 (frames, c, h, w) predicted there (Eq. 5)."""

    k: int
    z_0: Tensor


@dataclass(frozen=True, eq=False)
class SourceEmbeddings:
    """Result of the first optimisation.

    embeddings: ∅_s, (T, L, d); entry k - 1 belongs to step k.
    trajectory: Z̄, (T + 1, c, h, w); entry k is Z̄_k, the last is Z_T.
    """

    embeddings: Tensor
    trajectory: Tensor


def pose_aware_inversion(
    denoiser: Denoiser,
    ddim: DDIM,
    inverted: Tensor,
    pose_cond: Tensor,
    config: SourceOptimisation,
) -> Generator[Prediction, None, SourceEmbeddings]:
    """Finds the embeddings that reconstruct the source under its own pose and full guidance, Eq. 6.

    Args:
        inverted: Z_0 … Z_T, (T + 1, c, h, w).
        pose_cond: of the source pose, (1, c, h, w).
    """
    embedding = denoiser.initial
    z_bar = inverted[-1:]
    embeddings, trajectory = [], [z_bar]
    for i, k in enumerate(range(ddim.steps, 0, -1)):
        target, timestep = inverted[k - 1 : k], ddim.timestep(k)
        if config.start == "prompt":
            embedding = denoiser.initial
        embedding = embedding.detach().clone().requires_grad_(True)
        progress = i / ddim.steps
        adam = torch.optim.Adam([embedding], lr=config.learning_rate * (1 - progress / 2))
        for _ in range(config.inner_steps):
            with torch.enable_grad():
                eps = denoiser.predict(z_bar, timestep, embedding, pose_cond)
                loss = (ddim.step(z_bar, eps, k) - target).square().sum()
            # the mean's factor comes after the gradient: half precision would lose it
            (gradient,) = torch.autograd.grad(loss, embedding)
            embedding.grad = gradient / target.numel()
            denoiser.calls["gradient"] += denoiser.branches
            adam.step()
            yield Prediction(k, ddim.predict_z0(z_bar, eps.detach(), k))
            least = config.tolerance * (1 + 2 * 50 * progress) * target.numel()
            if least and float(loss.detach()) < least:  # reading the loss makes a GPU wait
                break
        embedding = embedding.detach()
        with torch.no_grad():
            eps = denoiser.predict(z_bar, timestep, embedding, pose_cond)
            z_0 = ddim.predict_z0(z_bar, eps, k)
            z_bar = ddim.step(z_bar, eps, k)
        embeddings.append(embedding)
        trajectory.append(z_bar)
        yield Prediction(k, z_0)
    return SourceEmbeddings(torch.cat(embeddings[::-1]), torch.cat(trajectory[::-1]))


def optimise_embeddings(
    denoiser: Denoiser,
    ddim: DDIM,
    inverted: Tensor,
    source_embeddings: Tensor,
    start: Tensor,
    pose_cond: Tensor,
    config: PoseOptimisation,
    maps: CrossAttentionMaps | None = None,
    drafts: Drafts | None = None,
) -> Generator[Prediction, None, Tensor]:
    """Pose-aware embedding optimisation, Alg. 1 lines 3 to 9, all frames at once (they are independent).

    As in Alg. 1 a timestep samples with the embedding as it was and updates it afterwards: the update shows in
    the final generation alone.

    Args:
        inverted: Z_0 … Z_T of the source, (T + 1, c, h, w).
        source_embeddings: ∅_s, (T, L, d).
        start: Z̃_T, where each frame starts, (frames, c, h, w), or all (1, c, h, w).
        pose_cond: of the target poses, (frames, c, h, w).
        maps: adds up the character's cross-attention on the way, where MGDM wants its masks from it.
        drafts: of the frames, where they start from them.

    Returns:
        ∅̃, (frames, T, L, d).
    """
    frames = len(pose_cond)
    z_tilde = start.expand(frames, -1, -1, -1)
    if drafts is not None:
        z_tilde = drafts.begin(z_tilde)
    optimised: list[Tensor] = []
    for k in range(ddim.steps, 0, -1):
        target, timestep = inverted[k - 1 : k], ddim.timestep(k)
        if drafts is not None and k == drafts.k:
            z_tilde = drafts.set_in(z_tilde)
        embedding = source_embeddings[k - 1].expand(frames, -1, -1).clone()
        sampled: tuple[Tensor, Tensor] | None = None  # Z̃_{k-1}, and the clean latents predicted
        for _ in range(config.passes):
            embedding.requires_grad_(config.steps > 0)
            with torch.set_grad_enabled(config.steps > 0), _watched(denoiser, maps):
                eps = denoiser.predict(z_tilde, timestep, embedding, pose_cond)
                z_prev = ddim.step(z_tilde, eps, k)  # line 6
                loss = (z_prev - target).square().sum()  # each frame's gradient is its own
            if sampled is None:
                sampled = z_prev.detach(), ddim.predict_z0(z_tilde, eps.detach(), k)
            if config.steps:
                (gradient,) = torch.autograd.grad(loss, embedding)
                denoiser.calls["gradient"] += denoiser.branches * frames
                embedding = embedding.detach() - config.learning_rate * gradient  # line 7
            yield Prediction(k, sampled[1])
        assert sampled is not None
        z_tilde = sampled[0]
        optimised.append(embedding.detach())
    return torch.stack(optimised[::-1], dim=1)


def _watched(denoiser: Denoiser, maps: CrossAttentionMaps | None) -> AbstractContextManager[None]:
    return maps.recording(denoiser.unet) if maps is not None else nullcontext()
