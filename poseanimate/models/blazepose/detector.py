"""BlazePose as a pose detector: regions of people, then the landmarks in each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from poseanimate.models.blazepose import boxes, landmarks
from poseanimate.models.blazepose.boxes import Region, decode_people, letterbox, make_anchors
from poseanimate.models.blazepose.files import LANDMARKS, MEDIAPIPE, PEOPLE
from poseanimate.models.blazepose.landmarks import Look
from poseanimate.models.blazepose.networks import Network
from poseanimate.models.blazepose.plausibility import is_person
from poseanimate.poses.measures import person_size
from poseanimate.poses.skeleton import Pose

MOST_PEOPLE = 6
SAME_PERSON = 0.25  # mean distance of two people's joints, in sizes of the larger
SCORE, TURNED_SCORE = 0.3, 0.5
LOST = 0.5  # presence below which a person who is followed is looked for again
NEW_PEOPLE_EVERY = 12  # frames


@dataclass(frozen=True, eq=False)
class Found:
    """A person: the pose in pixels of the picture, the region, and what was seen in it."""

    pose: Pose
    region: Region
    look: Look


class BlazePose:
    """Finds people: photographed and painted, whole and half, upright and turned.

    Args:
        folder: holds the networks, see `files`.

    Raises:
        ModelsError: ai-edge-litert isn't installed, or a network is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._anchors = make_anchors()
        count = len(self._anchors)
        self._people = Network(folder / PEOPLE, boxes.SIDE, ((1, count, 12), (1, count, 1)))
        side, heat, points = landmarks.SIDE, landmarks.HEAT_SIDE, landmarks.ALL_LANDMARKS
        self._landmarks = Network(
            folder / LANDMARKS,
            side,
            ((1, 5 * points), (1, 1), (1, side, side, 1), (1, heat, heat, points)),
        )

    @property
    def identity(self) -> str:
        """The version and the networks' digests; the number grows with the code around them."""
        return f"blazepose-{MEDIAPIPE.version}-1:{self._people.digest}:{self._landmarks.digest}"

    def detect(self, image: NDArray[np.uint8]) -> list[Pose]:
        """The people in an RGB picture (height, width, 3), in its pixels, largest first."""
        return [person.pose for person in self.find_people(image)]

    def start_tracking(self) -> Callable[[NDArray[np.uint8]], list[Pose]]:
        """A function like `detect` for the frames of one video, in their order: several times as fast."""
        return Tracker(self).detect

    def find_people(self, image: NDArray[np.uint8]) -> list[Found]:
        """The people in a picture, as `detect`. Where nobody stands upright, also who lies or is upside down."""
        people = self.find_in_regions(image, self.find_regions(image))
        if people:
            return people
        turned = [region for turns in (1, 3, 2) for region in self.find_regions(image, turns)]
        return self.find_in_regions(image, turned)

    def find_regions(self, image: NDArray[np.uint8], turns: int = 0) -> list[Region]:
        """Where people may be, by falling score.

        Args:
            turns: by how many quarters the picture is turned first, against the clock.
        """
        height, width = image.shape[:2]
        picture, scale, corner = letterbox(np.ascontiguousarray(np.rot90(image, turns)))
        raw, logits = self._people.run(picture)
        score = TURNED_SCORE if turns else SCORE
        people = decode_people(raw, logits[:, 0], self._anchors, score, MOST_PEOPLE)
        regions = []
        for _, points in people:
            xy = points[:2] * scale + corner
            for done in range(turns, 0, -1):  # turned back, a quarter at a time
                turned_height = width if done % 2 else height
                xy = np.stack([turned_height - xy[:, 1], xy[:, 0]], axis=1)
            if np.hypot(*(xy[1] - xy[0])) >= 1:
                regions.append(Region.around(xy[0], xy[1]))
        return regions

    def find_in_regions(self, image: NDArray[np.uint8], regions: Iterable[Region]) -> list[Found]:
        """The different people in regions of a picture, largest first: those whom a second look confirms."""
        people: list[Found] = []
        for first in regions:
            region = self.look(image, first).following(first)
            if not 1 <= region.side <= 10 * max(image.shape):
                continue
            look, mirrored = self.look(image, region), self.look(image, region, mirror=True)
            if is_person(look, mirrored):
                _add(people, _make_person(look.averaged(mirrored), region, image))
        return sorted(people, key=lambda person: person_size(person.pose), reverse=True)

    def follow(self, image: NDArray[np.uint8], regions: Iterable[Region]) -> list[Found]:
        """The people who are still in regions, largest first."""
        people: list[Found] = []
        for region in regions:
            look = self.look(image, region)
            if look.presence >= LOST and 1 <= region.side <= 10 * max(image.shape):
                _add(people, _make_person(look, region, image))
        return sorted(people, key=lambda person: person_size(person.pose), reverse=True)

    def look(self, image: NDArray[np.uint8], region: Region, mirror: bool = False) -> Look:
        """What the network sees in a region; mirror: of its mirror image, mirrored back."""
        crop = np.asarray(region.crop(image, landmarks.SIDE), np.float32) / np.float32(255)
        crop = np.ascontiguousarray(crop[:, ::-1]) if mirror else crop
        raw, presence, mask, heat = self._landmarks.run(crop)
        points = raw.reshape(landmarks.ALL_LANDMARKS, 5)
        look = Look.read(points, float(presence[0]), mask[..., 0], heat)
        return look.mirrored() if mirror else look


class Tracker:
    """Follows the people of one video from frame to frame; looks for new ones now and then, or when all are lost."""

    def __init__(self, blazepose: BlazePose) -> None:
        self._blazepose = blazepose
        self._regions: list[Region] = []
        self._frame = 0

    def detect(self, image: NDArray[np.uint8]) -> list[Pose]:
        """The people in the next frame (height, width, 3), in its pixels, largest first."""
        people = self._blazepose.follow(image, self._regions)
        if not people or self._frame % NEW_PEOPLE_EVERY == 0:
            for person in self._blazepose.find_people(image):
                _add(people, person)
        self._frame += 1
        self._regions = [p.look.following(p.region) for p in people[:MOST_PEOPLE]]
        return [person.pose for person in people]


def _make_person(look: Look, region: Region, image: NDArray[np.uint8]) -> Found:
    height, width = image.shape[:2]
    return Found(look.build_pose(region, width, height), region, look)


def _add(people: list[Found], person: Found) -> None:
    """Adds a person who is not among them."""
    if person.pose.visible().any() and not any(_are_same(person, other) for other in people):
        people.append(person)


def _are_same(person: Found, other: Found) -> bool:
    """Whether two regions led to one person."""
    both = person.pose.visible() & other.pose.visible()
    if not both.any():
        return False
    away = np.hypot(*(person.pose.xy[both] - other.pose.xy[both]).T).mean()
    return bool(away < SAME_PERSON * max(person_size(person.pose), person_size(other.pose)))
