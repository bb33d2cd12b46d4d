"""The numbers of pose files: which points are missing, confidences, units, and the canvas.

Units are decided for each part over the whole file, by most of its points, so that neither one wild joint nor hands in
other units than the body decide.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from poseanimate.poses.formats.limits import MAX_SIDE_PX
from poseanimate.poses.formats.people import Person
from poseanimate.poses.formats.remarks import Notes, Refused
from poseanimate.poses.skeleton import THRESHOLD, FloatArray

DEFAULT_SIDE_PX = 512
PIXELS = "pixels"
"""The value of 'units' in a file whose numbers need no guessing."""

# Nobody is this small in pixels, so such numbers are fractions of the canvas.
_LARGEST_FRACTION = 2.0
# If so many of a part's points are within it.
_MOST = 0.75
# Fractions run from -1 to 1 if so many points have a coordinate below 0; of fractions from 0 to 1 so many would lie
# outside the picture.
_SHARE_BELOW_0 = 0.25
# Pixels this far outside come from a broken file, not from a detector.
_LARGEST_PX = 4.0 * MAX_SIDE_PX
# Some tools write 2 for "seen", as COCO's annotations do.
_LARGEST_CONFIDENCE = 2.0
# Canvases that differ by no more than this share are one canvas, rounded differently.
_CANVAS_TOLERANCE = 0.1

Canvas = tuple[int, int]


def are_exact(heads: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a file says that its numbers are pixels and confidences, as ours do: then nothing is guessed."""
    return any(head.get("units") == PIXELS for head in heads)


def drop_missing(people: Iterable[Person], exact: bool, notes: Notes) -> None:
    """Sets points to 0 that are missing: without numbers or confidence, and unless exact at (0, 0) or (-1, -1)."""
    for person in people:
        for points in person.parts.values():
            xy = points[:, :2]
            at_mark = (xy == 0).all(axis=1) | (xy == -1).all(axis=1)
            at_mark &= not exact
            if (points[at_mark, 2] > 0).any():
                notes.add("Joints at (0, 0) or (-1, -1) count as missing")
            points[np.isnan(points).any(axis=1) | at_mark | (points[:, 2] == 0)] = 0.0


def scale_confidences(people: Sequence[Person], exact: bool, notes: Notes) -> None:
    """Brings confidences to 0 to 1, after `drop_missing`.

    Raises:
        Refused: some are outside 0 to 1 without a system.
    """
    parts = [points for person in people for points in person.parts.values()]
    values = np.concatenate([np.zeros(0), *(points[:, 2] for points in parts)])
    seen = values[values > 0]
    if len(seen) and np.median(seen) > _LARGEST_CONFIDENCE:
        notes.add(f"Confidences go up to {seen.max():g}; those above 1 count as certain")
    elif len(values) and (values.min() < 0 or values.max() > _LARGEST_CONFIDENCE):
        raise Refused(
            f"it holds a confidence of {values.min() if values.min() < 0 else values.max():g}",
            "Scale confidences to 0 (absent) to 1 (certain).",
        )
    for points in parts:
        points[:, 2] = np.clip(points[:, 2], 0.0, 1.0)
        points[points[:, 2] == 0] = 0.0
    bodies = [person.parts["body"] for person in people if "body" in person.parts]
    highest = max((float(body[:, 2].max()) for body in bodies), default=0.0)
    if 0 < highest < THRESHOLD and not exact:
        notes.add(f"No confidence is above {highest:g}; they are taken in relation to it")
        for body in bodies:
            body[:, 2] /= highest


def to_pixels(people: Sequence[Person], canvas: Canvas | None, exact: bool, notes: Notes) -> Canvas:
    """Scales all points to pixels, after `drop_missing`.

    Args:
        canvas: as the file names it; without one it is as large as the points in pixels need, or 512x512.

    Returns:
        The canvas.

    Raises:
        Refused: a coordinate that can't be.
    """
    names = sorted({name for person in people for name in person.parts})
    seen_xy = {name: _seen_xy(people, name) for name in names}
    fractions = {name for name in names if not exact and _are_fractions(seen_xy[name])}
    signed = _is_signed([seen_xy[name] for name in sorted(fractions)])
    if canvas is None:
        in_pixels = np.concatenate(
            [np.zeros((0, 2)), *(seen_xy[name] for name in names if name not in fractions)]
        )
        canvas = _enclose(in_pixels)
        _note_canvas(canvas, bool(fractions), len(in_pixels) > 0, notes)
    if signed:
        notes.add("Coordinates are read as running from -1 to 1 over the picture")
    elif 0 < len(fractions) < len([name for name in names if len(seen_xy[name])]):
        words = ", ".join(name.replace("_", " ") for name in sorted(fractions))
        notes.add(f"Coordinates are in pixels, but as fractions of the picture for: {words}")
    for person in people:
        for name, points in person.parts.items():
            here = points[:, 2] > 0
            if name in fractions:
                points[here, :2] = _scaled(points[here, :2], canvas, signed)
            if here.any() and np.abs(points[here, :2]).max() > _LARGEST_PX:
                raise Refused(
                    f"it holds a coordinate beyond ±{_LARGEST_PX:.0f} pixels",
                    "Give positions in pixels of the canvas, or as fractions of it.",
                )
    return canvas


