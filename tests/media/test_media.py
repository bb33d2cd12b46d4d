"""Pictures and videos in, clips out: what is read, what is refused, and round trips."""

from __future__ import annotations

import io
import math
import subprocess
import zipfile
import zlib
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from poseanimate.errors import OutputError, PictureError, VideoError
from poseanimate.media import (
    Frame,
    PictureLimits,
    VideoLimits,
    check_output,
    clips,
    fit_size,
    load_picture,
    read_video,
    write_clip,
)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient(width: int, height: int) -> Frame:
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.stack([x, y, 255 - x], axis=-1).astype(np.uint8)


def clip_frames(count: int, width: int = 64, height: int = 48) -> list[Frame]:
    """A bright bar that moves right over a gradient: every frame can be told from the others."""
    frames = []
    for index in range(count):
        frame = gradient(width, height) // 2
        left = 4 * index % (width - 4)
        frame[:, left : left + 4] = 255
        frames.append(frame)
    return frames


def bar_position(frame: Frame) -> float:
    brightness = frame.astype(float).min(axis=2).mean(axis=0)
    return float(np.argmax(np.convolve(brightness, np.ones(4), "valid")))


def ffmpeg(*arguments: object) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)


# ------------------------------------------------------------------------------------- pictures


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


# ------------------------------------------------------------------------------------- videos


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
@pytest.mark.parametrize("fps", [12.0, 7.5])
def test_round_trip(suffix: str, fps: float, tmp_path: Path) -> None:
    frames = clip_frames(11)
    path = tmp_path / f"clip{suffix}"
    write_clip(frames, path, fps)
    assert [child.name for child in tmp_path.iterdir()] == [path.name]
    video = read_video(path)
    assert len(video.frames) == len(frames)
    assert video.fps == pytest.approx(fps, rel=0.02 if suffix == ".gif" else 1e-3)
    for frame, back in zip(frames, video.frames, strict=True):
        assert back.shape == frame.shape and back.dtype == np.uint8 and back.flags.writeable
        assert bar_position(back) == pytest.approx(bar_position(frame), abs=1)
        assert np.abs(back.astype(int) - frame).mean() < 12


def test_colours_survive_mp4(tmp_path: Path) -> None:
    for colour in ((220, 30, 40), (20, 200, 60), (250, 250, 250), (0, 0, 0)):
        write_clip([np.full((64, 64, 3), colour, np.uint8)] * 2, tmp_path / "c.mp4", 10)
        back = read_video(tmp_path / "c.mp4").frames[0]
        assert np.abs(back.astype(int) - colour).max() <= 4


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_players_are_told_the_colours_and_the_format(suffix: str, tmp_path: Path) -> None:
    write_clip(clip_frames(2), tmp_path / f"c{suffix}", 10)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(tmp_path / f"c{suffix}")]
    stream = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    assert "yuv420p(tv, bt709" in stream and "bt709/" not in stream
    assert ("h264" if suffix == ".mp4" else "vp9") in stream


def test_still_frames_are_all_kept(tmp_path: Path) -> None:
    for suffix in (".mp4", ".webm", ".gif"):
        write_clip([gradient(64, 64)] * 6, tmp_path / f"c{suffix}", 8)
        assert len(read_video(tmp_path / f"c{suffix}").frames) == 6


def test_a_single_frame(tmp_path: Path) -> None:
    for suffix in (".mp4", ".webm", ".gif"):
        write_clip([gradient(64, 64)], tmp_path / f"c{suffix}", 8)
        assert len(read_video(tmp_path / f"c{suffix}").frames) == 1


def test_odd_sides_are_padded_not_stretched(tmp_path: Path) -> None:
    frames = clip_frames(3, 65, 49)
    write_clip(frames, tmp_path / "c.mp4", 8)
    back = read_video(tmp_path / "c.mp4").frames[0]
    assert back.shape == (50, 66, 3)
    assert np.abs(back[:49, :65].astype(int) - frames[0]).mean() < 6
    write_clip(frames, tmp_path / "c.gif", 8)
    assert read_video(tmp_path / "c.gif").frames[0].shape == (49, 65, 3)


def test_enlarge(tmp_path: Path) -> None:
    write_clip(clip_frames(2), tmp_path / "c.gif", 8, enlarge=3)
    assert read_video(tmp_path / "c.gif").frames[0].shape == (144, 192, 3)


def test_gif_loops_and_keeps_the_mean_rate(tmp_path: Path) -> None:
    write_clip(clip_frames(12), tmp_path / "c.gif", 12)
    with Image.open(tmp_path / "c.gif") as image:
        assert image.info["loop"] == 0
        delays_ms = []
        for index in range(image.n_frames):
            image.seek(index)
            delays_ms.append(image.info["duration"])
    assert len(delays_ms) == 12 and sum(delays_ms) == pytest.approx(1000, abs=10)


