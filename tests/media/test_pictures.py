"""Pictures in: what is read and what is refused."""

from __future__ import annotations

import io
import math
import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from helpers.media import gradient
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin
from pillow_heif import from_pillow

from poseanimate.errors import PictureError
from poseanimate.media import PICTURE_SUFFIXES, PictureLimits, fit_size, load_picture
from poseanimate.media.picture_bytes import essential_gif, essential_jpeg, tags_fit
from poseanimate.media.pictures import MAX_SCANS

KINDS = ("PNG", "WEBP", "JPEG", "HEIF", "AVIF", "GIF", "BMP", "TIFF")
LOSSLESS = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100, "subsampling": "4:4:4"}}
# red, green, blue and white point's x and y, and gamma
DISPLAY_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.3127, 0.3290), 2.2)
ADOBE_RGB = ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060), (0.3127, 0.3290), 2.2)
PROPHOTO = ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001), (0.3457, 0.3585), 1.8)
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
D50 = np.array([0.9642, 1.0, 0.8249])
XYZ_TO_SRGB = np.array(  # from D50
    [
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.0334540],
        [0.0719453, -0.2289914, 1.4052427],
    ]
)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    if kind == "HEIF":
        from_pillow(image).save(buffer, **({"quality": -1, "chroma": 444} | options))
    else:
        image.save(buffer, kind, **(LOSSLESS.get(kind, {}) | options))
    return buffer.getvalue()


def noise(side: int = 96) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    return Image.fromarray(pixels)


def xyz(x: float, y: float) -> NDArray[np.float64]:
    return np.array([x / y, 1.0, (1 - x - y) / y])


def to_d50(space: tuple) -> NDArray[np.float64]:
    """The matrix from a space's linear RGB to XYZ under D50, by Bradford's adaptation."""
    *primaries, white, _ = space
    columns = np.stack([xyz(*each) for each in primaries], axis=1)
    matrix = columns * np.linalg.solve(columns, xyz(*white))
    cones = np.diag((BRADFORD @ D50) / (BRADFORD @ xyz(*white)))
    return np.linalg.inv(BRADFORD) @ cones @ BRADFORD @ matrix


def icc_profile(space: tuple) -> bytes:
    """A profile of three primaries and a gamma, as of ICC.1:2001."""

    def fixed(*numbers: float) -> bytes:
        return struct.pack(f">{len(numbers)}i", *(round(65536 * each) for each in numbers))

    tags = {b"wtpt": b"XYZ \0\0\0\0" + fixed(*D50)}
    for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), to_d50(space).T, strict=True):
        tags[name] = b"XYZ \0\0\0\0" + fixed(*column)
    for name in (b"rTRC", b"gTRC", b"bTRC"):
        tags[name] = b"curv\0\0\0\0" + struct.pack(">IHxx", 1, round(256 * space[-1]))
    tags[b"desc"] = b"desc\0\0\0\0" + struct.pack(">I", 2) + b"x\0" + bytes(4 + 4 + 2 + 1 + 67)
    tags[b"cprt"] = b"text\0\0\0\0x\0\0\0"
    table, body, at = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, tag in tags.items():
        table += name + struct.pack(">II", at + len(body), len(tag))
        body += tag + bytes(-len(tag) % 4)
    header = struct.pack(">I4xI", at + len(body), 0x02400000) + b"mntrRGB XYZ " + bytes(12)
    header = (header + b"acsp").ljust(68, b"\0") + fixed(*D50)
    return header.ljust(128, b"\0") + table + body


def as_srgb(rgb: tuple[int, int, int], space: tuple) -> NDArray[np.float64]:
    """What a colour of a space is in sRGB, by the definitions of both."""
    linear = XYZ_TO_SRGB @ to_d50(space) @ (np.array(rgb) / 255) ** space[-1]
    linear = linear.clip(0, 1)
    curve = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return 255 * curve


def make_examples() -> dict[str, bytes]:
    """Small pictures with metadata, to be damaged."""
    image, exif = Image.fromarray(gradient(64, 64)), Image.Exif()
    exif[0x0112] = 3
    metadata = {"exif": exif.tobytes(), "icc_profile": icc_profile(DISPLAY_P3)}
    pictures = {kind: encoded(image, kind, **metadata) for kind in KINDS}
    pictures["progressive"] = encoded(image, "JPEG", progressive=True, **metadata)
    pictures["animated"] = encoded(image, "WEBP", save_all=True, append_images=[noise(64)])
    return pictures


