"""The paper's listing taken literally, as a baseline: one frame and one guidance branch at a time.

Nothing is shared or kept: ControlNet runs for each guidance branch and embeds its drawing at every call, Alg. 1 goes
through the frames one by one, Eqs. 9, 10 are six attentions per layer. The arithmetic is the package's own; only the
order of work is literal.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from poseanimate.errors import ModelsError
from poseanimate.inputs.character import Character
from poseanimate.method.cross_frame import AttendedFrame, FramePass, KeyValueCache
from poseanimate.method.dcam import DualConsistency, Lambdas
from poseanimate.method.ddim import DDIM, Predict, invert
from poseanimate.method.regions import ChunkRegions
from poseanimate.models.family import Models, to_tensor
from poseanimate.poses.silhouette import Silhouette
from poseanimate.poses.skeleton import Pose, draw_pose
from poseanimate.settings import Settings

PER_FRAME = ("pacm_pose", "generation", "decoding")

Caches = tuple[KeyValueCache, KeyValueCache]  # of both guidance branches


@dataclass
class Costs:
    """Seconds by stage and samples through each network; of `frames` frames in per-frame stages."""

    frames: int
    seconds: dict[str, float] = field(default_factory=dict)
    calls: dict[str, Counter[str]] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str, calls: Counter[str]) -> Iterator[None]:
        before, started = Counter(calls), _now()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + _now() - started
        self.calls[name] = self.calls.get(name, Counter()) + (calls - before)

    def scaled(self, frames: int) -> dict[str, tuple[float, Counter[str]]]:
        """Seconds and samples by stage for a clip of this many frames, without the source."""
        found = {}
        for name, seconds in self.seconds.items():
            factor = frames / self.frames if name in PER_FRAME else 1.0
            calls = {network: round(n * factor) for network, n in self.calls[name].items()}
            found[name] = (seconds * factor, Counter(calls))
        return found


class SixAttentions(DualConsistency):
    """Eqs. 8 to 10 as written: for each of three frames one attention for the character, one for the rest."""

    def combine(
        self, q: Tensor, first: AttendedFrame, previous: AttendedFrame, own: AttendedFrame
    ) -> Tensor:
        if own.region is None:  # frame 0 alone
            return scaled_dot_product_attention(q, own.k, own.v)
        dca_c = dca_b = torch.zeros_like(q)
        lambdas = (self.lambdas.first, self.lambdas.prev, self.lambdas.self)
        for weight, frame in zip(lambdas, (first, previous, own), strict=True):
            k, v, m = frame.k, frame.v, _inside(frame).to(q.dtype)
            dca_c = dca_c + weight * scaled_dot_product_attention(q, k * m, v * m)
            dca_b = dca_b + weight * scaled_dot_product_attention(q, k * (1 - m), v * (1 - m))
        return torch.where(_inside(own), dca_c, dca_b)


def _inside(frame: AttendedFrame) -> Tensor:
    """(frames, 1, tokens, 1) bool: the character's tokens."""
    assert frame.region is not None
    return frame.region.inside[:, None, :, None]