def test_png_strip(tmp_path: Path) -> None:
    frames = clip_frames(10)
    write_clip(frames, tmp_path / "strip.png", 8)
    strip = np.asarray(Image.open(tmp_path / "strip.png"))
    assert strip.shape == (2 * 48, 8 * 64, 3)
    assert np.array_equal(strip[48:, 64:128], frames[9])
    assert np.all(strip[48:, 128:] == 255)


def test_folder_of_frames_is_exact_and_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    write_clip(clip_frames(5), folder, 8)
    frames = clip_frames(3, 60, 50)
    write_clip(frames, folder, 8)
    assert sorted(p.name for p in folder.iterdir()) == ["00000.png", "00001.png", "00002.png"]
    assert np.array_equal(np.asarray(Image.open(folder / "00002.png")), frames[2])
    assert [child.name for child in tmp_path.iterdir()] == ["frames"]


def cut_out(count: int) -> list[Frame]:
    """Frames whose left half is there and whose right half is not, with a soft edge."""
    alpha = np.zeros((48, 64), np.uint8)
    alpha[:, :32], alpha[:, 32:34] = 255, 128
    return [np.dstack([frame, alpha]) for frame in clip_frames(count)]


def test_a_zip_holds_the_frames_exactly(tmp_path: Path) -> None:
    for frames in (clip_frames(3), cut_out(3)):
        write_clip(frames, tmp_path / "c.zip", 8)
        with zipfile.ZipFile(tmp_path / "c.zip") as archive:
            assert archive.namelist() == ["00000.png", "00001.png", "00002.png"]
            for frame, name in zip(frames, archive.namelist(), strict=True):
                back = Image.open(io.BytesIO(archive.read(name)))
                assert np.array_equal(np.asarray(back), frame)


def test_a_webm_can_be_transparent(tmp_path: Path) -> None:
    frames = cut_out(5)
    write_clip(frames, tmp_path / "c.webm", 8)
    ffmpeg("-c:v", "libvpx-vp9", "-i", tmp_path / "c.webm", tmp_path / "back-%d.png")
    backs = [np.asarray(Image.open(tmp_path / f"back-{i}.png")) for i in range(1, 6)]
    assert not (tmp_path / "back-6.png").exists()
    for frame, back in zip(frames, backs, strict=True):
        assert back.shape == (48, 64, 4)
        assert np.abs(back[..., 3].astype(int) - frame[..., 3]).max() < 40
        inside = np.abs(back[:, :30, :3].astype(int) - frame[:, :30, :3]).mean()
        assert inside < 12


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_what_cannot_be_transparent_says_so(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="can't be transparent"):
        write_clip(cut_out(2), tmp_path / f"c{suffix}", 8)
    assert not list(tmp_path.iterdir())


def test_part_and_stride(tmp_path: Path) -> None:
    path = tmp_path / "c.mp4"
    frames = clip_frames(14)
    write_clip(frames, path, 10)
    video = read_video(path, start_s=0.4, end_s=1.0, stride=2)
    assert video.fps == pytest.approx(5)
    assert [bar_position(f) for f in video.frames] == pytest.approx(
        [bar_position(frames[i]) for i in (4, 6, 8)], abs=1
    )
    assert len(read_video(path, end_s=99.0).frames) == 14


def test_start_after_the_end_and_empty_parts(tmp_path: Path) -> None:
    write_clip(clip_frames(5), tmp_path / "c.mp4", 10)
    for start, end in ((0.5, None), (3.0, None), (0.3, 0.3), (-1.0, None), (math.nan, None)):
        with pytest.raises(VideoError):
            read_video(tmp_path / "c.mp4", start, end)
    with pytest.raises(VideoError, match="stride"):
        read_video(tmp_path / "c.mp4", stride=0)


def test_video_limits(tmp_path: Path) -> None:
    path = tmp_path / "c.mp4"
    write_clip(clip_frames(20), path, 10)
    with pytest.raises(VideoError, match="too long"):
        read_video(path, limits=VideoLimits(max_seconds=1.5))
    assert len(read_video(path, end_s=1.5, limits=VideoLimits(max_seconds=1.5)).frames) == 15
    with pytest.raises(VideoError, match="stride of 4"):
        read_video(path, limits=VideoLimits(max_frames=5))
    assert len(read_video(path, stride=4, limits=VideoLimits(max_frames=5)).frames) == 5
    with pytest.raises(VideoError, match="megapixels"):
        read_video(path, limits=VideoLimits(max_pixels=64 * 48 - 1))
    with pytest.raises(VideoError, match="MB"):
        read_video(path, limits=VideoLimits(max_bytes=100))


