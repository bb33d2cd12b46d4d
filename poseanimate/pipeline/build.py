"""What the settings ask of the method: its objects, ready to run."""

from __future__ import annotations

import torch
from torch import Tensor

from poseanimate.inputs.character import Character
from poseanimate.method.cross_frame import CrossFrameAttention
from poseanimate.method.dcam import DualConsistency, Lambdas
from poseanimate.method.ddim import DDIM
from poseanimate.method.denoiser import Denoiser
from poseanimate.method.extras.baselines import CrossFrame, SpatioTemporal
from poseanimate.method.pacm import PoseOptimisation, SourceOptimisation
from poseanimate.method.sampler import Sampler
from poseanimate.models.family import Models
from poseanimate.pipeline.memory import free_bytes
from poseanimate.settings import Settings


def source_optimisation(settings: Settings) -> SourceOptimisation:
    """Eq. 6 as the settings want it."""
    return SourceOptimisation(
        settings.inner_steps, settings.source_learning_rate, start=settings.source_start
    )


def pose_optimisation(settings: Settings) -> PoseOptimisation:
    """Alg. 1 as the settings want it; without PACM's second optimisation no gradient step is made."""
    steps = settings.pose_steps if settings.pacm_pose else 0
    return PoseOptimisation(steps, settings.pose_learning_rate)


def records_attention(settings: Settings, tokens: tuple[int, ...]) -> bool:
    """Whether cross-attention is recorded: always beside Alg. 1, so that switching masks runs nothing again."""
    return bool(tokens and (settings.pacm_pose or settings.attended))


def build_denoiser(
    models: Models, settings: Settings, prompt: str, character: Character
) -> Denoiser:
    """ε_θ of a prompt."""
    picture_prompt = None
    if settings.prompted_by_picture:
        picture_prompt = models.image_prompt(character.picture)
    empty, told = (models.added(text, *character.picture.shape[:2]) for text in ("", prompt))
    return Denoiser(
        models.unet,
        models.controlnet,
        models.embed(prompt),
        models.embed(""),
        settings.guidance_scale,
        settings.embedding_role,
        settings.controlnet_text,
        added={name: torch.cat([empty[name], told[name]]) for name in told},
        image=picture_prompt,
    )


def build_attention(settings: Settings, branches: int) -> CrossFrameAttention | None:
    """DCAM with or without MGDM, a baseline's attention, or None for the U-Net's own."""
    if settings.dcam:
        lambdas = Lambdas(settings.lambda_first, settings.lambda_prev, settings.lambda_self)
        form = settings.mask_form if settings.mgdm else None
        return DualConsistency(branches=branches, lambdas=lambdas, mask_form=form)
    if settings.baseline == "cross_frame":
        return CrossFrame(branches=branches)
    if settings.baseline in ("spatio_temporal", "ip_adapter"):
        return SpatioTemporal(branches=branches)
    return None


def build_sampler(
    models: Models,
    settings: Settings,
    character: Character,
    denoiser: Denoiser,
    ddim: DDIM,
    start: Tensor,
) -> Sampler:
    """The generation of frames that start at a latent (1, c, h, w)."""
    source_mask = None
    if settings.masked:
        source_mask = torch.from_numpy(character.mask)[None].to(models.device)
    device_budget, pinned_budget = None, 0
    if models.device.type == "cuda":
        device_budget = free_bytes(models.device) // 2
        pinned_budget = free_bytes(torch.device("cpu")) // 2
    return Sampler(
        denoiser,
        ddim,
        start,
        build_attention(settings, denoiser.branches),
        source_mask,
        settings.background == "direct",
        device_budget,
        pinned_budget,
    )
