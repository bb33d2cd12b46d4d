"""The clean plate: the background where the figure stood, out of patches of the background around it.

From coarse to fine each pixel of the hole finds the place in the background whose surroundings resemble its own most,
by the randomised search of PatchMatch (Barnes et al. 2009), and takes the mean of what its neighbours' places say.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
Places = NDArray[np.int64]  # (n, 2): rows and columns

GROWN = 1 / 90  # of the longer side: how far around the mask pixels still belong to the figure
SIDES_PX = (40, 80, 160)  # longer sides of the pictures that are filled, from coarse to fine
REACH = 3  # of a patch, px
RING = 2  # px around the hole that it goes on from
ROUNDS, SEARCHES = (8, 4, 3), 2
# scenes lie in layers: what resembles a pixel's surroundings is believed less, the further above or below it is
LEVEL = (
    40.0  # levels of 255 by which a patch seems to differ for each tenth of the picture's height
)


def fill(picture: NDArray[np.uint8], mask: Plane, seed: int = 0) -> NDArray[np.uint8]:
    """A picture (H, W, 3) without the figure whose mask (H, W) in [0, 1] is given; the same for the same seed."""
    height, width = mask.shape
    grown = max(round(max(height, width) * GROWN), 2)
    hole = _grow(mask > 0.05, grown).astype(np.uint8)
    if not hole.any():
        return picture.copy()
    if hole.all():
        return np.asarray(np.full_like(picture, picture.reshape(-1, 3).mean(axis=0).round()))
    rng = np.random.default_rng(seed)
    filled: Plane | None = None
    found: tuple[Places, Places, tuple[int, ...]] | None = None
    for side, rounds in zip(SIDES_PX, ROUNDS, strict=True):
        factor = min(side / max(height, width), 1.0)
        size = (max(round(width * factor), 8), max(round(height * factor), 8))
        small, missing = _shrink(picture, hole, size)
        if filled is not None:
            before = cv2.resize(filled, size, interpolation=cv2.INTER_LINEAR)
            small = np.where(missing[..., None], before, small)
        else:
            known = small.clip(0, 255).astype(np.uint8)
            small = cv2.inpaint(known, missing.astype(np.uint8), 3, cv2.INPAINT_TELEA).astype(
                np.float32
            )
        sources = _whole_patches(missing)
        if len(sources) == 0:
            filled = small
            continue
        filled, found = _search(small, missing, sources, found, rounds, rng)
        if factor == 1.0:
            break
    assert filled is not None
    if found is not None:
        filled = _joined(filled, found)
    return _enlarge(picture, hole, filled, found, grown)


def _shrink(
    picture: NDArray[np.uint8], hole: NDArray[np.uint8], size: tuple[int, int]
) -> tuple[Plane, BoolArray]:
    """A smaller picture of what is known, and what isn't there."""
    weight = (1 - hole).astype(np.float32)
    kept = cv2.resize(picture * weight[..., None], size, interpolation=cv2.INTER_AREA)
    share = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
    return np.asarray(kept / np.maximum(share, 1e-3)[..., None], np.float32), share < 0.5


def _whole_patches(missing: BoolArray) -> Places:
    """Where patches lie that miss nothing."""
    near = _grow(missing, REACH)
    near[:REACH] = near[-REACH:] = True
    near[:, :REACH] = near[:, -REACH:] = True
    return np.argwhere(~near)


def _grow(area: BoolArray, pixels: int) -> BoolArray:
    square = np.ones((2 * pixels + 1,) * 2, np.uint8)
    return np.asarray(cv2.dilate(area.astype(np.uint8), square) > 0)


