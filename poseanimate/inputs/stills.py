"""Still pictures as a motion: one is a pose to reach and hold, several are a way from pose to pose."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from poseanimate.errors import MotionError
from poseanimate.events import Returning
from poseanimate.inputs.follow import follow_person
from poseanimate.inputs.pose_files import JSON_SUFFIXES, MAX_ENTRIES
from poseanimate.inputs.seen import SeenPeople
from poseanimate.media import (
    PICTURE_SUFFIXES,
    Frame,
    Video,
    VideoLimits,
    is_still,
    load_picture,
)
from poseanimate.models.pose_detection import PoseDetector
from poseanimate.poses.motion import Motion
from poseanimate.poses.pata.track import read_track
from poseanimate.poses.pata.transition import build_transition
from poseanimate.poses.skeleton import Pose

STILL_FPS = 12
HOLD_S = 1.0
WAY_FRAMES = 12  # from one picture's pose to the next
MAX_PICTURES = 16


@dataclass(frozen=True, eq=False)
class Stills(Video):
    """A video that shows the nearest of some pictures in each frame.

    pictures: of one size; names: of their files; steps: for each frame, how far it is on the way, in frames at
    `STILL_FPS` from the first picture.
    """

    pictures: list[Frame] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)


def find_pictures(names: Sequence[str | Path]) -> list[Path]:
    """The still pictures that were named: files, or a folder of pictures in the order of their names' numbers.

    Returns:
        None of them where other files were named, or a folder with pose JSON.

    Raises:
        MotionError: pictures and other files together.
    """
    paths = [Path(name) for name in names]
    if len(paths) == 1 and os.path.isdir(paths[0]):
        return _of_folder(paths[0])
    pictures = [path for path in paths if os.path.isfile(path) and is_still(path)]
    if pictures and len(pictures) < len(paths):
        other = next(path for path in paths if path not in pictures)
        raise MotionError(
            f"{pictures[0].name} is a still picture and {other.name} is none.",
            "Give a motion of still pictures only, or of pose JSON only.",
        )
    return pictures


def _of_folder(folder: Path) -> list[Path]:
    """The pictures in a folder that has neither pose JSON nor too many files, by their numbers."""
    found: list[Path] = []
    try:
        with os.scandir(folder) as entries:
            for count, entry in enumerate(entries):
                suffix = os.path.splitext(entry.name)[1].lower()
                hidden = entry.name.startswith(".")
                if count >= MAX_ENTRIES or (suffix in JSON_SUFFIXES and not hidden):
                    return []
                if suffix in PICTURE_SUFFIXES and not hidden and entry.is_file():
                    found.append(Path(entry.path))
    except OSError:  # whoever reads it reports it
        return []
    return sorted(found, key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    """A key that puts 2.png before 10.png."""
    pieces = re.findall(r"(\d{1,15})|(\D+)", path.name.lower())
    return [(int(number) if number else -1, word) for number, word in pieces]


def read_stills(
    paths: Sequence[Path],
    start_s: float = 0.0,
    end_s: float | None = None,
    stride: int = 1,
    rotate: int = 0,
) -> Stills:
    """Pictures as a video: a second from each to the next; the last one stays for a second or until end_s.

    Later pictures are fitted into the first one's size, with black at the sides.

    Args:
        start_s, end_s: the part to use, in seconds.
        stride: divides the rate, as of a video; from 1.
        rotate: degrees by which to turn them clockwise: a multiple of 90.

    Raises:
        MotionError: the part is empty or too long, or there are too many pictures.
        PictureError: see `load_picture`.
    """
    if len(paths) > MAX_PICTURES:
        raise MotionError(
            f"There are {len(paths)} still pictures, and {MAX_PICTURES} are possible.",
            "Choose those where the motion turns, or make a video of them.",
        )
    limits = VideoLimits()
    last = (len(paths) - 1) * WAY_FRAMES
    end_s = max(start_s, last / STILL_FPS) + HOLD_S if end_s is None else end_s
    seconds = end_s - start_s
    if start_s < 0 or not 0 < seconds <= limits.max_seconds / 2:
        what = "A still picture" if len(paths) == 1 else "The last still picture"
        raise MotionError(
            f"{what} can't be held for {seconds:g} s.",
            f"Give a start from 0 and an end up to {limits.max_seconds / 2:g} s after it.",
        )
    pictures: list[Frame] = []
    for path in paths:
        picture = load_picture(path)
        picture.thumbnail((limits.max_side_px, limits.max_side_px))
        frame = np.rot90(np.asarray(picture), -rotate // 90).copy()
        pictures.append(_fitted(frame, *pictures[0].shape[:2]) if pictures else frame)
    first = round(start_s * STILL_FPS)
    count = max(1, round(seconds * STILL_FPS / stride))
    steps = [min(first + stride * k, last) for k in range(count)]
    return Stills(
        [pictures[round(step / WAY_FRAMES)] for step in steps],
        STILL_FPS / stride,
        start_s,
        rotate,
        pictures,
        [path.name for path in paths],
        steps,
    )


def _fitted(frame: Frame, height: int, width: int) -> Frame:
    if frame.shape[:2] == (height, width):
        return frame
    factor = min(height / frame.shape[0], width / frame.shape[1])
    size = [max(1, round(factor * side)) for side in frame.shape[1::-1]]
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    fitted = np.zeros((height, width, 3), np.uint8)
    fitted[top : top + size[1], left : left + size[0]] = cv2.resize(
        frame, (size[0], size[1]), interpolation=way
    )
    return fitted


def follow_stills(
    source: Stills, detector: PoseDetector, name: str, seen: SeenPeople | None = None
) -> Generator[Pose, None, Motion]:
    """Yield each picture's largest person; return the motion from one to the next.

    Limbs turn on arcs and rest at each pose, as in the transition from the character's own. What only one of two
    pictures shows fades.

    Raises:
        NoCharacterError: nobody is in one of the pictures.
        MotionError: poses are drawn in a form that can't be read.
    """
    found: list[Motion] = []
    for picture, file in zip(source.pictures, source.names, strict=True):
        video = Video([picture], STILL_FPS, rotate=source.rotate)
        follow = Returning(follow_person(video, detector, file, seen))
        yield from follow
        found.append(follow.result)
    way = [found[0].poses[0]]
    for start, end in pairwise(found):
        a, b = (read_track(each.poses, each.width, each.height) for each in (start, end))
        way += [*build_transition(a, b, WAY_FRAMES - 1), end.poses[0]]
    return replace(
        found[0],
        poses=tuple(way[step] for step in source.steps),
        fps=source.fps,
        name=name,
        people=max(each.people for each in found),
        notes=tuple(dict.fromkeys(note for each in found for note in each.notes)),
        start_s=source.start_s,
        rotate=source.rotate,
    )
