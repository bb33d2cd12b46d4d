"""The key of each stage's result in the cache: what the result depends on, and nothing else."""

from __future__ import annotations

from numpy.typing import NDArray

from poseanimate.inputs.character import Character
from poseanimate.method.extras.drafts import LEFT, SHARE_OF_STEPS, TOUCHED
from poseanimate.pipeline.build import pose_optimisation, records_attention
from poseanimate.poses.skeleton import Pose
from poseanimate.puppet.puppet import PUPPET_VERSION
from poseanimate.settings import Settings
from poseanimate.storage.stage_cache import content_key

CACHE_VERSION = "3"


class StageKeys:
    """Keys of the cached stages.

    models: their identity. tokens: positions in the prompt of what stands for the character. sampled: the steps that
        frames go through.
    """

    def __init__(
        self,
        models: str,
        character: Character,
        prompt: str,
        tokens: tuple[int, ...],
        settings: Settings,
        sampled: int,
    ) -> None:
        self.inversion = content_key(
            CACHE_VERSION, "inversion", models, character.picture, prompt,
            *_arrays(character.pose), settings.num_inference_steps, settings.timestep_spacing,
            settings.prompted_by_picture,
        )  # fmt: skip
        self.source = content_key(
            "source", self.inversion, settings.guidance_scale, settings.embedding_role,
            settings.controlnet_text, settings.inner_steps, settings.source_learning_rate,
            settings.source_start,
        )  # fmt: skip
        drafts = PUPPET_VERSION, SHARE_OF_STEPS, character.mask
        config = pose_optimisation(settings)
        self._pose = content_key(
            "pose", self.source if settings.pacm_source else self.inversion, settings.pacm_source,
            settings.guidance_scale, settings.embedding_role, settings.controlnet_text, config.steps,
            config.learning_rate if config.steps else None,
            settings.seed if settings.start == "random" else None,
            *((*drafts, TOUCHED, LEFT, sampled) if settings.start == "draft" else ()),
            *((tokens, settings.mask_resolution) if records_attention(settings, tokens) else ()),
        )  # fmt: skip

        self._draft = content_key("draft", self.inversion, *drafts)
        self.ground = content_key("ground", self._draft)

    def draft(self, pose: Pose) -> str:
        """The key of the inversion of one pose's draft."""
        return content_key(self._draft, *_arrays(pose))

    def pose(self, pose: Pose) -> str:
        """The key of one pose's embeddings (Alg. 1) and of the cross-attention seen on the way."""
        return content_key(self._pose, *_arrays(pose))


def _arrays(pose: Pose) -> tuple[NDArray | None, ...]:
    return pose.body, pose.left_hand, pose.right_hand, pose.face
