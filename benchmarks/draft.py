"""Drafts of rendered characters against the true frames: how well they fit, and how long they take.

    python benchmarks/draft.py --characters 24 --side 128

Silhouettes are compared with the true masks, beside those drawn around the skeleton (`Silhouette`). Colours are
compared on the character, and where neither the old nor the new figure stands. Run it alone, with OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from poseanimate.media.similarity import psnr_db
from poseanimate.pocket.body import Angles
from poseanimate.pocket.world.motions import sample_motion
from poseanimate.pocket.world.scene import Scene
from poseanimate.poses.silhouette import Silhouette
from poseanimate.puppet.puppet import Puppet

MOTIONS = ("walk", "wave", "jumping-jacks", "squat")
COLUMNS = (
    "IoU, draft", "IoU, around the skeleton", "character (dB)", "background (dB)", "disoccluded (dB)",
    "prepared (ms)", "a frame (ms)",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--characters", type=int, default=24)
    parser.add_argument("--split", default="held-out")
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--frames", type=int, default=8)
    options = parser.parse_args()
    rows: dict[str, list[list[float]]] = defaultdict(list)
    for index in range(options.characters):
        scene = Scene.sample(options.split, index)
        seen = scene.render(Angles(), options.side, options.side)
        began = time.perf_counter()
        puppet = Puppet(seen.picture, seen.mask, seen.pose)
        prepared = time.perf_counter() - began
        hull = Silhouette.fit(seen.pose, seen.mask)
        for motion in MOTIONS:
            for angles in sample_motion(motion, options.frames):
                true = scene.render(angles, options.side, options.side)
                body, old = true.mask > 0.5, seen.mask > 0.5
                began = time.perf_counter()
                frame = puppet.frame(true.pose)
                took = time.perf_counter() - began
                drawn = puppet.draw(true.pose)[..., 3] > 127
                around = hull.draw(true.pose, options.side, options.side) > 0.5
                colours = [
                    psnr_db(frame, true.picture, where) if where.any() else np.nan
                    for where in (body, ~body & ~old, ~body & old)
                ]
                times = [1000 * prepared, 1000 * took]
                rows[motion].append([overlap(drawn, body), overlap(around, body), *colours, *times])
    print(f"| motion | {' | '.join(COLUMNS)} |")
    print(f"|---|{'---:|' * len(COLUMNS)}")
    for name, found in (*rows.items(), ("all", [row for each in rows.values() for row in each])):
        iou, hull_iou, *rest = np.nanmean(found, axis=0)
        cells = [f"{iou:.3f}", f"{hull_iou:.3f}", *(f"{value:.1f}" for value in rest)]
        print(f"| {name} | {' | '.join(cells)} |")


def overlap(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Intersection over union."""
    return float((a & b).sum() / max((a | b).sum(), 1))


if __name__ == "__main__":
    main()
