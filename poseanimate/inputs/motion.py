"""Motions from presets, pose JSON, recorded motion (BVH) and videos.

Notable: `open_motion` finds whatever is wrong with a file before any model is loaded;
`iter_motion` runs the detector, one event per frame; `read_motion` does both.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

from poseanimate.errors import MotionError
from poseanimate.events import Returning, Stage, Step
from poseanimate.inputs.follow import follow_person
from poseanimate.media import Video, read_video
from poseanimate.models.pose_detection import PoseDetector
from poseanimate.poses.bvh import BVH_START
from poseanimate.poses.keypoints import MAX_JSON_CHARACTERS
from poseanimate.poses.mocap import read_bvh
from poseanimate.poses.motion import Motion, load_preset, preset_names

STAGE = "motion"
_SPACE_AND_MARK = b" \t\r\n\xef\xbb\xbf"  # what may precede JSON: blanks, a byte order mark


def open_motion(
    name_or_path: str | Path,
    start_s: float = 0.0,
    end_s: float | None = None,
    stride: int = 1,
    rotate: int = 0,
) -> Motion | Video:
    """Read what needs no detector: a preset, pose JSON or BVH as a motion, a video as its frames.

    A preset takes precedence over a file of the same name (`./walk` is the file). The content
    decides what kind of file it is.

    Args:
        start_s, end_s: the part to use, in seconds; end_s None uses it to the end.
        stride: use every stride-th frame.
        rotate: degrees by which to turn it clockwise: a multiple of 90.

    Raises:
        MotionError: no preset and no file of this name, unusable pose JSON or BVH, or an empty part.
        VideoError: a video that can't be used; see `read_video`.
    """
    if str(name_or_path) in preset_names():
        return _part(load_preset(str(name_or_path)), start_s, end_s, stride).rotated(rotate)
    path = Path(name_or_path)
    if not os.path.isfile(path):  # unlike Path.is_file it takes any name, however odd
        if path.name == str(name_or_path) and not path.suffix and not os.path.exists(path):
            load_preset(path.name)  # raises: its message lists the presets
        raise MotionError(
            f"There is no motion at {path}.",
            "Give a video, a pose JSON file, or a preset's name (`motions` lists them).",
        )
    if _is_json(path):
        motion = Motion.from_json(_text(path), path.name)
        return _part(motion, start_s, end_s, stride).rotated(rotate)
    if _begins_with(path, BVH_START):  # long ones are cut before they are thinned
        motion = read_bvh(_text(path), path.name, start_s, end_s)
        return _part(motion, 0.0, None, stride).rotated(rotate)
    return read_video(path, start_s, end_s, stride, rotate=rotate)


def iter_motion(
    source: Motion | Video, detector: PoseDetector, name: str
) -> Generator[Stage | Step, None, Motion]:
    """Yield one step per frame of a video; return the motion.

    Raises:
        NoCharacterError: nobody is in any frame.
    """
    if isinstance(source, Motion):
        return source
    total = len(source.frames)
    yield Stage(STAGE, total)
    poses = Returning(follow_person(source, detector, name))
    for index, _ in enumerate(poses, start=1):
        yield Step(STAGE, index, total)
    return poses.result


def read_motion(
    name_or_path: str | Path,
    detector: PoseDetector,
    start_s: float = 0.0,
    end_s: float | None = None,
    stride: int = 1,
) -> Motion:
    """`open_motion` and `iter_motion` in one, without events.

    Raises:
        MotionError, VideoError, NoCharacterError: see there.
    """
    source = open_motion(name_or_path, start_s, end_s, stride)
    steps = Returning(iter_motion(source, detector, Path(name_or_path).name))
    for _ in steps:
        pass
    return steps.result


def _part(motion: Motion, start_s: float, end_s: float | None, stride: int) -> Motion:
    """Every stride-th pose from start_s up to end_s; the rate falls with the stride."""
    if stride < 1:
        raise MotionError(f"The stride is {stride}.", "Give a whole number from 1.")
    end_s = motion.duration_s if end_s is None else min(end_s, motion.duration_s)
    if not 0 <= start_s < end_s:
        raise MotionError(
            f"The part from {start_s:g} s to {end_s:g} s of the motion is empty.",
            f"It lasts {motion.duration_s:.2f} s: give a start from 0 and an end after it.",
        )
    first, last = round(start_s * motion.fps), round(end_s * motion.fps)
    poses = motion.poses[min(first, len(motion.poses) - 1) : max(last, first + 1) : stride]
    return replace(motion, poses=poses, fps=motion.fps / stride)


def _is_json(path: Path) -> bool:
    return path.suffix.lower() == ".json" or _begins_with(path, b"{", b"[")


def _begins_with(path: Path, *starts: bytes) -> bool:
    """Whether a file's text begins so, in capitals or not."""
    try:
        with path.open("rb") as file:
            return file.read(64).lstrip(_SPACE_AND_MARK).upper().startswith(starts)
    except OSError:  # read_video reports it
        return False


def _text(path: Path) -> str:
    try:
        if path.stat().st_size <= MAX_JSON_CHARACTERS:
            return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise MotionError(
            f"The motion {path.name!r} can't be read ({type(error).__name__}).",
            "Give pose JSON or BVH as UTF-8 text that you may read.",
        ) from error
    raise MotionError(
        f"The motion {path.name!r} is too large: at most {MAX_JSON_CHARACTERS / 1e6:.0f} MB of "
        "pose JSON or BVH are read.",
        "Cut it to a shorter passage.",
    )
