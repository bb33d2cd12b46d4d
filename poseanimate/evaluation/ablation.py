"""The paper's ablation on the pocket world: modules added one by one, against the true animation."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from poseanimate.animator import Animator, Character
from poseanimate.cache import StageCache
from poseanimate.evaluation.metrics import PCK_RADIUS, joint_errors, ssim
from poseanimate.events import Done
from poseanimate.models import Models, to_pixels, to_tensor
from poseanimate.pocket.body import Angles
from poseanimate.pocket.motions import FPS
from poseanimate.pocket.motions import frames as motion_frames
from poseanimate.pocket.scene import Scene
from poseanimate.poses.motion import Motion
from poseanimate.settings import Settings
from poseanimate.stages import psnr_db

MODULES = ("pacm_source", "pacm_pose", "dcam", "mgdm")
OFF: dict[str, object] = {"pata": False, "start": "inverted", **dict.fromkeys(MODULES, False)}
ON: dict[str, object] = {**OFF, **dict.fromkeys(MODULES, True)}
ALWAYS = ("frame_0", "generation", "decoding")  # stages that are never cached
ROWS: dict[str, dict[str, object]] = {
    "ControlNet from random noise": {**OFF, "start": "random"},
    "ControlNet from Z_T": OFF,
    "+ PACM-1": {**OFF, "pacm_source": True},
    "+ PACM-2": {**ON, "dcam": False, "mgdm": False},
    "+ DCAM": {**ON, "mgdm": False},
    "+ MGDM": ON,
}


@dataclass(frozen=True, eq=False)
class Result:
    """Figures of one row on one character and motion, and its frames."""

    row: str
    scene: int
    motion: str
    figures: dict[str, float]
    frames: tuple[NDArray[np.uint8], ...]


def ablation(
    models: Models,
    split: str,
    scenes: list[int],
    motions: list[str],
    frames: int,
    settings: Settings,
    rows: Sequence[str] = tuple(ROWS),
) -> Iterator[Result]:
    """Runs the rows on every character and motion.

    A clip has `frames` frames spread over one loop of the motion, after the source picture; target poses are the true
    ones, so that figures speak of the method and not of PATA. Stages are cached within one character, as in the app;
    a row's seconds are those that it would take alone.
    """
    settings = settings.changed({"frames": frames + 1})
    for index in scenes:
        scene = Scene.sample(split, index)
        source = scene.render(Angles(), models.side, models.side)
        with TemporaryDirectory() as folder:
            animator = Animator(models, StageCache(Path(folder), 10**9))
            character = animator.character(Image.fromarray(source.picture))
            for name in motions:
                truth = [
                    scene.render(a, models.side, models.side) for a in motion_frames(name, frames)
                ]
                motion = Motion(tuple(t.pose for t in truth), models.side, models.side, FPS, name)
                pictures = [t.picture for t in truth]
                bound = to_pixels(
                    models.decode(models.encode(to_tensor(np.stack(pictures), models.device)))
                )
                spent: dict[str, float] = {}
                made: dict[str, tuple[NDArray[np.uint8], ...]] = {
                    "autoencoder of the truth (bound)": tuple(bound),
                    "copy of the source": (source.picture,) * frames,
                }
                seconds = dict.fromkeys(made, 0.0)
                for row in rows:
                    changes = ROWS[row]
                    done = _run(
                        animator, character, motion, settings.changed(dict(changes)), scene.caption
                    )
                    for stage, value in done.seconds.items():
                        if stage not in done.cached_stages and stage not in ALWAYS:
                            spent[stage] = value
                    needed = {"inversion"} | {s for s in ("pacm_source", "pacm_pose") if changes[s]}
                    seconds[row] = sum(done.seconds.get(s, 0.0) for s in ALWAYS) + sum(
                        spent.get(s, 0.0) for s in needed
                    )
                    made[row] = done.frames[1:]
                for row, clip in made.items():
                    yield Result(
                        row,
                        index,
                        name,
                        _figures(models, clip, truth) | {"seconds": seconds[row]},
                        clip,
                    )


def _run(
    animator: Animator, character: Character, motion: Motion, settings: Settings, prompt: str
) -> Done:
    for event in animator.animate(character, motion, settings, prompt):
        if isinstance(event, Done):
            return event
    raise RuntimeError("a run ended without its last event")


def _figures(models: Models, clip: tuple, truth: list) -> dict[str, float]:
    rows = []
    for made, true in zip(clip, truth, strict=True):
        people = models.detector.detect(made)
        errors = joint_errors(people[0] if people else None, true.pose)
        body = true.mask > 0.5
        rows.append(
            {
                "PSNR": psnr_db(made, true.picture),
                "character": psnr_db(made, true.picture, body),
                "background": psnr_db(made, true.picture, ~body),
                "SSIM": ssim(made, true.picture),
                "PCK": 100 * float((errors < PCK_RADIUS).mean()),
            }
        )
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def table(results: list[Result]) -> str:
    """Mean of every row over characters and motions, as a Markdown table."""
    names = list(results[0].figures)
    lines = [
        "| row | " + " | ".join(_heading(n) for n in names) + " |",
        "|---" * (len(names) + 1) + "|",
    ]
    for row in dict.fromkeys(result.row for result in results):
        own = [result.figures for result in results if result.row == row]
        means = {name: float(np.mean([figures[name] for figures in own])) for name in names}
        shown = [f"{means[n]:.3f}" if n == "SSIM" else f"{means[n]:.1f}" for n in names]
        lines.append(f"| {row} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def _heading(name: str) -> str:
    units = {"PSNR": "dB", "character": "dB", "background": "dB", "PCK": "%", "seconds": "s"}
    return f"{name} ({units[name]})" if name in units else name


def stamp() -> str:
    return time.strftime("%Y-%m-%d")