@dataclass
class LiteralLoop:
    """One clip the literal way. The optimised embedding is the conditional one (Sec. 3.2)."""

    models: Models
    character: Character
    settings: Settings
    prompt: str
    calls: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        if self.models.text_encoder_2 is not None:
            raise ModelsError("The literal loop isn't for Stable Diffusion XL.", "Leave it out.")
        self.text, self.null = self.models.embed(self.prompt), self.models.embed("")
        self.ddim = DDIM.from_scheduler(
            self.models.scheduler, self.settings.num_inference_steps, self.settings.timestep_spacing
        )

    def run(self, poses: tuple[Pose, ...]) -> Costs:
        """Computes the frames of `poses` (the source's first) and returns what each stage took."""
        costs = Costs(len(poses) - 1)
        drawings = [self._drawing(pose) for pose in poses]
        with costs.stage("inversion", self.calls):
            z_0 = self.models.encode(to_tensor(self.character.picture[None], self.models.device))
            inverted = torch.cat(list(invert(self.ddim, z_0.float(), self._unguided(drawings[0]))))
        with costs.stage("pacm_source", self.calls):
            source = self._source(inverted, drawings[0])
        optimised = []
        for drawing in drawings[1:]:
            with costs.stage("pacm_pose", self.calls):
                optimised.append(self._pose_embeddings(inverted, source, drawing))
        masks = self._masks(poses)
        attention = self._attention()
        with costs.stage("frame_0", self.calls):
            first = self._recorded(inverted, source, drawings[0], attention)
        previous = first
        for i in range(1, len(poses)):
            of_three = torch.cat([masks[:1], masks[i - 1 : i], masks[i : i + 1]])
            with costs.stage("generation", self.calls):
                z, previous = self._generated(
                    inverted[-1:], optimised[i - 1], drawings[i], attention, first, previous,
                    self._regions(of_three, inverted),
                )  # fmt: skip
            with costs.stage("decoding", self.calls):
                self.models.decode(z)
        return costs

    def _unguided(self, drawing: Tensor) -> Predict:
        def predict(z: Tensor, timestep: int) -> Tensor:
            with torch.no_grad():
                return self._branch(z, timestep, self.text, drawing)

        return predict

    def _source(self, inverted: Tensor, drawing: Tensor) -> list[Tensor]:
        """Eq. 6, timestep by timestep."""
        settings, steps = self.settings, self.ddim.steps
        z, embedding = inverted[-1:], self.text
        embeddings = []
        for i, k in enumerate(range(steps, 0, -1)):
            if settings.source_start == "prompt":
                embedding = self.text
            embedding = embedding.detach().clone().requires_grad_(True)
            adam = torch.optim.Adam(
                [embedding], lr=settings.source_learning_rate * (1 - i / steps / 2)
            )
            for _ in range(settings.inner_steps):
                loss = self._loss(inverted, z, embedding, drawing, k)[0]
                embedding.grad = self._gradient(loss, embedding, inverted)
                self.calls["gradient"] += 1
                adam.step()
            with torch.no_grad():
                z = self.ddim.step(z, self._guided(z, k, embedding, drawing), k)
            embeddings.append(embedding.detach())
        return embeddings[::-1]

    def _pose_embeddings(
        self, inverted: Tensor, source: list[Tensor], drawing: Tensor
    ) -> list[Tensor]:
        """Alg. 1, lines 3 to 9, for one frame."""
        z, optimised = inverted[-1:], []
        for k in range(self.ddim.steps, 0, -1):
            embedding = source[k - 1].clone().requires_grad_(True)
            loss, z = self._loss(inverted, z, embedding, drawing, k)
            (gradient,) = torch.autograd.grad(loss, embedding)
            self.calls["gradient"] += 1
            optimised.append(embedding.detach() - self.settings.pose_learning_rate * gradient)
        return optimised[::-1]

    def _attention(self) -> SixAttentions:
        settings = self.settings
        lambdas = Lambdas(settings.lambda_first, settings.lambda_prev, settings.lambda_self)
        return SixAttentions(lambdas=lambdas, branches=1)

    @staticmethod
    def _regions(masks: Tensor, latents: Tensor) -> ChunkRegions:
        return ChunkRegions(masks, (latents.shape[2], latents.shape[3]), branches=1)

    def _recorded(
        self,
        inverted: Tensor,
        source: list[Tensor],
        drawing: Tensor,
        attention: SixAttentions,
    ) -> Caches:
        """Frame 0's keys and values in both guidance branches; Eqs. 8 to 10 are those of later frames."""
        caches = KeyValueCache(), KeyValueCache()
        with torch.no_grad():
            for k in range(self.ddim.steps, 0, -1):
                timestep = self.ddim.timestep(k)
                passes = [FramePass(timestep, None, None, own) for own in caches]
                self._guided(inverted[k : k + 1], k, source[k - 1], drawing, attention, passes)
        return caches

    def _generated(
        self,
        z: Tensor,
        embeddings: list[Tensor],
        drawing: Tensor,
        attention: SixAttentions,
        first: Caches,
        previous: Caches,
        regions: ChunkRegions,
    ) -> tuple[Tensor, Caches]:
        """A frame's clean latent and its keys and values."""
        caches = KeyValueCache(), KeyValueCache()
        with torch.no_grad():
            for k in range(self.ddim.steps, 0, -1):
                timestep = self.ddim.timestep(k)
                passes = [
                    FramePass(timestep, first[i], previous[i], caches[i], regions) for i in (0, 1)
                ]
                eps = self._guided(z, k, embeddings[k - 1], drawing, attention, passes)
                z = self.ddim.step(z, eps, k)
        return z, caches

    def _loss(
        self, inverted: Tensor, z: Tensor, embedding: Tensor, drawing: Tensor, k: int
    ) -> tuple[Tensor, Tensor]:
        """The summed squared error, and Z_{k-1}."""
        with torch.enable_grad():
            z_prev = self.ddim.step(z, self._guided(z, k, embedding, drawing), k)
            loss = (z_prev - inverted[k - 1 : k]).square().sum()
        return loss, z_prev.detach()

    @staticmethod
    def _gradient(loss: Tensor, embedding: Tensor, inverted: Tensor) -> Tensor:
        """Of Eq. 6's mean, whose factor is applied after it as in the engine: half precision would lose it."""
        (gradient,) = torch.autograd.grad(loss, embedding)
        return gradient / inverted[0].numel()

    def _guided(
        self,
        z: Tensor,
        k: int,
        embedding: Tensor,
        drawing: Tensor,
        attention: SixAttentions | None = None,
        passes: Sequence[FramePass | None] = (None, None),
    ) -> Tensor:
        timestep = self.ddim.timestep(k)
        eps_null = self._branch(z, timestep, self.null, drawing, attention, passes[0])
        eps_text = self._branch(z, timestep, embedding, drawing, attention, passes[1])
        return eps_null + self.settings.guidance_scale * (eps_text - eps_null)

    def _branch(
        self,
        z: Tensor,
        timestep: int,
        text: Tensor,
        drawing: Tensor,
        attention: SixAttentions | None = None,
        frames: FramePass | None = None,
    ) -> Tensor:
        """ControlNet and U-Net for one sample."""
        models = self.models
        z, text, drawing = (x.to(models.unet.dtype) for x in (z, text, drawing))
        down, mid = models.controlnet(z, timestep, text, controlnet_cond=drawing, return_dict=False)
        self.calls["controlnet"] += 1
        self.calls["unet"] += 1
        attending = nullcontext()
        if attention is not None and frames is not None:
            attending = attention.installed(models.unet, frames)
        with attending:
            eps: Tensor = models.unet(
                z, timestep, text,
                down_block_additional_residuals=down, mid_block_additional_residual=mid,
            ).sample  # fmt: skip
        return eps.float()

    def _drawing(self, pose: Pose) -> Tensor:
        height, width = self.character.picture.shape[:2]
        drawn = draw_pose(pose, width, height, self.models.thick_skeletons)
        return to_tensor(drawn[None], self.models.device)

    def _masks(self, poses: tuple[Pose, ...]) -> Tensor:
        """M_0 … M_N, (frames, H, W): the source's mask, then the skeletons' silhouettes."""
        height, width = self.character.picture.shape[:2]
        silhouette = Silhouette.fit(self.character.pose, self.character.mask)
        drawn = [silhouette.draw(pose, width, height) for pose in poses[1:]]
        return torch.from_numpy(np.stack([self.character.mask, *drawn])).to(self.models.device)


def _now() -> float:
    """Seconds, once all queued work is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.monotonic()