def _search(
    picture: Plane,
    missing: BoolArray,
    sources: Places,
    before: tuple[Places, Places, tuple[int, ...]] | None,
    rounds: int,
    rng: np.random.Generator,
) -> tuple[Plane, tuple[Places, Places, tuple[int, ...]]]:
    """The picture (h, w, 3) with what is missing filled in, and the places (n, 2) with those that they resemble."""
    height, width = missing.shape
    holes = np.argwhere(missing)
    number = np.full(missing.shape, -1, np.int64)
    number[missing] = np.arange(len(holes))
    allowed = np.zeros(missing.shape, bool)
    allowed[tuple(sources.T)] = True
    places = sources[rng.integers(len(sources), size=len(holes))]
    if before is not None:
        places = _finer(before, holes, missing.shape, allowed, places)
    steps = np.array([(0, 1), (1, 0), (0, -1), (-1, 0)])
    neighbours = [_number_at(number, holes + step) for step in steps]
    picture = picture.copy()
    for _ in range(rounds):
        patches = _patches(picture)
        own = patches[tuple(holes.T)]
        cost = _distance(own, patches, holes, places)
        for _ in range(SEARCHES):
            for step, neighbour in zip(steps, neighbours, strict=True):
                there = neighbour >= 0
                guess = places.copy()
                guess[there] = places[neighbour[there]] - step
                cost, places = _better(own, patches, holes, allowed, places, cost, guess)
            reach = max(height, width) / 2
            while reach >= 1:
                jump = rng.uniform(-reach, reach, size=places.shape).round().astype(np.int64)
                cost, places = _better(own, patches, holes, allowed, places, cost, places + jump)
                reach /= 3
        _vote(picture, holes, number, places)
    return picture, (holes, places, missing.shape)


def _number_at(number: Places, at: Places) -> Places:
    inside = ((at >= 0) & (at < number.shape)).all(axis=1)
    found = np.full(len(at), -1, np.int64)
    found[inside] = number[tuple(at[inside].T)]
    return found


def _patches(picture: Plane) -> Plane:
    """(h, w, m): every pixel's surroundings."""
    padded = cv2.copyMakeBorder(picture, *(REACH,) * 4, cv2.BORDER_REPLICATE)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * REACH + 1,) * 2, axis=(0, 1))
    return np.ascontiguousarray(windows.reshape(*picture.shape[:2], -1))


def _distance(own: Plane, patches: Plane, holes: Places, places: Places) -> Plane:
    unlike = np.square(own - patches[tuple(places.T)]).mean(axis=1)
    height = (places[:, 0] - holes[:, 0]) * (10 * LEVEL / patches.shape[0])
    return np.asarray(unlike + np.square(height), np.float32)


def _finer(
    before: tuple[Places, Places, tuple[int, ...]],
    holes: Places,
    shape: tuple[int, ...],
    allowed: BoolArray,
    otherwise: Places,
) -> Places:
    """The places that a coarser picture's places stand for."""
    coarse_holes, coarse_places, coarse_shape = before
    away = np.zeros((*coarse_shape, 2), np.int64)
    away[tuple(coarse_holes.T)] = coarse_places - coarse_holes
    factor = np.array(shape) / np.array(coarse_shape)
    at = np.minimum((holes / factor).astype(np.int64), np.array(coarse_shape) - 1)
    guess = holes + (away[tuple(at.T)] * factor).round().astype(np.int64)
    return np.where(_are_allowed(guess, allowed)[:, None], guess, otherwise)


def _are_allowed(guess: Places, allowed: BoolArray) -> BoolArray:
    row, column = np.clip(guess, 0, np.array(allowed.shape) - 1).T
    inside = (guess == np.column_stack([row, column])).all(axis=1)
    return np.asarray(inside & allowed[row, column])


def _better(
    own: Plane,
    patches: Plane,
    holes: Places,
    allowed: BoolArray,
    places: Places,
    cost: Plane,
    guess: Places,
) -> tuple[Plane, Places]:
    """Costs and places, with those guesses that resemble more."""
    at = np.flatnonzero(_are_allowed(guess, allowed))
    new = _distance(own[at], patches, holes[at], guess[at])
    won = new < cost[at]
    cost, places = cost.copy(), places.copy()
    cost[at[won]], places[at[won]] = new[won], guess[at[won]]
    return cost, places


def _vote(picture: Plane, holes: Places, number: Places, places: Places) -> None:
    """Sets each pixel of the hole to the mean of what its neighbours' places have there."""
    total = np.zeros((len(holes), 3), np.float32)
    count = np.zeros(len(holes), np.float32)
    for row in range(-REACH, REACH + 1):
        for column in range(-REACH, REACH + 1):
            neighbour = _number_at(number, holes + np.array([row, column]))
            there = neighbour >= 0
            at = places[neighbour[there]] - (row, column)
            total[there] += picture[tuple(at.T)]
            count[there] += 1
    picture[tuple(holes.T)] = total / count[:, None]


