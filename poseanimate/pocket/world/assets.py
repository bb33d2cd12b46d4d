"""Writes the files that come with the program: preset motions, example characters and videos.

    python -m poseanimate.pocket.world.assets [FOLDER]

Everything is rendered, so the files are the same on every machine.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from poseanimate.media import write_clip
from poseanimate.pocket.body import Angles
from poseanimate.pocket.world.motions import (
    AVERAGE,
    FPS,
    MOTIONS,
    loop_frames,
    sample_motion,
    sample_poses,
)
from poseanimate.pocket.world.scene import Scene
from poseanimate.poses.motion import Motion
from poseanimate.poses.skeleton import Pose, draw_pose

REPOSITORY = Path(__file__).resolve().parents[3]

PRESET_SIDE_PX, PRESET_HEIGHT, PRESET_GROUND = 512, 0.7, 0.9
THUMBNAIL_SIDE_PX, THUMBNAIL_MARGIN, THUMBNAIL_PEN_PX = 96, 0.08, 9
DRAWING_SIDE_PX = 6 * THUMBNAIL_SIDE_PX
CHARACTER_SIDE_PX, VIDEO_SIDE_PX = 512, 256

CHARACTERS: dict[str, tuple[str, int]] = {
    "beach-girl": ("held-out", 291),  # with a hat
    "park-girl": ("held-out", 199),  # at the edge
    "room-boy": ("held-out", 30),
    "snow-boy": ("held-out", 118),  # with a letter
    "street-boy": ("held-out", 191),  # small, in a wide scene
    "street-girl": ("held-out", 384),  # in a skirt
}
"""File name: split and index of the scene. None of them looks like anyone in the training pictures."""
WIDTHS_PX = {"street-boy": 768}
"""Of examples that are not square."""

VIDEOS: dict[str, tuple[str, tuple[str, int]]] = {
    "room-girl-wave": ("wave", ("validation", 243)),
    "snow-boy-jumping-jacks": ("jumping-jacks", ("validation", 263)),
    "street-boy-dance-disco": ("dance-disco", ("validation", 270)),
}
"""File name: motion, then split and index of the scene."""


def make_preset(name: str) -> Motion:
    """One loop of a motion, performed by an average doll at the centre of a square canvas."""
    someone = Scene.sample("train", 0)
    average = replace(
        someone,
        doll=replace(someone.doll, proportions=AVERAGE),
        height=PRESET_HEIGHT,
        x=0.5,
        ground=PRESET_GROUND,
    )
    loop = sample_poses(average, name, loop_frames(name), PRESET_SIDE_PX, PRESET_SIDE_PX)
    rounded = tuple(Pose(pose.body.round(2)) for pose in loop)
    return Motion(rounded, PRESET_SIDE_PX, PRESET_SIDE_PX, float(FPS), name)


def draw_thumbnail(motion: Motion) -> list[NDArray[np.uint8]]:
    """The motion's skeletons, bold on black, (96, 96, 3) uint8 RGB each."""
    seen = np.concatenate([pose.xy[pose.visible()] for pose in motion.poses])
    low, high = seen.min(axis=0), seen.max(axis=0)
    side = (1 + 2 * THUMBNAIL_MARGIN) * float((high - low).max())
    left, top = (low + high - side) / 2
    scale, pen = DRAWING_SIDE_PX / side, np.ones((THUMBNAIL_PEN_PX, THUMBNAIL_PEN_PX), np.uint8)
    pictures = []
    for pose in motion.poses:
        placed = pose.shifted(-left, -top).scaled(scale, scale)
        bold = cv2.dilate(draw_pose(placed, DRAWING_SIDE_PX, DRAWING_SIDE_PX), pen)
        small = cv2.resize(bold, (THUMBNAIL_SIDE_PX,) * 2, interpolation=cv2.INTER_AREA)
        pictures.append(np.asarray(small, np.uint8))
    return pictures


def render_character(name: str) -> NDArray[np.uint8]:
    """The picture of one of `CHARACTERS`, 512 px high, uint8 RGB."""
    width = WIDTHS_PX.get(name, CHARACTER_SIDE_PX)
    return Scene.sample(*CHARACTERS[name]).render(Angles(), width, CHARACTER_SIDE_PX).picture


def render_video(name: str) -> list[NDArray[np.uint8]]:
    """The frames of one of `VIDEOS`, (256, 256, 3) uint8 RGB each."""
    motion, (split, index) = VIDEOS[name]
    scene, side = Scene.sample(split, index), VIDEO_SIDE_PX
    return [
        scene.render(angles, side, side).picture
        for angles in sample_motion(motion, loop_frames(motion))
    ]


def write_all(folder: Path) -> Iterator[Path]:
    """Writes every file below `folder` and yields its path."""
    motions, characters, videos = (
        folder / "presets" / "motions",
        folder / "examples" / "characters",
        folder / "examples" / "videos",
    )
    for place in (motions, characters, videos):
        place.mkdir(parents=True, exist_ok=True)
    for name in MOTIONS:
        motion = make_preset(name)
        path = motions / f"{name}.json"
        path.write_text(motion.to_json() + "\n", encoding="utf-8")
        yield path
        write_clip(draw_thumbnail(motion), path.with_suffix(".gif"), FPS)
        yield path.with_suffix(".gif")
    for name, scene in CHARACTERS.items():
        path = characters / f"{name}.png"
        Image.fromarray(render_character(name)).save(path, optimize=True)
        yield path
        caption = Scene.sample(*scene).caption
        path.with_suffix(".txt").write_text(caption + "\n", encoding="utf-8")
        yield path.with_suffix(".txt")
    for name in VIDEOS:
        path = videos / f"{name}.mp4"
        write_clip(render_video(name), path, FPS)
        yield path


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=REPOSITORY)
    for path in write_all(parser.parse_args().folder):
        print(f"{path.stat().st_size:8d}  {path}")


if __name__ == "__main__":
    main()
