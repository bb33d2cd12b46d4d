"""`python -m poseanimate.evaluation {ablation,samples}`: prints a Markdown report and writes it with its pictures."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from poseanimate.evaluation.ablation import ROWS, Result, ablation, stamp, table
from poseanimate.evaluation.samples import GUIDANCE, STEPS, samples
from poseanimate.models import Models, load_models
from poseanimate.settings import Settings


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m poseanimate.evaluation", description=__doc__)
    parser.add_argument("what", choices=("ablation", "samples"))
    parser.add_argument("--models", default="pocket")
    parser.add_argument("--split", default="held-out", choices=("validation", "held-out"))
    parser.add_argument("--characters", type=int, default=8)
    parser.add_argument("--motions", default="walk,wave,jumping-jacks")
    parser.add_argument("--frames", type=int, default=8, help="of a clip, without the source")
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("--rows", nargs="*", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--count", type=int, default=100, help="of plain samples")
    parser.add_argument(
        "-o", "--output", type=Path, help="Markdown file; a picture of the same name beside it"
    )
    args = parser.parse_args()
    models = load_models(args.models)
    if args.what == "samples":
        report, sheet = _samples(models, args.split, args.count)
    else:
        settings = Settings.preset(args.preset).changed(
            dict(pair.split("=", 1) for pair in args.set)
        )
        results: list[Result] = []
        scenes, motions = list(range(args.characters)), args.motions.split(",")
        for result in ablation(
            models, args.split, scenes, motions, args.frames, settings, args.rows
        ):
            results.append(result)
            shown = ", ".join(f"{name} {value:.2f}" for name, value in result.figures.items())
            print(f"{result.scene} {result.motion} {result.row}: {shown}", flush=True)
        report = (
            f"{len(scenes)} {args.split} characters x {len(motions)} motions ({args.motions}) x {args.frames} frames, "
            f"preset {args.preset} {''.join(f'{pair} ' for pair in args.set)}(T={settings.num_inference_steps}, "
            f"w={settings.guidance_scale:g}, n={settings.inner_steps}), {models.device}, {stamp()}.\n\n"
            + table(results)
        )
        sheet = _contact_sheet(
            [r for r in results if r.motion == motions[0] and r.scene == scenes[0]]
        )
    print(report)
    if args.output:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_text(report + f"\n\n![]({args.output.stem}.png)\n")
        cv2.imwrite(str(args.output.with_suffix(".png")), sheet[..., ::-1])


def _samples(models: Models, split: str, count: int) -> tuple[str, np.ndarray]:
    made = list(samples(models, split, count))
    both = sum(s.pose_right and s.garments_right for s in made)
    report = (
        f"{count} plain samples ({split}, DDIM T={STEPS}, w={GUIDANCE:g}, from random noise), {stamp()}: "
        f"pose right {sum(s.pose_right for s in made)}, garment colours right "
        f"{sum(s.garments_right for s in made)}, both right {both}; the colour check passes "
        f"{sum(s.truth_passes for s in made)} of the true pictures. Upper rows: made, lower rows: true."
    )
    rows = []
    for first in range(0, min(len(made), 24), 8):
        part = made[first : first + 8]
        rows += [
            np.concatenate([s.made for s in part], 1),
            np.concatenate([s.truth for s in part], 1),
        ]
    return report, np.concatenate(rows, 0)


def _contact_sheet(results: list[Result]) -> np.ndarray:
    return np.concatenate([np.concatenate(result.frames, axis=1) for result in results], axis=0)


if __name__ == "__main__":
    main()
