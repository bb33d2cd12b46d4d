"""The stages of one animation in the order of the paper, each looked up in the cache before it is worked out.

Notable: a stage's key holds what its result depends on and nothing else, so that a changed setting re-runs only what
it touches; every step yields an event, which is also where a closed stream stops.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from poseanimate.errors import CacheError, DeviceError
from poseanimate.events import Done, Event, Frame, Note, Preview, Returning, Stage
from poseanimate.events import Step as StepEvent
from poseanimate.inputs.character import Character
from poseanimate.inputs.prompt import check_prompt, find_character_positions
from poseanimate.media.similarity import psnr_db
from poseanimate.method.attention_maps import CrossAttentionMaps
from poseanimate.method.cross_frame import FrameAttention
from poseanimate.method.dcam import DualConsistency, Lambdas
from poseanimate.method.ddim import DDIM, invert
from poseanimate.method.denoiser import Denoiser
from poseanimate.method.extras.baselines import CrossFrame, SpatioTemporal
from poseanimate.method.pacm import (
    Pull,
    SourceEmbeddings,
    Step,
    optimise_embeddings,
    pose_aware_inversion,
)
from poseanimate.method.sampler import Sampler
from poseanimate.models.family import Models, to_pixels, to_tensor
from poseanimate.pipeline.cache_keys import (
    StageKeys,
    pose_optimisation,
    source_optimisation,
    wants_attention,
)
from poseanimate.pipeline.frame_masks import FrameMasks
from poseanimate.pipeline.memory import (
    frame_bytes,
    frames_together,
    free_bytes,
    is_out_of_memory,
    release,
)
from poseanimate.pipeline.progress import ProgressTimer
from poseanimate.poses.pata import Alignment
from poseanimate.poses.skeleton import Pose, draw_pose
from poseanimate.settings import Settings
from poseanimate.storage.stage_cache import StageCache

PREVIEWS = "previews"
PREVIEWS_PER_CHUNK = 4  # at most
PREVIEW_SHARE = 0.02  # of a run's time

Result = TypeVar("Result")


@dataclass
class Run:
    """One animation: its stages, what they cost, and what is left."""

    models: Models
    cache: StageCache | None
    character: Character
    alignment: Alignment
    settings: Settings
    prompt: str
    seconds: dict[str, float] = field(default_factory=dict)
    cached: list[str] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_prompt(self.prompt)
        settings, models = self.settings, self.models
        self.ddim = DDIM.from_scheduler(models.scheduler, settings.num_inference_steps)
        self.poses = self.alignment.poses
        self.tokens = find_character_positions(models, self.prompt, settings.character_words)
        self.keys = StageKeys(models.identity, self.character, self.prompt, self.tokens, settings)
        height, width = self.character.picture.shape[:2]
        self.together = frames_together(
            settings.chunk_frames,
            models.device.type,
            free_bytes(models.device),
            frame_bytes(models.unet, height * width),
        )
        self.clock = ProgressTimer(sum(self.plan().values()), self.ddim.steps, self.seconds)

    @cached_property
    def denoiser(self) -> Denoiser:
        """ε_θ of the prompt; made when the run begins, for a forecast touches no network."""
        settings, models = self.settings, self.models
        return Denoiser(
            models.unet,
            models.controlnet,
            models.embed(self.prompt),
            models.embed(""),
            settings.guidance_scale,
            settings.embedding_role,
            settings.controlnet_text,
            settings.controlnet_scale,
            models.image_prompt(self.character.picture, settings.image_prompt)
            if settings.image_prompt
            else None,
        )

    def events(self) -> Generator[Event, None, None]:
        settings = self.settings
        frames: list[NDArray[np.uint8]] = [self.character.picture]
        yield Frame(0, self.character.picture)
        if unread := self.models.unread(self.prompt):
            yield Note(
                f"The prompt is too long for the models: they don't read its end, {unread!r:.80}."
            )
        hint = self._hints(self.poses[:1])
        inverted = yield from self._inversion(hint)
        source = yield from self._source_embeddings(inverted, hint)
        start = inverted[-1:]
        if settings.start == "random":
            start = torch.randn(
                start.shape, generator=torch.Generator().manual_seed(settings.seed)
            ).to(start)
        grid = (start.shape[2], start.shape[3])
        sampler = self._sampler(start, grid)
        if sampler.follows_source:
            yield Stage("frame_0", self.ddim.steps)
            recorded = sampler.record_source(inverted, source.embeddings, hint)
            yield from self._steps("frame_0", recorded, 1)
        if settings.masked and settings.frame_masks != "skeleton" and not self.tokens:
            yield Note(
                "The prompt has no word that names the character: frame masks come from the skeleton alone."
            )
        frame_masks = None
        if settings.masked:
            frame_masks = FrameMasks(self.character, self.poses[0], settings, self.models.device)
        first = 1
        while first < len(self.poses):
            poses = self.poses[first : first + self.together]
            try:
                z_0, masks = yield from self._chunk(
                    first, poses, sampler, frame_masks, inverted, source, start
                )
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or self.together == 1:
                    raise
            else:
                used = None if masks is None else masks.cpu().numpy()
                for i, latent in enumerate(z_0.split(1)):
                    frames.append(self._decoded(latent))
                    yield Frame(first + i, frames[-1], None if used is None else used[i])
                    self.clock.resume()
                first += len(poses)
                continue
            # out here, where the error no longer holds what was being worked on
            sampler.forget_unfinished()
            self.together //= 2
            release(self.models.device)
            words = "frame is" if self.together == 1 else "frames are"
            yield Note(
                f"Memory ran out: from here on {self.together} {words} generated at a time.", True
            )
        source_psnr_db = inversion_psnr_db = None
        if settings.pacm_source:
            again = self._decoded(source.trajectory[:1])
            source_psnr_db = psnr_db(again, self.character.picture)
            inversion_psnr_db = psnr_db(again, self._decoded(inverted[:1]))
        yield Done(
            tuple(frames),
            self.alignment.fps,
            self.seconds,
            dict(self.denoiser.calls),
            source_psnr_db,
            inversion_psnr_db,
            tuple(dict.fromkeys(self.cached)),
            self.calls,
        )

    def _chunk(
        self,
        first: int,
        poses: tuple[Pose, ...],
        sampler: Sampler,
        frame_masks: FrameMasks | None,
        inverted: Tensor,
        source: SourceEmbeddings,
        start: Tensor,
    ) -> Generator[Event, None, tuple[Tensor, Tensor | None]]:
        """Clean latents (frames, c, h, w) and masks (frames, H, W) of the next frames."""
        settings = self.settings
        hints = self._hints(poses)
        embeddings, maps = yield from self._pose_embeddings(
            first, poses, hints, inverted, source, start
        )
        masks = control = None
        if frame_masks is not None:
            masks = frame_masks.masks(poses, maps)
            control = frame_masks.control(masks, (start.shape[2], start.shape[3]))
        pull = None
        if settings.pacm_pose and settings.pose_in_generation:
            pull = Pull(inverted, settings.pose_learning_rate)
        chunk = sampler.chunk(embeddings, hints, masks, pull, control)
        z_0 = yield from self._generate(first, chunk, len(poses), 1 if pull is None else 3)
        return _finite(z_0), masks

    def _inversion(self, hint: Tensor) -> Generator[Event, None, Tensor]:
        """Z_0 … Z_T at guidance 1 (Alg. 1, line 1)."""
        key = self.keys.inversion
        found = self._look_up(key)
        yield self._begin("inversion", found is not None)
        if found is not None:
            return self._tensor(found["latents"])
        plain = replace(self.denoiser, guidance_scale=1.0, embedding_role="conditional")
        device = self.models.device
        z_0 = self.models.encode(to_tensor(self.character.picture[None], device)).float()
        latents: list[Tensor] = []

        def predict(z: Tensor, timestep: int) -> Tensor:
            with torch.no_grad():
                return plain.predict(z, timestep, plain.prompt, hint)

        for z in invert(self.ddim, z_0, predict):
            latents.append(z)
            if len(latents) > 1:
                yield self._tick("inversion", 0.5, len(latents) - 1)
                self.clock.resume()
        trajectory = torch.cat(
            latents
        ).contiguous()  # as the cache gives it back: equal to the last bit
        yield from self._keep(key, {"latents": trajectory})
        return trajectory

    def _source_embeddings(
        self, inverted: Tensor, hint: Tensor
    ) -> Generator[Event, None, SourceEmbeddings]:
        """∅_s and Z̄ (Eq. 6); without PACM's first optimisation the prompt's embedding and Z itself."""
        settings = self.settings
        if not settings.pacm_source:
            initial = self.denoiser.initial.expand(self.ddim.steps, -1, -1)
            return SourceEmbeddings(initial, inverted)
        key = self.keys.source
        found = self._look_up(key)
        yield self._begin("pacm_source", found is not None)
        if found is not None:
            return SourceEmbeddings(
                self._tensor(found["embeddings"]), self._tensor(found["trajectory"])
            )
        how = source_optimisation(settings)
        steps = pose_aware_inversion(self.denoiser, self.ddim, inverted, hint, how)
        cost = how.cost(self.ddim.steps) / how.passes(self.ddim.steps)
        optimised: SourceEmbeddings = yield from self._steps("pacm_source", steps, cost)
        source = SourceEmbeddings(
            optimised.embeddings.contiguous(), optimised.trajectory.contiguous()
        )
        yield from self._keep(
            key, {"embeddings": source.embeddings, "trajectory": source.trajectory}
        )
        return source

    def _pose_embeddings(
        self,
        first: int,
        poses: tuple[Pose, ...],
        hints: Tensor,
        inverted: Tensor,
        source: SourceEmbeddings,
        start: Tensor,
    ) -> Generator[Event, None, tuple[Tensor, Tensor | None]]:
        """∅̃ of a chunk's frames (Alg. 1) and the character's cross-attention (frames, h, w) on the way."""
        settings = self.settings
        with_maps = wants_attention(settings, self.tokens)
        if not settings.pose_before and not with_maps:
            return source.embeddings.expand(len(poses), -1, -1, -1), None
        keys = [self.keys.pose(pose) for pose in poses]
        found = [self._look_up(key) for key in keys]
        missing = [i for i, entry in enumerate(found) if entry is None]
        yield self._begin("pacm_pose", not missing, (first, first + len(poses) - 1))
        if missing:
            grid = (start.shape[2], start.shape[3])
            levels = tuple(range(settings.mask_levels))
            maps = (
                CrossAttentionMaps(self.tokens, len(missing), grid, levels) if with_maps else None
            )
            how = pose_optimisation(settings)
            steps = optimise_embeddings(
                self.denoiser,
                self.ddim,
                inverted,
                source.embeddings,
                start,
                hints[missing],
                how,
                maps,
            )
            cost = how.cost / how.passes * len(missing)
            optimised: Tensor = yield from self._steps("pacm_pose", steps, cost)
            seen = maps.maps() if maps is not None else None
            for row, i in enumerate(missing):
                result = {"embeddings": optimised[row]}
                if seen is not None:
                    result["attention"] = seen[row]
                yield from self._keep(keys[i], result)
                found[i] = {name: value.cpu().numpy() for name, value in result.items()}
        entries = [entry for entry in found if entry is not None]
        embeddings = torch.stack([self._tensor(entry["embeddings"]) for entry in entries])
        if not with_maps:
            return embeddings, None
        return embeddings, torch.stack([self._tensor(entry["attention"]) for entry in entries])

    def _generate(
        self, first: int, steps: Iterator[Step], frames: int, cost: int
    ) -> Generator[Event, None, Tensor]:
        span = (first, first + frames - 1)
        yield Stage("generation", self.ddim.steps, frames=span)
        every = max(self.ddim.steps // PREVIEWS_PER_CHUNK, 1)
        z_0 = torch.empty(0)
        for step in steps:
            z_0, done = step.z_0, self.ddim.steps - step.k + 1
            yield self._tick("generation", frames * cost, done)
            self.clock.resume()
            if done % every == 0 and step.k > 1 and self.clock.affords(PREVIEWS, PREVIEW_SHARE):
                middle = frames // 2
                picture = to_pixels(self.models.decode(z_0[middle : middle + 1]))[0]
                self.clock.spend(PREVIEWS)
                yield Preview(first + middle, picture)
                self.clock.resume()
        return z_0

    def plan(self) -> dict[str, float]:
        """What each stage still needs, in passes of one frame through the networks; 0: its result is cached."""
        settings, steps, keys = self.settings, self.ddim.steps, self.keys
        frames = len(self.poses) - 1
        kept = {e.key for e in self.cache.entries()} if self.cache is not None else set()
        passes = {"inversion": 0.0 if keys.inversion in kept else steps * 0.5}
        if settings.pacm_source:
            cost = source_optimisation(settings).cost(steps)
            passes["pacm_source"] = 0.0 if keys.source in kept else cost
        if settings.follows_source:
            passes["frame_0"] = float(steps)
        if settings.pose_before or wants_attention(settings, self.tokens):
            missing = sum(keys.pose(pose) not in kept for pose in self.poses[1:])
            passes["pacm_pose"] = steps * pose_optimisation(settings).cost * missing
        one_pass = settings.pacm_pose and settings.pose_in_generation
        passes["generation"] = float(steps * frames * (3 if one_pass else 1))
        return passes

    def _steps(
        self, stage: str, steps: Generator[Step, None, Result], cost: float
    ) -> Generator[Event, None, Result]:
        """Passes a method's steps on as events and returns its result; each costs `cost` on average."""
        returning = Returning(steps)
        for step in returning:
            yield self._tick(stage, cost, self.ddim.steps - step.k + 1)
            self.clock.resume()
        return returning.result

    def _tick(self, stage: str, cost: float, index: int) -> StepEvent:
        """One step of a stage is done; what went through the networks since the last step counts as this stage's."""
        calls = self.denoiser.calls.total() - sum(self.calls.values())
        self.calls[stage] = self.calls.get(stage, 0) + calls
        return self.clock.tick(stage, cost, index)

    def _begin(self, stage: str, cached: bool, frames: tuple[int, int] | None = None) -> Stage:
        if cached:
            self.cached.append(stage)
        return Stage(stage, 0 if cached else self.ddim.steps, cached, frames)

    def _decoded(self, latent: Tensor) -> NDArray[np.uint8]:
        """The picture (H, W, 3) of one latent (1, c, h, w)."""
        picture = to_pixels(_finite(self.models.decode(latent)))[0]
        self.clock.spend("decoding")
        return picture

    def _sampler(self, start: Tensor, grid: tuple[int, int]) -> Sampler:
        settings = self.settings
        branches = self.denoiser.branches
        attention: FrameAttention | None = None
        if settings.dcam:
            lambdas = Lambdas(settings.lambda_first, settings.lambda_prev, settings.lambda_self)
            attention = DualConsistency(
                branches=branches,
                lambdas=lambdas,
                latent_grid=grid,
                mask_form=settings.mask_form if settings.mgdm else None,
            )
        elif settings.baseline_attention == "cross_frame":
            attention = CrossFrame(branches=branches)
        elif settings.baseline_attention == "spatio_temporal":
            attention = SpatioTemporal(branches=branches)
        source_mask = None
        if settings.masked:
            source_mask = torch.from_numpy(self.character.mask)[None].to(self.models.device)
        device = self.models.device
        room, lockable = None, 0
        if device.type == "cuda":
            room, lockable = free_bytes(device) // 2, free_bytes(torch.device("cpu")) // 2
        return Sampler(
            self.denoiser, self.ddim, start, attention, source_mask, settings.background, room, lockable
        )  # fmt: skip

    def _hints(self, poses: tuple[Pose, ...]) -> Tensor:
        height, width = self.character.picture.shape[:2]
        drawings = np.stack([draw_pose(pose, width, height) for pose in poses])
        with torch.no_grad():
            return self.denoiser.hints(to_tensor(drawings, self.models.device))

    def _look_up(self, key: str) -> dict[str, NDArray] | None:
        return self.cache.get(key) if self.cache is not None else None

    def _keep(self, key: str, tensors: dict[str, Tensor]) -> Iterator[Note]:
        """Caches a result; a cache that can't be written to costs time later, not this run."""
        for tensor in tensors.values():
            _finite(tensor)
        if self.cache is None:
            return
        try:
            self.cache.put(key, {name: value.cpu().numpy() for name, value in tensors.items()})
        except CacheError as error:
            yield Note(str(error))

    def _tensor(self, array: NDArray) -> Tensor:
        # torch's own memory, aligned as a fresh result's is: sums then come in the same order
        return torch.from_numpy(array.copy()).clone().to(self.models.device)


def _finite(result: Tensor) -> Tensor:
    """The result of a stage, looked at once per stage: a look at every step would make a GPU wait.

    Raises:
        DeviceError: it holds what is no number.
    """
    if not bool(result.isfinite().all()):
        raise DeviceError(
            "The models gave no numbers (NaN), which half precision does with some checkpoints.",
            "Start with --precision full, or use another checkpoint or autoencoder.",
        )
    return result
