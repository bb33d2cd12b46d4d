"""The commands but `evaluate`: each reads its inputs before it loads models; clips appear whole or not at all."""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from poseanimate.cli.arguments import SHOWN_SIDE_PX, chosen_models
from poseanimate.cli.inputs import (
    check_output_path,
    find_character,
    find_sound,
    load_aligner,
    load_animator,
    open_source,
    read_joints,
    read_prompt,
    read_settings,
)
from poseanimate.cli.own_process import ends_when_told, temporary_folder
from poseanimate.cli.reports import Report, show_all
from poseanimate.errors import ModelsError, MotionError, OutputError
from poseanimate.events import Aligned, Done, Note, Stage, Step
from poseanimate.inputs.aligner import DRAFT_COMMENT, MAX_FULL_SIDE, Aligner, full_side
from poseanimate.inputs.character import Character
from poseanimate.inputs.motion import iter_motion
from poseanimate.media import Video, load_picture, write_clip
from poseanimate.models.files import default_models
from poseanimate.poses import overlay
from poseanimate.poses.motion import Motion, load_preset
from poseanimate.poses.motion import preset_names as motion_names
from poseanimate.poses.pata import Alignment
from poseanimate.settings import NOT_JUDGED, Settings, allowed, is_judged
from poseanimate.settings import preset_names as settings_names
from poseanimate.storage.stage_cache import StageCache, default_folder, default_size

MAX_ENLARGEMENT = 16
PAINT_ANYWAY = "Choose --models sd15, which needs a GPU, move the picture itself with `draft`, or add --anyway."


def animate(options: argparse.Namespace, report: Report) -> None:
    """Make a clip of a character in a motion."""
    settings = read_settings(options)
    if options.enlarge is not None and not 1 <= options.enlarge <= MAX_ENLARGEMENT:
        raise OutputError(
            f"The enlargement is {options.enlarge}.",
            f"Give a whole number from 1 to {MAX_ENLARGEMENT}.",
        )
    check_output_path(options)
    picture = load_picture(options.character)
    joints = read_joints(options)
    prompt = read_prompt(options, report)
    source = open_source(options)
    seconds: dict[str, float] = {}
    with measure_time(seconds, "models"):
        report.show(Stage("models", 1))
        animator = load_animator(options)
    if not is_judged(options.preset, animator.family):
        report.show(Note(NOT_JUDGED, warning=False))
    if not options.anyway:  # before a long video is looked through
        animator.check_paintable(animator.fit_picture(picture), PAINT_ANYWAY)
    with measure_time(seconds, "motion"):
        motion = show_all(
            iter_motion(source, animator.inputs.detector, options.motion[0], options.repair), report
        )
    side = full_side(settings)
    seen = find_character(animator, picture, joints, side) if joints else picture
    for event in animator.animate(seen, motion, settings, prompt):
        if isinstance(event, Done):
            done = event
            continue
        if isinstance(event, Aligned):
            alignment = event.alignment
        report.show(event)
    sound = find_sound(options, report, source, motion, alignment, len(done.frames))
    short_side_px = min(done.frames[0].shape[:2])
    enlarge = options.enlarge or max(1, round(SHOWN_SIDE_PX / short_side_px))
    seconds |= done.seconds
    with measure_time(seconds, "writing"):
        report.show(Stage("writing", 1))
        write_clip(done.frames, options.output, done.fps, enlarge, sound)
    report.result(
        list_figures(done, seconds, options.output), summarise(done, seconds, options.output)
    )


def align(options: argparse.Namespace, report: Report) -> None:
    """Show the aligned skeletons over the character: a sheet (.png) or a clip."""
    fitted = _fit_motion(options, report)
    character, alignment = fitted.character, fitted.alignment
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


def draft(options: argparse.Namespace, report: Report) -> None:
    """Move the character itself, cut out limb by limb, at the picture's full size: in seconds, without a network."""
    fitted = _fit_motion(options, report, MAX_FULL_SIDE)
    character, alignment = fitted.character, fitted.alignment
    count = len(alignment.poses)
    report.show(Stage("draft", count))
    frames = []
    for frame in fitted.aligner.draft(character, alignment, options.transparent):
        frames.append(frame.picture)
        report.show(Step("draft", len(frames), count))
    sound = find_sound(options, report, fitted.source, fitted.motion, alignment, count)
    report.show(Stage("writing", 1))
    write_clip(frames, options.output, alignment.fps, sound=sound, comment=DRAFT_COMMENT)
    height, width = character.picture.shape[:2]
    report.result(
        {"output": str(options.output), "frames": count, "width": width, "height": height},
        f"{options.output}: a draft of {count} frames at {alignment.fps:g} fps, {width}x{height} pixels",
    )


@dataclass(frozen=True)
class _Fitted:
    """A motion aligned to a character. source: of the motion."""

    aligner: Aligner
    source: Motion | Video
    motion: Motion
    character: Character
    alignment: Alignment


