"""Where a model family's files are: every repository id and revision, and checks that need no network.

All families are diffusers folders and are read by the same code: `pocket`, tiny, shipped with the package; `sd15` and
`sdxl`, Stable Diffusion 1.5 and XL with an OpenPose ControlNet; any folder or repository of their layouts, such as a
fine-tune, with its own ControlNet or theirs. A fine-tune of 1.5 may also be one file in the layout of Stable
Diffusion's authors; what is not in it, such as the vocabulary, is sd15's.

Notable: torch isn't imported here, so a wrong name is refused at once.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from poseanimate.errors import ModelsError, first_line
from poseanimate.models.hub import SMALL, OnMessage, Repository, fetch, network_files
from poseanimate.models.weight_files import Checkpoint, find_checkpoint, is_hub_file, is_weight_file
from poseanimate.settings import FAMILIES, UNKNOWN

POCKET = Path(__file__).resolve().parents[1] / "pocket" / "weights"
SD15 = Repository(
    "stable-diffusion-v1-5/stable-diffusion-v1-5", "451f4fe16113bff5a5d2269ed5ad43b0592e9a14"
)
SD15_CONTROLNET = Repository(
    "lllyasviel/control_v11p_sd15_openpose", "9ae9f970358db89e211b87c915f9535c6686d5ba"
)
SDXL = Repository(
    "stabilityai/stable-diffusion-xl-base-1.0", "462165984030d82259a11f4367a4eed129e94a7b"
)
SDXL_CONTROLNET = Repository(
    "xinsir/controlnet-openpose-sdxl-1.0", "23f966cd5cfdd3f7729c903e243d87152162d2b7"
)
# the autoencoder of the base overflows in half precision
SDXL_VAE = "madebyollin/sdxl-vae-fp16-fix@207b116dae70ace3637169f1ddd2434b91b3a8cd"
HUB = {"sd15": SD15, "sdxl": SDXL}
OPENPOSE = Repository("lllyasviel/Annotators", "982e7edaec38759d914a963c48c4726685de7d96")
OPENPOSE_FILES = ["body_pose_model.pth", "hand_pose_model.pth", "facenet.pth"]
DWPOSE = Repository("yzd-v/DWPose", "1a7144101628d69ee7a3768d1ee3a094070dc388")
IP_ADAPTER = Repository("h94/IP-Adapter", "018e402774aeeddd60609b4ecdb7e298259dc729")
IP_ADAPTER_FOLDER, PERCEPTION_FOLDER = "ip_adapter", "perception"  # of a models folder
INDEX = "model_index.json"
PARTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
SECOND_PARTS = ("text_encoder_2", "tokenizer_2")  # of Stable Diffusion XL
SDXL_PIPELINE = "StableDiffusionXLPipeline"
VOCABULARIES = (("tokenizer.json",), ("vocab.json", "merges.txt"))
AUTOENCODERS = ("AutoencoderKL", "AutoencoderDC", "AutoencoderTiny")
# what published names say of ControlNets for other things than poses
_OTHER_CONTROLNET = re.compile(
    r"(?:^|[-_])(canny|depth|hed|inpaint|ip2p|lineart|lineart_anime|mlsd|normal|normalbae|qrcode|scribble|seg|shuffle|"
    r"softedge|tile|union)(?:[-_.]|$)"
)
WITHOUT_WEIGHTS = ("tokenizer", "tokenizer_2", "scheduler")
UNUSABLE = (OSError, ValueError, LookupError, TypeError)
REMEDY = (
    "Name 'pocket', 'sd15', 'sdxl', a folder in diffusers' layout (model_index.json, unet/, …), a checkpoint's "
    ".safetensors, or OWNER/NAME of the hub."
)


@dataclass(frozen=True)
class ModelFiles:
    """The folders of a family.

    name: of the family, for people. family: one of `settings.FAMILIES`, or "unknown". base: the folder of the family.
    parts: the folders of its networks, tokenizer and scheduler by name. checkpoint: the file that holds the weights
    of the networks whose folders hold none, if there is one. side: of the square pictures that the family was trained
    on, px. factor: how many pixels a side of a latent covers. scale: how many times as wide a decoded picture is as an
    encoded one. zero_when_empty: whether the empty prompt's embedding is zero. ip_adapter: where the family's
    IP-Adapter is, if it has one.
    """

    name: str
    family: str
    base: Path
    parts: Mapping[str, Path]
    side: int
    factor: int
    scale: int
    checkpoint: Checkpoint | None = None
    zero_when_empty: bool = False
    ip_adapter: Path | Repository | None = None

    @property
    def perception(self) -> Path | None:
        """The folder of the family's own detector and segmenter, if it has them."""
        folder = self.base / PERCEPTION_FOLDER
        return folder if folder.is_dir() else None


def default_models() -> str:
    """The family that is loaded where none is named: sd15 where there is a GPU, else pocket."""
    return "sd15" if has_gpu() else "pocket"