def find_canvas(holders: Iterable[Mapping[str, Any]], notes: Notes) -> Canvas | None:
    """The canvas that a file names, in whole or by frame; None if it names none.

    Raises:
        Refused: it is no size of a picture, or frames differ by more than a tenth.
    """
    sizes = {size for size in map(_size, holders) if size is not None}
    if not sizes:
        return None
    largest = max(size[0] for size in sizes), max(size[1] for size in sizes)
    smallest = min(size[0] for size in sizes), min(size[1] for size in sizes)
    for small, large in zip(smallest, largest, strict=True):
        if small < large * (1 - _CANVAS_TOLERANCE):
            raise Refused(
                "its frames have canvases of different sizes, from {}x{} to {}x{}".format(
                    *smallest, *largest
                ),
                "Give all frames one canvas.",
            )
    if len(sizes) > 1:
        notes.add(
            "Frames have slightly different canvases; all are taken as {}x{}".format(*largest)
        )
    return largest


def read_rate(head: Mapping[str, Any]) -> float | None:
    """The frame rate that a file names, as number or text; None if it names none.

    Raises:
        Refused: it is none.
    """
    for key in ("fps", "frame_rate", "framerate", "frameRate"):
        if head.get(key) is not None:
            return _plain_number(head[key], f"the frame rate '{key}'")
    return None


def _size(holder: Mapping[str, Any]) -> Canvas | None:
    for names in (("canvas_width", "canvas_height"), ("width", "height")):
        if any(holder.get(name) is not None for name in names):
            sides = [_plain_number(holder.get(name), f"'{name}'") for name in names]
            if not all(1 <= side <= MAX_SIDE_PX and side == int(side) for side in sides):
                raise Refused(
                    f"its canvas is {sides[0]:g}x{sides[1]:g}",
                    f"Give whole numbers of pixels between 1 and {MAX_SIDE_PX}.",
                )
            return int(sides[0]), int(sides[1])
    return None


def _plain_number(value: Any, what: str) -> float:
    """A finite number, which may be written as text."""
    if isinstance(value, str) and len(value) <= 40:
        value = _of_text(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    raise Refused(f"{what} is something other than a finite number")


def _of_text(text: str) -> float | None:
    try:
        return float(text.lower().strip().removesuffix("fps"))
    except ValueError:
        return None


def _seen_xy(people: Iterable[Person], name: str) -> FloatArray:
    """(n, 2): all points of this part that are seen."""
    parts = [person.parts[name] for person in people if name in person.parts]
    return np.concatenate([np.zeros((0, 2)), *(points[points[:, 2] > 0, :2] for points in parts)])


def _are_fractions(xy: FloatArray) -> bool:
    return len(xy) > 0 and float((np.abs(xy).max(axis=1) <= _LARGEST_FRACTION).mean()) >= _MOST


def _is_signed(fractions: Sequence[FloatArray]) -> bool:
    xy = np.concatenate([np.zeros((0, 2)), *fractions])
    return len(xy) > 0 and float((xy < 0).any(axis=1).mean()) >= _SHARE_BELOW_0


def _scaled(xy: FloatArray, canvas: Canvas, signed: bool) -> FloatArray:
    return ((xy + 1) / 2 if signed else xy) * np.array(canvas, dtype=np.float64)


def _enclose(xy: FloatArray) -> Canvas:
    """The canvas that is just large enough for points in pixels; 512x512 without any."""
    if len(xy) == 0:
        return DEFAULT_SIDE_PX, DEFAULT_SIDE_PX
    right, bottom = np.clip(np.ceil(xy.max(axis=0)) + 1, 1, MAX_SIDE_PX)
    return int(right), int(bottom)


def _note_canvas(canvas: Canvas, fractions: bool, pixels: bool, notes: Notes) -> None:
    if fractions:
        notes.add(
            "Positions are fractions of a picture whose size the file doesn't name; it is taken as {}x{}, which "
            "distorts a figure from a picture of another shape: add canvas_width and canvas_height then".format(
                *canvas
            )
        )
    elif pixels:
        notes.add("The file names no canvas; it is taken as {}x{} pixels".format(*canvas))
