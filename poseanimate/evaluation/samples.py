"""Plain samples: pictures made from caption and skeleton alone, to see whether the models know their world."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from poseanimate.errors import OutputError
from poseanimate.evaluation.metrics import garments_are_right, pose_is_right
from poseanimate.events import Step
from poseanimate.method.ddim import DDIM
from poseanimate.method.denoiser import Denoiser
from poseanimate.models import Models, to_pixels, to_tensor
from poseanimate.pocket.data import training_angles
from poseanimate.pocket.scene import Scene
from poseanimate.poses.skeleton import draw_pose

STEPS, GUIDANCE = 25, 3.0
COLUMNS, ROWS = 8, 3  # of the sheet


@dataclass(frozen=True, eq=False)
class Sample:
    """One picture made for a held-out scene, the true picture, and whether it is right."""

    made: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    pose_right: bool
    garments_right: bool
    truth_passes: bool


def samples(models: Models, split: str, first: int, count: int) -> Iterator[Sample]:
    """Samples with DDIM from random noise, guidance 3, `count` scenes of a split in random poses."""
    size = models.side
    ddim = DDIM.from_scheduler(models.scheduler, STEPS)
    for index in range(first, first + count):
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


def write_samples(
    models: Models, split: str, first: int, count: int, folder: Path
) -> Generator[Step, None, str]:
    """Writes samples.md and samples.png (made above true) into a folder; returns the report's sentence.

    Raises:
        OutputError: the folder can't be written to.
    """
    made: list[Sample] = []
    for sample in samples(models, split, first, count):
        made.append(sample)
        yield Step("samples", len(made), count)
    both = sum(s.pose_right and s.garments_right for s in made)
    told = (
        f"{count} plain samples ({split}, DDIM T={STEPS}, w={GUIDANCE:g}, from random noise): pose right "
        f"{sum(s.pose_right for s in made)}, garment colours right {sum(s.garments_right for s in made)}, "
        f"both right {both}; the colour check passes {sum(s.truth_passes for s in made)} of the true pictures. "
        "Upper rows: made, lower rows: true."
    )
    blank = np.zeros_like(made[0].made)
    shown = [(s.made, s.truth) for s in made[: COLUMNS * ROWS]]
    shown += [(blank, blank)] * (-len(shown) % COLUMNS)
    rows = [
        np.concatenate([pair[which] for pair in shown[first : first + COLUMNS]], axis=1)
        for first in range(0, len(shown), COLUMNS)
        for which in (0, 1)
    ]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.concatenate(rows)).save(folder / "samples.png")
        (folder / "samples.md").write_text(f"{told}\n\n![](samples.png)\n")
    except OSError as error:
        raise OutputError(f"{folder} can't be written to.", "Choose another folder.") from error
    return told
