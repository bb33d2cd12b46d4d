"""The same characters and motions by two states of the demo models, one above the other: docs/results/pairs/.

    python docs/generate/pairs.py make FOLDER          # in the checkout of either state
    python docs/generate/pairs.py join BEFORE AFTER

Held-out characters, drawn at 512 px as that state draws them, in the preset `fast`; five of the 16 frames are shown.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from poseanimate.animator import Animator
from poseanimate.events import Done
from poseanimate.models.loading import load_models
from poseanimate.pocket.body import Angles
from poseanimate.pocket.world.scene import Scene
from poseanimate.poses.motion import load_preset
from poseanimate.settings import Settings

TARGET = Path(__file__).resolve().parents[2] / "docs" / "results" / "pairs"
SIDE_PX = 512
SHOWN = (0, 5, 8, 11, 14)
PAIRS = (
    (291, "walk"),
    (93, "wave"),
    (30, "jumping-jacks"),
    (118, "dance-disco"),
    (57, "dance-sway"),
    (223, "cheer"),
    (109, "bow"),
    (384, "walk"),
    (259, "wave"),
    (326, "jumping-jacks"),
)
"""Held-out scene and motion."""


def make(folder: Path) -> None:
    """The shown frames of each clip beside each other, as PNG."""
    animator = Animator(load_models("pocket", device="cpu"))
    folder.mkdir(parents=True, exist_ok=True)
    for index, motion in PAIRS:
        scene = Scene.sample("held-out", index)
        picture = Image.fromarray(scene.render(Angles(), SIDE_PX, SIDE_PX).picture)
        settings, prompt = Settings.preset("fast", "pocket"), scene.caption
        *_, done = animator.animate(picture, load_preset(motion), settings, prompt)
        assert isinstance(done, Done)
        strip = np.concatenate([done.frames[i] for i in SHOWN], axis=1)
        Image.fromarray(strip).save(folder / f"{index}-{motion}.png")
        print(index, motion, flush=True)


def join(before: Path, after: Path) -> None:
    """Before above after, of each clip that both folders hold."""
    TARGET.mkdir(exist_ok=True)
    for path in sorted(after.glob("*.png")):
        both = [np.asarray(Image.open(folder / path.name)) for folder in (before, after)]
        Image.fromarray(np.concatenate(both)).save(TARGET / f"{path.stem}.webp", quality=82)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("make").add_argument("folder", type=Path)
    joined = commands.add_parser("join")
    for name in ("before", "after"):
        joined.add_argument(name, type=Path)
    options = parser.parse_args()
    if options.command == "make":
        make(options.folder)
    else:
        join(options.before, options.after)


if __name__ == "__main__":
    main()
