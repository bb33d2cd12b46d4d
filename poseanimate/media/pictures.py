"""Reading pictures as upright 8-bit sRGB, and the working size.

Notable:
- What a file is, its first bytes say; each decoder sees its own kind alone.
- Limits are checked on the header. What is larger than `max_kept_pixels` is reduced while it is decoded (JPEG) or at
  once afterwards. For a moment 60 megapixels take up to 250 MB as JPEG and 950 MB otherwise (WebP; PNG 600).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import ExifTags, Image, ImageFile

from poseanimate.errors import PictureError
from poseanimate.media.colours import plain_mode, rgb_over_white
from poseanimate.media.picture_bytes import (
    JPEG_END,
    all_tags_fit,
    count_scans,
    essential_gif,
    essential_jpeg,
    essential_png,
    tags_fit,
)
from poseanimate.media.picture_kinds import OPENERS, check_pixels, find_kind

MAX_SCANS = 200  # of a progressive JPEG; each takes its time, whatever the file's size
_TRAILING_ZEROS = bytes(16)  # more than a whole file ends with
_BAND_ROWS = 128
_START_BYTES = 64
_ANIMATED = frozenset({"GIF", "PNG", "WebP", "AVIF"})
_FILLER = bytes(range(1, 65))
_ESSENTIAL = {"PNG": essential_png, "JPEG": essential_jpeg, "GIF": essential_gif}
_TAGS_FIT = {"TIFF": tags_fit, "AVIF": all_tags_fit}  # those whose tags are read at once
_TURNS = {  # by EXIF's orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class PictureLimits:
    """What `load_picture` accepts, checked on the header alone."""

    max_bytes: int = 50_000_000
    max_pixels: int = 64_000_000
    max_kept_pixels: int = 16_000_000  # larger pictures are reduced by a whole number
    min_side_px: int = 64
    max_aspect: float = 4.0  # longer side over shorter side


def load_picture(
    source: Path | bytes | Image.Image, limits: PictureLimits | None = None
) -> Image.Image:
    """Read a picture: upright (EXIF), in sRGB (ICC), transparency over white, 8-bit RGB.

    Args:
        source: a file of one of `PICTURE_KINDS`, its bytes, or an opened picture. The first frame
            of an animation is read, and the first picture of several.
        limits: what is accepted; checked before any pixel is decoded.

    Raises:
        PictureError: missing, of another kind (which is named), damaged, or outside the limits.
    """
    limits = limits or PictureLimits()
    if isinstance(source, Image.Image):
        kind, data = "", b""
    else:
        data = _picture_bytes(source, limits)
        kind = find_kind(data)
        data = _ESSENTIAL.get(kind, bytes)(data)
        source = _open_picture(kind, data)
    check_pixels(source)
    _check_picture(source.width, source.height, limits)
    if kind == "JPEG" and count_scans(data) > MAX_SCANS:
        raise PictureError(
            "The JPEG has too many scans: it would take very long to decode.", "Save it as PNG."
        )
    try:
        image = _decode_jpeg(source, data, limits) if kind == "JPEG" else _decode(source, limits)
        return rgb_over_white(_upright(image))
    except Exception as error:  # Pillow's decoders raise almost anything on damaged data
        raise PictureError(
            "The picture is damaged: it can't be decoded to its end.",
            "Save or download it again, as PNG or JPEG.",
        ) from error


def is_still(path: Path) -> bool:
    """Whether a file is a picture that doesn't move, by its content; false where it can't be read."""
    try:
        with path.open("rb") as file:
            kind = find_kind(file.read(_START_BYTES))
        if kind not in _ANIMATED:
            return True
        data = path.read_bytes()
        if kind == "PNG":
            return b"acTL" not in data[: data.find(b"IDAT")]
        if kind == "GIF":
            data = essential_gif(data)
        return not getattr(OPENERS[kind](BytesIO(data)), "is_animated", False)
    except Exception:  # Pillow's readers raise almost anything on damaged data
        return False


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


def _open_picture(kind: str, data: bytes) -> Image.Image:
    if not _TAGS_FIT.get(kind, bool)(data):
        raise PictureError(
            f"The picture is damaged: its tags claim more than a {kind} picture has.",
            "Save it again, as PNG or JPEG.",
        )
    try:
        return OPENERS[kind](BytesIO(data))
    except Exception as error:
        raise PictureError(
            f"The picture is damaged: its {kind} header can't be read.",
            "Save or download it again, as PNG or JPEG.",
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


def _decode_jpeg(image: Image.Image, data: bytes, limits: PictureLimits) -> Image.Image:
    if data.endswith(_TRAILING_ZEROS):  # a place reserved for more, which the decoder takes for it
        return _decode_without_end(data.rstrip(b"\0") + b"\0", limits)
    try:
        return _decode(image, limits)
    except OSError:
        return _decode_without_end(data.rstrip(b"\xff"), limits)


def _decode_without_end(data: bytes, limits: PictureLimits) -> Image.Image:
    """A JPEG that may lack its end mark and nothing else.

    A decoder fills what is missing with grey and doesn't tell. But of a whole picture it skips more
    bytes before the mark, and of a part it takes them for more of the picture. (A progressive one
    that is cut off exactly between two scans counts as whole: it shows everything, less finely.)
    """
    given, lengthened = (
        _decode(_open_picture("JPEG", data + filler + JPEG_END), limits)
        for filler in (b"", _FILLER)
    )
    if given.tobytes() != lengthened.tobytes():
        raise OSError("a part of the picture is missing")
    return given


def _decode(image: Image.Image, limits: PictureLimits) -> Image.Image:
    factor = _reduction(image, limits)
    if isinstance(image, ImageFile.ImageFile):  # JPEGs are decoded smaller, by a power of two
        image.draft(None, (math.ceil(image.width / factor), math.ceil(image.height / factor)))
    image.load()
    factor = _reduction(image, limits)
    return plain_mode(image) if factor == 1 else _reduce(image, factor)


def _reduce(image: Image.Image, factor: int) -> Image.Image:
    """A picture reduced by a whole number, in bands: a second one of the full size is never made."""
    rows = _BAND_ROWS * factor
    reduced = None
    for top in range(0, image.height, rows):
        band = plain_mode(image.crop((0, top, image.width, min(top + rows, image.height))))
        band = band.reduce(factor)
        if reduced is None:
            reduced = Image.new(band.mode, (band.width, math.ceil(image.height / factor)))
            reduced.info = band.info
        reduced.paste(band, (0, top // factor))
    assert reduced is not None  # an image has rows
    return reduced


def _reduction(image: Image.Image, limits: PictureLimits) -> int:
    return math.ceil(math.sqrt(image.width * image.height / limits.max_kept_pixels))


def _upright(image: Image.Image) -> Image.Image:
    """Turned by its EXIF or XMP. Only the orientation is read: other tags may claim gigabytes."""
    orientation = 1
    try:
        if tags_fit(image.info.get("exif", b"")):
            orientation = image.getexif().get(ExifTags.Base.Orientation) or 1
    except Exception:  # a damaged EXIF block costs the rotation, not the picture
        pass
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


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
