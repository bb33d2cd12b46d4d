"""Reading videos: MP4, WebM, MOV and GIF as RGB frames at a constant rate.

Decoded by running imageio-ffmpeg's ffmpeg directly. Its demuxer is forced, so a file can't make it
open other files or addresses. Frames arrive upright, in square pixels and already scaled down,
through a pipe that leaves no files.
"""

from __future__ import annotations

import io
import math
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from poseanimate.errors import VideoError

Frame = NDArray[np.uint8]


@dataclass(frozen=True)
class VideoLimits:
    """What `read_video` accepts, checked on the container's header alone."""

    max_bytes: int = 100_000_000
    max_seconds: float = 60.0  # after trimming
    max_pixels: int = 8_300_000  # per frame, as stored
    max_frames: int = 600  # after the stride
    max_side_px: int = 1024  # larger frames are scaled down while decoding


@dataclass(frozen=True, eq=False)
class Video:
    """Decoded upright frames of one size, each (height, width, 3), and their rate."""

    frames: list[Frame]
    fps: float


@dataclass(frozen=True)
class _Header:
    width: int  # as shown: upright, square pixels
    height: int
    stored_pixels: int
    fps: float
    duration_s: float | None  # None where the container doesn't say (browser recordings)


@dataclass(frozen=True)
class _Part:
    start_s: float
    end_s: float | None
    stride: int


_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")  # bytes 4-7 of MP4 and MOV
_NTSC_RATES = (24, 30, 48, 60, 120)  # times 1000/1001 when ffmpeg prints 23.98, 29.97, ...
_UNKNOWN_RATE = 30.0


def read_video(
    path: Path,
    start_s: float = 0.0,
    end_s: float | None = None,
    stride: int = 1,
    limits: VideoLimits | None = None,
) -> Video:
    """Read an MP4, WebM, MOV or GIF as upright RGB frames at a constant rate.

    The rate is the file's own divided by `stride`; a varying one is resampled to its mean, a missing
    one is taken as 30. A GIF's transparency becomes white; sound is ignored.

    Args:
        path: the file; its type is decided by content.
        start_s, end_s: the part to read, in seconds; end_s None reads to the end.
        stride: keep every stride-th frame.

    Raises:
        VideoError: missing, not a video, damaged, without frames, an empty part, or outside the
            limits.
    """
    limits = limits or VideoLimits()
    part = _Part(start_s, end_s, stride)
    _check_part(part)
    path = Path(path).absolute()
    demuxer = _demuxer(path, limits)
    header = _probe(path, demuxer)
    expected = _check_video(header, part, limits)
    frames = list(_decode(path, demuxer, header, part, limits))
    if not frames:
        raise VideoError("The video has no frames.", "Choose another video.")
    if len(frames) > limits.max_frames:
        raise _too_many_frames(len(frames), part, limits)
    seconds = len(frames) * stride / header.fps
    if seconds > limits.max_seconds + 0.5:
        raise _too_long(seconds, limits)
    if len(frames) < 0.9 * expected - 1:
        raise _damaged(f"{len(frames)} of about {expected:.0f} frames can be read")
    return Video(frames=frames, fps=header.fps / stride)


def _check_part(part: _Part) -> None:
    if part.stride < 1:
        raise VideoError(f"The stride is {part.stride}.", "Give a whole number from 1.")
    end_s = math.inf if part.end_s is None else part.end_s
    if not 0 <= part.start_s < end_s:
        raise VideoError(
            f"The part from {part.start_s:g} s to {end_s:g} s is empty.",
            "Give a start from 0 and an end after it.",
        )


