"""Motions: sequences of poses with a frame rate, read from pose JSON or by a preset's name.

Everything that is read here may come from strangers: sizes, lengths and numbers are checked
before they are used, and what can't be used raises `MotionError` with a remedy.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from poseanimate.errors import MotionError
from poseanimate.poses.skeleton import FACE_POINTS, HAND_POINTS, JOINTS, FloatArray, Pose

MAX_FRAMES = 2000
MAX_JSON_CHARACTERS = 32_000_000
MAX_SIDE_PX = 16_384
MAX_PEOPLE = 100
MIN_FPS, MAX_FPS = 0.1, 240.0
DEFAULT_FPS = 12.0
DEFAULT_SIDE_PX = 512

PRESETS_FOLDER = Path(__file__).resolve().parents[2] / "presets" / "motions"

# A person measured in pixels is never this small: such numbers are fractions of the canvas.
_LARGEST_FRACTION = 2.0
# Pixels this far outside are no detections any more but a broken file.
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
class Motion:
    """A sequence of poses of one person.

    Args:
        poses: 1 to 2000 poses in pixels of the motion's canvas; nobody need be in every one.
        width, height: the canvas in pixels, 1 to 16384.
        fps: frames per second, 0.1 to 240.
        name: what a person calls it.
        people: the most that were seen in one of the frames that the poses came from.

    Raises:
        MotionError: one of these is outside its range.
    """

    poses: tuple[Pose, ...]
    width: int
    height: int
    fps: float
    name: str
    people: int = 1

    def __post_init__(self) -> None:
        if not 1 <= len(self.poses) <= MAX_FRAMES:
            raise MotionError(
                f"A motion has {len(self.poses)} frames; 1 to {MAX_FRAMES} are possible.",
                "Cut it to a shorter passage, or take every second frame."
                if self.poses
                else "Choose a motion that holds at least one pose.",
            )
        if not (1 <= self.width <= MAX_SIDE_PX and 1 <= self.height <= MAX_SIDE_PX):
            raise MotionError(
                f"A motion's canvas is {self.width}x{self.height} pixels.",
                f"Give a canvas with sides between 1 and {MAX_SIDE_PX} pixels.",
            )
        if not MIN_FPS <= self.fps <= MAX_FPS:  # false for NaN
            raise MotionError(
                f"A motion's frame rate is {self.fps}.",
                f"Give {MIN_FPS:g} to {MAX_FPS:g} frames per second.",
            )

    @property
    def duration_s(self) -> float:
        """How long the motion lasts, in seconds."""
        return len(self.poses) / self.fps

    def to_json(self) -> str:
        """The motion as OpenPose keypoint JSON; `from_json` gives back the same numbers."""
        frames = [{"people": [_person_json(pose)]} for pose in self.poses]
        document = {
            "fps": self.fps,
            "canvas_width": self.width,
            "canvas_height": self.height,
            "frames": frames,
        }
        return json.dumps(document, separators=(",", ":"), allow_nan=False)

    @staticmethod
    def from_json(text: str, name: str) -> Motion:
        """Reads OpenPose keypoint JSON.

        Read are: our own form (an object with 'frames'), one OpenPose frame (an object with
        'people'), and a list of such frames. Bodies have 18 joints or, as BODY_25, 25. Of several
        people in a frame the largest is taken. Where all coordinates are fractions of the canvas
        they are multiplied by it; a canvas that is not given is 512x512 for fractions, else just
        as large as the joints need.

        Raises:
            MotionError: the text is too long, no JSON, of another form, has too many frames, or
                holds numbers that can't be.
        """
        frames, head = _frames(_parsed(text, name), name)
        fps = _number(head.get("fps", DEFAULT_FPS), "the frame rate 'fps'", name)
        poses = [_largest_pose(frame, f"frame {i}", name) for i, frame in enumerate(frames)]
        width, height, poses = _placed(poses, _canvas([head, *frames], name))
        people = max(len(frame.get("people", [])) for frame in frames)
        return Motion(tuple(poses), width, height, fps, name, max(people, 1))


def preset_names() -> list[str]:
    """The names of the motions that come with the program, in alphabetical order."""
    return sorted(path.stem for path in PRESETS_FOLDER.glob("*.json"))


def load_preset(name: str) -> Motion:
    """The preset motion of this name.

    Raises:
        MotionError: there is none of this name (the message lists the known ones), or its file
            can't be read.
    """
    known = preset_names()
    if name not in known:
        raise MotionError(
            f"There is no preset motion named {name[:80]!r}.",
            f"Choose one of: {', '.join(known)}."
            if known
            else f"No presets are installed; put motions as JSON files into {PRESETS_FOLDER}.",
        )
    try:
        text = (PRESETS_FOLDER / f"{name}.json").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MotionError(
            f"The preset motion {name!r} can't be read ({type(error).__name__}).",
            f"Restore its file in {PRESETS_FOLDER}.",
        ) from error
    return Motion.from_json(text, name)


def preset_thumbnail(name: str) -> Path | None:
    """The preset's moving thumbnail (GIF), or None where it has none."""
    path = PRESETS_FOLDER / f"{name}.gif"
    return path if name in preset_names() and path.is_file() else None


