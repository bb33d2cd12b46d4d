"""Measures what --max-side gives, for docs/long-clips.md: clips of the models' area, and larger ones."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from markers import replace_section
from PIL import Image

from poseanimate.animator import Animator
from poseanimate.evaluation.metrics.appearance import identity_error
from poseanimate.evaluation.statistics import bootstrap
from poseanimate.events import Done
from poseanimate.media.similarity import psnr_db
from poseanimate.models.family import to_pixels, to_tensor
from poseanimate.models.loading import load_models
from poseanimate.pocket.body import Angles
from poseanimate.pocket.world.motions import FPS, sample_motion
from poseanimate.pocket.world.scene import Scene
from poseanimate.poses.motion import Motion
from poseanimate.settings import Settings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "long-clips.md"
SPLIT, CHARACTERS, MOTION, FRAMES = "held-out", 6, "wave", 8
TIMES = 1.25  # the models' side
PICTURES = {"square": (1.25, 1.25), "portrait": (1.0, 1.5), "landscape": (1.5, 1.0)}  # sides
HEADINGS = {"psnr": "PSNR, dB", "character": "character, dB", "identity": "identity, ΔE",
           "vae_bound": "the autoencoder's PSNR, dB"}  # fmt: skip


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    models = load_models("pocket", "cpu")
    lines = format_table(Animator(models), Animator(models, max_side=int(TIMES * models.side)))
    PAGE.write_text(replace_section(PAGE.read_text(), "shapes", "shapes", lines))


def format_table(plain: Animator, larger: Animator) -> Iterator[str]:
    yield "| picture | " + " | ".join(HEADINGS.values()) + " |"
    yield "|---" * (len(HEADINGS) + 1) + "|"
    for name, sides in PICTURES.items():
        width, height = (round(side * plain.models.side) for side in sides)
        found = [
            [measure(animator, i, width, height) for i in range(CHARACTERS)]
            for animator in (plain, larger)
        ]
        sizes = [
            "{1}x{0}".format(*a.fit_picture(Image.new("RGB", (width, height))).shape)
            for a in (plain, larger)
        ]
        cells = [
            _format_cell(*([own[figure] for own in row] for row in found)) for figure in HEADINGS
        ]
        yield f"| {name}, {sizes[0]} and {sizes[1]} | " + " | ".join(cells) + " |"


def _format_cell(one: list[float], other: list[float]) -> str:
    """Both means, and the difference with its interval over characters."""
    more = bootstrap({str(i): [b - a] for i, (a, b) in enumerate(zip(one, other, strict=True))})
    means = f"{np.mean(one):.1f}, {np.mean(other):.1f}"
    return f"{means}; {more.mean:+.1f} ({more.low:+.1f} to {more.high:+.1f})"


def measure(animator: Animator, index: int, width: int, height: int) -> dict[str, float]:
    """Means over the frames of one clip, against the truth rendered at the clip's own size."""
    scene, models = Scene.sample(SPLIT, index), animator.models
    source = animator.character(Image.fromarray(scene.render(Angles(), width, height).picture))
    height, width = source.picture.shape[:2]
    true = [scene.render(angles, width, height) for angles in sample_motion(MOTION, FRAMES)]
    motion = Motion(tuple(t.pose for t in true), width, height, FPS, MOTION)
    settings = Settings.preset("fast", "pocket").changed(
        {"pata": False, "crop": False, "frames": FRAMES + 1}
    )
    events = animator.animate(source, motion, settings, scene.caption)
    made = next(event for event in events if isinstance(event, Done)).frames[1:]
    pictures = to_tensor(np.stack([t.picture for t in true]), models.device)
    bound = to_pixels(models.decode(models.encode(pictures)))

    def mean(values: Iterator[float]) -> float:
        return float(np.mean(list(values)))

    pairs = list(zip(made, true, strict=True))
    return {
        "psnr": mean(psnr_db(m, t.picture) for m, t in pairs),
        "character": mean(psnr_db(m, t.picture, t.mask > 0.5) for m, t in pairs),
        "identity": mean(identity_error(m, t.picture, t.pose) for m, t in pairs),
        "vae_bound": mean(psnr_db(b, t.picture) for b, t in zip(bound, true, strict=True)),
    }


if __name__ == "__main__":
    main()
