"""All speed figures in one run, for a GPU as for a CPU: the engine, what it is faster than, and where its time goes.

`python benchmarks/gpu.py [--models pocket|sd15-random|FOLDER] [--device cpu|cuda] [--parts engine,chunked] [--json]`

Every figure is of the same models, picture, poses, T and n, so that the ratios hold whatever else the machine does.
`sd15-random` is Stable Diffusion 1.5 with random weights (sd15_random.py): its speed without its pictures.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import subprocess
import sys
import traceback
from collections.abc import Callable, Generator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import sd15_random
import torch
from case import Case
from gpu_table import table
from literal import LiteralLoop
from nulltext import NullTextInversion
from plain import PlainControlNet
from speed import CACHE_BYTES, CHARACTERS, literal_figures
from watch import (
    Counted,
    Timed,
    counted,
    matmul_rate,
    operators_of_a_step,
    peak_memory,
    stopwatch,
    timed,
)

from poseanimate.errors import PoseAnimateError
from poseanimate.events import Returning
from poseanimate.media import load_picture
from poseanimate.media.similarity import psnr_db
from poseanimate.method.ddim import DDIM
from poseanimate.method.pacm import pose_aware_inversion
from poseanimate.models.loading import load_models
from poseanimate.pipeline.build import source_optimisation
from poseanimate.pipeline.memory import release
from poseanimate.poses.motion import load_preset, preset_names
from poseanimate.settings import Settings
from poseanimate.storage.stage_cache import StageCache

PARTS = ("engine", "regenerate", "chunked", "literal", "nulltext", "memory", "profile")
RATIOS = {
    "chunked_over_whole": "chunked",
    "regenerate_over_controlnet": "regenerate",
    "literal_over_ours": "literal",
    "nulltext_over_pacm1": "nulltext",
    "memory_n_over_16": "memory",
}
RANDOM = "sd15-random"
MOST_TOGETHER = 64  # frames, the settings' limit
COUNTED_STEPS = 2  # of the short runs that count FLOP
PROFILED = ("generation", "pacm_pose")

Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class Benchmark:
    """Measures a case. cache: filled by the first run, reused by later ones."""

    case: Case
    cache: StageCache
    options: argparse.Namespace

    @cached_property
    def _first(self) -> tuple[Timed, float]:
        """A first run and its peak in bytes, after a short warm-up that isn't measured."""
        brief = self.case.animate(num_inference_steps=2, inner_steps=1, frames=self._chunk + 1)
        timed(brief, self.case.device)
        with peak_memory(self.case.device) as peak:
            found = timed(self.case.animate(self.cache), self.case.device)
        return found, peak.value

    @property
    def engine(self) -> Timed:
        return self._first[0]

    @property
    def frames(self) -> int:
        """N, without the source."""
        return len(self.case.poses) - 1

    @property
    def _chunk(self) -> int:
        return min(self.case.chunk_size, self.frames)

    # the engine

    def engine_figures(self) -> dict[str, Any]:
        case, run = self.case, self.engine
        flop, rate = self._flop(run), matmul_rate(case.device, case.models.unet.dtype)
        return {
            "total_s": run.total_s,
            "first_frame_s": run.first_frame_s,
            "seconds": run.seconds,
            "tflop": {stage: value / 1e12 for stage, value in flop.items()},
            "matmul_tflop_per_s": rate / 1e12,
            "share_of_matmul": {
                stage: value / run.seconds[stage] / rate for stage, value in flop.items()
            },
            "calls": run.done.model_calls,
            "peak_bytes": self._first[1],
        }

    def _flop(self, run: Timed) -> dict[str, float]:
        """FLOP by stage: those of a step, counted in a short run for one frame, times the run's steps."""
        case, steps, found = self.case, self.case.ddim.steps, {}

        def brief(inner_steps: int, only: str | None = None) -> Counted:
            return counted(
                case.animate(num_inference_steps=COUNTED_STEPS, inner_steps=inner_steps, frames=2),
                only,
            )

        short = brief(1)
        for stage, frames in (
            ("frame_0", 1),
            ("pacm_pose", self.frames),
            ("generation", self.frames),
        ):
            if stage in short.steps:
                found[stage] = steps * frames * sum(short.steps[stage]) / COUNTED_STEPS
        encoded, last = short.steps["inversion"][0], short.steps["inversion"][-1]
        found["inversion"] = encoded + (steps - 1) * last
        if "pacm_source" in short.steps:
            once, twice = (sum(s.steps["pacm_source"]) for s in (short, brief(2, "pacm_source")))
            gradient = (twice - once) / COUNTED_STEPS
            sampling = once / COUNTED_STEPS - gradient
            done = run.steps["pacm_source"] - steps  # inner steps
            found["pacm_source"] = steps * sampling + done * gradient
        found["decoding"] = sum(short.decodings) / len(short.decodings) * self.frames
        return {stage: found[stage] for stage in run.seconds if stage in found}

    # generation with the rest cached, all frames at once, and the plain pipeline

    def generation_figures(self, chunked: bool, plain: bool) -> dict[str, Any]:
        """The best of several interleaved repetitions."""
        _ = self.engine  # fills the cache
        case, settings = self.case, self.case.settings
        other = 0.5 if settings.lambda_first != 0.5 else 0.6
        sizes = {"chunks": case.chunk_size, "whole": min(self.frames, MOST_TOGETHER)}
        pipeline = PlainControlNet.of(case.models)
        drawings = case.drawings(case.poses[1:])
        best: dict[str, dict[str, float]] = {}

        def keep(kind: str, seconds: dict[str, float], peak_bytes: float) -> None:
            seconds = {**seconds, "peak_bytes": peak_bytes}
            own = best.setdefault(kind, seconds)
            best[kind] = {name: min(own[name], seconds[name]) for name in own}
            best[kind]["peak_bytes"] = max(own["peak_bytes"], peak_bytes)

        def sampled(steps: int) -> None:
            pipeline.sample(
                case.denoiser.prompt, case.denoiser.null, drawings, case.inverted[-1:], steps,
                settings.guidance_scale, self._chunk,
            )  # fmt: skip

        if plain:
            sampled(2)  # warm-up
        for _ in range(self.options.repetitions):
            for kind, size in sizes.items():
                if kind == "whole" and not chunked:
                    continue
                with peak_memory(case.device) as peak:
                    run = timed(case.animate(self.cache, size, lambda_first=other), case.device)
                keep(
                    kind,
                    {
                        "generation_s": run.seconds["generation"],
                        "frame_0_s": run.seconds.get("frame_0", 0.0),
                        "total_s": run.total_s,
                        "first_frame_s": run.first_frame_s,
                        "chunk_size": run.chunk_size,
                    },
                    peak.value,
                )
            if plain:
                with peak_memory(case.device) as peak, stopwatch(case.device) as watch:
                    sampled(case.ddim.steps)
                keep("plain", {"generation_s": watch.value}, peak.value)
        return best

    # the paper's listing

    def literal(self) -> dict[str, Any]:
        case = self.case
        loop = LiteralLoop(case.models, case.character, case.settings, case.prompt)
        return literal_figures(
            loop, case.poses, self.options.literal_frames, self.engine.done.seconds
        )

    # null-text inversion against PACM's first optimisation

    def nulltext(self) -> dict[str, Any]:
        """Both from the same inverted trajectory. PSNR: decoded, against the decoded inverted latent."""
        case, settings, steps = self.case, self.case.settings, self.case.settings.inner_steps
        truth = case.picture(case.inverted[:1])
        rival = NullTextInversion(
            case.models, case.denoiser.prompt, case.denoiser.null, case.drawings(case.poses[:1]),
            settings.guidance_scale,
        )  # fmt: skip

        def ours(ddim: DDIM, inverted: torch.Tensor, inner_steps: int) -> torch.Tensor:
            config = replace(source_optimisation(settings), inner_steps=inner_steps)
            denoiser = replace(case.denoiser, calls=type(rival.calls)())
            found = finished(pose_aware_inversion(denoiser, ddim, inverted, case.pose_cond, config))
            return found.trajectory[:1]

        def theirs(ddim: DDIM, inverted: torch.Tensor, inner_steps: int) -> torch.Tensor:
            return rival.run(ddim, inverted, inner_steps).z_0

        def measured(method: Callable[..., torch.Tensor], inner_steps: int) -> dict[str, float]:
            with stopwatch(case.device) as watch:
                z_0 = method(case.ddim, case.inverted, inner_steps)
            return {
                "inner_steps": inner_steps,
                "seconds": watch.value,
                "psnr_db": psnr_db(case.picture(z_0), truth),
            }

        few = DDIM.from_scheduler(case.models.scheduler, 2)
        for method in (theirs, ours):
            method(few, case.inverted[:3], 1)  # warm-up
        before = rival.calls.copy()
        null_text = measured(theirs, steps)
        runs = [measured(ours, n) for n in range(1, steps + 1)]
        reached = [run for run in runs if run["psnr_db"] >= null_text["psnr_db"]]
        return {
            "null_text": {**null_text, "calls": dict(rival.calls - before)},
            "ours": runs,
            "learning_rate": settings.source_learning_rate,
            "at_equal_quality": reached[0]["inner_steps"] if reached else None,
            "ratio_at_equal_quality": null_text["seconds"] / reached[0]["seconds"]
            if reached
            else None,
            "ratio_at_equal_n": null_text["seconds"] / runs[-1]["seconds"],
        }

    # memory

    def memory(self, models: str) -> dict[str, Any]:
        """Each clip's peak, in a separate process; this one frees all but its networks."""
        release(self.case.device)
        found = {
            frames: _measured_elsewhere(self.options, models, frames)
            for frames in self.options.memory_frames
        }
        return {
            "steps": self.options.memory_steps,
            "chunk_size": self.case.chunk_size,
            "clips": found,
        }  # fmt: skip

    # operators

    def profile(self) -> dict[str, list[dict[str, Any]]]:
        """Operators in a step of each stage."""
        found = {}
        for stage in PROFILED:
            events = self.case.animate(num_inference_steps=2, inner_steps=1, frames=self._chunk + 1)
            if top := operators_of_a_step(events, stage, self.case.device):
                found[stage] = [asdict(operator) for operator in top]
        return found


