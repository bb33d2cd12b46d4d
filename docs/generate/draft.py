"""Draws docs/draft.webp, the README's film of drafts: rendered characters, each moved by a preset, larger than the demo
models paint them.

To run: `python docs/generate/draft.py`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

from poseanimate.inputs.aligner import Aligner
from poseanimate.media import tiled, write_clip
from poseanimate.models.input_models import load_input_models
from poseanimate.pocket.body import Angles
from poseanimate.pocket.world.scene import Scene
from poseanimate.poses.motion import load_preset
from poseanimate.settings import Settings

FILM = Path(__file__).resolve().parents[2] / "docs" / "draft.webp"
SHOWN = ((13, "dance-disco"), (3, "jumping-jacks"), (10, "cheer"))  # of the validation scenes
SIDE_PX, FRAMES, GAP_PX = 224, 25, 4


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    settings = Settings().changed({"frames": FRAMES})
    drafts = []
    for index, motion in SHOWN:
        rendered = Scene.sample("validation", index).render(Angles(), SIDE_PX, SIDE_PX)
        picture = Image.fromarray(rendered.picture)
        aligner = Aligner(load_input_models("pocket", "cpu"))
        character = aligner.character(picture, most_side=SIDE_PX)
        alignment = aligner.align(character, load_preset(motion), settings)
        drafts.append([frame.picture for frame in aligner.draft(character, alignment)])
    frames = [tiled(row, len(SHOWN), GAP_PX) for row in zip(*drafts, strict=True)]
    write_clip(frames, FILM, alignment.fps)


if __name__ == "__main__":
    main()
