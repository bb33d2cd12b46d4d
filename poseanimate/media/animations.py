"""Animated pictures: GIF, WebP and PNG, at a constant rate and over white.

Notable: sizes and delays are read from the file's blocks before anything is decoded; Pillow then
decodes one frame after the other.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from poseanimate.errors import VideoError
from poseanimate.media.picture_bytes import essential_gif
from poseanimate.media.rates import MAX_FPS, choose_rate

Frame = NDArray[np.uint8]

# Every browser shows frames with shorter delays for 100 ms.
_SHORTEST_MS = 11
_USUAL_MS = 100


@dataclass(frozen=True)
class Animation:
    """What is known of an animated picture before it is decoded: its size, and each frame's time.

    fps, varying: see `choose_rate`.
    """

    kind: str
    width: int
    height: int
    delays_ms: tuple[float, ...]
    fps: float
    varying: bool

    @property
    def duration_s(self) -> float:
        """In seconds."""
        return sum(self.delays_ms) / 1000


def read_animation(path: Path, kind: str) -> Animation:
    """Read the blocks of a file of Pillow's format `kind`: "GIF", "WEBP" or "PNG".

    Raises:
        VideoError: damaged, cut off, or a still picture.
    """
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        try:
            width, height, delays = _READERS[kind](file, size_bytes)
        except (EOFError, IndexError) as error:
            raise _damaged("its end is missing") from error
    if not delays and kind != "GIF":
        raise VideoError(
            f"This is a still picture ({_NAMES[kind]}), not a video that can be read.",
            "Choose a video.",
        )
    if not delays or width * height == 0:
        raise _damaged("it has no frames")
    times = tuple(each if each >= _SHORTEST_MS else _USUAL_MS for each in delays)
    mean = 1000 * len(times) / sum(times)
    regular = max(times) - min(times) <= 10  # a GIF counts in hundredths: 80, 80, 90 ms are 12 fps
    base = mean if regular else 1000 / math.gcd(*map(round, times))
    fps, varying = choose_rate(mean, base if base <= MAX_FPS else None)
    return Animation(kind, width, height, times, fps, varying)


def decode_animation(
    path: Path,
    animation: Animation,
    start_s: float,
    count: int,
    step_s: float,
    size: tuple[int, int],
) -> Iterator[Frame]:
    """Yield the frames that are shown in the middle of `count` steps from `start_s` on.

    Args:
        size: width and height in pixels to which frames are scaled.

    Raises:
        VideoError: a frame can't be decoded.
    """
    ends = list(accumulate(each / 1000 for each in animation.delays_ms))
    skipped, shown, index = 0, None, -1
    try:
        with Image.open(_source(path, animation.kind), formats=(animation.kind,)) as image:
            if getattr(image, "default_image", False):  # an APNG's picture for old readers
                skipped = 1
            for step in range(count):
                time_s = start_s + step * step_s
                wanted = next(
                    (i for i in range(max(index, 0), len(ends)) if time_s < ends[i]), None
                )
                if wanted is None:
                    return
                if wanted != index or shown is None:
                    for each in range(index + 1, wanted + 1):
                        image.seek(each + skipped)
                        image.load()
                    index, shown = wanted, _over_white(image, size)
                yield shown.copy()
    except Exception as error:  # Pillow's parsers raise almost anything on damaged data
        raise _damaged("it can't be decoded to its end") from error


def _source(path: Path, kind: str) -> Path | io.BytesIO:
    if kind == "GIF":
        return io.BytesIO(essential_gif(path.read_bytes()))
    if kind != "WEBP":
        return path
    # Opaque frames that don't fill the canvas leave the rest transparent. Pillow knows it by a flag alone.
    data = bytearray(path.read_bytes())
    if data[12:16] == b"VP8X":
        data[20] |= 0x10
    return io.BytesIO(data)


def _over_white(image: Image.Image, size: tuple[int, int]) -> Frame:
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    white.alpha_composite(rgba)
    rgb = white.convert("RGB")
    return np.array(rgb if rgb.size == size else rgb.resize(size, Image.Resampling.BOX), np.uint8)


def _damaged(what: str) -> VideoError:
    return VideoError(f"The video is damaged: {what}.", "Save or download it again.")


def _take(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise EOFError
    return data


def _skip(file: BinaryIO, count: int, size_bytes: int) -> None:
    if file.seek(count, io.SEEK_CUR) > size_bytes:
        raise EOFError


def _read_gif(file: BinaryIO, size_bytes: int) -> tuple[int, int, Sequence[float]]:
    """Width, height and delays in ms. A missing end mark is no damage; half a block is."""
    start = _take(file, 13)
    width, height = _little(start[6:8]), _little(start[8:10])
    _skip(file, _palette_bytes(start[10]), size_bytes)
    delays: list[float] = []
    delay = 0
    while (mark := file.read(1)) not in (b"", b";"):
        if mark == b"!":
            label = _take(file, 1)
            first = _skip_blocks(file, size_bytes)
            if label == b"\xf9" and len(first) >= 3:
                delay = 10 * _little(first[1:3])
        elif mark == b",":
            place = _take(file, 9)
            left, top, wide, high = (_little(place[i : i + 2]) for i in (0, 2, 4, 6))
            width, height = max(width, left + wide), max(height, top + high)
            _skip(file, _palette_bytes(place[8]) + 1, size_bytes)
            _skip_blocks(file, size_bytes)
            delays.append(delay)
            delay = 0
        elif mark != b"\0":
            raise _damaged("there is something else between its frames")
    return width, height, delays


def _palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _skip_blocks(file: BinaryIO, size_bytes: int) -> bytes:
    """Skip a GIF's chain of blocks; return the first."""
    count = _take(file, 1)[0]
    first = _take(file, count)
    while count:
        count = _take(file, 1)[0]
        _skip(file, count, size_bytes)
    return first


def _read_webp(file: BinaryIO, size_bytes: int) -> tuple[int, int, Sequence[float]]:
    _take(file, 12)
    width = height = 0
    delays: list[float] = []
    while len(head := file.read(8)) == 8:
        size = _little(head[4:8])
        used = 0
        if head[:4] == b"VP8X":
            used = 10
            canvas = _take(file, used)
            width, height = 1 + _little(canvas[4:7]), 1 + _little(canvas[7:10])
        elif head[:4] == b"ANMF":
            used = 16
            delays.append(_little(_take(file, used)[12:15]))
        _skip(file, max(0, size - used) + size % 2, size_bytes)
    return width, height, delays


def _read_png(file: BinaryIO, size_bytes: int) -> tuple[int, int, Sequence[float]]:
    _take(file, 16)
    size = _take(file, 8)
    width, height = _big(size[:4]), _big(size[4:])
    _skip(file, 9, size_bytes)
    delays: list[float] = []
    animated = ended = False
    while not ended:
        head = _take(file, 8)
        length, name = _big(head[:4]), head[4:]
        used = 0
        if name == b"fcTL":
            used = 26
            control = _take(file, used)
            part, whole = _big(control[20:22]), _big(control[22:24]) or 100
            delays.append(1000 * part / whole)
        animated = animated or name == b"acTL"
        ended = name == b"IEND" or (name == b"IDAT" and not animated)
        _skip(file, 0 if ended else max(0, length - used) + 4, size_bytes)
    return width, height, delays if animated else []


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _big(data: bytes) -> int:
    return int.from_bytes(data, "big")


_NAMES = {"GIF": "GIF", "WEBP": "WebP", "PNG": "PNG"}
_READERS = {"GIF": _read_gif, "WEBP": _read_webp, "PNG": _read_png}
