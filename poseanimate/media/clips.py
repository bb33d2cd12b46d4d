"""Clips out: MP4, WebM, GIF, APNG, WebP, a strip, a folder or a ZIP file of PNGs, whole or not at all."""

from __future__ import annotations

import contextlib
import io
import itertools
import math
import os
import re
import subprocess
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import IO, cast

import cv2
import imageio_ffmpeg
import numpy as np
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from poseanimate.errors import OutputError
from poseanimate.media.comments import add_comment
from poseanimate.media.sounds import RATE_HZ, Sound
from poseanimate.media.videos import Frame
from poseanimate.storage.atomic import write_atomically

CLIP_SUFFIXES = (".mp4", ".webm", ".gif", ".apng", ".webp", ".png", ".zip")
OPAQUE_SUFFIXES = (".mp4",)  # all others can have a fourth channel
SOUND_SUFFIXES = (".mp4", ".webm")
GIF_MAX_FPS = 50.0
WEBP_QUALITY = 85
STRIP_COLUMNS = 8
MADE_BY = "poseanimate"  # written into the PNGs of a folder


def check_output(path: Path, transparent: bool = False) -> None:
    """Check that a clip can be written to `path`; call it before any expensive work.

    Args:
        transparent: whether its frames have a fourth channel.

    Raises:
        OutputError: an unknown suffix, or of a kind that can't be transparent, a missing or unwritable parent, or
            something at `path` that a clip must not replace.
    """
    path = Path(path).absolute()
    suffix = path.suffix.lower()
    if suffix and suffix not in CLIP_SUFFIXES:
        raise OutputError(
            f"Clips can't be written as {suffix}.",
            f"Choose {', '.join(CLIP_SUFFIXES)}, or a name without suffix for a folder of PNGs.",
        )
    if transparent and suffix in OPAQUE_SUFFIXES:
        can = [each for each in CLIP_SUFFIXES if each not in OPAQUE_SUFFIXES]
        raise OutputError(
            f"A clip written as {suffix} can't be transparent.",
            f"Choose {', '.join(can)}, or a name without suffix for a folder of PNGs.",
        )
    if not os.path.isdir(path.parent):  # unlike Path.is_dir it accepts any name
        raise OutputError(f"There is no folder {path.parent}.", "Make it, or choose another.")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
        path.exists()
    except OSError as error:
        raise OutputError(
            f"Nothing can be written to {path} ({error.strerror}).", "Choose another place."
        ) from error
    if suffix and path.is_dir():
        raise OutputError(f"{path} is a folder.", "Choose another name.")
    if not suffix and path.exists() and not _is_frame_folder(path):
        raise OutputError(
            f"{path} exists and is no folder of frames that were written here.",
            "Choose another name, or an empty folder.",
        )


def write_clip(
    frames: Sequence[Frame],
    path: Path,
    fps: float,
    enlarge: int = 1,
    sound: Sound | None = None,
    comment: str = "",
) -> None:
    """Write a clip in the format given by the suffix of `path`.

    `.mp4` (H.264) and `.webm` (VP9) have even sides: an odd one is padded by repeating its last
    row or column. `.gif`, `.apng` and `.webp` loop, `.gif` at 50 frames per second at most; its
    delays are whole 1/100 s, chosen to keep the mean rate. In `.webp` equal frames in a row are one
    that lasts longer. `.png` is one picture with the frames in rows of up
    to eight. No suffix means a folder 00000.png, 00001.png, ... (replacing an earlier one), `.zip`
    the same in one file. All but `.mp4` can be transparent, `.gif` wholly or not at all, pixel by
    pixel. The clip appears under its name only once complete.

    Args:
        frames: RGB or RGBA (not premultiplied), each (height, width, 3 or 4) uint8, all of one size.
        path: the target; its parent must exist.
        fps: frames per second, above 0.
        enlarge: whole factor for both sides (Lanczos).
        sound: cut or filled with silence to the clip's length; `.mp4` (AAC) and `.webm` (Opus) take it.
        comment: written into the file, not over the picture: at most 255 characters of ASCII.

    Raises:
        OutputError: nothing to write, or an unwritable target (see `check_output`).
    """
    path = Path(path).absolute()
    check_output(path, transparent=bool(frames) and frames[0].shape[2:] == (4,))
    suffix = path.suffix.lower()
    _check_clip(frames, suffix, fps, enlarge)
    if sound and suffix not in SOUND_SUFFIXES:
        raise OutputError(f"A clip written as {suffix or 'a folder'} has no sound.", "Choose .mp4.")
    large = (_enlarged(frame, enlarge) for frame in frames)
    try:
        with write_atomically(path, suffix) as part:
            if suffix == "":
                _write_folder(large, part, comment)
            elif suffix == ".png":
                part.write_bytes(_png(_strip(list(large)), comment))
            elif suffix == ".zip":
                _write_zip(large, part, comment)
            elif suffix == ".webp":
                _write_webp(large, part, fps, comment)
            else:
                _encode(large, part, fps, sound and sound.fitted(0, len(frames) / fps), comment)
    except OSError as error:
        raise OutputError(
            f"The clip can't be written to {path} ({error.strerror or error}).",
            "Free some space or choose another place.",
        ) from error


