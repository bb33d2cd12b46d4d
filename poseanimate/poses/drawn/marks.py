"""Where a joint may be: the dots of its colour and the ends of the limbs that meet there."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from poseanimate.poses.drawn.palette import BLACK, FIRST_JOINT, FIRST_LIMB, LABELS, OTHER
from poseanimate.poses.skeleton import JOINTS, LIMBS, R_EYE, ByteArray, FloatArray

MAX_PER_JOINT = 48
"""As many candidates as one joint may have; two hands of DWPose alone bring 42 dots of the left knee's blue."""

Pieces = dict[int, list[FloatArray]]
"""By label, the coordinates (n, 2) of every connected piece's pixels, largest first."""

_MAX_LIMB_PIECES = 8  # of one limb; what crosses it cuts it into pieces
_MIN_PIECE_PX = 4
_MAX_PIECE_SHARE = 0.03  # of the picture; larger ones are background
_MIN_SHARE = 0.15
_WHOLE_SHARE = 0.8
_LARGE_SHARE = 1.8
_UNSURE_SHARE = 0.3
_OTHER_LIMBS_COLOUR = [
    j for j in range(R_EYE) if j not in LIMBS[j]
]  # of the body; the head is crowded
_LINE_SPREAD = 0.6  # of a dot's radius: a line longer than a dot is wide
_DISC_STEPS = 17
_DISC_DETAIL_PX = 3  # a dot of six pixels' radius is looked at in every second row and column
_HIDDEN_END = 0.7  # of a dot's radius: what the dot covers of its limb's tip


@dataclass(frozen=True, eq=False)
class Candidates:
    """Places where a joint may be: `xy` (n, 2) in pixels; `share` (n,) of its dot that is seen, 0 for a limb's end."""

    xy: FloatArray
    share: FloatArray


def find_pieces(labels: ByteArray) -> Pieces:
    """The connected pieces of each joint's and each limb's colour in labels (H, W)."""
    rows, columns = np.nonzero(labels >= FIRST_JOINT)
    kinds = labels[rows, columns]
    pieces: Pieces = {}
    most = _MAX_PIECE_SHARE * labels.size
    for label in range(FIRST_JOINT, LABELS):
        own = kinds == label
        pieces[label] = _connected(columns[own], rows[own], most) if own.any() else []
    return pieces


def _connected(x: FloatArray, y: FloatArray, most: float) -> list[FloatArray]:
    """The connected pieces of at most so many pixels."""
    left, top = x.min(), y.min()
    box = np.zeros((y.max() - top + 1, x.max() - left + 1), np.uint8)
    box[y - top, x - left] = 1
    _, parts, stats, _ = cv2.connectedComponentsWithStats(box, connectivity=8)
    part = parts[y - top, x - left]
    areas = stats[1:, cv2.CC_STAT_AREA]
    largest = np.argsort(-areas, kind="stable") + 1
    fitting = [k for k in largest if _MIN_PIECE_PX <= areas[k - 1] <= most]
    xy = np.stack([x, y], axis=1).astype(np.float64)
    return [xy[part == k] for k in fitting[:MAX_PER_JOINT]]


def dot_radius(pieces: Pieces) -> float:
    """The radius in pixels of the joints' dots, 0 without any: the upper quartile, as many dots are partly covered.

    Each joint's largest piece counts, unless it is long: hands have lines in the joints' colours.
    """
    largest = [dots[0] for j in range(JOINTS) if (dots := pieces[FIRST_JOINT + j])]
    areas = [len(piece) for piece in largest if not _is_long(piece)] or [*map(len, largest)]
    return float(np.sqrt(np.percentile(areas, 75) / np.pi)) if areas else 0.0


def find_candidates(labels: ByteArray, pieces: Pieces, radius: float) -> list[Candidates]:
    """Each joint's candidates, dots first, in the pixels of `labels` (H, W)."""
    ends: list[list[FloatArray]] = [[] for _ in range(JOINTS)]
    for i, limb in enumerate(LIMBS):
        for piece in pieces[FIRST_LIMB + i][:_MAX_LIMB_PIECES]:
            if len(piece) >= radius**2:
                both = _ends(piece, radius)
                for joint in limb:
                    ends[joint].extend(both)
    return [
        _joint_candidates(_dots(labels, pieces, joint, radius), ends[joint], radius)
        for joint in range(JOINTS)
    ]


