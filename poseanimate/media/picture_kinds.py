"""The kinds of pictures, told apart by their first bytes: which are read, and the names of others."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

from PIL import Image
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from poseanimate.errors import PictureError

PICTURE_KINDS = "PNG, JPEG, WebP, HEIC, AVIF, GIF, BMP or TIFF"
PICTURE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".mpo", ".webp", ".heic", ".heif", ".avif"),
    *(".gif", ".bmp", ".tif", ".tiff"),
)


def _open_heif(file: BytesIO) -> Image.Image:
    from pillow_heif import HeifImageFile  # its libraries are loaded for such pictures alone

    return HeifImageFile(file)


# Each decoder sees its own kind alone. MPO isn't asked for: a JPEG's first picture is meant, and
# neither the other eye's nor a gain map.
OPENERS: dict[str, Callable[[BytesIO], Image.Image]] = {
    "PNG": PngImageFile,
    "JPEG": JpegImageFile,
    "WebP": WebPImageFile,
    "HEIC": _open_heif,
    "AVIF": AvifImageFile,
    "GIF": GifImageFile,
    "BMP": BmpImageFile,
    "TIFF": TiffImageFile,
}

_READ = [  # first bytes
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
]
_NAMED = [
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"\0\0\1\0", "an icon (ICO)"),
    (b"8BPS", "a Photoshop file"),
    (b"gimp xcf", "a GIMP file"),
    (b"%PDF", "a PDF"),
    (b"v/1\x01", "an OpenEXR picture"),
    (b"FUJIFILMCCD-RAW", "a camera's raw picture"),
    (b"\x1aE\xdf\xa3", "a video"),
    (b"PK\3\4", "a ZIP archive"),
]
_RAW = "a camera's raw picture"
_TEXTS = [(b"<svg", "an SVG drawing"), (b"<html", "a web page"), (b"<!doctype html", "a web page")]
_TEXT_BYTES = 1000
_DNG_VERSION, _SUBFILE_TYPE = 50706, 254


def find_kind(data: bytes) -> str:
    """What a file is by its first bytes, a key of `OPENERS`.

    Raises:
        PictureError: it is something else, which is named where it is known.
    """
    for start, kind in _READ:
        if data.startswith(start):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[4:8] == b"ftyp":
        return _find_boxed_kind(data)
    for start, name in _NAMED:
        if data.startswith(start):
            raise refuse_kind(name)
    text = data[:_TEXT_BYTES].lower()
    for start, name in _TEXTS:
        if start in text:
            raise refuse_kind(name)
    raise PictureError("This is not a picture that can be read.", f"Choose a {PICTURE_KINDS} file.")


def _find_boxed_kind(data: bytes) -> str:
    """The kind of a file that begins like HEIC, AVIF and MP4: all its brands count, as phones list them freely."""
    brands = data[8:12], *(data[at : at + 4] for at in range(16, min(data[3], 64), 4))
    if {b"avif", b"avis"} & {*brands}:
        return "AVIF"
    if {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"} & {*brands}:
        return "HEIC"
    raise refuse_kind(_RAW if b"crx " in brands else "a video")


def check_pixels(image: Image.Image) -> None:
    """Refuses what only a header tells: a camera's raw data around a small preview, and pixels that aren't colours.

    Raises:
        PictureError: see above.
    """
    tags = image.tag_v2 if isinstance(image, TiffImageFile) else {}
    if _DNG_VERSION in tags or tags.get(_SUBFILE_TYPE) == 1:
        raise refuse_kind(_RAW)
    if image.mode == "F":
        raise refuse_kind("a picture of floating-point numbers")


def refuse_kind(name: str) -> PictureError:
    """The error for a kind that isn't read; name: with its article."""
    return PictureError(
        f"This is {name}, which can't be read as a picture.", "Save it as PNG or JPEG."
    )
