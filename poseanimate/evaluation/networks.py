"""The networks that `learned` looks through, from a folder or the hub; what can't be had says why.

A folder holds `clip/` (transformers' layout, safetensors), and `raft_large`, `alexnet` and `vgg16.safetensors`
(torchvision's names). Files that are fetched are checked: the hub's by its client, torchvision's by the digest in
their names. LPIPS' linear layers come with torchmetrics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import interpolate
from torchmetrics.functional.image.lpips import _LPIPS
from torchvision.models import AlexNet_Weights, VGG16_Weights, WeightsEnum
from torchvision.models.optical_flow import Raft_Large_Weights, raft_large
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

from poseanimate.evaluation.learned import (
    Distance,
    Embed,
    Flow,
    clip_i,
    frame_consistency,
    lpips,
    warping_error,
)
from poseanimate.evaluation.metrics import Picture

CLIP = "openai/clip-vit-base-patch32"
RAFT_MIN_SIDE_PX = 128
BATCH = 16


@dataclass(frozen=True)
class Missing:
    """A network that can't be had, and why; figures that need it are reported as missing, never as a number."""

    reason: str


@dataclass(frozen=True)
class Networks:
    """What figures may look through."""

    clip: Embed | Missing = Missing("CLIP was not asked for; name a folder of networks, or 'hub'")
    raft: Flow | Missing = Missing("RAFT was not asked for; name a folder of networks, or 'hub'")
    alex: Distance | Missing = Missing(
        "LPIPS was not asked for; name a folder of networks, or 'hub'"
    )
    vgg: Distance | Missing = Missing(
        "LPIPS (VGG) was not asked for; name a folder of networks, or 'hub'"
    )

    @property
    def missing(self) -> tuple[str, ...]:
        """Why what can't be had can't be had."""
        every = (self.clip, self.raft, self.alex, self.vgg)
        return tuple(n.reason for n in every if isinstance(n, Missing))

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


def load_networks(folder: Path | None, device: str = "cpu") -> Networks:
    """Every network from a folder, or, without one, from where it is published."""
    return Networks(
        _tried("CLIP", lambda: _clip(folder, device)),
        _tried("RAFT", lambda: _raft(folder, device)),
        _tried("LPIPS", lambda: _lpips(folder, device, "alex")),
        _tried("LPIPS (VGG)", lambda: _lpips(folder, device, "vgg")),
    )


def _tensor(pictures: Sequence[Picture]) -> Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255


def _tried(name: str, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except (OSError, ValueError, RuntimeError, LookupError, SafetensorError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        return Missing(f"{name} can't be loaded ({first})")


def _clip(folder: Path | None, device: str) -> Embed:
    source = str(folder / "clip") if folder else CLIP
    if folder and not (folder / "clip").is_dir():
        raise FileNotFoundError(f"there is no folder clip in {folder.name}")
    network = CLIPVisionModelWithProjection.from_pretrained(source, use_safetensors=True)
    processor = CLIPImageProcessor.from_pretrained(source)
    network.to(device).eval().requires_grad_(False)

    @torch.no_grad()
    def embed(frames: Tensor) -> Tensor:
        pictures = list((frames * 255).round().to(torch.uint8).cpu())
        parts = [
            network(
                **processor(pictures[i : i + BATCH], return_tensors="pt").to(device)
            ).image_embeds
            for i in range(0, len(pictures), BATCH)
        ]
        return torch.cat(parts)

    return embed


BACKBONES: dict[str, tuple[str, WeightsEnum]] = {
    "alex": ("alexnet", AlexNet_Weights.IMAGENET1K_V1),
    "vgg": ("vgg16", VGG16_Weights.IMAGENET1K_V1),
}


def _lpips(folder: Path | None, device: str, backbone: Literal["alex", "vgg"]) -> Distance:
    file, weights = BACKBONES[backbone]
    if folder:
        published = load_file(folder / f"{file}.safetensors")
    else:
        published = weights.get_state_dict(progress=False, check_hash=True)
    network = _LPIPS(net=backbone, pnet_rand=True)
    # the backbone is cut into slices that keep torchvision's numbers: slice2.5.weight is features.5.weight
    names = {
        name: ".".join(["features", *name.split(".")[1:]]) for name in network.net.state_dict()
    }
    network.net.load_state_dict({name: published[own] for name, own in names.items()})
    network.to(device).eval().requires_grad_(False)

    @torch.no_grad()
    def distance(one: Tensor, other: Tensor) -> Tensor:
        found: Tensor = network(one.to(device), other.to(device))
        return found.flatten()

    return distance


def _raft(folder: Path | None, device: str) -> Flow:
    network = raft_large(weights=None, progress=False)
    if folder:
        network.load_state_dict(load_file(folder / "raft_large.safetensors"))
    else:
        weights = Raft_Large_Weights.C_T_V2  # trained on chairs and things, as EvalCrafter's
        network.load_state_dict(weights.get_state_dict(progress=False, check_hash=True))
    network.to(device).eval().requires_grad_(False)

    @torch.no_grad()
    def flow(one: Tensor, other: Tensor) -> Tensor:
        """Pictures that are too small for the network's pyramid are enlarged, and the flow reduced again."""
        height, width = one.shape[2:]
        factor = max(1, -(-RAFT_MIN_SIDE_PX // min(height, width)))
        large = [
            interpolate(x.to(device), scale_factor=factor, mode="bilinear", align_corners=False)
            for x in (one, other)
        ]
        found: Tensor = network(*large, num_flow_updates=20)[-1]
        return interpolate(found, size=(height, width), mode="area") / factor

    return flow
