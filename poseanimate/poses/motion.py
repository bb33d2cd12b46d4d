"""Motions: sequences of poses with a frame rate, from pose JSON or a preset."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from poseanimate.errors import MotionError
from poseanimate.poses.follow import Follower
from poseanimate.poses.formats.limits import MAX_FPS, MAX_FRAMES, MAX_SIDE_PX, MIN_FPS
from poseanimate.poses.formats.units import PIXELS
from poseanimate.poses.keypoints import person_json, read_keypoint_files
from poseanimate.poses.skeleton import Pose
from poseanimate.resources import resource_folder

DEFAULT_FPS = 12.0  # of pose files that name no rate

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
        notes: sentences about what was left out or assumed when it was read.
        start_s: where the motion begins in the original, in seconds.
        rotate: degrees by which the original was turned clockwise.

    Raises:
        MotionError: one of these is outside its range.
    """

    poses: tuple[Pose, ...]
    width: int
    height: int
    fps: float
    name: str
    people: int = 1
    notes: tuple[str, ...] = ()
    start_s: float = 0.0
    rotate: int = 0

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

    def rotated(self, degrees: int) -> Motion:
        """The motion turned clockwise, on a canvas that is turned, too.

        Args:
            degrees: a multiple of 90.

        Raises:
            MotionError: another angle.
        """
        if degrees % 90:
            raise MotionError(f"The rotation is {degrees} degrees.", "Give 0, 90, 180 or 270.")
        motion = self
        for _ in range(degrees // 90 % 4):
            poses = tuple(pose.quarter_turned(motion.height) for pose in motion.poses)
            motion = replace(motion, poses=poses, width=motion.height, height=motion.width)
        return replace(motion, rotate=(self.rotate + degrees) % 360)

    def to_json(self) -> str:
        """The motion as OpenPose keypoint JSON; `from_json` returns the same numbers."""
        frames = [{"people": [person_json(pose)]} for pose in self.poses]
        document = {
            "fps": self.fps,
            "units": PIXELS,
            "canvas_width": self.width,
            "canvas_height": self.height,
            "frames": frames,
        }
        return json.dumps(document, separators=(",", ":"), allow_nan=False)

    @staticmethod
    def from_json(text: str, name: str, fps: float | None = None) -> Motion:
        """Reads one person's motion from pose JSON (`read_keypoints`): first the largest, who is then followed.

        Args:
            fps: frames per second; None for the file's own rate, or 12 if it names none.

        Raises:
            MotionError: see `read_keypoints`.
        """
        return Motion.from_files([(None, text)], name, fps)

    @staticmethod
    def from_files(
        files: Sequence[tuple[int | None, str]], name: str, fps: float | None = None
    ) -> Motion:
        """As `from_json`, from several texts with the numbers of their frames (`read_keypoint_files`).

        Raises:
            MotionError: see `read_keypoints`.
        """
        found = read_keypoint_files(files, f"motion {name[:80]!r}")
        follower = Follower()
        poses = tuple(map(follower.choose, found.frames, found.numbers))
        most = max(sum(bool(pose.visible().any()) for pose in people) for people in found.frames)
        notes = found.notes
        if fps is None:
            fps = DEFAULT_FPS if found.fps is None else found.fps
            if found.fps is None and len(poses) > 1:
                notes = (
                    *notes,
                    f"The file names no frame rate; {fps:g} frames per second are taken, unless you give another.",
                )
        return Motion(poses, found.width, found.height, fps, name, max(most, 1), notes)


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
