"""The command line: a thin consumer of `Animator`; `poseanimate --help` lists it all.

Notable: every input is looked at before models are loaded; torch is imported only where it is
needed; progress and remarks go to stderr, results to stdout; clips appear whole or not at all.
Exit codes: 0 done, 2 bad input (a sentence and its remedy on stderr), 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from poseanimate.cli.arguments import SHOWN_SIDE_PX, chosen_models, parser
from poseanimate.cli.reports import JsonLines, Report, Sentences
from poseanimate.errors import (
    ModelsError,
    MotionError,
    OutputError,
    PictureError,
    PoseAnimateError,
    SettingsError,
)
from poseanimate.events import Aligned, Done, Event, Note, Returning, Stage
from poseanimate.inputs.motion import iter_motion, open_motion
from poseanimate.inputs.prompt import MAX_PROMPT_CHARACTERS
from poseanimate.media import Video, check_output, load_picture, write_clip
from poseanimate.media.clips import GIF_MAX_FPS
from poseanimate.poses import overlay
from poseanimate.poses.keypoints import MAX_PICTURE_CHARACTERS, read_people
from poseanimate.poses.motion import Motion, load_preset
from poseanimate.poses.motion import preset_names as motion_names
from poseanimate.settings import Settings, allowed
from poseanimate.settings import preset_names as settings_names
from poseanimate.storage.stage_cache import StageCache, default_folder, default_size

if TYPE_CHECKING:
    from PIL import Image

    from poseanimate.animator import Animator
    from poseanimate.evaluation.metrics.networks import Networks
    from poseanimate.inputs.character import Character

MAX_ENLARGEMENT = 16

Result = TypeVar("Result")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code.

    Raises:
        SystemExit: arguments that argparse refuses (code 2), or `--help` (code 0).
    """
    options = parser(animate, align, motions, settings, cache, evaluate, serve).parse_args(
        arguments
    )
    report: Report = Sentences()
    with contextlib.ExitStack() as stack:
        if getattr(options, "json", False):
            report = JsonLines(sys.stdout)
            # libraries that print must not come between the lines
            stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        stack.callback(report.close)
        try:
            options.command(options, report)
            sys.stdout.flush()
        except PoseAnimateError as error:
            report.fail(error)
            return 2
        except KeyboardInterrupt:
            report.close()
            print("stopped", file=sys.stderr)
            return 130
        except BrokenPipeError:  # whoever read our output has left: nothing more to say to them
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())  # type: ignore[union-attr]
            return 141
    return 0


# Commands -----------------------------------------------------------------------------------------


def animate(options: argparse.Namespace, report: Report) -> None:
    """Make a clip of a character in a motion."""
    settings = _settings(options)
    if options.enlarge is not None and not 1 <= options.enlarge <= MAX_ENLARGEMENT:
        raise OutputError(
            f"The enlargement is {options.enlarge}.",
            f"Give a whole number from 1 to {MAX_ENLARGEMENT}.",
        )
    _check_output(options)
    picture = load_picture(options.character)
    joints = _joints(options)
    prompt = _prompt(options, report)
    source = _opened(options)
    seconds: dict[str, float] = {}
    with _timed(seconds, "models"):
        report.show(Stage("models", 1))
        animator = _animator(options)
    with _timed(seconds, "motion"):
        motion = _followed(iter_motion(source, animator.models.detector, options.motion), report)
    seen = _character(animator, picture, joints) if joints else picture
    done = _followed_to_its_end(animator.animate(seen, motion, settings, prompt), report)
    short_side_px = min(done.frames[0].shape[:2])
    enlarge = options.enlarge or max(1, round(SHOWN_SIDE_PX / short_side_px))
    seconds |= done.seconds
    with _timed(seconds, "writing"):
        report.show(Stage("writing", 1))
        write_clip(done.frames, options.output, done.fps, enlarge)
    report.result(_figures(done, seconds, options.output), _summary(done, seconds, options.output))


def align(options: argparse.Namespace, report: Report) -> None:
    """Show the aligned skeletons over the character: a sheet (.png) or a clip."""
    settings = _settings(options)
    _check_output(options)
    picture = load_picture(options.character)
    joints = _joints(options)
    source = _opened(options)
    report.show(Stage("models", 1))
    animator = _animator(options)
    motion = _followed(iter_motion(source, animator.models.detector, options.motion), report)
    report.show(Stage("character", 1))
    character = _character(animator, picture, joints)
    report.show(Stage("alignment", 1))
    alignment = animator.align(character, motion, settings)
    report.show(Aligned(alignment, character.picture, character.mask))
    for error in alignment.errors:
        raise MotionError(error.message, error.remedy)
    for finding in alignment.findings:
        report.show(Note(str(finding)))
    if options.output.suffix.lower() == ".png":
        drawings = [overlay.strip(character.picture, alignment)]
    else:
        drawings = overlay.frames(character.picture, alignment)
    write_clip(drawings, options.output, alignment.fps)
    poses = len(alignment.poses)
    transition = min(alignment.transition, poses - 1)
    figures = {"output": str(options.output), "poses": poses, "transition": transition}
    report.result(
        figures,
        f"{options.output}: {poses} poses at {alignment.fps:g} fps, {transition} of transition",
    )