def _fit_motion(
    options: argparse.Namespace, report: Report, most_side: int | None = None
) -> _Fitted:
    """Aligns the motion to the character; one that doesn't fit is an error.

    Args:
        most_side: see `Aligner.fit_picture`.
    """
    settings = read_settings(options)
    check_output_path(options)
    picture = load_picture(options.character)
    joints = read_joints(options)
    source = open_source(options)
    report.show(Stage("models", 1))
    aligner = load_aligner(options)
    motion = show_all(
        iter_motion(source, aligner.inputs.detector, options.motion[0], options.repair), report
    )
    report.show(Stage("character", 1))
    character = find_character(aligner, picture, joints, most_side)
    report.show(Stage("alignment", 1))
    alignment = aligner.align(character, motion, settings)
    report.show(Aligned(alignment, character.picture, character.mask))
    for error in alignment.errors:
        raise MotionError(error.message, error.remedy)
    for finding in alignment.findings:
        report.show(Note(str(finding)))
    return _Fitted(aligner, source, motion, character, alignment)


def motions(options: argparse.Namespace, report: Report) -> None:
    """List the motions that come with the program."""
    print(f"{'motion':<16}{'frames':>7}{'fps':>6}{'seconds':>9}")
    for name in motion_names():
        motion = load_preset(name)
        print(f"{name:<16}{len(motion.poses):>7}{motion.fps:>6g}{motion.duration_s:>9.2f}")


def settings(options: argparse.Namespace, report: Report) -> None:
    """List every setting with its value in a preset, what it may be, and what it means."""
    family = options.family
    chosen = Settings.preset(options.preset, family)
    if options.as_json:
        print(json.dumps(asdict(chosen), indent=2))
        return
    judged = "" if is_judged(options.preset, family) else f" {NOT_JUDGED}"
    print(
        f"Presets: {', '.join(settings_names(family))}. Below: {options.preset} for {family}.{judged}\n"
    )
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


def doctor(options: argparse.Namespace, report: Report) -> None:
    """Check whether this machine has what the models need."""
    from poseanimate.cli.doctor import BAD, check_machine, describe_check

    name = options.models or default_models()
    checks = list(check_machine(name, chosen_models(options)))
    bad = [check.name for check in checks if check.state == BAD]
    report.result(
        {"checks": [asdict(check) for check in checks]}, "\n".join(map(describe_check, checks))
    )
    if bad:
        raise ModelsError(
            f"{', '.join(bad)}: the models {name} won't run here.", "See the lines marked BAD."
        )


def judge(options: argparse.Namespace, report: Report) -> None:
    """See in half an hour what a family of models makes of the method: clips, figures, curves on one page."""
    with ends_when_told(), temporary_folder():
        from poseanimate.cli.judge import run  # imports torch

        run(options, report)


def serve(options: argparse.Namespace, report: Report) -> None:
    """Serve the page until it is interrupted."""
    with ends_when_told(), temporary_folder():
        from poseanimate.cli.serve import run  # imports Gradio

        run(options)


def evaluate(options: argparse.Namespace, report: Report) -> None:
    """Measure the method, its modules and baselines where the truth is known; continues where it stopped."""
    from poseanimate.cli.evaluate import run  # imports torch

    run(options, report)


@contextlib.contextmanager
def measure_time(seconds: dict[str, float], name: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[name] = time.monotonic() - started


def list_figures(done: Done, seconds: dict[str, float], output: Path) -> dict[str, Any]:
    return {
        "output": str(output),
        "frames": len(done.frames),
        "fps": done.fps,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "model_calls": done.model_calls,
        "source_psnr_db": done.source_psnr_db and round(done.source_psnr_db, 2),
        "inversion_psnr_db": done.inversion_psnr_db and round(done.inversion_psnr_db, 2),
        "cached_stages": done.cached_stages,
        "lost_attention": {
            str(tokens): [round(share, 4) for share in shares]
            for tokens, shares in done.lost_attention.items()
        },
    }


def summarise(done: Done, seconds: dict[str, float], output: Path) -> str:
    stages = ", ".join(f"{name} {value:.1f}" for name, value in seconds.items())
    calls = ", ".join(f"{name} {count}" for name, count in done.model_calls.items())
    words = [
        f"{output}: {len(done.frames)} frames at {done.fps:g} fps",
        f"{sum(seconds.values()):.1f} s ({stages})",
        f"model calls: {calls}",
    ]
    if done.source_psnr_db is not None:
        words.append(f"frame 0 reconstructed at {done.source_psnr_db:.1f} dB")
    if lost := done.lost_in_words:
        words.append(f"of the character's attention and the background's Eq. 9 loses {lost}")
    words += [f"from the cache: {', '.join(done.cached_stages)}"] if done.cached_stages else []
    return "; ".join(words)