EXAMPLES = make_examples()


@pytest.mark.parametrize("kind", KINDS)
def test_reads_each_kind_from_bytes_and_file(kind: str, tmp_path: Path) -> None:
    pixels = gradient(80, 64)
    data = encoded(Image.fromarray(pixels), kind)
    path = tmp_path / "a-picture-by-content.txt"
    path.write_bytes(data)
    for picture in (load_picture(data), load_picture(path)):
        assert (picture.mode, picture.size) == ("RGB", (80, 64))
        difference = np.abs(np.asarray(picture).astype(int) - pixels)
        assert difference.max() <= {"JPEG": 25, "GIF": 30, "HEIF": 3, "AVIF": 3}.get(kind, 0)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "HEIF", "AVIF", "TIFF"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_exif_rotation_is_applied_and_metadata_dropped(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "where this was taken"
    pixels = gradient(100, 70)
    picture = load_picture(encoded(Image.fromarray(pixels), kind, exif=exif.tobytes()))
    upright = np.rot90(pixels, {3: 2, 6: -1, 8: 1}[orientation]).astype(int)
    assert picture.size == upright.shape[1::-1]
    assert np.abs(np.asarray(picture) - upright).max() <= (25 if kind == "JPEG" else 3)
    assert not picture.info and not dict(picture.getexif())


@pytest.mark.parametrize("space", [DISPLAY_P3, ADOBE_RGB, PROPHOTO])
@given(rgb=st.tuples(*[st.integers(0, 255)] * 3))
@settings(max_examples=40, deadline=None)
@example((255, 0, 0))
def test_colours_become_srgb_by_their_profile(space: tuple, rgb: tuple[int, int, int]) -> None:
    data = encoded(Image.new("RGB", (64, 64), rgb), icc_profile=icc_profile(space))
    shown = load_picture(data).getpixel((9, 9))
    assert np.abs(np.array(shown) - as_srgb(rgb, space)).max() <= 2.0


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "HEIF", "AVIF", "TIFF"])
def test_every_kind_has_its_profile_converted(kind: str) -> None:
    image = Image.new("RGB", (64, 64), (200, 60, 40))
    shown = load_picture(encoded(image, kind, icc_profile=icc_profile(ADOBE_RGB))).getpixel((9, 9))
    assert np.abs(np.array(shown) - as_srgb((200, 60, 40), ADOBE_RGB)).max() <= 4.0


def test_a_profile_for_transparency_grey_palettes_and_16_bit() -> None:
    profile = icc_profile(ADOBE_RGB)
    expected = as_srgb((200, 60, 40), ADOBE_RGB)
    rgba = Image.new("RGBA", (64, 64), (200, 60, 40, 255))
    rgba.putpixel((0, 0), (200, 60, 40, 0))
    palette = Image.new("P", (64, 64))
    palette.putpalette([200, 60, 40])
    for image in (rgba, palette):
        picture = load_picture(encoded(image, icc_profile=profile))
        assert np.abs(np.array(picture.getpixel((9, 9))) - expected).max() <= 2
    assert load_picture(encoded(rgba, icc_profile=profile)).getpixel((0, 0)) == (255, 255, 255)
    # a profile of three primaries doesn't fit one grey: the grey stays
    grey = Image.fromarray(np.full((64, 64), 257 * 90, np.uint16))
    assert load_picture(encoded(grey, icc_profile=profile)).getpixel((0, 0)) == (90, 90, 90)


def test_cmyk_without_a_profile_that_fits_stays_as_it_is() -> None:
    cmyk = Image.new("CMYK", (64, 64), (0, 200, 100, 30))
    plain = load_picture(encoded(cmyk, "TIFF"))
    for profile in (icc_profile(ADOBE_RGB), b"", b"no profile"):
        assert load_picture(encoded(cmyk, "TIFF", icc_profile=profile)) == plain


def test_lab_becomes_srgb() -> None:
    lab = Image.new("LAB", (64, 64), (round(255 * 0.5324), 128 + 80, 128 + 67))  # sRGB's red
    shown = load_picture(encoded(lab, "TIFF")).getpixel((0, 0))
    assert np.abs(np.array(shown) - (255, 0, 0)).max() <= 12  # 8 bits are coarse


