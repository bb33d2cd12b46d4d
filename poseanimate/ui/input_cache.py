"""Reads a page's inputs, the character in a picture and the chosen motion, once each.

Results are cached by path: Gradio stores uploads under the hash of their content, so equal paths are equal files. A
part of a video is taken from the whole, once that was looked through.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache, partial
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
from poseanimate.inputs.motion import find_part, iter_motion, open_motion, take_part
from poseanimate.inputs.seen import SeenPeople
from poseanimate.media import Video, load_picture
from poseanimate.poses.faults import repair
from poseanimate.poses.keypoints import read_people
from poseanimate.poses.motion import Motion
from poseanimate.poses.skeleton import Pose
from poseanimate.puppet.puppet import Puppet
from poseanimate.settings import Settings
from poseanimate.storage.recent import Recent
from poseanimate.ui import texts

MAX_ENTRIES = 8
MAX_WHOLE_BYTES = 64_000_000  # of characters at their pictures' own size
MAX_MOTION_BYTES = 96_000_000
POSE_BYTES = 1_000  # about, with hands
SHOWN_SIDE_PX = 384  # of a square with the area of a large picture on the page
MAX_PIXELS = 4_000_000  # of a video's frames together
SETTING_NAMES = tuple(each.name for each in fields(Settings))
ALIGNMENT_SETTINGS = (
    "frames",
    "pata",
    "transition_frames",
    "anchor",
    "retarget_limbs",
    "smooth",
    "mirror",
    "motion_scale",
    "shift_x",
    "shift_y",
    "loop",
)
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
    """What was chosen as motion: a preset's name or uploaded files, which part of it, and how it is corrected.

    more: further files, such as the pictures after the first.
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
    more: tuple[str, ...] = ()

    @property
    def as_read(self) -> MotionChoice:
        """Without what is done once it is read."""
        return replace(self, repair=False, sound=True)

    @property
    def whole(self) -> MotionChoice:
        """All of it, as it is read."""
        return replace(self.as_read, start_s=0.0, end_s=None, stride=1)

    @staticmethod
    def of(values: Sequence[Any]) -> MotionChoice:
        """From the values of `MOTION_NAMES`.

        Raises:
            MotionError: nothing is chosen.
        """
        source, preset, file, start_s, end_s, stride, rotate, repaired, fps, sound = values
        if source in texts.MOTION_FILES and file:
            first, *more = [file] if isinstance(file, str) else file
            return MotionChoice(
                str(first),
                float(start_s or 0),
                end_s or None,
                int(stride or 1),
                int(rotate or 0),
                bool(repaired),
                fps or None,
                bool(sound),
                tuple(map(str, more)),
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

    @property
    def uses_video(self) -> bool:
        """Whether the motion comes from the tab for videos, which take a while."""
        return self.motion_values[0] == texts.FROM_VIDEO

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

    def size_bytes(self) -> int:
        """In memory, about."""
        return sum(frame.nbytes for frame in self.frames) + POSE_BYTES * len(self.motion.poses)

    def part(self, choice: MotionChoice) -> FoundMotion:
        """The chosen part of a whole motion.

        Raises:
            MotionError: it is empty.
        """
        part = find_part(self.motion, choice.start_s, choice.end_s, choice.stride)
        return FoundMotion(take_part(self.motion, part), self.frames[part])

    def corrected(self, choice: MotionChoice) -> FoundMotion:
        """With the faults of its detector corrected, if that is chosen."""
        return replace(self, motion=repair(self.motion)) if choice.repair else self


@dataclass(frozen=True, eq=False)
class SeenPicture:
    """A picture, and the people in it.

    on_canvas: on the clip's canvas, (H, W, 3). shown: on the page's, the same or one with more pixels.
    people: in pixels of `shown`.
    """

    on_canvas: NDArray[np.uint8]
    shown: NDArray[np.uint8]
    people: list[Pose]


@dataclass(frozen=True)
class _Mask:
    """A segmenter of one picture."""

    find: Callable[[], NDArray[np.float32]]
    identity: str = "mask"

    def segment(self, _: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self.find()


class InputCache:
    """Reads the inputs of all sessions.

    People are looked for once in a picture: what the page shows, its drafts and the clip have the same joints.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.see = lru_cache(maxsize=MAX_ENTRIES)(self._see)
        self._segment = lru_cache(maxsize=MAX_ENTRIES)(self._find_mask)
        self._shown = lru_cache(maxsize=MAX_ENTRIES)(self._find_character)
        self._whole = Recent[tuple[str, str, int], Character](
            MAX_WHOLE_BYTES, lambda whole: whole.picture.nbytes + whole.mask.nbytes
        )
        self._puppets = Recent[str, tuple[str, Puppet]](MAX_ENTRIES)  # joints, by path
        self._motions = Recent[MotionChoice, FoundMotion](MAX_MOTION_BYTES, FoundMotion.size_bytes)
        self._seen_people = SeenPeople()

    def load_character(
        self, picture: str | None, joints: str = "", most_side: int | None = None
    ) -> Character:
        """The character on the clip's canvas, as detected or with the given joints.

        Args:
            most_side: of a picture that keeps its own size, see `Aligner.fit_picture`.

        Raises:
            PictureError: the picture is missing, or picture or joints can't be used.
            NoCharacterError, SeveralCharactersError: see `Animator.character`.
        """
        path, shown = self.require_path(picture), self.load_shown(picture, joints)
        if most_side is not None:
            key = path, joints or "", most_side
            whole = self._whole.get(key)
            if whole is None:
                whole = self._place_whole(*key)
                self._whole.put(key, whole)
            return whole
        pixels = self.see(path).on_canvas
        if pixels.shape == shown.picture.shape:
            return shown
        size = (pixels.shape[1], pixels.shape[0])
        mask = cv2.resize(shown.mask, size, interpolation=cv2.INTER_AREA)
        return replace(
            shown,
            picture=pixels,
            pose=shown.pose.scaled(*_ratio(pixels, shown.picture)),
            mask=np.asarray(mask, np.float32),
        )

    def load_shown(self, picture: str | None, joints: str = "") -> Character:
        """The same on the page's canvas; errors as above."""
        if not isinstance(joints or "", str):  # Gradio doesn't check the type
            raise PictureError("The picture's joints are no text.", "Give OpenPose keypoint JSON.")
        return self._shown(self.require_path(picture), joints or "")

    def load_puppet(self, picture: str | None, joints: str = "") -> Puppet:
        """The character on the page's canvas, cut out; errors as above."""
        path, shown = self.require_path(picture), self.load_shown(picture, joints)
        former, puppet = self._puppets.get(path) or (None, None)
        if puppet is None or former != joints:
            puppet = Puppet(shown.picture, shown.mask, shown.pose, puppet)
            self._puppets.put(path, (joints, puppet))
        return puppet

    def cut_out(self, picture: str | None, joints: str, side: int) -> Puppet:
        """The character at the picture's own size, up to the area of a square with this side in pixels, cut out.

        Its joints are those on the page's canvas. Errors as above.
        """
        character = self.load_character(picture, joints, side)
        if character is self.load_shown(picture, joints):
            return self.load_puppet(picture, joints)
        return Puppet(character.picture, character.mask, character.pose)

    @staticmethod
    def require_path(picture: str | None) -> str:
        """The path of a picture, which must be given."""
        if not picture:
            raise PictureError("There is no picture yet.", texts.NO_PICTURE)
        return str(picture)

    def _see(self, path: str) -> SeenPicture:
        """Looks at a picture."""
        picture = _open_picture(path)
        pixels = self.engine.fit_picture(picture)
        shown = self.engine.fit_picture(picture, SHOWN_SIDE_PX)
        if shown.size <= pixels.size:
            shown = pixels
        return SeenPicture(pixels, shown, self.engine.detect(shown, like=pixels))

    def _find_mask(self, path: str) -> NDArray[np.float32]:
        seen = self.see(path)
        return self.engine.segment(seen.shown, like=seen.on_canvas)

    def _find_character(self, path: str, joints: str) -> Character:
        pixels, people = self.see(path).shown, self._people(path, joints)
        mask = _Mask(partial(self._segment, path))
        if joints:
            return place_character(pixels, people, mask)
        return find_character(pixels, people, mask, self.engine)

    def _place_whole(self, path: str, joints: str, most_side: int) -> Character:
        """The character as it is shown, in the picture's own pixels."""
        shown = self._shown(path, joints)
        pixels = self.engine.fit_picture(_open_picture(path), most_side)
        if pixels.shape == shown.picture.shape:
            return shown
        ratio = _ratio(pixels, shown.picture)
        people = [pose.scaled(*ratio) for pose in self._people(path, joints)]
        segment = partial(self.engine.segment, pixels, like=self.see(path).on_canvas)
        return place_character(pixels, people, _Mask(segment))

    def _people(self, path: str, joints: str) -> list[Pose]:
        """The character first, in pixels of the page's canvas."""
        seen = self.see(path)
        height, width = seen.shown.shape[:2]
        return read_people(joints, width, height) if joints else seen.people

    def cached_motion(self, choice: MotionChoice) -> FoundMotion | None:
        """A motion that was read before, or a part of a video that was; None if it wasn't.

        Where several people are seen, another part may follow another one: it is read by itself.
        """
        found = self._motions.get(choice.as_read)
        if found is None:
            whole = self._motions.get(choice.whole)
            if whole is None or not whole.whole_video or whole.motion.people > 1:
                return None
            try:
                found = whole.part(choice)
            except MotionError:  # whoever reads the file says what is wrong
                return None
        return found.corrected(choice)

    def load_motion(self, choice: MotionChoice) -> Generator[Stage | Step, None, FoundMotion]:
        """The chosen motion; yields progress while people are detected in a video."""
        found_motion = self.cached_motion(choice)
        if found_motion is None:
            name = choice.name_or_path
            names = (name, *choice.more)
            # a preset's name is no path
            if any(os.path.isabs(each) and not os.path.isfile(each) for each in names):
                raise MotionError("The motion's file isn't there any more.", texts.UPLOAD_AGAIN)
            part = choice.start_s, choice.end_s, choice.stride
            source = open_motion(names, *part, choice.rotate, choice.fps)
            motion = yield from iter_motion(
                source, self.engine, Path(name).name, seen=self._seen_people
            )
            frames = source.frames if isinstance(source, Video) else ()
            found_motion = FoundMotion(
                motion,
                tuple(_reduced(frame, len(frames)) for frame in frames),
                is_whole_video(source, *part),
            )
            self._motions.put(choice.as_read, found_motion)
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


def _ratio(pixels: NDArray[np.uint8], of: NDArray[np.uint8]) -> tuple[float, float]:
    """How much wider and higher one picture is than another."""
    return pixels.shape[1] / of.shape[1], pixels.shape[0] / of.shape[0]


def _open_picture(path: str) -> Image.Image:
    if not os.path.isfile(path):
        raise PictureError("The picture isn't there any more.", texts.UPLOAD_AGAIN)
    return load_picture(Path(path))
