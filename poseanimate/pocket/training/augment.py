"""Augmentation for training perception: crowds, small people, empty and degraded pictures.

Rendered pictures show one whole character on a square. Uploads show two, or a small one in a wide picture, or
none; without such samples a heat map finds a body in noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from poseanimate.pocket.training.data import RenderedSet
from poseanimate.poses.skeleton import NECK

APART = 0.22  # of the picture: distance of two people's necks in one rendered picture
SHARES = {"as it is": 0.44, "nobody": 0.12, "joined": 0.16, "reduced": 0.12, "added": 0.16}
GRIDS = {(2, 1): 0.5, (3, 1): 0.2, (2, 2): 0.2, (1, 2): 0.1}  # columns and rows of a joined picture


@dataclass(frozen=True)
class LabelledPicture:
    """picture (S, S, 3) uint8; mask (S, S) uint8; joints (people, 18, 3) float32 in pixels with confidence."""

    picture: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    joints: NDArray[np.float32]

    @property
    def people(self) -> int:
        return int((self.joints[:, :, 2] > 0).any(axis=1).sum())


def read_rendered(pictures: RenderedSet, index: int) -> LabelledPicture:
    """A picture as rendered."""
    return LabelledPicture(
        np.array(pictures.pictures[index]),
        np.array(pictures.masks[index]),
        np.array(pictures.joints[index]),
    )


def vary_picture(pictures: RenderedSet, index: int, rng: np.random.Generator) -> LabelledPicture:
    """Picture `index` as it is or augmented, with the probabilities in `SHARES`."""
    seen = read_rendered(pictures, index)
    match tuple(SHARES)[int(rng.choice(len(SHARES), p=list(SHARES.values())))]:
        case "nobody":
            return make_nobody(seen, rng)
        case "joined":
            columns, rows = tuple(GRIDS)[int(rng.choice(len(GRIDS), p=list(GRIDS.values())))]
            others = rng.integers(len(pictures.pictures), size=columns * rows - 1)
            return join_pictures(
                [seen, *(read_rendered(pictures, int(i)) for i in others)], columns
            )
        case "reduced":
            return reduce_picture(seen, rng)
        case "added":
            return add_person(seen, read_rendered(pictures, int(rng.choice(pictures.single))), rng)
    return seen


def make_nobody(seen: LabelledPicture, rng: np.random.Generator) -> LabelledPicture:
    """A picture of the same size without people: noise, clouds, shapes, or the picture's own tiles shuffled."""
    size = len(seen.picture)
    kind = rng.integers(5)
    if kind == 0:
        picture = rng.uniform(0, 256, (size, size, 3))
    elif kind == 1:
        picture = _draw_clouds(size, rng)
    elif kind == 2:
        picture = _draw_shapes(size, rng)
    elif kind == 3:
        picture = rng.uniform(0.2, 0.8) * _draw_clouds(size, rng)
        picture += rng.uniform(0.2, 0.6) * _draw_shapes(size, rng)
        picture += rng.normal(0, rng.uniform(0, 30), picture.shape)
    else:
        picture = _shuffle_tiles(seen.picture, int(rng.choice([4, 8, 16])), rng).astype(np.float64)
    empty = np.zeros_like(seen.mask)
    return LabelledPicture(
        np.clip(picture, 0, 255).astype(np.uint8), empty, np.zeros_like(seen.joints)
    )


def join_pictures(seen: list[LabelledPicture], columns: int) -> LabelledPicture:
    """Whole pictures in rows of `columns`, scaled down to the size of one; the remainder stays grey."""
    size = len(seen[0].picture)
    rows = len(seen) // columns
    side = size // max(columns, rows)
    left, top = (size - columns * side) // 2, (size - rows * side) // 2
    picture = np.full((size, size, 3), 128, np.uint8)
    mask = np.zeros((size, size), np.uint8)
    joints = []
    for number, one in enumerate(seen):
        x, y = left + number % columns * side, top + number // columns * side
        picture[y : y + side, x : x + side] = cv2.resize(
            one.picture, (side, side), interpolation=cv2.INTER_AREA
        )
        mask[y : y + side, x : x + side] = cv2.resize(
            one.mask, (side, side), interpolation=cv2.INTER_AREA
        )
        joints.append(_place_joints(one.joints, side / size, (x, y)))
    return LabelledPicture(picture, mask, np.concatenate(joints))