@given(data=st.binary(max_size=300), place=st.integers(0, 600))
@settings(max_examples=200, deadline=None)
@example(b"", 0)
def test_a_broken_profile_costs_the_conversion_and_not_the_picture(data: bytes, place: int) -> None:
    profile = bytearray(icc_profile(DISPLAY_P3))
    profile[place : place + len(data)] = data
    for kind in ("PNG", "JPEG"):
        picture = encoded(Image.new("RGB", (64, 64)), kind, icc_profile=bytes(profile))
        assert load_picture(picture).size == (64, 64)


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


@pytest.mark.parametrize("data", [b"", b"hello", bytes(100)])
def test_not_a_picture(data: bytes) -> None:
    with pytest.raises(PictureError, match=r"not a picture that can be read. .*PNG, JPEG, "):
        load_picture(data)


@pytest.mark.parametrize("data", [b"GIF89a" + bytes(50), b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_a_damaged_header(data: bytes) -> None:
    with pytest.raises(PictureError, match="header can't be read"):
        load_picture(data)


def raw_tiff(tags: dict[int, object]) -> bytes:
    image = Image.new("RGB", (64, 64))
    return encoded(image, "TIFF", tiffinfo=tags)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\xff\x0a" + bytes(40), "a JPEG XL picture"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40), "a JPEG XL picture"),
        (encoded(Image.new("RGB", (64, 64)), "JPEG2000"), "a JPEG 2000 picture"),
        (encoded(Image.new("RGB", (64, 64)), "ICO"), "an icon"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "a web page"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42", "a video"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "a camera's raw picture"),
        (raw_tiff({50706: b"\1\4\0\0"}), "a camera's raw picture"),
        (raw_tiff({254: 1}), "a camera's raw picture"),
        (encoded(Image.new("F", (64, 64)), "TIFF"), "floating-point"),
        (b"8BPS\0\1", "a Photoshop file"),
        (b"%PDF-1.7", "a PDF"),
    ],
)
def test_other_kinds_are_refused_by_their_names(data: bytes, name: str) -> None:
    with pytest.raises(PictureError, match=name) as refused:
        load_picture(data)
    assert refused.value.remedy == "Save it as PNG or JPEG."


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF", "TIFF", "MPO", "HEIF"])
def test_the_first_of_several_pictures_is_read(kind: str) -> None:
    first, second = (Image.new("RGB", (64, 64), colour) for colour in ("blue", "yellow"))
    if kind == "HEIF":
        file, buffer = from_pillow(first), io.BytesIO()
        file.add_from_pillow(second)
        file.save(buffer, save_all=True, quality=-1)
        data = buffer.getvalue()
    else:
        data = encoded(first, kind, save_all=True, append_images=[second])
    shown = load_picture(data).getpixel((9, 9))
    assert np.abs(np.array(shown) - (0, 0, 255)).max() <= 8


def test_a_heic_picture_with_the_brands_of_other_makers() -> None:
    data = encoded(Image.new("RGB", (64, 64), (10, 20, 30)), "HEIF")
    renamed = data[:8] + b"mif1" + data[12:]
    assert load_picture(renamed) == load_picture(data)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG", "HEIF", "AVIF", "BMP", "TIFF"])
def test_truncated(kind: str) -> None:
    data = encoded(noise(), kind)
    with pytest.raises(PictureError):
        load_picture(data[: len(data) // 2])


@given(progressive=st.booleans(), quality=st.integers(20, 95), part=st.floats(0.1, 0.95))
@settings(max_examples=40, deadline=None)
def test_a_jpeg_may_lack_its_end_mark_and_nothing_else(
    progressive: bool, quality: int, part: float
) -> None:
    data = encoded(noise(), "JPEG", progressive=progressive, quality=quality)
    whole = load_picture(data)
    for ending in (b"", b"\xff", bytes(5000)):
        assert load_picture(data.removesuffix(b"\xff\xd9") + ending) == whole
    last_scan = data.rindex(b"\xff\xda") + 20
    cut = data[: last_scan + round(part * (len(data) - last_scan))]
    for ending in (b"", b"\xff", bytes(5000), b"\xff" + bytes(5000)):
        with pytest.raises(PictureError, match="damaged"):
            load_picture(cut + ending)


def chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def test_a_png_with_megabytes_of_texts_is_read() -> None:
    texts = PngImagePlugin.PngInfo()
    for index in range(70):  # more than Pillow's own limits, each and together
        texts.add_text(f"workflow{index}", "x" * 1_500_000, zip=True)
    pixels = gradient(70, 64)
    data = encoded(Image.fromarray(pixels), pnginfo=texts)
    tracemalloc.start()
    picture = load_picture(data)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(np.asarray(picture), pixels)
    assert peak_bytes < 10_000_000


@pytest.mark.parametrize(
    "bad",
    [
        chunk(b"iCCP", b"x\0\0" + b"not packed"),
        chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(50_000_000))),
        chunk(b"eXIf", b"not EXIF"),
        chunk(b"zTXt", b"x\0\0not packed"),
        chunk(b"tEXt", b"checksum")[:-1] + b"!",
        chunk(b"fcTL", bytes(3)),
    ],
)
def test_damaged_metadata_cost_themselves_and_not_the_png(bad: bytes) -> None:
    data = encoded(Image.fromarray(gradient(70, 64)))
    after_header = data.index(b"IDAT") - 4
    picture = load_picture(data[:after_header] + bad + data[after_header:])
    assert np.array_equal(np.asarray(picture), gradient(70, 64))


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    data = encoded(noise(), "JPEG", progressive=True)
    start = data.rindex(b"\xff\xda")
    scan = data[start:-2]
    repeated = data[:-2] + MAX_SCANS * scan + b"\xff\xd9"
    with pytest.raises(PictureError, match="too many scans"):
        load_picture(repeated)
    # the bytes of a mark before the picture or after it are no scans
    exif = b"\xff\xe1" + (2 + 4000).to_bytes(2, "big") + 2000 * b"\xff\xda"
    load_picture(data[:2] + exif + data[2:] + MAX_SCANS * b"\xff\xda")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "L", "I;16", "RGBA", "1"])
