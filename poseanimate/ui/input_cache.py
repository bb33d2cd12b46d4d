"""Reads a page's inputs, the character in a picture and the chosen motion, once each.

Results are cached by path: Gradio stores uploads under the hash of their content, so equal paths are equal files. Of a
video other parts are decoded anew, but what was found in its frames is kept.
"""

from __future__ import annotations

import math
import os
import threading
from collections import OrderedDict
from collections.abc import Generator, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from poseanimate.engines.engine import Engine
from poseanimate.errors import MotionError, PictureError
from poseanimate.events import Stage, Step
from poseanimate.inputs.character import Character, find_character, place_character
from poseanimate.inputs.driver_sound import is_whole_video
from poseanimate.inputs.motion import iter_motion, open_motion
from poseanimate.inputs.seen import SeenPeople
from poseanimate.media import Video, fit_size, load_picture, rgb_over_white
from poseanimate.poses.faults import repair
from poseanimate.poses.keypoints import read_people
from poseanimate.poses.motion import Motion
from poseanimate.poses.skeleton import Pose
from poseanimate.puppet.puppet import Puppet
from poseanimate.settings import Settings
from poseanimate.ui import texts

MAX_ENTRIES = 8
DRAFT_SIDE_PX = 384  # of a square with the area of a draft on the page
MAX_PIXELS = 4_000_000  # of a video's frames together
SETTING_NAMES = tuple(each.name for each in fields(Settings))
MOTION_NAMES = (
    "motion_from",
    "motion_preset",
    "motion_file",
    "start_s",
    "end_s",
    "stride",
    "rotate",
    "repair",
    "fps",
    "sound",
)


@dataclass(frozen=True)
class MotionChoice:
    """What was chosen as motion: a preset's name or an uploaded file, which part of it, and how it is corrected.

    rotate: degrees clockwise, a multiple of 90. repair: whether to correct faults of its detector. fps: of poses; None
    for their own rate. sound: whether a clip of a whole video has its sound.
    """

    name_or_path: str
    start_s: float = 0.0
    end_s: float | None = None
    stride: int = 1
    rotate: int = 0
    repair: bool = False
    fps: float | None = None
    sound: bool = True

    @property
    def as_read(self) -> MotionChoice:
        """Without what is done once it is read."""
        return replace(self, repair=False, sound=True)

    @staticmethod
    def of(values: Sequence[Any]) -> MotionChoice:
        """From the values of `MOTION_NAMES`.

        Raises:
            MotionError: nothing is chosen.
        """
        source, preset, file, start_s, end_s, stride, rotate, repaired, fps, sound = values
        if source == texts.FROM_FILE and file:
            return MotionChoice(
                str(file),
                float(start_s or 0),
                end_s or None,
                int(stride or 1),
                int(rotate or 0),
                bool(repaired),
                fps or None,
                bool(sound),
            )
        if source == texts.FROM_PRESET and preset:
            return MotionChoice(str(preset))
        raise MotionError("There is no motion yet.", texts.NO_MOTION)


@dataclass(frozen=True)
class FormValues:
    """The values of a page's components, as its handlers receive them after picture, joints and prompt.

    motion_values: of `MOTION_NAMES`. setting_values: by name.
    """

    motion_values: tuple[Any, ...]
    setting_values: dict[str, Any]

    @staticmethod
    def of(values: Sequence[Any], setting_names: Sequence[str] = SETTING_NAMES) -> FormValues:
        """From the values of `MOTION_NAMES`, then of some settings."""
        count = len(MOTION_NAMES)
        settings = dict(zip(setting_names, values[count:], strict=True))
        return FormValues(tuple(values[:count]), settings)

    @property
    def uses_preset(self) -> bool:
        """Whether the motion comes from a preset."""
        return self.motion_values[0] == texts.FROM_PRESET

    def motion(self) -> MotionChoice:
        """The chosen motion.

        Raises:
            MotionError: nothing is chosen.
        """
        return MotionChoice.of(self.motion_values)

    def settings(self) -> Settings:
        """The settings; those that aren't on the form have their defaults.

        Raises:
            SettingsError: a value outside its range.
        """
        return Settings(**self.setting_values)


@dataclass(frozen=True, eq=False)
class FoundMotion:
    """A motion, and the video frames that it was found in, (H, W, 3) uint8, reduced; without a video none.

    whole_video: whether it is that of a whole video, whose sound fits.
    """

    motion: Motion
    frames: tuple[NDArray[np.uint8], ...] = ()
    whole_video: bool = False

    def corrected(self, choice: MotionChoice) -> FoundMotion:
        """With the faults of its detector corrected, if that is chosen."""
        return replace(self, motion=repair(self.motion)) if choice.repair else self


