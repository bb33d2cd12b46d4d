"""Model families: every repository id, revision, dtype and device decision.

All families are ordinary diffusers folders of Stable Diffusion 1.5's shape and are read by the same code: `pocket`,
tiny, shipped with the package; `sd15`, Stable Diffusion 1.5 with an OpenPose ControlNet; any folder or repository of
that layout, fine-tunes among them, with a ControlNet of their own or with sd15's.

Notable: no safety checker is loaded. The licence of Stable Diffusion 1.5 restricts uses and doesn't ask for one, frames
show the picture that a person gave, and a false alarm would blacken a clip. Who serves the page to the public answers
for what it is used for (docs/sd15.md).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import ControlNetModel, DDIMScheduler, UNet2DConditionModel
from safetensors import SafetensorError
from transformers import CLIPTextModel, CLIPTokenizer
from transformers.utils.logging import disable_progress_bar

from poseanimate.errors import ModelsError, first_line
from poseanimate.models.dwpose import FILES as DWPOSE_FILES
from poseanimate.models.dwpose import DWPoseDetector
from poseanimate.models.family import Models, factor
from poseanimate.models.hub import Repository, Tell, fetched, network_files, weights_variant
from poseanimate.models.ip_adapter import IPAdapter
from poseanimate.models.pose_detection import DETECTORS, OpenPoseDetector, PoseDetector
from poseanimate.models.segmentation import REMBG_MODELS, RembgSegmenter, Segmenter
from poseanimate.pocket.perception import Perception, PerceptionNet
from poseanimate.pocket.places import WHERE

POCKET = Path(__file__).resolve().parents[1] / "pocket" / "weights"
SD15 = Repository(
    "stable-diffusion-v1-5/stable-diffusion-v1-5", "451f4fe16113bff5a5d2269ed5ad43b0592e9a14"
)
SD15_CONTROLNET = Repository(
    "lllyasviel/control_v11p_sd15_openpose", "9ae9f970358db89e211b87c915f9535c6686d5ba"
)
OPENPOSE = Repository("lllyasviel/Annotators", "982e7edaec38759d914a963c48c4726685de7d96")
OPENPOSE_FILES = ["body_pose_model.pth", "hand_pose_model.pth", "facenet.pth"]
DWPOSE = Repository("yzd-v/DWPose", "1a7144101628d69ee7a3768d1ee3a094070dc388")
IP_ADAPTER = Repository("h94/IP-Adapter", "018e402774aeeddd60609b4ecdb7e298259dc729")
IP_ADAPTER_FOLDER, PERCEPTION_FOLDER = "ip_adapter", "perception"  # of a models folder
INDEX = "model_index.json"
PARTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
PRECISIONS = ("half", "full")
WITHOUT_WEIGHTS = ("tokenizer", "scheduler")
VOCABULARIES = (("tokenizer.json",), ("vocab.json", "merges.txt"))
AUTOENCODERS = ("AutoencoderKL", "AutoencoderDC", "AutoencoderTiny")
UNUSABLE = (OSError, ValueError, LookupError, TypeError, RuntimeError, SafetensorError)
REMEDY = "Name 'pocket', 'sd15', a folder in diffusers' layout (model_index.json, unet/, …), or OWNER/NAME of the hub."
FINGERPRINT_BYTES = 16 << 20


def default_models() -> str:
    """The family that is loaded where none is named: sd15 where there is a GPU, else pocket."""
    return "sd15" if torch.cuda.is_available() else "pocket"


def has_ip_adapter(name: str) -> bool:
    """Whether the models of a name, as `load_models` takes it, have an IP-Adapter; without loading them."""
    if name == "pocket":
        return False
    return not os.path.isdir(name) or os.path.isdir(Path(name) / IP_ADAPTER_FOLDER)


def load_models(
    name: str = "pocket",
    device: str | None = None,
    eyes_device: str | None = None,
    *,
    controlnet: str = "",
    vae: str = "",
    detector: str = "",
    segmenter: str = "",
    precision: str = "",
    tell: Tell = lambda _: None,
) -> Models:
    """Loads a family.

    Args:
        name: "pocket", "sd15", the path of a folder in diffusers' layout, or OWNER/NAME[@REVISION] of the hub.
        device: "cpu" or "cuda"; by default CUDA where it is found. eyes_device: of what looks at pictures; by
            default the same.
        controlnet, vae: folder or repository of one to use instead of the family's own. A family without a
            ControlNet takes sd15's.
        detector, segmenter: keys of `detect.DETECTORS` and of `segment.REMBG_MODELS`; by default the family's own
            eyes, or the first of each.
        precision: "half" or "full"; by default half on a GPU. The pocket networks are always in full, for they are so
            small that half gains nothing.
        tell: is told what is being fetched, and what the models run on.

    Raises:
        ModelsError: there are no such models, they can't be fetched or loaded, or they don't fit together.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    base = _base(name, tell)
    _check_index(base / INDEX, name)
    folders = {part: base / part for part in PARTS}
    if vae:
        folders["vae"] = _network(vae, "vae", tell)
    _check_complete(folders, name)
    folders["controlnet"] = _control(name, base, controlnet, tell)
    _check_complete(folders, name)
    if precision not in ("", *PRECISIONS):
        raise ModelsError(
            f"There is no precision {precision[:80]!r}.", f"Choose one of: {', '.join(PRECISIONS)}."
        )
    half = name != "pocket" and (precision or ("half" if device == "cuda" else "full")) == "half"
    try:
        parts = _parts(folders, torch.float16 if half else torch.float32, device)
        _check_fit(parts)
        eyes = _eyes(base, detector, segmenter, eyes_device or device, tell)
        seen = (*folders.values(), base / PERCEPTION_FOLDER)
        identity = f"{_fingerprint(seen)}{'-half' if half else ''}"
        side = int(parts["unet"].config.sample_size * factor(parts["vae"]))
    except UNUSABLE as error:
        raise ModelsError(
            f"The models {name!r} can't be loaded ({first_line(error)}).", REMEDY
        ) from error
    ip_adapter = None
    if (base / IP_ADAPTER_FOLDER).is_dir():
        ip_adapter = IPAdapter(base / IP_ADAPTER_FOLDER)
    elif has_ip_adapter(name):
        ip_adapter = IPAdapter(IP_ADAPTER)
    shown = Path(name).resolve().name if os.path.isdir(name) else name
    if name != "pocket":
        tell(_where(shown, device, half))
    # an own training of the pocket family is known by its eyes
    places = tuple(WHERE.values()) if (base / PERCEPTION_FOLDER).is_dir() else ()
    return Models(
        shown, identity, side, **parts,
        detector=eyes[0], segmenter=eyes[1], ip_adapter=ip_adapter, places=places,
    )  # fmt: skip


