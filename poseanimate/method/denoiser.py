"""The noise prediction ε_θ(z_t, t, ∅, p, C): U-Net and ControlNet under classifier-free guidance.

Notable: ControlNet runs once per frame and its residuals serve both guidance branches, but where each branch tells it
its own text; a pose's conditioning is embedded once; function evaluations are counted in samples, so that costs can be
compared and tested.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from poseanimate.method.extras.ip_attention import ImagePrompt


def branches(guidance_scale: float) -> int:
    """How many guidance branches go through the U-Net."""
    return 1 if guidance_scale == 1 else 2


@dataclass(frozen=True, eq=False)
class Denoiser:
    """ε_θ for one prompt.

    prompt, null: text embeddings (1, L, d) of C and of the empty prompt.
    guidance_scale: w; at 1 only the conditional branch is computed.
    embedding_role: which branch carries the optimised embedding, "conditional" (Sec. 3.2) or "unconditional"
        (caption of Fig. 2).
    controlnet_text: what text ControlNet receives: the "optimised" embedding or the "prompt", once for both guidance
        branches, or that of each "branch", as in diffusers' pipeline.
    added: what some networks take beside the embeddings (diffusers' `added_cond_kwargs`), by name: a row for the empty
        prompt, one for the prompt (2, …).
    image: a picture beside the text, a baseline's.
    calls: function evaluations in samples: "unet", "controlnet" and, backwards, "gradient".
    """

    unet: UNet2DConditionModel
    controlnet: ControlNetModel
    prompt: Tensor
    null: Tensor
    guidance_scale: float
    embedding_role: str = "conditional"
    controlnet_text: str = "optimised"
    controlnet_scale: float = 1.0
    added: Mapping[str, Tensor] = field(default_factory=dict)
    image: ImagePrompt | None = None
    calls: Counter[str] = field(default_factory=Counter)

    @property
    def branches(self) -> int:
        """How many guidance branches go through the U-Net."""
        return branches(self.guidance_scale)

    @property
    def initial(self) -> Tensor:
        """∅_text: where the first optimisation starts (1, L, d)."""
        return self.prompt if self.embedding_role == "conditional" else self.null

    def embed_poses(self, drawings: Tensor) -> Tensor:
        """Pose conditioning (frames, c, h, w) of drawn skeletons (frames, 3, H, W) in [0, 1]."""
        embedding: Tensor = self.controlnet.controlnet_cond_embedding(
            drawings.to(self.controlnet.dtype)
        )
        return embedding

    def predict(
        self,
        z_t: Tensor,
        timestep: int,
        embedding: Tensor,
        pose_cond: Tensor,
        control_weights: Tensor | None = None,
    ) -> Tensor:
        """Guided noise (frames, c, h, w), in float32 also where the networks compute in half of it.

        Args:
            z_t: latents (frames, c, h, w).
            embedding: optimised embeddings (frames or 1, L, d).
            pose_cond: from `embed_poses`, (frames or 1, c, h, w).
            control_weights: of ControlNet's residuals at each latent pixel, (frames or 1, 1, h, w); None: 1.
        """
        frames, dtype = len(z_t), self.unet.dtype
        # made on the device: the networks would copy a number there, and a GPU's queue would run dry
        t = torch.full((1,), timestep, device=z_t.device)
        z_t, pose_cond = z_t.to(dtype), pose_cond.to(dtype)
        optimised, prompt, null = (
            e.expand(frames, -1, -1).to(dtype) for e in (embedding, self.prompt, self.null)
        )
        if self.embedding_role == "conditional":
            conditional, unconditional = optimised, null
        else:
            conditional, unconditional = prompt, optimised
        text, rows = conditional, [1]
        if self.branches == 2:
            text, rows = torch.cat([unconditional, conditional]), [0, 1]
        told, told_rows = {
            "optimised": (optimised, [int(self.embedding_role == "conditional")]),
            "prompt": (prompt, [1]),
            "branch": (text, rows),
        }[self.controlnet_text]
        times = len(told) // frames
        down, mid = self._residuals(
            z_t.repeat(times, 1, 1, 1),
            t,
            told,
            pose_cond.expand(frames, -1, -1, -1).repeat(times, 1, 1, 1),
            self._added(told_rows, frames),
        )
        if control_weights is not None:
            weights = control_weights.expand(frames, -1, -1, -1).repeat(times, 1, 1, 1)
            down = [_weighted(residual, weights) for residual in down]
            mid = _weighted(mid, weights)
        if self.branches == 1:
            return _at_least_float32(self._unet(z_t, t, text, down, mid, self._added(rows, frames)))
        shared = 2 // times
        both = self._unet(
            torch.cat([z_t, z_t]),
            t,
            text,
            [r.repeat(shared, 1, 1, 1) for r in down],
            mid.repeat(shared, 1, 1, 1),
            self._added(rows, frames),
        )
        eps_null, eps_text = _at_least_float32(both).chunk(2)
        return eps_null + self.guidance_scale * (eps_text - eps_null)

    def _added(self, rows: Sequence[int], frames: int) -> dict[str, Tensor] | None:
        """`added` of the branches that have these rows, for as many frames each."""
        if not self.added:
            return None
        return {
            name: value[list(rows)].repeat_interleave(frames, 0).to(self.unet.dtype)
            for name, value in self.added.items()
        }

    def _residuals(
        self,
        z_t: Tensor,
        timestep: Tensor,
        text: Tensor,
        pose_cond: Tensor,
        added: dict[str, Tensor] | None,
    ) -> tuple[list[Tensor], Tensor]:
        self.calls["controlnet"] += len(z_t)
        with _embedded_poses(self.controlnet):
            down, mid = self.controlnet(
                z_t,
                timestep,
                text,
                controlnet_cond=pose_cond,
                conditioning_scale=self.controlnet_scale,
                added_cond_kwargs=added,
                return_dict=False,
            )
        return down, mid

    def _unet(
        self,
        z_t: Tensor,
        timestep: Tensor,
        text: Tensor,
        down: list[Tensor],
        mid: Tensor,
        added: dict[str, Tensor] | None,
    ) -> Tensor:
        self.calls["unet"] += len(z_t)
        with self.image.installed(self.unet, self.branches) if self.image else nullcontext():
            eps: Tensor = self.unet(
                z_t,
                timestep,
                text,
                down_block_additional_residuals=tuple(down),
                mid_block_additional_residual=mid,
                added_cond_kwargs=added,
            ).sample
        return eps


def _at_least_float32(eps: Tensor) -> Tensor:
    return eps.to(torch.promote_types(eps.dtype, torch.float32))


def _weighted(residual: Tensor, weights: Tensor) -> Tensor:
    """A residual (frames, c, h, w) times the weights' (frames or 1, 1, h, w) means over its pixels."""
    grid = (residual.shape[2], residual.shape[3])
    return residual * adaptive_avg_pool2d(weights, grid).to(residual.dtype)


@contextmanager
def _embedded_poses(controlnet: ControlNetModel) -> Iterator[None]:
    """Within, ControlNet takes embedded poses instead of drawings."""
    embedding = controlnet.controlnet_cond_embedding
    controlnet.controlnet_cond_embedding = nn.Identity()
    try:
        yield
    finally:
        controlnet.controlnet_cond_embedding = embedding
