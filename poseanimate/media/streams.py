"""What a video's header says, and the command that opens it."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

from poseanimate.errors import VideoError
from poseanimate.media.rates import MAX_FPS, choose_rate

MAX_CPU_S = 240  # of ffmpeg; of all cores together
MAX_BLOCK_BYTES = 300_000_000  # that ffmpeg takes at once; a frame for tone mapping has 200 MB
MAX_DESCRIPTION_BYTES = (
    2_000_000  # of ffmpeg's about a file, which make 23 of each line break in a title
)
# Words of the file stand among what ffmpeg says of it. Its own numbers have no more digits than these.
_WHOLE = r"(\d{1,12})"
_DECIMAL = r"(-?\d{1,12}(?:\.\d{1,12})?)"
_ALPHA = r"\b(yuva\w+|rgba\w*|bgra\w*|argb|abgr|gbrap\w*|ya8|ya16\w*|ayuv\w*|vuya|pal8)\b"
_DECODERS_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # ffmpeg's own leave it out


@dataclass(frozen=True)
class Header:
    """What is known of a video before it is decoded.

    width, height: as shown, upright and in square pixels. fps, varying: see `choose_rate`.
    duration_s: None where the container doesn't say (browser recordings). transfer: of high dynamic
    range, "smpte2084" or "arib-std-b67"; else empty. decoder: another than ffmpeg's first choice.
    """

    index: int
    width: int
    height: int
    stored_pixels: int
    fps: float
    varying: bool
    duration_s: float | None
    transfer: str = ""
    alpha: bool = False
    interlaced: bool = False
    decoder: str = ""
    sound: bool = False


def bounded_ffmpeg() -> list[str]:
    """The command of ffmpeg, with limits: a kilobyte may claim billions of frames."""
    limits = ("-timelimit", str(MAX_CPU_S), "-max_alloc", str(MAX_BLOCK_BYTES))
    return [imageio_ffmpeg.get_ffmpeg_exe(), *limits]


def open_arguments(demuxer: str) -> list[str]:
    """Arguments of ffmpeg that open its standard input, which is the file, by this demuxer alone."""
    return ["-protocol_whitelist", "fd", "-f", demuxer, "-fd", "0", "-i", "fd:"]


def read_header(path: Path, demuxer: str) -> Header:
    """Read the header of the largest video stream that isn't a cover picture.

    Raises:
        VideoError: there is none, or it can't be read.
    """
    text = _describe(path, demuxer)
    blocks = re.split(r"^\s*(?=Stream #\d+:\d+)", text, flags=re.MULTILINE)
    length = rf"^\s*Duration: {_WHOLE}:{_WHOLE}:{_DECIMAL}"
    time = re.search(length, blocks[0], re.MULTILINE)
    duration_s = int(time[1]) * 3600 + int(time[2]) * 60 + float(time[3]) if time else None
    lines = [block.partition("\n")[0] for block in blocks]
    sound = any(": Audio: " in line for line in lines)
    streams = [
        header
        for line, block in zip(lines, blocks, strict=True)
        if ": Video: " in line and not re.search(r"\((attached pic|timed thumbnails)\)", line)
        if (header := _read_stream(line, block, duration_s, sound))
    ]
    if streams:
        return max(streams, key=lambda each: (each.stored_pixels, each.fps))
    if sound and not any(": Video: " in line and "attached" not in line for line in lines):
        raise VideoError("The file has sound alone, no video.", "Choose a video.")
    raise VideoError(
        "The video is damaged: it has no readable picture track.", "Save or download it again."
    )


def _describe(path: Path, demuxer: str) -> str:
    """What ffmpeg prints about an input when given no output.

    Raises:
        VideoError: it is too much.
    """
    command = [*bounded_ffmpeg(), "-hide_banner", *open_arguments(demuxer)]
    with (
        path.open("rb") as file,
        subprocess.Popen(
            command, stdin=file, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process,
    ):
        said = process.stderr.read(MAX_DESCRIPTION_BYTES + 1) if process.stderr else b""
        process.kill()  # no more is read
    if len(said) > MAX_DESCRIPTION_BYTES:
        raise VideoError(
            "The video holds megabytes of titles and other texts.", "Save it without them."
        )
    return said.decode("utf-8", "replace")


def _read_stream(line: str, block: str, duration_s: float | None, sound: bool) -> Header | None:
    index = re.match(rf"Stream #\d+:{_WHOLE}\b", line)
    size = re.search(rf", {_WHOLE}x{_WHOLE}\b", line)
    if index is None or size is None or int(size[1]) * int(size[2]) == 0:
        return None
    width, height = stored = int(size[1]), int(size[2])
    pixel_aspect = re.search(rf"\bSAR {_WHOLE}:{_WHOLE}\b", line)
    if pixel_aspect and int(pixel_aspect[1]):
        width = max(1, round(width * int(pixel_aspect[1]) / max(1, int(pixel_aspect[2]))))
    turned = rf"^\s*Display Matrix: rotation of {_DECIMAL}"
    rotation = re.search(turned, block, re.MULTILINE)
    if rotation and round(float(rotation[1]) / 90) % 2:
        width, height = height, width
    fps, varying = choose_rate(_rate(line, "fps"), _rate(line, "tbr"))
    transfer = re.search(r"\b(smpte2084|arib-std-b67)\b", line)
    codec = re.search(r": Video: (\w+)", line)
    alpha_track = re.search(r"^\s*alpha_mode\s*: 1\s*$", block, re.MULTILINE | re.IGNORECASE)
    return Header(
        index=int(index[1]),
        width=width,
        height=height,
        stored_pixels=stored[0] * stored[1],
        fps=fps,
        varying=varying,
        duration_s=duration_s,
        transfer=transfer[1] if transfer else "",
        alpha=bool(alpha_track or re.search(_ALPHA, line)),
        interlaced=re.search(r"\b(top|bottom) (coded )?first\b", line) is not None,
        decoder=_DECODERS_WITH_ALPHA.get(codec[1], "") if alpha_track and codec else "",
        sound=sound,
    )


def _rate(line: str, unit: str) -> float | None:
    found = re.search(rf" {_DECIMAL} {unit}\b", line)
    return float(found[1]) if found and 0 < float(found[1]) <= MAX_FPS else None