# Where the files are --------------------------------------------------------------------------------


def _base(name: str, tell: Tell) -> Path:
    """The folder that holds a family's networks."""
    if name == "pocket":
        return POCKET
    if name != "sd15" and os.path.isfile(Path(name) / INDEX):  # whatever the name's characters
        return Path(name)
    repository = SD15 if name == "sd15" else Repository.named(name)
    if repository is None or os.path.exists(name):
        raise ModelsError(f"{name!r} is no models folder: it holds no {INDEX}.", REMEDY)

    def wanted(names: list[str]) -> list[str]:
        folders = (*PARTS, "controlnet")
        return [INDEX] + [file for part in folders for file in network_files(names, part)]

    return fetched(repository, wanted, tell)


def _control(name: str, base: Path, other: str, tell: Tell) -> Path:
    """The folder of the ControlNet: another one, the family's own, or sd15's."""
    if other:
        return _network(other, "controlnet", tell)
    if name != "sd15" and (base / "controlnet").is_dir():
        return base / "controlnet"
    return fetched(SD15_CONTROLNET, lambda names: network_files(names, ""), tell)


def _network(name: str, part: str, tell: Tell) -> Path:
    """The folder of one network: named itself, or as part of a family."""
    folder = Path(name)
    if not os.path.isdir(name):
        repository = Repository.named(name)
        if repository is None:
            raise ModelsError(
                f"{name!r} is neither a folder nor a repository.",
                f"Name a folder with the network's config.json, or OWNER/NAME of the hub, for {part}.",
            )
        folder = fetched(
            repository,
            lambda names: network_files(names, part) or network_files(names, ""),
            tell,
        )
    return folder / part if (folder / part).is_dir() else folder


# What they are --------------------------------------------------------------------------------------


def _check_index(index: Path, name: str) -> None:
    try:
        pipeline = str(json.loads(index.read_text(encoding="utf-8"))["_class_name"])
    except UNUSABLE as error:
        raise ModelsError(
            f"The models {name!r} can't be loaded: {INDEX} isn't readable.", REMEDY
        ) from error
    if not pipeline.startswith("StableDiffusion") or "XL" in pipeline or "3" in pipeline:
        raise ModelsError(
            f"The models {name!r} are for {pipeline}, not of Stable Diffusion 1.5's kind.", REMEDY
        )


def _check_complete(folders: dict[str, Path], name: str) -> None:
    for part, folder in folders.items():
        if not folder.is_dir():
            raise ModelsError(f"The models {name!r} are incomplete: {part}/ is missing.", REMEDY)
        if part not in WITHOUT_WEIGHTS and not list(folder.glob("*.safetensors")):
            raise ModelsError(
                f"The models {name!r} are incomplete: {part}/ holds no safetensors.",
                "Start again with a connection to go on fetching; pickled weights aren't read: convert them.",
            )
    tokenizer = folders["tokenizer"]
    if not any(all((tokenizer / file).is_file() for file in files) for files in VOCABULARIES):
        raise ModelsError(
            f"The models {name!r} are incomplete: tokenizer/ holds no vocabulary.",
            "Start again with a connection to go on fetching; it is tokenizer.json, or vocab.json and merges.txt.",
        )


