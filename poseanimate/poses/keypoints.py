"""Pose files from untrusted sources, and our own; sizes, lengths and numbers are checked before use."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from poseanimate.errors import MotionError, PictureError
from poseanimate.poses.formats import units
from poseanimate.poses.formats.layouts import Frame, fill_gaps, find_frames
from poseanimate.poses.formats.limits import (
    MAX_FPS,
    MAX_FRAMES,
    MAX_JSON_CHARACTERS,
    MAX_PEOPLE,
    MAX_SIDE_PX,
    MIN_FPS,
)
from poseanimate.poses.formats.people import Person, order_people, read_person
from poseanimate.poses.formats.remarks import Notes, Refused
from poseanimate.poses.formats.text import read_documents
from poseanimate.poses.measures import box_diagonal
from poseanimate.poses.skeleton import Pose

__all__ = [
    "MAX_FPS",
    "MAX_FRAMES",
    "MAX_JSON_CHARACTERS",
    "MAX_PEOPLE",
    "MAX_PICTURE_CHARACTERS",
    "MAX_SIDE_PX",
    "MIN_FPS",
    "Keypoints",
    "people_json",
    "person_json",
    "read_keypoints",
    "read_people",
]

MAX_PICTURE_CHARACTERS = 90_000  # the most a bundle can hold

_SHORTER_REMEDY = "Cut it to a shorter passage."


@dataclass(frozen=True, eq=False)
class Keypoints:
    """The content of a keypoint file.

    frames: the people of every frame, in pixels of a canvas of width x height.
    numbers: by which the file knows these people from frame to frame; None where it doesn't.
    fps: frames per second; None if the file names no rate.
    notes: sentences about what was left out or assumed.
    """

    frames: list[list[Pose]]
    numbers: list[list[int | None]]
    width: int
    height: int
    fps: float | None
    notes: tuple[str, ...] = ()


def read_keypoints(text: str, about: str) -> Keypoints:
    """Reads the joints of people from the JSON of OpenPose and of many other tools (`formats`).

    Among them are our own (an object with 'frames'), OpenPose's frames one by one, as a list and as JSON lines, and
    what ComfyUI, AlphaPose, MMPose, MediaPipe and Ultralytics write. Joints in other orders become the 18 of
    `skeleton`. Coordinates are in pixels, or fractions of the canvas from 0 or -1 to 1; each part of the body is
    looked at for itself. With "units": "pixels", as in our own files, numbers are taken as they are. A missing canvas
    is 512x512 for fractions, otherwise just large enough for the joints.

    Args:
        about: what the text describes, as worded after "The": "motion 'walk'".

    Raises:
        MotionError: the text is too long, not JSON, in another form, has too many frames, or
            contains impossible numbers.
    """
    return read_keypoint_files([(None, text)], about)


def read_keypoint_files(files: Sequence[tuple[int | None, str]], about: str) -> Keypoints:
    """As `read_keypoints`, of several texts, whose frames follow each other.

    Args:
        files: the number of the text's frame, if it has one of its own, and the text.

    Raises:
        MotionError: see there.
    """
    try:
        length = sum(len(text) for _, text in files)
        if length > MAX_JSON_CHARACTERS:
            raise Refused(
                f"it has {length} characters, and {MAX_JSON_CHARACTERS} are possible",
                _SHORTER_REMEDY,
            )
        return _read(files)
    except Refused as refusal:
        raise MotionError(
            f"The {about} can't be used: {refusal.what}.", refusal.remedy
        ) from refusal


def _read(files: Sequence[tuple[int | None, str]]) -> Keypoints:
    notes = Notes()
    frames: list[Frame] = []
    heads = []
    for number, text in files:
        for document in read_documents(text):
            found, head = find_frames(document, notes)
            if number is not None and len(found) == 1:
                found = [replace(found[0], number=number)]
            frames += found
            heads.append(head)
            _check_count(len(frames))
    frames = fill_gaps(frames, notes)
    people = [
        [read_person(person, f"frame {i}", notes) for person in frame.people]
        for i, frame in enumerate(frames)
    ]
    everybody = [person for persons in people for person in persons]
    parts = {part for person in everybody for part in person.parts}
    if parts and "body" not in parts:
        raise Refused("it holds hands or faces, but no bodies")
    orders = order_people(everybody, notes)
    exact = units.are_exact(heads)
    units.drop_missing(everybody, exact, notes)
    units.scale_confidences(everybody, exact, notes)
    canvas = units.find_canvas([*heads, *(frame.head for frame in frames)], notes)
    width, height = units.to_pixels(everybody, canvas, exact, notes)
    poses = [[_pose(person) for person in persons] for persons in people]
    if not exact:
        _check_extent([pose for persons in poses for pose in persons], orders)
    rates = [rate for rate in map(units.read_rate, heads) if rate is not None]
    return Keypoints(
        poses,
        [[person.number for person in persons] for persons in people],
        width,
        height,
        rates[0] if rates else None,
        notes.sentences(),
    )


def people_json(people: Sequence[Pose], width: int, height: int) -> str:
    """The people in one picture of width x height pixels as JSON; `read_people` returns the same numbers."""
    frame = {
        "units": units.PIXELS,
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


def _pose(person: Person) -> Pose:
    """A person's pose; hands and a face without a body are nobody's."""
    parts = person.parts
    if "body" not in parts:
        return Pose.absent()
    return Pose(parts["body"], parts.get("left_hand"), parts.get("right_hand"), parts.get("face"))


def _check_count(frames: int) -> None:
    if frames > MAX_FRAMES:
        raise Refused(f"it has {frames} frames, and {MAX_FRAMES} are possible", _SHORTER_REMEDY)


def _check_extent(poses: Sequence[Pose], orders: Sequence[str]) -> None:
    """Refuses files whose people are points, as a tool writes that has found nothing."""
    seen = [pose.xy[pose.visible(0.0)] for pose in poses]
    seen = [xy for xy in seen if len(xy) > 1]
    if seen and not any(box_diagonal(xy) > 0 for xy in seen):
        raise Refused(
            f"all its joints lie in one point (order: {', '.join(orders) or 'by name'})",
            "Find the poses again with the tool that wrote the file, and look at its drawing of them.",
        )
