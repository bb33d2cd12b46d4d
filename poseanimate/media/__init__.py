"""Pictures and videos in, clips out; limits first.

Notable:
- A file's type is decided by its first bytes, never by its name.
- Every limit that a header can answer (bytes, pixels, sides, seconds, frames) is checked before
  decoding.
- A clip is written next to its target and renamed: either the whole clip is there or nothing
  changes.
"""

from poseanimate.media.clips import CLIP_SUFFIXES, check_output, write_clip
from poseanimate.media.colours import rgb_over_white
from poseanimate.media.containers import ANIMATION_SUFFIXES, VIDEO_SUFFIXES
from poseanimate.media.picture_kinds import PICTURE_KINDS, PICTURE_SUFFIXES
from poseanimate.media.pictures import PictureLimits, fit_size, is_still, load_picture
from poseanimate.media.sounds import Sound, read_sound
from poseanimate.media.tiles import tiled
from poseanimate.media.videos import Frame, Video, VideoLimits, read_video

__all__ = [
    "ANIMATION_SUFFIXES",
    "CLIP_SUFFIXES",
    "PICTURE_KINDS",
    "PICTURE_SUFFIXES",
    "VIDEO_SUFFIXES",
    "Frame",
    "PictureLimits",
    "Sound",
    "Video",
    "VideoLimits",
    "check_output",
    "fit_size",
    "is_still",
    "load_picture",
    "read_sound",
    "read_video",
    "rgb_over_white",
    "tiled",
    "write_clip",
]
