"""What can go wrong because of the input or the machine: few typed errors, each with a remedy.

PoseAnimateError
├── PictureError            a picture that can't be used
├── VideoError              a video that can't be used
├── MotionError             a motion (preset name, pose JSON) that can't be used
├── NoCharacterError        nobody was found in a picture or video
├── SeveralCharactersError  more than one person was found in a picture
├── SettingsError           an unknown setting or a value outside its range
├── ModelsError             a models folder or id that can't be loaded
├── DeviceError             too little memory, a device that fails, results that are not finite
├── BundleError             a bundle (a clip with its inputs) that can't be used
├── OutputError             a place that can't be written to
└── CacheError              a cache folder that can't be used
"""

from __future__ import annotations

from collections.abc import Mapping
from unicodedata import category


class PoseAnimateError(Exception):
    """An error that a person can fix.

    Args:
        message: one sentence that says what is wrong, with the offending value. What no terminal should print, as names
            may hold it, becomes an escape sequence.
        remedy: one sentence that says what to do about it.
        fix: choices that do this, by name, if any; see `poses.pata.Finding`.
    """

    def __init__(self, message: str, remedy: str, fix: Mapping[str, object] | None = None) -> None:
        self.message = _printable(message)
        self.remedy = _printable(remedy)
        super().__init__(f"{self.message} {self.remedy}")
        self.fix = dict(fix or {})

    def __reduce__(self) -> tuple[type[PoseAnimateError], tuple[str, str, dict[str, object]]]:
        return type(self), (self.message, self.remedy, self.fix)  # errors travel between processes


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
    """A run that its device can't do: too little memory, a failure, or results that are not finite."""


class BundleError(PoseAnimateError):
    """A bundle that can't be used."""


class OutputError(PoseAnimateError):
    """A place that can't be written to."""


class CacheError(PoseAnimateError):
    """A cache folder that can't be used."""


def _printable(words: str) -> str:
    return words if words.isprintable() else "".join(map(_escaped, words))


def _escaped(letter: str) -> str:
    if letter.isprintable() or category(letter) == "Zs":  # any kind of space
        return letter
    return letter.encode("unicode_escape").decode()


def first_line(error: Exception) -> str:
    """The first line of a library's error message; its type where there is none."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(":") if lines else type(error).__name__