def _demuxer(path: Path, limits: VideoLimits) -> str:
    try:
        size_bytes = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(12)
    except (OSError, ValueError) as error:
        raise VideoError(f"There is no video to read at {path}.", "Check the path.") from error
    if size_bytes > limits.max_bytes:
        raise VideoError(
            f"The video is too large: {size_bytes / 1e6:.1f} MB, at most "
            f"{limits.max_bytes / 1e6:g} MB are read.",
            "Cut it or save it smaller.",
        )
    if start[:4] == b"\x1aE\xdf\xa3":
        return "matroska"
    if start[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    if start[4:8] in _BOXES:
        return "mov"
    raise VideoError(
        "This is not a video that can be read.", "Choose an MP4, WebM, MOV or GIF file."
    )


def _input_arguments(path: Path, demuxer: str) -> list[str]:
    return ["-protocol_whitelist", "file", "-f", demuxer, "-i", str(path)]


def _probe(path: Path, demuxer: str) -> _Header:
    """Reads the header from what ffmpeg prints about an input when given no output."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-hide_banner"]
    command += _input_arguments(path, demuxer)
    run = subprocess.run(command, capture_output=True, check=False)
    text = run.stderr.decode("utf-8", "replace")
    stream = re.search(r"^\s*Stream #\S+.* Video: .*$", text, re.MULTILINE)
    size = re.search(r", (\d+)x(\d+)\b", stream.group()) if stream else None
    if stream is None or size is None or int(size[1]) * int(size[2]) == 0:
        raise _damaged("it has no readable picture track")
    width, height = int(size[1]), int(size[2])
    stored_pixels = width * height
    pixel_aspect = re.search(r"\bSAR (\d+):(\d+)", stream.group())
    if pixel_aspect:
        width = max(1, round(width * int(pixel_aspect[1]) / max(1, int(pixel_aspect[2]))))
    rotation = re.search(r"rotation of (-?[\d.]+) degrees", text)
    if rotation and round(float(rotation[1]) / 90) % 2:
        width, height = height, width
    time = re.search(r"Duration: (\d+):(\d+):(\d+\.\d+)", text)
    duration_s = int(time[1]) * 3600 + int(time[2]) * 60 + float(time[3]) if time else None
    fps = _frame_rate(stream.group())
    if demuxer == "gif" and duration_s:
        fps = _gif_frames(path) / duration_s  # ffmpeg guesses from the first few delays
    return _Header(width, height, stored_pixels, fps, duration_s)


def _frame_rate(stream: str) -> float:
    """Frames per second from ffmpeg's line about a stream: its mean rate, else its base rate."""
    for unit in ("fps", "tbr"):
        found = re.search(rf" (\d+\.?\d*) {unit}\b", stream)
        if found and 0 < float(found[1]) <= 240:
            rate = float(found[1])
            ntsc = round(rate) * 1000 / 1001
            return ntsc if round(rate) in _NTSC_RATES and abs(rate - ntsc) < 0.005 else rate
    return _UNKNOWN_RATE


def _gif_frames(path: Path) -> int:
    """Count a GIF's frames without decoding them; a truncated GIF is refused."""
    try:
        with path.open("rb") as file:
            file.seek(-min(1024, path.stat().st_size), io.SEEK_END)
            whole = file.read().rstrip(b"\0").endswith(b";")
        with Image.open(path, formats=("GIF",)) as image:
            count = int(getattr(image, "n_frames", 1))
    except Exception as error:  # Pillow's parsers raise almost anything on damaged data
        raise _damaged("its frames can't be counted") from error
    if not whole:
        raise _damaged("its end is missing")
    return count


def _check_video(header: _Header, part: _Part, limits: VideoLimits) -> float:
    """Check the header against the limits; return the expected number of frames (0 if unknown)."""
    if header.stored_pixels > limits.max_pixels:
        raise VideoError(
            f"The video's frames are too large: {header.stored_pixels / 1e6:.1f} megapixels, at "
            f"most {limits.max_pixels / 1e6:.1f} are read.",
            "Save it at 1080p or smaller.",
        )
    if header.duration_s is None:
        return 0.0
    if part.start_s > 0 and part.start_s >= header.duration_s:
        raise VideoError(
            f"The video ends at {header.duration_s:.2f} s, the start is at {part.start_s:g} s.",
            "Give an earlier start.",
        )
    end_s = header.duration_s if part.end_s is None else min(header.duration_s, part.end_s)
    seconds = end_s - part.start_s
    if seconds > limits.max_seconds:
        raise _too_long(seconds, limits)
    expected = seconds * header.fps / part.stride
    if expected > limits.max_frames + 1:
        raise _too_many_frames(round(expected), part, limits)
    return expected


def _too_long(seconds: float, limits: VideoLimits) -> VideoError:
    return VideoError(
        f"The video is too long: {seconds:.1f} s, at most {limits.max_seconds:g} s are read.",
        "Choose a part of it with a start and an end.",
    )


def _too_many_frames(count: int, part: _Part, limits: VideoLimits) -> VideoError:
    stride = math.ceil(part.stride * count / limits.max_frames)
    return VideoError(
        f"The video has too many frames: {count}, at most {limits.max_frames} are read.",
        f"Choose a shorter part of it, or a stride of {stride}.",
    )


def _damaged(what: str) -> VideoError:
    return VideoError(f"The video is damaged: {what}.", "Save or download it again.")


def _decode(
    path: Path, demuxer: str, header: _Header, part: _Part, limits: VideoLimits
) -> Iterator[Frame]:
    """Yield frames, at most one more than the limit, so that the caller notices an overrun."""
    factor = min(1.0, limits.max_side_px / max(header.width, header.height))
    width, height = (max(1, round(side * factor)) for side in (header.width, header.height))
    channels, pixels = (4, "rgba") if demuxer == "gif" else (3, "rgb24")
    rate = Fraction(header.fps).limit_denominator(1001)
    seconds = limits.max_seconds + 1 if part.end_s is None else part.end_s - part.start_s
    filters = f"fps={rate},select=not(mod(n\\,{part.stride})),scale={width}:{height}:flags=area"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error"]
    command += ["-max_error_rate", "0.1", "-ss", f"{part.start_s:.6f}", "-t", f"{seconds:.6f}"]
    command += [*_input_arguments(path, demuxer), "-map", "0:v:0", "-vf", filters]
    command += ["-fps_mode", "passthrough", "-frames:v", str(limits.max_frames + 1)]
    command += ["-pix_fmt", pixels, "-f", "rawvideo", "-"]
    size_bytes = width * height * channels
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            while process.stdout and len(data := process.stdout.read(size_bytes)) == size_bytes:
                frame = np.frombuffer(data, np.uint8).reshape(height, width, channels)
                yield _over_white(frame) if channels == 4 else frame.copy()  # writable
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise _damaged("it can't be decoded to its end")


def _over_white(rgba: Frame) -> Frame:
    alpha = rgba[..., 3:].astype(np.uint16)
    mixed = rgba[..., :3] * alpha + 255 * (255 - alpha)
    return ((mixed + 127) // 255).astype(np.uint8)