def _wrong(name: str, what: str, remedy: str = _FORMAT_REMEDY) -> NoReturn:
    raise MotionError(f"The motion {name[:80]!r} can't be used: {what}.", remedy)


def _parsed(text: str, name: str) -> Any:
    if len(text) > MAX_JSON_CHARACTERS:
        _wrong(
            name,
            f"it has {len(text)} characters, and {MAX_JSON_CHARACTERS} are possible",
            "Cut it to a shorter passage.",
        )

    def refuse_constant(constant: str) -> NoReturn:
        _wrong(name, f"it holds {constant} instead of a number")

    try:
        return json.loads(text, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise MotionError(
            f"The motion {name[:80]!r} can't be used: it is no valid JSON.", _FORMAT_REMEDY
        ) from error


def _frames(document: Any, name: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The frames of any of the three forms, and the object that holds what is said once."""
    if isinstance(document, list):
        frames, head = document, {}
    elif isinstance(document, dict) and "frames" in document:
        frames, head = document["frames"], document
    elif isinstance(document, dict) and "people" in document:
        frames, head = [document], document
    else:
        _wrong(name, "it has neither 'frames' nor 'people'")
    if not isinstance(frames, list) or not frames:
        _wrong(name, "it has no frames")
    if len(frames) > MAX_FRAMES:
        _wrong(
            name,
            f"it has {len(frames)} frames, and {MAX_FRAMES} are possible",
            "Cut it to a shorter passage, or take every second frame.",
        )
    for i, frame in enumerate(frames):
        if not isinstance(frame, dict):
            _wrong(name, f"frame {i} is no object")
    return frames, head


def _canvas(holders: Iterable[dict[str, Any]], name: str) -> tuple[int, int] | None:
    """The one canvas that document and frames agree upon, or None where none is given."""
    sizes = set()
    for holder in holders:
        width, height = holder.get("canvas_width"), holder.get("canvas_height")
        if width is None and height is None:
            continue
        sides = (
            _number(width, "'canvas_width'", name),
            _number(height, "'canvas_height'", name),
        )
        if not all(1 <= side <= MAX_SIDE_PX and side == int(side) for side in sides):
            _wrong(
                name,
                f"its canvas is {sides[0]:g}x{sides[1]:g}",
                f"Give whole numbers of pixels between 1 and {MAX_SIDE_PX}.",
            )
        sizes.add((int(sides[0]), int(sides[1])))
    if len(sizes) > 1:
        _wrong(name, "its frames have canvases of different sizes", "Give all frames one canvas.")
    return sizes.pop() if sizes else None


def _largest_pose(frame: dict[str, Any], where: str, name: str) -> Pose:
    people = frame.get("people", [])
    if not isinstance(people, list) or len(people) > MAX_PEOPLE:
        _wrong(name, f"'people' in {where} is no list of at most {MAX_PEOPLE}")
    return max((_pose(person, where, name) for person in people), key=_size, default=Pose.absent())


def _size(pose: Pose) -> float:
    seen = pose.xy[pose.visible()]
    return float(np.hypot(*np.ptp(seen, axis=0))) if len(seen) else -1.0


def _pose(person: Any, where: str, name: str) -> Pose:
    if not isinstance(person, dict):
        _wrong(name, f"a person in {where} is no object")
    body = _points(person, "pose_keypoints_2d", (JOINTS, _BODY_25), where, name)
    if body is None:
        return Pose.absent()
    return Pose(
        body if len(body) == JOINTS else body[list(_BODY_25_TO_18)],
        _points(person, "hand_left_keypoints_2d", (HAND_POINTS,), where, name),
        _points(person, "hand_right_keypoints_2d", (HAND_POINTS,), where, name),
        _points(person, "face_keypoints_2d", (FACE_POINTS,), where, name),
    )


def _points(
    person: dict[str, Any], key: str, counts: tuple[int, ...], where: str, name: str
) -> FloatArray | None:
    """The (points, 3) array under this key; None where it is missing, null or empty."""
    numbers = person.get(key)
    if numbers is None or numbers == []:
        return None
    if not isinstance(numbers, list) or len(numbers) not in [3 * count for count in counts]:
        length = f"{len(numbers)} numbers" if isinstance(numbers, list) else "no list"
        wanted = " or ".join(str(3 * count) for count in counts)
        _wrong(name, f"'{key}' in {where} is {length} instead of {wanted} numbers")
    label = f"'{key}' in {where}"
    points = np.array([_number(v, label, name) for v in numbers]).reshape(-1, 3)
    if np.abs(points[:, :2]).max() > _LARGEST_PX:
        _wrong(
            name,
            f"{label} holds a coordinate beyond ±{_LARGEST_PX:.0f} pixels",
            "Give positions in pixels of the canvas, or as fractions of it.",
        )
    if points[:, 2].min() < 0 or points[:, 2].max() > _LARGEST_CONFIDENCE:
        _wrong(
            name,
            f"{label} holds a confidence outside 0 to 1",
            "Scale confidences to 0 (absent) to 1 (certain).",
        )
    points[:, 2] = np.minimum(points[:, 2], 1.0)
    return points


def _number(value: Any, what: str, name: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    _wrong(name, f"{what} holds something else than a finite number")


def _placed(poses: list[Pose], canvas: tuple[int, int] | None) -> tuple[int, int, list[Pose]]:
    """The canvas and the poses in its pixels."""
    seen = np.concatenate([pose.xy[pose.visible(0.0)] for pose in poses])
    fractions = len(seen) > 0 and np.abs(seen).max() <= _LARGEST_FRACTION
    if canvas is None and (fractions or len(seen) == 0):
        canvas = (DEFAULT_SIDE_PX, DEFAULT_SIDE_PX)
    if canvas is None:
        right, bottom = np.clip(np.ceil(seen.max(axis=0)) + 1, 1, MAX_SIDE_PX)
        return int(right), int(bottom), poses
    width, height = canvas
    return width, height, [pose.scaled(width, height) for pose in poses] if fractions else poses


def _person_json(pose: Pose) -> dict[str, list[float]]:
    parts = {
        "pose_keypoints_2d": pose.body,
        "hand_left_keypoints_2d": pose.left_hand,
        "hand_right_keypoints_2d": pose.right_hand,
        "face_keypoints_2d": pose.face,
    }
    return {key: part.ravel().tolist() for key, part in parts.items() if part is not None}
