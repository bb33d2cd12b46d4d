"""The downloads of a finished run, and the inputs that a bundle restores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from poseanimate.errors import BundleError
from poseanimate.inputs.bundle import MAX_BYTES, Bundle
from poseanimate.media import Sound, read_video
from poseanimate.media.clips import GIF_MAX_FPS
from poseanimate.ui import texts
from poseanimate.ui.runs.clips import write_clip
from poseanimate.ui.widgets.contact_sheet import enlargement

Picture = NDArray[np.uint8]


def write_downloads(
    job: Bundle,
    clip: str,
    frames: Sequence[Picture],
    alphas: Sequence[NDArray[np.float32]],
    fps: float,
    folder: Path,
    sound: Sound | None = None,
) -> list[str]:
    """Writes a clip in every format; returns the files.

    Args:
        clip: the existing MP4; the others are named after it.
        alphas: where the character is in each frame, (H, W) in [0, 1].
        sound: of the clip; the WebM gets it, too.

    Raises:
        OutputError: one can't be written.
    """
    source = Path(clip)
    height, width = frames[0].shape[:2]
    factor = enlargement(width, height)
    gif, webm, frames_zip, bundle = (
        folder / f"{source.stem}{end}" for end in (".gif", ".webm", "-frames.zip", "-bundle.zip")
    )
    cut_out = [
        np.dstack([frame, np.rint(255 * alpha).astype(np.uint8)])
        for frame, alpha in zip(frames, alphas, strict=True)
    ]
    write_clip(frames, gif, min(fps, GIF_MAX_FPS), factor)
    write_clip(cut_out, webm, fps, factor, sound)
    write_clip(frames, frames_zip, fps)
    bundle.write_bytes(with_clip(job, source).to_bytes())
    return [str(path) for path in (source, gif, webm, frames_zip, bundle)]


def with_clip(job: Bundle, clip: Path) -> Bundle:
    """Adds the clip, an MP4, to a job."""
    return replace(job, clip=clip.read_bytes())


def read_bundle(path: str | None) -> bytes:
    """An uploaded bundle, unopened.

    Raises:
        BundleError: it is too large, or not there (any more).
    """
    file = Path(path or "")
    if not file.is_file():
        raise BundleError("There is no bundle.", texts.UPLOAD_AGAIN)
    if file.stat().st_size > MAX_BYTES:  # before it is read
        raise BundleError(
            f"The bundle is larger than {MAX_BYTES / 1e6:.0f} MB.",
            "Choose a bundle that this page made.",
        )
    return file.read_bytes()


def write_inputs(job: Bundle, folder: Path) -> tuple[str, str, str | None]:
    """Writes a bundle's picture, motion and clip (None without one) to files with fixed names.

    Raises:
        VideoError: the clip is not a video, or exceeds the limits.
    """
    picture, motion, clip = (folder / name for name in ("picture.png", "motion.json", "clip.mp4"))
    Image.fromarray(job.picture).save(picture)
    motion.write_text(job.motion.to_json(), encoding="utf-8")
    if not job.clip:
        return str(picture), str(motion), None
    clip.write_bytes(job.clip)
    read_video(clip)  # untrusted until its limits are checked
    return str(picture), str(motion), str(clip)