def _check_clip(frames: Sequence[Frame], suffix: str, fps: float, enlarge: int) -> None:
    if not frames:
        raise OutputError("There are no frames to write.", "Make at least one frame.")
    shape = frames[0].shape
    if len(shape) != 3 or shape[2] not in (3, 4) or any(f.shape != shape for f in frames):
        raise OutputError("The frames differ in size.", "Give RGB frames of one size.")
    if any(frame.dtype != np.uint8 for frame in frames):
        raise OutputError("The frames are not 8-bit.", "Give RGB frames of type uint8.")
    if not (math.isfinite(fps) and fps > 0) or enlarge < 1:
        raise OutputError(
            f"The rate is {fps} and the enlargement {enlarge}.",
            "Give a rate above 0 and a whole enlargement from 1.",
        )
    if suffix == ".gif" and fps > GIF_MAX_FPS:
        raise OutputError(
            f"A GIF can't show {fps:g} frames per second.",
            f"Choose at most {GIF_MAX_FPS:g}, or .mp4.",
        )


def _enlarged(frame: Frame, factor: int) -> Frame:
    if factor == 1:
        return frame
    size = (frame.shape[1] * factor, frame.shape[0] * factor)
    return cv2.resize(frame, size, interpolation=cv2.INTER_LANCZOS4).astype(np.uint8, copy=False)


def _strip(frames: list[Frame]) -> Frame:
    """Frames in reading order, up to `STRIP_COLUMNS` in a row; the rest of the last row is white, or clear."""
    columns = min(len(frames), STRIP_COLUMNS)
    blank = np.full_like(frames[0], 255 if frames[0].shape[2] == 3 else 0)
    padded = frames + [blank] * (-len(frames) % columns)
    rows = [np.concatenate(padded[i : i + columns], 1) for i in range(0, len(padded), columns)]
    return np.concatenate(rows, 0)


def _write_folder(frames: Iterable[Frame], folder: Path, comment: str) -> None:
    folder.mkdir()
    for index, frame in enumerate(frames):
        (folder / _png_name(index)).write_bytes(_png(frame, comment))


