"""Model families: every repository id, dtype and device decision.

Both families are ordinary diffusers folders of a StableDiffusionControlNetPipeline and are read by the same loader:
`pocket`, tiny, shipped with the package; `sd15`, Stable Diffusion 1.5 with an OpenPose ControlNet from the Hugging
Face hub; or any folder of that layout.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers import ControlNetModel, DDIMScheduler, UNet2DConditionModel
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer
from transformers.utils.logging import disable_progress_bar

from poseanimate.errors import ModelsError
from poseanimate.ip_adapter import IPAdapter
from poseanimate.method.image_prompt import ImagePrompt
from poseanimate.pocket.perception import Perception, PerceptionNet
from poseanimate.poses.detect import OpenPoseDetector, PoseDetector
from poseanimate.segment import RembgSegmenter, Segmenter

POCKET = Path(__file__).resolve().parent / "pocket" / "weights"
SD15 = "stable-diffusion-v1-5/stable-diffusion-v1-5"
SD15_CONTROLNET = "lllyasviel/control_v11p_sd15_openpose"
IP_ADAPTER = "h94/IP-Adapter"
IP_ADAPTER_FOLDER = "ip_adapter"  # of a models folder
OPENPOSE = "lllyasviel/Annotators"
AUTOENCODERS = ("AutoencoderKL", "AutoencoderDC", "AutoencoderTiny")
PARTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
FINGERPRINT_BYTES = 16 << 20


@dataclass(frozen=True, eq=False)
class Models:
    """One family, frozen and ready.

    identity: of the weights, for caches. side: of the square pictures that the family was trained on, px.
    ip_adapter: of the baseline IP+CtrlN; None where the family has none.
    """

    name: str
    identity: str
    side: int
    vae: Any
    unet: UNet2DConditionModel
    controlnet: ControlNetModel
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    scheduler: DDIMScheduler
    detector: PoseDetector
    segmenter: Segmenter
    ip_adapter: IPAdapter | None = None

    @property
    def device(self) -> torch.device:
        device: torch.device = self.unet.device
        return device

    @property
    def factor(self) -> int:
        """How many pixels a latent's side covers."""
        return _factor(self.vae)

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        """Latents (n, c, h, w) of pictures (n, 3, H, W) in [0, 1], scaled as the U-Net expects."""
        encoded = self.vae.encode((pictures * 2 - 1).to(self.device, self.unet.dtype))
        if hasattr(encoded, "latent_dist"):
            z: Tensor = encoded.latent_dist.mode()
        else:
            z = encoded.latent if hasattr(encoded, "latent") else encoded.latents
        return (z - self._shift) * self.vae.config.scaling_factor

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Pictures (n, 3, H, W) in [0, 1] of latents (n, c, h, w)."""
        z = latents.to(self.device, self.unet.dtype) / self.vae.config.scaling_factor + self._shift
        pictures: Tensor = self.vae.decode(z).sample
        return (pictures.float() / 2 + 0.5).clamp(0, 1)

    @torch.no_grad()
    def embed(self, text: str) -> Tensor:
        """Text embedding (1, L, d)."""
        ids = self.tokenizer(
            text,
            padding="max_length",
            max_length=self.tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        ).input_ids
        embedding: Tensor = self.text_encoder(ids.to(self.device)).last_hidden_state.float()
        return embedding

    def image_prompt(self, picture: NDArray[np.uint8], scale: float) -> ImagePrompt:
        """A picture (H, W, 3) as a prompt beside the text.

        Raises:
            ModelsError: the family has no IP-Adapter, or it can't be had.
        """
        if self.ip_adapter is None:
            raise ModelsError(
                f"The models {self.name!r} have no IP-Adapter.",
                "Set image_prompt to 0, or use the models sd15.",
            )
        return self.ip_adapter.prompt(self.unet, picture, scale)

    def token_positions(self, text: str, words: list[str]) -> tuple[int, ...]:
        """Positions in `text`'s embedding of the tokens of `words`, in the order of the text."""
        ids = self.tokenizer(
            text, truncation=True, max_length=self.tokenizer.model_max_length
        ).input_ids
        found: list[int] = []
        for word in words:
            own = self.tokenizer(word, add_special_tokens=False).input_ids
            for start in range(len(ids) - len(own) + 1):
                if own and ids[start : start + len(own)] == own:
                    found += range(start, start + len(own))
        return tuple(sorted(set(found)))

    @property
    def _shift(self) -> float:
        return float(getattr(self.vae.config, "shift_factor", None) or 0.0)


def has_ip_adapter(name: str) -> bool:
    """Whether the models of a name, as `load_models` takes it, have an IP-Adapter; without loading them."""
    return name == "sd15" or (name != "pocket" and os.path.isdir(Path(name) / IP_ADAPTER_FOLDER))