def _joined(filled: Plane, found: tuple[Places, Places, tuple[int, ...]]) -> Plane:
    """A filled picture whose hole goes on from its surroundings.

    Around the hole the places say what they would have put there; what is there instead differs smoothly from it, and
    that difference is spread over the hole (as in Poisson image editing, Pérez et al. 2003).
    """
    holes, places, shape = found
    missing = np.zeros(shape, np.uint8)
    missing[tuple(holes.T)] = 1
    _, labels = cv2.distanceTransformWithLabels(
        1 - missing, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    number = np.zeros(int(labels.max()) + 1, np.int64)
    number[labels[tuple(holes.T)]] = np.arange(len(holes))
    around = np.argwhere(_grow(missing > 0, RING) & (missing == 0))
    nearest = number[labels[tuple(around.T)]]
    at = np.clip(around + places[nearest] - holes[nearest], 0, np.array(shape) - 1)
    weight = np.zeros((*shape, 1), np.float32)
    unlike = np.zeros((*shape, 3), np.float32)
    weight[tuple(around.T)] = 1
    unlike[tuple(around.T)] = filled[tuple(around.T)] - filled[tuple(at.T)]
    return np.asarray(filled + _spread(unlike, weight) * missing[..., None], np.float32)


def _spread(values: Plane, weight: Plane) -> Plane:
    """Values (h, w, 3) that are known where the weight (h, w, 1) is 1, and smooth in between."""
    if min(values.shape[:2]) < 2 or weight.all():
        return values
    size = values.shape[1::-1]
    half = (size[0] // 2, size[1] // 2)
    share = _resized(weight, half, cv2.INTER_AREA)
    coarse = _resized(values * weight, half, cv2.INTER_AREA)
    coarse /= np.maximum(share, np.float32(1e-6))
    smooth = _resized(_spread(coarse, (share > 0).astype(np.float32)), size, cv2.INTER_LINEAR)
    return np.asarray(weight * values + (1 - weight) * smooth, np.float32)


def _resized(plane: Plane, size: tuple[int, int], how: int) -> Plane:
    """(h, w, c) at another width and height; a single channel stays one."""
    found = cv2.resize(plane, size, interpolation=how)
    return np.asarray(found.reshape(size[1], size[0], plane.shape[2]), np.float32)


def _enlarge(
    picture: NDArray[np.uint8],
    hole: NDArray[np.uint8],
    filled: Plane,
    found: tuple[Places, Places, tuple[int, ...]] | None,
    grown: int,
) -> NDArray[np.uint8]:
    """The picture at its own size: coarse colours as they were filled, detail from the places that were found."""
    height, width = hole.shape
    large = cv2.resize(filled, (width, height), interpolation=cv2.INTER_CUBIC)
    if found is not None and filled.shape[:2] != hole.shape:
        holes, places, _ = found
        away = np.zeros((*filled.shape[:2], 2), np.float32)
        away[tuple(holes.T)] = (places - holes)[:, ::-1]
        scale = np.array([width / filled.shape[1], height / filled.shape[0]], np.float32)
        away = cv2.resize(away, (width, height), interpolation=cv2.INTER_NEAREST) * scale
        columns, rows = np.meshgrid(
            np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
        )
        x, y = columns + away[..., 0], rows + away[..., 1]
        smooth = cv2.resize(
            cv2.resize(picture, filled.shape[1::-1], interpolation=cv2.INTER_AREA).astype(np.float32),
            (width, height), interpolation=cv2.INTER_CUBIC,
        )  # fmt: skip
        detail = cv2.remap(picture.astype(np.float32) - smooth, x, y, cv2.INTER_LINEAR)
        large = large + detail * (away != 0).any(axis=-1)[..., None]
    soft = cv2.GaussianBlur(hole.astype(np.float32), (0, 0), max(grown / 4, 0.5))
    soft = np.maximum(soft, hole)[..., None]
    return np.asarray((picture * (1 - soft) + large * soft).round().clip(0, 255), np.uint8)
