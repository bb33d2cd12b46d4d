"""Whether a picture shows the right character: colours, garments, the letter on the shirt.

Pictures are (H, W, 3) uint8 RGB.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2lab

from poseanimate.media.similarity import Picture
from poseanimate.pocket.world.doll import CLOTH, Doll
from poseanimate.poses.skeleton import Pose

MIN_LETTER_PX = 24  # to tell letters apart; fewer are left where an arm covers them
MIN_CLOTH_PX = 5  # to tell the colour of a garment
# RGB distance from two colours' blends beyond which a pixel is evidence of neither
BLEND_RANGE = 40.0


def identity_error(made: Picture, truth: Picture, pose: Pose, radius: int = 2) -> float:
    """Mean colour difference (CIE 1976 ΔE) from the truth on the parts that identify a character; NaN if none is seen.

    Face, top, bottom and shoes: the median colour of places around the true joints.
    """
    places = [
        pose.body[0, :2],
        *(place for hip in (8, 11) for place in _between(pose, 1, hip, 0.25, 0.5, 0.75)),
        *(place for hip in (8, 11) for place in _between(pose, hip, hip + 1, 0.2, 0.5)),
        *(pose.body[ankle, :2] for ankle in (10, 13)),
    ]
    height, width = truth.shape[:2]
    seen = [p for p in places if 0 < p[0] < width and 0 < p[1] < height]
    if not seen:
        return float("nan")
    pairs = [[_median(picture, place, radius) for picture in (made, truth)] for place in seen]
    lab = rgb2lab(np.array(pairs, np.float64) / 255)
    return float(np.linalg.norm(lab[:, 0] - lab[:, 1], axis=1).mean())


def garments_are_right(
    picture: Picture, true: Picture, dyed: Mapping[str, Picture], doll: Doll
) -> bool:
    """Whether shirt and trousers, shorts or skirt have the colours that the caption names.

    Most of the pixels that show the garment in the true picture must be nearest to the named cloth colour. A patterned
    shirt, whose thin stripes blend, must have the one colour that explains them best together with its pattern's. Not
    right where too little of either garment is visible.

    Args:
        picture: the picture to check.
        true: the picture as it was rendered.
        dyed: the same rendered with another colour of "top", "trim" and "bottom" (`Scene.dyed`).
        doll: who is in it.
    """
    top = find_difference(true, dyed["top"]) | find_difference(true, dyed["trim"])
    bottom = find_difference(true, dyed["bottom"])
    if min(top.sum(), bottom.sum()) < MIN_CLOTH_PX:
        return False
    shirt, legs = (picture[where].astype(np.float64) for where in (top, bottom))
    found = (
        _cloth_name(shirt)
        if doll.top_pattern == "plain"
        else _cloth_name_beside(shirt, doll.trim_colour)
    )
    return (found, _cloth_name(legs)) == (doll.top_colour, doll.bottom_colour)


def find_difference(one: Picture, other: Picture) -> NDArray[np.bool_]:
    """Where two pictures differ by more than half of their largest difference: edges, which blend, left out."""
    difference = np.abs(one.astype(np.float64) - other).sum(axis=2)
    return difference > max(difference.max() / 2, 1.0)


def letter_is_right(picture: Picture, true: Picture, relettered: Sequence[Picture]) -> bool | None:
    """Whether a picture is nearer to the true one than to those with another letter or none.

    Compared where these differ; None if too few of those pixels are visible.
    """
    differs = np.any([(other != true).any(axis=2) for other in relettered], axis=0)
    if differs.sum() < MIN_LETTER_PX:
        return None
    seen = picture[differs].astype(np.float64)
    error, *others = (np.square(seen - p[differs]).sum() for p in (true, *relettered))
    return bool(error < min(others))


def _between(pose: Pose, start: int, end: int, *shares: float) -> list[NDArray[np.float64]]:
    """Places between two joints; none if either is outside the picture."""
    if not pose.visible()[[start, end]].all():
        return []
    one, other = pose.xy[start], pose.xy[end]
    return [one + (other - one) * share for share in shares]


def _patch(picture: Picture, place: NDArray[np.float64], radius: int) -> NDArray[np.float64]:
    """(pixels, 3) around a place, kept inside the picture."""
    (row, column), sides = (round(float(c)) for c in place[::-1]), picture.shape[:2]
    row, column = (
        int(np.clip(c, radius, side - 1 - radius))
        for c, side in zip((row, column), sides, strict=True)
    )
    square = picture[row - radius : row + radius + 1, column - radius : column + radius + 1]
    return square.reshape(-1, 3).astype(np.float64)


def _median(picture: Picture, place: NDArray[np.float64], radius: int) -> NDArray[np.float64]:
    return np.asarray(np.median(_patch(picture, place, radius), axis=0))


def _cloth_name(pixels: NDArray[np.float64]) -> str:
    """The cloth colour that most pixels are nearest to."""
    palette = np.array(list(CLOTH.values()), np.float64)
    nearest = np.linalg.norm(pixels[:, None] - palette, axis=2).argmin(axis=1)
    return list(CLOTH)[int(np.bincount(nearest).argmax())]


def _cloth_name_beside(pixels: NDArray[np.float64], pattern: str) -> str:
    """The cloth colour whose blends with the pattern's lie nearest to the pixels, in RGB."""
    end = np.array(CLOTH[pattern], np.float64)

    def distance(name: str) -> float:
        along = np.array(CLOTH[name], np.float64) - end
        share = np.clip((pixels - end) @ along / (along @ along), 0, 1)
        off = np.linalg.norm(pixels - end - share[:, None] * along, axis=1)
        return float(np.minimum(off, BLEND_RANGE).mean())

    return min((name for name in CLOTH if name != pattern), key=distance)
