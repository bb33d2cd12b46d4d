"""The orders in which tools list a body's joints, and how each becomes the 18 joints of `skeleton`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from poseanimate.poses.skeleton import (
    JOINT_NAMES,
    JOINTS,
    L_SHOULDER,
    NECK,
    PARENTS,
    R_SHOULDER,
    FloatArray,
)

BETWEEN_SHOULDERS = -1
"""In `Order.joints`: the middle of the two shoulders."""

ABSENT = -2
"""In `Order.joints`: not in the order."""

# A file is in the less usual of two orders if its bones are then at most this times as long. Read in their own order
# the preset motions' bones are 0.4 to 0.64 times as long as in the other, and read in a wrong one over 1.3 times.
_MUCH_SHORTER = 0.7


@dataclass(frozen=True)
class Order:
    """Where a tool lists what.

    joints: the places of the 18 joints, `BETWEEN_SHOULDERS` or `ABSENT`.
    left_hand, right_hand, face: the places of their points; empty if the order has none.
    """

    name: str
    joints: tuple[int, ...]
    left_hand: tuple[int, ...] = ()
    right_hand: tuple[int, ...] = ()
    face: tuple[int, ...] = ()


_COCO_17 = (0, BETWEEN_SHOULDERS, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
_BODY_25 = (*range(8), *range(9, 19))
_MEDIAPIPE = (0, BETWEEN_SHOULDERS, 12, 14, 16, 11, 13, 15, 24, 26, 28, 23, 25, 27, 5, 2, 8, 7)
_HALPE = (0, 18, *_COCO_17[2:])

ORDERS: dict[int, tuple[Order, ...]] = {
    17: (
        Order("COCO-17", _COCO_17),
        Order("H36M-17", (9, 8, 14, 15, 16, 11, 12, 13, 1, 2, 3, 4, 5, 6, *(ABSENT,) * 4)),
    ),
    18: (Order("COCO-18", tuple(range(18))),),
    19: (Order("BODY_19", _BODY_25),),
    20: (Order("COCO-18 and toes", tuple(range(18))),),
    # BODY_25B's neck is where the head begins, so the middle of the shoulders is taken instead
    25: (Order("BODY_25", _BODY_25), Order("BODY_25B", _COCO_17)),
    26: (Order("Halpe-26", _HALPE),),
    33: (Order("MediaPipe-33", _MEDIAPIPE),),
    133: (
        Order(
            "COCO-WholeBody",
            _COCO_17,
            tuple(range(91, 112)),
            tuple(range(112, 133)),
            tuple(range(23, 91)),
        ),
    ),
    135: (
        # its hands begin with the wrists of the body
        Order(
            "BODY_135",
            _COCO_17,
            (9, *range(25, 45)),
            (10, *range(45, 65)),
            tuple(range(65, 135)),
        ),
    ),
    136: (
        Order(
            "Halpe-136",
            _HALPE,
            tuple(range(94, 115)),
            tuple(range(115, 136)),
            tuple(range(26, 94)),
        ),
    ),
}
"""The orders of so many points, the usual one first."""

_JOINT_OF_NAME = {
    re.sub("right|left", lambda side: side[0][0], name.replace(" ", "")): joint
    for joint, name in enumerate(JOINT_NAMES)
}


def find_joint(name: str) -> int | None:
    """The joint (0 to 17) of a name, such as "left_shoulder", "LShoulder" or "Left Shoulder"; None for other names."""
    letters = re.sub(r"[^a-z]", "", name[:40].lower())
    return _JOINT_OF_NAME.get(re.sub("^(right|left)", lambda side: side[0][0], letters))


def order_joints(points: FloatArray, order: Order) -> FloatArray:
    """The body's 18 joints (18, 3) of points (n, 3) in this order."""
    joints = points[np.maximum(order.joints, 0)]
    if order.joints[NECK] == BETWEEN_SHOULDERS:
        joints[NECK] = between_shoulders(joints)
    joints[np.equal(order.joints, ABSENT)] = 0.0
    return joints


def between_shoulders(joints: FloatArray) -> FloatArray:
    """(3,): the middle of both shoulders of (18, 3), with the smaller of their confidences; all NaN without both."""
    both = joints[[R_SHOULDER, L_SHOULDER]]
    if np.isnan(both).any() or both[:, 2].min() <= 0 or not both[:, :2].any(axis=1).all():
        return np.full(3, np.nan)
    return np.array([*both[:, :2].mean(axis=0), both[:, 2].min()])


def choose_order(count: int, bodies: Sequence[FloatArray]) -> Order:
    """The order of bodies with so many points: of several the usual one, unless the bones are far shorter in another.

    Args:
        count: a key of `ORDERS`.
        bodies: (count, 3) each; points of confidence 0 and NaN are not seen.
    """
    usual, *others = ORDERS[count]
    for other in others:
        if _bones_length(bodies, other) < _MUCH_SHORTER * _bones_length(bodies, usual):
            return other
    return usual


def _bones_length(bodies: Sequence[FloatArray], order: Order) -> float:
    """The mean length of all bones that are seen."""
    children = [joint for joint in range(JOINTS) if PARENTS[joint] >= 0]
    parents = [PARENTS[joint] for joint in children]
    lengths: list[float] = []
    for points in bodies:
        joints = order_joints(points, order)
        joints[~(joints[:, 2] > 0)] = np.nan
        bones = joints[children, :2] - joints[parents, :2]
        lengths += np.hypot(bones[:, 0], bones[:, 1]).tolist()
    seen = [length for length in lengths if length == length]
    return sum(seen) / len(seen) if seen else 0.0
