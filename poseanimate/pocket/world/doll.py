"""The pocket world's people: their looks, their drawing in any pose and their captions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseanimate.pocket.body import FOOT, YAW_DEG, Angles, Proportions, head_frame
from poseanimate.pocket.world.canvas import Canvas, Colour, shade

FloatArray = NDArray[np.float64]

SKINS: dict[str, Colour] = {
    "pale": (250, 215, 185),
    "tan": (228, 180, 140),
    "brown": (176, 122, 84),
    "dark": (132, 86, 60),
}
HAIR_COLOURS: dict[str, Colour] = {
    "black": (44, 38, 42),
    "brown": (92, 54, 34),
    "blond": (238, 200, 104),
    "red": (196, 84, 44),
    "gray": (168, 168, 176),
}
HAIR_STYLES = {"boy": ("short", "curly", "spiky"), "girl": ("long", "long", "curly", "short")}
HATS = ("none", "none", "none", "cap", "beanie", "hat")
CLOTH: dict[str, Colour] = {
    "red": (214, 52, 56),
    "orange": (244, 146, 46),
    "yellow": (248, 214, 72),
    "green": (72, 164, 84),
    "blue": (58, 108, 206),
    "purple": (136, 84, 184),
    "pink": (244, 146, 182),
    "white": (244, 244, 240),
    "black": (52, 52, 60),
}
LETTERS: dict[str, tuple[tuple[float, float], ...]] = {
    "H": ((-0.6, -1), (-0.6, 1), (-0.6, 0), (0.6, 0), (0.6, -1), (0.6, 1)),
    "L": ((-0.5, -1), (-0.5, 1), (0.6, 1)),
    "O": ((0, -1), (0.65, -0.5), (0.65, 0.5), (0, 1), (-0.65, 0.5), (-0.65, -0.5), (0, -1)),
    "T": ((-0.7, -1), (0.7, -1), (0, -1), (0, 1)),
    "X": ((-0.65, -1), (0.65, 1), (0, 0), (0.65, -1), (-0.65, 1)),
    "Z": ((-0.6, -1), (0.6, -1), (-0.6, 1), (0.6, 1)),
}
"""Each letter as one stroke, (x, y) in half heights; one-letter words are tokens already."""
TOP_PATTERNS = (
    *("plain",) * 9,
    *("H", "L", "O"),
    *("striped",) * 6,
    *("star",) * 3,
    *("T", "X", "Z"),
)
BOTTOM_STYLES = ("trousers", "shorts", "skirt")
BOTTOM_COLOURS = ("blue", "black", "white", "red", "green", "purple")
SHOE_COLOURS = ("black", "white", "red", "blue", "yellow")
INK: Colour = (48, 36, 40)
PROFILE = 0.55  # of the nose's way to the side, from which on the face is seen in profile
AT_RIM = 0.4  # of its width: eyes narrower than that have no room for lashes
OUTLINE = 0.62  # shade of what surrounds each shape
SHOULDERS = (
    (-0.02, 0.05, 0.16, 0.3),
    (0.6, 0.86, 0.99, 1.0),
)  # of the torso's length: share of its width
Part = tuple[FloatArray, FloatArray, float, float, Colour]  # start, end, their radii, colour


@dataclass(frozen=True)
class Doll:
    """Everything that defines one person of the pocket world; colours by the names used in captions."""

    kind: str  # boy or girl
    skin: str
    hair_style: str
    hair_colour: str
    hat: str
    hat_colour: str
    top_pattern: str  # one of TOP_PATTERNS
    top_colour: str
    trim_colour: str  # of stripes, star or letter
    long_sleeves: bool
    bottom_style: str
    bottom_colour: str
    shoe_colour: str
    proportions: Proportions

    @staticmethod
    def sample(rng: np.random.Generator) -> Doll:
        def pick(options: tuple[str, ...]) -> str:
            return options[int(rng.integers(len(options)))]

        colours = tuple(CLOTH)
        kind = pick(("boy", "girl"))
        top_colour = pick(colours)
        trim = ("white", "black", "yellow", "red", "blue")
        bottoms = BOTTOM_STYLES if kind == "girl" else BOTTOM_STYLES[:2]
        stout, tall = rng.uniform(0.85, 1.2), rng.uniform(0.92, 1.08)
        return Doll(
            kind=kind,
            skin=pick(tuple(SKINS)),
            hair_style=pick(HAIR_STYLES[kind]),
            hair_colour=pick(tuple(HAIR_COLOURS)),
            hat=pick(HATS),
            hat_colour=pick(colours),
            top_pattern=pick(TOP_PATTERNS),
            top_colour=top_colour,
            trim_colour=pick(tuple(c for c in trim if c != top_colour)),
            long_sleeves=bool(rng.random() < 0.5),
            bottom_style=pick(bottoms),
            bottom_colour=pick(tuple(c for c in BOTTOM_COLOURS if c != top_colour)),
            shoe_colour=pick(SHOE_COLOURS),
            proportions=Proportions(
                head=0.155 * rng.uniform(0.92, 1.08),
                shoulder=0.088 * stout,
                hip=0.055 * stout,
                torso=0.245 * tall,
                upper_arm=0.125 * rng.uniform(0.93, 1.1),
                forearm=0.115 * rng.uniform(0.93, 1.1),
                thigh=0.155 * tall * rng.uniform(0.93, 1.07),
                shin=0.15 * tall * rng.uniform(0.93, 1.07),
                limb=0.036 * stout,
            ),
        )

    def caption(self) -> str:
        """The character's part of the caption, a noun phrase starting with 'a boy' or 'a girl'."""
        hat = "" if self.hat == "none" else f" and a {self.hat_colour} {self.hat}"
        trim = {
            "plain": "",
            "striped": f" with {self.trim_colour} stripes",
            "star": f" with a {self.trim_colour} star",
        }.get(self.top_pattern, f" with a {self.trim_colour} {self.top_pattern}")
        article = "a " if self.bottom_style == "skirt" else ""
        return (
            f"a {self.kind} with {self.skin} skin, {self.hair_style} {self.hair_colour} hair{hat}, "
            f"in a {self.top_colour} shirt{trim}, {article}{self.bottom_colour} {self.bottom_style} "
            f"and {self.shoe_colour} shoes"
        )

    def draw(self, canvas: Canvas, xy: FloatArray, angles: Angles, height_px: float) -> None:
        """Draws the character with joints `xy` (18, 2) in pixels of the canvas."""
        _Drawing(self, canvas, xy, angles, height_px).draw()


