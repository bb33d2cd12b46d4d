"""People of one picture of drawn skeletons."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from poseanimate.poses.drawn.hands import read_hands
from poseanimate.poses.drawn.heads import uncover_head
from poseanimate.poses.drawn.marks import Pieces, dot_radius, find_candidates, find_pieces
from poseanimate.poses.drawn.palette import label_colours
from poseanimate.poses.drawn.people import Figure, assemble
from poseanimate.poses.skeleton import ByteArray, Pose

_MIN_RADIUS_PX = 3.0
_MAX_RADIUS = 0.03  # of the short side; OpenPose's dots take 0.008 of 512 px
_MAX_FACTOR = 3
_MAX_SIDE_PX = 1024  # of an enlarged picture


def read_figures(picture: ByteArray) -> list[Figure]:
    """The skeletons drawn in a picture (H, W, 3) uint8 RGB, in its pixels, largest first; none in other pictures."""
    enlarged = picture
    labels, pieces, radius = _marks(picture)
    factor = min(
        _MAX_FACTOR,
        _MAX_SIDE_PX // max(picture.shape[:2]),
        int(np.ceil(_MIN_RADIUS_PX / radius)) if radius else 1,
    )
    if factor > 1:  # joints of a few pixels are blurred into their limbs
        size = picture.shape[1] * factor, picture.shape[0] * factor
        enlarged = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), np.uint8)
        labels, pieces, radius = _marks(enlarged)
    else:
        factor = 1
    if not 0 < radius <= _MAX_RADIUS * min(labels.shape):
        return []
    figures = assemble(labels, find_candidates(labels, pieces, radius), radius)
    people = []
    for figure in figures:
        body = uncover_head(labels, figure.body, radius)
        left, right = read_hands(enlarged, body, radius)
        person = replace(figure, body=body, left_hand=left, right_hand=right)
        people.append(person.in_picture(factor))
    return people


def _marks(picture: ByteArray) -> tuple[ByteArray, Pieces, float]:
    labels = label_colours(picture)
    pieces = find_pieces(labels)
    return labels, pieces, dot_radius(pieces)


class DrawnSkeletons:
    """Reads drawn skeletons where others look for people: a `PoseDetector` for such pictures."""

    identity = "drawn skeletons"

    def detect(self, image: ByteArray) -> list[Pose]:
        """The people drawn in an RGB picture (height, width, 3), in its pixels, largest first."""
        return [
            Pose(figure.body, figure.left_hand, figure.right_hand) for figure in read_figures(image)
        ]
