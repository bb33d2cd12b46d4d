"""Pictures in: what is read and what is refused."""

from __future__ import annotations

import io
import math
import zlib
from pathlib import Path

import numpy as np
import pytest
from helpers.media import gradient
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from poseanimate.errors import PictureError
from poseanimate.media import PictureLimits, fit_size, load_picture


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_reads_each_kind_from_bytes_and_file(kind: str, tmp_path: Path) -> None:
    pixels = gradient(80, 64)
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(Image.fromarray(pixels), kind, **options)
    path = tmp_path / "a-picture-by-content.txt"
    path.write_bytes(data)
    for picture in (load_picture(data), load_picture(path)):
        assert (picture.mode, picture.size) == ("RGB", (80, 64))
        difference = np.abs(np.asarray(picture).astype(int) - pixels)
        assert difference.max() <= (25 if kind == "JPEG" else 0)


def test_exif_rotation_is_applied_and_metadata_dropped() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    exif[0x010E] = "where this was taken"
    pixels = gradient(100, 70)
    picture = load_picture(encoded(Image.fromarray(pixels), "PNG", exif=exif))
    assert np.array_equal(np.asarray(picture), np.rot90(pixels, -1))
    assert not picture.info and not dict(picture.getexif())


def test_transparency_goes_over_white() -> None:
    rgba = np.zeros((64, 64, 4), np.uint8)
    rgba[..., 0] = 200
    rgba[:, :32, 3] = 255
    rgba[0, 63, 3] = 128
    pixels = np.asarray(load_picture(encoded(Image.fromarray(rgba))))
    assert tuple(pixels[5, 5]) == (200, 0, 0)
    assert tuple(pixels[5, 60]) == (255, 255, 255)
    assert np.abs(pixels[0, 63].astype(int) - (227, 127, 127)).max() <= 1


def test_palette_transparency_greyscale_and_16_bit() -> None:
    grey = gradient(64, 64)[..., 0]
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    assert deep.mode == "I;16"
    for image in (Image.fromarray(grey), deep):
        pixels = np.asarray(load_picture(encoded(image)))
        assert np.array_equal(pixels, np.repeat(grey[..., None], 3, axis=2))
    palette = Image.new("P", (64, 64), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    assert tuple(np.asarray(load_picture(encoded(palette)))[0, 0]) == (10, 20, 30)
    assert np.all(np.asarray(load_picture(encoded(palette, transparency=1))) == 255)
    assert load_picture(Image.new("CMYK", (64, 64), (0, 0, 0, 0))).getpixel((0, 0)) == (
        255,
        255,
        255,
    )


@pytest.mark.parametrize(
    ("size", "word"),
    [((63, 200), "too small"), ((64, 257), "too narrow"), ((401, 250), "too large")],
)
def test_limits_are_checked_before_decoding(size: tuple[int, int], word: str) -> None:
    # The pixel data is cut off, so that decoding would give another error.
    data = encoded(Image.fromarray(gradient(*size)))[:60]
    with pytest.raises(PictureError, match=word):
        load_picture(data, PictureLimits(max_pixels=100_000))
    with pytest.raises(PictureError, match=word):
        load_picture(Image.new("RGB", size), PictureLimits(max_pixels=100_000))


def test_edge_of_the_limits_is_accepted() -> None:
    assert load_picture(encoded(Image.new("RGB", (64, 256)))).size == (64, 256)


def test_too_many_bytes(tmp_path: Path) -> None:
    data = encoded(Image.fromarray(gradient(64, 64)))
    path = tmp_path / "p.png"
    path.write_bytes(data)
    for source in (data, path):
        with pytest.raises(PictureError, match="MB"):
            load_picture(source, PictureLimits(max_bytes=len(data) - 1))
        load_picture(source, PictureLimits(max_bytes=len(data)))


def test_a_bomb_is_refused() -> None:
    data = bytearray(encoded(Image.new("RGB", (64, 64))))
    data[16:24] = (60_000).to_bytes(4, "big") * 2  # the header's width and height
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    with pytest.raises(PictureError, match="too large"):
        load_picture(bytes(data))


@pytest.mark.parametrize("data", [b"", b"hello", b"GIF89a" + bytes(50), b"\x89PNG\r\n\x1a\n"])
def test_not_a_picture(data: bytes) -> None:
    with pytest.raises(PictureError, match="not a picture"):
        load_picture(data)


def test_a_gif_and_a_tiff_are_refused() -> None:
    for kind in ("GIF", "TIFF"):
        with pytest.raises(PictureError, match="PNG, JPEG or WebP"):
            load_picture(encoded(Image.new("RGB", (64, 64)), kind))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_truncated(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    with pytest.raises(PictureError):
        load_picture(data[: len(data) // 2])


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(["PNG", "WEBP", "JPEG"]), place=st.floats(0, 0.999), byte=st.binary())
def test_damage_is_never_anything_but_a_picture_error(kind: str, place: float, byte: bytes) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    data = bytearray(encoded(Image.fromarray(gradient(64, 64)), kind, exif=exif))
    start = int(place * len(data))
    data[start : start + len(byte)] = byte
    try:
        picture = load_picture(bytes(data))
    except PictureError as error:
        assert error.remedy
    else:
        assert picture.mode == "RGB"


def test_missing_picture(tmp_path: Path) -> None:
    for path in (tmp_path / "none.png", tmp_path / "none.png" / "x", tmp_path):
        with pytest.raises(PictureError):
            load_picture(path)


@given(
    width=st.integers(64, 4000),
    aspect=st.floats(0.25, 4.0),
    area_side=st.sampled_from([128, 256, 512, 768]),
    multiple=st.sampled_from([8, 16, 64]),
)
def test_fit_size(width: int, aspect: float, area_side: int, multiple: int) -> None:
    height = max(1, round(width / aspect))
    fitted = fit_size(width, height, area_side, multiple)
    ideal = area_side / math.sqrt(width * height)
    for side, got in zip((width, height), fitted, strict=True):
        assert got % multiple == 0 and got >= multiple
        assert abs(got - side * ideal) < multiple or got == multiple
    # No other pair of neighbouring multiples is nearer in aspect.
    wrong = abs(math.log(fitted[0] / fitted[1] * height / width))
    for w in (math.floor, math.ceil):
        for h in (math.floor, math.ceil):
            other = max(1, w(width * ideal / multiple)) / max(1, h(height * ideal / multiple))
            assert wrong <= abs(math.log(other * height / width)) + 1e-8


def test_fit_size_examples() -> None:
    assert fit_size(900, 900, 128, 8) == (128, 128)
    assert fit_size(512, 512, 500, 8) == (504, 504) or fit_size(512, 512, 500, 8) == (496, 496)
    assert fit_size(400, 100, 128, 8) == (256, 64)
    assert fit_size(1920, 1080, 512, 64) == (704, 384)
