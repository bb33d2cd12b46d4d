"""The sound of the driver's video, for clips that show its whole motion."""

from __future__ import annotations

from pathlib import Path

from poseanimate.inputs.stills import Stills
from poseanimate.media import Sound, Video, read_sound
from poseanimate.poses.motion import Motion
from poseanimate.poses.pata.alignment import Alignment


def is_whole_video(
    source: Motion | Video, start_s: float, end_s: float | None, stride: int
) -> bool:
    """Whether a motion's source, as `open_motion` read it, is all of a video."""
    is_video = isinstance(source, Video) and not isinstance(source, Stills)
    return is_video and start_s == 0 and end_s is None and stride == 1


def read_driver_sound(
    path: Path, motion: Motion, alignment: Alignment, frames: int
) -> Sound | None:
    """The sound of a video that a motion is the whole of, delayed to where the motion begins in the clip.

    None where it has none, and unless a clip of so many frames shows the motion once and at its own rate.

    Raises:
        VideoError: the video is gone, or its sound is damaged.
    """
    start = 1 + alignment.transition  # the frames before the motion
    if frames != start + len(motion.poses) or alignment.fps != motion.fps:
        return None
    sound = read_sound(path)
    return sound and sound.fitted(start / motion.fps, frames / motion.fps)
