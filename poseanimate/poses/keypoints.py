"""OpenPose keypoint JSON from untrusted sources; sizes, lengths and numbers are checked before use."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from poseanimate.errors import MotionError, PictureError
from poseanimate.poses.skeleton import FACE_POINTS, HAND_POINTS, JOINTS, FloatArray, Pose

MAX_FRAMES = 2000
MAX_JSON_CHARACTERS = 32_000_000
MAX_PICTURE_CHARACTERS = 90_000  # the most a bundle can hold
MAX_SIDE_PX = 16_384
MAX_PEOPLE = 100
MIN_FPS, MAX_FPS = 0.1, 240.0
DEFAULT_FPS = 12.0
DEFAULT_SIDE_PX = 512


# Nobody is this small in pixels, so such numbers are fractions of the canvas.
_LARGEST_FRACTION = 2.0
# Pixels this far outside come from a broken file, not from a detector.
_LARGEST_PX = 4.0 * MAX_SIDE_PX
# Some tools write 2 for "seen", as COCO's annotations do.
_LARGEST_CONFIDENCE = 2.0

_BODY_25 = 25
_BODY_25_TO_18 = (0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18)

_FORMAT_REMEDY = (
    "Give OpenPose keypoint JSON: an object with 'frames', each with 'people' and their "
    "'pose_keypoints_2d' (18 or 25 joints: x, y, confidence)."
)


@dataclass(frozen=True, eq=False)
class Keypoints:
    """The content of a keypoint file.

    frames: the people of every frame, in pixels of a canvas of width x height.
    """

    frames: list[list[Pose]]
    width: int
    height: int
    fps: float


def read_keypoints(text: str, about: str) -> Keypoints:
    """Reads OpenPose keypoint JSON.

    Three forms are accepted: our own (an object with 'frames'), one OpenPose frame (an object with
    'people'), and a list of such frames. Bodies have 18 joints, or 25 (BODY_25). Coordinates are
    scaled by the canvas if all are fractions of it. A missing canvas is 512x512 for fractions,
    otherwise just large enough for the joints.

    Args:
        about: what the text describes, as worded after "The": "motion 'walk'".

    Raises:
        MotionError: the text is too long, not JSON, in another form, has too many frames, or
            contains impossible numbers.
    """
    frames, head = _frames(_parsed(text, about), about)
    fps = _number(head.get("fps", DEFAULT_FPS), "the frame rate 'fps'", about)
    people = [_people(frame, f"frame {i}", about) for i, frame in enumerate(frames)]
    width, height, people = _on_canvas(people, _canvas([head, *frames], about))
    return Keypoints(people, width, height, fps)


def people_json(people: Sequence[Pose], width: int, height: int) -> str:
    """The people in one picture of width x height pixels as JSON; `read_people` returns the same numbers."""
    frame = {
        "canvas_width": width,
        "canvas_height": height,
        "people": [person_json(pose) for pose in people],
    }
    return json.dumps(frame, separators=(",", ":"), allow_nan=False)


def read_people(text: str, width: int, height: int) -> list[Pose]:
    """Reads the people in one picture from OpenPose keypoint JSON, in pixels of a width x height picture.

    Raises:
        PictureError: as `read_keypoints`, or not one frame, or nobody in it.
    """
    if len(text) > MAX_PICTURE_CHARACTERS:
        raise PictureError(
            f"The picture's joints have {len(text)} characters, and {MAX_PICTURE_CHARACTERS} are possible.",
            "Give one frame; the first of its people is the character.",
        )
    try:
        found = read_keypoints(text, "picture's joints")
    except MotionError as error:
        raise PictureError(error.message, error.remedy) from error
    if len(found.frames) != 1 or not found.frames[0]:
        raise PictureError(
            f"The picture's joints are of {len(found.frames)} frames and {len(found.frames[0])} people.",
            "Give one frame; the first of its people is the character.",
        )
    if (found.width, found.height) == (width, height):
        return found.frames[0]
    return [pose.scaled(width / found.width, height / found.height) for pose in found.frames[0]]


def person_json(pose: Pose) -> dict[str, list[float]]:
    """One of the 'people' of a frame; `read_keypoints` returns the same numbers."""
    parts = {
        "pose_keypoints_2d": pose.body,
        "hand_left_keypoints_2d": pose.left_hand,
        "hand_right_keypoints_2d": pose.right_hand,
        "face_keypoints_2d": pose.face,
    }
    return {key: part.ravel().tolist() for key, part in parts.items() if part is not None}


def _wrong(about: str, what: str, remedy: str = _FORMAT_REMEDY) -> NoReturn:
    raise MotionError(f"The {about} can't be used: {what}.", remedy)


def _parsed(text: str, about: str) -> Any:
    if len(text) > MAX_JSON_CHARACTERS:
        _wrong(
            about,
            f"it has {len(text)} characters, and {MAX_JSON_CHARACTERS} are possible",
            "Cut it to a shorter passage.",
        )

    def refuse_constant(constant: str) -> NoReturn:
        _wrong(about, f"it holds {constant} instead of a number")

    try:
        text.encode()  # half of a surrogate pair can't be encoded again
        return json.loads(text, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise MotionError(
            f"The {about} can't be used: it is no valid JSON.", _FORMAT_REMEDY
        ) from error


def _frames(document: Any, about: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The frames in any of the three forms, and the object with what applies to all of them."""
    if isinstance(document, list):
        frames, head = document, {}
    elif isinstance(document, dict) and "frames" in document:
        frames, head = document["frames"], document
    elif isinstance(document, dict) and "people" in document:
        frames, head = [document], document
    else:
        _wrong(about, "it has neither 'frames' nor 'people'")
    if not isinstance(frames, list) or not frames:
        _wrong(about, "it has no frames")
    if len(frames) > MAX_FRAMES:
        _wrong(
            about,
            f"it has {len(frames)} frames, and {MAX_FRAMES} are possible",
            "Cut it to a shorter passage, or take every second frame.",
        )
    for i, frame in enumerate(frames):
        if not isinstance(frame, dict):
            _wrong(about, f"frame {i} is not an object")
    return frames, head