def test_limits_are_checked_before_decoding_a_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.mp4"
    write_clip(clip_frames(20), path, 10)

    def no_decoding(*_: object) -> None:
        raise RuntimeError("decoded")

    monkeypatch.setattr("poseanimate.media.videos._decode", no_decoding)
    for limits in (VideoLimits(max_seconds=1), VideoLimits(max_frames=5), VideoLimits(1000)):
        with pytest.raises(VideoError):
            read_video(path, limits=limits)
    with pytest.raises(RuntimeError, match="decoded"):
        read_video(path)


def test_large_frames_are_reduced(tmp_path: Path) -> None:
    write_clip(clip_frames(2, 128, 96), tmp_path / "c.mp4", 10)
    video = read_video(tmp_path / "c.mp4", limits=VideoLimits(max_side_px=64))
    assert video.frames[0].shape == (48, 64, 3)


def test_rotation_is_respected(tmp_path: Path) -> None:
    write_clip(clip_frames(3), tmp_path / "c.mp4", 10)
    upright = read_video(tmp_path / "c.mp4").frames[0]
    ffmpeg("-display_rotation", 90, "-i", tmp_path / "c.mp4", "-c", "copy", tmp_path / "r.mov")
    turned = read_video(tmp_path / "r.mov").frames[0]
    assert turned.shape == (64, 48, 3)
    assert np.abs(turned.astype(int) - np.rot90(upright)).mean() < 2


def test_square_pixels(tmp_path: Path) -> None:
    write_clip(clip_frames(3), tmp_path / "c.mp4", 10)
    ffmpeg("-i", tmp_path / "c.mp4", "-vf", "setsar=2", tmp_path / "wide.mp4")
    assert read_video(tmp_path / "wide.mp4").frames[0].shape == (48, 128, 3)


def test_a_recording_without_duration(tmp_path: Path) -> None:
    write_clip(clip_frames(12), tmp_path / "c.webm", 10)
    # A live stream's header tells neither duration nor length.
    ffmpeg("-i", tmp_path / "c.webm", "-c", "copy", "-live", 1, tmp_path / "live.webm")
    assert len(read_video(tmp_path / "live.webm").frames) == 12
    with pytest.raises(VideoError, match="too many frames"):
        read_video(tmp_path / "live.webm", limits=VideoLimits(max_frames=6))
    with pytest.raises(VideoError, match="too long"):
        read_video(tmp_path / "live.webm", limits=VideoLimits(max_seconds=0.3))


def test_ntsc_rate(tmp_path: Path) -> None:
    write_clip(clip_frames(10), tmp_path / "c.mp4", 30000 / 1001)
    video = read_video(tmp_path / "c.mp4")
    assert len(video.frames) == 10 and video.fps == pytest.approx(30000 / 1001, rel=1e-9)


def test_transparent_gif_goes_over_white(tmp_path: Path) -> None:
    pages = []
    for index in range(3):
        rgba = np.zeros((64, 64, 4), np.uint8)
        rgba[:, index * 10 : index * 10 + 10] = (200, 0, 0, 255)
        pages.append(Image.fromarray(rgba))
    pages[0].save(
        tmp_path / "c.gif", save_all=True, append_images=pages[1:], duration=100, disposal=2
    )
    video = read_video(tmp_path / "c.gif")
    assert video.fps == pytest.approx(10) and len(video.frames) == 3
    assert tuple(video.frames[1][5, 15]) == (200, 0, 0)
    assert tuple(video.frames[1][5, 5]) == tuple(video.frames[1][5, 50]) == (255, 255, 255)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
def test_truncated_video(suffix: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (20, 64, 64, 3), np.uint8)
    path = tmp_path / f"c{suffix}"
    write_clip(list(noise), path, 10)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 3])
    with pytest.raises(VideoError, match="damaged"):
        read_video(path)


@pytest.mark.parametrize(
    "data",
    [b"", b"hello world, this is a text", b"#EXTM3U\n/etc/passwd\n", b"\x89PNG\r\n\x1a\n" * 9],
)
def test_not_a_video(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "c.mp4"
    path.write_bytes(data)
    with pytest.raises(VideoError, match="not a video"):
        read_video(path)


@pytest.mark.parametrize("start", [b"\x1aE\xdf\xa3", b"GIF89a", b"\0\0\0\x20ftypisom"])
def test_only_the_first_bytes_are_right(start: bytes, tmp_path: Path) -> None:
    path = tmp_path / "c.mp4"
    path.write_bytes(start + bytes(range(256)) * 8)
    with pytest.raises(VideoError):
        read_video(path)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    suffix=st.sampled_from([".mp4", ".webm", ".gif"]), place=st.floats(0, 0.99), byte=st.binary()
)
def test_damage_is_never_anything_but_a_video_error(
    suffix: str, place: float, byte: bytes, tmp_path: Path
) -> None:
    path = tmp_path / f"c{suffix}"
    write_clip(clip_frames(3), path, 8)
    data = bytearray(path.read_bytes())
    start = int(place * len(data))
    data[start : start + len(byte)] = byte
    path.write_bytes(data)
    try:
        video = read_video(path)
    except VideoError as error:
        assert error.remedy
    else:
        assert video.frames and video.fps > 0


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "sine=d=0.2", tmp_path / "sound.mp4")
    with pytest.raises(VideoError, match="no readable picture"):
        read_video(tmp_path / "sound.mp4")


