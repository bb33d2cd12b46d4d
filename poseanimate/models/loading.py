"""Loading a model family: dtype and device, the networks, and whether they fit together.

Notable: no safety checker is loaded. The licence of Stable Diffusion 1.5 restricts uses and doesn't ask for one, frames
show the picture that a person gave, and a false alarm would blacken a clip. Whoever serves the page to the public is
responsible for its use (docs/sd15.md).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    DDIMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from safetensors import SafetensorError
from torch import nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer
from transformers.utils.logging import disable_progress_bar

from poseanimate.errors import ModelsError, first_line
from poseanimate.models import files
from poseanimate.models.family import Models
from poseanimate.models.files import (
    IP_ADAPTER,
    IP_ADAPTER_FOLDER,
    PERCEPTION_FOLDER,
    REMEDY,
    ModelFiles,
    find_files,
    read_config,
)
from poseanimate.models.hub import OnMessage, weights_variant
from poseanimate.models.input_models import check_names, load_eyes
from poseanimate.models.ip_adapter import IPAdapter
from poseanimate.models.lora import fuse_loras
from poseanimate.models.weight_files import Checkpoint, Lora, parse_loras
from poseanimate.pocket.characters import draw_character
from poseanimate.pocket.places import WHERE

UNUSABLE = (*files.UNUSABLE, RuntimeError, SafetensorError)
FINGERPRINT_BYTES = 16 << 20
TEXT_ENCODERS = (CLIPTextModel, CLIPTextModelWithProjection)


def load_models(
    name: str = "pocket",
    device: str | None = None,
    inputs_device: str | None = None,
    *,
    controlnet: str = "",
    vae: str = "",
    detector: str = "",
    segmenter: str = "",
    precision: str = "",
    lora: str = "",
    weights: bool = True,
    on_message: OnMessage = lambda _: None,
) -> Models:
    """Loads a family.

    Args:
        name: "pocket", "sd15", "sdxl", the path of a folder in diffusers' layout or of a checkpoint's .safetensors, or
            OWNER/NAME[@REVISION][/FILE] of the hub.
        device: "cpu" or "cuda"; by default CUDA where there is a GPU. inputs_device: of detector and segmenter; by
            default the same.
        controlnet, vae: folder or repository of one to use instead of the family's own. A family without a
            ControlNet takes that of sd15 or sdxl.
        detector, segmenter: keys of `pose_detection.DETECTORS` and of `segmentation.SEGMENTERS`; by default
            see `input_models.load_eyes`.
        precision: "half" or "full"; by default half on a GPU. The pocket networks are always in full: they are so
            small that half gains nothing.
        lora: FILE[:WEIGHT] of LoRA that are added to the weights, several with commas.
        weights: whether the networks that only a run needs get their weights. Without, they know their shapes alone,
            which a forecast needs: they are on torch's meta device. The autoencoder is always loaded.
        on_message: receives sentences about downloads and about what the models run on.

    Raises:
        ModelsError: there are no such models, they can't be downloaded or loaded, or they don't fit together.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    found = find_files(name, controlnet=controlnet, vae=vae, on_message=on_message)
    check_names(detector, segmenter, precision)
    loras = parse_loras(lora, on_message)
    half = name != "pocket" and (precision or ("half" if device == "cuda" else "full")) == "half"
    try:
        dtype = torch.float16 if half else torch.float32
        parts = _load_parts(found, dtype, device, weights)
        _check_fit(parts)
        if weights:
            fuse_loras(parts, loras)
        finds, cuts, world = load_eyes(
            found, inputs_device or device, detector, segmenter, on_message
        )
        identity = f"{_fingerprint(found, loras)}{'-half' if half else ''}"
    except UNUSABLE as error:
        raise ModelsError(
            f"The models {name!r} can't be loaded ({first_line(error)}).", REMEDY
        ) from error
    ip_adapter = None
    if (found.base / IP_ADAPTER_FOLDER).is_dir():
        ip_adapter = IPAdapter(found.base / IP_ADAPTER_FOLDER)
    elif not os.path.isdir(name) and found.family not in ("pocket", "sdxl"):
        ip_adapter = IPAdapter(IP_ADAPTER)
    if name != "pocket" and inputs_device != device:  # else they only look at inputs here
        on_message(_describe_device(found.name, device, half))
    # one's own training of the pocket family is recognised by its perception network
    is_pocket = found.perception is not None
    places = tuple(WHERE.values()) if is_pocket else ()
    return Models(
        found.name, identity, found.side, **parts,
        detector=finds, segmenter=cuts, world=world, ip_adapter=ip_adapter, places=places,
        draw_character=draw_character if is_pocket else None, family=found.family,
        zero_when_empty=found.zero_when_empty, thick_skeletons=found.family == "sdxl",
    )  # fmt: skip


def _load_parts(
    found: ModelFiles, dtype: torch.dtype, device: str, weights: bool
) -> dict[str, Any]:
    folders = found.parts
    diffusers.utils.logging.disable_progress_bar()
    disable_progress_bar()
    networks: dict[str, Any] = {}
    if found.checkpoint is not None:
        networks = _load_checkpoint(found.checkpoint, found, dtype, weights)
    vae_class = getattr(diffusers, read_config(folders["vae"])["_class_name"])
    for name, kind in (
        ("vae", vae_class),
        ("unet", UNet2DConditionModel),
        ("controlnet", ControlNetModel),
        ("text_encoder", CLIPTextModel),
        ("text_encoder_2", CLIPTextModelWithProjection),
    ):
        if name not in networks and name in folders:
            load = _load_network if weights or name == "vae" else _load_shapes
            networks[name] = load(kind, folders[name], dtype)
    for network in networks.values():
        network.eval().requires_grad_(False)
        if weights or network is networks["vae"]:
            network.to(device)
    tokenizers = {
        name: CLIPTokenizer.from_pretrained(folders[name])
        for name in ("tokenizer", "tokenizer_2")
        if name in folders
    }
    scheduler = DDIMScheduler.from_pretrained(folders["scheduler"])
    return networks | tokenizers | {"scheduler": scheduler}