def has_gpu() -> bool:
    """Whether torch finds a GPU. Without a driver it can't, so torch isn't imported to ask."""
    if "torch" not in sys.modules and not _has_gpu_driver():
        return False
    import torch

    return torch.cuda.is_available()


def find_family(name: str) -> str:
    """The family of a name, as `load_models` takes it: one of `settings.FAMILIES`, or "unknown".

    Raises:
        ModelsError: a repository of the hub can't be used; its small files are fetched.
    """
    if name in FAMILIES:
        return name
    if is_weight_file(name):
        return "sd15"  # other checkpoints are refused
    base = Path(name)
    if not os.path.isdir(name):  # whatever its autoencoder is
        base = _find_base(name, weights=False, other_vae=True, on_message=lambda _: None)
    try:
        return _family(base, read_config(base / "unet"))
    except UNUSABLE:
        return UNKNOWN


def _family(base: Path, unet: Mapping[str, Any]) -> str:
    width = unet.get("cross_attention_dim") if unet.get("in_channels") == 4 else None
    if width == 768:
        return "sd15"
    if width == 2048 and unet.get("addition_embed_type") == "text_time":
        return "sdxl"
    # one's own training of the pocket family is recognised by its perception network
    return "pocket" if (base / PERCEPTION_FOLDER).is_dir() else UNKNOWN


def find_files(
    name: str,
    *,
    controlnet: str = "",
    vae: str = "",
    weights: bool = True,
    on_message: OnMessage = lambda _: None,
) -> ModelFiles:
    """Finds a family's files, and downloads those that are missing.

    Args:
        name, controlnet, vae: see `loading.load_models`.
        weights: whether the networks will be loaded; otherwise only what tells the sizes is fetched and checked.
        on_message: receives sentences about downloads.

    Raises:
        ModelsError: there are no such models, they are incomplete, or they can't be downloaded.
    """
    checkpoint: Checkpoint | None = None
    elsewhere: tuple[str, ...] = WITHOUT_WEIGHTS
    if is_weight_file(name):
        # of the hub's it is fetched when it is needed
        if weights or not is_hub_file(name):
            checkpoint = find_checkpoint(name, not vae, on_message)
            elsewhere += checkpoint.parts
        base = fetch(SD15, _choose_small, on_message)
    else:
        vae = vae or (SDXL_VAE if name == "sdxl" else "")
        base = _find_base(name, weights, bool(vae), on_message)
    index = _read_index(base / INDEX, name)
    is_xl = index["_class_name"] == SDXL_PIPELINE
    parts = {part: base / part for part in (*PARTS, *(SECOND_PARTS if is_xl else ()))}
    if vae:
        parts["vae"] = _find_network(vae, "vae", weights, on_message)
    if weights:
        _check_complete(parts, name, elsewhere)
        usual = SDXL_CONTROLNET if is_xl else SD15_CONTROLNET
        parts["controlnet"] = _find_controlnet(name, base, controlnet, usual, on_message)
        _check_complete(parts, name, elsewhere)
    try:
        unet, autoencoder = (read_config(parts[part]) for part in ("unet", "vae"))
        kind = autoencoder["_class_name"]
        if kind not in AUTOENCODERS:
            raise ValueError(f"autoencoder {kind} is not one of {', '.join(AUTOENCODERS)}")
        factor, scale = latent_factor(autoencoder), painted_scale(autoencoder)
        side = int(unet["sample_size"] * factor)
    except UNUSABLE as error:
        raise ModelsError(
            f"The models {name!r} can't be loaded ({first_line(error)}).", REMEDY
        ) from error
    shown = Path(name).resolve().name if os.path.isdir(name) else name
    if is_weight_file(name):
        shown = Path(name).stem
    if checkpoint is not None and checkpoint.channels != unet["in_channels"]:
        raise ModelsError(
            f"{checkpoint.path.name!r} takes latents of {checkpoint.channels} channels: it is for inpainting or "
            "editing.",
            "Choose the ordinary version of the checkpoint.",
        )
    empty = bool(is_xl and index.get("force_zeros_for_empty_prompt", True))  # diffusers' default
    family = _family(base, unet)
    return ModelFiles(
        shown, family, base, parts, side, factor, scale, checkpoint, empty,
        _find_ip_adapter(name, base, family),
    )  # fmt: skip


def _find_ip_adapter(name: str, base: Path, family: str) -> Path | Repository | None:
    if (base / IP_ADAPTER_FOLDER).is_dir():
        return base / IP_ADAPTER_FOLDER
    is_folder = name not in FAMILIES and os.path.isdir(name)
    return None if is_folder or family in ("pocket", "sdxl") else IP_ADAPTER


def latent_factor(config: Mapping[str, Any]) -> int:
    """How many pixels a side of an autoencoder's latents covers, by the autoencoder's config."""
    levels = config.get("encoder_block_out_channels") or config["block_out_channels"]
    return int(2 ** (len(levels) - 1))


