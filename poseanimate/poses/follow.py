"""One person among several, from picture to picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from poseanimate.poses.measures import person_size
from poseanimate.poses.skeleton import NECK, FloatArray, Pose


class Follower:
    """Chooses the same person in every picture: first the largest, then whoever is nearest to the last position.

    Where people have numbers, the person with the number of the one before is chosen instead. If that one is gone,
    nobody who was seen beside them can be them.
    """

    def __init__(self) -> None:
        self._last_xy: FloatArray | None = None
        self._number: int | None = None
        self._others: set[int] = set()

    def choose(self, people: Sequence[Pose], numbers: Sequence[int | None] = ()) -> Pose:
        """The followed person among these; an absent pose if that is nobody.

        Args:
            people: those of one picture; who has no visible joint counts as absent.
            numbers: by which a tracker knows them; None, or nothing at all, where it doesn't.
        """
        numbers = numbers or [None] * len(people)
        seen = [
            (pose, number)
            for pose, number in zip(people, numbers, strict=True)
            if pose.visible().any()
        ]
        same = [each for each in seen if self._number is not None and each[1] == self._number]
        possible = same or [each for each in seen if each[1] not in self._others]
        if not possible:
            return Pose.absent()
        pose, self._number = self._nearest(possible)
        self._others |= {number for _, number in seen if number not in (None, self._number)}
        self._last_xy = position(pose)
        return pose

    def _nearest(self, people: Sequence[tuple[Pose, int | None]]) -> tuple[Pose, int | None]:
        last_xy = self._last_xy
        if last_xy is None:
            return max(people, key=lambda each: person_size(each[0]))
        return min(people, key=lambda each: float(np.hypot(*(position(each[0]) - last_xy))))


def position(pose: Pose) -> FloatArray:
    """(2,): the neck, or the mean of the visible joints."""
    seen = pose.visible()
    return pose.xy[NECK] if seen[NECK] else np.asarray(pose.xy[seen].mean(axis=0))
