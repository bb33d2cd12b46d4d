"""Videos in: what is read and what is refused."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from helpers.media import bar_position, clip_frames, ffmpeg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from poseanimate.errors import VideoError
from poseanimate.media import VideoLimits, read_video, write_clip


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
