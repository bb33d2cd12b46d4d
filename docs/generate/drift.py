"""Measures whether long clips drift, for docs/long-clips.md; finished clips are reused."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from markers import replace_section
from numpy.typing import NDArray
from PIL import Image

from poseanimate.animator import Animator
from poseanimate.evaluation.protocols.drift import (
    HEADINGS,
    SLOPE_FRAMES,
    Loop,
    fit_slope,
    subtract_first_loop,
)
from poseanimate.evaluation.report import plots
from poseanimate.evaluation.statistics import Interval, bootstrap
from poseanimate.events import Done
from poseanimate.media import tiled
from poseanimate.media.similarity import Picture
from poseanimate.models.loading import load_models
from poseanimate.settings import Settings
from poseanimate.storage.stage_cache import StageCache

ROOT = Path(__file__).resolve().parents[2]
PAGE, FOLDER = ROOT / "docs" / "long-clips.md", ROOT / "docs" / "long-clips"
SPLIT = "held-out"
LOOPS = ("walk", "wave", "dance-sway", "jumping-jacks", "squat", "dance-disco")
CACHE_BYTES = 2 << 30
SHOWN_ROWS = ("fast", "balanced")
SHOWN, SHOWN_LOOPS, SHOWN_FRAMES = 2, (0, 3, 7), 8  # number of a character, and what of its clip
REMEMBERS = "frames of the second loop until none differs from the first one's by more than 1 anywhere, at most"
FADES = 24  # frames of the second loop in which one sees how the first one's start is forgotten


@dataclass(frozen=True)
class ClipSet:
    """Clips of `frames` frames, the source aside, of the first `characters`, each in its own motion."""

    preset: str
    frames: int
    characters: int
    meaning: str
    changes: dict[str, object] = field(default_factory=dict)


ROWS = {
    "fast": ClipSet("fast", 192, 6, "the preset"),
    "balanced": ClipSet("balanced", 96, 3, "the preset"),
    "sampled": ClipSet(
        "fast", 96, 3, "`fast` without direct inversion: nothing holds the background",
        {"background": "sampled"},
    ),
    "chain": ClipSet(
        "fast", 96, 3, "`fast`, frames attending to the one before alone (λ2 = 1): the most that can drift",
        {"lambda_first": 0.0, "lambda_prev": 1.0, "lambda_self": 0.0},
    ),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "-o", "--output", type=Path, default=ROOT / "outputs" / "drift", help="of clips"
    )
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    FOLDER.mkdir(exist_ok=True)
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in ROWS}
    with tempfile.TemporaryDirectory() as folder:
        animator = Animator(load_models("pocket", "cpu"), StageCache(Path(folder), CACHE_BYTES))
        for name, row in ROWS.items():
            for i in range(row.characters):
                loop = Loop.load(animator, SPLIT, i, LOOPS[i])
                frames = load_or_animate(animator, loop, options.output / f"{name}-{i}.npy", row)
                rows[name].append(measure(loop, frames))
                if (name, i) == ("fast", SHOWN):
                    Image.fromarray(tile_loops(loop, frames)).save(
                        FOLDER / "loops.webp", quality=85
                    )
    summaries = {name: summarise(clips) for name, clips in rows.items()}
    document = {name: {"summary": summaries[name], "clips": rows[name]} for name in ROWS}
    (FOLDER / "drift.json").write_text(json.dumps(document, separators=(",", ":")) + "\n")
    for name, figure in draw_plots(rows):
        (FOLDER / f"{name}.svg").write_text(plots.standalone_svg(figure))
    PAGE.write_text(replace_section(PAGE.read_text(), "drift", "drift", format_table(summaries)))


def load_or_animate(animator: Animator, loop: Loop, path: Path, row: ClipSet) -> NDArray[np.uint8]:
    """Frames 1 … N, (N, H, W, 3), from the file if it is there."""
    if not path.exists():
        settings = Settings.preset(row.preset, "pocket").changed(
            {**row.changes, "crop": False, "frames": row.frames + 1}
        )
        done = next(e for e in loop.animate(animator, settings) if isinstance(e, Done))
        np.save(path, np.stack(done.frames[1:]))
        print(f"{path.name}: {sum(done.seconds.values()):.0f} s", flush=True)
    frames: NDArray[np.uint8] = np.load(path)
    return frames


def measure(loop: Loop, frames: Sequence[Picture]) -> dict[str, Any]:
    """A clip's metrics, their slopes over the loops, and PSNR by frame."""
    period, metrics = len(loop.truth), loop.measure(frames)
    return {
        "character": loop.character,
        "motion": loop.motion,
        "period": period,
        "slopes": {name: fit_slope(values, period) for name, values in metrics.items()},
        "last_less_first": {
            n: subtract_first_loop(values, period) for n, values in metrics.items()
        },
        "slope_later": fit_slope(metrics["psnr"][period:], period),
        "means": {name: float(np.mean(values)) for name, values in metrics.items()},
        "remembers": loop.count_remembered(frames),
        "since_last_loop": [round(value, 4) for value in loop.compare_loops(frames)],
        "psnr": [round(value, 2) for value in metrics["psnr"]],
    }


