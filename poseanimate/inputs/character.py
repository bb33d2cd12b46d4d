"""The source: one picture of a character, with its pose and its mask, found or put right by a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseanimate.errors import PictureError
from poseanimate.models.pose_detection import one_person
from poseanimate.models.segmentation import Segmenter
from poseanimate.poses.silhouette import Silhouette, nearest
from poseanimate.poses.skeleton import Pose

MIN_JOINTS = 3
COVERED = 0.5  # of the joints must lie in what the segmenter sees, or it has seen something else


@dataclass(frozen=True, eq=False)
class Character:
    """The source: picture (H, W, 3) uint8 on the clip's canvas, its pose p_s and its mask M_s (H, W) in [0, 1].

    outlined: whether the mask is the segmenter's; else it is drawn around the joints.
    """

    picture: NDArray[np.uint8]
    pose: Pose
    mask: NDArray[np.float32]
    outlined: bool = True


def found(picture: NDArray[np.uint8], people: Sequence[Pose], segmenter: Segmenter) -> Character:
    """The only person in a picture.

    Raises:
        NoCharacterError, SeveralCharactersError: the detector's people aren't exactly one.
    """
    return Character(picture, one_person(list(people), "the picture"), segmenter.segment(picture))


def placed(picture: NDArray[np.uint8], people: Sequence[Pose], segmenter: Segmenter) -> Character:
    """The first of the people whose joints somebody has put right; the mask leaves out the others.

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
    mask = segmenter.segment(picture) * nearest(pose, others, width, height)
    x, y = pose.xy[seen].round().astype(int).T
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    if (mask[y[inside], x[inside]] > 0.5).sum() < COVERED * seen.sum():
        return Character(
            picture, pose, Silhouette.usual(pose).draw(pose, width, height), outlined=False
        )
    return Character(picture, pose, mask.astype(np.float32))
