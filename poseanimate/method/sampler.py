"""Chunked generation: DDIM sampling of all frames that attend to each other, a chunk at a time, exactly."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from poseanimate.method.cross_frame import CrossFrameAttention, FramePass, KeyValueCache
from poseanimate.method.ddim import DDIM
from poseanimate.method.denoiser import Denoiser
from poseanimate.method.extras.direct_inversion import background_share
from poseanimate.method.extras.drafts import Drafts
from poseanimate.method.pacm import Prediction
from poseanimate.method.regions import ChunkRegions


@dataclass(frozen=True, eq=False)
class FrameRecord:
    """What the next frames need of a frame: its keys and values, and its mask (1, H, W), None without masks."""

    keys_values: KeyValueCache
    mask: Tensor | None


@dataclass(frozen=True, eq=False)
class SourceRecord(FrameRecord):
    """What frames need of frame 0's own pass.

    deviation: (T, c, h, w); entry k - 1 is Z_{k-1} less what sampling makes of Z_k.
    """

    deviation: Tensor


@dataclass(frozen=True, eq=False)
class Chunk:
    """Clean latents (frames, c, h, w) of a chunk, and what the next one needs of its last frame."""

    latents: Tensor
    last: FrameRecord


@dataclass(frozen=True, eq=False)
class Sampler:
    """Generates frames 1 … N in order; frame 0 is the source.

    attention: DCAM's or a baseline's, or None to leave the U-Net's self-attention as it is.
    start: Z_T, (1, c, h, w), where frames start.
    hold_background: by direct inversion (method/extras); else it is sampled as everything else.
    source_mask: M_s, (1, H, W) in [0, 1], where frames come with masks.
    device_budget_bytes: what the device has for keys and values of three frames: frame 0, the frame before a chunk and
        its last one. Where they are more, the main memory keeps them; None: no limit.
    pinned_budget_bytes: what of the main memory may be page-locked for that.
    """

    denoiser: Denoiser
    ddim: DDIM
    start: Tensor
    attention: CrossFrameAttention | None = None
    source_mask: Tensor | None = None
    hold_background: bool = False
    device_budget_bytes: int | None = None
    pinned_budget_bytes: int = 0

    @property
    def follows_source(self) -> bool:
        """Whether frames need something of frame 0's own pass."""
        return self.attention is not None or self.hold_background

    def record_source(
        self, trajectory: Tensor, embeddings: Tensor, pose_cond: Tensor
    ) -> Generator[Prediction, None, SourceRecord]:
        """Frame 0's own pass: its keys and values at every timestep, and by how much its step misses the next latent.

        Eqs. 8 and 10 begin with frame 1, so frame 0 attends plainly to itself, but where direct inversion holds the
        background.

        Args:
            trajectory: frame 0's latents, (T + 1, c, h, w), Z̄ or Z.
            embeddings: ∅_s, (T, L, d).
            pose_cond: of the source pose, (1, c, h, w).
        """
        masks = None
        if self.hold_background and self.source_mask is not None:
            # its deviation is what frames add: both sides need the same attention
            masks = self.source_mask.expand(3, -1, -1)
        regions, keys_values = self._regions(masks), KeyValueCache()
        deviation = []
        for k in range(self.ddim.steps, 0, -1):
            z_t = trajectory[k : k + 1]
            own = FramePass(self.ddim.timestep(k), None, None, keys_values, regions)
            with torch.no_grad():
                eps = self._predict(z_t, k, embeddings[k - 1 : k], pose_cond, own)
            deviation.append(trajectory[k - 1 : k] - self.ddim.step(z_t, eps, k))
            if k == self.ddim.steps:
                self._make_room(keys_values)
            yield Prediction(k, self.ddim.predict_z0(z_t, eps, k))
        return SourceRecord(keys_values, self.source_mask, torch.cat(deviation[::-1]))

    def sample_chunk(
        self,
        source: SourceRecord | None,
        previous: FrameRecord | None,
        embeddings: Tensor,
        pose_cond: Tensor,
        masks: Tensor | None = None,
        control_weights: Tensor | None = None,
        drafts: Drafts | None = None,
    ) -> Generator[Prediction, None, Chunk]:
        """Generates the next frames; one that fails leaves nothing behind, and can be done again.

        Args:
            source: of `record_source`; None where frames don't follow the source.
            previous: of the frame before the chunk; frame 0's at first.
            embeddings: ∅̃, (frames, T, L, d).
            pose_cond: of the target poses, (frames, c, h, w).
            masks: M_i, (frames, H, W) in [0, 1], or None where nothing asks for them.
            control_weights: of ControlNet's residuals at each latent pixel, (frames, 1, h, w); None: 1.
            drafts: of the frames, where they start from them.
        """
        z_t = self.start.expand(len(pose_cond), -1, -1, -1)
        if drafts is not None:
            z_t = drafts.begin(z_t)
        chunk_masks = None
        if masks is not None and self.source_mask is not None:
            before = self.source_mask if previous is None else previous.mask
            assert before is not None
            chunk_masks = torch.cat([self.source_mask, before, masks])
        regions = self._regions(chunk_masks)
        last = KeyValueCache() if source is None else source.keys_values.another()
        share = None
        if self.hold_background:
            share = background_share(masks, self.source_mask, z_t)
        for k in range(self.ddim.steps, 0, -1):
            own = None
            if source is not None and previous is not None:
                own = FramePass(
                    self.ddim.timestep(k), source.keys_values, previous.keys_values, last, regions
                )
            if drafts is not None and k == drafts.k:
                z_t = drafts.set_in(z_t)
            with torch.no_grad():
                eps = self._predict(z_t, k, embeddings[:, k - 1], pose_cond, own, control_weights)
            z_0 = self.ddim.predict_z0(z_t, eps, k)
            z_t = self.ddim.step(z_t, eps, k)
            if share is not None and source is not None:
                z_t = z_t + share * source.deviation[k - 1]
            yield Prediction(k, z_0 if k > 1 else z_t)
        return Chunk(z_t, FrameRecord(last, None if masks is None else masks[-1:]))

    def _regions(self, masks: Tensor | None) -> ChunkRegions | None:
        if masks is None or self.attention is None or not self.attention.decouples:
            return None
        grid = (self.start.shape[2], self.start.shape[3])
        return ChunkRegions(masks, grid, self.denoiser.branches)

    def _make_room(self, keys_values: KeyValueCache) -> None:
        """After frame 0's first timestep, which tells how much all of them take."""
        if self.device_budget_bytes is None:
            return
        needed = 3 * self.ddim.steps * keys_values.nbytes
        if needed > self.device_budget_bytes:
            # a lock takes up to twice as much, see KeyValueCache
            keys_values.offload(2 * needed <= self.pinned_budget_bytes)

    def _predict(
        self,
        z_t: Tensor,
        k: int,
        embeddings: Tensor,
        pose_cond: Tensor,
        frames: FramePass | None,
        control_weights: Tensor | None = None,
    ) -> Tensor:
        attending: AbstractContextManager[None] = nullcontext()
        if self.attention is not None and frames is not None:
            attending = self.attention.installed(self.denoiser.unet, frames)
        with attending:
            return self.denoiser.predict(
                z_t, self.ddim.timestep(k), embeddings, pose_cond, control_weights
            )
