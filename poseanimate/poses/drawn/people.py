"""People from candidates: the best choice of joints on the tree of limbs, person by person.

A pair of candidates scores by the pixels of their limb's colour between them. The skeleton is a tree, so the best
choice of all joints together follows exactly from the leaves to the neck (a pictorial structure).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from poseanimate.poses.drawn.marks import Candidates
from poseanimate.poses.drawn.palette import BLACK, FIRST_LIMB, OTHER, WHITE
from poseanimate.poses.skeleton import (
    JOINTS,
    L_EAR,
    L_EYE,
    LIMBS,
    NECK,
    NOSE,
    PARENTS,
    R_EAR,
    R_EYE,
    ROOT_FIRST,
    ByteArray,
    FloatArray,
)

MAX_PEOPLE = 6
_MIN_LIMBS = 4  # of a second person; less are leftovers of the first
HEAD = (NOSE, R_EYE, L_EYE, R_EAR, L_EAR)
_SAMPLES = 24
_MIN_SHARE = 0.25
_SURE_SHARE = 0.5  # of a dot that is seen
_DOT_PX = 30.0  # a whole dot is worth as much as this length of limb
_PER_PX = 0.05  # of distance: among limbs that cannot be seen the shorter one
_CHILDREN = tuple(tuple(c for c in range(JOINTS) if PARENTS[c] == j) for j in range(JOINTS))
_LIMB_OF = {frozenset(limb): i for i, limb in enumerate(LIMBS)}
_LIMB_TO_PARENT = tuple(
    _LIMB_OF[frozenset((j, PARENTS[j]))] if j != NECK else -1 for j in range(JOINTS)
)


@dataclass(frozen=True, eq=False)
class Figure:
    """One drawn person.

    Args:
        body: (18, 3): x, y and confidence; 1 where dot and limbs were seen, less where one of them is missing.
        limbs: how many limbs are thin lines of their colour from dot to dot: the evidence that this is a drawing.
        length: of all seen limbs together in pixels.
        left_hand, right_hand: (21, 3) likewise, or None.
    """

    body: FloatArray
    limbs: int
    length: float
    left_hand: FloatArray | None = None
    right_hand: FloatArray | None = None

    def in_picture(self, factor: int) -> Figure:
        """The figure in the pixels of a picture that was enlarged by this factor before it was read."""
        body, left, right = (
            None if part is None else _reduced(part, factor)
            for part in (self.body, self.left_hand, self.right_hand)
        )
        assert body is not None
        length = self.length / factor
        return replace(self, body=body, length=length, left_hand=left, right_hand=right)


def _reduced(points: FloatArray, factor: int) -> FloatArray:
    points = points.copy()
    points[points[:, 2] > 0, :2] += 0.5  # the middle of a pixel
    points[:, :2] /= factor
    return points


def assemble(labels: ByteArray, candidates: list[Candidates], radius: float) -> list[Figure]:
    """The drawn people, largest first, at most MAX_PEOPLE."""
    labels = labels.copy()
    figures: list[Figure] = []
    for _ in range(MAX_PEOPLE):
        figure = _best_figure(labels, candidates, radius)
        if not figure.length or (figures and figure.limbs < _MIN_LIMBS):
            break
        figures.append(figure)
        candidates = _without(labels, candidates, figure, radius)
    return sorted(figures, key=lambda figure: -figure.length)


def _best_figure(labels: ByteArray, candidates: list[Candidates], radius: float) -> Figure:
    pairs = {
        child: _pair_scores(labels, candidates[PARENTS[child]], candidates[child], child)
        for child in ROOT_FIRST[1:]
    }
    total: dict[int, FloatArray] = {}  # of a joint's candidates, each with the best below it
    apart: dict[int, float] = {}  # of what is below a joint that isn't drawn itself
    for joint in reversed(ROOT_FIRST):
        score = _DOT_PX * candidates[joint].share
        for child in _CHILDREN[joint]:
            linked = (pairs[child] + total[child]).max(axis=1, initial=-np.inf)
            score = score + np.maximum(linked, apart[child])
        total[joint] = score
        below = (max(_best(total[child]), apart[child]) for child in _CHILDREN[joint])
        apart[joint] = sum(below) if joint == NECK else 0.0
    chosen = _choose(candidates, pairs, total, apart)
    return _figure(labels, candidates, chosen, radius)


def _choose(
    candidates: list[Candidates],
    pairs: dict[int, FloatArray],
    total: dict[int, FloatArray],
    apart: dict[int, float],
) -> dict[int, int]:
    """Each drawn joint's candidate, from the neck outwards."""
    chosen: dict[int, int] = {}
    for joint in ROOT_FIRST:
        parent = PARENTS[joint]
        if joint == NECK or (parent == NECK and NECK not in chosen):
            score = total[joint]
        elif parent in chosen:
            score = pairs[joint][chosen[parent]] + total[joint]
        else:
            continue
        if len(score) and score.max() > apart[joint]:
            chosen[joint] = int(score.argmax())
    return chosen


