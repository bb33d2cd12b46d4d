"""Measures whether long clips drift and draws docs/long-clips/; clips that are made already are not made again."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from poseanimate.animator import Animator
from poseanimate.cache import StageCache
from poseanimate.evaluation import drift
from poseanimate.evaluation.drift import FIGURES, Loop
from poseanimate.events import Done
from poseanimate.media import tiled
from poseanimate.models import load_models
from poseanimate.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
SPLIT = "held-out"
LOOPS = ("walk", "wave", "dance-sway", "jumping-jacks", "squat", "dance-disco")
CACHE_BYTES = 2 << 30


@dataclass(frozen=True)
class Row:
    """Clips of the first `characters` characters, each in its own motion."""

    preset: str
    frames: int  # 1 … N
    characters: int
    changes: dict[str, object]


ROWS = {
    "fast": Row("fast", 192, 6, {}),
    "balanced": Row("balanced", 96, 3, {}),
    # what it looks like when there is drift: frames that see nothing but the frame before
    "chain": Row("fast", 96, 3, {"lambda_first": 0.0, "lambda_prev": 1.0, "lambda_self": 0.0}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "drift", help="of the clips")
    parser.add_argument("--rows", default=",".join(ROWS))
    options = parser.parse_args()
    options.output.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        animator = Animator(load_models("pocket", "cpu"), StageCache(Path(folder), CACHE_BYTES))
        for name in options.rows.split(","):
            row = ROWS[name]
            for i in range(row.characters):
                clip(animator, options.output, name, row, i)


def clip(animator: Animator, folder: Path, name: str, row: Row, i: int) -> tuple[Loop, np.ndarray]:
    """A row's clip of character i, frames 1 … N as (N, H, W, 3)."""
    loop = Loop.of(animator, SPLIT, i, LOOPS[i])
    path = folder / f"{name}-{i}.npy"
    if not path.exists():
        settings = Settings.preset(row.preset).changed({**row.changes, "frames": row.frames + 1})
        done = next(e for e in loop.events(animator, settings) if isinstance(e, Done))
        np.save(path, np.stack(done.frames[1:]))
        print(path.name, sum(done.seconds.values()), flush=True)
    return loop, np.load(path)


if __name__ == "__main__":
    main()
