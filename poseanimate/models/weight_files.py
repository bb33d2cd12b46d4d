"""Weights that come as one file: checkpoints of a whole Stable Diffusion, and LoRA. torch isn't imported here."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from safetensors import SafetensorError, safe_open

from poseanimate.errors import ModelsError, first_line
from poseanimate.models.hub import OnMessage, Repository, fetch

SUFFIX = ".safetensors"
PICKLED = (".ckpt", ".pt", ".pth", ".bin")
MAX_LORAS, MAX_LORA_WEIGHT = 8, 4.0
PREFIXES = {  # of a checkpoint's tensors, by network
    "unet": "model.diffusion_model.",
    "vae": "first_stage_model.",
    "text_encoder": "cond_stage_model.transformer.",
}
_PARTS = {"unet": "U-Net", "vae": "autoencoder", "text_encoder": "text encoder"}
_HUB_FILE = re.compile(r"(?!.*\.\.)([\w.-]+/[\w.-]+(?:@[\w.-]+)?)/([\w./-]+\.safetensors)")
_FIRST_CONVOLUTION = f"{PREFIXES['unet']}input_blocks.0.0.weight"
_OTHERS = {  # what a tensor's name tells of checkpoints that are none of Stable Diffusion 1.5's
    "conditioner.embedders.": "Stable Diffusion XL",
    "cond_stage_model.model.": "Stable Diffusion 2",
    "model.diffusion_model.joint_blocks.": "Stable Diffusion 3",
    "model.diffusion_model.double_blocks.": "Flux",
}
_OTHER_ADAPTERS = {
    "hada_w": "a LoHa",
    "lokr_": "a LoKr",
    "dora_scale": "a DoRA",
    "lora_magnitude": "a DoRA",
    "oft_": "an OFT",
}


@dataclass(frozen=True)
class Checkpoint:
    """A file with a whole Stable Diffusion in its authors' layout.

    parts: the networks that are taken from it. channels: of the latents that its U-Net takes.
    """

    path: Path
    parts: tuple[str, ...]
    channels: int


@dataclass(frozen=True)
class Lora:
    """Low-rank changes of the networks' weights (Hu et al. 2021), which are added to them once.

    name: as it was given. path: its file. weight: how much of the change is added.
    """

    name: str
    path: Path
    weight: float = 1.0


def is_weight_file(name: str) -> bool:
    """Whether a name is that of one file of weights, here or on the hub."""
    return name.lower().endswith((SUFFIX, *PICKLED)) and not os.path.isdir(name)


def is_hub_file(name: str) -> bool:
    """Whether a name can only be that of a file on the hub, OWNER/NAME[@REVISION]/FILE."""
    return not os.path.exists(name) and _HUB_FILE.fullmatch(name) is not None


def find_weight_file(name: str, on_message: OnMessage = lambda _: None) -> Path:
    """The file of a name: a path, or OWNER/NAME[@REVISION]/FILE of the hub, from where it is downloaded.

    Raises:
        ModelsError: there is no such file, it is pickled, or it can't be downloaded.
    """
    if name.lower().endswith(PICKLED):
        raise ModelsError(
            f"{name!r:.200} holds pickled weights, which could run any code.",
            "Take its .safetensors; most are published as both.",
        )
    if os.path.isfile(name):
        return Path(name).absolute()
    found = _HUB_FILE.fullmatch(name)
    repository = Repository.parse(found[1]) if found else None
    if found is None or repository is None or os.path.exists(name):
        raise ModelsError(
            f"There is no file {name!r:.200}.",
            "Name a .safetensors file, or OWNER/NAME/FILE.safetensors of the hub.",
        )
    folder = fetch(
        repository, lambda names: [each for each in names if each == found[2]], on_message
    )
    if not (folder / found[2]).is_file():
        raise ModelsError(
            f"{found[1]} of the Hugging Face hub has no file {found[2]!r:.200}.",
            "Look up the file's name on the repository's page.",
        )
    return folder / found[2]


def find_checkpoint(name: str, vae: bool, on_message: OnMessage = lambda _: None) -> Checkpoint:
    """A checkpoint by its name, as `find_weight_file` takes it.

    Args:
        vae: whether its autoencoder is used.

    Raises:
        ModelsError: there is none, it is none of Stable Diffusion 1.5's kind, is incomplete, or can't be read.
    """
    path = find_weight_file(name, on_message)
    shapes = _read_shapes(path)
    for prefix, kind in _OTHERS.items():
        if any(tensor.startswith(prefix) for tensor in shapes):
            raise ModelsError(
                f"{path.name!r} is for {kind}, not of Stable Diffusion 1.5's kind.",
                "Choose one for Stable Diffusion 1.5; XL is read from folders in diffusers' layout and from the hub.",
            )
    if any("lora" in tensor for tensor in shapes):
        raise ModelsError(
            f"{path.name!r} is a LoRA, which changes models and is none by itself.",
            f"Give it as --lora {path.name} beside --models sd15.",
        )
    if "v_pred" in shapes:
        raise ModelsError(
            f"{path.name!r} predicts v, but the method needs models that predict noise.",
            "Choose another checkpoint.",
        )
    parts = tuple(part for part in PREFIXES if vae or part != "vae")
    for part in parts:
        if not any(tensor.startswith(PREFIXES[part]) for tensor in shapes):
            raise ModelsError(
                f"{path.name!r} is no whole checkpoint: it holds no {_PARTS[part]}.",
                "Name one with --vae, for instance stabilityai/sd-vae-ft-mse."
                if part == "vae"
                else "Choose one that holds U-Net, autoencoder and text encoder.",
            )
    if _FIRST_CONVOLUTION not in shapes:
        raise ModelsError(
            f"{path.name!r} lacks {_FIRST_CONVOLUTION}.",
            "Choose a checkpoint of Stable Diffusion 1.5.",
        )
    return Checkpoint(path, parts, shapes[_FIRST_CONVOLUTION][1])


def parse_loras(text: str, on_message: OnMessage = lambda _: None) -> tuple[Lora, ...]:
    """Reads FILE[:WEIGHT], several with commas, and downloads those of the hub.

    Raises:
        ModelsError: the package peft is missing, a file can't be found or is no LoRA, or a weight is no number from -4
            to 4.
    """
    loras: list[Lora] = []
    if text.strip(" ,") and find_spec("peft") is None:
        raise ModelsError("LoRA need the package peft.", "Install it: pip install 'peft>=0.20'.")
    for each in filter(None, (part.strip() for part in text.split(","))):
        name, _, tail = each.rpartition(":")
        weight = 1.0
        if name and tail.lower().endswith((SUFFIX, *PICKLED)):  # C:\file
            name = each
        elif name:
            weight = _parse_weight(tail, each)
        name = name or each
        lora = Lora(name, find_weight_file(name, on_message), weight)
        _check_lora(lora.path)
        loras.append(lora)
    if len(loras) > MAX_LORAS:
        raise ModelsError(f"{len(loras)} LoRA are too many.", f"Give at most {MAX_LORAS}.")
    return tuple(loras)


def make_absolute(text: str) -> str:
    """The same LoRA for a process in another folder: paths are absolute, names of the hub stay."""
    return ",".join(
        f"{lora.path if os.path.isfile(lora.name) else lora.name}:{lora.weight!r}"
        for lora in parse_loras(text)
    )


def _parse_weight(text: str, whole: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = float("nan")
    if not abs(weight) <= MAX_LORA_WEIGHT:
        raise ModelsError(
            f"{whole!r:.200} has no number from -{MAX_LORA_WEIGHT:g} to {MAX_LORA_WEIGHT:g} after its colon.",
            "Give FILE:WEIGHT, as style.safetensors:0.8.",
        )
    return weight


def _check_lora(path: Path) -> None:
    names = list(_read_shapes(path))
    for part, kind in _OTHER_ADAPTERS.items():
        if any(part in name for name in names):
            raise ModelsError(
                f"{path.name!r} is {kind}, which is not read.", "Choose an ordinary LoRA."
            )
    if any(name.startswith(("lora_te2_", "text_encoder_2.")) for name in names):
        raise ModelsError(
            f"{path.name!r} is a LoRA for Stable Diffusion XL.",
            "Choose one whose page says Stable Diffusion 1.5.",
        )
    kohya = [name for name in names if name.startswith("lora_")]
    if kohya and (others := sorted(set(names) - set(kohya))):
        raise ModelsError(
            f"{path.name!r} is more than a LoRA: it also holds {others[0]!r:.80}.",
            "Choose one without a textual inversion or other parts.",
        )
    if not any("lora" in name for name in names):
        raise ModelsError(
            f"{path.name!r} is no LoRA.",
            "Give a whole checkpoint as --models; --vae and --controlnet take folders or OWNER/NAME of the hub.",
        )


def _read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of a file's tensors by name; no tensor is read."""
    try:
        with safe_open(path, framework="numpy") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelsError(
            f"{path.name!r} can't be read as safetensors ({first_line(error)}).",
            "It may be cut off: download it again.",
        ) from error
