"""Where pose files hold their frames, and frames their people."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from poseanimate.poses.formats.limits import MAX_FRAMES, MAX_PEOPLE
from poseanimate.poses.formats.people import (
    PERSON_KEYS,
    SPACE_REMEDY,
    is_named_joints,
    is_points,
)
from poseanimate.poses.formats.remarks import Notes, Refused

ANIMAL_REMEDY = "Choose a motion of a person; animals can't be animated."
_LONG_REMEDY = "Cut it to a shorter passage, or take every second frame."

_PEOPLE_KEYS = ("people", "bodies", "instances", "predictions", "persons")
_LANDMARK_KEYS = ("landmarks", "pose_landmarks", "poseLandmarks", "keypoints")
_FRAME_KEYS = frozenset((*_PEOPLE_KEYS, *PERSON_KEYS, "animals", "pose"))
_NUMBER_KEYS = ("frame_id", "frame", "frame_index", "image_id")
_BOX_KEYS = ("box", "bbox", "bbox_score")
_ANIMALS = ("ap10k", "ap-10k", "animal", "atrw", "horse", "zebra", "fly", "locust")


@dataclass(frozen=True)
class Frame:
    """One frame of a file.

    people: the persons as they are in the file. number: of the frame in its video; None if it has none.
    head: the object that holds what is true of the frame, such as its canvas.
    """

    people: Sequence[Any]
    number: int | None = None
    head: Mapping[str, Any] = field(default_factory=dict)


def find_frames(document: Any, notes: Notes) -> tuple[list[Frame], Mapping[str, Any]]:
    """The frames of a JSON value, and the object with what is true of all of them.

    Raises:
        Refused: it is no pose file, or one of a kind that can't be used.
    """
    head = document if isinstance(document, Mapping) else {}
    _refuse_kinds(head)
    listed = _list_frames(document)
    if len(listed) > MAX_FRAMES:
        raise Refused(f"it has {len(listed)} frames, and {MAX_FRAMES} are possible", _LONG_REMEDY)
    frames = []
    known = False
    for i, (number, value) in enumerate(listed):
        people = _list_people(value, f"frame {i}")
        known |= people is not None
        holder = value[0] if isinstance(value, list) and len(value) == 1 else value
        holder = holder if isinstance(holder, Mapping) else {}
        if number is None:
            number = _number_of(holder)
        frames.append(Frame(people or (), number, holder))
    if not known:
        raise Refused("its frames have no 'people'")
    return frames, head


def fill_gaps(frames: list[Frame], notes: Notes) -> list[Frame]:
    """Sorts numbered frames, and puts empty ones where numbers are missing: some tools skip frames without people."""
    numbers = [frame.number for frame in frames if frame.number is not None]
    if len(numbers) < len(frames) or len(set(numbers)) < len(numbers) or len(numbers) < 2:
        return frames
    ordered = sorted(frames, key=lambda frame: frame.number or 0)
    steps = [(b.number or 0) - (a.number or 0) for a, b in pairwise(ordered)]
    step = math.gcd(*steps)
    total = sum(steps) // step + 1
    # far fewer frames than numbers: those are something else, such as times
    if total == len(frames) or total > min(2 * len(frames), MAX_FRAMES):
        return ordered
    notes.add(f"Frames that are missing in the file, and show nobody: {total - len(frames)}")
    filled = [ordered[0]]
    for frame, distance in zip(ordered[1:], steps, strict=True):
        filled += [Frame(())] * (distance // step - 1)
        filled.append(frame)
    return filled


def _refuse_kinds(head: Mapping[str, Any]) -> None:
    """Names the kinds of files that hold no joints of a person in a picture."""
    data = head.get("dataList")
    if (
        isinstance(data, list)
        and data
        and isinstance(data[0], Mapping)
        and "jointAngles" in data[0]
    ):
        raise Refused("it holds the joint angles of a figure in space (Unity)", SPACE_REMEDY)
    about = head.get("meta_info")
    name = str(about.get("dataset_name", ""))[:40] if isinstance(about, Mapping) else ""
    if any(animal in name.lower() for animal in _ANIMALS):
        raise Refused(f"it holds the joints of animals ({name})", ANIMAL_REMEDY)


def _list_frames(document: Any) -> list[tuple[int | None, Any]]:
    """Frames with their numbers."""
    if isinstance(document, Mapping):
        for key in ("frames", "poses", "instance_info"):  # ours, an API's answer, MMPose
            if key in document:
                return [(None, frame) for frame in _require_frames(document[key])]
        if "annotations" in document:  # COCO
            return _by_image(_require_frames(document["annotations"]))
        if _FRAME_KEYS & document.keys():
            return [(None, document)]
        return _by_name(document)
    if not isinstance(document, list):
        raise Refused("it has neither 'frames' nor 'people'")
    frames = _require_frames(document)
    if is_points(frames) or _are_people_of_one_picture(frames):
        return [(None, frames)]
    if all(isinstance(each, Mapping) and "image_id" in each for each in frames):  # AlphaPose
        return _by_image(frames)
    return [(None, frame) for frame in frames]


def _require_frames(value: Any) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise Refused("it has no frames")
    return value


def _by_name(document: Mapping[str, Any]) -> list[tuple[int | None, Any]]:
    """Frames under names with numbers, such as "frame_0001"."""
    numbers = [_last_number(name) for name in document]
    if not document or None in numbers:
        raise Refused("it has neither 'frames' nor 'people'")
    return list(zip(numbers, document.values(), strict=True))


def _by_image(people: list[Any]) -> list[tuple[int | None, Any]]:
    """Frames of people that name their images."""
    images: dict[int | str, list[Any]] = {}
    for person in people:
        image = person.get("image_id") if isinstance(person, Mapping) else None
        if not isinstance(image, int | str):
            raise Refused("a person in it has no 'image_id'")
        images.setdefault(image, []).append(person)
    numbers = [image if isinstance(image, int) else _last_number(image) for image in images]
    return list(zip(numbers, images.values(), strict=True))


def _are_people_of_one_picture(frames: list[Any]) -> bool:
    """Whether a list is not of frames but of people with their boxes, as Ultralytics and MMPose write them."""
    return all(
        isinstance(each, Mapping)
        and "keypoints" in each
        and any(key in each for key in _BOX_KEYS)
        and not any(key in each for key in _NUMBER_KEYS)
        for each in frames
    )


def _list_people(frame: Any, where: str) -> Sequence[Any] | None:
    """The people in a frame; None where nothing says that there are any or none."""
    people = _find_people(frame, where)
    if people is None:
        return None
    if not isinstance(people, list) or len(people) > MAX_PEOPLE:
        raise Refused(f"'people' in {where} is not a list of at most {MAX_PEOPLE}")
    return people


def _find_people(frame: Any, where: str) -> Any:
    if frame is None or frame == {}:
        return []
    if isinstance(frame, list):
        if is_points(frame):
            return [frame]
        if len(frame) == 1 and isinstance(frame[0], Mapping) and "people" in frame[0]:
            return _find_people(frame[0], where)
        return frame
    if not isinstance(frame, Mapping):
        raise Refused(f"{where} is not an object")
    if frame.get("animals") and not frame.get("people"):
        raise Refused("it holds the joints of animals (AP-10K)", ANIMAL_REMEDY)
    for key in _PEOPLE_KEYS:
        if key in frame:
            return [] if frame[key] is None else frame[key]
    for key in _LANDMARK_KEYS:
        points = frame.get(key)
        if isinstance(points, list) and points and not is_points(points):
            return points  # one list per person
    if PERSON_KEYS & frame.keys() or isinstance(frame.get("pose"), Mapping):
        return [frame]
    if is_named_joints(frame):
        return [frame]
    if all(isinstance(each, Mapping) for each in frame.values()):  # by names, "person_0"
        return list(frame.values())
    return None


def _number_of(frame: Mapping[str, Any]) -> int | None:
    for key in _NUMBER_KEYS:
        number = frame.get(key)
        if isinstance(number, int) and not isinstance(number, bool):
            return number
    return None


def _last_number(name: str) -> int | None:
    """The last number in a name: 12 of "dance_000000000012_keypoints"."""
    numbers = re.findall(r"\d{1,15}", name[:200])
    return int(numbers[-1]) if numbers else None
