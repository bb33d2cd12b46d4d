"""Hands as OpenPose and DWPose draw them: blue dots at 21 joints, joined by thin lines in twenty hues.

The dots overlap and cover most lines, so a finger is read as far as one way through the dots is clearly better than
every other. What is not clear stays missing, and so does a hand of which little is clear: fists, small and blurred
ones.
"""

from __future__ import annotations

import math
from itertools import pairwise

import cv2
import numpy as np

from poseanimate.poses.drawn.palette import find_hues
from poseanimate.poses.skeleton import (
    HAND_LIMBS,
    HAND_POINTS,
    L_ELBOW,
    L_SHOULDER,
    L_WRIST,
    R_ELBOW,
    R_SHOULDER,
    R_WRIST,
    BoolArray,
    ByteArray,
    FloatArray,
)

Hand = FloatArray | None

_FINGERS, _LINKS = 5, 4
_MAX_DOTS = 23
_MAX_FOUND = 3 * _MAX_DOTS  # before those that others cover are left out
_MAX_RADIUS_PX = 12  # OpenPose's dots have 4
_MIN_FILL = 0.8  # of a dot that must be blue
_BLUE = (
    60.0,
    50.0,
)  # by which blue exceeds the other colours where a dot begins, and the rest of its edge
_BLUE_PIXEL = 0.6  # of its edge
_MIN_EXCESS = 190  # in the middle; the body's other blue joints have 170
_SAME_DOT = 0.7  # times the radius: nearer ones are one
_MIN_CHROMA = 130
_SAMPLES = 32
_CONTRARY = 2.0  # a pixel that is not of the line counts against so many that are
_CROSSED = 1.0  # likewise, where it is of another line that is drawn later
_FRINGE_PX = 1.0  # around dots, where compression mixes colours
_PASSED = 1.0  # times the radius, for every other dot on the way
_PER_PX = 0.15  # of length: the shorter of two ways that cannot be seen
_PER_DOT = 1.0  # times the radius: what a joint more is worth
_PER_BEND = 0.4  # times the radius, from straight (0) to back (2)
_CLEAR = 0.6  # times the radius: how much worse every other way must be
_MIN_LINE_PX = 1.5  # of a finger's first line that must be seen
_MIN_LINK_PX = 1.5  # of another line
_APART = 1.3  # times a hidden line's length: how far all other dots must be from its ends
_TOUCHING = 2.3  # times the radius, between two dots
_STRAIGHT = 0.5  # cosine of the largest turn of a finger between two links; fists can't be read
_LAST_PX = 3.5  # of a line before the dot where it ends: they must be seen
_MIN_OPEN = 0.5  # of a line between its dots: what no other dot hides
_BLUE_LINES = (13, 14)  # nearly as blue as the dots
_BLUE_WEIGHT = 0.35  # of a pixel that may belong to a dot
_BLUE_LINE = 13  # stands for both
_MIN_FINGERS = 4
_MIN_POINTS = 12
_REACH = 1.2  # of the arm's longer bone
_MIN_REACH = 16.0  # times the radius, where the arm points at the camera
_ROOT_REACH = 0.4


def read_hands(picture: ByteArray, body: FloatArray, radius: float) -> tuple[Hand, Hand]:
    """The left and the right hand (21, 3) of a body (18, 3) in RGB (H, W, 3); None where one can't be read.

    Args:
        radius: of the dots in pixels.
    """
    radius = max(
        radius, round(radius + 0.5)
    )  # compression eats the edges of the joints' bright colours
    left = _read_hand(picture, body, (L_SHOULDER, L_ELBOW, L_WRIST), radius)
    right = _read_hand(picture, body, (R_SHOULDER, R_ELBOW, R_WRIST), radius)
    if left is not None and right is not None and np.hypot(*(left - right)[0, :2]) < 2 * radius:
        return None, None  # one hand near both wrists
    return left, right


