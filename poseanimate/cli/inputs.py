"""Reads what the options name: settings, motion, prompt, joints and models.

Notable: torch and the networks' libraries are imported only when models are loaded, and for `align` only what looks at
pictures.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from poseanimate.cli.arguments import chosen_models
from poseanimate.cli.engines import create_cluster, join_cluster
from poseanimate.cli.reports import Report
from poseanimate.errors import (
    ModelsError,
    OutputError,
    PictureError,
    SettingsError,
    VideoError,
)
from poseanimate.events import Note
from poseanimate.inputs.aligner import Aligner
from poseanimate.inputs.character import Character
from poseanimate.inputs.driver_sound import is_whole_video, read_driver_sound
from poseanimate.inputs.motion import open_motion
from poseanimate.inputs.prompt import MAX_PROMPT_CHARACTERS
from poseanimate.media import Sound, Video, check_output
from poseanimate.media.clips import GIF_MAX_FPS, SOUND_SUFFIXES
from poseanimate.models.files import default_models, find_family, has_gpu
from poseanimate.models.imports import fast_imports
from poseanimate.models.input_models import check_names, load_input_models
from poseanimate.poses.keypoints import MAX_PICTURE_CHARACTERS, read_people
from poseanimate.poses.motion import Motion
from poseanimate.poses.pata.alignment import Alignment
from poseanimate.settings import Settings
from poseanimate.storage.stage_cache import StageCache, default_folder, default_size

if TYPE_CHECKING:
    from poseanimate.animator import Animator


def read_settings(options: argparse.Namespace) -> Settings:
    """The preset with --set, --frames and --seed.

    Raises:
        SettingsError: a name or value that doesn't exist.
    """
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
    return Settings.preset(options.preset, find_family(options.models or default_models())).changed(
        values
    )


def check_output_path(options: argparse.Namespace) -> None:
    """Raises OutputError where the clip can't be written, or would replace an input."""
    output: Path = options.output
    check_output(output, getattr(options, "transparent", False))
    for name in (options.character, *options.motion):
        if output.exists() and os.path.isfile(name) and os.path.samefile(name, output):
            raise OutputError(f"{output} is an input.", "Choose another name for the clip.")


def open_source(options: argparse.Namespace) -> Motion | Video:
    """The motion, or the video that it is detected in.

    Raises:
        MotionError, VideoError: see `open_motion`.
        OutputError: it is too fast for a GIF.
    """
    source = open_motion(
        options.motion, options.start, options.end, options.stride, options.rotate, options.fps
    )
    if options.output.suffix.lower() == ".gif" and source.fps > GIF_MAX_FPS:
        raise OutputError(
            f"A GIF can't show {source.fps:g} frames per second.",
            "Choose .mp4, or take every second frame with --stride 2.",
        )
    return source


def find_sound(
    options: argparse.Namespace,
    report: Report,
    source: Motion | Video,
    motion: Motion,
    alignment: Alignment,
    frames: int,
) -> Sound | None:
    """The sound of the motion's video for a clip of so many frames, as `read_driver_sound`; says what becomes of it.

    None also with --no-sound, for a part of a video, and where the output has no sound.
    """
    whole = is_whole_video(source, options.start, options.end, options.stride)
    if options.no_sound or not whole or options.output.suffix.lower() not in SOUND_SUFFIXES:
        return None
    try:
        sound = read_driver_sound(Path(options.motion[0]), motion, alignment, frames)
    except VideoError as error:  # no reason to lose the clip
        report.show(Note(f"The clip is silent. {error}", warning=True))
        return None
    if sound:
        report.show(Note("The clip has the sound of the video (--no-sound leaves it out)."))
    return sound


def read_prompt(options: argparse.Namespace, report: Report) -> str:
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


def read_joints(options: argparse.Namespace) -> str:
    """The text of --joints; empty without it.

    Raises:
        PictureError: the file can't be read.
    """
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


def find_character(
    aligner: Aligner, picture: Image.Image, joints: str, most_side: int | None = None
) -> Character:
    """The character at the joints, as JSON of OpenPose keypoints, or without any where the detector finds it.

    Args:
        most_side: see `Aligner.fit_picture`.
    """
    height, width = aligner.fit_picture(picture, most_side).shape[:2]
    people = read_people(joints, width, height) if joints else ()
    return aligner.character(picture, people, most_side)


def load_aligner(options: argparse.Namespace) -> Aligner:
    """What `align` needs; no diffusion model is loaded.

    Raises:
        ModelsError: the models can't be used.
        SettingsError: --max-side doesn't fit them.
    """
    check_device(options.device)
    chosen = chosen_models(options)
    check_names(precision=chosen["precision"])
    used = {name: chosen[name] for name in ("vae", "detector", "segmenter")}
    with fast_imports():
        models = load_input_models(
            options.models or default_models(), options.device, **used, on_message=print_message
        )
    return Aligner(models, options.max_side)


def load_animator(options: argparse.Namespace) -> Animator:
    """What makes clips.

    Raises:
        ModelsError: the models can't be used.
        CacheError: the cache can't be used.
        SettingsError: --max-side doesn't fit the models.
    """
    cache = (
        None if options.no_cache else StageCache(options.cache or default_folder(), default_size())
    )
    max_side = getattr(options, "max_side", None)  # evaluations have the models' own
    check_device(options.device)
    name = options.models or default_models()
    if fleet := join_cluster(options.engines, print_message):
        return create_cluster(options, name, cache, fleet, print_message)
    with fast_imports():
        from poseanimate.animator import Animator
        from poseanimate.models.loading import load_models

    models = load_models(
        name,
        options.device,
        **chosen_models(options),
        on_message=print_message,
    )
    return Animator(models, cache, max_side)


def check_device(device: str | None) -> None:
    """Raises ModelsError for "cuda" where there is no GPU."""
    if device == "cuda" and not has_gpu():
        raise ModelsError("There is no CUDA device here.", "Choose --device cpu.")


def print_message(text: str) -> None:
    """A remark about models on stderr, beside the hub's own progress bars."""
    print(text, file=sys.stderr)