def _write_zip(frames: Iterable[Frame], path: Path, comment: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:  # stored: PNGs are compressed already
        for index, frame in enumerate(frames):
            archive.writestr(zipfile.ZipInfo(_png_name(index)), _png(frame, comment))


def _write_webp(frames: Iterable[Frame], path: Path, fps: float, comment: str) -> None:
    pictures = [Image.fromarray(frame) for frame in frames]
    ends_ms = [round(1000 * number / fps) for number in range(len(pictures) + 1)]
    tags = Image.Exif()
    if comment:
        tags[ExifTags.Base.ImageDescription] = comment
    pictures[0].save(
        path,
        save_all=True,
        append_images=pictures[1:],
        duration=[end - start for start, end in pairwise(ends_ms)],
        loop=0,
        exif=tags,
        quality=WEBP_QUALITY,
        method=0,  # a tenth of a second for what takes GIF two
    )


def _png_name(index: int) -> str:
    return f"{index:05d}.png"


def _png(frame: Frame, comment: str) -> bytes:
    mark, made = PngInfo(), io.BytesIO()
    mark.add_text("Software", MADE_BY)
    if comment:
        mark.add_text("Comment", comment)
    Image.fromarray(frame).save(made, "PNG", pnginfo=mark)
    return made.getvalue()


def _is_frame_folder(path: Path) -> bool:
    """Whether a folder is empty or holds only frames written by us, so that it may be replaced."""
    return path.is_dir() and all(
        re.fullmatch(r"\d{5}\.png", child.name) and _made_here(child) for child in path.iterdir()
    )


def _made_here(path: Path) -> bool:
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            return picture.info.get("Software") == MADE_BY
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False


def _to_yuv(pixels: str) -> list[str]:
    convert = f"scale=out_color_matrix=bt709:out_range=tv,format={pixels}"
    return ["-vf", f"{convert},setparams=color_primaries=bt709:color_trc=bt709"]


def _to_gif(how: str) -> list[str]:
    palette = f"split[a][b];[a]palettegen=stats_mode=full[p];[b][p]paletteuse{how}"
    return ["-vf", palette, "-loop", "0"]


_VP9 = ["-c:v", "libvpx-vp9", "-crf", "18", "-b:v", "0", "-cpu-used", "4", "-row-mt", "1"]
_APNG = ["-f", "apng", "-plays", "0", "-pred", "mixed"]
_ENCODERS: dict[str, list[str]] = {
    ".mp4": [*_to_yuv("yuv420p"), "-c:v", "libx264", "-crf", "16", "-movflags", "+faststart"],
    ".webm": [*_to_yuv("yuv420p"), *_VP9],
    "transparent .webm": [*_to_yuv("yuva420p"), *_VP9, "-auto-alt-ref", "0"],
    ".gif": _to_gif(""),
    "transparent .gif": _to_gif("=alpha_threshold=128"),
    ".apng": _APNG,
    "transparent .apng": _APNG,
}  # fmt: skip


_SOUND_ENCODERS = {
    ".mp4": ["-c:a", "aac", "-b:a", "160k"],
    ".webm": ["-c:a", "libopus", "-b:a", "128k"],
}


def _encode(
    frames: Iterable[Frame], path: Path, fps: float, sound: Sound | None, comment: str
) -> None:
    """Encode raw frames with ffmpeg. Raises OSError, as writing a file does."""
    suffix = path.suffix
    images = (_even(frame) if suffix in SOUND_SUFFIXES else frame for frame in frames)
    first = next(iter(images))
    transparent = first.shape[2] == 4
    rate = Fraction(fps).limit_denominator(1001)
    pixels = "rgba" if transparent else "rgb24"
    size = f"{first.shape[1]}x{first.shape[0]}"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error"]
    command += ["-f", "rawvideo", "-pix_fmt", pixels, "-s", size, "-r", str(rate), "-i", "-"]
    with contextlib.ExitStack() as stack:
        if sound:
            samples = stack.enter_context(tempfile.NamedTemporaryFile(suffix=".pcm"))
            samples.write(sound.samples.astype("<i2").tobytes())
            samples.flush()
            command += ["-f", "s16le", "-ar", str(RATE_HZ), "-ac", "2", "-i", samples.name]
            command += ["-map", "0:v", "-map", "1:a", *_SOUND_ENCODERS[suffix]]
        command += [
            *_ENCODERS[f"transparent {suffix}" if transparent else suffix],
            "-fps_mode",
            "passthrough",
        ]
        if comment:
            command += ["-metadata", f"comment={comment}"]
        command += [
            "-fflags",
            "+bitexact",
            "-flags:v",
            "+bitexact",
            "-flags:a",
            "+bitexact",
            str(path),
        ]
        _run(command, itertools.chain([first], images))
    if comment:
        add_comment(path, comment)


def _run(command: list[str], frames: Iterable[Frame]) -> None:
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log
        ) as process,
    ):
        try:
            # A broken pipe means ffmpeg gave up; its exit status below says why.
            with contextlib.suppress(BrokenPipeError), cast(IO[bytes], process.stdin) as pipe:
                for frame in frames:
                    pipe.write(np.ascontiguousarray(frame).data)
        except BaseException:
            process.kill()
            raise
        if process.wait() != 0:
            log.seek(0)
            lines = log.read().decode("utf-8", "replace").strip().splitlines()
            raise OSError(lines[-1] if lines else "the encoder failed")


def _even(frame: Frame) -> Frame:
    height, width = frame.shape[:2]
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
