"""Plain samples: pictures made from caption and skeleton alone, to test what the models know."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from poseanimate.errors import OutputError
from poseanimate.evaluation.metrics.appearance import garments_are_right, letter_is_right
from poseanimate.events import Step
from poseanimate.method.ddim import DDIM
from poseanimate.method.denoiser import Denoiser
from poseanimate.models.family import Models, to_pixels, to_tensor
from poseanimate.models.pose_detection import choose_eyes
from poseanimate.pocket.training.data import sample_training_angles
from poseanimate.pocket.world.scene import Scene
from poseanimate.poses.accuracy import PCK_RADIUS, joint_errors
from poseanimate.poses.skeleton import Pose, draw_pose

STEPS, GUIDANCE, CONTROL = 25, 3.0, 1.6  # CONTROL: ControlNet's scale, see docs/decisions.md
COLUMNS, ROWS = 8, 3  # of the picture
MIN_SHARE_OF_JOINTS = 0.8


@dataclass(frozen=True, eq=False)
class Sample:
    """A picture generated for a scene, the true picture, and whether it is right.

    letter_right: see `letter_is_right`; None where there is no letter to see.
    """

    made: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    pose_right: bool
    garments_right: bool
    truth_passes: bool
    letter_right: bool | None
    kinds: tuple[str, ...]

    @property
    def right(self) -> bool:
        return self.pose_right and self.garments_right


def draw_samples(models: Models, split: str, first: int, count: int) -> Iterator[Sample]:
    """Draws samples with DDIM from random noise: `count` scenes of a split in random poses."""
    size, seen = models.painted_side, models.side
    ddim = DDIM.from_scheduler(models.scheduler, STEPS)
    for index in range(first, first + count):
        scene = Scene.sample(split, index)
        angles = sample_training_angles(np.random.default_rng([index, 11]))
        rendered = scene.render(angles, size, size)
        dyed = {what: s.render(angles, size, size).picture for what, s in scene.dyed().items()}
        relettered = [s.render(angles, size, size).picture for s in scene.relettered()]
        eps = Denoiser(
            models.unet, models.controlnet, models.embed(scene.caption), models.embed(""), GUIDANCE,
            controlnet_text="prompt", controlnet_scale=CONTROL,
        )  # fmt: skip
        pose = scene.pose(angles, seen, seen)
        drawing = to_tensor(draw_pose(pose, seen, seen)[None], models.device)
        side = seen // models.factor
        generator = torch.Generator().manual_seed(index)
        shape = (1, models.unet.config.in_channels, side, side)
        z = torch.randn(shape, generator=generator).to(models.device)
        with torch.no_grad():
            pose_cond = eps.embed_poses(drawing)
            for k in range(STEPS, 0, -1):
                z = ddim.step(z, eps.predict(z, ddim.timestep(k), eps.prompt, pose_cond), k)
        made = to_pixels(models.decode(z))[0]
        people = choose_eyes(models.detector, rendered.picture).detect(made)
        yield Sample(
            made,
            rendered.picture,
            pose_is_right(people[0] if people else None, rendered.pose),
            garments_are_right(made, rendered.picture, dyed, scene.doll),
            garments_are_right(rendered.picture, rendered.picture, dyed, scene.doll),
            letter_is_right(made, rendered.picture, relettered) if relettered else None,
            scene.kinds,
        )


def write_samples(
    models: Models, split: str, first: int, count: int, folder: Path
) -> Generator[Step, None, str]:
    """Writes samples.md and samples.png (made above true) into a folder; returns the report's sentence.

    Raises:
        OutputError: the folder can't be written to.
    """
    made: list[Sample] = []
    for sample in draw_samples(models, split, first, count):
        made.append(sample)
        yield Step("samples", len(made), count)
    letters = [s.letter_right for s in made if s.letter_right is not None]
    read = f"Shirts' letters are right on {sum(letters)} of {len(letters)}. " if letters else ""
    sentence = (
        f"{count} plain samples ({split}, DDIM T={STEPS}, w={GUIDANCE:g}, ControlNet at {CONTROL:g}, "
        f"from random noise): pose right {sum(s.pose_right for s in made)}, "
        f"garment colours right {sum(s.garments_right for s in made)}, "
        f"both right {sum(s.right for s in made)} ({_count_by_kind(made)}); the colour check passes "
        f"{sum(s.truth_passes for s in made)} of the true pictures. {read}Upper rows: made, lower rows: true."
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
        (folder / "samples.md").write_text(f"{sentence}\n\n![](samples.png)\n")
    except OSError as error:
        raise OutputError(f"{folder} can't be written to.", "Choose another folder.") from error
    return sentence


def pose_is_right(found: Pose | None, truth: Pose) -> bool:
    """Whether 80 % of the joints lie within a quarter of a torso of the truth."""
    return bool((joint_errors(found, truth) < PCK_RADIUS).mean() >= MIN_SHARE_OF_JOINTS)


def _count_by_kind(made: list[Sample]) -> str:
    """How many are right of each kind of character."""
    kinds = sorted({kind for s in made for kind in s.kinds})
    own = {kind: [s.right for s in made if kind in s.kinds] for kind in kinds}
    own["others"] = [s.right for s in made if not s.kinds]
    return ", ".join(f"{kind} {sum(right)} of {len(right)}" for kind, right in own.items() if right)