def motions(options: argparse.Namespace, report: Report) -> None:
    """List the motions that come with the program."""
    print(f"{'motion':<16}{'frames':>7}{'fps':>6}{'seconds':>9}")
    for name in motion_names():
        motion = load_preset(name)
        print(f"{name:<16}{len(motion.poses):>7}{motion.fps:>6g}{motion.duration_s:>9.2f}")


def settings(options: argparse.Namespace, report: Report) -> None:
    """List every setting with its value in a preset, what it may be, and what it means."""
    chosen = Settings.preset(options.preset)
    print(f"Presets: {', '.join(settings_names())}. Below: {options.preset}.\n")
    for each in fields(chosen):
        value = getattr(chosen, each.name)
        shown = str(value).lower() if isinstance(value, bool) else repr(value)
        print(f"{each.name} = {shown}  ({allowed(each)})\n    {each.metadata['help']}")


def cache(options: argparse.Namespace, report: Report) -> None:
    """Say how large the cache is, or empty it."""
    if options.cache and not options.cache.is_dir():
        raise OutputError(f"There is no folder {options.cache}.", "Give the folder of a cache.")
    store = StageCache(options.cache or default_folder(), default_size())
    size_mb = store.size() / 1e6
    if options.clear:
        print(f"{store.folder}: {store.clear()} results deleted, {size_mb:.1f} MB freed")
    else:
        bound = f"at most {store.max_bytes / 1e6:.0f} MB are kept"
        print(f"{store.folder}: {len(store.entries())} results, {size_mb:.1f} MB ({bound})")


def evaluate(options: argparse.Namespace, report: Report) -> None:
    """Measure the method, its modules and baselines where the truth is known; goes on where it stopped."""
    from poseanimate.evaluation.plan import plan
    from poseanimate.evaluation.protocols.samples import write_samples
    from poseanimate.models.loading import has_ip_adapter

    options.models = options.models or "pocket"  # with a GPU too: its world has the truth
    evaluation = plan(
        "pocket" if options.protocol == "samples" else options.protocol,
        _settings(options),
        split=options.split,
        characters=options.characters,
        first=options.first,
        motions=options.motions,
        captions=options.captions,
        data=options.data,
        rows=options.rows,
        sweep=options.sweep,
        networks=_networks(options),
        image_prompts=has_ip_adapter(options.models),
    )
    if options.protocol == "samples":
        if options.captions != "full":
            raise SettingsError(
                "Samples are made from full captions.", "Leave --captions out, or measure pocket."
            )
        models = _animator(options).models
        drawn = write_samples(
            models, options.split, options.first, options.characters, options.output
        )
        told = _followed(drawn, report)
        report.result({"report": str(options.output / "samples.md")}, told)
        return
    options.cache = options.cache or options.output / "cache"
    report.show(Stage("models", 1))
    animator = _animator(options)
    eyes = (options.detector, options.segmenter)  # they measure, too
    identity = " ".join([animator.identity, *filter(None, eyes)])
    store = evaluation.open_store(options.output, options.models, identity)
    report.show(Stage("evaluation", evaluation.clips))
    for event in evaluation.run(animator, store):
        report.show(event)
    page, table = evaluation.write_report(store)
    report.result({"report": str(page)}, f"{table}\n\n{page}")


def serve(options: argparse.Namespace, report: Report) -> None:
    """Serve the page until it is interrupted."""
    from poseanimate.cli.serve import run  # Gradio and torch take seconds to import

    run(options)


def _networks(options: argparse.Namespace) -> Networks:
    from poseanimate.evaluation.metrics.networks import Networks

    if not options.networks:
        return Networks()
    folder = None if options.networks == "hub" else Path(options.networks)
    if folder is not None and not folder.is_dir():
        raise SettingsError(
            f"There is no folder of networks {options.networks!r}.", "Name one, or 'hub'."
        )
    from poseanimate.evaluation.metrics.loaders import load_networks

    return load_networks(folder, options.device)


# Inputs -------------------------------------------------------------------------------------------


def _settings(options: argparse.Namespace) -> Settings:
    values = {}
    for pair in options.set or ():
        name, equals, value = pair.partition("=")
        if not equals:
            raise SettingsError(
                f"--set {pair!r} names no value.", "Write NAME=VALUE, as lambda_first=0.6."
            )
        values[name.strip()] = value.strip()
    for name in ("frames", "seed"):
        if getattr(options, name, None) is not None:
            values[name] = getattr(options, name)
    return Settings.preset(options.preset).changed(values)


