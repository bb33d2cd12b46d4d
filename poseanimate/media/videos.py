"""Reading videos and animated pictures as RGB frames at a constant rate.

Videos are decoded by running imageio-ffmpeg's ffmpeg directly, animated pictures by Pillow. Frames
arrive upright, in square pixels, in the colours of a common screen, over white where they are
transparent, and already scaled down, through a pipe that leaves no files.
"""

from __future__ import annotations

import math
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from poseanimate.errors import VideoError
from poseanimate.media.animations import decode_animation, read_animation
from poseanimate.media.containers import find_kind
from poseanimate.media.streams import Header, bounded_ffmpeg, open_arguments, read_header

Frame = NDArray[np.uint8]


@dataclass(frozen=True)
class VideoLimits:
    """What `read_video` accepts, checked on the container's header alone."""

    max_bytes: int = 100_000_000
    max_seconds: float = 60.0  # after trimming
    max_pixels: int = 16_800_000  # per frame, as stored: 4096x2160 and 5312x2988, not 8K
    max_frames: int = 600  # after the stride
    max_side_px: int = 1024  # larger frames are scaled down while decoding


@dataclass(frozen=True, eq=False)
class Video:
    """Decoded upright frames of one size, each (height, width, 3), and their rate.

    start_s: where they begin in the file. rotate: degrees by which they were turned clockwise on request.
    """

    frames: list[Frame]
    fps: float
    start_s: float = 0.0
    rotate: int = 0


@dataclass(frozen=True)
class _Part:
    start_s: float
    end_s: float | None
    stride: int


_SEEKS_BADLY = ("mpegts", "mpeg")  # to the next key frame instead of the time
_DECODING_THREADS = "4"  # each holds frames: this bounds memory on machines with many cores
_WHITE_NITS = 203  # of high dynamic range, by ITU-R BT.2408


def read_video(
    path: Path,
    start_s: float = 0.0,
    end_s: float | None = None,
    stride: int = 1,
    limits: VideoLimits | None = None,
    rotate: int = 0,
) -> Video:
    """Read a video or an animated picture as upright RGB frames at a constant rate.

    The rate is the file's own divided by `stride`; a missing one is taken as 30. A varying one is
    resampled by time stamps, at up to 30 or what `max_frames` allows. Of several streams the largest
    is read. A stream that changes its size or turns midway keeps its first size, with bars at the
    sides. High dynamic range is tone-mapped, transparency becomes white, sound is ignored. Animated
    pictures show frames of up to 10 ms for 100 ms, as browsers do.

    Args:
        path: the file; its type is decided by content.
        start_s, end_s: the part to read, in seconds; end_s None reads to the end.
        stride: keep every stride-th frame.
        rotate: degrees by which frames are turned clockwise: a multiple of 90.

    Raises:
        VideoError: missing, not a video, damaged, without frames, an empty part, outside the
            limits, or turned by another angle.
    """
    limits = limits or VideoLimits()
    part = _Part(start_s, end_s, stride)
    _check_part(part, rotate)
    path = Path(path).absolute()
    kind, animated = find_kind(path, limits.max_bytes)
    read = _read_animation if animated else _read_stream
    frames, fps = read(path, kind, part, limits)
    if not frames:
        raise VideoError("The video has no frames.", "Choose another video.")
    if len(frames) > limits.max_frames:
        raise _too_many_frames(len(frames), part, limits)
    seconds = len(frames) * stride / fps
    if seconds > limits.max_seconds + max(0.5, stride / fps):
        raise _too_long(seconds, part, limits)
    turns = -rotate // 90 % 4
    if turns:
        frames = [np.ascontiguousarray(np.rot90(frame, turns)) for frame in frames]
    return Video(frames, fps / stride, start_s, rotate)


def _check_part(part: _Part, rotate: int) -> None:
    if part.stride < 1:
        raise VideoError(f"The stride is {part.stride}.", "Give a whole number from 1.")
    if rotate % 90:
        raise VideoError(f"The rotation is {rotate} degrees.", "Give 0, 90, 180 or 270.")
    end_s = math.inf if part.end_s is None else part.end_s
    if not 0 <= part.start_s < end_s:
        raise VideoError(
            f"The part from {part.start_s:g} s to {end_s:g} s is empty.",
            "Give a start from 0 and an end after it.",
        )


def _read_animation(
    path: Path, kind: str, part: _Part, limits: VideoLimits
) -> tuple[list[Frame], float]:
    """The frames of an animated picture after the stride, and its rate before."""
    animation = read_animation(path, kind)
    _check_pixels(animation.width * animation.height, limits)
    seconds = _check_seconds(animation.duration_s, part, limits)
    fps = _fitting_rate(animation.fps, animation.varying, seconds, part, limits)
    expected = _check_frames(seconds * fps, part, limits)
    size = _scaled(animation.width, animation.height, limits)
    middle_s = part.start_s + 0.5 / fps
    count = max(1, math.ceil(expected - 0.01))
    frames = decode_animation(path, animation, middle_s, count, part.stride / fps, size)
    return list(frames), fps


