"""Drawn skeletons for `fuzz`."""

from __future__ import annotations

import math
from dataclasses import replace
from unittest.mock import patch

import cv2
import numpy as np
from damage import pick
from fuzz_reader import Reader, demand, demand_poses
from fuzz_seeds import make_people
from helpers.faces import with_face
from helpers.hands import hand_points
from numpy.random import Generator

from poseanimate.poses.drawn import DrawnSkeletons, is_drawn, kinds, reader
from poseanimate.poses.skeleton import COLOURS, L_ELBOW, L_WRIST, R_ELBOW, R_WRIST, Pose, draw_pose


def drawings() -> Reader:
    people = make_people()
    heights = (64, 80, 96, 128)
    seeds = [draw_thickly(pose, height) for height in heights for pose in people]
    seeds += [np.maximum(seed, np.roll(seed, 40, axis=1)) for seed in seeds[::4]]
    seeds += [np.zeros((height, height * 3 // 4, 3), np.uint8) for height in heights]
    seeds.append(_draw_surfaces())
    large = [_draw_whole(pose, number) for number, pose in enumerate(people[:2])]
    colours = np.array(COLOURS)

    def make(rng: Generator) -> np.ndarray:
        """A drawing or nothing; dots, lines and bars in the palette's colours over it; noise."""
        picture = np.array(pick(rng, seeds if rng.random() < 0.97 else large))  # these are slow
        if rng.random() < 0.3:
            height, width = (int(side) for side in rng.integers(8, picture.shape[:2]))
            picture = np.ascontiguousarray(picture[:height, :width])
        size = int(rng.integers(1, 4))
        for _ in range(int(rng.geometric(0.1))):
            colour = pick(rng, colours).tolist()
            x, y, x2, y2 = (int(value) for value in rng.integers(-9, max(picture.shape) + 9, 4))
            roll = rng.random()
            if roll < 0.5:
                cv2.circle(picture, (x, y), size, colour, -1)
            elif roll < 0.9:
                dim = [0.6 * each for each in colour]
                cv2.line(picture, (x, y), (x2, y2), dim, size)
            else:
                cv2.rectangle(picture, (x, y), (x + 3 * size, y2), colour, -1)
        if rng.random() < 0.2:
            noise = rng.normal(0, rng.integers(1, 60), picture.shape)
            picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
        return picture

    def read(picture: np.ndarray) -> None:
        figures = reader.read_figures(picture)
        with (  # both ask for the same figures, which take nearly all of the time
            patch.object(reader, "read_figures", return_value=figures),
            patch.object(kinds, "read_figures", return_value=figures),
        ):
            found = DrawnSkeletons().detect(picture)
            demand(len(found) <= 6, f"{len(found)} people")
            demand_poses(found)
            demand(isinstance(is_drawn([picture]), bool), "neither drawn nor not")

    return Reader(make, read)


def draw_thickly(pose: Pose, height: int) -> np.ndarray:
    """(height, 3/4 height, 3): the pose drawn to fill the picture, with dots that are large enough to be found."""
    drawing = cv2.dilate(draw_pose(_filling(pose, 384, 512, 16), 384, 512), np.ones((13, 13)))
    return cv2.resize(drawing, (height * 3 // 4, height), interpolation=cv2.INTER_AREA)


def _draw_whole(pose: Pose, seed: int) -> np.ndarray:
    """(360, 300, 3): the pose with a face and open hands."""
    person = with_face(_filling(pose, 300, 360, 30).body, seed, between_eyes_px=14)
    hands = []
    for elbow, wrist in ((L_ELBOW, L_WRIST), (R_ELBOW, R_WRIST)):
        across, down = person.xy[wrist] - person.xy[elbow]
        turn = math.atan2(across, -down)
        hands.append(hand_points(seed + wrist, person.xy[wrist], turn, 80, closed=0.1, tilt=0.2))
    return draw_pose(replace(person, left_hand=hands[0], right_hand=hands[1]), 300, 360)


def _filling(pose: Pose, width: int, height: int, margin: int) -> Pose:
    xy = pose.xy[pose.visible()]
    room = np.array([width, height]) - 2 * margin
    moved = pose.shifted(*-xy.min(axis=0)).scaled(*room / np.ptp(xy, axis=0))
    return moved.shifted(margin, margin)


def _draw_surfaces() -> np.ndarray:
    """(128, 96, 3): bars as DensePose colours parts of a body."""
    picture = np.zeros((128, 96, 3), np.uint8)
    parts = np.arange(8, dtype=np.uint8)[:, None] * 32 + 16
    for number, colour in enumerate(cv2.applyColorMap(parts, cv2.COLORMAP_VIRIDIS)[:, 0, ::-1]):
        picture[8 + 14 * number : 22 + 14 * number, 24:72] = colour
    return picture
