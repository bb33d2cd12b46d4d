"""Heads under the white points of a face, as DWPose draws them over nose, eyes and ears.

A face of average proportions, laid over the white points, tells where the covered joints are; then the head is drawn
again and again, each joint a little elsewhere, until what shows between the points is the same (analysis by synthesis).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from poseanimate.poses.drawn.palette import BLACK, FIRST_JOINT, FIRST_LIMB, OTHER, WHITE
from poseanimate.poses.drawn.people import HEAD
from poseanimate.poses.skeleton import (
    L_EAR,
    L_EYE,
    L_HIP,
    L_SHOULDER,
    LIMBS,
    NECK,
    NOSE,
    R_EAR,
    R_EYE,
    R_HIP,
    R_SHOULDER,
    ByteArray,
    FloatArray,
)

_DOT = 4.0  # pixels: a joint's radius, half a limb's width
_FACE_DOT = 3.0  # of a face's points where joints have 4
_MIN_FACE_DOTS = 6  # whose area must be white at least
_MAX_FACE_PX = 240  # points of larger ones cover little, and would take long
_FACE_WIDTH = 2.16  # in distances between the eyes, as all of the face
_FACE_CENTRE = 0.7
_FIRST_STEPS = (0.3, 0.3, 0.2, 0.2, 0.3)  # x, y in distances between the eyes, log size, roll, yaw
_HALVINGS = (0, 0, 1, 1, 2, 2, 3, 3)
_MAX_YAW = 0.6
_MISFIT = 1.0  # wrong pixels by white ones: half of each may be missed
_PER_PX = 0.1  # wrong pixels that a pixel of distance from the average face is worth
_SURE, _UNSURE = 0.9, 0.5  # confidences
_SURE_PX = 3  # the distance at which a joint must fit worse
_TIE = 2.0  # wrong pixels: the noise of rounding
_EVIDENCE = 3.0  # pixels that only a joint with its limbs explains
_HEAD_LIMBS = [i for i, limb in enumerate(LIMBS) if set(limb) & set(HEAD)]
_AROUND = ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, 1), (-1, 1), (1, -1))
_MOVED = (*([joint] for joint in HEAD), [NOSE, R_EYE, L_EYE])


@dataclass(frozen=True, eq=False)
class _Window:
    """Part of the labels, from `corner` (x, y) on; `face`: where a face's points are."""

    corner: FloatArray
    labels: ByteArray
    face: ByteArray


def uncover_head(labels: ByteArray, body: FloatArray, radius: float) -> FloatArray:
    """The body (18, 3) with the head's joints where they fit best, if white points of a face lie over them.

    Args:
        labels: (H, W), see `palette`.
        radius: of the joints' dots in pixels.
    """
    window = _find_face(labels, body, radius)
    if window is None:
        return body
    scale = radius / _DOT
    face = _fit_face(window, body[NECK, :2] - window.corner, scale)
    if face is None:
        return body
    guess = body[:, :2] - window.corner
    average = guess.copy()
    average[list(HEAD)] = face
    mixed = average.copy()
    mixed[_seen(body, HEAD)] = guess[_seen(body, HEAD)]
    drawing = _Drawing(window, average, scale)
    xy = min((drawing.search(start) for start in (average, mixed)), key=drawing.cost)
    for joint in (R_EAR, L_EAR, R_EYE, L_EYE, NOSE):
        if not drawing.explains(xy, joint):
            drawing.joints.remove(joint)
            xy = drawing.search(xy)
    uncovered = body.copy()
    uncovered[list(HEAD)] = 0.0
    for joint in drawing.joints:
        confidence = _SURE if drawing.is_sure(xy, joint) else _UNSURE
        uncovered[joint] = [*np.floor(xy[joint]) + window.corner, confidence]
    return uncovered


def _seen(body: FloatArray, joints: Sequence[int]) -> list[int]:
    return [joint for joint in joints if body[joint, 2] > 0]