def _load_checkpoint(
    checkpoint: Checkpoint, found: ModelFiles, dtype: torch.dtype, weights: bool
) -> dict[str, Any]:
    """The networks whose weights are in a checkpoint; without weights its autoencoder alone."""
    file, own_vae = checkpoint.path, found.parts["vae"] == found.base / "vae"
    options: dict[str, Any] = {
        "config": str(found.base),
        "local_files_only": True,
        # without accelerate diffusers loads that way anyhow, but says so at every network
        "low_cpu_mem_usage": False,
    }
    networks: dict[str, Any] = {}
    if own_vae:
        networks["vae"] = AutoencoderKL.from_single_file(str(file), subfolder="vae", **options)
    if weights:
        left_out = ("vae", "tokenizer", "scheduler", "safety_checker", "feature_extractor")
        pipeline = StableDiffusionPipeline.from_single_file(
            str(file), **options, **dict.fromkeys(left_out), requires_safety_checker=False
        )
        networks |= {"unet": pipeline.unet, "text_encoder": pipeline.text_encoder}
    for name, network in networks.items():
        if (
            missing := len(network.state_dict()) - checkpoint.tensors[name]
        ) > 0:  # they would be random
            raise ValueError(f"the checkpoint lacks {missing} tensors of the {name}")
        nn.Module.to(network, dtype)  # their own warns of what it leaves alone
    return networks


def _load_shapes(kind: Any, folder: Path, dtype: torch.dtype) -> Any:
    """A network without weights, which take no memory and can't be computed with."""
    with torch.device("meta"):
        if kind in TEXT_ENCODERS:
            network = kind(kind.config_class.from_pretrained(folder))
        else:
            network = kind.from_config(kind.load_config(folder))
        return nn.Module.to(network, dtype)  # as above


def _load_network(kind: Any, folder: Path, dtype: torch.dtype) -> Any:
    options = {"use_safetensors": True, "dtype": dtype}
    if kind not in TEXT_ENCODERS:
        # as above
        options["low_cpu_mem_usage"] = False
    network, found = kind.from_pretrained(
        folder,
        variant=weights_variant(os.listdir(folder)),
        output_loading_info=True,
        **options,
    )
    if missing := sorted(found["missing_keys"]):  # they would be random
        raise ValueError(
            f"the weights of {kind.__name__} lack {len(missing)} of its tensors, {missing[0]} for one"
        )
    return network


def _check_fit(parts: dict[str, Any]) -> None:
    """Raises ValueError where networks don't fit together, or not the method."""
    unet, control = parts["unet"].config, parts["controlnet"].config
    predicts = parts["scheduler"].config.prediction_type
    if predicts != "epsilon":
        raise ValueError(
            f"they predict {predicts!r}, but the method needs models that predict noise"
        )
    text = sum(
        parts[name].config.hidden_size
        for name in ("text_encoder", "text_encoder_2")
        if name in parts
    )
    for name, width in (
        ("U-Net", unet.cross_attention_dim),
        ("ControlNet", control.cross_attention_dim),
    ):
        if width != text:
            raise ValueError(
                f"the {name} takes text of {width} channels, the text encoders give {text}"
            )
    if tuple(control.block_out_channels) != tuple(unet.block_out_channels):
        raise ValueError("the ControlNet is for another U-Net")
    channels = getattr(parts["vae"].config, "latent_channels", unet.in_channels)
    if unet.in_channels != channels:
        raise ValueError(
            f"the U-Net takes {unet.in_channels} channels, the autoencoder gives {channels}"
        )


def _fingerprint(found: ModelFiles, loras: Iterable[Lora]) -> str:
    """Digest of every file's name, size, beginning and end: weights of gigabytes are not read whole."""
    digest = hashlib.sha256()
    paths: list[Path] = []
    for folder in (*found.parts.values(), found.base / PERCEPTION_FOLDER):
        inside = folder.iterdir() if folder.is_dir() else ()
        paths += sorted(p for p in inside if p.suffix in (".json", ".safetensors", ".txt"))
    if found.checkpoint is not None:
        paths.append(found.checkpoint.path)
    for lora in loras:
        digest.update(f"{lora.weight:g} of the next".encode())
        paths.append(lora.path)
    for path in paths:
        size = path.stat().st_size
        with path.open("rb") as file:
            digest.update(f"{path.parent.name}/{path.name}:{size}".encode())
            digest.update(file.read(FINGERPRINT_BYTES))
            file.seek(max(size - FINGERPRINT_BYTES, 0))
            digest.update(file.read())
    return digest.hexdigest()


def _describe_device(name: str, device: str, half: bool) -> str:
    """What the models run on, and what that means."""
    if device != "cpu":
        return f"{name} runs on {device}, in {'half' if half else 'full'} precision."
    found = "" if torch.cuda.is_available() else ": torch finds no CUDA device"
    return f"{name} runs on the CPU{found}. Stable Diffusion takes hours for a clip there."