def _best(scores: FloatArray) -> float:
    return float(scores.max(initial=0.0))


def _pair_scores(
    labels: ByteArray, parents: Candidates, children: Candidates, child: int
) -> FloatArray:
    """(parents, children): the pixels of the limb's colour between two candidates, less those where it is missing."""
    own, crossed, missing, length = _along(labels, parents.xy[:, None], children.xy[None], child)
    # The head's limbs are short, lie over each other and under the face's points.
    gap = 0.5 if child in HEAD else 2.0
    return length * (own - 0.1 * crossed - gap * missing - _PER_PX)


def _along(
    labels: ByteArray, start: FloatArray, end: FloatArray, child: int
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Between points (..., 2): the shares of the limb's colour, of other limbs', of none; the length in pixels."""
    steps = (np.arange(_SAMPLES) + 0.5)[:, None] / _SAMPLES
    points = start[..., None, :] * (1 - steps) + end[..., None, :] * steps
    columns = points[..., 0].round().astype(int).clip(0, labels.shape[1] - 1)
    rows = points[..., 1].round().astype(int).clip(0, labels.shape[0] - 1)
    seen = labels[rows, columns]
    own = (seen == FIRST_LIMB + _LIMB_TO_PARENT[child]).mean(axis=-1)
    crossed = (seen >= FIRST_LIMB).mean(axis=-1) - own
    missing = ((seen == BLACK) | (seen == OTHER)).mean(axis=-1)
    return own, crossed, missing, np.hypot(*np.moveaxis(end - start, -1, 0))


def _figure(
    labels: ByteArray, candidates: list[Candidates], chosen: dict[int, int], radius: float
) -> Figure:
    body = np.zeros((JOINTS, 3))
    share = np.zeros(JOINTS)
    for joint, k in chosen.items():
        share[joint] = candidates[joint].share[k]
        body[joint] = [*candidates[joint].xy[k], 0.8 if share[joint] >= _SURE_SHARE else 0.4]
    limbs, extent = 0, 0.0
    for child in chosen:
        parent = PARENTS[child]
        if parent not in chosen:
            continue
        start, end = body[parent, :2], body[child, :2]
        own, _, missing, length = _along(labels, start, end, child)
        if own * length >= radius and own >= missing:
            extent += float(length)
            body[[parent, child], 2] += 0.1
            dots = min(share[parent], share[child]) >= _SURE_SHARE / 2
            limbs += int(dots and own >= 0.5 and _is_thin(labels, start, end, child, radius))
    body[(body[:, 2] < 0.45) & (share < _MIN_SHARE)] = 0.0  # neither dot nor limb was seen
    body[:, 2] = body[:, 2].clip(0, 1)
    return Figure(body, limbs, extent)


def _is_thin(
    labels: ByteArray, start: FloatArray, end: FloatArray, child: int, radius: float
) -> bool:
    """Whether the limb is a line: its colour isn't beside it."""
    across = np.array([start[1] - end[1], end[0] - start[0]])
    aside = across * (3 * radius + 2) / max(float(np.hypot(*across)), 1.0)
    sides = np.stack([aside, -aside])
    own, *_ = _along(labels, start + sides, end + sides, child)
    return bool(own.max() < 0.2)


def _without(
    labels: ByteArray, candidates: list[Candidates], figure: Figure, radius: float
) -> list[Candidates]:
    """The candidates that the figure leaves; its limbs vanish from `labels`."""
    body = figure.body
    for a, b in LIMBS:
        if body[a, 2] and body[b, 2]:
            ends = [tuple(body[j, :2].round().astype(int).tolist()) for j in (a, b)]
            cv2.line(labels, ends[0], ends[1], WHITE, int(2 * radius + 3))
    rest = []
    for joint, places in enumerate(candidates):
        taken = np.zeros(len(places.xy), bool)
        if body[joint, 2]:
            taken = np.hypot(*(places.xy - body[joint, :2]).T) < 2 * radius
        rest.append(Candidates(places.xy[~taken], places.share[~taken]))
    return rest
