"""Chunked generation: DDIM sampling of all frames that attend to each other, a chunk at a time, exactly."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d

from poseanimate.method.cross_frame import FrameAttention
from poseanimate.method.ddim import DDIM
from poseanimate.method.denoiser import Denoiser
from poseanimate.method.pacm import Pull, Step


@dataclass
class Sampler:
    """Generates frames 1 … N in order; frame 0 is the source.

    attention: DCAM's or a baseline's, or None to leave the U-Net's self-attention as it is.
    start: Z_T, (1, c, h, w), where every frame starts.
    background: "sampled" as everything else; by "direct" inversion (Ju et al. 2023, there for the source's branch
        alone): at every step frames are given the difference by which the source's own sampling misses its
        inverted trajectory, so that a frame in the source's pose is the source; or "blended" (Avrahami et al.
        2023): the source's latents. With masks this is done where the character is in neither the source nor the frame.
    source_mask: M_s, (1, H, W) in [0, 1], where frames come with masks.
    device_budget_bytes: what the device has for keys and values of frame 0, of the frame before a chunk and of
        its last one; where they are more, the main memory keeps them. None is as much as it takes.
    pinned_budget_bytes: what of the main memory may be page-locked for that, and so copied on the side.
    """

    denoiser: Denoiser
    ddim: DDIM
    start: Tensor
    attention: FrameAttention | None = None
    source_mask: Tensor | None = None
    background: str = "sampled"
    device_budget_bytes: int | None = None
    pinned_budget_bytes: int = 0
    _last_mask: Tensor | None = field(default=None)
    _trajectory: Tensor = field(default_factory=lambda: torch.empty(0))
    _deviation: dict[int, Tensor] = field(default_factory=dict)

    @property
    def follows_source(self) -> bool:
        """Whether frames need something of frame 0, and `record_source` must come first."""
        return self.attention is not None or self.background != "sampled"

    def record_source(
        self, trajectory: Tensor, embeddings: Tensor, hint: Tensor
    ) -> Generator[Step, None, None]:
        """Remembers frame 0's keys and values at every timestep, and by how much its step misses the next latent.

        Args:
            trajectory: frame 0's latents, (T + 1, c, h, w), Z̄ or Z.
            embeddings: ∅_s, (T, L, d).
            hint: of the source pose, (1, c, h, w).
        """
        if not self.follows_source:
            return
        self._last_mask, self._trajectory = self.source_mask, trajectory
        masks = None if self.source_mask is None else self.source_mask.expand(3, -1, -1)
        for k in range(self.ddim.steps, 0, -1):
            z_t = trajectory[k : k + 1]
            with torch.no_grad():
                eps = self._predict(
                    z_t, k, embeddings[k - 1 : k], hint, masks=masks, recording=True
                )
            self._deviation[k] = trajectory[k - 1 : k] - self.ddim.step(z_t, eps, k)
            if k == self.ddim.steps:
                self._find_room()
            yield Step(k, self.ddim.predict_z0(z_t, eps, k))

    def chunk(
        self,
        embeddings: Tensor,
        hints: Tensor,
        masks: Tensor | None,
        pull: Pull | None = None,
        control: Tensor | None = None,
    ) -> Iterator[Step]:
        """Generates the next frames; the last step's z_0 are their clean latents (frames, c, h, w).

        Args:
            embeddings: ∅̃, (frames, T, L, d).
            hints: of the target poses, (frames, c, h, w).
            masks: M_i, (frames, H, W) in [0, 1], or None where nothing asks for them.
            pull: does Alg. 1 on the way; `embeddings` are then ∅_s.
            control: how many times ControlNet counts at each latent pixel, (frames, 1, h, w); None: once.
        """
        z_t = self.start.expand(len(hints), -1, -1, -1)
        chunk_masks = None
        if masks is not None and self.source_mask is not None and self._last_mask is not None:
            chunk_masks = torch.cat([self.source_mask, self._last_mask, masks])
        where = self._where_background(masks, z_t)
        self.forget_unfinished()
        pulled_by = torch.zeros_like(embeddings[:, 0])
        for k in range(self.ddim.steps, 0, -1):
            embedding = (embeddings[:, k - 1] + pulled_by).requires_grad_(pull is not None)
            with torch.set_grad_enabled(pull is not None):
                eps = self._predict(z_t, k, embedding, hints, masks=chunk_masks, control=control)
                sampled = self.ddim.step(z_t, eps, k)
            if pull is not None:
                pulled_by = pulled_by - pull.rate * pull.gradient(sampled, k, embedding)
                self.denoiser.calls["gradient"] += self.denoiser.branches * len(hints)
            z_0 = self.ddim.predict_z0(z_t, eps.detach(), k)
            z_t = self._held(sampled.detach(), k, where)
            if (
                k == 1
            ):  # what is left behind counts from here on: an unfinished chunk can be done again
                self._last_mask = None if masks is None else masks[-1:]
                if self.attention is not None:
                    self.attention.memory.done()
            yield Step(k, z_0 if k > 1 else z_t)

    def forget_unfinished(self) -> None:
        """What a chunk that didn't come to its end has left behind."""
        if self.attention is not None:
            self.attention.memory.begin()

    def _find_room(self) -> None:
        """After frame 0's first timestep, which tells what all take."""
        if self.attention is None or self.device_budget_bytes is None:
            return
        frames = 3  # the first, the one before a chunk, and its last
        needed = frames * self.ddim.steps * self.attention.memory.nbytes()
        if needed > self.device_budget_bytes:
            # a lock takes up to twice as much, see KeyValueCache
            self.attention.memory.offload(2 * needed <= self.pinned_budget_bytes)

    def _held(self, z_t: Tensor, k: int, where: Tensor) -> Tensor:
        """Z_{k-1} of frames with their background held to the source's."""
        if self.background == "direct":
            return z_t + where * self._deviation[k]
        if self.background == "blended":
            return z_t + where * (self._trajectory[k - 1 : k] - z_t)
        return z_t

    def _where_background(self, masks: Tensor | None, z_t: Tensor) -> Tensor:
        """(frames, 1, h, w): 1 where the character is in neither the source nor the frame; 1 where nobody says."""
        if masks is None or self.source_mask is None:
            return torch.ones_like(z_t[:, :1])
        body = torch.maximum(masks, self.source_mask)[:, None]
        return 1 - adaptive_max_pool2d(body, z_t.shape[2:])

    def _predict(
        self,
        z_t: Tensor,
        k: int,
        embeddings: Tensor,
        hints: Tensor,
        masks: Tensor | None = None,
        control: Tensor | None = None,
        recording: bool = False,
    ) -> Tensor:
        timestep = self.ddim.timestep(k)
        with ExitStack() as scope:
            if self.attention is not None:
                self.attention.timestep, self.attention.masks = timestep, masks
                self.attention.recording = recording
                scope.enter_context(self.attention.installed(self.denoiser.unet))
            return self.denoiser.predict(z_t, timestep, embeddings, hints, control)