class _Drawing:
    """One drawing of one doll, from back to front."""

    def __init__(
        self, doll: Doll, canvas: Canvas, xy: FloatArray, angles: Angles, size: float
    ) -> None:
        self.doll, self.canvas, self.xy, self.angles, self.size = doll, canvas, xy, angles, size
        self.outline = 0.011 * size
        self.skin = SKINS[doll.skin]
        self.hair = HAIR_COLOURS[doll.hair_colour]
        self.top = CLOTH[doll.top_colour]
        self.trim = CLOTH[doll.trim_colour]
        self.bottom = CLOTH[doll.bottom_colour]
        body = doll.proportions
        in_px = Proportions(**{name: value * size for name, value in vars(body).items()})
        self.body = in_px
        self.centre, self.across, self.up = head_frame(in_px, angles, xy[1])

    def draw(self) -> None:
        # when turned to the picture's right, the doll's right side is the near one
        far, near = ("left", "right") if self.angles.turn > 0 else ("right", "left")
        turned = abs(self.angles.turn) > 0.25
        self.hair_behind()
        if turned:
            self.arm(far)
        self.leg(far)
        self.leg(near)
        self.torso()
        arms = [near] if turned else [far, near]
        for side in arms:
            if not self.raised(side):
                self.arm(side)
        self.head()
        for side in arms:
            if self.raised(side):
                self.arm(side)

    def raised(self, side: str) -> bool:
        """Whether the hand is above its shoulder, which puts the arm in front of the head, not behind."""
        shoulder = 2 if side == "right" else 5
        return bool(self.xy[shoulder + 2, 1] < self.xy[shoulder, 1])

    def shape(self, *parts: Part) -> None:
        """One shape of several capsules, with one outline around them all."""
        for edge in (self.outline, 0.0):
            for start, end, radius, end_radius, colour in parts:
                dark = shade(colour, OUTLINE) if edge else colour
                self.canvas.capsule(start, end, radius + edge, end_radius + edge, dark)

    def tube(
        self, start: FloatArray, end: FloatArray, radius: float, end_radius: float, colour: Colour
    ) -> None:
        """A sleeve or trouser leg: round where it starts, straight where it ends."""
        along = _unit(end - start)
        across = np.array([-along[1], along[0]])
        for edge in (self.outline, 0.0):
            dark = shade(colour, OUTLINE) if edge else colour
            near, far = across * (radius + edge), across * (end_radius + edge)
            hem = end + along * edge
            self.canvas.circle(start, radius + edge, dark)
            self.canvas.polygon(np.array([start + near, hem + far, hem - far, start - near]), dark)

    def arm(self, side: str) -> None:
        first = 2 if side == "right" else 5
        shoulder, elbow, wrist = self.xy[first : first + 3]
        radius = self.body.limb
        colour = self.top if self.doll.long_sleeves else self.skin
        upper: Part = (shoulder, elbow, radius, radius * 0.92, colour)
        lower: Part = (elbow, wrist, radius * 0.92, radius * 0.78, colour)
        if self.doll.long_sleeves:
            self.shape(*self.hand(side, elbow, wrist))
            self.shape(upper, lower)
            return
        self.shape(upper, lower, *self.hand(side, elbow, wrist))
        end = shoulder + 0.6 * (elbow - shoulder)
        self.tube(shoulder, end, radius * 1.12, radius * 1.25, self.top)

    def hand(self, side: str, elbow: FloatArray, wrist: FloatArray) -> list[Part]:
        """A mitten: palm, fingers, and a thumb on the side that is in front when the arm hangs."""
        radius, along = self.body.limb, _unit(wrist - elbow)
        inwards = np.array([along[1], -along[0]]) * (1 if side == "right" else -1)
        palm = wrist + 0.45 * radius * along
        fingers, thumb = palm + 0.75 * radius * along, palm + radius * (inwards + 0.35 * along)
        return [
            (palm, fingers, radius * 0.98, radius * 0.8, self.skin),
            (palm + 0.2 * radius * inwards, thumb, radius * 0.45, radius * 0.36, self.skin),
        ]

    def leg(self, side: str) -> None:
        first = 8 if side == "right" else 11
        hip, knee, ankle = self.xy[first : first + 3]
        radius = self.body.limb * 1.25
        trousers = self.doll.bottom_style == "trousers"
        colour = self.bottom if trousers else self.skin
        upper: Part = (hip, knee, radius, radius * 0.9, colour)
        lower: Part = (knee, ankle, radius * 0.9, radius * (0.84 if trousers else 0.72), colour)
        self.shape(upper, lower)
        self.shoe(side, knee, ankle)
        if self.doll.bottom_style == "shorts":
            end = hip + 0.72 * (knee - hip)
            self.tube(hip, end, radius * 1.08, radius * 1.25, self.bottom)

    def shoe(self, side: str, knee: FloatArray, ankle: FloatArray) -> None:
        """A shoe that points where the body does, with a sole."""
        outwards = -1.0 if side == "right" else 1.0
        colour, radius = CLOTH[self.doll.shoe_colour], FOOT * self.size * 0.85
        sole = shade(colour, 0.55) if self.doll.shoe_colour == "white" else (238, 236, 230)
        toes = outwards * (1 - abs(self.angles.turn)) + self.angles.turn * 1.2
        shin = _unit(ankle - knee)
        foot = ankle + shin * FOOT * self.size * 0.35
        tip = foot + np.array([toes * 0.042 * self.size, 0.0]) + shin * 0.006 * self.size
        self.shape((foot, tip, radius, radius * 0.86, colour))
        low, back = 0.72 * radius * np.array([0.0, 1.0]), 0.55 * radius * _unit(tip - foot)
        ends = [foot + low - back, tip + low * 0.9 + 0.7 * back]
        self.canvas.line(ends, radius * 0.62, shade(sole, OUTLINE))
        self.canvas.line(ends, radius * 0.34, sole)

    def torso(self) -> None:
        neck, hips = self.xy[1], (self.xy[8] + self.xy[11]) / 2
        right, left = self.xy[2], self.xy[5]
        pad = self.body.limb
        across = _unit(left - right)
        down = _unit(hips - neck)
        width_top = float(np.linalg.norm(left - right) / 2) + pad * 0.62
        width_hip = float(np.linalg.norm(self.xy[11] - self.xy[8]) / 2) + pad * 1.35

        def outline_at(fraction: float, grow: float = 0.0) -> tuple[FloatArray, FloatArray]:
            middle = neck + (hips - neck) * fraction
            width = width_top + (width_hip - width_top) * fraction
            width *= float(np.interp(fraction, *SHOULDERS))  # rounded above
            width += grow
            return middle - across * width, middle + across * width

        def shape(start: float, end: float, grow: float) -> FloatArray:
            rows = [outline_at(f, grow) for f in np.linspace(start, end, 9)]
            sides = [[row[side] for row in rows] for side in (0, 1)]
            for points in sides:
                points[0], points[-1] = points[0] - down * grow, points[-1] + down * grow
            return np.array(sides[0] + sides[1][::-1])

        hem = 0.94
        if self.doll.bottom_style == "skirt":
            hem = 0.8
            self.skirt(outline_at(0.76), down, across)
        else:
            self.canvas.polygon(shape(0.8, 1.12, self.outline), shade(self.bottom, OUTLINE))
            self.canvas.polygon(shape(0.8, 1.12, 0.0), self.bottom)
        self.canvas.polygon(shape(-0.02, hem, self.outline), shade(self.top, OUTLINE))
        self.canvas.polygon(shape(-0.02, hem, 0.0), self.top)
        if self.doll.top_pattern == "striped":
            for start in (0.18, 0.46, 0.74):
                self.canvas.polygon(shape(start, min(start + 0.13, hem), 0.0), self.trim)
            return
        centre = neck + (hips - neck) * 0.53 + self.angles.turn * width_top * 0.3 * across
        if self.doll.top_pattern == "star":
            self.star(centre, width_top * 0.55, across, down)
        elif self.doll.top_pattern in LETTERS:
            self.letter(centre, width_top * 0.66, across, down)

    def star(self, centre: FloatArray, radius: float, across: FloatArray, down: FloatArray) -> None:
        turn = np.arange(10) * np.pi / 5 - np.pi / 2
        reach = radius * np.where(np.arange(10) % 2 == 0, 1.0, 0.45)
        points = centre + reach[:, None] * (
            np.cos(turn)[:, None] * across + np.sin(turn)[:, None] * down
        )
        self.canvas.polygon(points, self.trim)

    def letter(self, centre: FloatArray, half: float, across: FloatArray, down: FloatArray) -> None:
        strokes = LETTERS[self.doll.top_pattern]
        self.canvas.line(
            [centre + half * (x * across + y * down) for x, y in strokes], half * 0.48, self.trim
        )

    def skirt(
        self, waist: tuple[FloatArray, FloatArray], down: FloatArray, across: FloatArray
    ) -> None:
        """A skirt with a curved hem and folds, wider over wide steps."""
        spread = abs(self.xy[12] - self.xy[9]) @ np.abs(across)
        length = self.body.thigh * 0.82
        half = np.linalg.norm(waist[1] - waist[0]) / 2 + max(0.05 * self.size, spread * 0.28)
        middle = (waist[0] + waist[1]) / 2 + down * length
        along = np.linspace(1, -1, 9)

        def hem(at: FloatArray, grow: float = 0.0) -> FloatArray:
            drop = 0.16 * length * np.sqrt(np.maximum(1 - at**2, 0)) + grow
            return middle + across * (at * (half + grow))[:, None] + down * drop[:, None]

        for grow, colour in ((self.outline, shade(self.bottom, OUTLINE)), (0.0, self.bottom)):
            top = np.stack([waist[0] - across * grow, waist[1] + across * grow])
            self.canvas.polygon(np.concatenate([top, hem(along, grow)]), colour)
        for fold, end in zip((-0.45, 0.0, 0.45), hem(np.array([-0.5, 0.0, 0.5])), strict=True):
            start = (waist[0] + waist[1]) / 2 + across * fold * half * 0.7 + down * length * 0.45
            self.canvas.line([start, end], 0.6 * self.outline, shade(self.bottom, 0.8))

    def at(self, x: float, y: float) -> FloatArray:
        """A point on the head in radii: x to the picture's right, y upwards."""
        return self.centre + self.body.head * (x * self.across + y * self.up)

    def hair_behind(self) -> None:
        if self.doll.hair_style != "long":
            return
        radius = self.body.head
        root = self.at(-0.25 * self.angles.turn, 0.1)
        self.canvas.capsule(
            root,
            root + 1.1 * radius * self.hanging,
            radius * 1.1,
            radius * 0.72,
            shade(self.hair, 0.7),
        )

    @property
    def hanging(self) -> FloatArray:
        """Where hair hangs: half along the head, half straight down, and outwards in a jump."""
        outwards = np.array([-self.angles.turn, 0.0]) * (0.4 + 2 * self.angles.lift)
        return _unit(np.array([0.0, 1.0 - 2 * self.angles.lift]) - self.up + outwards)

    def head(self) -> None:
        canvas, radius, turn = self.canvas, self.body.head, self.angles.turn
        canvas.capsule(
            self.xy[1], self.at(0, -0.6), radius * 0.3, radius * 0.3, shade(self.skin, 0.8)
        )
        if self.doll.hair_style == "curly":
            for azimuth in range(-20, 201, 22):
                angle = np.deg2rad(azimuth)
                canvas.circle(
                    self.at(np.cos(angle) * 0.9, np.sin(angle) * 0.9 + 0.1),
                    radius * 0.34,
                    self.hair,
                )
        for joint in (16, 17):
            away = -1 if joint == 16 else 1
            if np.cos(np.deg2rad(78 * away + 55 * turn)) > -0.3:
                canvas.circle(
                    self.xy[joint], radius * 0.2 + self.outline, shade(self.skin, OUTLINE)
                )
                canvas.circle(self.xy[joint], radius * 0.2, shade(self.skin, 0.92))
        canvas.circle(self.centre, radius + self.outline, shade(self.skin, OUTLINE))
        shift = np.sin(np.deg2rad(YAW_DEG * turn))
        if abs(shift) >= PROFILE:  # seen from the side the nose stands out
            bridge, tip = self.at(0.9 * shift, -0.05), self.at(shift + 0.26 * np.sign(shift), -0.2)
            self.shape((bridge, tip, radius * 0.1, radius * 0.1, self.skin))
        canvas.circle(self.centre, radius, self.skin)
        self.face()
        self.hair_in_front()
        self.hat()

    def face(self) -> None:
        canvas, radius = self.canvas, self.body.head
        for eye in (14, 15):
            away = -1 if eye == 14 else 1
            narrow = max(np.cos(np.deg2rad(24 * away + 55 * self.angles.turn)), 0.3)
            tilt = float(np.rad2deg(np.arctan2(self.across[1], self.across[0])))
            spot = self.xy[eye] - self.up * radius * 0.08
            canvas.ellipse(spot, (radius * 0.17 * narrow, radius * 0.24), INK, tilt)
            if self.doll.kind == "girl" and narrow > AT_RIM:
                lash = spot + radius * (0.13 * away * self.across + 0.14 * self.up)
                canvas.line(
                    [lash, lash + radius * (0.17 * away * self.across + 0.1 * self.up)],
                    radius * 0.09,
                    INK,
                )
            brow = spot + radius * 0.38 * self.up
            half = radius * (0.16 * narrow * self.across - 0.02 * away * self.up)
            canvas.line([brow - half, brow + half], radius * 0.07, shade(self.hair, 0.7))
            canvas.circle(
                spot + radius * (0.05 * self.across + 0.09 * self.up),
                radius * 0.075,
                (255, 255, 255),
            )
        shift = np.sin(np.deg2rad(55 * self.angles.turn))
        for away in (-1, 1):
            sideways = np.sin(np.deg2rad(40 * away + 55 * self.angles.turn)) * 0.92
            if np.cos(np.deg2rad(40 * away + 55 * self.angles.turn)) > 0.2:
                canvas.ellipse(
                    self.at(sideways, -0.33), (radius * 0.15, radius * 0.1), _blush(self.skin)
                )
        if abs(shift) < PROFILE:
            nose = self.at(1.05 * shift, -0.18)
            canvas.ellipse(nose, (radius * 0.09, radius * 0.065), shade(self.skin, 0.84))
        mouth = [self.at(shift * 0.9 + x, y) for x, y in ((-0.2, -0.42), (0, -0.53), (0.2, -0.42))]
        canvas.line(mouth, radius * 0.11, shade(self.skin, 0.4))

    def hair_in_front(self) -> None:
        canvas, turn = self.canvas, self.angles.turn
        style = self.doll.hair_style
        brow = 0.34 + 0.08 * (style == "spiky")
        arc = [np.deg2rad(a) for a in range(-8, 189, 12)]
        rim = [self.at(1.06 * np.cos(a), 1.06 * np.sin(a) + 0.02) for a in arc]
        fringe = [
            self.at(x, y)
            for x, y in (
                (-0.86, 0.12),
                (-0.55 + 0.35 * turn, brow),
                (0.1 + 0.45 * turn, brow + 0.14),
                (0.6 + 0.3 * turn, brow),
                (0.86, 0.12),
            )
        ]
        canvas.polygon(np.array(rim + fringe), self.hair)
        if style == "spiky":
            for azimuth in range(20, 161, 20):
                angle = np.deg2rad(azimuth)
                base = np.array([np.cos(angle), np.sin(angle)])
                sideways = np.array([-base[1], base[0]]) * 0.24
                tip = base * 1.38
                points = [
                    self.at(*(base * 0.92 + sideways)),
                    self.at(*tip),
                    self.at(*(base * 0.92 - sideways)),
                ]
                canvas.polygon(np.array(points), self.hair)
        elif style == "long":
            for away in (-1, 1):
                if away * turn > PROFILE:  # would hang in front of the face
                    continue
                x = 0.95 * away - 0.12 * turn
                root = self.at(x, 0.15)
                canvas.capsule(
                    root,
                    root + 0.9 * self.body.head * self.hanging,
                    0.2 * self.body.head,
                    0.12 * self.body.head,
                    self.hair,
                )
        gloss = self.at(-0.35 + 0.3 * turn, 0.72)
        tilt = float(np.rad2deg(np.arctan2(self.across[1], self.across[0]))) - 24
        canvas.ellipse(
            gloss, (0.26 * self.body.head, 0.08 * self.body.head), shade(self.hair, 1.28), tilt
        )

    def hat(self) -> None:
        canvas, turn = self.canvas, self.angles.turn
        colour = CLOTH[self.doll.hat_colour]
        dark = shade(colour, 0.68)
        dome = [np.deg2rad(a) for a in range(0, 181, 12)]
        if self.doll.hat == "cap":
            canvas.polygon(
                np.array([self.at(1.1 * np.cos(a), 1.02 * np.sin(a) + 0.28) for a in dome]), colour
            )
            brim = 0.62 * turn
            canvas.capsule(
                self.at(brim - 0.62, 0.34),
                self.at(brim + 0.62, 0.34),
                0.13 * self.body.head,
                0.13 * self.body.head,
                dark,
            )
        elif self.doll.hat == "beanie":
            canvas.polygon(
                np.array([self.at(1.1 * np.cos(a), 1.1 * np.sin(a) + 0.3) for a in dome]), colour
            )
            canvas.capsule(
                self.at(-0.98, 0.42),
                self.at(0.98, 0.42),
                0.17 * self.body.head,
                0.17 * self.body.head,
                shade(colour, 1.35),
            )
            canvas.circle(self.at(0, 1.5), 0.24 * self.body.head, shade(colour, 1.35))
        elif self.doll.hat == "hat":
            crown = [
                self.at(x, y) for x, y in ((-0.72, 0.5), (-0.6, 1.42), (0.6, 1.42), (0.72, 0.5))
            ]
            canvas.polygon(np.array(crown), colour)
            band = [
                self.at(x, y) for x, y in ((-0.72, 0.52), (-0.69, 0.76), (0.69, 0.76), (0.72, 0.52))
            ]
            canvas.polygon(np.array(band), dark)
            canvas.capsule(
                self.at(-1.2, 0.5),
                self.at(1.2, 0.5),
                0.1 * self.body.head,
                0.1 * self.body.head,
                colour,
            )


def _unit(vector: FloatArray) -> FloatArray:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 1e-9 else np.array([0.0, 1.0])


def _blush(skin: Colour) -> Colour:
    red, green, blue = skin
    return min(red + 8, 255), round(green * 0.8), round(blue * 0.8)