def test_missing_video(tmp_path: Path) -> None:
    for path in (tmp_path / "none.mp4", tmp_path):
        with pytest.raises(VideoError, match="Check the path"):
            read_video(path)


# ------------------------------------------------------------------------------------- outputs


@pytest.mark.parametrize("name", ["clip.avi", "no/clip.mp4", "folder.mp4", "file", "full", "own"])
def test_check_output_refuses(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "file").write_text("precious")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("precious")
    (tmp_path / "own").mkdir()  # numbered pictures of somebody's own
    Image.new("RGB", (8, 8)).save(tmp_path / "own" / "00007.png")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputError) as caught:
        check_output(tmp_path / name)
    assert caught.value.remedy
    with pytest.raises(OutputError):
        write_clip(clip_frames(2), tmp_path / name, 8)
    assert sorted(tmp_path.rglob("*")) == before


def test_check_output_accepts_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "old.mp4").write_text("a former clip")
    for name in ("a.MP4", "a.gif", "a.webm", "a.png", "folder", "empty", "old.mp4"):
        check_output(tmp_path / name)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "old.mp4"]


def test_unwritable_place() -> None:
    if not Path("/proc/self").is_dir():
        pytest.skip("needs /proc, where nobody can make files")
    with pytest.raises(OutputError, match="can be written"):
        check_output(Path("/proc/clip.mp4"))


def test_name_too_long(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        check_output(tmp_path / ("x" * 300 + ".mp4"))


@pytest.mark.parametrize("name", ["c.mp4", "c.gif", "c.png", "frames"])
def test_bad_clips(name: str, tmp_path: Path) -> None:
    good = clip_frames(2)
    bad: list[tuple[list[Frame], float, int]] = [
        ([], 8, 1),
        ([good[0], good[1][:-2]], 8, 1),
        ([good[0][..., 0]], 8, 1),
        (good, 0, 1),
        (good, math.nan, 1),
        (good, 8, 0),
    ]
    for frames, fps, enlarge in bad:
        with pytest.raises(OutputError):
            write_clip(frames, tmp_path / name, fps, enlarge)
    with pytest.raises(OutputError, match="8-bit"):
        write_clip([frame.astype(float) for frame in good], tmp_path / name, 8)  # type: ignore[misc]
    assert not list(tmp_path.iterdir())


def test_a_gif_has_a_highest_rate(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="GIF"):
        write_clip(clip_frames(2), tmp_path / "c.gif", 60)


@pytest.mark.parametrize("suffix", [".mp4", ".gif", ".webm"])
def test_a_failing_encoder_leaves_the_old_clip(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"c{suffix}"
    write_clip(clip_frames(2), path, 8)
    before = path.read_bytes()
    monkeypatch.setitem(clips._ENCODERS, suffix, ["-c:v", "no-such-encoder"])
    with pytest.raises(OutputError, match="can't be written"):
        write_clip(clip_frames(40, 256, 256), path, 8)
    assert path.read_bytes() == before
    assert [child.name for child in tmp_path.iterdir()] == [path.name]


def test_a_failing_folder_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "frames"
    write_clip(clip_frames(3), folder, 8)
    rename = Path.rename

    def disk_full(self: Path, target: Path) -> Path:
        if target == folder and not self.name.endswith("former"):
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", disk_full)
    with pytest.raises(OutputError, match="No space"):
        write_clip(clip_frames(9), folder, 8)
    assert len(list(folder.iterdir())) == 3
    assert [child.name for child in tmp_path.iterdir()] == ["frames"]


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(width=st.integers(16, 70), height=st.integers(16, 70), count=st.integers(1, 9))
def test_any_size_and_count_survives(width: int, height: int, count: int, tmp_path: Path) -> None:
    write_clip([gradient(width, height)] * count, tmp_path / "c.mp4", 9)
    frames = read_video(tmp_path / "c.mp4").frames
    assert len(frames) == count
    assert frames[0].shape == (height + height % 2, width + width % 2, 3)
