"""A person of a pose file: 18 joints, hands and a face, with their numbers as they are in the file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from poseanimate.poses.formats.limits import MAX_POINTS
from poseanimate.poses.formats.orders import (
    ORDERS,
    Order,
    between_shoulders,
    choose_order,
    find_joint,
    order_joints,
)
from poseanimate.poses.formats.remarks import Notes, Refused
from poseanimate.poses.skeleton import FACE_POINTS, HAND_POINTS, JOINTS, NECK, FloatArray

FACE_WITHOUT_PUPILS = 68  # dlib's; OpenPose's 70 are these and the pupils
SPACE_REMEDY = "Give the joints' positions in the picture: x and y in pixels, and a confidence."

BODY_KEYS = (
    "pose_keypoints_2d",
    "pose_keypoints",
    "keypoints",
    "joints",
    "landmarks",
    "pose_landmarks",
    "poseLandmarks",
)
_OTHER_KEYS = {
    "left_hand": (
        "hand_left_keypoints_2d",
        "hand_left_keypoints",
        "left_hand",
        "left_hand_landmarks",
        "leftHandLandmarks",
    ),
    "right_hand": (
        "hand_right_keypoints_2d",
        "hand_right_keypoints",
        "right_hand",
        "right_hand_landmarks",
        "rightHandLandmarks",
    ),
    "face": ("face_keypoints_2d", "face_keypoints", "face", "face_landmarks", "faceLandmarks"),
}
PERSON_KEYS = frozenset(BODY_KEYS).union(*_OTHER_KEYS.values())
_SPACE_KEYS = ("pose_keypoints_3d", "keypoints3D", "keypoints_3d")
_NUMBER_KEYS = ("person_id", "track_id", "idx")
_CONFIDENCE_KEYS = ("visibility", "score", "confidence", "c", "v", "visible")
_OPENPOSE_ORDERS = ("COCO-18", "BODY_25")  # those that files are expected to have
_OPENPOSE_BODY = "pose_keypoints_2d"
_SIZES = {"left_hand": HAND_POINTS, "right_hand": HAND_POINTS, "face": FACE_POINTS}
_WORDS = {"left_hand": "left hand", "right_hand": "right hand", "face": "face"}


@dataclass
class Person:
    """One person in one frame.

    parts: (points, 3) by "body", "left_hand", "right_hand" and "face": x, y and confidence as in the file; NaN where
        there is no number. A body has as many points as its tool lists, until `order_people`.
    number: by which the tool knows the person from frame to frame; None if it doesn't.
    named: whether the body's joints are in the order of the 18 already.
    """

    parts: dict[str, FloatArray]
    number: int | None = None
    named: bool = False


def is_points(value: Any) -> bool:
    """Whether a value lists points: numbers, short lists of numbers, or objects with x and y."""
    if not isinstance(value, list) or not value:
        return False
    if all(_is_number(each) for each in value):
        return any(each is not None for each in value)
    return all(each is None or _is_point(each) for each in value)


def is_named_joints(value: Any) -> bool:
    """Whether an object holds points by the names of joints."""
    return isinstance(value, Mapping) and any(
        find_joint(key) is not None and _is_point(each) for key, each in value.items()
    )


def read_person(value: Any, where: str, notes: Notes) -> Person:
    """One person in one frame, as it is in the file.

    Args:
        where: "frame 3".

    Raises:
        Refused: it is no person, or has numbers that can't be.
    """
    if is_points(value):
        value = {"keypoints": value}
    if isinstance(value, Mapping) and isinstance(value.get("pose"), Mapping):  # PoseNet
        value = value["pose"]
    if not isinstance(value, Mapping):
        raise Refused(f"a person in {where} is not an object")
    if is_named_joints(value):
        body: FloatArray | None = _named(
            {key: value[key] for key in value if find_joint(key) is not None}, where
        )
        return Person({"body": body} if body is not None else {}, _number_of(value), named=True)
    parts: dict[str, FloatArray] = {}
    key = next((key for key in BODY_KEYS if value.get(key) not in (None, [])), "")
    named = False
    if key:
        label = f"'{key}' in {where}"
        names = _names(value[key])
        if names:
            parts["body"], named = _named(names, where), True
        else:
            parts["body"] = _read_body(value, key, label)
    elif any(value.get(each) for each in _SPACE_KEYS):
        raise Refused(f"{where} holds joints in space (3D) alone", SPACE_REMEDY)
    for part, keys in _OTHER_KEYS.items():
        for key in keys:
            points = _read_other(part, value.get(key), f"'{key}' in {where}", notes)
            if points is not None:
                parts[part] = points
    return Person(parts, _number_of(value), named)


def order_people(people: Sequence[Person], notes: Notes) -> list[str]:
    """Turns all bodies into 18 joints; the hands and the face that an order lists with the body are taken out of it.

    Returns:
        The names of the orders that they were in.
    """
    orders = []
    by_count: dict[int, list[Person]] = {}
    for person in people:
        if "body" not in person.parts or person.named:
            continue
        by_count.setdefault(len(person.parts["body"]), []).append(person)
    for count, those in by_count.items():
        order = choose_order(count, [person.parts["body"] for person in those])
        orders.append(order.name)
        if order.name not in _OPENPOSE_ORDERS:
            notes.add(f"The joints are read in the order of {order.name}")
        for person in those:
            _reorder(person, order)
    return orders


def _reorder(person: Person, order: Order) -> None:
    points = person.parts["body"]
    for part in ("left_hand", "right_hand", "face"):
        places = getattr(order, part)
        if places:
            person.parts[part] = _padded(points[list(places)])
    person.parts["body"] = order_joints(points, order)


def _padded(points: FloatArray) -> FloatArray:
    """A face of 68 points with absent pupils; anything else unchanged."""
    if len(points) != FACE_WITHOUT_PUPILS:
        return points
    return np.vstack([points, np.full((FACE_POINTS - FACE_WITHOUT_PUPILS, 3), np.nan)])


def _read_body(person: Mapping[str, Any], key: str, label: str) -> FloatArray:
    scores = person.get("keypoint_scores", person.get("keypoints_scores"))
    counts = tuple(ORDERS)
    values = person[key]
    points = _read_points(values, scores, counts, label)
    if points is None or len(points) not in ORDERS:
        length = "not a list" if not isinstance(values, list) else f"{len(values)} values"
        raise Refused(
            f"{label} is {length} instead of x, y and confidence of {', '.join(map(str, counts))} joints"
        )
    flat = isinstance(values, list) and _is_number(values[0])
    if key == _OPENPOSE_BODY and flat and len(values) != 3 * len(points):
        raise Refused(f"{label} is {len(values)} numbers, and not three for each joint")
    return points


def _read_other(part: str, values: Any, label: str, notes: Notes) -> FloatArray | None:
    """A hand or a face; None if it is missing, or of another length, which is noted."""
    if values is None or values == []:
        return None
    wanted = _SIZES[part]
    counts = (wanted, FACE_WITHOUT_PUPILS) if part == "face" else (wanted,)
    points = _read_points(values, None, counts, label)
    if points is None:
        if not isinstance(values, list):
            raise Refused(f"{label} is not a list")
        found = len(values) / 3 if _is_number(values[0]) else len(values)
        notes.add(f"A {_WORDS[part]} of {found:g} points instead of {wanted} is left out")
        return None
    return _padded(points)


def _read_points(values: Any, scores: Any, counts: Sequence[int], label: str) -> FloatArray | None:
    """(points, 3) of a list or of lists of x and y; None if there are not as many as one of counts."""
    if isinstance(values, Mapping):  # Ultralytics
        xs, ys = values.get("x"), values.get("y")
        if not (isinstance(xs, list) and isinstance(ys, list) and len(xs) == len(ys)):
            raise Refused(f"{label} has no lists 'x' and 'y' of the same length")
        scores = values.get("visible", values.get("visibility"))
        values = [[x, y] for x, y in zip(xs, ys, strict=True)]
    if not isinstance(values, list) or not values:
        return None
    if len(values) > 4 * MAX_POINTS:
        raise Refused(f"{label} has {len(values)} values")
    if not all(_is_number(each) for each in values):
        if len(values) not in counts:
            return None
        rows = [_row(each, scores is not None, label) for each in values]
    else:
        size = next((n for n in (3, 2, 4) if len(values) / n in counts), 0)
        if not size:
            return None
        numbers = [_number(each, label) for each in values]
        rows = [
            _in_row(numbers[i : i + size], scores is not None, label)
            for i in range(0, len(numbers), size)
        ]
    points = np.array(rows)
    if scores is not None:
        if not isinstance(scores, list) or len(scores) != len(points):
            raise Refused(f"{label} has not one score for each joint")
        points[:, 2] = [_number(score, label) for score in scores]
    return points


def _row(point: Any, has_scores: bool, label: str) -> list[float]:
    if point is None:
        return [math.nan] * 3
    if isinstance(point, Mapping):
        return _of_object(point, label)
    if not isinstance(point, list):
        raise Refused(f"{label} holds something other than points")
    return _in_row([_number(each, label) for each in point], has_scores, label)


def _in_row(numbers: list[float], has_scores: bool, label: str) -> list[float]:
    """x, y and confidence of two, three or four numbers (with z before the confidence)."""
    if len(numbers) == 3 and has_scores:
        raise Refused(f"{label} holds joints in space (3D)", SPACE_REMEDY)
    if len(numbers) not in (2, 3, 4):
        raise Refused(f"{label} has a joint of {len(numbers)} numbers")
    x, y, *more = numbers
    return [x, y, more[-1] if more else 1.0]


def _of_object(point: Mapping[str, Any], label: str) -> list[float]:
    position = point.get("position", point)
    if not isinstance(position, Mapping):
        raise Refused(f"{label} has a joint without x and y")
    key = next((key for key in _CONFIDENCE_KEYS if key in point), None)
    return [
        _number(position.get("x"), label),
        _number(position.get("y"), label),
        1.0 if key is None else _number(point[key], label),
    ]


def _names(points: Any) -> dict[str, Any]:
    """Points by name, where all of them have one."""
    if isinstance(points, Mapping):
        return dict(points) if is_named_joints(points) else {}
    if not isinstance(points, list) or not all(isinstance(each, Mapping) for each in points):
        return {}
    names = [each.get("name", each.get("part")) for each in points]
    if not all(isinstance(name, str) for name in names):
        return {}
    return dict(zip(names, points, strict=True))


def _named(points: Mapping[str, Any], where: str) -> FloatArray:
    """(18, 3) from points by the names of joints; the neck is put between the shoulders if it has no name."""
    body = np.full((JOINTS, 3), np.nan)
    found = {find_joint(name): name for name in points}
    for joint, name in found.items():
        if joint is not None:
            body[joint] = _row(points[name], False, f"'{name[:40]}' in {where}")
    if NECK not in found:
        body[NECK] = between_shoulders(body)
    return body


def _number_of(person: Mapping[str, Any]) -> int | None:
    for key in _NUMBER_KEYS:
        number = person.get(key)
        if isinstance(number, list) and len(number) == 1:
            number = number[0]
        if isinstance(number, int | float) and not isinstance(number, bool) and number >= 0:
            return int(number) if number < 2**53 else None
    return None


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _is_point(value: Any) -> bool:
    if isinstance(value, Mapping):
        return ("x" in value and "y" in value and _is_number(value["x"])) or "position" in value
    return (
        isinstance(value, list) and 2 <= len(value) <= 4 and all(_is_number(each) for each in value)
    )


def _number(value: Any, label: str) -> float:
    """A finite number, or NaN for null and NaN."""
    if value is None:
        return math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isinf(number):
            return number
    raise Refused(f"{label} holds something other than a finite number")
