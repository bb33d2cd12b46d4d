"""What each stage takes from the settings, and the key of its result in the cache: what it depends on, nothing else."""

from __future__ import annotations

from numpy.typing import NDArray

from poseanimate.inputs.character import Character
from poseanimate.method.pacm import PoseOptimisation, SourceOptimisation
from poseanimate.poses.skeleton import Pose
from poseanimate.settings import Settings
from poseanimate.storage.stage_cache import content_key

CACHE_VERSION = "1"


def source_optimisation(settings: Settings) -> SourceOptimisation:
    """Eq. 6 as the settings want it."""
    return SourceOptimisation(
        settings.inner_steps,
        settings.source_learning_rate,
        settings.source_tolerance,
        settings.source_share,
        settings.source_start,
    )


def pose_optimisation(settings: Settings) -> PoseOptimisation:
    """Alg. 1 as the settings want it; without PACM's second optimisation no step is made."""
    return PoseOptimisation(
        settings.pose_steps if settings.pose_before else 0,
        settings.pose_learning_rate,
        settings.pose_optimiser,
        settings.pose_resample,
    )


def wants_attention(settings: Settings, tokens: tuple[int, ...]) -> bool:
    """Whether cross-attention is kept: always beside Alg. 1, so that switching masks re-runs nothing."""
    attended = settings.masked and settings.frame_masks != "skeleton"
    return bool(tokens and (settings.pose_before or attended))


class StageKeys:
    """Keys of the cached stages; each holds what the stage depends on, and nothing else.

    models: their identity. tokens: positions in the prompt of what stands for the character.
    """

    def __init__(
        self,
        models: str,
        character: Character,
        prompt: str,
        tokens: tuple[int, ...],
        settings: Settings,
    ) -> None:
        self.inversion = content_key(
            CACHE_VERSION, "inversion", models, character.picture, prompt,
            *_arrays(character.pose), settings.num_inference_steps, settings.controlnet_scale,
            settings.image_prompt,
        )  # fmt: skip
        self.source = content_key(
            "source", self.inversion, settings.guidance_scale, settings.embedding_role,
            settings.controlnet_text, settings.inner_steps, settings.source_learning_rate,
            settings.source_tolerance, settings.source_share, settings.source_start,
        )  # fmt: skip
        how = pose_optimisation(settings)
        step = (how.learning_rate, how.optimiser, how.resample) if how.steps else None
        self._pose = content_key(
            "pose", self.source if settings.pacm_source else self.inversion, settings.pacm_source,
            settings.guidance_scale, settings.embedding_role, settings.controlnet_text, how.steps,
            step, settings.seed if settings.start == "random" else None,
            wants_attention(settings, tokens) and settings.mask_levels, tokens,
        )  # fmt: skip

    def pose(self, pose: Pose) -> str:
        """The key of one pose's embeddings (Alg. 1) and of the cross-attention seen on the way."""
        return content_key(self._pose, *_arrays(pose))


def _arrays(pose: Pose) -> tuple[NDArray | None, ...]:
    return pose.body, pose.left_hand, pose.right_hand, pose.face
