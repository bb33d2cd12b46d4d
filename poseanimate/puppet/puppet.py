"""The puppet: parts of a figure, warped to a pose and laid over each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import cv2
import numpy as np
from numpy.typing import NDArray

from poseanimate.poses.measures import torso_length
from poseanimate.poses.skeleton import L_SHOULDER, L_WRIST, R_SHOULDER, R_WRIST, FloatArray, Pose
from poseanimate.puppet import parts as cutting
from poseanimate.puppet import plate
from poseanimate.puppet.head import Head
from poseanimate.puppet.moves import Map, along_bone, fit_affine
from poseanimate.puppet.parts import CLOTH, HEAD, LIMBS, THROAT, TORSO, Part, Picture

PUPPET_VERSION = 1  # part of cache keys: increase when drafts change

TURNED_DEG = 12.0
STIFFNESS = {TORSO: (0.02, 0.5), CLOTH: (0.02, 0.4), HEAD: (1.0, 0.75)}  # see `fit_affine`


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
        self.head = Head.fit(pose)
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
        canvas = np.zeros((*self.plate.shape[:2], 4), np.float32)
        self._draw_on(canvas, pose)
        return np.asarray(canvas.round().clip(0, 255), np.uint8)

    def silhouette(self, pose: Pose) -> NDArray[np.float32]:
        """Where the figure is in a pose, (H, W) in [0, 1]."""
        return np.asarray(self.draw(pose)[..., 3] / np.float32(255))

    def trusted(self, pose: Pose) -> NDArray[np.float32]:
        """Where a frame is believed, (H, W) in [0, 1]: limbs, the plate where the figure was, and the body if it
        doesn't turn, which a flat figure can't.
        """
        canvas = np.zeros((*self.plate.shape[:2], 5), np.float32)
        canvas[..., 4] = 255 * self.mask
        self._draw_on(canvas, pose)
        return np.asarray((canvas[..., 4] / 255).clip(0, 1))

    def frame(self, pose: Pose) -> NDArray[np.uint8]:
        """The figure in a pose before the background, (H, W, 3)."""
        figure = self.draw(pose).astype(np.float32)
        behind = self.plate * (1 - figure[..., 3:] / 255)
        return np.asarray((figure[..., :3] + behind).round().clip(0, 255), np.uint8)

    def _draw_on(self, canvas: NDArray[np.float32], pose: Pose) -> None:
        """Draws the figure on a canvas (H, W, 4), or (H, W, 5), whose last channel takes what is believed."""
        scale, head = self._scale(pose), Head.fit(pose)
        turned = head and self.head and abs(head.turn_deg - self.head.turn_deg) > TURNED_DEG
        for name in order_parts(pose, 0.0 if head is None else head.turn_deg):
            part = self.parts.get(name)
            if part is not None:
                trust = 0.0 if turned and name not in LIMBS else 1.0
                self._draw_part(canvas, part, pose, head, scale, trust)

    def _scale(self, pose: Pose) -> float:
        ratio = torso_length(pose) / max(torso_length(self.pose), 1e-6)
        return float(np.clip(ratio, 0.5, 2.0))

    def _draw_part(
        self,
        canvas: NDArray[np.float32],
        part: Part,
        pose: Pose,
        head: Head | None,
        scale: float,
        trust: float,
    ) -> None:
        seen = pose.visible()
        used = [joint for joint in part.joints if seen[joint]]
        height, width = canvas.shape[:2]
        if part.name in LIMBS or part.name == THROAT:
            source, target = self.pose.xy[list(part.joints)], pose.xy[list(part.joints)]
            if part.name == THROAT:
                if head is None or self.head is None or not used:
                    return
                source, target = (
                    np.stack([*source, self.head.centre]),
                    np.stack([*target, head.centre]),
                )
            elif len(used) < len(part.joints):
                return
            _draw_bone(canvas, part, source, target, scale, trust)
        elif part.name == HEAD and self.head is not None and head is not None:
            back = self.head.back_from(head, scale, width, height)
            _lay_over(canvas, _look_up(part, back), trust)
        elif used:
            corner = np.array([part.left, part.top])
            source = self.pose.xy[used] - corner
            matrix = fit_affine(pose.xy[used], source, *STIFFNESS[part.name])
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            warped = cv2.warpAffine(part.layer, matrix, (width, height), flags=flags)
            _lay_over(canvas, np.asarray(warped, np.uint8), trust)


def _draw_bone(
    canvas: NDArray[np.float32],
    part: Part,
    source: FloatArray,
    target: FloatArray,
    scale: float,
    trust: float,
) -> None:
    height, width = canvas.shape[:2]
    reach = part.reach * scale
    left, top = np.floor(target.min(axis=0) - reach).astype(int)
    right, bottom = np.ceil(target.max(axis=0) + reach).astype(int)
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if left >= right or top >= bottom:
        return
    columns, rows = (np.arange(*ends, dtype=np.float32) for ends in ((left, right), (top, bottom)))
    grid = np.stack(np.meshgrid(columns, rows), -1)
    back = along_bone(grid, (source[0], source[1]), (target[0], target[1]), scale)
    warped = _look_up(part, back)
    _lay_over(canvas[top:bottom, left:right], warped, trust)


def order_parts(pose: Pose, turn_deg: float) -> list[str]:
    """The parts' names from back to front, of a figure that faces the picture's right (positive) or left."""
    seen, xy = pose.visible(), pose.xy
    far, near = ("left", "right") if turn_deg > 0 else ("right", "left")
    turned = abs(turn_deg) > TURNED_DEG
    arms = [near] if turned else [far, near]
    raised = {
        side: bool(seen[wrist] and seen[shoulder] and xy[wrist, 1] < xy[shoulder, 1])
        for side, shoulder, wrist in (("right", R_SHOULDER, R_WRIST), ("left", L_SHOULDER, L_WRIST))
    }
    behind = [far] if turned else []
    low = [side for side in arms if not raised[side]]
    high = [side for side in arms if raised[side]]

    def arm(sides: list[str]) -> list[str]:
        return [f"{side} {bone}" for side in sides for bone in ("forearm", "upper arm")]

    legs = [f"{side} {bone}" for side in (far, near) for bone in ("shin", "thigh")]
    return [*arm(behind), *legs, CLOTH, TORSO, THROAT, *arm(low), HEAD, *arm(high)]


def _straight(figure: Picture) -> Picture:
    """RGB divided by alpha, and carried on beyond the edge, where encoders mix colours of neighbours."""
    wide = cv2.blur(figure.astype(np.float32), (5, 5))
    own = np.where(figure[..., 3:] > 0, figure.astype(np.float32), wide)
    colours = own[..., :3] * (255 / np.maximum(own[..., 3:], 1e-3))
    return np.dstack([colours.round().clip(0, 255).astype(np.uint8), figure[..., 3]])


def _look_up(part: Part, back: Map) -> Picture:
    """The part's pixels at points (h, w, 2) of the picture; outside it there are none."""
    x, y = back[..., 0] - np.float32(part.left), back[..., 1] - np.float32(part.top)
    return np.asarray(cv2.remap(part.layer, x, y, cv2.INTER_LINEAR), np.uint8)


def _lay_over(canvas: NDArray[np.float32], layer: Picture, trust: float) -> None:
    upper = layer.astype(np.float32)
    canvas *= 1 - upper[..., 3:] / 255
    canvas[..., :4] += upper
    canvas[..., 4:] += trust * upper[..., 3:]
