"""Where the character is in each frame (M_i of Sec. 3.4), and how much ControlNet counts there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from poseanimate.inputs.character import Character
from poseanimate.method.extras.emphasis import emphasised
from poseanimate.poses.silhouette import Silhouette
from poseanimate.poses.skeleton import Pose
from poseanimate.puppet.puppet import Puppet
from poseanimate.settings import Settings

REACH = 1.5  # with both: widths of the silhouette within which attention adds to it


@dataclass(frozen=True)
class FrameMasks:
    """Computes a run's frame masks from the source, its pose in frame 0 and the settings."""

    character: Character
    source_pose: Pose
    settings: Settings
    device: torch.device
    factor: int  # pixels of a latent pixel

    def masks(self, poses: tuple[Pose, ...], attention: Tensor | None) -> Tensor:
        """M_i of some frames, (frames, H, W) in {0, 1}.

        attention: what the character's words receive, (frames, h, w) in [0, 1]; None where it was not recorded.
        "both" is the silhouette and, within a wider one, what attention adds to it.
        """
        seen = [self._widened(mask) for mask in self._seen(poses, attention)]
        return torch.from_numpy(np.stack(seen)).to(self.device)

    def _widened(self, mask: NDArray[np.float32]) -> NDArray[np.float32]:
        reach = self.settings.mask_widening * self.factor
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2)
        return np.asarray(cv2.dilate(mask, disc))

    def _seen(self, poses: tuple[Pose, ...], attention: Tensor | None) -> NDArray[np.float32]:
        settings = self.settings
        if settings.frame_masks == "draft":
            return np.stack([self.puppet.silhouette(pose) for pose in poses]).round()
        drawn = self._drawn(self._silhouette, poses)
        if attention is None or settings.frame_masks == "skeleton":
            return drawn
        height, width = drawn.shape[1:]
        maps = attention.cpu().numpy().astype(np.float32)
        large = np.stack(
            [cv2.resize(m, (width, height), interpolation=cv2.INTER_LINEAR) for m in maps]
        )
        seen = large > settings.mask_threshold
        if settings.frame_masks == "both":
            near = self._drawn(self._silhouette.widened(REACH), poses) > 0
            seen = (seen & near) | (drawn > 0)
        return seen.astype(np.float32)

    def belief(self, poses: tuple[Pose, ...]) -> Tensor:
        """How far the drafts of some frames are believed, (frames, 3, H, W): see `Puppet.belief`."""
        return torch.from_numpy(np.stack([self.puppet.belief(p) for p in poses])).to(self.device)

    @cached_property
    def puppet(self) -> Puppet:
        """Draws the drafts."""
        return Puppet(self.character.picture, self.character.mask, self.character.pose)

    def control_weights(self, masks: Tensor, grid: tuple[int, int]) -> Tensor | None:
        """Of ControlNet's residuals, (frames, 1, h, w) of a latent grid (h, w); None: 1 everywhere.

        Alg. 1's own pass goes without, so that its embeddings don't depend on it.
        """
        emphasis = self.settings.controlnet_emphasis
        if emphasis == 1:
            return None
        drawn = self._drawn(self._silhouette, (self.source_pose,))[0]
        before = self._widened(np.maximum(drawn, self.character.mask))
        return emphasised(masks, torch.from_numpy(before).to(masks), emphasis, grid)

    @cached_property
    def _silhouette(self) -> Silhouette:
        return Silhouette.fit(self.character.pose, self.character.mask)

    def _drawn(self, silhouette: Silhouette, poses: tuple[Pose, ...]) -> NDArray[np.float32]:
        height, width = self.character.picture.shape[:2]
        return np.stack([silhouette.draw(pose, width, height) for pose in poses])
