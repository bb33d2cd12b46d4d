"""One animation: its stages in the paper's order, chunk by chunk, again with fewer frames where memory runs out."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from poseanimate.events import Done, Event, Frame, Note
from poseanimate.inputs.character import Character
from poseanimate.inputs.prompt import check_prompt, find_character_positions
from poseanimate.media.similarity import psnr_db
from poseanimate.method.ddim import DDIM
from poseanimate.method.extras.drafts import Drafts, draft_step
from poseanimate.method.pacm import SourceEmbeddings
from poseanimate.method.sampler import Chunk, FrameRecord, Sampler, SourceRecord
from poseanimate.models.family import Models
from poseanimate.pipeline.build import (
    build_sampler,
    pose_optimisation,
    records_attention,
    source_optimisation,
)
from poseanimate.pipeline.cache_keys import StageKeys
from poseanimate.pipeline.frame_masks import FrameMasks
from poseanimate.pipeline.memory import (
    choose_chunk_size,
    frame_bytes,
    free_bytes,
    is_out_of_memory,
    release,
)
from poseanimate.pipeline.progress import ProgressTimer
from poseanimate.pipeline.stages import Stages
from poseanimate.poses.pata import Alignment
from poseanimate.puppet.head import is_turned
from poseanimate.settings import Settings
from poseanimate.storage.stage_cache import StageCache


@dataclass(frozen=True, eq=False)
class Source:
    """What every chunk starts from: Z_0 … Z_T, ∅_s and Z̄, Z̃_T, frame 0's own pass, and Z_T without the character."""

    inverted: Tensor
    embeddings: SourceEmbeddings
    start: Tensor
    record: SourceRecord | None
    ground: Tensor | None