def _parts(folders: dict[str, Path], dtype: torch.dtype, device: str) -> dict[str, Any]:
    config = (folders["vae"] / "config.json").read_text(encoding="utf-8")
    vae_class = json.loads(config)["_class_name"]
    if vae_class not in AUTOENCODERS:
        raise ValueError(f"autoencoder {vae_class} is not one of {', '.join(AUTOENCODERS)}")
    diffusers.utils.logging.disable_progress_bar()
    disable_progress_bar()
    networks = {
        "vae": _loaded(getattr(diffusers, vae_class), folders["vae"], dtype),
        "unet": _loaded(UNet2DConditionModel, folders["unet"], dtype),
        "controlnet": _loaded(ControlNetModel, folders["controlnet"], dtype),
        "text_encoder": _loaded(CLIPTextModel, folders["text_encoder"], dtype),
    }
    for network in networks.values():
        network.to(device).eval().requires_grad_(False)
    return networks | {
        "tokenizer": CLIPTokenizer.from_pretrained(folders["tokenizer"]),
        "scheduler": DDIMScheduler.from_pretrained(folders["scheduler"]),
    }


def _loaded(kind: Any, folder: Path, dtype: torch.dtype) -> Any:
    options = {"use_safetensors": True, "dtype": dtype}
    if kind is not CLIPTextModel:
        # without accelerate diffusers loads that way anyhow, but says so at every network
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
    text = parts["text_encoder"].config.hidden_size
    for name, width in (
        ("U-Net", unet.cross_attention_dim),
        ("ControlNet", control.cross_attention_dim),
    ):
        if width != text:
            raise ValueError(
                f"the {name} takes text of {width} channels, the text encoder gives {text}"
            )
    if tuple(control.block_out_channels) != tuple(unet.block_out_channels):
        raise ValueError("the ControlNet is for another U-Net")
    channels = getattr(parts["vae"].config, "latent_channels", unet.in_channels)
    if unet.in_channels != channels:
        raise ValueError(
            f"the U-Net takes {unet.in_channels} channels, the autoencoder gives {channels}"
        )


def _eyes(
    base: Path, detector: str, segmenter: str, device: str, tell: Tell
) -> tuple[PoseDetector, Segmenter]:
    own = None
    if (base / PERCEPTION_FOLDER).is_dir() and not (detector and segmenter):
        own = Perception(PerceptionNet.load(base / PERCEPTION_FOLDER, device))
    finds: PoseDetector = own if own and not detector else _detector(detector, device, tell)
    cuts = own if own and not segmenter else RembgSegmenter(segmenter or next(iter(REMBG_MODELS)))
    return finds, cuts


def _detector(name: str, device: str, tell: Tell) -> PoseDetector:
    name = name or next(iter(DETECTORS))
    if name not in DETECTORS:
        raise ModelsError(
            f"There is no pose detector {name[:80]!r}.", f"Choose one of: {', '.join(DETECTORS)}."
        )
    family, _, whole = name.partition("-")
    if family == "dwpose":
        folder = fetched(DWPOSE, lambda names: [f for f in names if f in DWPOSE_FILES], tell)
        return DWPoseDetector.load(folder, bool(whole), bool(whole))
    folder = fetched(OPENPOSE, lambda names: [f for f in names if f in OPENPOSE_FILES], tell)
    return OpenPoseDetector.load(str(folder), device, hands=bool(whole), face=bool(whole))


def _fingerprint(folders: Iterable[Path]) -> str:
    """Digest of every file's name, size, beginning and end: weights of gigabytes are not read whole."""
    digest = hashlib.sha256()
    for folder in folders:
        files = folder.iterdir() if folder.is_dir() else ()
        for path in sorted(p for p in files if p.suffix in (".json", ".safetensors", ".txt")):
            size = path.stat().st_size
            with path.open("rb") as file:
                digest.update(f"{folder.name}/{path.name}:{size}".encode())
                digest.update(file.read(FINGERPRINT_BYTES))
                file.seek(max(size - FINGERPRINT_BYTES, 0))
                digest.update(file.read())
    return digest.hexdigest()


def _where(name: str, device: str, half: bool) -> str:
    """What the models run on, and what that means."""
    if device != "cpu":
        return f"{name} runs on {device}, in {'half' if half else 'full'} precision."
    found = "" if torch.cuda.is_available() else ": torch finds no CUDA device"
    return f"{name} runs on the CPU{found}. Stable Diffusion takes hours for a clip there."
