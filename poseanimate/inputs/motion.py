"""Motions from presets, pose JSON, recorded motion (BVH) and videos.

Notable: `open_motion` finds whatever is wrong with a file before any model is loaded;
`iter_motion` runs the detector, one event per frame; `read_motion` does both.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

from poseanimate.errors import MotionError, VideoError
from poseanimate.events import Returning, Stage, Step
from poseanimate.inputs.follow import follow_person
from poseanimate.inputs.pose_files import (
    MAX_ENTRIES,
    begins_with,
    is_pose_source,
    read_pose_paths,
    read_pose_source,
    read_text,
)
from poseanimate.inputs.seen import SeenPeople
from poseanimate.inputs.stills import Stills, find_pictures, follow_stills, read_stills
from poseanimate.media import Video, read_video
from poseanimate.media.containers import READABLE
from poseanimate.models.pose_detection import PoseDetector
from poseanimate.poses.bvh import BVH_START
from poseanimate.poses.faults import repair
from poseanimate.poses.mocap import read_bvh
from poseanimate.poses.motion import Motion, load_preset, preset_names

STAGE = "motion"
MAX_STRIDE = 10_000  # more frames than any motion has


def open_motion(
    name_or_path: str | Path | Sequence[str | Path],
    start_s: float = 0.0,
    end_s: float | None = None,
    stride: int = 1,
    rotate: int = 0,
    fps: float | None = None,
) -> Motion | Video:
    """Read what needs no detector: a preset, pose JSON or BVH as a motion, a video as its frames.

    A preset takes precedence over a file of the same name (`./walk` is the file). The content
    decides what kind of file it is. Pose JSON may also be a folder or ZIP of one file per frame, or several files.
    A still picture is a pose to hold; several, or a folder of them, are a way from pose to pose.

    Args:
        start_s, end_s: the part to use, in seconds; end_s None uses it to the end.
        stride: use every stride-th frame.
        rotate: degrees by which to turn it clockwise: a multiple of 90.
        fps: frames per second of pose JSON or a preset; None for its own, or 12 if the file names none.

    Raises:
        MotionError: no preset and no file of this name, unusable pose JSON or BVH, an empty part, a stride or rotation
            that is none, a rate for a video.
        VideoError, PictureError: a video or picture that can't be used.
    """
    if not 1 <= stride <= MAX_STRIDE:
        raise MotionError(
            f"The stride is {stride}.", f"Give a whole number from 1 to {MAX_STRIDE}."
        )
    if rotate % 90:
        raise MotionError(f"The rotation is {rotate} degrees.", "Give 0, 90, 180 or 270.")
    names = [name_or_path] if isinstance(name_or_path, str | Path) else [*name_or_path]
    if len(names) > MAX_ENTRIES:
        raise MotionError(
            f"The motion consists of {len(names)} files, and {MAX_ENTRIES} are possible.",
            "Make a video of them, or a single file.",
        )
    pictures = [] if _is_preset(names) else find_pictures(names)
    if pictures and fps is not None:
        raise _has_a_rate(pictures[0])
    if pictures:
        return read_stills(pictures, start_s, end_s, stride, rotate)
    motion = _open_poses(names, fps)
    if motion is not None:
        return take_part(motion, find_part(motion, start_s, end_s, stride)).rotated(rotate)
    path = Path(names[0])
    if begins_with(path, BVH_START) and fps is None:  # long ones are cut before they are thinned
        motion = read_bvh(read_text(path), path.name, start_s, end_s)
        part = take_part(motion, find_part(motion, 0.0, None, stride))
        return replace(part, start_s=start_s).rotated(rotate)
    if fps is not None:
        raise _has_a_rate(path)
    try:
        return read_video(path, start_s, end_s, stride, rotate=rotate)
    except VideoError as error:
        if error.remedy != READABLE:
            raise
        also = f"{READABLE[:-1]}, or a pose file (JSON, ZIP, BVH)."
        raise VideoError(error.message, also) from error


def _is_preset(names: Sequence[str | Path]) -> bool:
    return len(names) == 1 and str(names[0]) in preset_names()


def _has_a_rate(path: Path) -> MotionError:
    return MotionError(
        f"{path.name} has a frame rate of its own.", "Leave the rate out; it is for pose JSON."
    )


def _open_poses(names: Sequence[str | Path], fps: float | None) -> Motion | None:
    """A preset, or pose JSON; None for another file."""
    if len(names) != 1:
        return read_pose_paths([Path(name) for name in names], fps)
    [name] = names
    if _is_preset(names):
        preset = load_preset(str(name))
        return preset if fps is None else replace(preset, fps=fps)
    path = Path(name)
    # unlike Path's own methods these take any name, however odd
    if not name or not (os.path.isfile(path) or os.path.isdir(path)):
        if path.name == str(name) and not path.suffix and not os.path.exists(path):
            load_preset(path.name)  # raises: its message lists the presets
        raise MotionError(
            f"There is no motion at {path}.",
            "Give a video, a pose JSON file, or a preset's name (`motions` lists them).",
        )
    return read_pose_source(path, fps) if is_pose_source(path) else None


def iter_motion(
    source: Motion | Video,
    detector: PoseDetector,
    name: str,
    repaired: bool = False,
    seen: SeenPeople | None = None,
) -> Generator[Stage | Step, None, Motion]:
    """Yield one step per frame of a video or per still picture; return the motion.

    Args:
        name: of the motion, if it comes from a video.
        repaired: whether to correct faults of its detector; see `poses.faults.repair`.
        seen: what was found in frames of videos before; the detector looks at others alone.

    Raises:
        NoCharacterError: nobody is in any frame, or in one of some still pictures.
        MotionError: poses are drawn in a form that can't be read.
    """
    if isinstance(source, Motion):
        return repair(source) if repaired else source
    if isinstance(source, Stills):
        total, follow = len(source.pictures), follow_stills(source, detector, name, seen)
    else:
        total, follow = len(source.frames), follow_person(source, detector, name, seen)
    yield Stage(STAGE, total)
    poses = Returning(follow)
    for index, _ in enumerate(poses, start=1):
        yield Step(STAGE, index, total)
    return repair(poses.result) if repaired else poses.result


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


def find_part(motion: Motion, start_s: float, end_s: float | None, stride: int) -> slice:
    """Every stride-th pose from start_s up to end_s.

    Raises:
        MotionError: the part is empty.
    """
    end_s = motion.duration_s if end_s is None else min(end_s, motion.duration_s)
    if not 0 <= start_s < end_s:
        raise MotionError(
            f"The part from {start_s:g} s to {end_s:g} s of the motion is empty.",
            f"It lasts {motion.duration_s:.2f} s: give a start from 0 and an end after it.",
        )
    first, last = round(start_s * motion.fps), round(end_s * motion.fps)
    first = min(first, len(motion.poses) - 1)
    return slice(first, max(last, first + 1), stride)


def take_part(motion: Motion, part: slice) -> Motion:
    """The poses of a part; the rate falls with its stride."""
    return replace(
        motion,
        poses=motion.poses[part],
        fps=motion.fps / part.step,
        start_s=part.start / motion.fps,
    )
