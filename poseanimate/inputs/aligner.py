"""The character in a picture, and a motion fitted to it: all that comes before the diffusion models."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from poseanimate.errors import PictureError, SettingsError
from poseanimate.events import Frame
from poseanimate.inputs.character import Character, find_character, place_character
from poseanimate.media import fit_size, rgb_over_white
from poseanimate.models.pose_detection import choose_eyes, start_tracking
from poseanimate.poses.faults import find_faults
from poseanimate.poses.motion import Motion
from poseanimate.poses.pata import Alignment, PataSettings, align
from poseanimate.poses.pata.findings import clip_length, motion_faults, nobody_in_clip
from poseanimate.poses.skeleton import Pose
from poseanimate.puppet.puppet import Puppet
from poseanimate.settings import MAX_FRAMES, Settings

if TYPE_CHECKING:
    from poseanimate.models.input_models import InputModels

MAX_FULL_SIDE = 1440  # of a square with the area of 1920x1080 px
MAX_CLIP_PIXELS = 64 * MAX_FULL_SIDE**2  # of all frames of a clip together: 400 MB
DRAFT_COMMENT = "draft, poseanimate: the character cut out of the picture and moved"
MAX_TIMES = 2  # as long as the models' side; beyond, models paint people twice


def check_max_side(max_side: int | None, side: int) -> None:
    """Raises SettingsError where the largest side is given and isn't one to two times the models'."""
    if max_side is not None and not side <= max_side <= MAX_TIMES * side:
        raise SettingsError(
            f"The largest side is {max_side} pixels.",
            f"Give {side} to {MAX_TIMES * side} with these models, or leave it out.",
        )


def full_side(settings: Settings) -> int | None:
    """The most that pictures of a clip may have, as `fit_picture` takes it: with crops they keep their own size."""
    if not settings.crop:
        return None
    return min(MAX_FULL_SIDE, math.isqrt(MAX_CLIP_PIXELS // settings.frames))


class Aligner:
    """Finds characters in pictures and aligns motions to them.

    Args:
        max_side: pictures larger than the models' keep their size, up to the area of a square with this side in
            pixels; None: all have the models' area.

    Raises:
        SettingsError: see `check_max_side`.
    """

    def __init__(self, inputs: InputModels, max_side: int | None = None) -> None:
        check_max_side(max_side, inputs.side)
        self.inputs = inputs
        self.max_side = max_side

    def detect(self, image: NDArray[np.uint8], like: NDArray[np.uint8] | None = None) -> list[Pose]:
        """The people in a picture (H, W, 3), in its pixels, largest first.

        Args:
            like: a picture of the same world, which then decides who looks; see `choose_eyes`.
        """
        people: list[Pose] = choose_eyes(
            self.inputs.detector, image if like is None else like
        ).detect(image)
        return people

    def start_tracking(self) -> Callable[[NDArray[np.uint8]], list[Pose]]:
        """A function like `detect` for the frames of one video, in their order: several times as fast, where it can."""
        return start_tracking(self.inputs.detector)

    def segment(
        self, image: NDArray[np.uint8], like: NDArray[np.uint8] | None = None
    ) -> NDArray[np.float32]:
        """The character's soft mask, (H, W) in [0, 1], in a picture (H, W, 3); `like` as above."""
        mask: NDArray[np.float32] = choose_eyes(
            self.inputs.segmenter, image if like is None else like
        ).segment(image)
        return mask

    def check_paintable(self, picture: NDArray[np.uint8], remedy: str) -> None:
        """Refuses a picture (H, W, 3) that isn't of the only world that the models paint.

        Args:
            remedy: what to do about it, here.

        Raises:
            PictureError: the models would make something else of it.
        """
        world = self.inputs.world
        if world is not None and not world.is_of_its_world(picture):
            raise PictureError(
                "These demo models paint drawn figures like the examples only: this picture would become one.",
                remedy,
            )

    def character(
        self, picture: Image.Image, people: Sequence[Pose] = (), most_side: int | None = None
    ) -> Character:
        """Brings a picture to the size of the clip's canvas and looks at it.

        Args:
            people: in pixels of the clip's canvas; where they are given nobody is looked for: the first is
                the character, the others are people who are not.
            most_side: see `fit_picture`.

        Raises:
            NoCharacterError, SeveralCharactersError: not exactly one person is found.
            PictureError: too few of the given joints are seen.
        """
        pixels = self.fit_picture(picture, most_side)
        if people:
            return place_character(pixels, people, self.inputs.segmenter)
        return find_character(
            pixels, self.detect(pixels), self.inputs.segmenter, self.inputs.detector
        )

    def fit_picture(self, picture: Image.Image, most_side: int | None = None) -> NDArray[np.uint8]:
        """A picture on the clip's canvas, (H, W, 3): its own aspect, the area that the models paint.

        Args:
            most_side: pictures larger than the models' keep their own size instead, up to the area of a square with
                this side in pixels.
        """
        picture = rgb_over_white(picture)
        if most_side is None:
            width, height = self.fit_size(picture.width, picture.height)
            size = width * self.inputs.scale, height * self.inputs.scale
        else:
            own_side = math.sqrt(picture.width * picture.height)
            area_side = min(max(own_side, self.inputs.side * self.inputs.scale), most_side)
            size = fit_size(picture.width, picture.height, area_side, 1)
        return np.asarray(
            picture.resize(size, Image.Resampling.LANCZOS) if picture.size != size else picture
        )

    def fit_size(self, width: int, height: int) -> tuple[int, int]:
        """What the models see of so many pixels: their area or up to `max_side`², in the same aspect."""
        side = self.inputs.side
        area_side = min(max(math.sqrt(width * height), side), self.max_side or side)
        return fit_size(width, height, area_side, self.inputs.factor)

    def draft(
        self, character: Character, alignment: Alignment, transparent: bool = False
    ) -> Iterator[Frame]:
        """The character cut out and moved, limb by limb, without any network; frame 0 is the picture itself.

        Args:
            transparent: whether frames are the character alone, with alpha as a fourth channel.
        """
        puppet = Puppet(character.picture, character.mask, character.pose)
        draw = puppet.cut_outs if transparent else puppet.frames
        for index, picture in enumerate(draw(alignment.poses)):
            yield Frame(index, picture)

    def align(self, character: Character, motion: Motion, settings: Settings) -> Alignment:
        """PATA alone: no diffusion model is touched."""
        alignment = self._aligned(character, motion, settings)
        faults = motion_faults(find_faults(motion), motion)
        if alignment.errors:
            return replace(alignment, findings=(*alignment.findings, *faults))
        if settings.loop:
            alignment = alignment.repeated(settings.frames)
        poses = len(motion.poses)
        notes = clip_length(settings.frames, alignment.transition, poses, MAX_FRAMES, settings.loop)
        return replace(alignment, findings=(*faults, *alignment.findings, *notes))

    def _aligned(self, character: Character, motion: Motion, settings: Settings) -> Alignment:
        height, width = character.picture.shape[:2]
        motion = motion.mirrored() if settings.mirror else motion
        if settings.pata:
            transition = None if settings.transition_frames < 0 else settings.transition_frames
            how = PataSettings(
                anchor=settings.anchor,  # type: ignore[arg-type]
                retarget_limbs=settings.retarget_limbs,
                smooth=settings.smooth,
                transition_frames=transition,
                scale=settings.motion_scale,
                shift=(settings.shift_x, settings.shift_y),
            )
            return align(character.pose, motion, width, height, how, settings.frames)
        scale = (width / motion.width, height / motion.height)
        poses = tuple(pose.scaled(*scale) for pose in motion.poses[: settings.frames - 1])
        nobody = not any(pose.visible().any() for pose in poses)
        findings = (nobody_in_clip(len(poses)),) if nobody else ()
        return Alignment((character.pose, *poses), 0, motion.fps, findings)