def load_models(
    name: str = "pocket", device: str | None = None, eyes_device: str | None = None
) -> Models:
    """Loads a family.

    Args:
        name: "pocket", "sd15", or the path of a folder in diffusers' layout.
        device: "cpu" or "cuda"; by default CUDA where it is found. eyes_device: of what looks at pictures; by
            default the same.

    Raises:
        ModelsError: the folder holds no models, or they can't be fetched.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    eyes_device = eyes_device or device
    if name == "pocket":
        return _from_folder(POCKET, name, device, eyes_device)
    if name == "sd15":
        return _from_hub(device, eyes_device)
    return _from_folder(Path(name), Path(name).name, device, eyes_device)


def _from_folder(folder: Path, name: str, device: str, eyes_device: str) -> Models:
    remedy = "Name 'pocket', 'sd15', or a folder in diffusers' layout (model_index.json, unet/, controlnet/, …)."
    index = folder / "model_index.json"
    if not os.path.isfile(index):  # unlike Path.is_file it takes any name, however odd
        raise ModelsError(f"{name!r} is no models folder: it holds no model_index.json.", remedy)
    for part in (*PARTS, "controlnet"):
        if not (folder / part).is_dir():
            raise ModelsError(
                f"The models folder {name!r} is incomplete: {part}/ is missing.", remedy
            )
    try:
        parts = _parts(
            str(folder),
            str(folder),
            {"subfolder": "controlnet"},
            json.loads(index.read_text()),
            device,
        )
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, SafetensorError) as error:
        raise ModelsError(
            f"The models folder {name!r} can't be loaded ({error}).", remedy
        ) from error
    if (folder / "perception").is_dir():
        perception = Perception(PerceptionNet.load(folder / "perception", eyes_device))
        eyes: tuple[PoseDetector, Segmenter] = (perception, perception)
    else:
        eyes = (OpenPoseDetector.load(OPENPOSE, eyes_device), RembgSegmenter())
    own = IPAdapter(folder / IP_ADAPTER_FOLDER) if has_ip_adapter(str(folder)) else None
    return _assembled(name, _fingerprint(folder), parts, *eyes, own)


def _from_hub(device: str, eyes_device: str) -> Models:
    try:
        index = diffusers.DiffusionPipeline.load_config(SD15)
        parts = _parts(SD15, SD15_CONTROLNET, {}, index, device)
    except (OSError, ValueError) as error:
        raise ModelsError(
            f"Stable Diffusion 1.5 can't be fetched ({type(error).__name__}).",
            "Check the connection to the Hugging Face hub, or use the pocket models.",
        ) from error
    eyes = (OpenPoseDetector.load(OPENPOSE, eyes_device), RembgSegmenter())
    identity = f"{SD15}+{SD15_CONTROLNET}+{parts['unet'].dtype}"
    return _assembled("sd15", identity, parts, *eyes, IPAdapter(IP_ADAPTER))


def _assembled(
    name: str,
    identity: str,
    parts: dict[str, Any],
    detector: PoseDetector,
    segmenter: Segmenter,
    ip_adapter: IPAdapter | None,
) -> Models:
    predicts = parts["scheduler"].config.prediction_type
    if predicts != "epsilon":
        raise ModelsError(
            f"The models {name!r} predict {predicts!r}, but the method needs models that predict noise.",
            "Use Stable Diffusion 1.5, one of its fine-tunes, or the pocket models.",
        )
    side = int(parts["unet"].config.sample_size * _factor(parts["vae"]))
    return Models(
        name, identity, side, **parts,
        detector=detector, segmenter=segmenter, ip_adapter=ip_adapter,
    )  # fmt: skip


def _parts(
    base: str, control: str, control_in: dict[str, str], index: dict[str, Any], device: str
) -> dict[str, Any]:
    vae_class = index["vae"][1]
    if vae_class not in AUTOENCODERS:
        raise ValueError(f"autoencoder {vae_class} is not one of {', '.join(AUTOENCODERS)}")
    dtype = torch.float16 if device == "cuda" and base == SD15 else torch.float32
    options = {"use_safetensors": True, "dtype": dtype}
    # without accelerate diffusers loads that way anyhow, but says so at every network
    plain = options | {"low_cpu_mem_usage": False}
    diffusers.utils.logging.disable_progress_bar()
    disable_progress_bar()
    networks = {
        "vae": getattr(diffusers, vae_class).from_pretrained(base, subfolder="vae", **plain),
        "unet": UNet2DConditionModel.from_pretrained(base, subfolder="unet", **plain),
        "controlnet": ControlNetModel.from_pretrained(control, **control_in, **plain),
        "text_encoder": CLIPTextModel.from_pretrained(base, subfolder="text_encoder", **options),
    }
    for network in networks.values():
        network.to(device).eval().requires_grad_(False)
    return networks | {
        "tokenizer": CLIPTokenizer.from_pretrained(base, subfolder="tokenizer"),
        "scheduler": DDIMScheduler.from_pretrained(base, subfolder="scheduler"),
    }


def _factor(vae: Any) -> int:
    levels = 2 ** (len(getattr(vae.config, "block_out_channels", ())) - 1)
    return int(getattr(vae, "spatial_compression_ratio", None) or levels)


def _fingerprint(folder: Path) -> str:
    """Digest of every file's name, size, beginning and end: weights of gigabytes are not read whole."""
    digest = hashlib.sha256()
    for path in sorted(
        p for p in folder.rglob("*") if p.suffix in (".json", ".safetensors", ".txt")
    ):
        size = path.stat().st_size
        with path.open("rb") as file:
            digest.update(
                f"{path.relative_to(folder)}:{size}".encode() + file.read(FINGERPRINT_BYTES)
            )
            file.seek(max(size - FINGERPRINT_BYTES, 0))
            digest.update(file.read())
    return digest.hexdigest()


def to_pixels(pictures: Tensor) -> NDArray[np.uint8]:
    """(n, 3, H, W) in [0, 1] -> (n, H, W, 3) uint8."""
    array: NDArray[np.uint8] = (
        (pictures * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    )
    return array


def to_tensor(pictures: NDArray[np.uint8], device: torch.device) -> Tensor:
    """(n, H, W, 3) uint8 -> (n, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.array(pictures)).to(device).permute(0, 3, 1, 2).float() / 255
