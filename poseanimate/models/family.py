"""One loaded family of models, and the border between pictures and latents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers import ControlNetModel, DDIMScheduler, UNet2DConditionModel
from numpy.typing import NDArray
from torch import Tensor
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from poseanimate.errors import ModelsError
from poseanimate.method.extras.ip_attention import ImagePrompt
from poseanimate.models.files import latent_factor, painted_scale
from poseanimate.models.input_models import InputModels, World
from poseanimate.models.ip_adapter import IPAdapter
from poseanimate.models.pose_detection import PoseDetector
from poseanimate.models.segmentation import Segmenter
from poseanimate.settings import UNKNOWN


@dataclass(frozen=True, eq=False)
class Models:
    """One family.

    identity: of the weights, for caches. family: one of `settings.FAMILIES`, or "unknown".
    side: of the square pictures that the family was trained on, px.
    world: see `InputModels`.
    ip_adapter: of the baseline IP+CtrlN; None where the family has none.
    places: the phrases that tell where a character is, for a family whose cross-attention spreads the character over
        all else that a prompt says; empty where it lies on the noun.
    text_encoder_2, tokenizer_2: of Stable Diffusion XL, whose embeddings join the first's, channel by channel.
    zero_when_empty: whether the empty prompt's embedding is zero, as Stable Diffusion XL was trained.
    thick_skeletons: see `skeleton.draw_pose`.
    draw_character: draws a picture of the only world that the family paints, by a seed, with its prompt; None where
        nothing can.
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
    world: World | None = None
    ip_adapter: IPAdapter | None = None
    places: tuple[str, ...] = ()
    draw_character: Callable[[int], tuple[NDArray[np.uint8], str]] | None = None
    family: str = UNKNOWN
    text_encoder_2: CLIPTextModelWithProjection | None = None
    tokenizer_2: CLIPTokenizer | None = None
    zero_when_empty: bool = False
    thick_skeletons: bool = False

    @property
    def device(self) -> torch.device:
        device: torch.device = self.vae.device
        return device

    @property
    def factor(self) -> int:
        """How many pixels a latent's side covers."""
        return latent_factor(self.vae.config)

    @property
    def scale(self) -> int:
        """How many times as wide a decoded picture is as an encoded one."""
        return painted_scale(self.vae.config)

    @property
    def painted_side(self) -> int:
        """Of the square pictures that the family paints, px."""
        return self.side * self.scale

    @property
    def inputs(self) -> InputModels:
        """What looks at inputs."""
        return InputModels(
            self.side, self.factor, self.scale, self.detector, self.segmenter, self.world
        )

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
        """Pictures (n, 3, H, W) in [0, 1] of latents (n, c, h, w), `scale` times as wide as encoded ones."""
        z = latents.to(self.device, self.unet.dtype) / self.vae.config.scaling_factor + self._shift
        pictures: Tensor = self.vae.decode(z).sample
        return (pictures.float() / 2 + 0.5).clamp(0, 1)

    @torch.no_grad()
    def embed(self, text: str) -> Tensor:
        """Text embedding (1, L, d)."""
        if self.text_encoder_2 is None:
            ids = self._ids(self.tokenizer, text)
            embedding: Tensor = self.text_encoder(ids).last_hidden_state.float()
            return embedding
        return self._embed_twice(text)[0]

    def added(self, text: str, height: int, width: int) -> dict[str, Tensor]:
        """What the networks take beside a text's embedding (diffusers' `added_cond_kwargs`), (1, …) by name.

        Args:
            height, width: of the picture, px.
        """
        if self.text_encoder_2 is None:
            return {}
        sizes = (height, width, 0, 0, height, width)  # original, where it was cropped, wanted
        pooled = self._embed_twice(text)[1]
        return {"text_embeds": pooled, "time_ids": torch.tensor([sizes]).to(pooled)}

    @torch.no_grad()
    def _embed_twice(self, text: str) -> tuple[Tensor, Tensor]:
        """Both encoders' last layers but one (1, L, d), and the second's summary of the text (1, d)."""
        assert self.text_encoder_2 is not None and self.tokenizer_2 is not None
        first = self.text_encoder(self._ids(self.tokenizer, text), output_hidden_states=True)
        second = self.text_encoder_2(self._ids(self.tokenizer_2, text), output_hidden_states=True)
        hidden = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=-1)
        pooled: Tensor = second.text_embeds
        if not text and self.zero_when_empty:
            hidden, pooled = torch.zeros_like(hidden), torch.zeros_like(pooled)
        return hidden.float(), pooled.float()

    def _ids(self, tokenizer: CLIPTokenizer, text: str) -> Tensor:
        ids: Tensor = tokenizer(
            text,
            padding="max_length",
            max_length=tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        ).input_ids
        return ids.to(self.device)

    def image_prompt(self, picture: NDArray[np.uint8], scale: float = 1.0) -> ImagePrompt:
        """A picture (H, W, 3) as a prompt beside the text.

        Raises:
            ModelsError: the family has no IP-Adapter, or it can't be had.
        """
        if self.ip_adapter is None:
            raise ModelsError(
                f"The models {self.name!r} have no IP-Adapter.",
                "Choose another baseline, or use the models sd15.",
            )
        return self.ip_adapter.prompt(self.unet, picture, scale)

    def unread(self, text: str) -> str:
        """The end of a prompt that the text encoder doesn't read, for it takes so many tokens and no more."""
        room = self.tokenizer.model_max_length - 2  # without the marks of begin and end
        ids = self.tokenizer(text, add_special_tokens=False).input_ids
        return str(self.tokenizer.decode(ids[room:])).strip()

    def token_ids(self, text: str) -> list[int]:
        """The tokens of a text that the text encoder reads, begin and end marks included."""
        ids: list[int] = self.tokenizer(
            text, truncation=True, max_length=self.tokenizer.model_max_length
        ).input_ids
        return ids

    def token_positions(self, text: str, words: list[str]) -> tuple[int, ...]:
        """Positions in `text`'s embedding of the tokens of `words` or phrases, in the order of the text."""
        ids = self.token_ids(text)
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


def to_pixels(pictures: Tensor) -> NDArray[np.uint8]:
    """(n, 3, H, W) in [0, 1] -> (n, H, W, 3) uint8."""
    array: NDArray[np.uint8] = (
        (pictures * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    )
    return array


def to_tensor(pictures: NDArray[np.uint8], device: torch.device) -> Tensor:
    """(n, H, W, 3) uint8 -> (n, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.array(pictures)).to(device).permute(0, 3, 1, 2).float() / 255
