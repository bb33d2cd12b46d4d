"""What every benchmark measures: the same models, picture, poses and settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from poseanimate.animator import Animator
from poseanimate.events import Event
from poseanimate.inputs.character import Character
from poseanimate.method.ddim import DDIM, invert
from poseanimate.method.denoiser import Denoiser
from poseanimate.models.family import Models, to_pixels, to_tensor
from poseanimate.pipeline.run import Run
from poseanimate.poses.motion import Motion
from poseanimate.poses.pata import Alignment
from poseanimate.poses.skeleton import Pose, draw_pose
from poseanimate.settings import Settings
from poseanimate.storage.stage_cache import StageCache


@dataclass(frozen=True, eq=False)
class Case:
    """A picture, a motion and how to animate it.

    chunk_size: frames generated together.
    """

    models: Models
    source: Image.Image
    motion: Motion
    settings: Settings
    prompt: str
    chunk_size: int = 8

    @property
    def device(self) -> torch.device:
        return self.models.device

    @cached_property
    def character(self) -> Character:
        return Animator(self.models).character(self.source)

    @cached_property
    def alignment(self) -> Alignment:
        return Animator(self.models).align(self.character, self.motion, self.settings)

    @property
    def poses(self) -> tuple[Pose, ...]:
        """p_0 … p_N."""
        return self.alignment.poses

    def animate(
        self, cache: StageCache | None = None, chunk_size: int | None = None, **changes: Any
    ) -> Iterator[Event]:
        """A run of the engine with some settings changed."""
        settings = self.settings.changed(changes)
        animator = Animator(self.models, cache, chunk_size=chunk_size or self.chunk_size)
        return animator.animate(self.source, self.motion, settings, self.prompt)

    # the first optimisation alone

    @cached_property
    def denoiser(self) -> Denoiser:
        """ε_θ as the engine builds it."""
        return self._run.stages.denoiser

    @cached_property
    def ddim(self) -> DDIM:
        return self._run.ddim

    @cached_property
    def pose_cond(self) -> Tensor:
        """The source pose's condition, (1, c, h, w)."""
        with torch.no_grad():
            return self.denoiser.embed_poses(self.drawings(self.poses[:1]))

    def drawings(self, poses: tuple[Pose, ...]) -> Tensor:
        """Skeletons (frames, 3, H, W) in [0, 1]."""
        height, width = self.character.picture.shape[:2]
        thick = self.models.thick_skeletons
        drawn = np.stack([draw_pose(pose, width, height, thick) for pose in poses])
        return to_tensor(drawn, self.device)

    @cached_property
    def inverted(self) -> Tensor:
        """Z_0 … Z_T at guidance 1 (Alg. 1, line 1), (T + 1, c, h, w)."""
        plain = replace(self.denoiser, guidance_scale=1.0, embedding_role="conditional")
        z_0 = self.models.encode(to_tensor(self.character.picture[None], self.device)).float()

        def predict(z: Tensor, timestep: int) -> Tensor:
            with torch.no_grad():
                return plain.predict(z, timestep, plain.prompt, self.pose_cond)

        return torch.cat(list(invert(self.ddim, z_0, predict)))

    def picture(self, latent: Tensor) -> np.ndarray:
        """(H, W, 3) of one latent (1, c, h, w)."""
        return to_pixels(self.models.decode(latent))[0]

    @cached_property
    def _run(self) -> Run:
        return Run(self.models, None, self.character, self.alignment, self.settings, self.prompt)
