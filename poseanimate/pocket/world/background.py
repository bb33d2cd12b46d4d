"""The pocket world's places: five kinds, each with small details that a good animation must keep."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from poseanimate.pocket.world.canvas import Canvas, Colour, shade

SKIES: tuple[tuple[Colour, Colour], ...] = (
    ((126, 190, 240), (214, 236, 250)),  # day
    ((110, 150, 220), (250, 214, 190)),  # morning
    ((250, 170, 130), (254, 226, 160)),  # sunset
    ((158, 176, 196), (222, 228, 234)),  # overcast
)
WALLS: tuple[Colour, ...] = (
    (206, 112, 92),
    (232, 200, 150),
    (150, 170, 190),
    (196, 152, 120),
    (170, 196, 160),
)
LEAVES: tuple[Colour, ...] = ((72, 140, 72), (106, 164, 74), (54, 116, 84), (214, 146, 62))
BRIGHT: tuple[Colour, ...] = (
    (222, 66, 60),
    (250, 200, 66),
    (66, 130, 210),
    (92, 176, 104),
    (238, 132, 176),
    (250, 250, 246),
)
METAL: Colour = (74, 80, 92)
WOOD: Colour = (150, 104, 66)


def draw_background(place: str, canvas: Canvas, rng: np.random.Generator) -> float:
    """Fills the canvas with the place and returns the y (px) at which its ground begins."""
    return PLACES[place](canvas, rng)


def _pick(rng: np.random.Generator, options: tuple[Colour, ...]) -> Colour:
    return options[int(rng.integers(len(options)))]


def _sky(canvas: Canvas, rng: np.random.Generator, horizon: float) -> None:
    upper, lower = SKIES[int(rng.integers(len(SKIES)))]
    canvas.gradient(0, horizon, upper, lower)
    unit = canvas.height / 128
    if rng.random() < 0.5:
        x, y = rng.uniform(0.1, 0.9) * canvas.width, rng.uniform(0.06, 0.2) * canvas.height
        canvas.circle((x, y), 8 * unit, (255, 240, 180))
    for _ in range(int(rng.integers(1, 4))):
        x, y = rng.uniform(0, canvas.width), rng.uniform(0.06, 0.3) * canvas.height
        for offset, radius in ((-7, 4.0), (0, 6.0), (7, 4.5)):
            canvas.ellipse(
                (x + offset * unit, y),
                (radius * 1.5 * unit, radius * 0.8 * unit),
                shade(lower, 1.5),
            )


def _lamp_post(canvas: Canvas, x: float, ground: float, unit: float) -> None:
    top = ground - 62 * unit
    canvas.line([(x, ground), (x, top)], 2.4 * unit, METAL)
    canvas.rectangle(x - 3 * unit, ground - 4 * unit, 6 * unit, 4 * unit, METAL)
    canvas.circle((x, top - 3 * unit), 4.4 * unit, (255, 244, 190))
    canvas.line([(x - 4 * unit, top - 7 * unit), (x + 4 * unit, top - 7 * unit)], 2 * unit, METAL)


def _sign(canvas: Canvas, rng: np.random.Generator, x: float, ground: float, unit: float) -> None:
    top = ground - rng.uniform(38, 50) * unit
    canvas.line([(x, ground), (x, top)], 2 * unit, (150, 152, 158))
    colour = _pick(rng, BRIGHT[:4])
    if rng.random() < 0.5:
        canvas.circle((x, top), 6.5 * unit, (250, 250, 246))
        canvas.circle((x, top), 5.2 * unit, colour)
        canvas.rectangle(x - 3.2 * unit, top - 1.1 * unit, 6.4 * unit, 2.2 * unit, (250, 250, 246))
    else:
        canvas.rectangle(x - 8 * unit, top - 5 * unit, 16 * unit, 9 * unit, (250, 250, 246))
        canvas.rectangle(x - 7 * unit, top - 4 * unit, 14 * unit, 7 * unit, colour)
        canvas.line(
            [(x - 4 * unit, top - 0.5 * unit), (x + 4 * unit, top - 0.5 * unit)],
            1.6 * unit,
            (250, 250, 246),
        )


def _tree(canvas: Canvas, rng: np.random.Generator, x: float, ground: float, unit: float) -> None:
    size = rng.uniform(0.8, 1.3) * unit
    leaves = _pick(rng, LEAVES)
    canvas.line([(x, ground), (x, ground - 24 * size)], 5 * size, shade(WOOD, 0.85))
    for offset, height, radius in ((-8, 28, 9), (8, 29, 9), (0, 38, 11)):
        canvas.circle((x + offset * size, ground - height * size), radius * size, leaves)
    canvas.circle((x - 3 * size, ground - 40 * size), 5 * size, shade(leaves, 1.18))


def _street(canvas: Canvas, rng: np.random.Generator) -> float:
    width, height, unit = canvas.width, canvas.height, canvas.height / 128
    ground = height * rng.uniform(0.66, 0.74)
    _sky(canvas, rng, ground)
    x = -rng.uniform(0, 14) * unit
    while x < width:
        wide, tall = rng.uniform(26, 42) * unit, rng.uniform(40, 78) * unit
        wall = _pick(rng, WALLS)
        canvas.rectangle(x, ground - tall, wide, tall, wall)
        canvas.rectangle(
            x - unit, ground - tall - 2.5 * unit, wide + 2 * unit, 3.5 * unit, shade(wall, 0.7)
        )
        lit = rng.random() < 0.4
        pane: Colour = (255, 236, 160) if lit else (176, 212, 232)
        columns = max(int(wide / (11 * unit)), 1)
        gap = wide / columns
        y = ground - tall + 7 * unit
        while y < ground - 22 * unit:
            for column in range(columns):
                left = x + column * gap + gap / 2 - 3 * unit
                canvas.rectangle(
                    left - 0.8 * unit, y - 0.8 * unit, 7.6 * unit, 9.6 * unit, shade(wall, 1.45)
                )
                canvas.rectangle(left, y, 6 * unit, 8 * unit, pane)
            y += 14 * unit
        door = x + wide * rng.uniform(0.25, 0.6)
        canvas.rectangle(
            door, ground - 15 * unit, 8 * unit, 15 * unit, shade(_pick(rng, BRIGHT[:4]), 0.75)
        )
        if rng.random() < 0.5:
            awning = _pick(rng, BRIGHT[:4])
            for stripe in range(4):
                colour = awning if stripe % 2 == 0 else (250, 250, 246)
                canvas.rectangle(
                    door - 4 * unit + stripe * 4 * unit,
                    ground - 19.5 * unit,
                    4 * unit,
                    4.5 * unit,
                    colour,
                )
        x += wide
    canvas.rectangle(0, ground, width, 10 * unit, (196, 192, 186))
    canvas.rectangle(0, ground + 10 * unit, width, 2 * unit, (150, 148, 146))
    canvas.rectangle(0, ground + 12 * unit, width, height, (112, 114, 122))
    start = -rng.uniform(0, 20) * unit
    for left in np.arange(start, width, 26 * unit):
        canvas.rectangle(left, ground + 26 * unit, 14 * unit, 2.4 * unit, (236, 228, 190))
    _lamp_post(canvas, rng.uniform(0.06, 0.94) * width, ground + 6 * unit, unit)
    if rng.random() < 0.75:
        _sign(canvas, rng, rng.uniform(0.06, 0.94) * width, ground + 6 * unit, unit)
    return ground


def _park(canvas: Canvas, rng: np.random.Generator) -> float:
    width, height, unit = canvas.width, canvas.height, canvas.height / 128
    ground = height * rng.uniform(0.58, 0.7)
    grass = _pick(rng, ((134, 190, 92), (112, 174, 96), (160, 200, 96)))
    _sky(canvas, rng, ground)
    for _ in range(3):
        x = rng.uniform(0, width)
        canvas.ellipse(
            (x, ground + 4 * unit),
            (rng.uniform(26, 46) * unit, rng.uniform(14, 30) * unit),
            shade(grass, 0.84),
        )
    canvas.rectangle(0, ground, width, height, grass)
    path = rng.uniform(0.2, 0.8) * width
    canvas.polygon(
        [
            (path - 3 * unit, ground),
            (path + 3 * unit, ground),
            (path + 34 * unit, height),
            (path - 10 * unit, height),
        ],
        (232, 212, 166),
    )
    for x in rng.uniform(0, 1, int(rng.integers(2, 4))):
        _tree(canvas, rng, x * width, ground + rng.uniform(0, 8) * unit, unit)
    if rng.random() < 0.6:
        x, y = rng.uniform(0.05, 0.7) * width, ground + rng.uniform(6, 12) * unit
        canvas.rectangle(x, y - 12 * unit, 28 * unit, 3 * unit, WOOD)
        canvas.rectangle(x, y - 7 * unit, 28 * unit, 3 * unit, shade(WOOD, 1.15))
        for leg in (2, 24):
            canvas.rectangle(x + leg * unit, y - 12 * unit, 2 * unit, 15 * unit, METAL)
    if rng.random() < 0.6:
        _lamp_post(canvas, rng.uniform(0.06, 0.94) * width, ground + 6 * unit, unit)
    _flowers(canvas, rng, ground)
    return ground


def _flowers(canvas: Canvas, rng: np.random.Generator, ground: float) -> None:
    unit = canvas.height / 128
    for _ in range(int(rng.integers(4, 10))):
        spot = (rng.uniform(0, canvas.width), rng.uniform(ground + 12 * unit, canvas.height))
        canvas.circle(spot, 2.2 * unit, _pick(rng, BRIGHT))
        canvas.circle(spot, 0.9 * unit, (255, 236, 130))


def _beach(canvas: Canvas, rng: np.random.Generator) -> float:
    width, height, unit = canvas.width, canvas.height, canvas.height / 128
    horizon, ground = height * rng.uniform(0.36, 0.46), height * rng.uniform(0.6, 0.7)
    _sky(canvas, rng, horizon)
    canvas.gradient(horizon, ground, (62, 140, 196), (120, 206, 214))
    for _ in range(int(rng.integers(3, 7))):
        x, y = rng.uniform(0, width), rng.uniform(horizon + 4 * unit, ground - 3 * unit)
        canvas.line([(x, y), (x + rng.uniform(6, 14) * unit, y)], 1.5 * unit, (216, 242, 246))
    x, sail = rng.uniform(0.1, 0.9) * width, _pick(rng, BRIGHT)
    canvas.polygon([(x, horizon - 20 * unit), (x, horizon), (x + 12 * unit, horizon)], sail)
    canvas.polygon(
        [
            (x - 8 * unit, horizon),
            (x + 15 * unit, horizon),
            (x + 10 * unit, horizon + 5 * unit),
            (x - 4 * unit, horizon + 5 * unit),
        ],
        WOOD,
    )
    sand = _pick(rng, ((244, 222, 170), (236, 208, 156), (250, 232, 190)))
    canvas.rectangle(0, ground, width, height, sand)
    canvas.rectangle(0, ground - 1.5 * unit, width, 3 * unit, (250, 250, 246))
    _umbrella(
        canvas, rng, rng.uniform(0.08, 0.92) * width, ground + rng.uniform(8, 16) * unit, unit
    )
    if rng.random() < 0.7:
        x, y, colour = (
            rng.uniform(0.1, 0.9) * width,
            rng.uniform(ground + 14 * unit, height - 8 * unit),
            _pick(rng, BRIGHT[:4]),
        )
        canvas.circle((x, y), 5.5 * unit, (250, 250, 246))
        canvas.ellipse((x, y), (2 * unit, 5.5 * unit), colour)
    if rng.random() < 0.6:
        x, y = rng.uniform(0, 0.8) * width, rng.uniform(ground + 12 * unit, height - 8 * unit)
        towel = _pick(rng, BRIGHT[:5])
        for stripe in range(5):
            canvas.polygon(
                [
                    (x + (stripe * 5 + dx) * unit, y + dy * unit)
                    for dx, dy in ((0, 0), (5, 0), (9, 8), (4, 8))
                ],
                towel if stripe % 2 == 0 else (250, 250, 246),
            )
    return ground


def _umbrella(
    canvas: Canvas, rng: np.random.Generator, x: float, ground: float, unit: float
) -> None:
    top, radius, colour = ground - 54 * unit, 21 * unit, _pick(rng, BRIGHT[:5])
    canvas.line([(x, ground), (x, top)], 2 * unit, (250, 250, 246))
    turn = np.deg2rad(np.arange(180, 361, 12))
    rim = np.stack(
        [x + radius * np.cos(turn), top + 12 * unit + 0.75 * radius * np.sin(turn)], axis=1
    )
    for part in range(5):
        wedge = np.concatenate([rim[part * 3 : part * 3 + 4], [[x, top - 4 * unit]]])
        canvas.polygon(wedge, colour if part % 2 == 0 else (250, 250, 246))


def _room(canvas: Canvas, rng: np.random.Generator) -> float:
    width, height, unit = canvas.width, canvas.height, canvas.height / 128
    ground = height * rng.uniform(0.68, 0.76)
    wall = _pick(
        rng, ((240, 214, 190), (200, 218, 226), (226, 226, 196), (222, 200, 220), (206, 224, 204))
    )
    canvas.rectangle(0, 0, width, ground, wall)
    if rng.random() < 0.5:
        for x in np.arange(rng.uniform(0, 10) * unit, width, 12 * unit):
            canvas.rectangle(x, 0, 3 * unit, ground, shade(wall, 0.95))
    floor = _pick(rng, ((190, 144, 98), (160, 118, 84), (206, 170, 124)))
    canvas.rectangle(0, ground, width, height, floor)
    for y in np.arange(ground + 9 * unit, height, 10 * unit):
        canvas.rectangle(0, y, width, 1.2 * unit, shade(floor, 0.84))
    canvas.rectangle(0, ground - 3 * unit, width, 3.5 * unit, (250, 248, 242))
    window, frame = (0.06, 0.66) if rng.random() < 0.5 else (0.66, 0.08)
    _window(canvas, rng, window * width, 12 * unit, unit)
    left, top = frame * width, rng.uniform(12, 24) * unit
    canvas.rectangle(left, top, 26 * unit, 20 * unit, shade(WOOD, 0.8))
    canvas.rectangle(
        left + 2 * unit,
        top + 2 * unit,
        22 * unit,
        16 * unit,
        _pick(rng, ((190, 222, 240), (250, 226, 180))),
    )
    canvas.polygon(
        [
            (left + (2 + x) * unit, top + (18 - y) * unit)
            for x, y in ((0, 0), (8, 11), (13, 5), (17, 9), (22, 0))
        ],
        _pick(rng, LEAVES),
    )
    side = rng.uniform(0.05, 0.2) if rng.random() < 0.5 else rng.uniform(0.8, 0.95)
    _floor_lamp(canvas, rng, side * width, ground + 6 * unit, unit)
    if rng.random() < 0.6:
        _plant(canvas, rng, (1 - side) * width, ground + 8 * unit, unit)
    rug = _pick(rng, BRIGHT[:5])
    canvas.ellipse((width / 2, height * 0.93), (44 * unit, 9 * unit), shade(rug, 0.9))
    canvas.ellipse((width / 2, height * 0.93), (37 * unit, 6.5 * unit), shade(rug, 1.3))
    return ground


def _window(canvas: Canvas, rng: np.random.Generator, left: float, top: float, unit: float) -> None:
    wide, tall = 34 * unit, 38 * unit
    canvas.rectangle(
        left - 2 * unit, top - 2 * unit, wide + 4 * unit, tall + 4 * unit, (250, 248, 242)
    )
    canvas.rectangle(left, top, wide, tall, SKIES[int(rng.integers(len(SKIES)))][0])
    canvas.rectangle(left, top + tall * 0.68, wide, tall * 0.32, _pick(rng, LEAVES))
    canvas.rectangle(left + wide / 2 - unit, top, 2 * unit, tall, (250, 248, 242))
    canvas.rectangle(left, top + tall / 2 - unit, wide, 2 * unit, (250, 248, 242))
    if rng.random() < 0.6:
        curtain = _pick(rng, BRIGHT)
        for x in (left - 5 * unit, left + wide - 2 * unit):
            canvas.rectangle(x, top - 4 * unit, 7 * unit, tall + 9 * unit, curtain)


def _floor_lamp(
    canvas: Canvas, rng: np.random.Generator, x: float, ground: float, unit: float
) -> None:
    colour = _pick(rng, BRIGHT)
    canvas.line([(x, ground), (x, ground - 44 * unit)], 2 * unit, METAL)
    canvas.ellipse((x, ground), (7 * unit, 2 * unit), METAL)
    top = ground - 54 * unit
    canvas.polygon(
        [
            (x - 5 * unit, top),
            (x + 5 * unit, top),
            (x + 9 * unit, top + 13 * unit),
            (x - 9 * unit, top + 13 * unit),
        ],
        colour,
    )


def _plant(canvas: Canvas, rng: np.random.Generator, x: float, ground: float, unit: float) -> None:
    leaves = _pick(rng, LEAVES[:3])
    for angle in (-50, -25, 0, 25, 50):
        tip = (
            x + 16 * unit * np.sin(np.deg2rad(angle)),
            ground - 10 * unit - 17 * unit * np.cos(np.deg2rad(angle)),
        )
        canvas.capsule((x, ground - 10 * unit), tip, 1.5 * unit, 3.4 * unit, leaves)
    canvas.polygon(
        [
            (x - 7 * unit, ground - 12 * unit),
            (x + 7 * unit, ground - 12 * unit),
            (x + 5 * unit, ground),
            (x - 5 * unit, ground),
        ],
        (204, 116, 80),
    )


def _snow(canvas: Canvas, rng: np.random.Generator) -> float:
    width, height, unit = canvas.width, canvas.height, canvas.height / 128
    ground = height * rng.uniform(0.6, 0.7)
    _sky(canvas, rng, ground)
    for x in (rng.uniform(0, 0.4), rng.uniform(0.5, 1.0)):
        peak, half = ground - rng.uniform(34, 52) * unit, rng.uniform(34, 48) * unit
        rock = _pick(rng, ((134, 150, 178), (120, 132, 156)))
        centre = x * width
        canvas.polygon([(centre - half, ground), (centre, peak), (centre + half, ground)], rock)
        third = 0.35
        canvas.polygon(
            [
                (centre - half * third, peak + (ground - peak) * third),
                (centre, peak),
                (centre + half * third, peak + (ground - peak) * third),
                (centre, peak + (ground - peak) * 0.26),
            ],
            (248, 250, 255),
        )
    canvas.gradient(ground, height, (232, 240, 250), (250, 252, 255))
    for x in rng.uniform(0, 1, int(rng.integers(2, 5))):
        base, size = ground + rng.uniform(0, 10) * unit, rng.uniform(0.8, 1.2) * unit
        centre = x * width
        canvas.rectangle(centre - 2 * size, base - 4 * size, 4 * size, 5 * size, shade(WOOD, 0.7))
        for tier in range(3):
            low, half = base - (4 + tier * 10) * size, (13 - tier * 3) * size
            canvas.polygon(
                [(centre - half, low), (centre + half, low), (centre, low - 17 * size)],
                shade((54, 122, 92), 1 + 0.08 * tier),
            )
            canvas.polygon(
                [
                    (centre - half * 0.3, low - 12 * size),
                    (centre + half * 0.3, low - 12 * size),
                    (centre, low - 17 * size),
                ],
                (248, 250, 255),
            )
    if rng.random() < 0.6:
        _snowman(canvas, rng, rng.uniform(0.08, 0.92) * width, ground + 14 * unit, unit)
    if rng.random() < 0.6:
        _sign(canvas, rng, rng.uniform(0.06, 0.94) * width, ground + 8 * unit, unit)
    return ground


def _snowman(
    canvas: Canvas, rng: np.random.Generator, x: float, ground: float, unit: float
) -> None:
    for y, radius in ((8, 9.0), (21, 6.5), (31, 4.8)):
        canvas.circle((x, ground - y * unit), (radius + 0.9) * unit, (176, 190, 212))
        canvas.circle((x, ground - y * unit), radius * unit, (252, 253, 255))
    canvas.rectangle(
        x - 5.5 * unit, ground - 27.5 * unit, 11 * unit, 2.6 * unit, _pick(rng, BRIGHT[:4])
    )
    for away in (-1.8, 1.8):
        canvas.circle((x + away * unit, ground - 32.5 * unit), 0.9 * unit, (50, 50, 60))
    canvas.polygon(
        [
            (x, ground - 31.5 * unit),
            (x, ground - 29.8 * unit),
            (x + 5 * unit, ground - 30.3 * unit),
        ],
        (244, 146, 46),
    )


PLACES: dict[str, Callable[[Canvas, np.random.Generator], float]] = {
    "street": _street,
    "park": _park,
    "beach": _beach,
    "room": _room,
    "snow": _snow,
}
