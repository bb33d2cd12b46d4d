"""Whether long clips drift: the truth repeats in every loop of a motion, so whatever differs between loops is drift.

Frames are numbered from 1, as in a clip whose frame 0 is the source.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from poseanimate.animator import Animator
from poseanimate.evaluation.case import Truth
from poseanimate.evaluation.metrics.appearance import identity_error
from poseanimate.events import Event
from poseanimate.inputs.character import Character
from poseanimate.media.similarity import Picture, change, outside, psnr_db
from poseanimate.pocket.body import Angles
from poseanimate.pocket.world.motions import FPS, loop_frames, sample_motion
from poseanimate.pocket.world.scene import Scene
from poseanimate.poses.motion import Motion
from poseanimate.settings import Settings

HEADINGS = {
    "psnr": "PSNR, dB",
    "psnr_background": "background, dB",
    "psnr_character": "character, dB",
    "identity": "identity, ΔE",
    "background_change": "background's change from the source, grey levels",
    "step": "change from the frame before, grey levels",
}
SLOPE_FRAMES = 100


@dataclass(frozen=True, eq=False)
class Loop:
    """A character of the rendered world in one loop of a motion; truth has its true frames."""

    character: str
    motion: str
    prompt: str
    source: Character
    truth: tuple[Truth, ...]

    @staticmethod
    def load(animator: Animator, split: str, index: int, motion: str) -> Loop:
        side, scene = animator.models.painted_side, Scene.sample(split, index)
        source = Image.fromarray(scene.render(Angles(), side, side).picture)
        rendered = [scene.render(a, side, side) for a in sample_motion(motion, loop_frames(motion))]
        truth = tuple(Truth(r.picture, r.mask, r.pose) for r in rendered)
        name = f"{split}-{index}"
        return Loop(name, motion, scene.caption, animator.character(source), truth)

    def animate(self, animator: Animator, settings: Settings) -> Iterator[Event]:
        """Animates the loop again and again, in the character's own true poses."""
        height, width = self.source.picture.shape[:2]
        poses = tuple(t.pose for t in self.truth)
        motion = Motion(poses, width, height, FPS, self.motion)
        settings = settings.changed({"pata": False, "loop": True})
        return animator.animate(self.source, motion, settings, self.prompt)

    def measure(self, frames: Sequence[Picture]) -> dict[str, list[float]]:
        """Values of each metric of `HEADINGS` for frames 1 … N, at least one loop.

        What precedes frame 1 is the last frame of the first loop.
        """
        found: dict[str, list[float]] = {name: [] for name in HEADINGS}
        shown = [frames[len(self.truth) - 1], *frames]
        for i, (before, made) in enumerate(pairwise(shown)):
            true = self.truth[i % len(self.truth)]
            body = true.mask > 0.5
            nowhere = outside(self.source.mask, true.mask)
            values = {
                "psnr": psnr_db(made, true.picture),
                "psnr_background": psnr_db(made, true.picture, ~body),
                "psnr_character": psnr_db(made, true.picture, body),
                "identity": identity_error(made, true.picture, true.pose),
                "background_change": change(made, self.source.picture, nowhere),
                "step": change(made, before),
            }
            for name, value in values.items():
                found[name].append(value)
        return found

    def compare_loops(self, frames: Sequence[Picture]) -> list[float]:
        """How much each frame from the second loop on differs from the same pose a loop before, in grey levels."""
        period = len(self.truth)
        return [change(*pair) for pair in zip(frames[period:], frames, strict=False)]

    def count_remembered(self, frames: Sequence[Picture]) -> int:
        """For how many frames after the first loop a pixel still shows, by more than rounding, how that one began."""
        pairs = zip(frames[len(self.truth) :], frames, strict=False)
        differ = [np.abs(made.astype(int) - before).max() > 1 for made, before in pairs]
        return int(np.flatnonzero([True, *differ])[-1])


def fit_slope(values: Sequence[float], period: int) -> float:
    """How much a metric rises in `SLOPE_FRAMES` frames: the line through the loops' means.

    Args:
        values: of frames 1 … N, two loops at least; those after the last whole loop are left out.
        period: of the motion in frames.
    """
    loops = _split_loops(values, period)
    number = np.arange(len(loops)) - (len(loops) - 1) / 2
    return float(SLOPE_FRAMES / period * (number @ loops.mean(axis=1)) / (number @ number))


def subtract_first_loop(values: Sequence[float], period: int) -> float:
    """The mean of the last whole loop minus that of the first."""
    means = _split_loops(values, period).mean(axis=1)
    return float(means[-1] - means[0])


def _split_loops(values: Sequence[float], period: int) -> NDArray[np.float64]:
    """(loops, period); of whole loops alone."""
    count = len(values) // period
    return np.array(values[: count * period], np.float64).reshape(count, period)