def reduce_picture(seen: LabelledPicture, rng: np.random.Generator) -> LabelledPicture:
    """The picture scaled down, somewhere on a plain ground or on its own stretched edges."""
    size = len(seen.picture)
    side = int(size * rng.uniform(0.45, 0.95))
    x, y = (int(v) for v in rng.integers(0, size - side + 1, 2))
    edges = (y, size - side - y, x, size - side - x)
    border = int(rng.choice([cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE]))
    small = cv2.resize(seen.picture, (side, side), interpolation=cv2.INTER_AREA)
    shade = tuple(float(v) for v in rng.integers(0, 256, 3))
    picture = cv2.copyMakeBorder(small, *edges, border, value=shade)
    mask = cv2.resize(seen.mask, (side, side), interpolation=cv2.INTER_AREA)
    mask = cv2.copyMakeBorder(mask, *edges, cv2.BORDER_CONSTANT, value=0)
    return LabelledPicture(
        np.asarray(picture, np.uint8),
        np.asarray(mask, np.uint8),
        _place_joints(seen.joints, side / size, (x, y)),
    )


def add_person(
    seen: LabelledPicture, other: LabelledPicture, rng: np.random.Generator
) -> LabelledPicture:
    """Pastes the character of another picture next to the first one, if there is room."""
    size = len(seen.picture)
    scale = rng.uniform(0.6, 1.0)
    side = int(size * scale)
    neck = _place_joints(other.joints, scale, (0.0, 0.0))[0, NECK]
    necks = seen.joints[:, NECK]
    necks = necks[necks[:, 2] > 0]
    for _ in range(8):
        x = float(rng.uniform(0.12, 0.88)) * size - neck[0]
        y = size - side + float(rng.uniform(-0.05, 0.05)) * size
        joints = _place_joints(other.joints, scale, (x, y))
        if not len(necks) or np.abs(necks[:, 0] - joints[0, NECK, 0]).min() > APART * size:
            break
    else:
        return seen
    move = np.array([[scale, 0, x], [0, scale, y]])
    pasted = cv2.warpAffine(other.picture, move, (size, size), flags=cv2.INTER_LINEAR)
    mask = cv2.warpAffine(other.mask, move, (size, size), flags=cv2.INTER_LINEAR)
    share = mask[:, :, None] / 255.0
    inside = ((joints[:, :, :2] >= 0) & (joints[:, :, :2] < size)).all(axis=2, keepdims=True)
    return LabelledPicture(
        (seen.picture * (1 - share) + pasted * share).round().astype(np.uint8),
        np.maximum(seen.mask, mask).astype(np.uint8),
        np.concatenate([seen.joints, joints * inside]),
    )


def degrade_picture(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture degraded as in videos: compressed, blurred, noisy, lighter or darker."""
    if rng.random() < 0.35:
        return picture
    if rng.random() < 0.4:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 1.1)), np.uint8)
    if rng.random() < 0.5:
        _, data = cv2.imencode(
            ".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))]
        )
        picture = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    changed = picture * rng.uniform(0.8, 1.2) + rng.uniform(-20, 20)
    if rng.random() < 0.4:
        changed = changed + rng.normal(0, rng.uniform(2, 8), picture.shape)
    return np.clip(changed, 0, 255).astype(np.uint8)


def _place_joints(
    joints: NDArray[np.float32], scale: float, at: tuple[float, float]
) -> NDArray[np.float32]:
    """The joints of a scaled and moved picture; absent ones stay zero."""
    moved = joints.copy()
    moved[:, :, :2] = joints[:, :, :2] * scale + np.array(at, np.float32)
    return moved * (joints[:, :, 2:] > 0)


def _draw_clouds(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Noise in several octaves, as in skies, leaves and walls."""
    picture = np.full((size, size, 3), rng.uniform(30, 225))
    for octave in range(1, 7):
        coarse = rng.normal(0, 1, (2**octave, 2**octave, 3))
        if rng.random() < 0.5:
            coarse[:] = coarse.mean(axis=2, keepdims=True)
        finer = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
        picture += finer * rng.uniform(0, 90) / octave
    return picture


def _draw_shapes(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Flat-coloured bars, discs and boxes on a plain ground."""
    picture = np.full((size, size, 3), rng.integers(0, 256, 3), np.uint8)
    for _ in range(int(rng.integers(0, 25))):
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        one, other = (tuple(int(v) for v in rng.integers(0, size, 2)) for _ in range(2))
        kind = rng.integers(3)
        if kind == 0:
            cv2.line(picture, one, other, colour, int(rng.integers(1, 14)), cv2.LINE_AA)
        elif kind == 1:
            cv2.circle(picture, one, int(rng.integers(2, size // 4)), colour, -1, cv2.LINE_AA)
        else:
            cv2.rectangle(picture, one, other, colour, -1)
    return picture.astype(np.float64)


def _shuffle_tiles(
    picture: NDArray[np.uint8], tile: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """The picture's square tiles in random order."""
    count = len(picture) // tile
    pieces = picture.reshape(count, tile, count, tile, 3).swapaxes(1, 2).reshape(-1, tile, tile, 3)
    pieces = rng.permutation(pieces)
    mixed = pieces.reshape(count, count, tile, tile, 3).swapaxes(1, 2)
    return np.ascontiguousarray(mixed.reshape(picture.shape))