def _read_stream(
    path: Path, demuxer: str, part: _Part, limits: VideoLimits
) -> tuple[list[Frame], float]:
    """The frames of a video after the stride, and its rate before."""
    header = read_header(path, demuxer)
    _check_pixels(header.stored_pixels, limits)
    fps, expected = header.fps, 0.0
    if header.duration_s is not None:
        seconds = _check_seconds(header.duration_s, part, limits)
        fps = _fitting_rate(fps, header.varying, seconds, part, limits)
        expected = _check_frames(seconds * fps, part, limits)
    with tempfile.TemporaryFile() as log:
        decode = partial(_decode, path, demuxer, header, fps, part, limits, log.fileno())
        frames, whole = list(decode(header.varying and part.start_s > 0)), 0.9 * expected - 1
        # a rate that is steady on the whole may have a still phase, too
        if part.start_s > 0 and not header.varying and len(frames) < max(1, whole):
            frames = list(decode(True))
        # A video that is shorter than its sound is whole; one with errors is not.
        if len(frames) < whole and log.seek(0, 2):
            raise _damaged(f"{len(frames)} of about {expected:.0f} frames can be read")
    return frames, fps


def _check_pixels(pixels: int, limits: VideoLimits) -> None:
    if pixels > limits.max_pixels:
        raise VideoError(
            f"The video's frames are too large: {pixels / 1e6:.1f} megapixels, at most "
            f"{limits.max_pixels / 1e6:.1f} are read.",
            "Save it at 1080p or smaller.",
        )


def _check_seconds(duration_s: float, part: _Part, limits: VideoLimits) -> float:
    """Seconds of the part."""
    if part.start_s > 0 and part.start_s >= duration_s:
        raise VideoError(
            f"The video ends at {duration_s:.2f} s, the start is at {part.start_s:g} s.",
            "Give an earlier start.",
        )
    seconds = (duration_s if part.end_s is None else min(duration_s, part.end_s)) - part.start_s
    if seconds > limits.max_seconds:
        raise _too_long(seconds, part, limits)
    return seconds


def _fitting_rate(
    fps: float, varying: bool, seconds: float, part: _Part, limits: VideoLimits
) -> float:
    """A varying rate is ours to choose: a whole part of it at which the frames fit the limit."""
    if not varying:
        return fps
    return fps / max(1, math.ceil(seconds * fps / part.stride / limits.max_frames))


def _check_frames(count: float, part: _Part, limits: VideoLimits) -> float:
    """The expected number of frames after the stride, of `count` before."""
    expected = count / part.stride
    if expected > limits.max_frames + 1:
        raise _too_many_frames(round(expected), part, limits)
    return expected


def _too_long(seconds: float, part: _Part, limits: VideoLimits) -> VideoError:
    return VideoError(
        f"The video is too long: {seconds:.1f} s, at most {limits.max_seconds:g} s are read.",
        "Choose a part of it with a start and an end.",
        {"end_s": part.start_s + limits.max_seconds},
    )


def _too_many_frames(count: int, part: _Part, limits: VideoLimits) -> VideoError:
    stride = math.ceil(part.stride * count / limits.max_frames)
    return VideoError(
        f"The video has too many frames: {count}, at most {limits.max_frames} are read.",
        f"Choose a shorter part of it, or a stride of {stride}.",
        {"stride": stride},
    )


def _damaged(what: str) -> VideoError:
    return VideoError(f"The video is damaged: {what}.", "Save or download it again.")


def _scaled(width: int, height: int, limits: VideoLimits) -> tuple[int, int]:
    factor = min(1.0, limits.max_side_px / max(width, height))
    return max(1, round(width * factor)), max(1, round(height * factor))


