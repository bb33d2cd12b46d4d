"""One scene of the pocket world: a character in front of a background, in any pose.

A scene is determined by its split and index, so it can be rendered in every pose of a motion: the true animation.
Splits share no identity: a character's look and place decide its split. The same look may recur in another place
with other proportions: one of the first 1000 held-out scenes (47) has a lookalike among the first 40 000 for
training, the validation scenes none.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from poseanimate.pocket.body import Angles, joints
from poseanimate.pocket.places import WHERE
from poseanimate.pocket.world.background import PLACES, draw_background
from poseanimate.pocket.world.canvas import Canvas, View
from poseanimate.pocket.world.doll import CLOTH, LETTERS, SKINS, Doll
from poseanimate.poses.skeleton import Pose

WORLD = 5  # increase when scenes change, so that older rendered sets are not reused
SHARE_SMALL, SHARE_AT_EDGE = 0.2, 0.2
SMALL = 0.52  # of the picture's height: smaller characters are hard cases
NEAR_EDGE = 0.26  # of its width: hips nearer to a side make a hard case
SHADOW = 0.45  # how much darker the ground is under the character
CLOSE_UP = (0.55, 0.98)  # of a close-up's height: the character's
SPLITS = ("train", "validation", "held-out")


@dataclass(frozen=True)
class Rendered:
    """picture (H, W, 3) uint8 RGB; mask (H, W) float32 in [0, 1]; pose in pixels of the picture."""

    picture: NDArray[np.uint8]
    mask: NDArray[np.float32]
    pose: Pose


@dataclass(frozen=True)
class Scene:
    """A character, a place, and where the character stands in it (fractions of the picture's height)."""

    doll: Doll
    place: str
    place_seed: int
    height: float  # of the character
    x: float  # of its hips, fraction of the width
    ground: float  # of its soles

    @staticmethod
    def sample(split: str, index: int) -> Scene:
        """Scene number `index` of a split, the same on every machine."""
        rng = np.random.default_rng([SPLITS.index(split), index])
        while True:
            doll = Doll.sample(rng)
            place = tuple(PLACES)[int(rng.integers(len(PLACES)))]
            if split_of(doll, place) == split:
                break
        height = float(rng.uniform(SMALL, 0.8))
        scene = Scene(
            doll=doll,
            place=place,
            place_seed=int(rng.integers(2**31)),
            height=height,
            x=float(np.clip(rng.normal(0.5, 0.12), NEAR_EDGE, 1 - NEAR_EDGE)),
            ground=float(rng.uniform(max(0.84, height + 0.1), 0.97)),
        )
        if rng.random() < SHARE_SMALL:
            scene = replace(scene, height=float(rng.uniform(0.36, SMALL)))
        if rng.random() < SHARE_AT_EDGE:
            left = float(rng.uniform(0.12, NEAR_EDGE))
            scene = replace(scene, x=left if rng.random() < 0.5 else 1 - left)
        return scene

    @property
    def look(self) -> tuple[tuple[str, object], ...]:
        """What the character is recognised by anywhere: everything but its proportions."""
        return _look(self.doll)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Which hard cases it is: any of "small", "at the edge" and "lettered"."""
        hard = {
            "small": self.height < SMALL,
            "at the edge": not NEAR_EDGE <= self.x <= 1 - NEAR_EDGE,
            "lettered": self.doll.top_pattern in LETTERS,
        }
        return tuple(kind for kind, so in hard.items() if so)

    def relettered(self) -> tuple[Scene, ...]:
        """The scene with each other letter on the shirt, and with none; empty for a shirt without a letter."""
        if self.doll.top_pattern not in LETTERS:
            return ()
        others = [p for p in ("plain", *LETTERS) if p != self.doll.top_pattern]
        return tuple(replace(self, doll=replace(self.doll, top_pattern=p)) for p in others)

    def dyed(self) -> dict[str, Scene]:
        """The scene with "top", "trim" (what is on the top) or "bottom" dyed the most different cloth colour."""
        doll = self.doll
        looks = {
            "top": replace(doll, top_colour=_unlike(doll.top_colour)),
            "trim": replace(doll, trim_colour=_unlike(doll.trim_colour)),
            "bottom": replace(doll, bottom_colour=_unlike(doll.bottom_colour)),
        }
        return {what: replace(self, doll=look) for what, look in looks.items()}

    def tanned(self) -> Scene:
        """The scene with the most different skin: where the two pictures differ, skin is seen."""
        skin = SKINS[self.doll.skin]
        other = max(SKINS, key=lambda name: math.dist(SKINS[name], skin))
        return replace(self, doll=replace(self.doll, skin=other))

    @property
    def caption(self) -> str:
        return f"{self.doll.caption()}, {WHERE[self.place]}"

    @property
    def brief_caption(self) -> str:
        """Who and where, without looks."""
        return f"a {self.doll.kind}, {WHERE[self.place]}"

    def background(self, width: int, height: int, view: View | None = None) -> Canvas:
        """The empty place, to paste under a character."""
        canvas = Canvas(width, height, view)
        draw_background(self.place, canvas, np.random.default_rng(self.place_seed))
        return canvas

    def pose(self, angles: Angles, width: int, height: int, view: View | None = None) -> Pose:
        """The exact 18 joints in pixels of the view, with confidence 1 if visible; joints outside are absent."""
        left, top, *size = view or View(0, 0, width, height)
        xy, seen = joints(self.doll.proportions, angles)
        xy = xy * self.height * height + np.array([self.x * width, self.ground * height])
        xy -= (left, top)
        inside = (xy >= 0).all(axis=1) & (xy < size).all(axis=1)
        confidence = (seen & inside).astype(np.float64)
        return Pose(np.concatenate([xy, np.ones((18, 1))], axis=1) * confidence[:, None])

    def draw(self, canvas: Canvas, angles: Angles) -> None:
        """Draws the character and its shadow on the ground."""
        xy, _ = joints(self.doll.proportions, angles)
        size = self.height * canvas.height
        foot_x, foot_y = self.x * canvas.width, self.ground * canvas.height
        spread = abs(xy[13, 0] - xy[10, 0]) / 2
        middle = (xy[13, 0] + xy[10, 0]) / 2
        radii = np.array([(0.1 + spread) * size, 0.024 * size]) * (1 - 1.2 * min(angles.lift, 0.4))
        canvas.shadow((foot_x + middle * size, foot_y - 0.008 * size), radii * 1.35, SHADOW)
        canvas.masked = True
        self.doll.draw(canvas, xy * size + np.array([foot_x, foot_y]), angles, size)
        canvas.masked = False

    def render(
        self, angles: Angles, width: int = 128, height: int = 128, view: View | None = None
    ) -> Rendered:
        """The scene in a pose, `width` x `height` px, or the view of it."""
        canvas = self.background(width, height, view)
        self.draw(canvas, angles)
        return Rendered(canvas.picture(), canvas.mask(), self.pose(angles, width, height, view))

    def close_up(self, size: int, rng: np.random.Generator) -> tuple[int, View]:
        """A view of size x size px in which the character is large, as crops around a motion are; at times it is cut.

        Returns the side of the scene in pixels, and the view of it.
        """
        fill = max(float(rng.uniform(*CLOSE_UP)), self.height)
        side = max(round(size * fill / self.height), size)
        middle = (self.ground - self.height / 2) * side
        left = self.x * side - size * rng.normal(0.5, 0.09)
        top = middle - size * rng.normal(0.5, 0.04)
        left, top = (int(np.clip(round(v), 0, side - size)) for v in (left, top))
        return side, View(left, top, size, size)


def split_of(doll: Doll, place: str) -> str:
    """The split of an identity: one tenth held out, one tenth for validation."""
    digest = hashlib.sha256(repr((list(_look(doll)), place)).encode()).digest()
    return {0: "held-out", 1: "validation"}.get(digest[0] % 10, "train")


def _unlike(colour: str) -> str:
    """The name of the cloth colour furthest from a named one."""
    return max(CLOTH, key=lambda name: math.dist(CLOTH[name], CLOTH[colour]))


def _look(doll: Doll) -> tuple[tuple[str, object], ...]:
    return tuple(sorted((k, v) for k, v in vars(doll).items() if k != "proportions"))


def random_angles(rng: np.random.Generator) -> Angles:
    """A plausible pose, from standing at ease to the wide poses of dance and sports."""
    wide = rng.random() < 0.55

    def arm() -> tuple[float, float]:
        if rng.random() < (0.2 if wide else 0.6):
            return rng.uniform(0, 40), rng.uniform(-30, 60)
        return rng.uniform(-25, 178), rng.uniform(-100, 120)

    def leg() -> tuple[float, float]:
        if rng.random() < (0.35 if wide else 0.75):
            return rng.uniform(-4, 14), rng.uniform(-8, 4)
        hip = rng.uniform(-28, 75)
        return hip, rng.uniform(-hip - 25, 15) if hip > 0 else rng.uniform(-20, 40)

    (right_shoulder, right_elbow), (left_shoulder, left_elbow) = arm(), arm()
    (right_hip, right_knee), (left_hip, left_knee) = leg(), leg()
    return Angles(
        lean=rng.normal(0, 7),
        head=rng.normal(0, 7),
        right_shoulder=right_shoulder,
        right_elbow=right_elbow,
        left_shoulder=left_shoulder,
        left_elbow=left_elbow,
        right_hip=right_hip,
        right_knee=right_knee,
        left_hip=left_hip,
        left_knee=left_knee,
        turn=0.0 if rng.random() < 0.45 else rng.uniform(-1, 1),
        lift=rng.uniform(0, 0.14) if rng.random() < 0.2 else 0.0,
    )
