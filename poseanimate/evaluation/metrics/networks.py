"""The networks that figures look through; what can't be had says why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from poseanimate.evaluation.metrics.perceptual import (
    WINDOW,
    Distance,
    Embed,
    Features,
    Flow,
    clip_i,
    frame_consistency,
    lpips,
    warping_error,
    windows,
)
from poseanimate.media.similarity import Picture


@dataclass(frozen=True)
class Missing:
    """A network that can't be had, and why; figures that need it are reported as missing, never as a number."""

    network: str
    reason: str = "was not asked for; name a folder of networks, or 'hub'"

    def __str__(self) -> str:
        return f"{self.network} {self.reason}"


@dataclass(frozen=True)
class Networks:
    """What figures may look through.

    digests: SHA-256 of the files that a folder's networks come from: through other weights figures are others.
    """

    clip: Embed | Missing = Missing("CLIP")
    raft: Flow | Missing = Missing("RAFT")
    alex: Distance | Missing = Missing("LPIPS")
    vgg: Distance | Missing = Missing("LPIPS (VGG)")
    inception: Features | Missing = Missing("Inception (FID)")
    resnet3d: Features | Missing = Missing("3D-ResNet (FID-VID)")
    i3d: Features | Missing = Missing("I3D (FVD)")
    digests: Mapping[str, str] = field(default_factory=dict)

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of what can't be had."""
        return tuple(own.network for own in self._missing)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why what can't be had can't be had."""
        return tuple(str(own) for own in self._missing)

    @property
    def _missing(self) -> list[Missing]:
        every = (getattr(self, own.name) for own in fields(self))
        return [own for own in every if isinstance(own, Missing)]

    def figures(
        self, clip: Sequence[Picture], source: Picture, truth: Sequence[Picture] = ()
    ) -> dict[str, float]:
        """What can be measured of a clip's frames 1 … N, its source before them, and the true frames if there are."""
        frames = _tensor([source, *clip])
        found: dict[str, float] = {}
        if not isinstance(self.clip, Missing):
            found["clip_i"] = clip_i(self.clip, frames[1:], frames[:1])
            found["frame_consistency"] = frame_consistency(self.clip, frames)
        if not isinstance(self.raft, Missing):
            found["warping_error"] = warping_error(self.raft, frames)
            found["warping_error_released"] = warping_error(self.raft, frames, released=True)
        if not isinstance(self.alex, Missing):
            found["lpips"] = lpips(self.alex, frames[1:], frames[:1])
        if truth and not isinstance(self.vgg, Missing):
            found["lpips_disco"] = lpips(self.vgg, frames[1:], _tensor(truth), released=True)
        return found

    def features(self, clip: Sequence[Picture]) -> dict[str, NDArray[np.float32]]:
        """Features of frames 1 … N that Fréchet distances compare, (n, d) each; of windows in clips long enough."""
        frames = _tensor(clip)
        found: dict[str, Tensor] = {}
        if not isinstance(self.inception, Missing):
            found["fid"] = self.inception(frames)
        if len(frames) >= WINDOW:
            for name, network in (("fid_vid", self.resnet3d), ("fvd", self.i3d)):
                if not isinstance(network, Missing):
                    found[name] = network(windows(frames))
        return {name: own.float().cpu().numpy() for name, own in found.items()}


def _tensor(pictures: Sequence[Picture]) -> Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
