"""Animates five example characters and puts every second frame, at half size, as strips into docs/results/.

To run: `python docs/generate/contact_sheets.py`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "docs" / "results"
SHOWN = (
    ("street-boy", "walk", "walk"),
    ("park-girl", "wave", "wave"),
    ("room-boy", "dance-sway", "dance-sway"),
    ("beach-girl", "examples/videos/snow-boy-jumping-jacks.mp4", "video"),
    ("street-girl", "examples/videos/street-boy-dance-disco.mp4", "video"),
)
"""Character, motion, and the motion's name in the file's."""


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    animate = [sys.executable, "-m", "poseanimate", "animate"]
    for character, motion, name in SHOWN:
        picture = f"examples/characters/{character}.png"
        with TemporaryDirectory() as place:
            frames = Path(place) / "frames"
            command = [*animate, picture, motion, "--preset", "fast", "--frames", "16"]
            subprocess.run([*command, "-o", str(frames)], cwd=ROOT, check=True)
            shown = [Image.open(path).reduce(2) for path in sorted(frames.iterdir())[::2]]
        strip = np.concatenate([np.asarray(each) for each in shown], axis=1)
        Image.fromarray(strip).save(TARGET / f"{character}-{name}.webp", quality=82)


if __name__ == "__main__":
    main()
