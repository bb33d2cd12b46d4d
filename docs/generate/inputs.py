"""Looks at all files of a folder, as the command line would, and writes what was understood as a table.

    python docs/generate/inputs.py FOLDER --table table.md --sheets sheets/

Each folder within FOLDER that holds nothing but numbered pose files is one motion. Contact sheets show the skeletons
over a picture, or over the first, middle and last frame of a motion.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from poseanimate.errors import PoseAnimateError
from poseanimate.events import Returning
from poseanimate.inputs.motion import iter_motion, open_motion
from poseanimate.inputs.pose_files import is_pose_source
from poseanimate.media import Video, load_picture
from poseanimate.models.input_models import load_input_models
from poseanimate.models.pose_detection import PoseDetector
from poseanimate.poses.faults import Faults, find_faults
from poseanimate.poses.motion import Motion
from poseanimate.poses.overlay import draw_over
from poseanimate.poses.skeleton import Pose, draw_pose

TILE_PX, COLUMNS = 240, 6
PICTURE_FOLDERS = ("picture", "people")
Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Row:
    """One line of the table: file, what it is, what was understood, how many joints were seen, and milliseconds."""

    name: str
    kind: str
    understood: str
    joints: str
    ms: float


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--table", type=Path, required=True, help="the table, Markdown")
    parser.add_argument("--sheets", type=Path, required=True, help="a folder for contact sheets")
    parser.add_argument("--detector", default="auto")
    options = parser.parse_args()
    detector = load_input_models("pocket", "cpu", detector=options.detector).detector
    options.sheets.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    for folder in sorted(path for path in options.folder.iterdir() if path.is_dir()):
        tiles: list[Picture] = []
        for path in _inputs(folder):
            row, pictures = _look(path, folder.name in PICTURE_FOLDERS, detector)
            rows.append(row)
            tiles += [_tile(picture, path.name) for picture in pictures]
        for number in range(0, len(tiles), COLUMNS * 6):
            sheet = _sheet(tiles[number : number + COLUMNS * 6])
            name = f"{folder.name}-{number // (COLUMNS * 6)}.png"
            cv2.imwrite(str(options.sheets / name), sheet[..., ::-1])
    options.table.write_text("\n".join(_format(rows)) + "\n", encoding="utf-8")


def _inputs(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.suffix not in (".txt", ".md") and path.stat().st_size:
            yield path


def _look(path: Path, is_picture: bool, detector: PoseDetector) -> tuple[Row, list[Picture]]:
    began = time.perf_counter()
    look: Callable[[Path, PoseDetector], tuple[str, str, str, list[Picture]]] = (
        _look_at_picture if is_picture and path.suffix != ".mp4" else _look_at_motion
    )
    try:
        kind, understood, joints, pictures = look(path, detector)
    except PoseAnimateError as error:
        kind, understood, joints, pictures = "refused", f"{error.message} {error.remedy}", "", []
    return Row(path.name, kind, understood, joints, 1000 * (time.perf_counter() - began)), pictures


def _look_at_picture(path: Path, detector: PoseDetector) -> tuple[str, str, str, list[Picture]]:
    pixels = np.asarray(load_picture(path))
    people = detector.detect(pixels)
    joints = ", ".join(str(int(pose.visible().sum())) for pose in people)
    drawn = pixels
    for pose in people:
        drawn = draw_over(drawn, pose)
    count = "nobody" if not people else "1 person" if len(people) == 1 else f"{len(people)} people"
    return "picture", f"{pixels.shape[1]}x{pixels.shape[0]}, {count}", joints, [drawn]


def _look_at_motion(path: Path, detector: PoseDetector) -> tuple[str, str, str, list[Picture]]:
    source = open_motion(path)
    steps = Returning(iter_motion(source, detector, path.name))
    for _ in steps:
        pass
    motion: Motion = steps.result
    seen = np.array([pose.visible().sum() for pose in motion.poses])
    kind = "video" if isinstance(source, Video) else "poses" if is_pose_source(path) else "motion"
    said = [f"{len(motion.poses)} frames at {motion.fps:.4g} fps, {motion.width}x{motion.height}"]
    if motion.people > 1:
        said.append(f"up to {motion.people} people")
    faults = find_faults(motion)
    said += [
        f"{name}: {value}"
        for name, value in vars(faults).items()
        if value != getattr(Faults(), name)
    ]
    said += [note.split(";")[0].rstrip(".") for note in motion.notes]
    at = sorted({0, len(motion.poses) // 2, len(motion.poses) - 1})
    pictures = [_draw(source, motion.poses[i], motion, i) for i in at]
    return kind, "; ".join(said), f"{seen.min()} to {seen.max()}, mean {seen.mean():.1f}", pictures


def _draw(source: Motion | Video, pose: Pose, motion: Motion, index: int) -> Picture:
    if isinstance(source, Video):
        return draw_over(source.frames[index], pose)
    factor = TILE_PX / max(motion.width, motion.height)
    width, height = (max(1, round(side * factor)) for side in (motion.width, motion.height))
    return draw_pose(pose.scaled(factor, factor), width, height)


def _tile(picture: Picture, name: str) -> Picture:
    height, width = picture.shape[:2]
    factor = TILE_PX / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    tile = np.full((TILE_PX + 16, TILE_PX, 3), 90, np.uint8)
    tile[16 : 16 + size[1], : size[0]] = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    cv2.putText(tile, name[:38], (2, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.35, (255, 255, 255), 1)
    return tile


def _sheet(tiles: list[Picture]) -> Picture:
    rows = [tiles[i : i + COLUMNS] for i in range(0, len(tiles), COLUMNS)]
    blank = np.zeros_like(tiles[0])
    return np.vstack([np.hstack([*row, *[blank] * (COLUMNS - len(row))]) for row in rows])


def _format(rows: list[Row]) -> Iterator[str]:
    yield "# What was understood of each file"
    yield ""
    yield "Written by `docs/generate/inputs.py`; the files stand for public reports, and aren't part of the project."
    yield "Milliseconds include reading; other work may have shared the cores."
    yield ""
    yield "| file | kind | understood | joints | ms |"
    yield "|---|---|---|---|---:|"
    for row in rows:
        yield f"| {row.name} | {row.kind} | {row.understood} | {row.joints} | {row.ms:.0f} |"


if __name__ == "__main__":
    main()
