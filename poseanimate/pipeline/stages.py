"""The stages of one run, a generator each, looked up in the cache before they are worked out.

Notable: every step yields an event, which is also where a closed stream stops.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from poseanimate.errors import CacheError, DeviceError
from poseanimate.events import Event, Note, Preview, Returning, Stage, Step
from poseanimate.inputs.character import Character
from poseanimate.method.attention_maps import CrossAttentionMaps, choose_grid
from poseanimate.method.ddim import DDIM, invert
from poseanimate.method.denoiser import Denoiser
from poseanimate.method.extras.drafts import Drafts
from poseanimate.method.pacm import (
    Prediction,
    SourceEmbeddings,
    optimise_embeddings,
    pose_aware_inversion,
)
from poseanimate.method.sampler import Chunk, Sampler, SourceRecord
from poseanimate.models.family import Models, to_pixels, to_tensor
from poseanimate.pipeline.build import (
    build_denoiser,
    pose_optimisation,
    records_attention,
    source_optimisation,
)
from poseanimate.pipeline.cache_keys import StageKeys
from poseanimate.pipeline.progress import ProgressTimer
from poseanimate.poses.skeleton import Pose, draw_pose
from poseanimate.puppet.puppet import Puppet
from poseanimate.settings import Settings
from poseanimate.storage.stage_cache import StageCache

# stages of the picture alone, which go through the whole schedule
OF_SOURCE = ("inversion", "pacm_source", "ground")
PREVIEWS = "previews"
PREVIEWS_PER_CHUNK = 4  # at most
PREVIEW_SHARE = 0.02  # of a run's time

Result = TypeVar("Result")

_log = logging.getLogger(__name__)


@dataclass
class Stages:
    """What the stages of one run share.

    tokens: positions in the prompt of what stands for the character.
    ddim: the whole schedule, of the source; sampled: its steps that frames go through; drafted: those after drafts are
        set in.
    cached: stages whose results came from the cache. calls: NFE (function evaluations, in samples), by stage.
    """

    models: Models
    cache: StageCache | None
    character: Character
    settings: Settings
    prompt: str
    tokens: tuple[int, ...]
    keys: StageKeys
    ddim: DDIM
    sampled: DDIM
    drafted: DDIM
    timer: ProgressTimer
    cached: list[str] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)

    @cached_property
    def denoiser(self) -> Denoiser:
        """ε_θ of the prompt; built when the run begins, for a forecast touches no network."""
        return build_denoiser(self.models, self.settings, self.prompt, self.character)

    def embed_poses(self, poses: tuple[Pose, ...]) -> Tensor:
        """Pose conditioning (frames, c, h, w)."""
        height, width = self.character.picture.shape[:2]
        thick = self.models.thick_skeletons
        drawings = np.stack([draw_pose(pose, width, height, thick) for pose in poses])
        with torch.no_grad():
            return self.denoiser.embed_poses(to_tensor(drawings, self.models.device))

    def inversion(self, pose_cond: Tensor) -> Generator[Event, None, Tensor]:
        """Z_0 … Z_T at guidance 1 (Alg. 1, line 1)."""
        key = self.keys.inversion
        found = self._look_up(key)
        yield self._begin("inversion", found is not None)
        if found is not None:
            return self._tensor(found["latents"])
        picture = self.character.picture[None]
        inverted = yield from self._invert("inversion", picture, pose_cond, self.ddim)
        trajectory = inverted[0]
        yield from self._keep(key, {"latents": trajectory})
        return trajectory

    def ground(self, puppet: Puppet) -> Generator[Event, None, Tensor]:
        """Z_T of the picture without the character, inverted without a pose at guidance 1, (1, c, h, w)."""
        found = self._look_up(self.keys.ground)
        yield self._begin("ground", found is not None)
        if found is not None:
            return self._tensor(found["latent"])
        nobody = self.embed_poses((Pose.absent(),))
        inverted = yield from self._invert("ground", puppet.plate[None], nobody, self.ddim)
        latent = inverted[:, -1].contiguous()
        yield from self._keep(self.keys.ground, {"latent": latent})
        return latent

    def drafts(
        self, first: int, poses: tuple[Pose, ...], pose_cond: Tensor, puppet: Puppet
    ) -> Generator[Event, None, Tensor]:
        """A chunk's drafts, each inverted under its own pose at guidance 1 to where it is set in, (frames, c, h, w)."""
        keys = [self.keys.draft(pose) for pose in poses]
        found = [self._look_up(key) for key in keys]
        missing = [i for i, entry in enumerate(found) if entry is None]
        yield self._begin("drafts", not missing, (first, first + len(poses) - 1))
        if missing:
            pictures = np.stack([puppet.frame(poses[i]) for i in missing])
            inverted = yield from self._invert("drafts", pictures, pose_cond[missing], self.drafted)
            for row, i in enumerate(missing):
                latent = inverted[row, -1].contiguous()
                yield from self._keep(keys[i], {"latent": latent})
                found[i] = {"latent": latent.cpu().numpy()}
        entries = [entry for entry in found if entry is not None]
        return torch.stack([self._tensor(entry["latent"]) for entry in entries])

    def source_embeddings(
        self, inverted: Tensor, pose_cond: Tensor
    ) -> Generator[Event, None, SourceEmbeddings]:
        """∅_s and Z̄ (Eq. 6); without PACM's first optimisation the prompt's embedding and Z itself."""
        if not self.settings.pacm_source:
            initial = self.denoiser.initial.expand(self.ddim.steps, -1, -1)
            return SourceEmbeddings(initial, inverted)
        key = self.keys.source
        found = self._look_up(key)
        yield self._begin("pacm_source", found is not None)
        if found is not None:
            return SourceEmbeddings(
                self._tensor(found["embeddings"]), self._tensor(found["trajectory"])
            )
        config = source_optimisation(self.settings)
        steps = pose_aware_inversion(self.denoiser, self.ddim, inverted, pose_cond, config)
        cost = config.cost(self.ddim.steps) / config.passes(self.ddim.steps)
        optimised = yield from self._steps("pacm_source", steps, cost)
        embeddings, trajectory = (
            optimised.embeddings.contiguous(),
            optimised.trajectory.contiguous(),
        )
        yield from self._keep(key, {"embeddings": embeddings, "trajectory": trajectory})
        return SourceEmbeddings(embeddings, trajectory)

    def source_record(
        self, sampler: Sampler, inverted: Tensor, source: SourceEmbeddings, pose_cond: Tensor
    ) -> Generator[Event, None, SourceRecord | None]:
        """What frames need of frame 0's own pass; None where they need nothing."""
        if not sampler.follows_source:
            return None
        count = self._total("frame_0")
        yield Stage("frame_0", count)
        steps = sampler.record_source(inverted[: count + 1], source.embeddings[:count], pose_cond)
        return (yield from self._steps("frame_0", steps, 1))

    def pose_embeddings(
        self,
        first: int,
        poses: tuple[Pose, ...],
        pose_cond: Tensor,
        inverted: Tensor,
        source: SourceEmbeddings,
        start: Tensor,
        drafts: Drafts | None,
    ) -> Generator[Event, None, tuple[Tensor, Tensor | None]]:
        """∅̃ of a chunk's frames (Alg. 1) and the character's cross-attention (frames, h, w) on the way."""
        with_maps = records_attention(self.settings, self.tokens)
        if not self.settings.pacm_pose and not with_maps:
            embeddings = source.embeddings[: self.sampled.steps]
            return embeddings.expand(len(poses), -1, -1, -1), None
        keys = [self.keys.pose(pose) for pose in poses]
        found = [self._look_up(key) for key in keys]
        missing = [i for i, entry in enumerate(found) if entry is None]
        yield self._begin("pacm_pose", not missing, (first, first + len(poses) - 1))
        if missing:
            maps = None
            if with_maps:
                latents = (start.shape[2], start.shape[3])
                grid = choose_grid(self.models.unet, latents, self.settings.mask_resolution)
                maps = CrossAttentionMaps(self.tokens, len(missing), grid, pooled=grid != latents)
            config = pose_optimisation(self.settings)
            steps = optimise_embeddings(
                self.denoiser, self.sampled, inverted, source.embeddings, start, pose_cond[missing],
                config, maps, None if drafts is None else drafts.frames(missing),
            )  # fmt: skip
            cost = config.cost / config.passes * len(missing)
            optimised = yield from self._steps("pacm_pose", steps, cost)
            attention = maps.maps() if maps is not None else None
            for row, i in enumerate(missing):
                result = {"embeddings": optimised[row]}
                if attention is not None:
                    result["attention"] = attention[row]
                yield from self._keep(keys[i], result)
                found[i] = {name: value.cpu().numpy() for name, value in result.items()}
        entries = [entry for entry in found if entry is not None]
        embeddings = torch.stack([self._tensor(entry["embeddings"]) for entry in entries])
        if not with_maps:
            return embeddings, None
        return embeddings, torch.stack([self._tensor(entry["attention"]) for entry in entries])

    def generation(
        self, first: int, frames: int, steps: Generator[Prediction, None, Chunk]
    ) -> Generator[Event, None, Chunk]:
        """A chunk's clean latents, with previews of its middle frame."""
        total = self._total("generation")
        yield Stage("generation", total, frames=(first, first + frames - 1))
        every = max(total // PREVIEWS_PER_CHUNK, 1)
        returning = Returning(steps)
        for step in returning:
            done = total - step.k + 1
            yield self._tick("generation", frames, done)
            self.timer.resume()
            if done % every == 0 and step.k > 1 and self.timer.affords(PREVIEWS, PREVIEW_SHARE):
                middle = frames // 2
                picture = to_pixels(self.models.decode(step.z_0[middle : middle + 1]))[0]
                self.timer.spend(PREVIEWS)
                yield Preview(first + middle, picture)
                self.timer.resume()
        check_finite(returning.result.latents)
        return returning.result

    def decode(self, latent: Tensor) -> NDArray[np.uint8]:
        """The picture (H, W, 3) of one latent (1, c, h, w)."""
        picture = to_pixels(check_finite(self.models.decode(latent)))[0]
        self.timer.spend("decoding")
        return picture

    def _invert(
        self, stage: str, pictures: NDArray[np.uint8], pose_cond: Tensor, ddim: DDIM
    ) -> Generator[Event, None, Tensor]:
        """Z_0 … Z_T of pictures (frames, H, W, 3) in their own poses at guidance 1, (frames, T + 1, c, h, w)."""
        plain = replace(self.denoiser, guidance_scale=1.0, embedding_role="conditional")
        z_0 = self.models.encode(to_tensor(pictures, self.models.device)).float()
        text = plain.prompt.expand(len(pictures), -1, -1)
        latents: list[Tensor] = []

        def predict(z: Tensor, timestep: int) -> Tensor:
            with torch.no_grad():
                return plain.predict(z, timestep, text, pose_cond)

        for z in invert(ddim, z_0, predict):
            latents.append(z)
            if len(latents) > 1:
                yield self._tick(stage, 0.5 * len(pictures), len(latents) - 1)
                self.timer.resume()
        # contiguous, as the cache gives it back: equal to the last bit
        return torch.stack(latents, dim=1).contiguous()

    def _steps(
        self, stage: str, steps: Generator[Prediction, None, Result], cost: float
    ) -> Generator[Event, None, Result]:
        """Passes a method's steps on as events and returns its result; each costs `cost` on average."""
        returning = Returning(steps)
        for step in returning:
            yield self._tick(stage, cost, self._total(stage) - step.k + 1)
            self.timer.resume()
        return returning.result

    def _tick(self, stage: str, cost: float, index: int) -> Step:
        """One step of a stage is done; function evaluations since the last step count as this stage's."""
        calls = self.denoiser.calls.total() - sum(self.calls.values())
        self.calls[stage] = self.calls.get(stage, 0) + calls
        return self.timer.tick(stage, cost, index, self._total(stage))

    def _total(self, stage: str) -> int:
        """The steps of a stage."""
        if stage in OF_SOURCE:
            return self.ddim.steps
        return (self.drafted if stage == "drafts" else self.sampled).steps

    def _begin(self, stage: str, cached: bool, frames: tuple[int, int] | None = None) -> Stage:
        if cached:
            self.cached.append(stage)
        return Stage(stage, 0 if cached else self._total(stage), cached, frames)

    def _look_up(self, key: str) -> dict[str, NDArray] | None:
        return self.cache.get(key) if self.cache is not None else None

    def _keep(self, key: str, tensors: dict[str, Tensor]) -> Iterator[Note]:
        """Caches a result; a cache that can't be written to costs time later, not this run."""
        for tensor in tensors.values():
            check_finite(tensor)
        if self.cache is None:
            return
        try:
            self.cache.put(key, {name: value.cpu().numpy() for name, value in tensors.items()})
        except CacheError as error:
            _log.warning("%s", error)  # it names the folder, which visitors need not know
            yield Note("Results can't be kept, so another run will take as long as this one.")

    def _tensor(self, array: NDArray) -> Tensor:
        # torch's own memory, aligned as a fresh result's is: sums then come in the same order
        return torch.from_numpy(array.copy()).clone().to(self.models.device)


def check_finite(result: Tensor) -> Tensor:
    """The result of a stage, checked once per stage: a check at every step would make a GPU wait.

    Raises:
        DeviceError: it holds NaN or infinity.
    """
    if not bool(result.isfinite().all()):
        raise DeviceError(
            "The models gave no numbers (NaN), which half precision does with some checkpoints.",
            "Start with --precision full, or use another checkpoint or autoencoder.",
        )
    return result