def test_large_pictures_are_reduced_by_a_whole_number(kind: str) -> None:
    image = Image.fromarray(gradient(301, 203))
    if kind == "I;16":
        image = Image.fromarray(gradient(301, 203)[..., 0].astype(np.uint16) * 257)
    elif kind in ("L", "RGBA", "1"):
        image = image.convert(kind)
    data = encoded(image, kind if kind in KINDS else "PNG")
    whole = load_picture(data)
    picture = load_picture(data, PictureLimits(max_kept_pixels=301 * 203 // 4))
    factor = 4 if kind == "JPEG" else 3  # 2 while it is decoded and 2 afterwards
    expected = whole.reduce(factor)
    assert picture.size == expected.size
    difference = np.abs(np.asarray(picture).astype(int) - expected)[:-1, :-1]
    assert difference.max() <= (30 if kind == "JPEG" else 2)


def test_bands_of_a_large_picture_join() -> None:
    pixels = gradient(250, 900)
    image = Image.fromarray(np.dstack([pixels, pixels[..., 1]]))
    picture = load_picture(encoded(image), PictureLimits(max_kept_pixels=250 * 900 // 9))
    expected = load_picture(image.reduce(3))
    assert np.abs(np.asarray(picture).astype(int) - np.asarray(expected)).max() <= 1


@pytest.mark.slow
def test_a_jpeg_of_60_megapixels_takes_little_memory() -> None:
    data = encoded(Image.new("RGB", (8944, 6708)), "JPEG")
    script = """
import re, sys
from pathlib import Path
from poseanimate.media import load_picture

def peak_mb():
    return int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) / 1000

before = peak_mb()
picture = load_picture(sys.stdin.buffer.read())
print(picture.size, round(peak_mb() - before))
"""
    run = subprocess.run(
        [sys.executable, "-c", script], input=data, capture_output=True, check=True
    )
    size, _, peak_mb = run.stdout.decode().rpartition(" ")
    assert size == "(4472, 3354)"
    assert int(peak_mb) < 230  # whole it would be 240 alone, and as much for each copy


def greedy_tags(claimed: int) -> bytes:
    """EXIF of 2000 tags that claim the same bytes, and the orientation 3."""
    entries = [struct.pack("<HHII", 0x0112, 3, 1, 3)]
    entries += [struct.pack("<HHII", 10_000 + i, 7, claimed, 8) for i in range(2000)]
    start = b"II*\0" + struct.pack("<IH", 8, len(entries))
    return (start + b"".join(entries)).ljust(60_000, b"\0")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "HEIF", "AVIF", "TIFF"])
def test_tags_that_claim_the_same_bytes_fill_no_memory(kind: str) -> None:
    image = Image.fromarray(gradient(64, 64))
    greedy = greedy_tags(20_000)
    if kind == "TIFF":
        data = encoded(image, kind)
        own = struct.unpack_from("<I", data, 4)[0]
        count = struct.unpack_from("<H", data, own)[0]
        entries = data[own + 2 : own + 2 + 12 * count] + greedy[22 : 22 + 12 * 2000]
        data = data[:4] + struct.pack("<I", len(data)) + data[8:]
        data = (data + struct.pack("<H", count + 2000) + entries).ljust(100_000, b"\0")
    elif kind == "AVIF":  # whose encoder reads the tags
        one, many = (struct.pack("<HII", 1, claimed, 8) for claimed in (4, 20_000))
        data = encoded(image, kind, exif=greedy_tags(4)).replace(one, many)
        assert data.count(many) == 2000
    else:
        data = encoded(image, kind, exif=b"Exif\0\0" + greedy)
    tracemalloc.start()
    try:
        picture = load_picture(data)
    except PictureError as error:
        assert kind in ("TIFF", "AVIF") and "tags claim more" in error.message
    else:
        assert picture.size == (64, 64)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 20_000_000


def test_a_tiff_of_endless_strips_is_refused() -> None:
    """A decoder makes an object of each."""
    data = encoded(Image.fromarray(gradient(64, 64)), "TIFF")
    own = struct.unpack_from("<I", data, 4)[0]
    (entry,) = (at for at in range(own + 2, len(data), 12) if data[at : at + 2] == b"\x11\1")
    for count, fits in ((500_000, True), (500_001, False)):
        strips = struct.pack("<HHII", 273, 4, count, len(data))
        many = data[:entry] + strips + data[entry + 12 :] + bytes(4 * count)
        assert tags_fit(many) is fits
    with pytest.raises(PictureError, match="tags claim more"):
        load_picture(many)


def test_comments_of_a_gif_are_not_read() -> None:
    """A decoder joins them one by one: a few megabytes of them would take hours."""
    data = EXAMPLES["GIF"]
    start = 13 + (3 << (data[10] & 7) + 1)
    commented = data[:start] + 1000 * b"!\xfe\1x\0" + data[start:]
    assert essential_gif(commented) == essential_gif(data)
    assert load_picture(commented) == load_picture(data)


def test_a_jpeg_has_one_list_of_tags() -> None:
    """A decoder joins them one by one."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.fromarray(gradient(80, 64)), "JPEG", exif=exif.tobytes())
    more = data[:2] + 1000 * b"\xff\xe1\0\x09Exif\0\0x" + data[2:]
    assert len(essential_jpeg(more)) == len(data) - len(exif.tobytes()) - 4 + 11
    after = data.index(b"\xff\xdb")
    more = data[:after] + 1000 * b"\xff\xe1\0\x09Exif\0\0x" + data[after:]
    assert essential_jpeg(more) == essential_jpeg(data) == data
    assert load_picture(more).size == (64, 80)


@settings(max_examples=40, deadline=None)
@given(place=st.floats(0, 0.999), damage=st.binary(min_size=1, max_size=40), inserted=st.booleans())
@pytest.mark.parametrize("kind", [*KINDS, "progressive", "animated"])
def test_damage_is_never_anything_but_a_picture_error(
    kind: str, place: float, damage: bytes, inserted: bool
) -> None:
    data = bytearray(EXAMPLES[kind])
    start = int(place * len(data))
    data[start : start if inserted else start + len(damage)] = damage
    try:
        picture = load_picture(bytes(data))
    except PictureError as error:
        assert error.remedy
    else:
        assert picture.mode == "RGB"


STARTS = (*(data[:32] for data in EXAMPLES.values()), b"<svg", b"\xff\x0a", b"\xff\xd8\xff")


@settings(max_examples=300, deadline=None)
@given(start=st.sampled_from(STARTS), rest=st.binary(max_size=200))
def test_any_bytes_after_a_pictures_first_ones(start: bytes, rest: bytes) -> None:
    with pytest.raises(PictureError):
        load_picture(start + rest)


def test_the_suffixes_name_what_is_read(tmp_path: Path) -> None:
    extensions = Image.registered_extensions()
    kinds = {extensions.get(suffix, "HEIF") for suffix in PICTURE_SUFFIXES}
    assert kinds - {"MPO"} == {*KINDS}


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
