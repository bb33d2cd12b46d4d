"""Drafts of rendered characters against the true frames: how well they fit, and how long they take.

    python benchmarks/draft.py --characters 24 --side 128

Silhouettes are compared with the true masks, beside those drawn around the skeleton (`Silhouette`); the rest is what
the evaluation measures (`evaluation/metrics/catalogue.py`), joints by the demo models' own detector. Intervals are
resampled over characters. Run it alone, with OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from poseanimate.evaluation.metrics.appearance import identity_error
from poseanimate.evaluation.metrics.fidelity import find_background_parts, iou
from poseanimate.evaluation.statistics import bootstrap
from poseanimate.media.similarity import psnr_db
from poseanimate.models.input_models import load_input_models
from poseanimate.models.pose_detection import PoseDetector
from poseanimate.pocket.body import Angles
from poseanimate.pocket.world.motions import sample_motion
from poseanimate.pocket.world.scene import Rendered, Scene
from poseanimate.poses.accuracy import joint_errors, mean_joint_error
from poseanimate.poses.silhouette import Silhouette
from poseanimate.puppet.puppet import Puppet

MOTIONS = ("walk", "wave", "jumping-jacks", "squat")
DIGITS = {
    "IoU, draft": 3, "IoU, around the skeleton": 3, "character (dB)": 1, "background (dB)": 1, "disoccluded (dB)": 1,
    "identity (ΔE)": 1, "joints (torsos)": 3, "prepared (ms)": 0, "a frame (ms)": 1,
}  # fmt: skip
TIMES = ("prepared (ms)", "a frame (ms)")  # of one machine: without intervals

Found = dict[str, dict[str, list[float]]]  # metric: character: of each frame


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--characters", type=int, default=24)
    parser.add_argument("--split", default="held-out")
    parser.add_argument("--motions", nargs="+", default=MOTIONS, choices=MOTIONS)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--frames", type=int, default=8)
    options = parser.parse_args()
    detector = load_input_models("pocket", "cpu", detector="pocket").detector
    found: dict[str, Found] = {
        name: defaultdict(lambda: defaultdict(list)) for name in (*options.motions, "all")
    }
    for index in range(options.characters):
        scene = Scene.sample(options.split, index)
        seen = scene.render(Angles(), options.side, options.side)
        began = time.perf_counter()
        puppet = Puppet(seen.picture, seen.mask, seen.pose)
        prepared = 1000 * (time.perf_counter() - began)
        hull = Silhouette.fit(seen.pose, seen.mask)
        for motion in options.motions:
            for angles in sample_motion(motion, options.frames):
                true = scene.render(angles, options.side, options.side)
                values = measure_frame(puppet, hull, seen, true, detector)
                for name, value in {**values, "prepared (ms)": prepared}.items():
                    for rows in (found[motion], found["all"]):
                        rows[name][str(index)].append(value)
    print(f"| motion | {' | '.join(DIGITS)} |")
    print(f"|---|{'---:|' * len(DIGITS)}")
    for motion, rows in found.items():
        print(f"| {motion} | {' | '.join(show(name, rows[name]) for name in DIGITS)} |")


def measure_frame(
    puppet: Puppet, hull: Silhouette, seen: Rendered, true: Rendered, detector: PoseDetector
) -> dict[str, float]:
    """Metrics of the draft of a true frame, by their names; some are left out where there is too little to compare."""
    began = time.perf_counter()
    frame = puppet.frame(true.pose)
    took = 1000 * (time.perf_counter() - began)
    body, (height, width) = true.mask > 0.5, true.mask.shape
    around = hull.draw(true.pose, width, height) > 0.5
    parts = find_background_parts(body, seen.mask > 0.5)
    people = detector.detect(frame)
    values = {
        "IoU, draft": iou(puppet.draw(true.pose)[..., 3] > 127, body),
        "IoU, around the skeleton": iou(around, body),
        "character (dB)": psnr_db(frame, true.picture, body),
        "background (dB)": psnr_db(frame, true.picture, ~body),
        "identity (ΔE)": identity_error(frame, true.picture, true.pose),
        "joints (torsos)": mean_joint_error(joint_errors(people[0] if people else None, true.pose)),
        "a frame (ms)": took,
    }
    if "psnr_disoccluded" in parts:
        values["disoccluded (dB)"] = psnr_db(frame, true.picture, parts["psnr_disoccluded"])
    return values


def show(name: str, by_character: Mapping[str, Sequence[float]]) -> str:
    """A metric's mean, with its interval unless it is a time; a dash where nothing was compared."""
    digits = DIGITS[name]
    if not by_character:
        return "-"
    if name in TIMES:
        return f"{np.mean([np.mean(values) for values in by_character.values()]):.{digits}f}"
    found = bootstrap(by_character)
    return f"{found.mean:.{digits}f} ({found.low:.{digits}f} to {found.high:.{digits}f})"


if __name__ == "__main__":
    main()
