"""Rendered training sets: pictures, masks, joints and captions of a split, stored as plain arrays."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from poseanimate.pocket.body import Angles
from poseanimate.pocket.world.motions import MOTIONS
from poseanimate.pocket.world.scene import WORLD, Rendered, Scene, random_angles
from poseanimate.poses.skeleton import Pose, draw_pose

SHARE_EMPTY, SHARE_TWO = 0.04, 0.08
SHARE_CLOSE = 0.6  # of the pictures of one person
CHUNK = 500
Disc = tuple[int, int, float, float]
FACE: tuple[Disc, ...] = ((0, 1, 0.0, 0.8),)
HANDS: tuple[Disc, ...] = ((4, 3, 0.35, 0.5), (7, 6, 0.35, 0.5))
"""Discs: two joints, and in lengths of their bone how far beyond the first the middle is and its radius."""


@dataclass(frozen=True)
class RenderedSet:
    """N memory-mapped pictures of the split `name`.

    pictures (N, H, W, 3) uint8; masks (N, H, W) uint8, 255 on a character; joints (N, 2, 18, 3) float32 in pixels
    with confidence, zeros for an absent person; people (N,) the number of people; captions by index.
    """

    name: str
    pictures: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    joints: NDArray[np.float32]
    people: NDArray[np.int64]
    captions: list[str]

    @property
    def single(self) -> NDArray[np.int64]:
        """Indices of the pictures with exactly one person."""
        return np.flatnonzero(self.people == 1)

    def draw_skeletons(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Drawn skeletons (n, H, W, 3) of the first person in each picture."""
        height, width = self.pictures.shape[1:3]
        poses = (Pose(self.joints[i, 0].astype(np.float64)) for i in indices)
        return np.stack([draw_pose(pose, width, height) for pose in poses])

    def draw_details(
        self, indices: NDArray[np.int64], details: tuple[Disc, ...] = (*FACE, *HANDS)
    ) -> NDArray[np.uint8]:
        """Discs (n, H, W), 255 on each visible face and hand: small, and what people look at first."""
        discs = np.zeros((len(indices), *self.pictures.shape[1:3]), np.uint8)
        for disc, people in zip(discs, self.joints[indices].astype(np.float64), strict=True):
            for body in people:
                for end, start, ahead, reach in details:
                    if body[end, 2] and body[start, 2]:
                        bone = body[end, :2] - body[start, :2]
                        x, y = (body[end, :2] + ahead * bone).round().astype(int).tolist()
                        radius = max(round(reach * float(np.hypot(*bone))), 1)
                        cv2.circle(disc, (x, y), radius, 255, -1)
        return discs


def render_sample(
    split: str, index: int, size: int
) -> tuple[list[Rendered], str, NDArray[np.uint8]]:
    """Picture number `index`: its people (nearest first), caption and pixels."""
    scene = Scene.sample(split, index)
    rng = np.random.default_rng([index, 7])
    crowd = rng.random()
    count = 0 if crowd < SHARE_EMPTY else 2 if crowd < SHARE_EMPTY + SHARE_TWO else 1
    if count == 1:
        angles = sample_training_angles(rng)
        side, view = scene.close_up(size, rng) if rng.random() < SHARE_CLOSE else (size, None)
        rendered = scene.render(angles, side, side, view)
        return [rendered], scene.caption, rendered.picture
    canvas = scene.background(size, size)
    people = []
    places = [0.27, 0.73][:count]
    for number, x in enumerate(places):
        other = Scene.sample(split, index + number * 1_000_003)
        actor = Scene(other.doll, scene.place, scene.place_seed, other.height, x, scene.ground)
        angles = sample_training_angles(rng)
        actor.draw(canvas, angles)
        people.append((actor, angles))
    picture, mask = canvas.picture(), canvas.mask()
    rendered_people = [Rendered(picture, mask, a.pose(angles, size, size)) for a, angles in people]
    return rendered_people, scene.caption, picture


def sample_training_angles(rng: np.random.Generator) -> Angles:
    """A random pose, or one from a motion with each joint perturbed by a few degrees, sometimes mirrored."""
    if rng.random() < 0.5:
        return random_angles(rng)
    name = tuple(MOTIONS)[int(rng.integers(len(MOTIONS)))]
    angles = vars(MOTIONS[name](float(rng.random())))
    off = {n: rng.normal(0, 7) for n in angles if n not in ("turn", "lift", "travel")}
    pose = Angles(**{name: value + off.get(name, 0.0) for name, value in angles.items()})
    return pose.mirrored() if rng.random() < 0.4 else pose


def render_set(split: str, count: int, size: int, folder: Path, workers: int) -> RenderedSet:
    """Renders the first `count` pictures of a split into `folder`, or opens them if they exist."""
    target = folder / f"{split}-{WORLD}-{size}-{count}"
    if not (target / "captions.json").exists():
        target.mkdir(parents=True, exist_ok=True)
        files = _open(target, count, size, "w+")
        jobs = [(split, first, min(CHUNK, count - first), size) for first in range(0, count, CHUNK)]
        captions: list[str] = []
        with ProcessPoolExecutor(workers) as pool:
            for (_, first, number, _), chunk in zip(
                jobs, pool.map(_render_chunk, jobs), strict=True
            ):
                *arrays, names = chunk
                for file, array in zip(files, arrays, strict=True):
                    file[first : first + number] = array
                captions += names
        for file in files:
            file.flush()
        (target / "captions.json").write_text(json.dumps(captions))
    pictures, masks, joints, people = _open(target, count, size, "r")
    captions = json.loads((target / "captions.json").read_text())
    return RenderedSet(split, pictures, masks, joints, people, captions)


def _open(target: Path, count: int, size: int, mode: str) -> tuple[np.memmap, ...]:
    shapes = {
        "pictures": ((count, size, size, 3), np.uint8),
        "masks": ((count, size, size), np.uint8),
        "joints": ((count, 2, 18, 3), np.float32),
        "people": ((count,), np.int64),
    }
    return tuple(
        np.lib.format.open_memmap(target / f"{name}.npy", mode=mode, dtype=dtype, shape=shape)
        if mode == "w+"
        else np.load(target / f"{name}.npy", mmap_mode="r")
        for name, (shape, dtype) in shapes.items()
    )


def _render_chunk(job: tuple[str, int, int, int]) -> tuple[Any, ...]:
    split, first, number, size = job
    pictures = np.zeros((number, size, size, 3), np.uint8)
    masks = np.zeros((number, size, size), np.uint8)
    joints = np.zeros((number, 2, 18, 3), np.float32)
    people = np.zeros(number, np.int64)
    captions = []
    for row in range(number):
        crowd, caption, pictures[row] = render_sample(split, first + row, size)
        people[row] = len(crowd)
        for person, rendered in enumerate(crowd):
            masks[row] = (rendered.mask * 255).round()
            joints[row, person] = rendered.pose.body
        captions.append(caption)
    return pictures, masks, joints, people, captions
