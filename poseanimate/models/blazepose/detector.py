"""BlazePose as a pose detector: regions of people, then the landmarks in each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from poseanimate.models.blazepose import boxes, landmarks
from poseanimate.models.blazepose.boxes import Region, decode_people, letterbox, make_anchors
from poseanimate.models.blazepose.files import LANDMARKS, MEDIAPIPE, PEOPLE
from poseanimate.models.blazepose.landmarks import PRESENCE, Found, read_person
from poseanimate.models.blazepose.networks import Network
from poseanimate.poses.measures import person_size
from poseanimate.poses.skeleton import Pose

MOST_PEOPLE = 6
SAME_PERSON = 0.25  # mean distance of two people's joints, in sizes of the larger


class BlazePose:
    """Finds people: photographed and painted, whole and half.

    Args:
        folder: holds the networks, see `files`.

    Raises:
        ModelsError: ai-edge-litert isn't installed, or a network is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        count = len(make_anchors())
        self._people = Network(folder / PEOPLE, boxes.SIDE, ((1, count, 12), (1, count, 1)))
        side, heat, points = landmarks.SIDE, landmarks.HEAT_SIDE, landmarks.ALL_LANDMARKS
        self._landmarks = Network(
            folder / LANDMARKS,
            side,
            ((1, 5 * points), (1, 1), (1, side, side, 1), (1, heat, heat, points)),
        )
        self._anchors = make_anchors()

    @property
    def identity(self) -> str:
        """The version and the networks' digests."""
        return f"blazepose-{MEDIAPIPE.version}:{self._people.digest}:{self._landmarks.digest}"

    def detect(self, image: NDArray[np.uint8]) -> list[Pose]:
        """The people in an RGB picture (height, width, 3), in its pixels, largest first."""
        return [person.pose for person in self.find_people(image)]

    def find_people(self, image: NDArray[np.uint8]) -> list[Found]:
        """The people in a picture, as `detect`, with their masks."""
        return self.find_in_regions(image, self.find_regions(image))

    def find_regions(self, image: NDArray[np.uint8]) -> list[Region]:
        """Where people may be, by falling score."""
        picture, scale, corner = letterbox(image)
        raw, logits = self._people.run(picture)
        people = decode_people(raw, logits[:, 0], self._anchors, MOST_PEOPLE)
        return [
            Region.around(*(points[:2] * scale + corner))
            for _, points in people
            if np.hypot(*(points[1] - points[0])) >= 1
        ]

    def find_in_regions(self, image: NDArray[np.uint8], regions: Sequence[Region]) -> list[Found]:
        """The different people in regions of a picture, largest first."""
        height, width = image.shape[:2]
        people: list[Found] = []
        for region in regions:
            crop = np.asarray(region.crop(image, landmarks.SIDE), np.float32) / np.float32(255)
            raw, presence, mask, heat = self._landmarks.run(crop)
            if presence[0] < PRESENCE:
                continue
            points = raw.reshape(landmarks.ALL_LANDMARKS, 5)
            person = read_person(
                points, float(presence[0]), mask[..., 0], heat, region, width, height
            )
            if person.pose.visible().any() and not any(_are_same(person, p) for p in people):
                people.append(person)
        return sorted(people, key=lambda person: person_size(person.pose), reverse=True)


def _are_same(person: Found, other: Found) -> bool:
    """Whether two regions led to one person."""
    both = person.pose.visible() & other.pose.visible()
    if not both.any():
        return False
    away = np.hypot(*(person.pose.xy[both] - other.pose.xy[both]).T).mean()
    return bool(away < SAME_PERSON * max(person_size(person.pose), person_size(other.pose)))