class InputCache:
    """Reads the inputs of all sessions."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.find_people = lru_cache(maxsize=MAX_ENTRIES)(self._find_people)
        self._character = lru_cache(maxsize=MAX_ENTRIES)(self._find_character)
        self._draft = lru_cache(maxsize=MAX_ENTRIES)(self.cut_out)
        self._motions: OrderedDict[MotionChoice, FoundMotion] = OrderedDict()
        self._seen_people = SeenPeople()
        self._lock = threading.Lock()

    def load_character(self, picture: str | None, joints: str = "") -> Character:
        """The character in a picture, as detected or with the given joints.

        Raises:
            PictureError: the picture is missing, or picture or joints can't be used.
            NoCharacterError, SeveralCharactersError: see `Animator.character`.
        """
        if not isinstance(joints or "", str):  # Gradio doesn't check the type
            raise PictureError("The picture's joints are no text.", "Give OpenPose keypoint JSON.")
        return self._character(self.require_path(picture), joints or "")

    def load_draft(self, picture: str | None, joints: str = "") -> tuple[Character, Puppet]:
        """The character on the canvas of the page's drafts, and cut out; errors as above."""
        return self._draft(self.require_path(picture), joints or "", DRAFT_SIDE_PX)

    @staticmethod
    def require_path(picture: str | None) -> str:
        """The path of a picture, which must be given."""
        if not picture:
            raise PictureError("There is no picture yet.", texts.NO_PICTURE)
        return str(picture)

    def _find_people(self, path: str) -> tuple[tuple[int, int], NDArray[np.uint8], list[Pose]]:
        """A picture's own width and height, its pixels on the clip's canvas, and the people in it."""
        picture = _open_picture(path)
        pixels = self.engine.fit_picture(picture)
        return picture.size, pixels, self.engine.detect(pixels)

    def _find_character(self, path: str, joints: str) -> Character:
        _, pixels, people = self.find_people(path)
        if not joints:
            return find_character(pixels, people, self.engine, self.engine)
        height, width = pixels.shape[:2]
        return place_character(pixels, read_people(joints, width, height), self.engine)

    def cut_out(self, path: str, joints: str, side: int) -> tuple[Character, Puppet]:
        """The character at the picture's own size, up to the area of a square with this side in pixels, and cut out."""
        picture = rgb_over_white(_open_picture(path))
        area_side = min(math.sqrt(picture.width * picture.height), side)
        size = fit_size(picture.width, picture.height, area_side, 2)
        pixels = np.asarray(picture.resize(size, Image.Resampling.LANCZOS))
        people = read_people(joints, *size) if joints else self.engine.detect(pixels)
        if not joints and len(people) != 1:  # as they are seen on the clip's canvas
            found = self.load_character(path)
            height, width = found.picture.shape[:2]
            people = [found.pose.scaled(size[0] / width, size[1] / height)]
        character = place_character(pixels, people, self.engine)
        return character, Puppet(character.picture, character.mask, character.pose)

    def cached_motion(self, choice: MotionChoice) -> FoundMotion | None:
        """A motion that was read before; None if it wasn't."""
        with self._lock:
            found = self._motions.get(choice.as_read)
        return found if found is None else found.corrected(choice)

    def load_motion(self, choice: MotionChoice) -> Generator[Stage | Step, None, FoundMotion]:
        """The chosen motion; yields progress while people are detected in a video."""
        found_motion = self.cached_motion(choice)
        if found_motion is None:
            name = choice.name_or_path
            if os.path.isabs(name) and not os.path.isfile(name):  # a preset's name is no path
                raise MotionError("The motion's file isn't there any more.", texts.UPLOAD_AGAIN)
            part = choice.start_s, choice.end_s, choice.stride
            source = open_motion(name, *part, choice.rotate, choice.fps)
            motion = yield from iter_motion(
                source, self.engine, Path(name).name, seen=self._seen_people
            )
            frames = source.frames if isinstance(source, Video) else ()
            found_motion = FoundMotion(
                motion,
                tuple(_reduced(frame, len(frames)) for frame in frames),
                is_whole_video(source, *part),
            )
            with self._lock:
                self._motions[choice.as_read] = found_motion
                while len(self._motions) > MAX_ENTRIES:
                    self._motions.popitem(last=False)
            found_motion = found_motion.corrected(choice)
        return found_motion


def _reduced(frame: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """A frame reduced so that all frames of its video fit into the cache."""
    height, width = frame.shape[:2]
    factor = math.sqrt(MAX_PIXELS / (count * width * height))
    if factor >= 1:
        return frame
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)


def _open_picture(path: str) -> Image.Image:
    if not os.path.isfile(path):
        raise PictureError("The picture isn't there any more.", texts.UPLOAD_AGAIN)
    return load_picture(Path(path))