def _read_hand(
    picture: ByteArray, body: FloatArray, arm: tuple[int, int, int], radius: float
) -> Hand:
    """The hand at the end of an arm (shoulder, elbow, wrist)."""
    wrist = arm[2]
    if not body[wrist, 2]:
        return None
    at = body[wrist, :2]
    drawn = [pair for pair in pairwise(arm) if body[list(pair), 2].all()]
    bone = max((float(np.hypot(*(body[a, :2] - body[b, :2]))) for a, b in drawn), default=0.0)
    reach = math.ceil(max(_REACH * bone, _MIN_REACH * radius) + 2 * radius)
    low = np.maximum(at - reach, 0).astype(int)
    part = picture[low[1] : int(at[1]) + reach + 1, low[0] : int(at[0]) + reach + 1]
    if not part.size:
        return None
    dots = _find_dots(part, radius)
    if len(dots) < _MIN_POINTS:
        return None
    nearest = np.argsort(np.hypot(*(dots - (at - low)).T), kind="stable")[:_MAX_DOTS]
    lines = _Lines(part, dots[nearest], at - low, radius)
    root = lines.find_root(at - low, max(_ROOT_REACH * bone, 4 * radius))
    if root is None:
        return None
    hand = np.zeros((HAND_POINTS, 3))
    hand[0] = [*lines.dots[root], 1.0]
    for finger, chain in _read_fingers(lines, root).items():
        for link, dot in enumerate(chain):
            hand[1 + _LINKS * finger + link] = [*lines.dots[dot], 1.0]
    seen = hand[:, 2] > 0
    if seen[1::_LINKS].sum() < _MIN_FINGERS or seen.sum() < _MIN_POINTS:
        return None
    hand[seen, :2] += low
    return hand


def _find_dots(part: ByteArray, radius: float) -> FloatArray:
    """(n, 2): where a whole blue dot fits, without those that others cover."""
    colours = part.astype(np.float32)
    excess = colours[..., 2] - colours[..., :2].max(axis=2)
    blue = ((excess - _BLUE[0]) / _BLUE[1]).clip(0, 1)
    size = round(radius)
    disc = np.zeros((2 * size + 1, 2 * size + 1), np.float32)
    cv2.circle(disc, (size, size), size, 1.0, -1)
    fill = cv2.filter2D(blue, -1, disc / disc.sum(), borderType=cv2.BORDER_CONSTANT)
    top = (fill >= _MIN_FILL) & (fill >= cv2.dilate(fill, np.ones((3, 3), np.uint8)) - 1e-4)
    count, _, _, centres = cv2.connectedComponentsWithStats(top.astype(np.uint8), connectivity=8)
    some = np.count_nonzero(blue >= _BLUE_PIXEL) <= _MAX_FOUND * math.pi * radius**2
    if not (1 < count <= _MAX_FOUND and some):
        return np.zeros((0, 2))
    found = centres[1:]
    columns, rows = found.round().astype(int).T
    of_hands = excess[rows, columns] >= _MIN_EXCESS
    found, strength = found[of_hands], fill[rows, columns][of_hands]
    rows, columns = np.nonzero(blue >= _BLUE_PIXEL)
    pixels = np.column_stack([columns, rows])
    covers = np.hypot(*(pixels[None] - found[:, None]).transpose(2, 0, 1)) <= radius + 0.5
    times = covers.sum(axis=0)
    kept = np.ones(len(found), bool)
    for k in np.argsort(strength, kind="stable"):
        own = covers[k]
        kept[k] = False
        rivals = np.hypot(*(found[kept] - found[k]).T).min(initial=np.inf)
        kept[k] = rivals > _SAME_DOT * radius and not (own.any() and (times[own] >= 2).all())
        if not kept[k]:
            times -= own
    return np.asarray(found[kept])