def painted_scale(config: Mapping[str, Any]) -> int:
    """How many times as wide a decoded picture is as an encoded one, by the autoencoder's config."""
    coder, decoder = (
        config.get(f"{part}_block_out_channels", ()) for part in ("encoder", "decoder")
    )
    return int(2 ** (len(decoder) - len(coder)))


def _has_gpu_driver() -> bool:
    if os.path.exists("/dev/kfd"):  # AMD's
        return True
    for library in ("libcuda.so.1", "nvcuda.dll"):
        try:
            ctypes.CDLL(library)
            return True
        except OSError:
            pass
    return False


def _find_base(name: str, weights: bool, other_vae: bool, on_message: OnMessage) -> Path:
    """The folder that holds a family's networks."""
    if name == "pocket":
        return POCKET
    if name not in HUB and os.path.isfile(Path(name) / INDEX):  # whatever the name's characters
        return Path(name)
    repository = HUB.get(name) or Repository.parse(name)
    if repository is None or os.path.exists(name):
        raise ModelsError(f"{name!r} is no models folder: it holds no {INDEX}.", REMEDY)

    def choose(names: list[str]) -> list[str]:
        if not weights:
            return [INDEX, "unet/config.json", *(() if other_vae else ("vae/config.json",))]
        folders = [*PARTS, *SECOND_PARTS, "controlnet"]
        if other_vae:
            folders.remove("vae")
        return [INDEX] + [file for part in folders for file in network_files(names, part)]

    return fetch(repository, choose, on_message)


def _choose_small(names: list[str]) -> list[str]:
    """What a checkpoint's own file lacks: configurations and the vocabulary."""
    return [INDEX] + [
        file for part in PARTS for file in network_files(names, part) if file.endswith(SMALL)
    ]


def _find_controlnet(
    name: str, base: Path, other: str, usual: Repository, on_message: OnMessage
) -> Path:
    """The folder of the ControlNet: another one, the family's own, or the usual one of its kind."""
    if other:
        kind = _OTHER_CONTROLNET.search(PurePosixPath(other.partition("@")[0]).name.lower())
        if kind and not os.path.isdir(other):
            raise ModelsError(
                f"{other!r} is a ControlNet for {kind[1]}, and would read skeletons as that.",
                "Name one for OpenPose.",
            )
        return _find_network(other, "controlnet", True, on_message)
    if name not in HUB and (base / "controlnet").is_dir():
        return base / "controlnet"
    return fetch(usual, lambda names: network_files(names, ""), on_message)


def _find_network(name: str, part: str, weights: bool, on_message: OnMessage) -> Path:
    """The folder of one network: named itself, or as part of a family."""
    folder = Path(name)
    if not os.path.isdir(name):
        repository = Repository.parse(name)
        if repository is None:
            raise ModelsError(
                f"{name!r} is neither a folder nor a repository.",
                f"Name a folder with the network's config.json, or OWNER/NAME of the hub, for {part}.",
            )

        def choose(names: list[str]) -> list[str]:
            found = network_files(names, part) or network_files(names, "")
            return [file for file in found if weights or file.endswith(SMALL)]

        folder = fetch(repository, choose, on_message)
    return folder / part if (folder / part).is_dir() else folder


def _read_index(index: Path, name: str) -> dict[str, Any]:
    """What a family says of itself, and of diffusers' pipeline that it is for, "_class_name"."""
    try:
        found: dict[str, Any] = json.loads(index.read_text(encoding="utf-8"))
        pipeline = str(found["_class_name"])
    except UNUSABLE as error:
        raise ModelsError(
            f"The models {name!r} can't be loaded: {INDEX} isn't readable.", REMEDY
        ) from error
    ordinary = pipeline.startswith("StableDiffusion") and not re.search("XL|3", pipeline)
    if not ordinary and pipeline != SDXL_PIPELINE:
        raise ModelsError(
            f"The models {name!r} are for {pipeline}, not of the kind of Stable Diffusion 1.5 or XL.",
            REMEDY,
        )
    return found


def _check_complete(
    folders: Mapping[str, Path], name: str, without_weights: tuple[str, ...]
) -> None:
    for part, folder in folders.items():
        if not folder.is_dir():
            raise ModelsError(f"The models {name!r} are incomplete: {part}/ is missing.", REMEDY)
        if part not in without_weights and not list(folder.glob("*.safetensors")):
            raise ModelsError(
                f"The models {name!r} are incomplete: {part}/ holds no safetensors.",
                "Start again with a connection to go on fetching; pickled weights aren't read: convert them.",
            )
        if part.startswith("tokenizer") and not any(
            all((folder / file).is_file() for file in files) for files in VOCABULARIES
        ):
            raise ModelsError(
                f"The models {name!r} are incomplete: {part}/ holds no vocabulary.",
                "Start again with a connection to go on fetching; it is tokenizer.json, or vocab.json and merges.txt.",
            )


def read_config(folder: Path) -> dict[str, Any]:
    """The config.json of a network's folder."""
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return config
