"""What can't be read, and what was left out or assumed while reading."""

from __future__ import annotations

FORMAT_REMEDY = (
    "Give OpenPose keypoint JSON: an object with 'frames', each with 'people' and their "
    "'pose_keypoints_2d' (18 or 25 joints: x, y, confidence)."
)


class Refused(Exception):
    """A file that can't be read.

    Args:
        what: the end of the sentence "The file can't be used: …", without a full stop.
        remedy: what to do about it.
    """

    def __init__(self, what: str, remedy: str = FORMAT_REMEDY) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


class Notes:
    """Sentences without their full stops; one that is added again is counted."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def add(self, sentence: str) -> None:
        """Remembers a sentence."""
        self._counts[sentence] = self._counts.get(sentence, 0) + 1

    def sentences(self) -> tuple[str, ...]:
        """The sentences in the order of their first mention, with how often each was added if more than once."""
        return tuple(
            f"{sentence} ({count} times)." if count > 1 else f"{sentence}."
            for sentence, count in self._counts.items()
        )