def _decode(
    path: Path,
    demuxer: str,
    header: Header,
    fps: float,
    part: _Part,
    limits: VideoLimits,
    log: int,
    on_screen: bool,
) -> Iterator[Frame]:
    """Yield frames, at most one more than the limit, so that the caller notices an overrun.

    Args:
        on_screen: begin with the frame that is on screen at the part's start, not with the first one after it.
    """
    width, height = _scaled(header.width, header.height, limits)
    channels, pixels = (4, "rgba") if header.alpha else (3, "rgb24")
    seconds = limits.max_seconds + 1 if part.end_s is None else part.end_s - part.start_s
    command = [*bounded_ffmpeg(), "-v", "error", "-max_error_rate", "0.1"]
    command += ["-max_pixels", str(limits.max_pixels), "-threads", _DECODING_THREADS]
    if header.decoder:
        command += ["-c:v", header.decoder]
    filters = []
    seeks_badly = part.start_s > 0 and demuxer in _SEEKS_BADLY
    if on_screen:  # what comes before the start has negative times
        seek = ["-noaccurate_seek", "-ss", f"{part.start_s:.6f}"]
        command += [] if seeks_badly else seek
        filters += [f"setpts=PTS-{part.start_s:.6f}/TB"] if seeks_badly else []
    elif seeks_badly:
        command += ["-t", f"{part.start_s + seconds:.6f}"]
        filters += [f"trim=start={part.start_s:.6f}", "setpts=PTS-STARTPTS"]
    else:
        command += ["-ss", f"{part.start_s:.6f}", "-t", f"{seconds:.6f}"]
    # ffmpeg fills a gap with copies before it counts frames: a damaged time stamp, years away, would
    # fill the memory.
    latest_s = min(seconds, (limits.max_frames + 2) * part.stride / fps)
    between_s = (-part.start_s - 1, latest_s + 60) if on_screen else (-1, latest_s)
    filters.append("select=between(t\\,{:.6f}\\,{:.6f})".format(*between_s))
    if on_screen:  # ends the decoding at the first frame past the part
        filters.append(f"trim=end={latest_s:.6f}")
    first = ":start_time=0" if on_screen else ""
    filters += _filters(header, fps, first, part.stride, latest_s, width, height)
    command += [*open_arguments(demuxer), "-map", f"0:{header.index}", "-vf", ",".join(filters)]
    command += ["-fps_mode", "passthrough", "-frames:v", str(limits.max_frames + 1)]
    command += ["-pix_fmt", pixels, "-f", "rawvideo", "-"]
    size_bytes = width * height * channels
    with (
        path.open("rb") as file,
        subprocess.Popen(command, stdin=file, stdout=subprocess.PIPE, stderr=log) as process,
    ):
        try:
            while process.stdout and len(data := process.stdout.read(size_bytes)) == size_bytes:
                frame = np.frombuffer(data, np.uint8).reshape(height, width, channels)
                yield _over_white(frame) if channels == 4 else frame.copy()  # writable
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise _damaged("it can't be decoded to its end")


def _filters(
    header: Header, fps: float, first: str, stride: int, latest_s: float, width: int, height: int
) -> list[str]:
    """What ffmpeg does with each frame: time, then size, then colours."""
    rate = Fraction(fps).limit_denominator(1001)
    filters = ["yadif=deint=interlaced"] if header.interlaced else []
    filters += [
        f"fps={rate}{first}",
        f"trim=end={latest_s:.6f}",
    ]  # the end's time stamp may lie, too
    if stride > 1:
        # By the time, not by the number: a stream that changes its size begins to count again.
        filters.append(f"select=not(mod(round(t*{rate})\\,{stride}))")
    if header.alpha:  # colours under transparency must not bleed when scaled
        filters += ["format=gbrap", "premultiply=inplace=1"]
    filters += _letterbox(width, height)
    if header.transfer:
        filters += _tone_mapping(header.transfer)
    return filters


def _letterbox(width: int, height: int) -> list[str]:
    """Fit frames of any size and shape of pixels into one size; the expected ones fill it."""
    rounding = 1 / min(width, height)
    fills = f"lt(abs(dar*{height}/{width}-1)\\,{rounding:.6f})"
    fit_width = f"if({fills}\\,{width}\\,max(1\\,min({width}\\,round({height}*dar))))"
    fit_height = f"if({fills}\\,{height}\\,max(1\\,min({height}\\,round({width}/dar))))"
    return [
        f"scale=w={fit_width}:h={fit_height}:flags=area",
        f"pad={width}:{height}:-1:-1:color=black@0",
    ]


def _tone_mapping(transfer: str) -> list[str]:
    """From BT.2020 at high dynamic range to BT.709."""
    return [
        "format=yuv444p10",
        f"zscale=tin={transfer}:pin=bt2020:min=bt2020nc:t=linear:npl={_WHITE_NITS}",
        "format=gbrpf32",
        "zscale=p=bt709",
        "tonemap=mobius:param=0.6:desat=0",  # changes nothing below 60 % of white
        "zscale=t=bt709:m=gbr:r=pc",
        "format=gbrp",
    ]


def _over_white(premultiplied: Frame) -> Frame:
    """(H, W, 4) with colours multiplied by alpha already."""
    transparent = 255 - premultiplied[..., 3:].astype(np.uint16)
    return np.minimum(premultiplied[..., :3] + transparent, 255).astype(np.uint8)