def _canvas(holders: Iterable[dict[str, Any]], about: str) -> tuple[int, int] | None:
    """The canvas on which document and frames agree, or None if none is given."""
    sizes = set()
    for holder in holders:
        width, height = holder.get("canvas_width"), holder.get("canvas_height")
        if width is None and height is None:
            continue
        sides = (
            _number(width, "'canvas_width'", about),
            _number(height, "'canvas_height'", about),
        )
        if not all(1 <= side <= MAX_SIDE_PX and side == int(side) for side in sides):
            _wrong(
                about,
                f"its canvas is {sides[0]:g}x{sides[1]:g}",
                f"Give whole numbers of pixels between 1 and {MAX_SIDE_PX}.",
            )
        sizes.add((int(sides[0]), int(sides[1])))
    if len(sizes) > 1:
        _wrong(about, "its frames have canvases of different sizes", "Give all frames one canvas.")
    return sizes.pop() if sizes else None


def _people(frame: dict[str, Any], where: str, about: str) -> list[Pose]:
    people = frame.get("people", [])
    if not isinstance(people, list) or len(people) > MAX_PEOPLE:
        _wrong(about, f"'people' in {where} is not a list of at most {MAX_PEOPLE}")
    return [_pose(person, where, about) for person in people]


def _pose(person: Any, where: str, about: str) -> Pose:
    if not isinstance(person, dict):
        _wrong(about, f"a person in {where} is not an object")
    body = _points(person, "pose_keypoints_2d", (JOINTS, _BODY_25), where, about)
    if body is None:
        return Pose.absent()
    return Pose(
        body if len(body) == JOINTS else body[list(_BODY_25_TO_18)],
        _points(person, "hand_left_keypoints_2d", (HAND_POINTS,), where, about),
        _points(person, "hand_right_keypoints_2d", (HAND_POINTS,), where, about),
        _points(person, "face_keypoints_2d", (FACE_POINTS,), where, about),
    )


def _points(
    person: dict[str, Any], key: str, counts: tuple[int, ...], where: str, about: str
) -> FloatArray | None:
    """The (points, 3) array under this key; None if missing, null or empty."""
    numbers = person.get(key)
    if numbers is None or numbers == []:
        return None
    if not isinstance(numbers, list) or len(numbers) not in [3 * count for count in counts]:
        length = f"{len(numbers)} numbers" if isinstance(numbers, list) else "not a list"
        wanted = " or ".join(str(3 * count) for count in counts)
        _wrong(about, f"'{key}' in {where} is {length} instead of {wanted} numbers")
    label = f"'{key}' in {where}"
    points = np.array([_number(v, label, about) for v in numbers]).reshape(-1, 3)
    if np.abs(points[:, :2]).max() > _LARGEST_PX:
        _wrong(
            about,
            f"{label} holds a coordinate beyond ±{_LARGEST_PX:.0f} pixels",
            "Give positions in pixels of the canvas, or as fractions of it.",
        )
    if points[:, 2].min() < 0 or points[:, 2].max() > _LARGEST_CONFIDENCE:
        _wrong(
            about,
            f"{label} holds a confidence outside 0 to 1",
            "Scale confidences to 0 (absent) to 1 (certain).",
        )
    points[:, 2] = np.minimum(points[:, 2], 1.0)
    return points


def _number(value: Any, what: str, about: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    _wrong(about, f"{what} holds something other than a finite number")


def _on_canvas(
    frames: list[list[Pose]], canvas: tuple[int, int] | None
) -> tuple[int, int, list[list[Pose]]]:
    """The canvas, and the poses in its pixels."""
    seen = np.concatenate(
        [np.zeros((0, 2)), *(p.xy[p.visible(0.0)] for people in frames for p in people)]
    )
    fractions = len(seen) > 0 and np.abs(seen).max() <= _LARGEST_FRACTION
    if canvas is None and (fractions or len(seen) == 0):
        canvas = (DEFAULT_SIDE_PX, DEFAULT_SIDE_PX)
    if canvas is None:
        right, bottom = np.clip(np.ceil(seen.max(axis=0)) + 1, 1, MAX_SIDE_PX)
        return int(right), int(bottom), frames
    width, height = canvas
    if fractions:
        frames = [[pose.scaled(width, height) for pose in people] for people in frames]
    return width, height, frames
