"""Videos in: what is read and what is refused."""

from __future__ import annotations

import math
import resource
from pathlib import Path

import numpy as np
import pytest
from helpers.media import bar_position, clip_frames, ffmpeg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poseanimate.errors import VideoError
from poseanimate.media import VideoLimits, read_sound, read_video, streams, write_clip
from poseanimate.media.rates import choose_rate


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


CONTAINERS = (
    (".mp4", ()),
    (".webm", ()),
    (".mkv", ("-c:v", "libx264")),
    (".mov", ("-c:v", "mjpeg")),
    (".avi", ("-c:v", "mpeg4")),
    (".wmv", ("-c:v", "wmv2", "-f", "asf")),
    (".ts", ("-c:v", "libx264", "-f", "mpegts")),
    (".mts", ("-c:v", "libx264", "-f", "mpegts", "-mpegts_m2ts_mode", "1")),
    (".mpg", ("-c:v", "mpeg2video", "-f", "vob")),
    (".ogv", ("-c:v", "libtheora", "-q:v", "9")),
)


def _container(folder: Path, suffix: str, arguments: tuple[str, ...], count: int = 25) -> Path:
    source = folder / "source.mp4"
    if not source.exists():
        write_clip(clip_frames(count), source, 25)
    path = folder / f"c{suffix}"
    ffmpeg("-i", source, "-pix_fmt", "yuv420p", "-g", 10, *arguments, path)
    return path.rename(folder / "named.otherwise")


