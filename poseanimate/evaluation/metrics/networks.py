"""The networks of perceptual metrics; what is missing says why."""

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
    """A network that isn't available, and why; its metrics are reported as missing."""

    network: str
    reason: str = "was not asked for; name a folder of networks, or 'hub'"

    def __str__(self) -> str:
        return f"{self.network} {self.reason}"


@dataclass(frozen=True)
class Networks:
    """The networks that metrics can use.

    digests: SHA-256 of the files in a folder of networks, since metrics depend on the weights.
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
        """The names of the missing networks."""
        return tuple(one.network for one in self._missing)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why each of them is missing."""
        return tuple(str(one) for one in self._missing)

    @property
    def _missing(self) -> list[Missing]:
        every = (getattr(self, own.name) for own in fields(self))
        return [own for own in every if isinstance(own, Missing)]

    def measure(
        self, clip: Sequence[Picture], source: Picture, truth: Sequence[Picture] = ()
    ) -> dict[str, float]:
        """Measures a clip's frames 1 … N against its source and, if given, the true frames."""
        frames = _tensor([source, *clip])
        metrics: dict[str, float] = {}
        if not isinstance(self.clip, Missing):
            metrics["clip_i"] = clip_i(self.clip, frames[1:], frames[:1])
            metrics["frame_consistency"] = frame_consistency(self.clip, frames)
        if not isinstance(self.raft, Missing):
            metrics["warping_error"] = warping_error(self.raft, frames)
            metrics["warping_error_released"] = warping_error(self.raft, frames, released=True)
        if not isinstance(self.alex, Missing):
            metrics["lpips"] = lpips(self.alex, frames[1:], frames[:1])
        if truth and not isinstance(self.vgg, Missing):
            metrics["lpips_disco"] = lpips(self.vgg, frames[1:], _tensor(truth), released=True)
        return metrics

    def extract_features(self, clip: Sequence[Picture]) -> dict[str, NDArray[np.float32]]:
        """Features of frames 1 … N for Fréchet distances, (n, d) each; of windows if the clip is long enough."""
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
