"""The figure cut into parts: head, torso, upper and lower arms and legs, each a layer of the picture's own pixels.

A pixel goes with the part that it is nearest to, in half-widths of the part: hair with the head, a bag with an arm.
Parts overlap around their joints, and cloth that hangs over both legs is a part of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from poseanimate.poses.measures import torso_length
from poseanimate.poses.skeleton import (
    L_ANKLE,
    L_ELBOW,
    L_HIP,
    L_KNEE,
    L_SHOULDER,
    L_WRIST,
    NECK,
    R_ANKLE,
    R_ELBOW,
    R_HIP,
    R_KNEE,
    R_SHOULDER,
    R_WRIST,
    BoolArray,
    FloatArray,
    Pose,
)
from poseanimate.puppet.head import BALL

Picture = NDArray[np.uint8]
Plane = NDArray[np.float32]

LIMBS: dict[str, tuple[int, int]] = {
    "right upper arm": (R_SHOULDER, R_ELBOW),
    "right forearm": (R_ELBOW, R_WRIST),
    "left upper arm": (L_SHOULDER, L_ELBOW),
    "left forearm": (L_ELBOW, L_WRIST),
    "right thigh": (R_HIP, R_KNEE),
    "right shin": (R_KNEE, R_ANKLE),
    "left thigh": (L_HIP, L_KNEE),
    "left shin": (L_KNEE, L_ANKLE),
}
HEAD, TORSO, THROAT, CLOTH = "head", "torso", "throat", "cloth"
TRUNK = (NECK, R_SHOULDER, L_SHOULDER, R_HIP, L_HIP)
CLOTH_JOINTS = (R_HIP, L_HIP, R_KNEE, L_KNEE)
TIPS = (R_WRIST, L_WRIST, R_ANKLE, L_ANKLE)

# in torso lengths
WIDEST = {"arm": 0.22, "leg": 0.3}  # half of a limb that is believed to lie by itself
TYPICAL = {"arm": 0.13, "leg": 0.18}  # half of one that lies over the body
HEAD_RADIUS = (0.35, 0.6, 1.1)  # the smallest, the usual and the largest
EDGE = 0.05  # outside the trunk a pixel is as far from it as a limb's edge is from the limb
SHOULDER = 0.12  # the outer part of a shoulder, which is the arm's
BELOW, FLARE = (
    3.0,
    4.0,
)  # how far below the hips, and how wide, the trunk goes on where no leg is seen
# in half-widths
HAND, HAND_WIDTH = 1.0, 1.7  # how far a hand or foot reaches, and how wide it is
FAR, STEEP = 2.0, 4.0  # from here on a pixel is hardly a limb's
PALM = 0.45  # how far a hand or foot reaches, in lengths of forearm or shin
BESIDE = 0.3  # how far beside the trunk, in torso lengths, pixels of the torso say how wide it is
CROTCH = 0.45  # how far below the hips, in thigh lengths, the trunk keeps the legs together
OVERLAP = 1.15  # around a joint, what belongs to both bones
NECK_WIDTH = 0.5  # of the head's
SKIRT_WIDTH = 0.32  # how far cloth hangs out beside both thighs at least, in torso lengths
SPREAD = 1.25  # between the knees, in distances of the hips: there legs without a skirt show a gap
SHORTEST_SKIRT, LONGEST_SKIRT = 0.4, 1.9  # in thigh lengths


@dataclass(frozen=True, eq=False)
class Part:
    """A part of the figure.

    joints: that place it. radius: half its width, px. reach: how far its pixels lie from its bone, px.
    layer: (h, w, 4) uint8, RGB multiplied by alpha, and alpha. left, top: where that lies in the picture, px.
    """

    name: str
    joints: tuple[int, ...]
    radius: float
    layer: Picture
    left: int = 0
    top: int = 0
    reach: float = 0.0

    def over(self, height: int, width: int) -> Picture:
        """(height, width, 4): the layer in a picture of this size."""
        framed = np.zeros((height + 2, width + 2, 4), np.uint8)  # the clear pixel may lie outside
        h, w = self.layer.shape[:2]
        framed[self.top + 1 : self.top + 1 + h, self.left + 1 : self.left + 1 + w] = self.layer
        return framed[1:-1, 1:-1]


def cut(picture: Picture, mask: Plane, pose: Pose) -> dict[str, Part]:
    """Cuts the figure with this pose out of a picture (H, W, 3) with its mask (H, W) in [0, 1].

    A part whose joints aren't seen is none.
    """
    return _Cut(picture, mask, pose).parts()


class _Cut:
    def __init__(self, picture: Picture, mask: Plane, pose: Pose) -> None:
        self.picture, self.mask = picture, mask
        self.xy, self.seen, self.unit = pose.xy, pose.visible(), max(torso_length(pose), 1.0)
        height, width = mask.shape
        columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
        self.grid: Plane = np.stack(np.meshgrid(columns, rows), -1)
        self.inside = _distance(mask > 0.5)
        self.joints: dict[str, tuple[int, ...]] = {}
        self.radii: dict[str, float] = {}
        self.away: dict[str, Plane] = {}  # in half-widths

    def parts(self) -> dict[str, Part]:
        self._measure_limbs()
        self._measure_trunk()
        self._measure_head()
        if not self.away:
            return {}
        names = list(self.away)
        nearest = np.argmin(list(self.away.values()), axis=0)
        found = {}
        for number, name in enumerate(names):
            own = (nearest == number).astype(np.float32)
            if name not in LIMBS:  # a pixel wider, so that nothing shines through where parts meet
                own = np.asarray(cv2.dilate(own, np.ones((3, 3), np.uint8)), np.float32)
            own = np.asarray(cv2.GaussianBlur(own, (3, 3), 0), np.float32)
            if name in LIMBS:
                own = self._overlapping(own, name)
            found[name] = self._part(name, self.joints[name], own)
        legs = [n for n in names if n == TORSO or n.endswith(("thigh", "shin"))]
        own = np.isin(nearest, [names.index(name) for name in legs]).astype(np.float32)
        if (length := self._skirt_length(own * self.mask)) is not None:
            found[CLOTH] = self._part(CLOTH, CLOTH_JOINTS, own * self._over_legs(length))
        if HEAD in found and TORSO in found and self.seen[NECK]:
            self.radii[THROAT] = NECK_WIDTH * self.radii[HEAD]
            around = to_segment(self.grid, self.xy[NECK], self._face())
            own = np.clip(self.radii[THROAT] - around + 0.5, 0, 1)
            found[THROAT] = self._part(THROAT, (NECK,), own)
        arms = [number for number, name in enumerate(names) if name.endswith("arm")]
        self._complete(found, np.isin(nearest, arms))
        return found

    def _measure_limbs(self) -> None:
        for name, (start, end) in LIMBS.items():
            if not (self.seen[start] and self.seen[end]):
                continue
            a, b = self.xy[start], self.xy[end]
            kind = "arm" if name.endswith("arm") else "leg"
            along = [self._sample(self.inside, a + t * (b - a)) for t in np.linspace(0.1, 1, 7)]
            radius = float(np.median([r for r in along if r > 0] or [np.inf])) / self.unit
            radius = max((radius if radius < WIDEST[kind] else TYPICAL[kind]) * self.unit, 1.0)
            away = to_segment(self.grid, a, b) / radius
            if end in TIPS:
                tip = b + max(HAND * radius, PALM * float(np.linalg.norm(b - a))) * _unit(b - a)
                away = np.minimum(away, to_segment(self.grid, b, tip) / (HAND_WIDTH * radius))
            self.joints[name], self.radii[name] = (start, end), radius
            self.away[name] = away + STEEP * np.maximum(away - FAR, 0)

    def _measure_trunk(self) -> None:
        self.joints[TORSO] = tuple(joint for joint in TRUNK if self.seen[joint])
        self.radii[TORSO] = 0.0
        body = self._trunk(SHOULDER * self.unit)
        if body is not None:
            outside = _distance(~body) - _distance(body)
            self.away[TORSO] = 1 + outside / np.float32(EDGE * self.unit)
        elif len(self.joints[TORSO]) >= 2:
            ends = self.xy[list(self.joints[TORSO])]
            half = np.float32(max(np.ptp(ends[:, 0]) / 2, self.unit / 4))
            self.away[TORSO] = to_segment(self.grid, ends[0], ends[1:].mean(axis=0)) / half

    def _measure_head(self) -> None:
        face = [joint for joint in BALL if self.seen[joint]]
        if not face:
            return
        centre = self._face()
        least, usual, most = (factor * self.unit for factor in HEAD_RADIUS)
        radius = self._sample(self.inside, centre) or usual
        radius = min(max(radius, least), most)
        away = to_segment(self.grid, centre, centre) / np.float32(radius)
        if self.seen[NECK]:  # what lies below the neck is not the head's
            down = _unit(self.xy[NECK] - centre).astype(np.float32)
            below = (self.grid - self.xy[NECK].astype(np.float32)) @ down
            away = away + np.maximum(below, 0) / np.float32(EDGE * self.unit)
        self.joints[HEAD] = (*((NECK,) if self.seen[NECK] else ()), *face)
        self.radii[HEAD], self.away[HEAD] = radius, away

    def _face(self) -> FloatArray:
        return np.asarray(self.xy[[joint for joint in BALL if self.seen[joint]]].mean(axis=0))

    def _trunk(self, inwards_px: float) -> BoolArray | None:
        """(H, W): between neck, hips and, so far within their joints, the shoulders; None where one isn't seen."""
        if not self.seen[list(TRUNK)].all():
            return None
        neck, right, left, *hips = self.xy[list(TRUNK)]
        inwards = inwards_px * _unit(left - right)
        corners = [neck, right + inwards, left - inwards, *hips]
        if not self.seen[[R_KNEE, L_KNEE]].any():
            middle = np.mean(hips, axis=0)
            corners += [hip + BELOW * (middle - neck) + FLARE * (hip - middle) for hip in hips]
        body = np.zeros(self.mask.shape, np.uint8)
        limit = 4 * max(self.mask.shape)
        points = np.clip(np.round(corners), -limit, limit).astype(np.int32)
        cv2.fillConvexPoly(body, cv2.convexHull(points), 1)
        return body > 0

    def _overlapping(self, own: Plane, name: str) -> Plane:
        """A limb's pixels, and those around the joints that it shares with another part."""
        for joint in self.joints[name]:
            if joint not in TIPS:
                around = to_segment(self.grid, self.xy[joint], self.xy[joint])
                own = np.maximum(own, np.clip(OVERLAP * self.radii[name] - around + 0.5, 0, 1))
        return own

    def _skirt_length(self, legs: Plane) -> float | None:
        """How far cloth hangs over both legs, in thigh lengths; None where it doesn't, or where the legs are closed.

        Args:
            legs: the mask of trunk and legs, without arms.
        """
        if not self.seen[list(CLOTH_JOINTS)].all():
            return None
        hips, knees = self.xy[[R_HIP, L_HIP]], self.xy[[R_KNEE, L_KNEE]]
        for length in np.linspace(0.0, LONGEST_SKIRT, 39):
            ends = hips + length * (knees - hips)
            if any(self._sample(legs, p) <= 0.5 for p in np.linspace(ends[0], ends[1], 9)):
                break
        else:
            return None
        right, left = hips + 0.6 * min(length, 1.0) * (knees - hips)
        out = SKIRT_WIDTH * self.unit * _unit(left - right)
        wide = all(self._sample(legs, point) > 0.5 for point in (right - out, left + out))
        # between closed legs there is no gap either
        spread = np.linalg.norm(knees[1] - knees[0]) > SPREAD * np.linalg.norm(hips[1] - hips[0])
        return float(length) if length > SHORTEST_SKIRT and (wide or spread) else None

    def _over_legs(self, length: float) -> Plane:
        """(H, W): 1 from a little above the hips to so many thigh lengths below them."""
        hips, knees = self.xy[[R_HIP, L_HIP]].mean(axis=0), self.xy[[R_KNEE, L_KNEE]].mean(axis=0)
        thigh = float(np.linalg.norm(knees - hips))
        t = (self.grid - hips.astype(np.float32)) @ _unit(knees - hips).astype(np.float32)
        ends = np.clip(t + 0.15 * thigh + 0.5, 0, 1) * np.clip(length * thigh - t + 0.5, 0, 1)
        return np.asarray(ends, np.float32)

    def _complete(self, found: dict[str, Part], arms: BoolArray) -> None:
        """Fills in what the arms hide of torso and thighs, and lets the torso keep the crotch together."""
        body = self._trunk(0.0)
        if TORSO in found and body is not None:
            share = np.maximum(self._share(found[TORSO]), self._crotch() * self.mask)
            near = _distance(~body) < BESIDE * self.unit
            whole = _hull(near & (share > 0.5) | body)
            found[TORSO] = self._filled_in(found[TORSO], share, whole)
        for name in ("right thigh", "left thigh"):
            if name in found:
                share = self._share(found[name])
                found[name] = self._filled_in(found[name], share, _hull(share > 0.5) & arms)

    def _share(self, part: Part) -> Plane:
        return np.asarray(part.over(*self.mask.shape)[..., 3] / np.float32(255))

    def _filled_in(self, part: Part, share: Plane, whole: BoolArray) -> Part:
        """A part with this share of the picture's pixels, and what is missing of `whole` in the colours around it."""
        hidden, known = whole & (share < 0.5) & (self.mask > 0.5), share > 0.98
        if not hidden.any() or not known.any():
            return self._cropped(part.name, part.joints, self.picture, share)
        left, top, width, height = cv2.boundingRect((hidden | known).astype(np.uint8))
        box = np.s_[top : top + height, left : left + width]
        missing = (~known[box]).astype(np.uint8)
        colours = cv2.inpaint(
            np.ascontiguousarray(self.picture[box]), missing, 3, cv2.INPAINT_TELEA
        )
        filled = self.picture.copy()
        filled[box] = np.where(hidden[box][..., None], colours, self.picture[box])
        share = np.maximum(share, hidden * self.mask)
        return self._cropped(part.name, part.joints, filled, share)

    def _crotch(self) -> Plane:
        """(H, W): 1 between both thighs, where they hang together; all 0 where a knee isn't seen."""
        found = np.zeros(self.mask.shape, np.uint8)
        if self.seen[list(CLOTH_JOINTS)].all():
            hips, knees = self.xy[[R_HIP, L_HIP]], self.xy[[R_KNEE, L_KNEE]]
            tip = hips.mean(axis=0) + CROTCH * (knees - hips).mean(axis=0)
            cv2.fillConvexPoly(found, np.round([*hips, tip]).astype(np.int32), 1)
        return np.asarray(found, np.float32)

    def _part(self, name: str, joints: tuple[int, ...], own: Plane) -> Part:
        return self._cropped(name, joints, self.picture, own * self.mask)

    def _cropped(self, name: str, joints: tuple[int, ...], picture: Picture, alpha: Plane) -> Part:
        """A part of the picture's pixels, with a clear pixel around it."""
        left, top, width, height = cv2.boundingRect((alpha > 1 / 512).astype(np.uint8))
        box = np.s_[top : top + height, left : left + width]
        layer = np.dstack([picture[box] * alpha[box][..., None], 255 * alpha[box]]).round()
        clear = cv2.copyMakeBorder(layer.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
        reach = 0.0
        if name in LIMBS or name == THROAT:
            ends = self.xy[joints[0]], self.xy[joints[1]] if name in LIMBS else self._face()
            away = to_segment(self.grid[box], *ends)[alpha[box] > 1 / 512]
            reach = float(away.max(initial=0.0)) + 1
        radius = self.radii.get(name, 0.0)
        return Part(name, joints, radius, np.asarray(clear, np.uint8), left - 1, top - 1, reach)

    def _sample(self, plane: Plane, point: FloatArray) -> float:
        height, width = plane.shape
        x, y = (round(float(value)) for value in point)
        return float(plane[y, x]) if 0 <= x < width and 0 <= y < height else 0.0


def to_segment(points: Plane, start: FloatArray, end: FloatArray) -> Plane:
    """The distances of points (..., 2) from a segment, which may be a point."""
    bone = (end - start).astype(np.float32)
    length = float(bone @ bone)
    offset = points - start.astype(np.float32)
    if length > 0:
        offset = offset - np.clip((offset @ bone) / np.float32(length), 0, 1)[..., None] * bone
    return np.asarray(np.hypot(offset[..., 0], offset[..., 1]), np.float32)


def _hull(area: BoolArray) -> BoolArray:
    """(H, W): the convex hull of what is inside."""
    whole = np.zeros(area.shape, np.uint8)
    rows, columns = np.nonzero(area)
    if len(rows):
        points = np.column_stack([columns, rows]).astype(np.int32)
        cv2.fillConvexPoly(whole, cv2.convexHull(points), 1)
    return whole > 0


def _distance(inside: BoolArray) -> Plane:
    """(H, W): how far each pixel that is inside is from one that isn't; the picture's edge is none."""
    if inside.all():
        return np.full(inside.shape, float(max(inside.shape)), np.float32)
    return np.asarray(cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5), np.float32)


def _unit(bone: FloatArray) -> FloatArray:
    return np.asarray(bone / max(float(np.linalg.norm(bone)), 1e-6))
