"""Files of recorded motion (BVH): their skeleton and where its joints are in every frame.

A parser of its own. The libraries there are compute joint by joint in Python, put no limit on what they read, and bring
compiled or drawing packages along.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from poseanimate.errors import MotionError
from poseanimate.poses.keypoints import MAX_FRAMES

FloatArray = npt.NDArray[np.float64]

BVH_START = b"HIERARCHY"
MAX_BVH_JOINTS = 1000
MAX_DEPTH = 100
MAX_HEADER_CHARACTERS = 1_000_000
MAX_NAME_CHARACTERS = 200  # of a joint; a name of a megabyte takes a minute to understand
USEFUL_FPS, LEAST_FPS = 30.0, 10.0

_MAX_NUMBER = 1e7
_MIN_FRAME_S, _MAX_FRAME_S = 1e-4, 10.0
_CHANNELS = ("xposition", "yposition", "zposition", "xrotation", "yrotation", "zrotation")


@dataclass
class BvhJoint:
    """A joint. parent: its index, or -1. channels: indices of x, y, z position and x, y, z rotation, as ordered."""

    name: str
    parent: int
    offset: FloatArray = field(default_factory=lambda: np.zeros(3))
    channels: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Recording:
    """A recorded motion.

    joints: each after its parent. values: (frames, channels of all joints), positions in the file's unit and angles in
    degrees. fps: at most USEFUL_FPS.
    """

    joints: list[BvhJoint]
    values: FloatArray
    fps: float

    def rest(self) -> FloatArray:
        """(joints, 3): the positions where no joint is turned."""
        still = [BvhJoint(joint.name, joint.parent, joint.offset) for joint in self.joints]
        return place_joints(still, np.zeros((1, 0)))[0][0]

    def places(self) -> tuple[FloatArray, FloatArray]:
        """Positions (frames, joints, 3) and rotations (frames, joints, 3, 3) of all joints."""
        return place_joints(self.joints, self.values)


def read_recording(text: str, start_s: float = 0.0, end_s: float | None = None) -> Recording:
    """Reads a BVH file; of faster ones every second or n-th frame.

    Args:
        start_s, end_s: the part to read, in seconds; end_s None reads to the end.

    Raises:
        MotionError: not BVH, damaged, too many joints, or an empty or too long part.
    """
    header, *motion = re.split(r"(?mi)^[ \t]*MOTION\b", text, maxsplit=1)
    if not motion:
        raise _damaged("it has no MOTION")
    joints = _read_joints(header)
    lines = [line for line in motion[0].splitlines() if line.strip()]
    count, frame_s = _read_length(lines[:2])
    frames = lines[2:]
    if len(frames) != count:
        raise _damaged(f"it promises {count} frames and holds {len(frames)}")
    first, last, stride = _choose_frames(count, frame_s, start_s, end_s)
    width = sum(len(joint.channels) for joint in joints)
    values = np.stack([_read_numbers(line, width) for line in frames[first:last:stride]])
    return Recording(joints, values, 1 / frame_s / stride)


def _read_joints(header: str) -> list[BvhJoint]:
    if len(header) > MAX_HEADER_CHARACTERS:
        raise _damaged("its skeleton is a megabyte long")
    joints: list[BvhJoint] = []
    open_joints: list[int] = []
    begun: int | None = None  # a joint whose brace is still to come
    for line in _split_lines(header):
        keyword, _, rest = line.partition(" ")
        keyword = keyword.upper()
        if keyword in ("ROOT", "JOINT", "END"):
            name = "" if keyword == "END" else rest.strip()[:MAX_NAME_CHARACTERS]
            joints.append(BvhJoint(name, open_joints[-1] if open_joints else -1))
            begun = len(joints) - 1
        elif keyword == "{":
            if begun is None:
                raise _damaged("its braces don't match")
            open_joints.append(begun)
            begun = None
        elif not open_joints:
            if keyword != "HIERARCHY":
                raise _damaged(f"{line[:40]!r} stands outside of every joint")
        elif keyword == "}":
            open_joints.pop()
        elif keyword == "OFFSET":
            joints[open_joints[-1]].offset = _read_numbers(rest, 3)
        elif keyword == "CHANNELS":
            joints[open_joints[-1]].channels = _read_channels(rest)
        else:
            raise _damaged(f"{line[:40]!r} is unknown in a skeleton")
        if len(joints) > MAX_BVH_JOINTS or len(open_joints) > MAX_DEPTH:
            raise MotionError(
                f"The skeleton of this BVH file has more than {MAX_BVH_JOINTS} joints, or more than "
                f"{MAX_DEPTH} in a row.",
                "Export a skeleton of the body alone.",
            )
    if open_joints or begun is not None:
        raise _damaged("its braces don't match")
    return joints


def _split_lines(header: str) -> Iterator[str]:
    """The lines without blanks around, braces on their own, and single blanks within."""
    for line in re.sub(r"([{}])", r"\n\1\n", header).splitlines():
        if line.strip():
            yield " ".join(line.split())


def _read_channels(text: str) -> tuple[int, ...]:
    count, *names = text.lower().split() or [""]
    if not set(names) <= {*_CHANNELS} or count != str(len(names)) or len(names) > len(_CHANNELS):
        raise _damaged(f"the channels {text[:60]!r} are unknown")
    return tuple(_CHANNELS.index(name) for name in names)


def _read_length(lines: list[str]) -> tuple[int, float]:
    """The number of frames, and the seconds of each."""
    found = re.fullmatch(
        r"\s*frames\s*:\s*(\d{1,9})\s*\n\s*frame\s+time\s*:\s*(\S+)\s*", "\n".join(lines), re.I
    )
    if not found:
        raise _damaged("it doesn't say how many frames it has and how long they last")
    frame_s = float(_read_numbers(found[2], 1)[0])
    if not _MIN_FRAME_S <= frame_s <= _MAX_FRAME_S:
        raise _damaged(f"a frame lasts {frame_s:g} s")
    return int(found[1]), frame_s


def _choose_frames(
    count: int, frame_s: float, start_s: float, end_s: float | None
) -> tuple[int, int, int]:
    """First, last and stride of the frames to read."""
    duration_s = count * frame_s
    end_s = duration_s if end_s is None else min(end_s, duration_s)
    if not 0 <= start_s < end_s:
        raise MotionError(
            f"The part from {start_s:g} s to {end_s:g} s of the motion is empty.",
            f"It lasts {duration_s:.2f} s: give a start from 0 and an end after it.",
        )
    first = min(round(start_s / frame_s), count - 1)
    last = max(round(end_s / frame_s), first + 1)
    useful = math.ceil(1 / frame_s / USEFUL_FPS - 0.01)  # 120.01 frames are 4 times 30
    stride = max(1, useful, math.ceil((last - first) / MAX_FRAMES))
    if stride > max(1, useful) and 1 / frame_s / stride < LEAST_FPS:
        raise MotionError(
            f"The motion is too long: {end_s - start_s:.0f} s, at most "
            f"{MAX_FRAMES / LEAST_FPS:.0f} are read.",
            "Choose a part of it with a start and an end.",
        )
    return first, last, stride


def _read_numbers(text: str, count: int) -> FloatArray:
    words = text.split()
    try:
        numbers = np.array([float(word) for word in words])
    except ValueError as error:
        raise _damaged(f"{text.strip()[:40]!r} are no numbers") from error
    if len(words) != count:
        raise _damaged(f"a line has {len(words)} numbers instead of {count}")
    if not (np.abs(numbers) <= _MAX_NUMBER).all():  # true for NaN
        raise _damaged("a number is not finite or too large")
    return numbers


def place_joints(joints: list[BvhJoint], values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Forward kinematics: positions (frames, joints, 3) and rotations (frames, joints, 3, 3).

    A joint's rotations are multiplied in the order of its channels; its positions take the offset's place.
    """
    positions = np.zeros((len(values), len(joints), 3))
    rotations = np.zeros((len(values), len(joints), 3, 3))
    column = 0
    for index, joint in enumerate(joints):
        move = np.tile(joint.offset, (len(values), 1))
        turn = np.tile(np.eye(3), (len(values), 1, 1))
        for channel in joint.channels:
            if channel < 3:
                move[:, channel] = values[:, column]
            else:
                turn = turn @ _rotations(channel - 3, values[:, column])
            column += 1
        if joint.parent >= 0:
            around = rotations[:, joint.parent]
            move = positions[:, joint.parent] + np.einsum("fij,fj->fi", around, move)
            turn = around @ turn
        positions[:, index], rotations[:, index] = move, turn
    return positions, rotations


def _rotations(axis: int, degrees: FloatArray) -> FloatArray:
    """(frames, 3, 3): rotations about x, y or z, counterclockwise as seen from its tip."""
    radians = np.radians(degrees)
    one, other = (axis + 1) % 3, (axis + 2) % 3
    turn = np.zeros((len(degrees), 3, 3))
    turn[:, axis, axis] = 1.0
    turn[:, one, one] = turn[:, other, other] = np.cos(radians)
    turn[:, other, one] = np.sin(radians)
    turn[:, one, other] = -np.sin(radians)
    return turn


def _damaged(what: str) -> MotionError:
    return MotionError(f"The BVH file is damaged: {what}.", "Export it again.")
