"""What can go wrong because of what came in: few typed errors, each with a remedy.

PoseAnimateError
├── PictureError            a picture that can't be used
├── VideoError              a video that can't be used
├── MotionError             a motion (preset name, pose JSON) that can't be used
├── NoCharacterError        nobody was found in a picture or video
├── SeveralCharactersError  more than one person was found in a picture
├── SettingsError           an unknown setting or a value outside its range
├── ModelsError             a models folder or id that can't be loaded
├── DeviceError             memory that is too small, a device that fails, numbers that are none
├── BundleError             a job's file that can't be used
├── OutputError             a place that can't be written to
└── CacheError              a cache folder that can't be used
"""

from __future__ import annotations


class PoseAnimateError(Exception):
    """An error that a person can mend.

    Args:
        message: one sentence that says what is wrong, with the offending value.
        remedy: one sentence that says what to do about it.
    """

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message} {remedy}")
        self.message = message
        self.remedy = remedy


class PictureError(PoseAnimateError):
    """A picture that can't be used."""


class VideoError(PoseAnimateError):
    """A video that can't be used."""


class MotionError(PoseAnimateError):
    """A motion that can't be used: an unknown preset or unreadable pose JSON."""


class NoCharacterError(PoseAnimateError):
    """Nobody was found in a picture or video."""


class SeveralCharactersError(PoseAnimateError):
    """More than one person was found in a picture."""


class SettingsError(PoseAnimateError):
    """An unknown setting, or a value outside its range."""


class ModelsError(PoseAnimateError):
    """A models folder or id that can't be loaded."""


class DeviceError(PoseAnimateError):
    """A run that its device can't do: too little memory, a failure, or results that are no numbers."""


class BundleError(PoseAnimateError):
    """A job's file that can't be used."""


class OutputError(PoseAnimateError):
    """A place that can't be written to."""


class CacheError(PoseAnimateError):
    """A cache folder that can't be used."""


def first_line(error: Exception) -> str:
    """What an error of a library says, in one line that is never empty."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(":") if lines else type(error).__name__
