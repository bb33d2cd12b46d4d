"""What kind of file a video is, by its first bytes.

Notable: ffmpeg is told one demuxer and gets the open file, not its name. So a file can't make it open
other files or addresses, whatever it contains.
"""

from __future__ import annotations

import re
from pathlib import Path

from poseanimate.errors import VideoError

VIDEO_SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".3gp", ".webm", ".mkv", ".avi", ".wmv", ".ts", ".mts", ".m2ts", ".mpg",
    ".mpeg", ".ogv",
)  # fmt: skip
ANIMATION_SUFFIXES = (".gif", ".webp", ".apng", ".png", ".avif")
READABLE = "Choose an MP4, WebM, MOV, MKV, AVI, WMV, GIF or another common video."

_START_BYTES = 400  # more than two packets of a transport stream

# Kinds that ffmpeg reads, by its names of demuxers.
_DEMUXERS = (
    (rb"\x1aE\xdf\xa3", "matroska"),  # MKV and WebM
    (rb"RIFF....AVI ", "avi"),
    (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),  # WMV
    (rb"OggS", "ogg"),
    (rb"\x00\x00\x01\xba", "mpeg"),  # program stream
    (rb"G.{187}G", "mpegts"),
    (rb".{4}G.{191}G", "mpegts"),  # of camcorders: a time stamp before each packet
)
# Kinds that Pillow reads.
_ANIMATIONS = (
    (rb"GIF8[79]a", "GIF"),
    (rb"RIFF....WEBP", "WEBP"),
    (rb"\x89PNG\r\n\x1a\n....IHDR", "PNG"),
)
_OTHERS = (
    (rb"\xff\xd8\xff", "a still picture (JPEG)"),
    (rb"....ftyp(heic|heix|mif1|avif)", "a still picture (HEIC or AVIF)"),
    (rb"BM.{12}[\x0c-\x7c]\x00\x00\x00", "a still picture (BMP)"),
    (rb"II\*\x00|MM\x00\*", "a still picture (TIFF)"),
    (rb"RIFF....WAVE", "a sound file (WAV)"),
    (rb"ID3|\xff[\xfb\xf3\xf2]", "a sound file (MP3)"),
    (rb"fLaC", "a sound file (FLAC)"),
    (rb"FLV\x01", "a Flash video (FLV)"),
    (rb"\.RMF", "a RealMedia file"),
    (rb"PK\x03\x04", "a ZIP file"),
    (rb"%PDF", "a PDF"),
)
_BOXES = rb".{4}(ftyp|moov|mdat|wide|free|skip|pnot)"  # MP4, MOV, 3GP, AVIF


def find_kind(path: Path, max_bytes: int) -> tuple[str, bool]:
    """The kind of a video, and whether it is an animated picture.

    Returns:
        ffmpeg's name of the demuxer and False, or Pillow's name of the format and True.

    Raises:
        VideoError: missing, larger than max_bytes, or nothing that is read; the message names what
            it is, where it is known.
    """
    try:
        size_bytes = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(_START_BYTES)
    except (OSError, ValueError) as error:
        raise VideoError(f"There is no video to read at {path}.", "Check the path.") from error
    if size_bytes > max_bytes:
        raise VideoError(
            f"The video is too large: {size_bytes / 1e6:.1f} MB, at most {max_bytes / 1e6:g} MB "
            "are read.",
            "Cut it or save it smaller.",
        )
    for kinds, animated in ((_DEMUXERS, False), (_ANIMATIONS, True)):
        for signature, kind in kinds:
            if _begins(start, signature):
                return kind, animated
    for signature, what in _OTHERS:
        if _begins(start, signature):
            raise VideoError(f"This is {what}, not a video that can be read.", READABLE)
    if _begins(start, _BOXES):
        return "mov", False
    raise VideoError("This is not a video that can be read.", READABLE)


def _begins(start: bytes, signature: bytes) -> bool:
    return re.match(signature, start, re.DOTALL) is not None