class _Lines:
    """What is seen between dots of a hand, as pixels of each line's colour.

    seen: (20, n, n): for every line of the hand and two dots, the pixels of its colour between them. support: those
    less the pixels that are not. proven: whether the line ends at both dots. length: (n, n), in pixels.
    """

    def __init__(self, part: ByteArray, dots: FloatArray, wrist: FloatArray, radius: float) -> None:
        self.dots, self.radius = dots, radius
        hidden, fringe = np.zeros((2, *part.shape[:2]), np.uint8)
        for x, y in [*dots, wrist]:
            cv2.circle(hidden, (round(x), round(y)), round(radius), 1, -1)
            cv2.circle(fringe, (round(x), round(y)), round(radius + _FRINGE_PX), 1, -1)
        kind = _line_colours(part)
        hidden[(kind == _BLUE_LINE) & ((fringe > 0) | _is_thick(kind == _BLUE_LINE))] = 1
        steps = (np.arange(_SAMPLES) + 0.5) / _SAMPLES
        way = dots[:, None, None] * (1 - steps[:, None]) + dots[None, :, None] * steps[:, None]
        columns, rows = way.round().astype(int).transpose(3, 0, 1, 2)
        columns, rows = columns.clip(0, part.shape[1] - 1), rows.clip(0, part.shape[0] - 1)
        shown = hidden[rows, columns] == 0
        clean = shown & (fringe[rows, columns] == 0)
        under = kind[rows, columns]
        self.length = np.hypot(*(dots[:, None] - dots[None]).transpose(2, 0, 1))
        px = self.length / _SAMPLES
        passed = _count_passed(dots, self.length, radius)
        self.seen = np.zeros((len(HAND_LIMBS), len(dots), len(dots)))
        self.support = np.zeros_like(self.seen)
        touched = np.zeros(self.seen.shape, bool)
        before = (self.length[..., None] * (1 - steps)) < radius + _LAST_PX
        for i in range(len(HAND_LIMBS)):
            same = kind == (_BLUE_LINE if i in _BLUE_LINES else i)
            near = cv2.dilate(same.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
            own = shown & near[rows, columns]
            weight = np.where(under <= i, _CONTRARY, _CROSSED)  # later lines may lie over this one
            wrong = (weight * (clean & ~own)).sum(axis=2)
            self.seen[i] = own.sum(axis=2) * px * (_BLUE_WEIGHT if i in _BLUE_LINES else 1.0)
            touched[i] = (own & before).any(axis=2)
            self.support[i] = self.seen[i] - wrong * px - _PASSED * radius * passed
        open_px = shown.sum(axis=2) * px
        bare = (passed == 0) & (open_px >= _MIN_OPEN * (self.length - 2 * radius))
        self.proven = (self.seen >= _MIN_LINK_PX) & (self.support > 0) & bare & touched

    def are_neighbours(self, a: int, b: int, others: list[int]) -> bool:
        """Whether two dots touch and no other is as near to them."""
        near = self.length[[a, b]][:, others].min(initial=np.inf)
        return bool(self.length[a, b] <= min(_TOUCHING * self.radius, near / _APART))

    def is_straight(self, a: int, b: int, c: int) -> bool:
        """Whether the way from a over b to c turns little."""
        first, second = self.dots[b] - self.dots[a], self.dots[c] - self.dots[b]
        return bool(first @ second >= _STRAIGHT * np.hypot(*first) * np.hypot(*second))

    def ends_at(self, a: int, b: int) -> bool:
        """Whether no dot that touches b is where a line from a would go on."""
        ahead = (self.dots[b] - self.dots[a]) / max(float(self.length[a, b]), 1e-6)
        beyond = self.dots - self.dots[b]
        along, aside = beyond @ ahead, np.abs(beyond @ (-ahead[1], ahead[0]))
        near = (along > 0.5) & (along < _TOUCHING * self.radius) & (aside < 0.8 * self.radius)
        return not near.any()

    def find_root(self, wrist: FloatArray, reach: float) -> int | None:
        """The dot from which the fingers' first lines go."""
        first = slice(0, len(HAND_LIMBS), _LINKS)
        proven = (self.seen[first] >= _MIN_LINE_PX) & (self.support[first] > 0)
        best = np.where(proven, self.support[first], 0.0).max(axis=2)  # finger, root
        score = best.sum(axis=0)
        score[np.hypot(*(self.dots - wrist).T) > reach] = 0.0
        root = int(score.argmax())
        return root if (best[:, root] > 0).sum() >= _MIN_FINGERS and score[root] > 0 else None


def _count_passed(dots: FloatArray, length: FloatArray, radius: float) -> FloatArray:
    """(n, n): how many other dots lie on the way between two."""
    towards = dots[None] - dots[:, None]
    other = dots[None, None] - dots[:, None, None]  # (n, 1, n, 2), from the first of the two
    unit = towards / np.maximum(length, 1e-6)[..., None]
    along = np.einsum("abk,adk->abd", unit, other[:, 0])
    aside = np.abs(unit[:, :, None, 0] * other[..., 1] - unit[:, :, None, 1] * other[..., 0])
    inside = (along > 0.5 * radius) & (along < length[..., None] - 0.5 * radius)
    return np.asarray((inside & (aside < 0.6 * radius)).sum(axis=2))


def _line_colours(part: ByteArray) -> ByteArray:
    """(H, W) int8: the number of the line whose hue a pixel has, -1 for none."""
    colours = part.reshape(-1, 3).astype(np.float64)
    step = 360 / len(HAND_LIMBS)
    number = (find_hues(colours) / step).round().astype(int) % len(HAND_LIMBS)
    number[np.isin(number, _BLUE_LINES)] = _BLUE_LINE
    number[np.ptp(colours, axis=1) < _MIN_CHROMA] = -1
    return number.reshape(part.shape[:2])


def _is_thick(mask: BoolArray) -> BoolArray:
    """Where a mask is part of something wider than a line."""
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    return np.asarray(cv2.dilate(opened, np.ones((3, 3), np.uint8)) > 0)


def _read_fingers(lines: _Lines, root: int) -> dict[int, list[int]]:
    """Each finger's dots from its first joint on, as far as they are clear; the clearest finger comes first."""
    free = np.ones(len(lines.dots), bool)
    free[root] = False
    chains: dict[int, list[int]] = {}
    left = [
        finger
        for finger in range(_FINGERS)
        if (lines.seen[_LINKS * finger, root] >= _MIN_LINE_PX).any()
    ]
    while left:
        read = {finger: _read_finger(lines, root, finger, free) for finger in left}
        finger = max(left, key=lambda each: (len(read[each][0]), read[each][1]))
        chain = read[finger][0]
        if not chain:
            break
        chains[finger] = chain
        free[chain] = False
        left.remove(finger)
    return chains


def _read_finger(lines: _Lines, root: int, finger: int, free: BoolArray) -> tuple[list[int], float]:
    """The dots of one finger as far as they are clear, and by how much the last of them is."""
    dots = np.flatnonzero(free)
    n = len(dots)
    if not n:
        return [], 0.0
    r = lines.radius
    first = _LINKS * finger
    length = lines.length[np.ix_(dots, dots)]
    own = np.eye(n, dtype=bool)

    # One more place, the last, stands for a joint that isn't drawn.
    def link(number: int) -> FloatArray:
        score = np.full((n + 1, n + 1), -np.inf)
        known = lines.support[number][np.ix_(dots, dots)] - _PER_PX * length + _PER_DOT * r
        score[:n, :n] = np.where(own, -np.inf, known)
        score[:, n] = 0.0
        return score

    begin = lines.support[first, root, dots] - _PER_PX * lines.length[root, dots] + _PER_DOT * r
    begin = np.where(lines.seen[first, root, dots] >= _MIN_LINE_PX, begin, -np.inf)
    at = lines.dots[dots]
    towards = at[None] - at[:, None]
    unit = towards / np.maximum(length, 1e-6)[..., None]
    bend = np.zeros((n + 1, n + 1, n + 1))
    bend[:n, :n, :n] = _PER_BEND * r * (1 - np.einsum("abk,bck->abc", unit, unit))
    start = at - lines.dots[root]
    start = start / np.maximum(np.hypot(*start.T), 1e-6)[:, None]
    bend_first = np.zeros((n + 1, n + 1))
    bend_first[:n, :n] = _PER_BEND * r * (1 - np.einsum("ak,abk->ab", start, unit))
    total = (
        np.append(begin, -np.inf)[:, None, None, None]
        + (link(first + 1) - bend_first)[:, :, None, None]
        + link(first + 2)[None, :, :, None]
        + link(first + 3)[None, None]
        - bend[:, :, :, None]
        - bend[None]
    )
    for a, b in ((0, 2), (0, 3), (1, 3)):  # no dot twice
        twice = np.moveaxis(total, (a, b), (0, 1))  # a view
        twice[np.arange(n), np.arange(n)] = -np.inf
    best = np.unravel_index(int(total.argmax()), total.shape)
    most = total[best]
    if not np.isfinite(most):
        return [], 0.0
    found = [int(dots[b]) for b in best if b < n]
    others = [d for d in range(len(lines.dots)) if d != root and d not in found]
    links = list(zip([root, *found], found, strict=False))
    proven = [bool(lines.proven[first + k, a, b]) for k, (a, b) in enumerate(links)]
    near = [lines.are_neighbours(a, b, others) for a, b in links]
    straight = [True, *(lines.is_straight(a, b, c) for (a, b), (_, c) in pairwise(links))]
    last = max((k for k in range(len(links)) if proven[k]), default=-1)
    whole = len(found) == _LINKS
    chain: list[int] = []
    margin = 0.0
    for place, (a, b) in enumerate(links):
        rest = np.delete(total, best[place], axis=place)
        clear = float(most - rest.max(initial=-np.inf))
        if proven[place]:
            known = whole or proven[place + 1 : place + 2] == [True] or lines.ends_at(a, b)
        else:
            known = near[place] and (whole or place < last)
        if clear < _CLEAR * r or not known or not straight[place]:
            break
        margin = clear
        chain.append(b)
    return chain, margin
