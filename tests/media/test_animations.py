"""Animated pictures: GIF, WebP and PNG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.media import bar_position, clip_frames
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from poseanimate.errors import VideoError
from poseanimate.media import VideoLimits, read_video
from poseanimate.media.animations import read_animation

FORMATS = ("GIF", "WEBP", "PNG")


def _save(
    path: Path, kind: str, pages: list[Image.Image], delays_ms: list[int] | int = 100
) -> Path:
    pages[0].save(
        path, kind, save_all=True, append_images=pages[1:], duration=delays_ms, disposal=2, loop=0
    )
    return path


def _pages(count: int) -> list[Image.Image]:
    return [Image.fromarray(frame) for frame in clip_frames(count)]


@pytest.mark.parametrize("kind", FORMATS)
def test_part_stride_and_size(kind: str, tmp_path: Path) -> None:
    path = _save(tmp_path / "c", kind, _pages(14))
    bars = [bar_position(frame) for frame in clip_frames(14)]
    whole = read_video(path)
    assert whole.fps == pytest.approx(10)
    assert [bar_position(frame) for frame in whole.frames] == pytest.approx(bars, abs=1)
    part = read_video(path, start_s=0.4, end_s=1.0, stride=2)
    assert part.fps == pytest.approx(5)
    assert [bar_position(frame) for frame in part.frames] == pytest.approx(bars[4:10:2], abs=1)
    small = read_video(path, limits=VideoLimits(max_side_px=32))
    assert small.frames[0].shape == (24, 32, 3)
    turned = read_video(path, rotate=90)
    assert turned.frames[0].shape == (64, 48, 3)


@pytest.mark.parametrize("kind", FORMATS)
def test_limits_are_checked_before_decoding_an_animated_picture(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _save(tmp_path / "c", kind, _pages(20))

    def no_decoding(*_: object) -> None:
        raise RuntimeError("decoded")

    monkeypatch.setattr(Image, "open", no_decoding)
    for limits, match in (
        (VideoLimits(max_seconds=1), "too long"),
        (VideoLimits(max_frames=5), "stride of 4"),
        (VideoLimits(max_pixels=64 * 48 - 1), "megapixels"),
        (VideoLimits(max_bytes=100), "MB"),
    ):
        with pytest.raises(VideoError, match=match):
            read_video(path, limits=limits)
    with pytest.raises(VideoError, match="decoded to its end"):
        read_video(path)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(kind=st.sampled_from(FORMATS), tenths=st.lists(st.integers(2, 20), min_size=2, max_size=9))
def test_frames_are_shown_at_their_times(kind: str, tenths: list[int], tmp_path: Path) -> None:
    delays = [100 * each for each in tenths]
    path = _save(tmp_path / "c", kind, _pages(len(delays)), delays)
    assert list(read_animation(path, kind).delays_ms) == delays
    video = read_video(path)
    bars = [bar_position(frame) for frame in clip_frames(len(delays))]
    ends = np.cumsum(delays) / 1000
    assert len(video.frames) == pytest.approx(ends[-1] * video.fps, abs=1)
    for index, frame in enumerate(video.frames):
        shown = int(np.searchsorted(ends, (index + 0.5) / video.fps, "right"))
        assert bar_position(frame) == pytest.approx(bars[shown], abs=1)


@pytest.mark.parametrize("hundredths", [0, 1])
def test_delays_that_no_browser_keeps(hundredths: int, tmp_path: Path) -> None:
    path = _save(tmp_path / "c", "GIF", _pages(5), 50)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"\x05\0", bytes([hundredths, 0])))
    assert data.count(b"\x05\0") >= 5
    video = read_video(path)
    assert video.fps == pytest.approx(10) and len(video.frames) == 5


def test_rounded_delays_are_a_constant_rate(tmp_path: Path) -> None:
    path = _save(tmp_path / "c", "GIF", _pages(9), [80, 80, 90] * 3)
    video = read_video(path)
    assert len(video.frames) == 9 and video.fps == pytest.approx(12)
    assert len({bar_position(frame) for frame in video.frames}) == 9


@pytest.mark.parametrize("kind", FORMATS)
def test_transparency_goes_over_white(kind: str, tmp_path: Path) -> None:
    pages = []
    for index in range(3):
        rgba = np.zeros((64, 64, 4), np.uint8)
        rgba[:, index * 10 : index * 10 + 10] = (200, 0, 0, 255)
        pages.append(Image.fromarray(rgba))
    video = read_video(_save(tmp_path / "c", kind, pages))
    assert video.fps == pytest.approx(10) and len(video.frames) == 3
    frame = video.frames[1].astype(int)
    assert np.abs(frame[5, 15] - (200, 0, 0)).max() < 12
    assert tuple(frame[5, 4]) == tuple(frame[5, 50]) == (255, 255, 255)


@pytest.mark.parametrize("kind", FORMATS)
def test_stills_are_refused_by_name_or_are_one_frame(kind: str, tmp_path: Path) -> None:
    _pages(1)[0].save(tmp_path / "c", kind)
    if kind == "GIF":
        assert len(read_video(tmp_path / "c").frames) == 1
        return
    with pytest.raises(VideoError, match="still picture"):
        read_video(tmp_path / "c")


@pytest.mark.parametrize("kind", FORMATS)
def test_cut_off(kind: str, tmp_path: Path) -> None:
    path = _save(tmp_path / "c", kind, _pages(8))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 3])
    with pytest.raises(VideoError, match="damaged"):
        read_video(path)


def test_a_gif_without_its_end_mark(tmp_path: Path) -> None:
    path = _save(tmp_path / "c", "GIF", _pages(4))
    assert path.read_bytes()[-1:] == b";"
    path.write_bytes(path.read_bytes()[:-1])
    assert len(read_video(path).frames) == 4


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(kind=st.sampled_from(FORMATS), place=st.floats(0, 0.99), byte=st.binary())
def test_damage_of_an_animated_picture_is_never_anything_but_a_video_error(
    kind: str, place: float, byte: bytes, tmp_path: Path
) -> None:
    whole = tmp_path / f"whole.{kind}"
    if not whole.exists():
        _save(whole, kind, _pages(3))
    data = bytearray(whole.read_bytes())
    start = int(place * len(data))
    data[start : start + len(byte)] = byte
    (tmp_path / "c").write_bytes(data)
    try:
        video = read_video(tmp_path / "c")
    except VideoError as error:
        assert error.remedy
    else:
        assert video.frames and video.fps > 0
