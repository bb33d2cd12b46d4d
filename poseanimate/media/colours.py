"""Colours as screens show them: any picture as 8-bit sRGB, with transparency over white."""

from __future__ import annotations

import io
from functools import cache

from PIL import Image, ImageCms

_16_TO_8_BITS = [(value * 255 + 32767) // 65535 for value in range(65536)]  # rounded


def rgb_over_white(image: Image.Image) -> Image.Image:
    """Converts any picture to 8-bit sRGB by its ICC profile, with transparency over white.

    Without a profile RGB is taken as sRGB. A broken profile costs the conversion, not the picture.
    """
    image = plain_mode(image)
    profile = image.info.get("icc_profile")
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    if alpha is not None:
        image = image.convert(image.mode[:-1])
    rgb = _convert_to_srgb(image, profile)
    if alpha is not None:
        rgb = Image.composite(rgb, Image.new("RGB", rgb.size, "white"), alpha)
    rgb.info = {}  # a copy free of the file's metadata
    return rgb


def plain_mode(image: Image.Image) -> Image.Image:
    """A picture in one of the modes L, LA, RGB, RGBA, CMYK and LAB, 8 bits each; its metadata stay."""
    if image.mode.startswith("I"):
        image = image.convert("I").point(_16_TO_8_BITS, "L")
    if image.has_transparency_data:
        mode = "LA" if image.mode in ("1", "L", "LA", "La") else "RGBA"
    elif image.mode in ("L", "CMYK", "LAB"):
        mode = image.mode
    else:
        mode = "L" if image.mode == "1" else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _convert_to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """A copy in sRGB."""
    if image.mode == "LAB":
        source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    elif profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        except Exception:
            return image.convert("RGB")
    else:
        return image.convert("RGB")
    try:
        converted = ImageCms.profileToProfile(image, source, _srgb(), outputMode="RGB")
    except ImageCms.PyCMSError:  # such as a profile for CMYK in a picture of RGB
        converted = None
    return image.convert("RGB") if converted is None else converted


@cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