@dataclass
class Run:
    """One animation.

    chunk_size: frames that are generated together; None: as many as fit into memory. It changes speed and memory, not
        results.
    seconds: by stage, added to.
    """

    models: Models
    cache: StageCache | None
    character: Character
    alignment: Alignment
    settings: Settings
    prompt: str
    chunk_size: int | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_prompt(self.prompt)
        settings, models = self.settings, self.models
        self.poses = self.alignment.poses
        self.ddim = DDIM.from_scheduler(
            models.scheduler, settings.num_inference_steps, settings.timestep_spacing
        )
        self.drafted = self.ddim.until(draft_step(self.ddim.steps))
        self.sampled, self.turns = self.ddim, False
        if settings.start == "draft":
            # a draft can't turn: bodies that do start at Z_T, and drafts are set in on the way
            self.turns = any(is_turned(pose, self.character.pose) for pose in self.poses[1:])
            self.sampled = self.ddim if self.turns else self.drafted
        self.tokens = find_character_positions(models, self.prompt, settings.character_words)
        self.keys = StageKeys(
            models.identity, self.character, self.prompt, self.tokens, settings, self.sampled.steps
        )
        height, width = self.character.picture.shape[:2]
        self.current_chunk_size = choose_chunk_size(
            self.chunk_size,
            models.device.type,
            free_bytes(models.device),
            frame_bytes(models.unet, height * width),
        )
        self.timer = ProgressTimer(sum(self.plan().values()), self.seconds)
        self.stages = Stages(
            models, self.cache, self.character, settings, self.prompt, self.tokens, self.keys,
            self.ddim, self.sampled, self.drafted, self.timer,
        )  # fmt: skip

    def plan(self) -> dict[str, float]:
        """What each stage still needs, in passes of one frame through the networks; 0: its result is cached."""
        settings, steps, keys = self.settings, self.sampled.steps, self.keys
        kept = {e.key for e in self.cache.entries()} if self.cache is not None else set()
        passes = {"inversion": 0.0 if keys.inversion in kept else self.ddim.steps * 0.5}
        if settings.pacm_source:
            cost = source_optimisation(settings).cost(self.ddim.steps)
            passes["pacm_source"] = 0.0 if keys.source in kept else cost
        if settings.follows_source:
            passes["frame_0"] = float(steps)
        if settings.start == "draft":
            missing = sum(keys.draft(pose) not in kept for pose in self.poses[1:])
            if self.turns:
                passes["ground"] = 0.0 if keys.ground in kept else self.ddim.steps * 0.5
            passes["drafts"] = self.drafted.steps * 0.5 * missing
        if settings.pacm_pose or records_attention(settings, self.tokens):
            missing = sum(keys.pose(pose) not in kept for pose in self.poses[1:])
            passes["pacm_pose"] = steps * pose_optimisation(settings).cost * missing
        passes["generation"] = float(steps * (len(self.poses) - 1))
        return passes

    def events(self) -> Generator[Event, None, None]:
        """All that happens, until Done."""
        stages, settings = self.stages, self.settings
        frames: list[NDArray[np.uint8]] = [self.character.picture]
        yield Frame(0, self.character.picture)
        if unread := self.models.unread(self.prompt):
            yield Note(
                f"The prompt is too long for the models, which ignore its end: {unread!r:.80}."
            )
        optimised = settings.pacm_source or settings.pacm_pose
        told = self.prompt.strip() or optimised or settings.prompted_by_picture
        if settings.guidance_scale != 1 and not told:
            yield Note("The prompt is empty, so guidance does nothing: say who is in the picture.")
        pose_cond = stages.embed_poses(self.poses[:1])
        inverted = yield from stages.inversion(pose_cond)
        embeddings = yield from stages.source_embeddings(inverted, pose_cond)
        start = self._start(inverted)
        sampler = build_sampler(
            self.models, settings, self.character, stages.denoiser, self.sampled, start
        )
        record = yield from stages.source_record(sampler, inverted, embeddings, pose_cond)
        ground = None
        if self.turns:
            ground = yield from stages.ground(self.frame_masks.puppet)
        source = Source(inverted, embeddings, start, record, ground)
        if settings.attended and not self.tokens:
            yield Note(
                "No word of the prompt names the character, so frame masks come from the skeleton alone."
            )
        previous: FrameRecord | None = record
        while len(frames) < len(self.poses):
            try:
                chunk, masks = yield from self._chunk(len(frames), sampler, source, previous)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or self.current_chunk_size == 1:
                    raise
            else:
                previous = chunk.last  # before decoding: the former one's keys and values can go
                yield from self._decode(chunk, masks, frames)
                continue
            # out here, where the error no longer holds what was being worked on
            self.current_chunk_size //= 2
            release(self.models.device)
            words = "frame is" if self.current_chunk_size == 1 else "frames are"
            yield Note(
                f"Memory ran out: from here on {self.current_chunk_size} {words} generated at a time.",
                True,
            )
        source_psnr_db = inversion_psnr_db = None
        if settings.pacm_source:
            reconstructed = stages.decode(embeddings.trajectory[:1])
            height, width = self.character.picture.shape[:2]
            seen = cv2.resize(reconstructed, (width, height), interpolation=cv2.INTER_AREA)
            source_psnr_db = psnr_db(np.asarray(seen), self.character.picture)
            inversion_psnr_db = psnr_db(reconstructed, stages.decode(inverted[:1]))
        yield Done(
            tuple(frames),
            self.alignment.fps,
            self.seconds,
            dict(stages.denoiser.calls),
            source_psnr_db,
            inversion_psnr_db,
            # what was worked out in part was not saved
            tuple(each for each in dict.fromkeys(stages.cached) if each not in stages.calls),
            stages.calls,
            sampler.attention.lost_attention() if sampler.attention else {},
        )

    def _chunk(
        self, first: int, sampler: Sampler, source: Source, previous: FrameRecord | None
    ) -> Generator[Event, None, tuple[Chunk, Tensor | None]]:
        """The next frames' latents and masks (frames, H, W)."""
        stages, settings = self.stages, self.settings
        poses = self.poses[first : first + self.current_chunk_size]
        pose_cond = stages.embed_poses(poses)
        drafts = None
        if settings.start == "draft":
            latents = yield from stages.drafts(first, poses, pose_cond, self.frame_masks.puppet)
            belief = self.frame_masks.belief(poses)
            drafts = Drafts.of(self.drafted.steps, latents, belief, source.ground)
        embeddings, attention = yield from stages.pose_embeddings(
            first, poses, pose_cond, source.inverted, source.embeddings, source.start, drafts
        )
        masks = control_weights = None
        if settings.masked:
            masks = self.frame_masks.masks(poses, attention)
            grid = (source.start.shape[2], source.start.shape[3])
            control_weights = self.frame_masks.control_weights(masks, grid)
        steps = sampler.sample_chunk(
            source.record, previous, embeddings, pose_cond, masks, control_weights, drafts
        )  # fmt: skip
        return (yield from stages.generation(first, len(poses), steps)), masks

    def _decode(
        self, chunk: Chunk, masks: Tensor | None, frames: list[NDArray[np.uint8]]
    ) -> Generator[Event, None, None]:
        """Finishes a chunk's frames and adds them to `frames`."""
        used = None if masks is None else masks.cpu().numpy()
        for i, latent in enumerate(chunk.latents.split(1)):
            frames.append(self.stages.decode(latent))
            yield Frame(len(frames) - 1, frames[-1], None if used is None else used[i])
            self.timer.resume()

    @cached_property
    def frame_masks(self) -> FrameMasks:
        models = self.models
        return FrameMasks(
            self.character, self.poses[0], self.settings, models.device, models.factor
        )

    def _start(self, inverted: Tensor) -> Tensor:
        """Z̃_T or, where frames start at less noise, the source's Z there, (1, c, h, w)."""
        z_t = inverted[self.sampled.steps : self.sampled.steps + 1]
        if self.settings.start != "random":
            return z_t
        generator = torch.Generator().manual_seed(self.settings.seed)
        return torch.randn(z_t.shape, generator=generator).to(z_t)