def summarise(clips: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over characters with their intervals."""

    def over(values: dict[str, list[float]]) -> dict[str, float]:
        return asdict(bootstrap(values))

    return {
        "mean": {n: over({c["character"]: [c["means"][n]] for c in clips}) for n in HEADINGS},
        "slope": {n: over({c["character"]: [c["slopes"][n]] for c in clips}) for n in HEADINGS},
        "slope_later": over({c["character"]: [c["slope_later"]] for c in clips}),
        "remembers": max(c["remembers"] for c in clips),
        "first_again": over({c["character"]: c["since_last_loop"][:1] for c in clips}),
    }


def format_table(summaries: dict[str, dict[str, Any]]) -> Iterator[str]:
    for name, row in ROWS.items():
        yield f"- `{name}`: {row.meaning}; {row.characters} clips of {row.frames} frames"
    yield f"\nMean; slope in {SLOPE_FRAMES} frames with its 95 % interval over characters:\n"
    yield "| | " + " | ".join(f"`{name}`" for name in summaries) + " |"
    yield "|---" * (len(summaries) + 1) + "|"
    for figure, heading in HEADINGS.items():
        cells = [
            f"{own['mean'][figure]['mean']:.2f}; {_format_interval(Interval(**own['slope'][figure]))}"
            for own in summaries.values()
        ]
        yield f"| {heading} | " + " | ".join(cells) + " |"
    later = [f"{own['slope_later']['mean']:+.6f}" for own in summaries.values()]
    yield "| PSNR's slope from the second loop on, dB | " + " | ".join(later) + " |"
    first = [f"{own['first_again']['mean']:.3f}" for own in summaries.values()]
    yield "| frame 1 of the second loop less the first's, grey levels | " + " | ".join(first) + " |"
    most = [str(own["remembers"]) for own in summaries.values()]
    yield f"| {REMEMBERS} | " + " | ".join(most) + " |"


def _format_interval(value: Interval) -> str:
    return f"{value.mean:+.4f} ({value.low:+.4f} to {value.high:+.4f})"


def draw_plots(rows: dict[str, list[dict[str, Any]]]) -> Iterator[tuple[str, str]]:
    courses = {name: np.mean([c["psnr"] for c in rows[name]], axis=0) for name in SHOWN_ROWS}
    yield (
        "psnr",
        plots.draw_course(courses, "PSNR in dB by frame number, mean over characters", "frame"),
    )
    fading = {
        name: np.mean([c["since_last_loop"][:FADES] for c in clips], axis=0)
        for name, clips in rows.items()
    }
    caption = "change of the second loop from the first, in grey levels"
    yield "since-last-loop", plots.draw_course(fading, caption, "frame of the loop")


def tile_loops(loop: Loop, frames: Sequence[Picture]) -> Picture:
    """The same poses in some of the loops, and the truth of them below."""
    period = len(loop.truth)
    at = range(0, period, period // SHOWN_FRAMES)
    shown = [frames[number * period + i] for number in SHOWN_LOOPS for i in at]
    return tiled([*shown, *(loop.truth[i].picture for i in at)], SHOWN_FRAMES, 2)


if __name__ == "__main__":
    main()
