"""Loads the networks of perceptual metrics, from a folder or from where they are published.

A folder holds `clip/` (transformers' layout) and `raft_large`, `alexnet`, `vgg16`, `inception`, `resnet3d` and
`i3d.safetensors`; docs/evaluation.md says how to make them. Files are checked when they are fetched: the hub's
by its client, PyTorch's by the digest in their names. LPIPS' linear layers come with torchmetrics.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.hub import load_state_dict_from_url
from torch.nn.functional import interpolate
from torchvision.models import AlexNet_Weights, VGG16_Weights, WeightsEnum, inception_v3
from torchvision.models.optical_flow import Raft_Large_Weights, raft_large
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

from poseanimate.errors import ModelsError, first_line
from poseanimate.evaluation.metrics.networks import Missing, Networks
from poseanimate.evaluation.metrics.perceptual import Distance, Embed, Features, Flow
from poseanimate.evaluation.metrics.video_networks import InceptionI3d, ResNet3d

CLIP = "openai/clip-vit-base-patch32"
RAFT_MIN_SIDE_PX = 128
INCEPTION_SIDE_PX, RESNET3D_SIDE_PX, I3D_SIDE_PX = 299, 112, 224
KINETICS_MEAN = (114.7748, 107.7354, 99.4750)  # grey levels of red, green and blue
BATCH = 16
EXTRA = ("torchmetrics", "pytorch_fid")  # the packages of the extra `evaluate`


def load_networks(folder: Path | None, device: str | None = None) -> Networks:
    """Loads every network from a folder or, without one, from where it is published.

    Args:
        device: "cpu" or "cuda"; by default CUDA where it is found.

    Raises:
        ModelsError: a package of the extra `evaluate` isn't installed.
    """
    if not all(find_spec(package) for package in EXTRA):
        raise ModelsError(
            "Metrics through networks need the packages of the extra 'evaluate'.",
            "Install them: pip install 'poseanimate[evaluate]'.",
        )
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    return Networks(
        _load_or_explain("CLIP", lambda: _load_clip(folder, device)),
        _load_or_explain("RAFT", lambda: _load_raft(folder, device)),
        _load_or_explain("LPIPS", lambda: _load_lpips(folder, device, "alex")),
        _load_or_explain("LPIPS (VGG)", lambda: _load_lpips(folder, device, "vgg")),
        _load_or_explain("Inception (FID)", lambda: _load_inception(folder, device)),
        _load_or_explain("3D-ResNet (FID-VID)", lambda: _load_resnet3d(folder, device)),
        _load_or_explain("I3D (FVD)", lambda: _load_i3d(folder, device)),
        _digest_files(folder) if folder else {},
    )


def _digest_files(folder: Path) -> dict[str, str]:
    """SHA-256 of every file that a network is loaded from."""
    found = {}
    for path in sorted([*folder.glob("*.safetensors"), *folder.glob("clip/*.*")]):
        if path.is_file():
            with path.open("rb") as file:
                name = path.relative_to(folder).as_posix()
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _load_or_explain(name: str, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except (OSError, ValueError, RuntimeError, LookupError, SafetensorError) as error:
        return Missing(name, f"can't be loaded ({first_line(error)})")


def _prepare(network: nn.Module, weights: dict[str, Tensor], device: str) -> nn.Module:
    network.load_state_dict(weights)
    return network.to(device).eval().requires_grad_(False)


def _load_clip(folder: Path | None, device: str) -> Embed:
    source = str(folder / "clip") if folder else CLIP
    if folder and not (folder / "clip").is_dir():
        raise FileNotFoundError("there is no folder clip in the folder")
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


def _load_lpips(folder: Path | None, device: str, backbone: Literal["alex", "vgg"]) -> Distance:
    from torchmetrics.functional.image.lpips import _LPIPS

    file, weights = BACKBONES[backbone]
    fetch = partial(weights.get_state_dict, progress=False, check_hash=True)
    published = _read_file(folder, file) if folder else fetch()
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


def _load_raft(folder: Path | None, device: str) -> Flow:
    if folder:
        weights = _read_file(folder, "raft_large")
    else:  # trained on chairs and things, as EvalCrafter's
        published = Raft_Large_Weights.C_T_V2
        weights = published.get_state_dict(progress=False, check_hash=True)
    network = _prepare(raft_large(weights=None, progress=False), weights, device)

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
        return interpolate(found, size=(height, width), mode="area").to(one.device) / factor

    return flow


def _load_inception(folder: Path | None, device: str) -> Features:
    """Inception v3 as FID has it, with the blocks and the weights of the TensorFlow model (pytorch-fid)."""
    from pytorch_fid import inception as fid

    blocks: dict[str, type[nn.Module]] = {  # only their pooling differs
        **dict.fromkeys(("Mixed_5b", "Mixed_5c", "Mixed_5d"), fid.FIDInceptionA),
        **dict.fromkeys(("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"), fid.FIDInceptionC),
        "Mixed_7b": fid.FIDInceptionE_1,
        "Mixed_7c": fid.FIDInceptionE_2,
    }
    if folder:
        weights = _read_file(folder, "inception")
    else:
        weights = load_state_dict_from_url(
            fid.FID_WEIGHTS_URL,
            progress=False,
            check_hash=True,
            map_location="cpu",
            weights_only=True,
        )
    network = inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False)
    for name, block in blocks.items():
        network.get_submodule(name).__class__ = block
    network = _prepare(network, weights, device)
    network.fc = nn.Identity()  # the features are what the classifier would see

    def prepare(frames: Tensor) -> Tensor:
        size = (INCEPTION_SIDE_PX,) * 2
        return 2 * interpolate(frames, size=size, mode="bilinear", align_corners=False) - 1

    return _make_extractor(network, prepare, device)


def _load_resnet3d(folder: Path | None, device: str) -> Features:
    network = _prepare(ResNet3d(), _read_weights(folder, "resnet3d", "fc."), device)
    mean = torch.tensor(KINETICS_MEAN).view(1, 3, 1, 1, 1)
    return _make_extractor(
        network, lambda x: 255 * _resize_windows(x, RESNET3D_SIDE_PX) - mean, device
    )


def _load_i3d(folder: Path | None, device: str) -> Features:
    network = _prepare(InceptionI3d(), _read_weights(folder, "i3d"), device)
    return _make_extractor(network, lambda x: 2 * _resize_windows(x, I3D_SIDE_PX) - 1, device)


def _read_file(folder: Path, name: str) -> dict[str, Tensor]:
    path = folder / f"{name}.safetensors"
    if not path.exists():
        raise FileNotFoundError(f"there is no {path.name} in the folder")
    return load_file(path)


def _read_weights(folder: Path | None, name: str, without: str | None = None) -> dict[str, Tensor]:
    """Weights without those whose names begin with `without`."""
    if folder is None:
        raise LookupError("it is published as a pickle without a digest only; use a folder")
    weights = _read_file(folder, name)
    return {k: v for k, v in weights.items() if without is None or not k.startswith(without)}


def _resize_windows(windows: Tensor, side: int) -> Tensor:
    """(n, t, 3, H, W) -> (n, 3, t, side, side), by Pillow's bicubic filter as DisCo's evaluation does."""
    frames = interpolate(
        windows.flatten(0, 1),
        size=(side, side),
        mode="bicubic",
        antialias=True,
        align_corners=False,
    )
    return frames.unflatten(0, windows.shape[:2]).transpose(1, 2)


def _make_extractor(
    network: nn.Module, prepare: Callable[[Tensor], Tensor], device: str
) -> Features:
    @torch.no_grad()
    def features(x: Tensor) -> Tensor:
        return torch.cat([network(prepare(part).to(device)).cpu() for part in x.split(BATCH)])

    return features
