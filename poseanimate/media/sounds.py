"""The sound of a video, for clips that show its whole motion."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from poseanimate.errors import VideoError
from poseanimate.media.containers import find_kind
from poseanimate.media.streams import bounded_ffmpeg, open_arguments, read_header
from poseanimate.media.videos import VideoLimits

RATE_HZ = 48_000
_BYTES = 4  # of a moment: two channels of 16 bits


@dataclass(frozen=True, eq=False)
class Sound:
    """Stereo at `RATE_HZ`: samples (n, 2) int16."""

    samples: NDArray[np.int16]

    def fitted(self, delay_s: float, duration_s: float) -> Sound:
        """The sound after `delay_s` of silence, cut or filled with silence to `duration_s`."""
        fitted = np.zeros((round(duration_s * RATE_HZ), 2), np.int16)
        later = fitted[round(delay_s * RATE_HZ) :]
        count = min(len(later), len(self.samples))
        later[:count] = self.samples[:count]
        return Sound(fitted)


def read_sound(path: Path, limits: VideoLimits | None = None) -> Sound | None:
    """Read a video's sound, up to `max_seconds` of it; None where it has none.

    Raises:
        VideoError: missing, not a video, or the sound can't be decoded.
    """
    limits = limits or VideoLimits()
    path = Path(path).absolute()
    kind, animated = find_kind(path, limits.max_bytes)
    if animated or not read_header(path, kind).sound:
        return None
    command = [*bounded_ffmpeg(), "-v", "error", "-t", f"{limits.max_seconds:.6f}"]
    command += [*open_arguments(kind), "-map", "0:a:0", "-ac", "2", "-ar", str(RATE_HZ)]
    # A sound that begins later than its video keeps its distance.
    # One whose time stamps are years away would be filled up with silence.
    near = f"aselect=between(t\\,-1\\,{limits.max_seconds + 1:.6f})"
    command += ["-af", f"{near},aresample=async=1:first_pts=0", "-f", "s16le", "-"]
    most_bytes = round(limits.max_seconds * RATE_HZ) * _BYTES
    with (
        path.open("rb") as file,
        subprocess.Popen(
            command, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process,
    ):
        data = process.stdout.read(most_bytes) if process.stdout else b""
        process.kill()  # no more is read
    samples = np.frombuffer(data[: len(data) // _BYTES * _BYTES], "<i2").reshape(-1, 2)
    if not len(samples):
        raise VideoError(
            "The video's sound is damaged: it can't be decoded.",
            "Save the video again, or go on without its sound.",
        )
    return Sound(samples.astype(np.int16))