def _check_output(options: argparse.Namespace) -> None:
    output: Path = options.output
    check_output(output)
    for name in (options.character, options.motion):
        if output.exists() and os.path.isfile(name) and os.path.samefile(name, output):
            raise OutputError(f"{output} is an input.", "Choose another name for the clip.")


def _opened(options: argparse.Namespace) -> Motion | Video:
    source = open_motion(options.motion, options.start, options.end, options.stride)
    if options.output.suffix.lower() == ".gif" and source.fps > GIF_MAX_FPS:
        raise OutputError(
            f"A GIF can't show {source.fps:g} frames per second.",
            "Choose .mp4, or take every second frame with --stride 2.",
        )
    return source


def _prompt(options: argparse.Namespace, report: Report) -> str:
    """--prompt, or the text beside the picture, or nothing; says which."""
    if options.prompt is not None:
        return str(options.prompt)
    beside = options.character.with_suffix(".txt")
    if not beside.is_file():
        report.show(Note(f"There is no --prompt and no {beside.name}: the character goes unnamed."))
        return ""
    try:
        with beside.open(encoding="utf-8-sig") as file:
            prompt = " ".join(file.read(MAX_PROMPT_CHARACTERS).split())
    except (OSError, UnicodeDecodeError) as error:
        raise PictureError(
            f"The prompt beside the picture, {beside}, can't be read ({type(error).__name__}).",
            "Save it as UTF-8 text, or give --prompt.",
        ) from error
    report.show(Note(f"The prompt is from {beside.name}: {prompt}"))
    return prompt


def _joints(options: argparse.Namespace) -> str:
    if options.joints is None:
        return ""
    try:
        if options.joints.stat().st_size > MAX_PICTURE_CHARACTERS:
            raise PictureError(
                f"{options.joints} is larger than the joints of a picture.", "Give one frame."
            )
        return str(options.joints.read_text(encoding="utf-8")) or " "
    except (OSError, UnicodeDecodeError) as error:
        raise PictureError(
            f"The joints {options.joints} can't be read ({type(error).__name__}).",
            "Give a file of OpenPose keypoint JSON.",
        ) from error


def _character(animator: Animator, picture: Image.Image, joints: str) -> Character:
    height, width = animator.fit_picture(picture).shape[:2]
    return animator.character(picture, read_people(joints, width, height) if joints else ())


def _animator(options: argparse.Namespace) -> Animator:
    store = (
        None if options.no_cache else StageCache(options.cache or default_folder(), default_size())
    )
    max_side = getattr(options, "max_side", None)  # evaluations have the models' own
    import torch

    from poseanimate.animator import Animator
    from poseanimate.models.loading import default_models, load_models

    if options.device == "cuda" and not torch.cuda.is_available():
        raise ModelsError("There is no CUDA device here.", "Choose --device cpu.")
    name = options.models or default_models()
    tell = functools.partial(print, file=sys.stderr)  # beside the hub's own bars
    models = load_models(name, options.device, **chosen_models(options), tell=tell)
    return Animator(models, store, max_side)


# Running ------------------------------------------------------------------------------------------


def _followed(events: Generator[Event, None, Result], report: Report) -> Result:
    """Shows what a generator yields; returns what it returns."""
    steps = Returning(events)
    for event in steps:
        report.show(event)
    return steps.result


def _followed_to_its_end(events: Iterator[Event], report: Report) -> Done:
    for event in events:
        if isinstance(event, Done):
            return event
        report.show(event)
    raise RuntimeError("a run ends with Done or an error")


@contextlib.contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[name] = time.monotonic() - started


# Results ------------------------------------------------------------------------------------------


def _figures(done: Done, seconds: dict[str, float], output: Path) -> dict[str, Any]:
    return {
        "output": str(output),
        "frames": len(done.frames),
        "fps": done.fps,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "model_calls": done.model_calls,
        "source_psnr_db": done.source_psnr_db and round(done.source_psnr_db, 2),
        "inversion_psnr_db": done.inversion_psnr_db and round(done.inversion_psnr_db, 2),
        "cached_stages": done.cached_stages,
    }


def _summary(done: Done, seconds: dict[str, float], output: Path) -> str:
    stages = ", ".join(f"{name} {value:.1f}" for name, value in seconds.items())
    calls = ", ".join(f"{name} {count}" for name, count in done.model_calls.items())
    words = [
        f"{output}: {len(done.frames)} frames at {done.fps:g} fps",
        f"{sum(seconds.values()):.1f} s ({stages})",
        f"model calls: {calls}",
    ]
    if done.source_psnr_db is not None:
        words.append(f"frame 0 reconstructed at {done.source_psnr_db:.1f} dB")
    words += [f"from the cache: {', '.join(done.cached_stages)}"] if done.cached_stages else []
    return "; ".join(words)
