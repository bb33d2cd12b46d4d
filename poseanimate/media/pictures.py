"""Reading pictures: PNG, JPEG and WebP as upright 8-bit RGB, and the working size."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from poseanimate.errors import PictureError


@dataclass(frozen=True)
class PictureLimits:
    """What `load_picture` accepts, checked on the header alone."""

    max_bytes: int = 20_000_000
    max_pixels: int = 40_000_000
    min_side_px: int = 64
    max_aspect: float = 4.0  # longer side over shorter side


def load_picture(
    source: Path | bytes | Image.Image, limits: PictureLimits | None = None
) -> Image.Image:
    """Read a picture: upright (EXIF), transparency over white, 8-bit RGB.

    Args:
        source: a PNG, JPEG or WebP file, its bytes, or an opened picture; the first frame of an
            animation.
        limits: what is accepted; checked before any pixel is decoded.

    Raises:
        PictureError: missing, not in one of these formats, damaged, or outside the limits.
    """
    limits = limits or PictureLimits()
    if not isinstance(source, Image.Image):
        source = _open_picture(_picture_bytes(source, limits))
    image: Image.Image = source
    _check_picture(image.width, image.height, limits)
    try:
        return rgb_over_white(_upright(image))
    except Exception as error:  # Pillow's decoders raise almost anything on damaged data
        raise PictureError(
            "The picture is damaged: it can't be decoded to its end.",
            "Save or download it again, as PNG, JPEG or WebP.",
        ) from error


def _picture_bytes(source: Path | bytes, limits: PictureLimits) -> bytes:
    if isinstance(source, bytes):
        size_bytes = len(source)
    else:
        try:
            size_bytes = source.stat().st_size
        except (OSError, ValueError) as error:
            raise PictureError(f"There is no picture at {source}.", "Check the path.") from error
    if size_bytes > limits.max_bytes:
        raise PictureError(
            f"The picture is too large: {size_bytes / 1e6:.1f} MB, at most "
            f"{limits.max_bytes / 1e6:.0f} MB are read.",
            "Save it smaller, or as JPEG.",
        )
    if isinstance(source, bytes):
        return source
    try:
        return source.read_bytes()
    except OSError as error:
        raise PictureError(
            f"The picture at {source} can't be read ({error.strerror}).",
            "Choose a file that you may read.",
        ) from error


def _open_picture(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP"))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError(
            "The picture is too large: it has far too many pixels.", "Save it smaller."
        ) from error
    except Exception as error:
        raise PictureError(
            "This is not a picture that can be read.", "Choose a PNG, JPEG or WebP file."
        ) from error


def _check_picture(width: int, height: int, limits: PictureLimits) -> None:
    if width * height > limits.max_pixels:
        raise PictureError(
            f"The picture is too large: {width}x{height} pixels, at most "
            f"{limits.max_pixels / 1e6:.0f} megapixels are read.",
            "Save it smaller.",
        )
    if min(width, height) < limits.min_side_px:
        raise PictureError(
            f"The picture is too small: {width}x{height} pixels, each side needs at least "
            f"{limits.min_side_px}.",
            "Choose a larger picture.",
        )
    if max(width, height) > limits.max_aspect * min(width, height):
        raise PictureError(
            f"The picture is too narrow: {width}x{height} pixels, one side may be at most "
            f"{limits.max_aspect:g} times the other.",
            "Crop it around the character.",
        )


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # a damaged EXIF block costs the rotation, not the picture
        return image


def rgb_over_white(image: Image.Image) -> Image.Image:
    """Converts any picture to 8-bit RGB, with transparency over white."""
    if image.mode.startswith("I"):  # 16-bit grey
        grey = np.clip(np.asarray(image).astype(np.float64) / 257.0, 0.0, 255.0)
        image = Image.fromarray(np.rint(grey).astype(np.uint8))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        rgb = Image.alpha_composite(white, rgba).convert("RGB")
    else:
        rgb = image.convert("RGB")
    return Image.fromarray(np.array(rgb))  # a copy free of the file's metadata


def fit_size(width: int, height: int, area_side: float, multiple: int) -> tuple[int, int]:
    """The working size (width, height): multiples of `multiple`, area about `area_side`².

    Of the four roundings of the ideal size, the one nearest in aspect, then in area.
    """
    factor = area_side / math.sqrt(width * height)
    candidates = [
        (max(1, round_w(width * factor / multiple)) * multiple,
         max(1, round_h(height * factor / multiple)) * multiple)
        for round_w in (math.floor, math.ceil)
        for round_h in (math.floor, math.ceil)
    ]  # fmt: skip

    def distance(size: tuple[int, int]) -> tuple[float, float]:
        aspect = abs(math.log((size[0] / size[1]) / (width / height)))
        area = abs(math.log(size[0] * size[1] / area_side**2))
        return round(aspect, 9), area

    return min(candidates, key=distance)