def _find_face(labels: ByteArray, body: FloatArray, radius: float) -> _Window | None:
    """The white points nearest to the head."""
    if not body[NECK, 2]:
        return None
    neck, seen = body[NECK, :2], _seen(body, HEAD)
    around = body[_seen(body, (R_SHOULDER, L_SHOULDER, R_HIP, L_HIP, *HEAD)), :2]
    reach = 1.5 * np.hypot(*(around - neck).T).max(initial=0.0) + 4 * radius
    low = np.maximum(neck - reach, 0).astype(int)
    high = np.minimum(neck + reach, labels.shape[::-1]).astype(int) + 1
    part = labels[low[1] : high[1], low[0] : high[0]]
    white = (part == WHITE).astype(np.uint8)
    least = _MIN_FACE_DOTS * math.pi * (radius * _FACE_DOT / _DOT) ** 2
    if white.sum() < least:
        return None
    side = 2 * math.ceil(2 * radius) + 1
    near = cv2.dilate(white, np.ones((side, side), np.uint8))
    _, parts = cv2.connectedComponents(near)
    areas = np.bincount(parts.ravel(), white.ravel())
    towards = body[seen, :2].mean(axis=0) if seen else neck
    best, nearest = 0, math.inf
    for k in np.flatnonzero(areas >= least):
        rows, columns = np.nonzero((parts == k) & (white > 0))
        away = float(np.hypot(*(np.array([columns.mean(), rows.mean()]) + low - towards)))
        if away < nearest:
            best, nearest = int(k), away
    if not best:
        return None
    face = ((parts == best) & (white > 0)).astype(np.uint8)
    rows, columns = np.nonzero(face)
    if max(np.ptp(rows), np.ptp(columns)) > _MAX_FACE_PX:
        return None
    # what is drawn of a head reaches little beyond its face, except for the ears and down to the neck
    margin = 0.5 * max(np.ptp(rows), np.ptp(columns)) + 3 * radius
    corner = np.maximum(np.array([columns.min(), rows.min()]) - margin, 0).astype(int)
    end = np.array([columns.max(), rows.max()]) + margin
    end = np.minimum(np.maximum(end, neck - low + margin / 2), face.shape[::-1]).astype(int)
    box = slice(corner[1], end[1]), slice(corner[0], end[0])
    return _Window((corner + low).astype(np.float64), part[box].copy(), face[box].copy())


def _fit_face(window: _Window, neck: FloatArray, scale: float) -> FloatArray | None:
    """(5, 2): the head's joints of an average face that lies over the white points; None if it doesn't fit them."""
    rows, columns = np.nonzero(window.face)
    white = np.column_stack([columns, rows]).astype(np.float64)
    centre = white.mean(axis=0)
    up = centre - neck
    roll = math.atan2(up[0], -up[1])
    across = white @ np.array([math.cos(roll), math.sin(roll)])
    size = max((np.ptp(across) - 2 * _FACE_DOT * scale) / _FACE_WIDTH, 1.0)
    radius = max(1, round(_FACE_DOT * scale))

    def place(values: FloatArray, points: FloatArray) -> FloatArray:
        x, y, growth, turn, _ = values
        cos, sin = math.cos(turn), math.sin(turn)
        spun = (points - (0, _FACE_CENTRE)) @ np.array([[cos, sin], [-sin, cos]])
        return np.asarray(centre + size * (math.exp(growth) * spun + (x, y)))

    def wrong(values: FloatArray) -> float:
        canvas = np.zeros_like(window.face)
        for x, y in place(values, _average_face(values[4])[0]).astype(int).tolist():
            cv2.circle(canvas, (x, y), radius, 1, -1)
        return float(cv2.countNonZero(canvas ^ window.face))

    values = np.array([0.0, 0.0, 0.0, roll, 0.0])
    least = wrong(values)
    for halvings in _HALVINGS:
        for k, step in enumerate(_FIRST_STEPS):
            for way in (-1, 1):
                tried = values.copy()
                tried[k] += way * step / 2**halvings
                tried[4] = min(max(tried[4], -_MAX_YAW), _MAX_YAW)
                cost = wrong(tried)
                if cost < least:
                    values, least = tried, cost
    if least > _MISFIT * len(white):
        return None
    return place(values, _average_face(values[4])[1])


def _average_face(yaw: float) -> tuple[FloatArray, FloatArray]:
    """(68, 2) points and (5, 2) joints of the head; the eyes are 1 apart, y points down, yaw moves what is in front."""
    points, joints = _front_face()
    points, joints = points.copy(), joints.copy()
    points[17:, 0] += yaw / 2
    points[27:36, 0] += yaw / 2
    joints[:, 0] += yaw * np.array([1, 0.5, 0.5, -0.5, -0.5])
    return points, joints


