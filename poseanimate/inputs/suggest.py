"""A first prompt, from the colours around a character's joints."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2lab

from poseanimate.inputs.character import Character
from poseanimate.poses.skeleton import Pose

COLOURS = {  # the basic colour terms, as clothes in pictures have them
    "red": (205, 45, 50), "orange": (240, 140, 40), "yellow": (245, 215, 70), "green": (60, 150, 75),
    "blue": (50, 100, 200), "purple": (130, 80, 180), "pink": (240, 150, 185), "brown": (120, 80, 50),
    "black": (40, 40, 45), "gray": (135, 135, 140), "white": (245, 245, 242),
}  # fmt: skip
NECK, HIPS, KNEES, ANKLES = 1, (8, 11), (9, 12), (10, 13)
RADIUS_PX = 1
MIN_PLACES = 2


def suggest_prompt(character: Character, noun: str = "person") -> str:
    """What the character wears, as far as it is visible: 'a person in a red shirt, blue trousers and white shoes'."""
    pose = character.pose
    worn = [
        ("{a} {colour} shirt", [(NECK, hip, at) for hip in HIPS for at in (0.3, 0.5, 0.7)]),
        (
            "{colour} trousers",
            [(hip, knee, at) for hip, knee in zip(HIPS, KNEES, strict=True) for at in (0.3, 0.5)],
        ),
        ("{colour} shoes", [(ankle, ankle, 0.0) for ankle in ANKLES]),
    ]
    parts = []
    for words, places in worn:
        colour = _colour(character.picture, pose, places)
        if colour:
            parts.append(words.format(a="an" if colour[0] in "aeiou" else "a", colour=colour))
    if not parts:
        return f"a {noun}"
    last = parts.pop()
    return f"a {noun} in {' and '.join([', '.join(parts), last] if parts else [last])}"


def _colour(
    picture: NDArray[np.uint8], pose: Pose, places: list[tuple[int, int, float]]
) -> str | None:
    """Name of the median colour around places between two joints each; None where too few are seen."""
    height, width = picture.shape[:2]
    seen, patches = pose.visible(), []
    for start, end, at in places:
        x, y = pose.xy[start] + (pose.xy[end] - pose.xy[start]) * at
        if seen[start] and seen[end] and 0 <= x < width and 0 <= y < height:
            row, column = max(int(y) - RADIUS_PX, 0), max(int(x) - RADIUS_PX, 0)
            patch = picture[row : int(y) + RADIUS_PX + 1, column : int(x) + RADIUS_PX + 1]
            patches.append(patch.reshape(-1, 3))
    if len(patches) < MIN_PLACES:
        return None
    median = np.median(np.concatenate(patches), axis=0)
    lab = rgb2lab(np.array([median, *COLOURS.values()]) / 255)
    return list(COLOURS)[int(np.linalg.norm(lab[1:] - lab[0], axis=1).argmin())]
