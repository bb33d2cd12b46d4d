"""Where the time goes: stage times and model calls of one clip, against the paper's listing run literally.

`python benchmarks/speed.py [--models pocket|PATH] [--preset fast] [--frames 16] [--json]`
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from literal import LiteralLoop
from PIL import Image

from poseanimate.animator import Animator
from poseanimate.events import Done, Frame
from poseanimate.media import load_picture
from poseanimate.models.loading import load_models
from poseanimate.poses.motion import Motion, load_preset, preset_names
from poseanimate.poses.skeleton import Pose
from poseanimate.settings import Settings
from poseanimate.storage.stage_cache import StageCache

CHARACTERS = Path(__file__).resolve().parent.parent / "examples" / "characters"
CACHE_BYTES = 2_000_000_000
STAGES = {
    "character": "finding the character",
    "alignment": "PATA",
    "inversion": "inversion",
    "pacm_source": "PACM, source (Eq. 6)",
    "frame_0": "frame 0's keys and values",
    "pacm_pose": "PACM, poses (Alg. 1)",
    "generation": "generation",
    "decoding": "decoding",
}


@dataclass(frozen=True)
class Measured:
    """One run of the engine: `total_s` of wall clock, `first_s` until frame 1 was finished."""

    done: Done
    total_s: float
    first_s: float


def measured(
    animator: Animator, picture: Image.Image, motion: Motion, settings: Settings, prompt: str
) -> Measured:
    started, first_s, done = time.monotonic(), 0.0, None
    for event in animator.animate(picture, motion, settings, prompt):
        if isinstance(event, Frame) and event.index == 1:
            first_s = time.monotonic() - started
        if isinstance(event, Done):
            done = event
    if done is None:
        raise RuntimeError("the run ended without a clip")
    return Measured(done, time.monotonic() - started, first_s)


def benchmark(options: argparse.Namespace) -> dict[str, Any]:
    """All figures, as printed with --json."""
    started = time.monotonic()
    models = load_models(options.models, options.device)
    loading_s = time.monotonic() - started
    picture = load_picture(options.character)
    prompt = options.character.with_suffix(".txt").read_text(encoding="utf-8").strip()
    motion = load_preset(options.motion)
    settings = Settings.preset(options.preset, models.family).changed({"frames": options.frames})
    # warm-up
    brief = settings.changed({"num_inference_steps": 2, "inner_steps": 1, "frames": 2})
    measured(Animator(models), picture, motion, brief, prompt)
    with TemporaryDirectory() as folder:
        animator = Animator(models, StageCache(Path(folder), CACHE_BYTES))
        first = measured(animator, picture, motion, settings, prompt)
        again = settings.changed({"lambda_first": 0.5 if settings.lambda_first != 0.5 else 0.6})
        changed = measured(animator, picture, motion, again, prompt)
    character = Animator(models).character(picture)
    poses = Animator(models).align(character, motion, settings).poses
    loop = LiteralLoop(models, character, settings, prompt)
    return {
        "models": models.name,
        "preset": options.preset,
        "character": options.character.stem,
        "motion": options.motion,
        "frames": len(poses),
        "steps": settings.num_inference_steps,
        "inner_steps": settings.inner_steps,
        "side_px": models.side,
        "device": str(models.device),
        "threads": torch.get_num_threads(),
        "machine": f"{platform.machine()}, torch {torch.__version__}",
        "loading_s": loading_s,
        "engine": _figures(first),
        "another_lambda": _figures(changed),
        "literal": literal_figures(loop, poses, options.literal_frames, first.done.seconds),
    }


def literal_figures(
    loop: LiteralLoop, poses: tuple[Pose, ...], worked: int, stages: Collection[str]
) -> dict[str, Any]:
    """The literal loop's cost for all poses, extrapolated from the frames it computes.

    stages: the engine's; presets may skip modules of the listing, and the comparison is like for like.
    """
    frames = len(poses) - 1
    costs = loop.run(poses[: min(worked, frames) + 1])
    literal = costs.scaled(frames)
    same = [name for name in literal if name in stages]
    return {
        "total_s": sum(literal[name][0] for name in same),
        "whole_s": sum(seconds for seconds, _ in literal.values()),
        "left_out": [name for name in literal if name not in same],
        "measured_frames": costs.frames,
        "measured_s": sum(costs.seconds.values()),
        "seconds": {name: seconds for name, (seconds, _) in literal.items()},
        "calls": dict(sum((literal[name][1] for name in same), Counter())),
    }


def _figures(run: Measured) -> dict[str, Any]:
    return {
        "total_s": run.total_s,
        "first_frame_s": run.first_s,
        "seconds": run.done.seconds,
        "calls": run.done.model_calls,
        "cached": list(run.done.cached_stages),
    }


def table(figures: dict[str, Any]) -> str:
    """The figures as a Markdown table, with the context needed to read it."""
    engine, again, literal = (figures[name] for name in ("engine", "another_lambda", "literal"))
    columns = [engine, again, literal]
    rows = [("**total**, s", [f"**{run['total_s']:.2f}**" for run in columns])]
    first = [f"{run['first_frame_s']:.2f}" for run in (engine, again)]
    rows.append(("frame 1 finished after, s", [*first, "-"]))
    for stage, name in STAGES.items():
        cells = [f"{r['seconds'][stage]:.2f}" if stage in r["seconds"] else "-" for r in columns]
        rows.append((f"{name}, s", cells))
    for network in ("unet", "controlnet", "gradient"):
        rows.append((f"{network}, NFE", [str(run["calls"].get(network, 0)) for run in columns]))
    times = f"{literal['total_s'] / engine['total_s']:.1f}"
    rows.append(("literal loop's total to this, times", [times, "-", "1"]))
    if literal["left_out"]:
        left_out = " and ".join(STAGES[name] for name in literal["left_out"])
        whole = f"{literal['whole_s']:.2f}"
        rows.append((f"total with what the preset leaves out ({left_out}), s", ["-", "-", whole]))
    lines = [
        f"{figures['character']}, {figures['motion']}, {figures['frames']} frames of "
        f"{figures['side_px']} px, preset {figures['preset']} (T={figures['steps']}, "
        f"n={figures['inner_steps']}), models {figures['models']} on {figures['device']} "
        f"({figures['machine']}, {figures['threads']} threads).",
        "",
        "| | first run | another λ | literal loop |",
        "|---|---:|---:|---:|",
        *(f"| {name} | {' | '.join(cells)} |" for name, cells in rows),
        "",
        f"Loading the models ({figures['loading_s']:.2f} s) is not counted; the engine's decoding includes previews.",
        f"The literal loop worked out {literal['measured_frames']} of {figures['frames'] - 1} frames in "
        f"{literal['measured_s']:.2f} s; what it does per frame is scaled up from these. It has a batch of 1, "
        "ControlNet for each guidance branch, the drawing embedded at every call, nothing cached.",
        "The engine's gradients go through both guidance branches, since ControlNet's residuals serve both; the "
        "loop's go through one.",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="pocket", help="pocket, sd15 or a folder")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--frames", type=int, default=16, help="the source included")
    parser.add_argument("--character", type=Path, default=CHARACTERS / "street-boy.png")
    parser.add_argument("--motion", default="walk", choices=preset_names())
    parser.add_argument("--literal-frames", type=int, default=2, help="that the loop works out")
    parser.add_argument("--device", help="cpu or cuda")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    figures = benchmark(options)
    print(json.dumps(figures, indent=1) if options.json else table(figures))


if __name__ == "__main__":
    main()
