"""The source: one picture of a character with its pose and its mask, detected or corrected by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseanimate.errors import NoCharacterError, PictureError, SeveralCharactersError
from poseanimate.inputs.turned import find_turn
from poseanimate.models.pose_detection import PoseDetector
from poseanimate.models.segmentation import Segmenter
from poseanimate.poses.silhouette import Silhouette, draw_nearest_region
from poseanimate.poses.skeleton import Pose

MIN_JOINTS = 3
# share of the joints that the segmenter's mask must cover; else it shows something else
COVERED = 0.5


@dataclass(frozen=True, eq=False)
class Character:
    """The source: picture (H, W, 3) uint8 on the clip's canvas, its pose p_s and its mask M_s (H, W) in [0, 1].

    outlined: whether the mask is the segmenter's; else it is drawn around the joints.
    """

    picture: NDArray[np.uint8]
    pose: Pose
    mask: NDArray[np.float32]
    outlined: bool = True


def find_character(
    picture: NDArray[np.uint8],
    people: Sequence[Pose],
    segmenter: Segmenter,
    detector: PoseDetector,
) -> Character:
    """The only person in a picture.

    Args:
        people: what the detector found.

    Raises:
        NoCharacterError: there is nobody. It says if somebody is once the picture is turned.
        SeveralCharactersError: there are several.
    """
    if not people and (turn := find_turn([picture], detector)):
        raise NoCharacterError(
            f"Nobody was found in the picture, but somebody is when it is turned by {turn} degrees clockwise.",
            "Turn the picture and save it.",
        )
    if not people:
        raise NoCharacterError(
            "Nobody was found in the picture.",
            "Choose one that shows a single character from head to hips at least, not too small.",
        )
    if len(people) > 1:
        raise SeveralCharactersError(
            f"{len(people)} people were found in the picture.", "Crop it to the right one."
        )
    return Character(picture, people[0], segmenter.segment(picture))


def place_character(
    picture: NDArray[np.uint8], people: Sequence[Pose], segmenter: Segmenter
) -> Character:
    """The first of several people, whose joints a person has corrected; the mask leaves out the others.

    Raises:
        PictureError: fewer than 3 joints are seen.
    """
    pose, *others = people
    seen = pose.visible()
    if seen.sum() < MIN_JOINTS:
        raise PictureError(
            f"The character has {seen.sum()} joints.",
            f"Put at least {MIN_JOINTS} on the picture, neck and hips among them.",
        )
    height, width = picture.shape[:2]
    mask = segmenter.segment(picture) * draw_nearest_region(pose, others, width, height)
    x, y = pose.xy[seen].round().astype(int).T
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    if (mask[y[inside], x[inside]] > 0.5).sum() < COVERED * seen.sum():
        return Character(
            picture, pose, Silhouette.typical(pose).draw(pose, width, height), outlined=False
        )
    return Character(picture, pose, mask.astype(np.float32))
