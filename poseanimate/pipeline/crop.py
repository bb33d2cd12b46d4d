"""What the models see of a picture, and the way back: all of it, or the part in which the character moves.

With the part small figures get all of the models' resolution, and outside the character's old and new places every
pixel of a frame is the picture's own.

Differs from the paper, which brings the whole picture to the models' size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from poseanimate.events import Done, Event, Frame, Preview
from poseanimate.inputs.character import Character
from poseanimate.poses.pata import Alignment
from poseanimate.poses.silhouette import Silhouette
from poseanimate.poses.skeleton import MAX_COORDINATE, Pose

Picture = NDArray[np.uint8]
Mask = NDArray[np.float32]

MARGIN = (
    1 / 3
)  # beside the character, in longer sides of the box around its motion; measured on validation
MIN_SIDE_PX = 32
# in longer sides of what the models see: how far around masks their pixels count, and how wide the soft edge is
REACH, EDGE = 1 / 64, 3 / 128


class Window(NamedTuple):
    """A part of a picture, in its pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def pixels(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return np.s_[self.top : self.top + self.height, self.left : self.left + self.width]


def find_window(character: Character, poses: Sequence[Pose]) -> Window:
    """The part of the picture in which the character moves: a square with a margin, as far as the picture reaches."""
    height, width = character.picture.shape[:2]
    rows, columns = np.nonzero(character.mask > 0.5)
    seen = [pose.xy[pose.visible()] for pose in (character.pose, *poses)]
    points = np.concatenate([np.stack([columns, rows], axis=1), *seen])
    if not len(points):
        return Window(0, 0, width, height)
    points = points.clip(0, (width, height))
    low, high = points.min(axis=0), points.max(axis=0)
    side = max(float((high - low).max()) * (1 + 2 * MARGIN), MIN_SIDE_PX)
    size = np.minimum(round(side), (width, height))
    left, top = ((low + high - size) / 2).round().clip(0, (width, height) - size).astype(int)
    return Window(int(left), int(top), int(size[0]), int(size[1]))


@dataclass(frozen=True, eq=False)
class Crop:
    """A window of a character's picture, as the models see it, and the way back.

    size: width and height that the models see, px; what they paint may be larger.
    pasted: whether the models' pixels count only where the character was and is.
    """

    character: Character
    alignment: Alignment
    window: Window
    size: tuple[int, int]
    pasted: bool = True

    @cached_property
    def inside(self) -> Character:
        """The character in the window, at the models' size."""
        whole, part = self.character, self.window.pixels
        picture = Image.fromarray(whole.picture[part]).resize(self.size, Image.Resampling.LANCZOS)
        mask = cv2.resize(whole.mask[part], self.size, interpolation=cv2.INTER_AREA)
        pose = self._moved(whole.pose)
        return Character(np.asarray(picture), pose, np.asarray(mask, np.float32), whole.outlined)

    @cached_property
    def alignment_inside(self) -> Alignment:
        """The same for the alignment; equal poses stay equal."""
        return replace(
            self.alignment, poses=tuple(self._moved(pose) for pose in self.alignment.poses)
        )

    def put_back(self, events: Iterable[Event]) -> Iterator[Event]:
        """What happens in the window, as if it happened in the whole picture."""
        frames: list[Picture] = []
        for event in events:
            match event:
                case Frame(0):
                    event = Frame(0, self.character.picture)
                case Frame(index, picture, mask):
                    pasted = self.paste(picture, self.place(index, mask))
                    event = Frame(index, pasted, None if mask is None else self.enlarge(mask))
                case Preview(index, picture):
                    event = Preview(index, self.paste(picture, self.place(index)))
                case Done():
                    event = replace(event, frames=tuple(frames))
            if isinstance(event, Frame):
                frames.append(event.picture)
            yield event

    def place(self, index: int, mask: Mask | None = None) -> Mask:
        """How much the models' pixels count in frame `index`: (h, w) in [0, 1], at the models' size.

        Wholly where the character was and where it is: in the silhouette around its skeleton, and in its mask M_i
        (h, w), where there is one. Everywhere, where nothing is pasted.
        """
        if not self.pasted:
            return np.ones(self.size[::-1], np.float32)
        where = self._silhouette.draw(self.alignment_inside.poses[index], *self.size) > 0
        where |= self.inside.mask > 0.1
        if mask is not None:
            where |= mask > 0.5
        outside = (~where).astype(np.uint8)
        away = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        reach, edge = REACH * max(self.size), EDGE * max(self.size)
        soft = ((reach + edge - away) / edge).clip(0, 1)
        return np.asarray(soft * self._inner, np.float32)

    def paste(self, picture: Picture, place: Mask) -> Picture:
        """The whole picture with the models' own, of any size, in the window; see `place`."""
        size = (self.window.width, self.window.height)
        finer = picture.shape[1] > size[0]
        way = cv2.INTER_AREA if finer else cv2.INTER_CUBIC
        new = cv2.resize(picture, size, interpolation=way)
        weight = cv2.resize(place, size, interpolation=cv2.INTER_LINEAR)[..., None]
        whole = self.character.picture.copy()
        old = whole[self.window.pixels]
        old[...] = (old + (new.astype(np.float32) - old) * weight).round()
        return whole

    def enlarge(self, mask: Mask) -> Mask:
        """A mask of {0, 1} (h, w) in the whole picture, (H, W)."""
        whole = np.zeros(self.character.picture.shape[:2], np.float32)
        size = (self.window.width, self.window.height)
        whole[self.window.pixels] = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
        return whole

    @cached_property
    def _silhouette(self) -> Silhouette:
        return Silhouette.fit(self.inside.pose, self.inside.mask)

    @cached_property
    def _inner(self) -> Mask:
        """(h, w): 0 at the window's sides that aren't the picture's, 1 further inside."""
        ramps = []
        ends = zip(
            self.window[:2], self.window[2:], self.character.picture.shape[1::-1], strict=True
        )
        for (start, length, whole), count in zip(ends, self.size, strict=True):
            from_start = np.arange(count) if start > 0 else np.full(count, count)
            from_end = np.arange(count)[::-1] if start + length < whole else np.full(count, count)
            away = np.minimum(from_start, from_end) / (EDGE * max(self.size))
            ramps.append(away.clip(0, 1))
        across, down = ramps
        return np.asarray(np.minimum(across[None], down[:, None]), np.float32)

    def _moved(self, pose: Pose) -> Pose:
        """A pose in pixels of what the models see; far outside it joints are anywhere outside."""
        left, top, width, height = self.window
        offset = np.array([left, top, 0.0])
        factor = np.array([self.size[0] / width, self.size[1] / height, 1.0])
        parts = (
            None
            if part is None
            else ((part - offset) * factor).clip(-MAX_COORDINATE, MAX_COORDINATE)
            for part in (pose.body, pose.left_hand, pose.right_hand, pose.face)
        )
        return Pose(*parts)  # type: ignore[arg-type]  # a pose has a body
