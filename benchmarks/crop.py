"""Crop and paste back against whole pictures scaled up: clips of rendered characters, and the true frames.

    python benchmarks/crop.py --characters 24 --side 512

Each picture is animated in its own true poses, once brought to the models' size, with frames scaled up again, and once
with `crop`. Both are compared with the truth at the picture's own size. Run it with OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from poseanimate.animator import Animator
from poseanimate.errors import PoseAnimateError
from poseanimate.evaluation.metrics.appearance import identity_error
from poseanimate.evaluation.metrics.catalogue import OUTLINE_PX
from poseanimate.evaluation.statistics import Interval, bootstrap
from poseanimate.events import Done
from poseanimate.media.similarity import psnr_db
from poseanimate.models.loading import load_models
from poseanimate.pocket.body import Angles
from poseanimate.pocket.world.motions import FPS, sample_motion
from poseanimate.pocket.world.scene import SMALL, Rendered, Scene
from poseanimate.poses.motion import Motion
from poseanimate.settings import Settings

FIGURES = {
    "psnr": "PSNR, dB",
    "character": "character, dB",
    "outline": "outline, dB",
    "background": "background, dB",
    "disoccluded": "disoccluded, dB",
    "identity": "identity, ΔE",
    "seconds": "seconds",
}
LEAST_PX = 64  # fewer pixels of the models' measure chance


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--characters", type=int, default=24)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--split", default="held-out")
    parser.add_argument("--motions", nargs="+", default=["walk", "wave"])
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--frames", type=int, default=8)
    options = parser.parse_args()
    animator = Animator(load_models("pocket", "cpu"))
    settings = Settings.preset(options.preset, "pocket").changed(
        {"pata": False, "transition_frames": 0, "frames": options.frames + 1}
    )
    small: dict[int, bool] = {}
    rows: dict[bool, dict[int, list[dict[str, float]]]] = {False: {}, True: {}}
    for index in range(options.first, options.first + options.characters):
        scene = Scene.sample(options.split, index)
        small[index] = scene.height < SMALL
        for motion in options.motions:
            for crop in rows:
                try:
                    found = measure(
                        animator, scene, motion, options.side, settings.changed({"crop": crop})
                    )
                except PoseAnimateError as error:
                    raise SystemExit(f"{options.split} {index}: {error}") from error
                rows[crop].setdefault(index, []).append(found)
    print(f"| characters, whole and cropped | {' | '.join(FIGURES.values())} |")
    print("|---" * (len(FIGURES) + 1) + "|")
    groups = {"all": [True, False], "small": [True], "the others": [False]}
    for name, kinds in groups.items():
        chosen = [index for index in small if small[index] in kinds]
        if chosen:
            cells = [format_cell(rows, chosen, figure) for figure in FIGURES]
            print(f"| {name} ({len(chosen)}) | {' | '.join(cells)} |")


def measure(
    animator: Animator, scene: Scene, motion: str, side: int, settings: Settings
) -> dict[str, float]:
    """Means over the frames of one clip."""
    source = scene.render(Angles(), side, side)
    truth = [
        scene.render(angles, side, side) for angles in sample_motion(motion, settings.frames - 1)
    ]
    driver = Motion(tuple(true.pose for true in truth), side, side, FPS, motion)
    began = time.perf_counter()
    picture = Image.fromarray(source.picture)
    events = animator.animate(picture, driver, settings, scene.caption)
    done = next(event for event in events if isinstance(event, Done))
    seconds = time.perf_counter() - began
    size = (side, side)
    made = [
        frame if frame.shape[:2] == size else cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC)
        for frame in done.frames[1:]
    ]
    scale = side / animator.models.side
    found = [compare(frame, true, source, scale) for frame, true in zip(made, truth, strict=True)]
    means = {
        name: float(np.nanmean([each[name] for each in found]))
        for name in found[0]
        if np.isfinite([each[name] for each in found]).any()
    }
    return means | {"seconds": seconds}


def compare(
    made: NDArray[np.uint8], true: Rendered, source: Rendered, scale: float
) -> dict[str, float]:
    """PSNR of a frame: the figure, what is near it, the background that was always seen, and that seen anew."""
    body, old = true.mask > 0.5, source.mask > 0.5
    away = cv2.distanceTransform((~body).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    near = away <= OUTLINE_PX * scale
    parts = {
        "psnr": np.ones_like(body),
        "character": body,
        "outline": near & ~body,
        "background": ~near & ~old,
        "disoccluded": ~near & old,
    }
    least = LEAST_PX * scale**2
    return {
        name: psnr_db(made, true.picture, part) if part.sum() >= least else np.nan
        for name, part in parts.items()
    } | {"identity": identity_error(made, true.picture, true.pose)}


def format_cell(
    rows: dict[bool, dict[int, list[dict[str, float]]]], chosen: Sequence[int], figure: str
) -> str:
    """Both means, and what the crop gains, with its 95 % interval over characters."""
    whole, cropped = (
        {i: [each[figure] for each in rows[crop][i] if figure in each] for i in chosen}
        for crop in (False, True)
    )
    both = [index for index in chosen if whole[index] and cropped[index]]
    if not both:
        return ""
    means = [bootstrap({str(i): own[i] for i in both}).mean for own in (whole, cropped)]
    gain: Interval = bootstrap({str(i): [np.mean(cropped[i]) - np.mean(whole[i])] for i in both})
    return f"{means[0]:.1f}, {means[1]:.1f}; {gain.mean:+.1f} ({gain.low:+.1f} to {gain.high:+.1f})"


if __name__ == "__main__":
    main()
