"""The puppet: parts of a figure, warped to a pose and laid over each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import cv2
import numpy as np
from numpy.typing import NDArray

from poseanimate.poses.skeleton import (
    L_SHOULDER,
    L_WRIST,
    R_SHOULDER,
    R_WRIST,
    Pose,
)
from poseanimate.puppet import parts as cutting
from poseanimate.puppet import plate
from poseanimate.puppet.areas import HEAD, TORSO, Picture
from poseanimate.puppet.canvas import Canvas
from poseanimate.puppet.drawing import Drawing
from poseanimate.puppet.head import TURNED_DEG
from poseanimate.puppet.parts import CLOTH, THROAT

PUPPET_VERSION = 4  # part of cache keys: increase when drafts change


class Puppet:
    """A figure cut out of a picture.

    Args:
        picture: (H, W, 3) uint8. mask: (H, W) in [0, 1]. pose: the figure's joints in pixels.
        former: a puppet of the same picture; where its mask is the same, its plate is kept.
    """

    def __init__(
        self,
        picture: NDArray[np.uint8],
        mask: NDArray[np.float32],
        pose: Pose,
        former: Puppet | None = None,
    ) -> None:
        self.picture, self.mask, self.pose = picture, mask, pose
        self.parts = cutting.cut(picture, mask, pose)
        same = former is not None and np.array_equal(former.mask, mask)
        self.plate: NDArray[np.uint8] = (
            former.plate if former and same else plate.fill(picture, mask)
        )

    def frames(self, poses: Iterable[Pose]) -> Iterator[NDArray[np.uint8]]:
        """The picture itself, and then the figure in each pose but the first, which is its own."""
        yield self.picture
        for pose in islice(poses, 1, None):
            yield self.frame(pose)

    def cut_outs(self, poses: Iterable[Pose]) -> Iterator[Picture]:
        """As `frames`, but the figure alone: (H, W, 4) uint8, RGB not multiplied by alpha, and alpha."""
        yield np.dstack([self.picture, np.rint(255 * self.mask).astype(np.uint8)])
        for pose in islice(poses, 1, None):
            yield _straight(self.draw(pose))

    def draw(self, pose: Pose) -> Picture:
        """The figure in a pose: (H, W, 4) uint8, RGB multiplied by alpha, and alpha."""
        return np.asarray(self._drawn(pose).pixels.round().clip(0, 255), np.uint8)

    def silhouette(self, pose: Pose) -> NDArray[np.float32]:
        """Where the figure is in a pose, (H, W) in [0, 1]."""
        return np.asarray(self.draw(pose)[..., 3] / np.float32(255))

    def belief(self, pose: Pose) -> NDArray[np.float32]:
        """How far a frame is believed, (3, H, W) in [0, 1], together at most 1.

        What of the figure is, limbs and a body that doesn't turn; what isn't, for a flat figure can't; and the ground
        that the figure has left.
        """
        alpha, believed = np.moveaxis(self._drawn(pose, believed=True).pixels[..., 3:] / 255, -1, 0)
        planes = [believed, alpha - believed, self.mask * (1 - alpha)]
        return np.asarray(np.stack(planes).clip(0, 1))

    def frame(self, pose: Pose) -> Picture:
        """The figure in a pose before the background, (H, W, 3)."""
        return self._drawn(pose).lay_before(self.plate)

    def _drawn(self, pose: Pose, believed: bool = False) -> Canvas:
        height, width = self.plate.shape[:2]
        drawing = Drawing(self.parts, self.pose, pose, height, width, believed)
        for name in order_parts(pose, 0.0 if drawing.head is None else drawing.head.turn_deg):
            drawing.add(name)
        return drawing.canvas


def order_parts(pose: Pose, turn_deg: float) -> list[str]:
    """Names of limbs and parts from back to front, of a figure that faces the picture's right (positive) or left."""
    seen, xy = pose.visible(), pose.xy
    far, near = ("left", "right") if turn_deg > 0 else ("right", "left")
    turned = abs(turn_deg) > TURNED_DEG
    raised = {
        side: bool(seen[wrist] and seen[shoulder] and xy[wrist, 1] < xy[shoulder, 1])
        for side, shoulder, wrist in (("right", R_SHOULDER, R_WRIST), ("left", L_SHOULDER, L_WRIST))
    }
    behind = [far] if turned else []
    before = [near] if turned else [far, near]
    low = [side for side in before if not raised[side]]
    high = [side for side in before if raised[side]]

    def arms(sides: list[str]) -> list[str]:
        return [f"{side} arm" for side in sides]

    legs = [f"{side} leg" for side in (far, near)]
    return [*arms(behind), *legs, CLOTH, TORSO, THROAT, *arms(low), HEAD, *arms(high)]


def _straight(figure: Picture) -> Picture:
    """RGB divided by alpha, and carried on beyond the edge, where encoders mix colours of neighbours."""
    wide = cv2.blur(figure.astype(np.float32), (5, 5))
    own = np.where(figure[..., 3:] > 0, figure.astype(np.float32), wide)
    colours = own[..., :3] * (255 / np.maximum(own[..., 3:], 1e-3))
    return np.dstack([colours.round().clip(0, 255).astype(np.uint8), figure[..., 3]])