def _joint_candidates(dots: FloatArray, ends: list[FloatArray], radius: float) -> Candidates:
    places = dots
    for end in ends:
        apart = np.hypot(*(places[:, :2] - end).T) > 1.5 * radius
        if len(places) < MAX_PER_JOINT and apart.all():
            places = np.vstack([places, [*end, 0.0]])
    return Candidates(places[:, :2], places[:, 2])


def _dots(labels: ByteArray, pieces: Pieces, joint: int, radius: float) -> FloatArray:
    """(n, 3): x, y and the share that is seen of every dot of the joint's colour, at most half of MAX_PER_JOINT."""
    found = []
    for piece in pieces[FIRST_JOINT + joint]:
        share = len(piece) / (np.pi * radius**2)
        centre = piece.mean(axis=0)
        if share < _MIN_SHARE or _is_line(piece, radius):
            continue
        if share > _LARGE_SHARE:
            share = _UNSURE_SHARE
        elif share < _WHOLE_SHARE:
            centre = _disc_centre(labels, joint, centre, radius)
        found.append((*centre, min(share, 1.0)))
    if joint in _OTHER_LIMBS_COLOUR:  # what is left of a dot between others, as dark as a limb
        for piece in pieces[FIRST_LIMB + joint]:
            share = len(piece) / (np.pi * radius**2)
            if _MIN_SHARE <= share <= 1.2 and np.ptp(piece, axis=0).max() <= 2.5 * radius:
                found.append((*piece.mean(axis=0), share / 2))
    found.sort(key=lambda dot: -dot[2])
    return np.array(found[: MAX_PER_JOINT // 2], np.float64).reshape(-1, 3)


def _is_line(piece: FloatArray, radius: float) -> bool:
    """Whether a piece is thin and longer than a dot."""
    return _is_long(piece) and bool(_spread(piece)[1] > _LINE_SPREAD * radius)


def _is_long(piece: FloatArray) -> bool:
    narrow, wide = _spread(piece)
    return bool(narrow < wide / 3)


def _spread(piece: FloatArray) -> FloatArray:
    """(2,): the standard deviations across and along: of a line length / √12, of a disc radius / 2."""
    return np.sqrt(np.linalg.eigvalsh(np.cov(piece.T)).clip(0))


def _disc_centre(labels: ByteArray, joint: int, near: FloatArray, radius: float) -> FloatArray:
    """The centre of a disc that is partly covered: it holds the joint's pixels, and none of limbs and black.

    What is drawn after the joint (other joints, hands, face) may cover it and counts neither way.
    """
    step = max(1, int(radius // _DISC_DETAIL_PX))  # of a large dot not every pixel is needed
    reach = int(np.ceil(2 * radius)) + 1
    left, top = np.maximum(near.astype(int) - reach, 0)
    window = labels[top : top + 2 * reach + 2 : step, left : left + 2 * reach + 2 : step]
    weight = np.zeros(window.shape)
    weight[(window == BLACK) | (window == OTHER) | (window >= FIRST_LIMB)] = -1.0
    weight[window == FIRST_JOINT + joint] = 2.0
    steps = np.linspace(-radius, radius, _DISC_STEPS)
    columns = left + step * np.arange(window.shape[1])
    rows = top + step * np.arange(window.shape[0])
    aside = (columns - (near[0] + steps)[:, None]) ** 2
    above = (rows - (near[1] + steps)[:, None]) ** 2
    # (centres in y, centres in x, rows, columns)
    inside = above[:, None, :, None] + aside[None, :, None, :] <= (radius + 0.3) ** 2
    score = inside.reshape(_DISC_STEPS**2, -1) @ weight.ravel()
    centres = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2) + near
    return np.asarray(centres[score >= score.max() - 0.5].mean(axis=0))


def _ends(piece: FloatArray, radius: float) -> FloatArray:
    """(2, 2): both ends of a piece of a limb, lengthened by what a dot hides there."""
    centre = piece.mean(axis=0)
    away = piece - centre
    axis = np.linalg.eigh(away.T @ away)[1][:, 1]
    along = away @ axis
    hidden = _HIDDEN_END * radius
    return centre + np.outer([along.min() - hidden, along.max() + hidden], axis)
