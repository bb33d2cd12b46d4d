"""Plain samples: pictures made from caption and skeleton alone, to see whether the models know their world."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from poseanimate.evaluation.metrics import garments_are_right, pose_is_right
from poseanimate.method.ddim import DDIM
from poseanimate.method.denoiser import Denoiser
from poseanimate.models import Models, to_pixels, to_tensor
from poseanimate.pocket.data import training_angles
from poseanimate.pocket.scene import Scene
from poseanimate.poses.skeleton import draw_pose

STEPS, GUIDANCE = 25, 3.0


@dataclass(frozen=True, eq=False)
class Sample:
    """One picture made for a held-out scene, the true picture, and whether it is right."""

    made: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    pose_right: bool
    garments_right: bool
    truth_passes: bool


def samples(models: Models, split: str, count: int) -> Iterator[Sample]:
    """Samples with DDIM from random noise, guidance 3, the first `count` scenes of a split in random poses."""
    size = models.side
    ddim = DDIM.from_scheduler(models.scheduler, STEPS)
    for index in range(count):
        scene = Scene.sample(split, index)
        rendered = scene.render(training_angles(np.random.default_rng([index, 11])), size, size)
        eps = Denoiser(
            models.unet, models.controlnet, models.embed(scene.caption), models.embed(""), GUIDANCE,
            controlnet_text="prompt",
        )  # fmt: skip
        drawing = to_tensor(draw_pose(rendered.pose, size, size)[None], models.device)
        side = size // models.factor
        generator = torch.Generator().manual_seed(index)
        shape = (1, models.unet.config.in_channels, side, side)
        z = torch.randn(shape, generator=generator).to(models.device)
        with torch.no_grad():
            hint = eps.hints(drawing)
            for k in range(STEPS, 0, -1):
                z = ddim.step(z, eps.predict(z, ddim.timestep(k), eps.prompt, hint), k)
        made = to_pixels(models.decode(z))[0]
        people = models.detector.detect(made)
        yield Sample(
            made,
            rendered.picture,
            pose_is_right(people[0] if people else None, rendered.pose),
            garments_are_right(made, scene.character, rendered.pose),
            garments_are_right(rendered.picture, scene.character, rendered.pose),
        )