def finished(steps: Generator[Any, None, Result]) -> Result:
    """The return value of a generator."""
    returning = Returning(steps)
    for _ in returning:
        pass
    return returning.result


# Memory in separate processes ---------------------------------------------------------------------


def _measured_elsewhere(options: argparse.Namespace, models: str, frames: int) -> dict[str, float]:
    command = [
        sys.executable, str(Path(__file__).resolve()), "--models", models,
        "--frames", str(frames), "--steps", str(options.memory_steps), "--inner-steps", "1",
        "--measure-memory", "--preset", options.preset, "--character", str(options.character),
        "--motion", options.motion, "--chunk-size", str(options.chunk_size),
    ]  # fmt: skip
    for name in ("device", "side", "guidance"):
        if (value := getattr(options, name)) is not None:
            command += [f"--{name}", str(value)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def memory_of(case: Case) -> dict[str, float]:
    """Bytes a run takes at its peak, and bytes the loaded models take before it."""
    with peak_memory(case.device) as before:
        pass
    with peak_memory(case.device) as peak:
        run = timed(case.animate(), case.device)
    return {
        "frames": len(run.done.frames),
        "peak_bytes": peak.value,
        "loaded_bytes": before.value,
        "seconds": run.total_s,
    }


# The command --------------------------------------------------------------------------------------


def case_of(options: argparse.Namespace, models_name: str) -> Case:
    models = load_models(models_name, options.device)
    if options.side is not None:
        models = replace(models, side=options.side)
    changes = {
        "frames": options.frames,
        "loop": True,  # the clip may be longer than the motion
        "num_inference_steps": options.steps,
        "inner_steps": options.inner_steps,
        "guidance_scale": options.guidance,
    }
    given = {name: value for name, value in changes.items() if value is not None}
    settings = Settings.preset(options.preset, models.family).changed(given)
    prompt = options.character.with_suffix(".txt").read_text(encoding="utf-8").strip()
    return Case(
        models, load_picture(options.character), load_preset(options.motion), settings, prompt,
        options.chunk_size,
    )  # fmt: skip


def benchmark(options: argparse.Namespace) -> dict[str, Any]:
    """All figures, as printed with --json."""
    with ExitStack() as scope:
        models_name = options.models
        if models_name == RANDOM:
            folder = options.random_folder
            if folder is None:
                folder = Path(scope.enter_context(TemporaryDirectory()))
            if not (folder / "model_index.json").is_file():
                sd15_random.write(folder, vocabulary=options.vocabulary)
            models_name = str(folder)
        case = case_of(options, models_name)
        cache = StageCache(Path(scope.enter_context(TemporaryDirectory())), CACHE_BYTES)
        return _figures(Benchmark(case, cache, options), models_name)


def _figures(bench: Benchmark, models_name: str) -> dict[str, Any]:
    """Part by part; a failing one is listed with its error and doesn't affect the others."""
    figures: dict[str, Any] = {
        "about": about(bench.case, bench.options),
        "ratios": dict.fromkeys(RATIOS),
        "reasons": {name: "not measured" for name in RATIOS},
        "failed": {},
    }
    for part in bench.options.parts:
        if part == "chunked" and "generation" in figures:
            continue  # measured together with "regenerate"
        try:
            found = _part(bench, part, models_name)
        except (RuntimeError, PoseAnimateError, subprocess.CalledProcessError) as error:
            traceback.print_exc()
            figures["failed"][part] = f"{type(error).__name__}: {error}"
            for name in (name for name, own in RATIOS.items() if own == part):
                figures["reasons"][name] = f"failed ({type(error).__name__})"
        else:
            for name, value in found.pop("ratios", {}).items():
                _take_ratio(figures, name, value)
            figures |= found
    return figures


def _take_ratio(figures: dict[str, Any], name: str, value: float | str) -> None:
    """Adds a ratio, or the reason why there is none."""
    if isinstance(value, str):
        figures["reasons"][name] = value
    elif not math.isfinite(value):
        figures["reasons"][name] = "no finite number"
    else:
        figures["ratios"][name] = value
        del figures["reasons"][name]


def _part(bench: Benchmark, part: str, models_name: str) -> dict[str, Any]:
    """A part's figures, with its ratios (or why there are none) under "ratios"."""
    ratios: dict[str, float | str] = {}
    if part == "engine":
        return {"engine": bench.engine_figures()}
    if part == "profile":
        return {"profile": bench.profile()}
    if part in ("regenerate", "chunked"):
        chosen = bench.options.parts
        found = bench.generation_figures("chunked" in chosen, "regenerate" in chosen)
        generation_s = found["chunks"]["generation_s"]
        figures: dict[str, Any] = {"generation": found, "ratios": ratios}
        if "whole" in found:
            chunk_size, asked = found["whole"]["chunk_size"], min(bench.frames, MOST_TOGETHER)
            ratios["chunked_over_whole"] = (
                generation_s / found["whole"]["generation_s"]
                if chunk_size == asked
                else f"memory had no room for {asked} frames at once"
            )
        if "plain" in found:
            plain_s = found["plain"]["generation_s"]
            with_frame_0_s = generation_s + found["chunks"]["frame_0_s"]
            ratios["regenerate_over_controlnet"] = with_frame_0_s / plain_s
            figures["regenerate_without_frame_0_over_controlnet"] = generation_s / plain_s
        return figures
    if part == "literal":
        literal = bench.literal()
        ratios["literal_over_ours"] = literal["total_s"] / bench.engine.total_s
        return {"literal": literal, "ratios": ratios}
    if part == "nulltext":
        if bench.case.settings.guidance_scale == 1:
            ratios["nulltext_over_pacm1"] = "guidance is 1: there is no null text"
            return {"ratios": ratios}
        nulltext = bench.nulltext()
        reached: float | None = nulltext["ratio_at_equal_quality"]
        most = bench.case.settings.inner_steps
        ratios["nulltext_over_pacm1"] = (
            f"no n up to {most} reached null-text inversion's PSNR" if reached is None else reached
        )
        return {"nulltext": nulltext, "ratios": ratios}
    memory = bench.memory(models_name)
    peaks = [clip["peak_bytes"] for clip in memory["clips"].values()]
    ratios["memory_n_over_16"] = (
        peaks[-1] / peaks[0] if len(peaks) > 1 else "one length of clip alone"
    )
    return {"memory": memory, "ratios": ratios}


def about(case: Case, options: argparse.Namespace) -> dict[str, Any]:
    """The context needed to read the figures."""
    models, settings = case.models, case.settings
    height, width = case.character.picture.shape[:2]
    cuda = case.device.type == "cuda"
    return {
        "date": date.today().isoformat(),
        "models": options.models,
        "tokenizer": "words" if knows_words(models.tokenizer) else "single bytes alone (a stand-in)",
        "dtype": str(models.unet.dtype).removeprefix("torch."),
        "device": str(case.device),
        "card": torch.cuda.get_device_name(case.device) if cuda else None,
        "machine": f"{platform.system()} {platform.machine()}",
        "threads": torch.get_num_threads(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            **{name: version(name) for name in ("diffusers", "transformers")},
        },
        "size_px": [width, height],
        "character": options.character.stem,
        "motion": options.motion,
        "preset": options.preset,
        "frames": len(case.poses),
        "steps": settings.num_inference_steps,
        "inner_steps": settings.inner_steps,
        "guidance": settings.guidance_scale,
        "chunk_size": case.chunk_size,
        "repetitions": options.repetitions,
        "parts": list(options.parts),
    }  # fmt: skip


def knows_words(tokenizer: Any) -> bool:
    """Whether the vocabulary joins letters into words."""
    return len(tokenizer("boy", add_special_tokens=False).input_ids) == 1


def arguments() -> argparse.ArgumentParser:
    def parts(text: str) -> tuple[str, ...]:
        chosen = text.split(",")
        if unknown := [name for name in chosen if name not in PARTS]:
            raise argparse.ArgumentTypeError(
                f"there is no part {unknown[0]!r}; parts are {', '.join(PARTS)}"
            )
        return tuple(name for name in PARTS if name in chosen)

    def count(text: str) -> int:
        if int(text) < 1:
            raise argparse.ArgumentTypeError(f"{text} is less than 1")
        return int(text)

    def numbers(text: str) -> list[int]:
        return sorted({int(number) for number in text.split(",")})

    def file(text: str) -> Path:
        if not Path(text).is_file():
            raise argparse.ArgumentTypeError(f"there is no file {text!r}")
        return Path(text)

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--models", default="pocket", help=f"pocket, {RANDOM}, sd15 or a folder")
    add("--device", choices=("cpu", "cuda"))
    add("--json", action="store_true", help="print the figures as JSON")
    add("--parts", type=parts, default=PARTS, help=f"some of {','.join(PARTS)}")
    add("--preset", default="paper")
    add("--frames", type=int, default=17, help="the source included")
    add("--side", type=int, help="of the clip, px; by default the models'")
    add("--steps", type=int, help="T; by default the preset's")
    add("--inner-steps", type=int, help="n; by default the preset's")
    add("--guidance", type=float, help="w; by default the preset's")
    add("--chunk-size", type=count, default=8, help="frames that are generated together")
    add("--character", type=file, default=CHARACTERS / "street-boy.png")
    add("--motion", default="walk", choices=preset_names())
    add("--literal-frames", type=count, default=2, help="that the literal loop works out")
    add("--repetitions", type=count, default=3, help="of generation; the best counts")
    add(
        "--memory-frames",
        type=numbers,
        default=[16, 64],
        help="lengths of clips, the source included",
    )
    add(
        "--memory-steps",
        type=int,
        default=5,
        help="T of those clips; more steps, more is kept of 2 frames",
    )
    add("--random-folder", type=Path, help=f"where {RANDOM} is written, or found as written before")
    add(
        "--vocabulary",
        type=file,
        help="CLIP's bpe_simple_vocab_16e6.txt.gz, or a wheel that holds it",
    )
    add("--measure-memory", action="store_true", help=argparse.SUPPRESS)
    return parser  # fmt: skip


def main(given: list[str] | None = None) -> int:
    options = arguments().parse_args(given)
    if options.measure_memory:
        print(json.dumps(memory_of(case_of(options, options.models))))
        return 0
    figures = benchmark(options)
    print(json.dumps(figures, indent=1) if options.json else table(figures), flush=True)
    return 1 if figures["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
