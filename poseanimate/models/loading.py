"""Loading a model family: dtype and device, the networks, and whether they fit together.

Notable: no safety checker is loaded. The licence of Stable Diffusion 1.5 restricts uses and doesn't ask for one, frames
show the picture that a person gave, and a false alarm would blacken a clip. Whoever serves the page to the public is
responsible for its use (docs/sd15.md).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import ControlNetModel, DDIMScheduler, UNet2DConditionModel
from diffusers.loaders.single_file_utils import (
    convert_ldm_clip_checkpoint,
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
)
from safetensors import SafetensorError, safe_open
from torch import nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer
from transformers.utils.logging import disable_progress_bar

from poseanimate.errors import ModelsError, first_line
from poseanimate.models import files
from poseanimate.models.family import Models
from poseanimate.models.files import (
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
from poseanimate.models.weight_files import PREFIXES, Checkpoint, Lora, parse_loras
from poseanimate.pocket.characters import draw_character
from poseanimate.pocket.places import WHERE

UNUSABLE = (*files.UNUSABLE, RuntimeError, SafetensorError)
FINGERPRINT_BYTES = 16 << 20
CHANGED_BY_LORA = ("unet", "text_encoder")
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
    check_names(detector, segmenter, precision)
    loras = parse_loras(lora, on_message)
    found = find_files(name, controlnet=controlnet, vae=vae, on_message=on_message)
    check_loras(loras, found)
    half = name != "pocket" and (precision or ("half" if device == "cuda" else "full")) == "half"
    try:
        dtype = torch.float16 if half else torch.float32
        parts = _load_parts(found, loras, dtype, device, weights)
        _check_fit(parts)
        finds, cuts, world = load_eyes(
            found, inputs_device or device, detector, segmenter, on_message
        )
        identity = f"{_fingerprint(found, loras)}{'-half' if half else ''}"
    except UNUSABLE as error:
        raise ModelsError(
            f"The models {name!r} can't be loaded ({first_line(error)}).", REMEDY
        ) from error
    ip_adapter = None if found.ip_adapter is None else IPAdapter(found.ip_adapter)
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


def check_loras(loras: Sequence[Lora], found: ModelFiles) -> None:
    """Raises ModelsError where a family takes no LoRA."""
    if loras and "text_encoder_2" in found.parts:
        raise ModelsError(
            "LoRA are read for Stable Diffusion 1.5 alone, not for XL.", "Leave --lora out."
        )


def _load_parts(
    found: ModelFiles, loras: Sequence[Lora], dtype: torch.dtype, device: str, weights: bool
) -> dict[str, Any]:
    folders, checkpoint = found.parts, found.checkpoint
    diffusers.utils.logging.disable_progress_bar()
    disable_progress_bar()
    kinds = {
        "vae": getattr(diffusers, read_config(folders["vae"])["_class_name"]),
        "unet": UNet2DConditionModel,
        "text_encoder": CLIPTextModel,
        "text_encoder_2": CLIPTextModelWithProjection,
        "controlnet": ControlNetModel,
    }
    networks: dict[str, Any] = {}
    for name, kind in kinds.items():
        if name not in folders:
            continue
        if not weights and name != "vae":
            networks[name] = _load_shapes(kind, folders[name], dtype)
            continue
        if checkpoint is not None and name in checkpoint.parts:
            networks[name] = _load_from_checkpoint(checkpoint, name, kind, folders[name], dtype)
        else:
            networks[name] = _load_network(kind, folders[name], dtype)
        if not (loras and name in CHANGED_BY_LORA):  # at once, so that main memory holds one
            networks[name].to(device)
    if weights and loras:
        fuse_loras(networks, loras)
        for name in CHANGED_BY_LORA:
            networks[name].to(device)
    for network in networks.values():
        network.eval().requires_grad_(False)
    tokenizers = {
        name: CLIPTokenizer.from_pretrained(folders[name])
        for name in ("tokenizer", "tokenizer_2")
        if name in folders
    }
    scheduler = DDIMScheduler.from_pretrained(folders["scheduler"])
    return networks | tokenizers | {"scheduler": scheduler}


def _load_from_checkpoint(
    checkpoint: Checkpoint, name: str, kind: Any, folder: Path, dtype: torch.dtype
) -> Any:
    """A network out of a file in the layout of Stable Diffusion's authors.

    By the conversions of diffusers' `from_single_file`, which itself leaves random numbers where a tensor is missing.
    """
    with safe_open(checkpoint.path, framework="pt") as file:
        own = [key for key in file.keys() if key.startswith(PREFIXES[name])]  # noqa: SIM118
        tensors = {_current_name(key): file.get_tensor(key) for key in own}
    if name == "text_encoder":
        network = kind(kind.config_class.from_pretrained(folder))
        converted = convert_ldm_clip_checkpoint(tensors)
        if not hasattr(network, "text_model"):  # which newer versions of transformers do without
            converted = {key.removeprefix("text_model."): each for key, each in converted.items()}
    else:
        config = kind.load_config(folder)
        network = kind.from_config(config)
        convert = convert_ldm_unet_checkpoint if name == "unet" else convert_ldm_vae_checkpoint
        converted = convert(tensors, config)
    missing, _ = network.load_state_dict(converted, strict=False)
    if missing:
        raise ValueError(
            f"the checkpoint lacks {len(missing)} tensors of the {name}, {missing[0]} for one"
        )
    return nn.Module.to(network, dtype)  # their own warns of what it leaves alone


def _current_name(key: str) -> str:
    """A tensor's name; some checkpoints name the text encoder's as an older transformers did."""
    prefix = PREFIXES["text_encoder"]
    if key.startswith(prefix) and not key.startswith(f"{prefix}text_model."):
        return f"{prefix}text_model.{key.removeprefix(prefix)}"
    return key


def _load_shapes(kind: Any, folder: Path, dtype: torch.dtype) -> Any:
    """A network without weights, which take no memory and can't be computed with."""
    with torch.device("meta"):
        if kind in TEXT_ENCODERS:
            network = kind(kind.config_class.from_pretrained(folder))
        else:
            network = kind.from_config(kind.load_config(folder))
        return nn.Module.to(network, dtype)  # their own warns of what it leaves alone


def _load_network(kind: Any, folder: Path, dtype: torch.dtype) -> Any:
    options = {"use_safetensors": True, "dtype": dtype}
    if kind not in TEXT_ENCODERS:
        # the other way needs accelerate, and says so at every network where it is missing
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
    if found.zero_when_empty:
        digest.update(b"zero when empty")
    paths: list[Path] = []
    folders = {**found.parts, PERCEPTION_FOLDER: found.base / PERCEPTION_FOLDER}
    for name, folder in folders.items():
        inside = folder.iterdir() if folder.is_dir() else ()
        read = [".json", ".txt", ".safetensors"]
        if found.checkpoint is not None and name in found.checkpoint.parts:
            read.pop()  # others' weights may lie there
        paths += sorted(path for path in inside if path.suffix in read)
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
