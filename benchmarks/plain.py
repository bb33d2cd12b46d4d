"""Plain ControlNet sampling with diffusers' own pipeline, each frame independently."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DDIMScheduler, StableDiffusionControlNetPipeline
from torch import Tensor

from poseanimate.models.family import Models


@dataclass(frozen=True, eq=False)
class PlainControlNet:
    """The pipeline around a family's networks."""

    pipeline: Any

    @staticmethod
    def of(models: Models) -> PlainControlNet:
        pipeline = StableDiffusionControlNetPipeline(
            vae=None,  # latents in and out; the pipeline supports fewer autoencoders than our families
            text_encoder=models.text_encoder, tokenizer=models.tokenizer,
            unet=models.unet, controlnet=models.controlnet,
            scheduler=DDIMScheduler.from_config(models.scheduler.config),
            safety_checker=None, feature_extractor=None, requires_safety_checker=False,
        )  # fmt: skip
        pipeline.set_progress_bar_config(disable=True)
        return PlainControlNet(pipeline)

    @torch.no_grad()
    def sample(
        self,
        text: Tensor,
        null: Tensor,
        drawings: Tensor,
        start: Tensor,
        steps: int,
        guidance_scale: float,
        chunk_size: int = 4,
    ) -> Tensor:
        """Clean latents (frames, c, h, w).

        Args:
            text, null: embeddings (1, L, d) of the prompt and the empty prompt.
            drawings: of the poses, (frames, 3, H, W) in [0, 1].
            start: Z_T, (1, c, h, w), the start of every frame.
            chunk_size: frames in a batch.
        """
        dtype = self.pipeline.unet.dtype
        found = []
        for some in drawings.split(chunk_size):
            count = len(some)
            found.append(
                self.pipeline(
                    image=some,
                    prompt_embeds=text.to(dtype).expand(count, -1, -1),
                    negative_prompt_embeds=null.to(dtype).expand(count, -1, -1),
                    latents=start.to(dtype).expand(count, -1, -1, -1),
                    num_inference_steps=steps,
                    guidance_scale=guidance_scale,
                    guess_mode=False,
                    output_type="latent",
                ).images
            )
        return torch.cat(found)
