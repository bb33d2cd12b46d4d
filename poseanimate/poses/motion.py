"""Motions: sequences of poses with a frame rate, from pose JSON or a preset."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from poseanimate.errors import MotionError
from poseanimate.poses.keypoints import (
    MAX_FPS,
    MAX_FRAMES,
    MAX_SIDE_PX,
    MIN_FPS,
    person_json,
    read_keypoints,
)
from poseanimate.poses.measures import person_size
from poseanimate.poses.skeleton import Pose
from poseanimate.resources import resource_folder

PRESETS_FOLDER = resource_folder("presets") / "motions"


@dataclass(frozen=True, eq=False)
class Motion:
    """A sequence of poses of one person.

    Args:
        poses: 1 to 2000 poses in pixels of the motion's canvas; some may be empty.
        width, height: the canvas in pixels, 1 to 16384.
        fps: frames per second, 0.1 to 240.
        name: a human-readable name.
        people: the largest number of people in any frame of the original.

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
        """The motion's duration in seconds."""
        return len(self.poses) / self.fps

    def mirrored(self) -> Motion:
        """The mirror image of the motion."""
        return replace(self, poses=tuple(pose.mirrored(self.width) for pose in self.poses))

    def to_json(self) -> str:
        """The motion as OpenPose keypoint JSON; `from_json` returns the same numbers."""
        frames = [{"people": [person_json(pose)]} for pose in self.poses]
        document = {
            "fps": self.fps,
            "canvas_width": self.width,
            "canvas_height": self.height,
            "frames": frames,
        }
        return json.dumps(document, separators=(",", ":"), allow_nan=False)

    @staticmethod
    def from_json(text: str, name: str) -> Motion:
        """Reads the largest person in each frame of OpenPose keypoint JSON (`read_keypoints`).

        Raises:
            MotionError: see `read_keypoints`.
        """
        found = read_keypoints(text, f"motion {name[:80]!r}")
        poses = tuple(
            max(people, key=_visible_size, default=Pose.absent()) for people in found.frames
        )
        most = max(map(len, found.frames))
        return Motion(poses, found.width, found.height, found.fps, name, max(most, 1))


def preset_names() -> list[str]:
    """The names of the preset motions, in alphabetical order."""
    return sorted(path.stem for path in PRESETS_FOLDER.glob("*.json"))


def load_preset(name: str) -> Motion:
    """The preset motion of this name.

    Raises:
        MotionError: there is none of this name (the message lists the known ones), or its file is
            unreadable.
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


def _visible_size(pose: Pose) -> tuple[bool, float]:
    """Sort key for people by size; one visible joint ranks above none."""
    return bool(pose.visible().any()), person_size(pose)