@pytest.mark.parametrize(("suffix", "arguments"), CONTAINERS)
def test_every_container_whatever_its_name(
    suffix: str, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    path = _container(tmp_path, suffix, arguments)
    bars = [bar_position(frame) for frame in clip_frames(25)]
    video = read_video(path)
    assert video.fps == pytest.approx(25)
    assert [bar_position(frame) for frame in video.frames] == pytest.approx(bars, abs=1)
    part = read_video(path, start_s=0.52, end_s=0.8, stride=2)
    assert [bar_position(f) for f in part.frames] == pytest.approx(bars[13:20:2], abs=1)
    with pytest.raises(VideoError, match="megapixels"):
        read_video(path, limits=VideoLimits(max_pixels=64 * 48 - 1))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(kind=st.sampled_from(CONTAINERS), place=st.floats(0, 0.99), byte=st.binary())
def test_damage_is_never_anything_but_a_video_error(
    kind: tuple[str, tuple[str, ...]], place: float, byte: bytes, tmp_path: Path
) -> None:
    whole = tmp_path / f"whole{kind[0]}"
    if not whole.exists():
        _container(tmp_path, *kind, count=3).rename(whole)
    path = tmp_path / "c"
    data = bytearray(whole.read_bytes())
    start = int(place * len(data))
    data[start : start + len(byte)] = byte
    path.write_bytes(data)
    try:
        video = read_video(path)
    except VideoError as error:
        assert error.remedy
    else:
        assert video.frames and video.fps > 0


def test_an_animated_avif_is_read_not_its_still(tmp_path: Path) -> None:
    write_clip(clip_frames(5), tmp_path / "c.mp4", 10)
    encoder = ("-c:v", "libaom-av1", "-cpu-used", "8", "-crf", "10")
    ffmpeg("-i", tmp_path / "c.mp4", *encoder, tmp_path / "c.avif")
    video = read_video(tmp_path / "c.avif")
    assert video.fps == pytest.approx(10)
    bars = [bar_position(frame) for frame in clip_frames(5)]
    assert [bar_position(frame) for frame in video.frames] == pytest.approx(bars, abs=1)


def test_interlaced_frames_have_no_comb(tmp_path: Path) -> None:
    """Two moments lie in the rows of one frame: what moves has fringes."""
    write_clip([np.roll(clip_frames(1)[0], 6 * i, 1) for i in range(10)], tmp_path / "c.mp4", 20)
    weave = ("-vf", "tinterlace=interleave_top", "-flags", "+ilme+ildct")
    ffmpeg("-i", tmp_path / "c.mp4", *weave, "-c:v", "mpeg2video", "-q:v", 2, tmp_path / "i.mpg")
    video = read_video(tmp_path / "i.mpg")
    assert len(video.frames) >= 4 and video.fps == pytest.approx(10)
    for frame in video.frames[1:-1]:
        rows = frame.astype(int)[8:40].mean(axis=2)
        assert np.abs(rows[1:-1:2] - (rows[:-2:2] + rows[2::2]) / 2).max() < 60


def test_a_file_never_opens_another(tmp_path: Path) -> None:
    """A QuickTime file may name another one that holds its pictures, by path."""
    ffmpeg("-f", "lavfi", "-i", "testsrc=d=0.4:r=5:s=64x48", "-c:v", "mjpeg", tmp_path / "c.mov")
    data = (tmp_path / "c.mov").read_bytes()
    (tmp_path / "secret.mov").write_bytes(data)
    moov = data.index(b"moov") - 4
    outside = data[moov:].replace(b"url \0\0\0\x01", b"url \0\0\0\0")  # not in this file
    assert outside != data[moov:]
    for name, content in (
        ("reference.mov", data[: data.index(b"mdat") - 4] + outside),
        ("list.mov", b"\0\0\0\x20ftypqt  \nffconcat version 1.0\nfile secret.mov\n"),
        ("list.ts", b"#EXTM3U\n#EXTINF:1,\nsecret.mov\n"),
        ("list.avi", b"RIFF\0\0\0\0AVI \nffconcat version 1.0\nfile secret.mov\n"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(VideoError):
            read_video(tmp_path / name)


def test_varying_rate_is_read_by_time_stamps(tmp_path: Path) -> None:
    frames = clip_frames(12)
    write_clip(frames, tmp_path / "c.mp4", 30)
    # The first picture stands still for a second, as screen recorders store it.
    still = "setpts='if(eq(N,0),0,(N+29)/30/TB)'"
    ffmpeg("-i", tmp_path / "c.mp4", "-vf", still, "-fps_mode", "vfr", tmp_path / "v.mp4")
    video = read_video(tmp_path / "v.mp4")
    assert video.fps == pytest.approx(30)
    bars = [bar_position(frame) for frame in frames]
    expected = [bars[0]] * 30 + bars[1:]
    assert [bar_position(f) for f in video.frames] == pytest.approx(expected, abs=1)
    # A varying rate is ours to choose, so it is lowered to what fits.
    fewer = read_video(tmp_path / "v.mp4", limits=VideoLimits(max_frames=25))
    assert fewer.fps == pytest.approx(15) and len(fewer.frames) == pytest.approx(20, abs=1)


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_a_part_that_begins_in_a_still_phase_begins_with_the_frame_on_screen(
    tmp_path: Path, container: str
) -> None:
    frames = clip_frames(15)
    write_clip(frames, tmp_path / "c.mp4", 30)
    still = "setpts='(N+gte(N,5)*60)/30/TB'"  # the fifth picture for two seconds
    path = tmp_path / f"v.{container}"
    ffmpeg("-i", tmp_path / "c.mp4", "-vf", still, "-fps_mode", "vfr", path)
    bars = [bar_position(frame) for frame in frames]
    within = read_video(path, start_s=1.0, end_s=2.0)
    assert len(within.frames) == pytest.approx(within.fps, abs=1)
    assert [bar_position(f) for f in within.frames] == pytest.approx(
        [bars[4]] * len(within.frames), abs=1
    )
    beyond = read_video(path, start_s=2.0)
    assert bar_position(beyond.frames[0]) == pytest.approx(bars[4], abs=1)
    assert bar_position(beyond.frames[-1]) == pytest.approx(bars[-1], abs=5)
    assert len(beyond.frames) == pytest.approx(0.5 * beyond.fps, abs=2)


@given(mean=st.floats(0.01, 500), base=st.none() | st.floats(0.01, 240))
def test_rate_is_the_mean_unless_frames_are_missing(mean: float, base: float | None) -> None:
    fps, varying = choose_rate(mean, base)
    assert 0.1 <= fps <= 240
    assert varying or fps == pytest.approx(min(max(mean, 0.1), 240), rel=1e-3)
    if varying:
        assert mean < 24 and fps <= 30.3


def test_alpha_goes_over_white(tmp_path: Path) -> None:
    rgba = np.zeros((48, 64, 4), np.uint8)
    rgba[:, :32] = (200, 0, 0, 255)
    rgba[24:, 32:] = (0, 0, 0, 128)
    write_clip([rgba] * 5, tmp_path / "c.webm", 10)
    (tmp_path / "c.rgba").write_bytes(rgba.tobytes() * 5)
    raw = ("-f", "rawvideo", "-pix_fmt", "rgba", "-s", "64x48", "-r", 10, "-i", tmp_path / "c.rgba")
    ffmpeg(*raw, "-c:v", "qtrle", tmp_path / "c.mov")
    ffmpeg(*raw, "-c:v", "png", tmp_path / "c.avi")
    for name in ("c.webm", "c.mov", "c.avi"):
        frame = read_video(tmp_path / name).frames[2].astype(int)
        for (y, x), color in {
            (20, 15): (200, 0, 0),
            (10, 50): (255, 255, 255),
            (40, 50): (127, 127, 127),
        }.items():
            assert np.abs(frame[y, x] - color).max() <= 8, name
    # Hidden colours don't show at the edges of what is scaled down.
    small = read_video(tmp_path / "c.mov", limits=VideoLimits(max_side_px=5)).frames[0]
    assert small.shape == (4, 5, 3) and small[0, 2, 1:].min() >= 100


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
def test_high_dynamic_range_becomes_ordinary(transfer: str, tmp_path: Path) -> None:
    colors = [(40, 40, 40), (180, 180, 180), (190, 60, 50), (60, 150, 70), (60, 80, 180)]
    patches = np.repeat(np.array(colors, np.uint8)[None], 64, 0).repeat(32, 1)
    write_clip([patches] * 4, tmp_path / "c.mp4", 10)
    convert = f"zscale=t=linear,format=gbrpf32,zscale=p=bt2020,zscale=t={transfer}:npl=203:m=bt2020nc:r=tv"
    ffmpeg(
        *("-i", tmp_path / "c.mp4", "-vf", f"{convert},format=yuv420p10", "-c:v", "libx265"),
        *(
            "-x265-params",
            f"log-level=none:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc",
        ),
        tmp_path / "hdr.mp4",
    )
    frame = read_video(tmp_path / "hdr.mp4").frames[1].astype(int)
    for index, color in enumerate(colors):
        assert np.abs(frame[32, 32 * index + 16] - color).max() <= 8, color


def _joined(folder: Path, *sizes: str) -> Path:
    parts = []
    for index, size in enumerate(sizes):
        parts.append(folder / f"{index}.ts")
        white = f"color=white:s={size}:r=10:d=1"
        ffmpeg("-f", "lavfi", "-i", white, "-c:v", "libx264", "-output_ts_offset", index, parts[-1])
    (folder / "joined.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    return folder / "joined.ts"


def test_a_stream_that_turns_midway_is_not_stretched(tmp_path: Path) -> None:
    video = read_video(_joined(tmp_path, "64x48", "48x64"))
    assert {frame.shape for frame in video.frames} == {(48, 64, 3)}
    assert len(video.frames) in (19, 20)
    assert video.frames[5].min() > 240
    turned = video.frames[15]
    assert turned[:, 16:48].min() > 200 and turned[:, :12].max() < 20 and turned[:, 52:].max() < 20


def test_a_stream_that_grows_midway_stays_within_the_limits(tmp_path: Path) -> None:
    path = _joined(tmp_path, "64x48", "640x480")
    assert len(read_video(path).frames) in (18, 19, 20)
    with pytest.raises(VideoError, match="damaged"):
        read_video(path, limits=VideoLimits(max_pixels=64 * 48))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("#0:0", f"#0:{'9' * 5000}"),
        (", 64x48", f", {'9' * 5000}x48"),
        ("Duration: 00", f"Duration: {'9' * 5000}"),
        ("Duration: 00", f"Duration: {'9' * 400}"),
        ("rotation of 90.00", "rotation of 1.2.3"),
        ("rotation of 90.00", f"rotation of {'9' * 400}"),
    ],
)
def test_numbers_among_a_files_own_words_are_refused_or_ignored(
    old: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names inside of a file are printed where ffmpeg prints what it has found."""
    about = (
        "  Duration: 00:00:01.00, start: 0.000000, bitrate: 9 kb/s\n"
        "  Stream #0:0: Video: h264, yuv420p, 64x48, 10 fps, 10 tbr\n"
        "      Display Matrix: rotation of 90.00 degrees\n"
    )
    assert old in about
    monkeypatch.setattr(streams, "_describe", lambda *_: about.replace(old, new))
    try:
        header = streams.read_header(Path(), "matroska")
    except VideoError as error:
        assert "no readable picture track" in error.message
    else:
        assert {header.width, header.height} == {64, 48}
        assert header.duration_s in (None, 1.0)


@pytest.mark.parametrize("count", [1_000_000, 100_000_000])
def test_a_kilobyte_that_claims_millions_of_frames_takes_little(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They need minutes or hours to be decoded, as errors, or gigabytes to be listed."""
    monkeypatch.setattr(streams, "MAX_CPU_S", 1)
    path = tmp_path / "c.mp4"
    write_clip(clip_frames(3), path, 10)
    data = bytearray(path.read_bytes())
    claimed = count.to_bytes(4, "big")
    for box, place in (("stsz", 12), ("stsc", 16), ("stts", 12)):
        start = data.index(box.encode())
        data[start + place : start + place + 4] = claimed
        if box == "stsz":
            data[start + 8 : start + 12] = (1).to_bytes(4, "big")  # bytes of each
    path.write_bytes(data)
    before_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    with pytest.raises(VideoError):
        read_video(path)
    own_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # a child begins with its parent's
    peak_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert peak_kb < max(before_kb, own_kb) + 400_000


def test_a_title_of_line_breaks_fills_no_memory(tmp_path: Path) -> None:
    """ffmpeg prints 23 bytes for each of them."""
    write_clip(clip_frames(3), tmp_path / "c.mp4", 10)
    title = ("-metadata", "title=" + 100_000 * "\n")
    ffmpeg("-i", tmp_path / "c.mp4", "-c", "copy", *title, tmp_path / "c.mkv")
    for read in (read_video, read_sound):
        with pytest.raises(VideoError, match="megabytes of titles"):
            read(tmp_path / "c.mkv")


def test_a_time_stamp_that_is_hours_away_fills_no_memory(tmp_path: Path) -> None:
    write_clip(clip_frames(5), tmp_path / "c.mp4", 25)
    late = ("-vf", "setpts='PTS+gt(N,2)*8000/TB'", "-fps_mode", "passthrough")
    sound = ("-f", "lavfi", "-i", "sine=d=0.2", "-af", "asetpts='PTS+gt(N,2)*8000/TB'")
    ffmpeg("-i", tmp_path / "c.mp4", *sound, *late, "-f", "mpegts", tmp_path / "c.ts")
    before_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    for read in (read_video, read_sound):
        try:
            read(tmp_path / "c.ts")
        except VideoError as error:
            assert error.remedy
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < before_kb + 200_000
    assert len(read_video(tmp_path / "c.ts", end_s=0.12).frames) == 3


def test_of_several_streams_the_largest_that_is_no_cover(tmp_path: Path) -> None:
    write_clip(clip_frames(5), tmp_path / "c.mp4", 10)
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=320x240:d=0.1:r=10", "-frames:v", 1, tmp_path / "p.png")
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=32x24:d=0.5:r=10", tmp_path / "small.mp4")
    ffmpeg(
        *("-i", tmp_path / "small.mp4", "-i", tmp_path / "c.mp4", "-i", tmp_path / "p.png"),
        *("-map", 0, "-map", 1, "-map", 2, "-c", "copy", "-disposition:v:2", "attached_pic"),
        tmp_path / "several.mp4",
    )
    video = read_video(tmp_path / "several.mp4")
    assert len(video.frames) == 5 and video.frames[0].shape == (48, 64, 3)
    ffmpeg(
        *("-f", "lavfi", "-i", "sine=d=0.2", "-i", tmp_path / "p.png", "-map", 0, "-map", 1),
        *("-c:v", "copy", "-disposition:v:0", "attached_pic", tmp_path / "song.m4a"),
    )
    with pytest.raises(VideoError, match="sound alone"):
        read_video(tmp_path / "song.m4a")


def test_sound_that_is_longer_is_no_damage(tmp_path: Path) -> None:
    write_clip(clip_frames(5), tmp_path / "c.mp4", 10)
    sound = ("-f", "lavfi", "-i", "sine=d=3")
    ffmpeg(*sound, "-i", tmp_path / "c.mp4", "-c:v", "copy", tmp_path / "long.mp4")
    assert len(read_video(tmp_path / "long.mp4").frames) == 5


def test_4096_pixels_wide(tmp_path: Path) -> None:
    source = "color=red:s=4096x2160:d=0.2:r=10"
    ffmpeg("-f", "lavfi", "-i", source, "-preset", "ultrafast", tmp_path / "c.mp4")
    assert read_video(tmp_path / "c.mp4").frames[0].shape == (540, 1024, 3)


@pytest.mark.parametrize("turns", [0, 1, 2, 3, -1, 5])
def test_rotation_as_asked(turns: int, tmp_path: Path) -> None:
    write_clip(clip_frames(3), tmp_path / "c.mp4", 10)
    upright = read_video(tmp_path / "c.mp4").frames[2]
    turned = read_video(tmp_path / "c.mp4", rotate=90 * turns).frames[2]
    assert np.array_equal(turned, np.rot90(upright, -turns)) and turned.flags.c_contiguous
    with pytest.raises(VideoError, match="rotation is 45"):
        read_video(tmp_path / "c.mp4", rotate=45)


def test_a_single_frame(tmp_path: Path) -> None:
    for suffix in (".mp4", ".webm", ".gif"):
        write_clip(clip_frames(1), tmp_path / f"c{suffix}", 12)
        video = read_video(tmp_path / f"c{suffix}")
        assert len(video.frames) == 1 and video.fps == pytest.approx(12, rel=0.05)


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"ID3\x04", "MP3"),
        (b"RIFF\0\0\0\0WAVEfmt ", "WAV"),
        (b"fLaC", "FLAC"),
        (b"FLV\x01", "FLV"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"\0\0\0\x18ftypheic", "HEIC"),
        (b"PK\x03\x04", "ZIP"),
    ],
)
def test_what_is_not_read_is_named(start: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / "c.mp4").write_bytes(start + bytes(500))
    with pytest.raises(VideoError, match=name):
        read_video(tmp_path / "c.mp4")


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "sine=d=0.2", tmp_path / "sound.mp4")
    with pytest.raises(VideoError, match="sound alone"):
        read_video(tmp_path / "sound.mp4")


def test_missing_video(tmp_path: Path) -> None:
    for path in (tmp_path / "none.mp4", tmp_path):
        with pytest.raises(VideoError, match="Check the path"):
            read_video(path)