@cache
def _front_face() -> tuple[FloatArray, FloatArray]:
    def oval(x: float, y: float, wide: float, high: float, count: int) -> FloatArray:
        turns = np.linspace(0, 2 * math.pi, count, endpoint=False)
        return np.column_stack([x + wide * np.cos(turns), y + high * np.sin(turns)])

    jaw, arch = np.linspace(0, math.pi, 17), np.linspace(0, math.pi, 5)
    brow = np.column_stack([0.57 + 0.38 * np.cos(arch), -0.32 - 0.12 * np.sin(arch)])
    points = [
        np.column_stack([-1.08 * np.cos(jaw), 1.75 * np.sin(jaw)]),
        brow * (-1, 1),
        brow,
        np.column_stack([np.zeros(4), np.linspace(0, 0.6, 4)]),
        np.column_stack([np.linspace(-0.25, 0.25, 5), np.full(5, 0.77)]),
        oval(-0.5, 0, 0.2, 0.08, 6),
        oval(0.5, 0, 0.2, 0.08, 6),
        oval(0, 1.15, 0.38, 0.16, 12),
        oval(0, 1.15, 0.28, 0.06, 8),
    ]
    joints = np.array([[0, 0.6], [-0.5, 0], [0.5, 0], [-1.2, 0.15], [1.2, 0.15]])
    return np.concatenate(points), joints


class _Drawing:
    """Compares drawings of the head with what shows between the points of the face.

    joints: of the head, as far as they are drawn.
    """

    def __init__(self, window: _Window, average: FloatArray, scale: float) -> None:
        self.joints = [*HEAD]
        self._average = average
        self._half_width = max(1, round(_DOT * scale))
        labels = window.labels
        known = [FIRST_JOINT + j for j in HEAD] + [FIRST_LIMB + i for i in _HEAD_LIMBS]
        background = (labels == BLACK) | (labels == OTHER)
        fringe = cv2.dilate((labels == WHITE).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        self._counts = (np.isin(labels, known) | background) & ~((labels == OTHER) & fringe)
        self._seen = np.where(background, BLACK, labels).astype(np.uint8)

    def cost(self, xy: FloatArray) -> float:
        """Wrong pixels, and a little for the distance from the average face; xy: (18, 2)."""
        canvas = np.full(self._seen.shape, BLACK, np.uint8)
        for i in _HEAD_LIMBS:
            if not all(joint in self.joints or joint == NECK for joint in LIMBS[i]):
                continue
            a, b = xy[list(LIMBS[i])]
            middle, along = (a + b) / 2, a - b
            axes = int(np.hypot(*along) / 2), self._half_width
            turn = int(math.degrees(math.atan2(along[1], along[0])))
            outline = cv2.ellipse2Poly((int(middle[0]), int(middle[1])), axes, turn, 0, 360, 3)
            cv2.fillConvexPoly(canvas, np.array(outline), FIRST_LIMB + i)
        for joint in self.joints:
            centre = int(xy[joint, 0]), int(xy[joint, 1])
            cv2.circle(canvas, centre, self._half_width, FIRST_JOINT + joint, -1)
        off = np.hypot(*(xy - self._average)[self.joints].T).sum()
        return float(((canvas != self._seen) & self._counts).sum() + _PER_PX * off)

    def search(self, xy: FloatArray) -> FloatArray:
        """The best place of each joint, one after the other, in ever smaller steps."""
        least = self.cost(xy)
        for step in (4, 2, 1, 1):
            for moved in _MOVED:
                for direction in _AROUND:
                    tried = _shifted(xy, moved, step, direction)
                    cost = self.cost(tried)
                    if cost < least:
                        xy, least = tried, cost
        return xy

    def explains(self, xy: FloatArray, joint: int) -> bool:
        """Whether a drawing without the joint would be clearly worse."""
        every, whole = self.joints, self.cost(xy)
        self.joints = [each for each in every if each != joint]
        without = self.cost(xy)
        self.joints = every
        return without >= whole + _EVIDENCE

    def is_sure(self, xy: FloatArray, joint: int) -> bool:
        """Whether the joint would not fit as well a little elsewhere."""
        least = self.cost(xy) + _TIE
        return all(self.cost(_shifted(xy, [joint], _SURE_PX, way)) >= least for way in _AROUND)


def _shifted(
    xy: FloatArray, joints: list[int], step: int, direction: tuple[int, int]
) -> FloatArray:
    xy = xy.copy()
    xy[joints] += step * np.array(direction)
    return xy
