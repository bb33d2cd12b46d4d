"""Which pixels of the figure go with which part: a map of its areas.

A pixel goes with the part that it is nearest to, in half-widths of the part: hair with the head, a bag with an arm.
Near where two parts meet, the border follows the picture's own edges.
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
from poseanimate.puppet.moves import BEND, Bone, Joint

Picture = NDArray[np.uint8]
Plane = NDArray[np.float32]
Labels = NDArray[np.int32]

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
CHAINS = {
    f"{side} {limb}": (f"{side} {upper}", f"{side} {lower}")
    for side in ("right", "left")
    for limb, upper, lower in (("arm", "upper arm", "forearm"), ("leg", "thigh", "shin"))
}
HEAD, TORSO = "head", "torso"
TRUNK = (NECK, R_SHOULDER, L_SHOULDER, R_HIP, L_HIP)
TIPS = (R_WRIST, L_WRIST, R_ANKLE, L_ANKLE)

# in torso lengths
WIDEST = {"arm": 0.18, "leg": 0.3}  # half of a limb that is believed to lie by itself
THINNEST = {"arm": 0.1, "leg": 0.09}  # half of any
TYPICAL = {"arm": 0.12, "leg": 0.18}  # half of one that lies over the body
HEAD_RADIUS = (0.35, 0.6, 1.1)  # the smallest, the usual and the largest
EDGE = 0.05  # outside the trunk a pixel is as far from it as a limb's edge is from the limb
SHOULDER = 0.12  # the outer part of a shoulder, which is the arm's
BELOW, FLARE = 3.0, 12.0  # how far below the hips, and how wide, the trunk goes on without legs
BORDER, HAND_BORDER = 0.06, 0.1  # how far from where two parts meet an edge is looked for
ABOUT_HAND = 0.25  # how far from a hand
# in half-widths
HAND, HAND_WIDTH = 1.0, 1.7  # how far a hand or foot reaches, and how wide it is
FAR, STEEP = 2.0, 4.0  # from here on a pixel is hardly a limb's
ARM_BEFORE = 0.75  # how wide an arm is that lies before the trunk, at least
CORE = 0.25  # of a limb is surely its own
WIDEST_HAND = 0.13  # half of it, in torso lengths
PALM = 0.45  # how far a hand or foot reaches, in lengths of forearm or shin

STAY = 0.03  # of the strongest edge: weaker ones are not followed
COLOURS = np.array([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)], np.float32)
SMOOTH_PX = 5  # of the borders between areas


@dataclass(frozen=True, eq=False)
class Areas:
    """A figure's parts where they are in the picture.

    names: of the parts. nearest: (H, W), the number of each pixel's part, in the figure and outside it.
    joints: those that place each part. radii: half their widths, px; 0 for the trunk.
    trunk: (H, W), between neck, shoulders and hips; None where one of them isn't seen.
    """

    names: tuple[str, ...]
    nearest: Labels
    joints: dict[str, tuple[int, ...]]
    radii: dict[str, float]
    trunk: BoolArray | None

    def of(self, *names: str) -> BoolArray:
        """(H, W): the pixels of some parts."""
        return np.isin(self.nearest, [self.names.index(name) for name in names])


def find_areas(picture: Picture, mask: Plane, pose: Pose) -> Areas:
    """The areas of the figure with this pose in a picture (H, W, 3) with its mask (H, W) in [0, 1].

    A part whose joints aren't seen is none.
    """
    return _Finder(mask, pose).areas(picture)


class _Finder:
    def __init__(self, mask: Plane, pose: Pose) -> None:
        self.mask = mask
        self.xy, self.seen, self.unit = pose.xy, pose.visible(), max(torso_length(pose), 1.0)
        self.grid = pixel_grid(*mask.shape)
        self.inside = distance(mask > 0.5)
        self.joints: dict[str, tuple[int, ...]] = {}
        self.radii: dict[str, float] = {}
        self.away: dict[str, Plane] = {}  # in half-widths
        self.hands: BoolArray = np.zeros(mask.shape, bool)  # and what is about them

    def areas(self, picture: Picture) -> Areas:
        self._measure_limbs()
        self._measure_trunk()
        self._measure_head()
        trunk = self._trunk(0.0, goes_on=False)
        names = tuple(self.away)
        if not names:
            nobody = np.zeros(self.mask.shape, np.int32)
            return Areas((), nobody, self.joints, self.radii, trunk)
        nearest = np.argmin(list(self.away.values()), axis=0).astype(np.int32)
        sure = np.zeros(self.mask.shape, bool)
        for number, name in enumerate(names):
            if name in LIMBS:
                sure |= (self.away[name] < CORE) & (nearest == number)
        figure = self.mask > 0.5
        away = distance(~(_border(nearest) & figure)) / np.float32(self.unit)
        unknown = (away <= BORDER) | (away <= HAND_BORDER) & self.hands
        nearest = follow_edges(picture, figure, nearest, unknown & ~sure)
        self._split_limbs(names, nearest)
        return Areas(names, nearest, self.joints, self.radii, trunk)

    def _measure_limbs(self) -> None:
        for name, (start, end) in LIMBS.items():
            if not (self.seen[start] and self.seen[end]):
                continue
            a, b = self.xy[start], self.xy[end]
            kind = "arm" if name.endswith("arm") else "leg"
            along = [sample(self.inside, a + t * (b - a)) for t in np.linspace(0.1, 1, 7)]
            radius = float(np.median([r for r in along if r > 0] or [np.inf])) / self.unit
            radius = max(radius, THINNEST[kind]) if radius < WIDEST[kind] else TYPICAL[kind]
            radius = max(radius * self.unit, 1.0)
            away = to_segment(self.grid, a, b) / radius
            if end in TIPS:
                tip = b + max(HAND * radius, PALM * float(np.linalg.norm(b - a))) * unit(b - a)
                wide, beside = HAND_WIDTH * radius, to_segment(self.grid, b, tip)
                if kind == "arm":
                    wide = max(min(wide, WIDEST_HAND * self.unit), radius)
                    self.hands |= beside < ABOUT_HAND * self.unit
                away = np.minimum(away, beside / wide)
            self.joints[name], self.radii[name] = (start, end), radius
            self.away[name] = away + STEEP * np.maximum(away - FAR, 0)

    def _split_limbs(self, names: tuple[str, ...], nearest: Labels) -> None:
        """Parts limbs at their joints as they bend, and from the trunk where they come off it."""
        number = {name: index for index, name in enumerate(names)}
        for upper, lower in CHAINS.values():
            if upper in number and lower in number:
                area = (nearest == number[upper]) | (nearest == number[lower])
                (start, joint), end = self.joints[upper], self.joints[lower][1]
                bone = self.xy[joint], self.xy[end]
                radius = self.radii[lower]
                beyond = Joint(Bone(bone, bone), bone[0] - self.xy[start], radius)
                after = beyond.share(self.grid) > 0.5
                nearest[area & after], nearest[area & ~after] = number[lower], number[upper]
            if upper in number and TORSO in number:
                start, end = self.joints[upper]
                before = trunk_direction(self.xy, self.seen, start)
                if before is not None:
                    bone = self.xy[start], self.xy[end]
                    comes_off = Joint(Bone(bone, bone), before, BEND * self.radii[upper])
                    kept = np.maximum(comes_off.share(self.grid), comes_off.near(self.grid)) > 0
                    nearest[(nearest == number[upper]) & ~kept] = number[TORSO]

    def _measure_trunk(self) -> None:
        self.joints[TORSO] = tuple(joint for joint in TRUNK if self.seen[joint])
        self.radii[TORSO] = 0.0
        body = self._trunk(SHOULDER * self.unit, goes_on=not self.seen[[R_KNEE, L_KNEE]].any())
        if body is not None:
            outside = distance(~body) - distance(body)
            away = 1 + outside / np.float32(EDGE * self.unit)
            self.away[TORSO] = np.maximum(away, ARM_BEFORE)
            for name in LIMBS.keys() & self.away.keys():
                if not name.endswith("arm"):
                    self.away[name] = np.where(body, np.float32(1), self.away[name])
        elif len(self.joints[TORSO]) >= 2:
            ends = self.xy[list(self.joints[TORSO])]
            half = np.float32(max(np.ptp(ends[:, 0]) / 2, self.unit / 4))
            self.away[TORSO] = to_segment(self.grid, ends[0], ends[1:].mean(axis=0)) / half

    def _measure_head(self) -> None:
        face = [joint for joint in BALL if self.seen[joint]]
        if not face:
            return
        centre = self.xy[face].mean(axis=0)
        least, usual, most = (factor * self.unit for factor in HEAD_RADIUS)
        radius = sample(self.inside, centre) or usual
        radius = min(max(radius, least), most)
        away = to_segment(self.grid, centre, centre) / np.float32(radius)
        if self.seen[NECK]:  # what lies below the neck is not the head's
            down = unit(self.xy[NECK] - centre).astype(np.float32)
            below = (self.grid - self.xy[NECK].astype(np.float32)) @ down
            away = away + np.maximum(below, 0) / np.float32(EDGE * self.unit)
        self.joints[HEAD] = (*((NECK,) if self.seen[NECK] else ()), *face)
        self.radii[HEAD], self.away[HEAD] = radius, away

    def _trunk(self, inwards_px: float, goes_on: bool) -> BoolArray | None:
        """(H, W): between neck, hips and, so far within their joints, the shoulders; None where one isn't seen."""
        if not self.seen[list(TRUNK)].all():
            return None
        neck, right, left, *hips = self.xy[list(TRUNK)]
        inwards = inwards_px * unit(left - right)
        corners = [neck, right + inwards, left - inwards, *hips]
        if goes_on:
            middle = np.mean(hips, axis=0)
            corners += [hip + BELOW * (middle - neck) + FLARE * (hip - middle) for hip in hips]
        body = np.zeros(self.mask.shape, np.uint8)
        limit = 4 * max(self.mask.shape)
        points = np.clip(np.round(corners), -limit, limit).astype(np.int32)
        cv2.fillConvexPoly(body, cv2.convexHull(points), 1)
        return body > 0


def _border(labels: Labels) -> BoolArray:
    """(H, W): where areas meet."""
    values, square = labels.astype(np.float32), np.ones((3, 3), np.uint8)
    return np.asarray(cv2.dilate(values, square) > cv2.erode(values, square))


def follow_edges(
    picture: Picture, figure: BoolArray, nearest: Labels, unknown: BoolArray
) -> Labels:
    """The same areas, but the picture's edges part them where they are unknown: Meyer's watershed (1992)."""
    outside = int(nearest.max()) + 2
    markers = np.where(unknown, 0, nearest + 1)
    markers[~figure] = outside
    smooth = cv2.bilateralFilter(picture, 5, 30, 3).astype(np.float32)
    # where there is no edge to follow, the border stays: it is one itself
    coloured = smooth * (1 - STAY) + 255 * STAY * COLOURS[nearest % len(COLOURS)]
    found = cv2.watershed(coloured.astype(np.uint8), markers.astype(np.int32)) - 1
    kept = (found >= 0) & (found < outside - 1)
    found = np.where(kept, found, nearest).astype(np.uint8)
    found = cv2.medianBlur(found, SMOOTH_PX)
    return np.where(figure, found, nearest).astype(np.int32)


def trunk_direction(xy: FloatArray, seen: BoolArray, joint: int) -> FloatArray | None:
    """The direction (2,) in which the trunk comes to a shoulder or hip; None of others, and where it isn't seen."""
    if not (seen[NECK] and seen[joint]):
        return None
    if joint in (R_SHOULDER, L_SHOULDER):
        return np.asarray(xy[joint] - xy[NECK])
    hips = [hip for hip in (R_HIP, L_HIP) if seen[hip]]
    return np.asarray(xy[hips].mean(axis=0) - xy[NECK]) if joint in hips else None


def pixel_grid(height: int, width: int) -> Plane:
    """(height, width, 2): x and y of each pixel."""
    columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    return np.asarray(np.stack(np.meshgrid(columns, rows), -1))


def to_segment(points: Plane, start: FloatArray, end: FloatArray) -> Plane:
    """The distances of points (..., 2) from a segment, which may be a point."""
    bone = (end - start).astype(np.float32)
    length = float(bone @ bone)
    offset = points - start.astype(np.float32)
    if length > 0:
        offset = offset - np.clip((offset @ bone) / np.float32(length), 0, 1)[..., None] * bone
    return np.asarray(np.hypot(offset[..., 0], offset[..., 1]), np.float32)


def distance(inside: BoolArray) -> Plane:
    """(H, W): how far each pixel that is inside is from one that isn't; the picture's edge is none."""
    if inside.all():
        return np.full(inside.shape, float(max(inside.shape)), np.float32)
    return np.asarray(cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5), np.float32)


def sample(plane: Plane, point: FloatArray) -> float:
    """What a plane (H, W) has nearest to a point; 0 outside it."""
    height, width = plane.shape
    x, y = (round(float(value)) for value in point)
    return float(plane[y, x]) if 0 <= x < width and 0 <= y < height else 0.0


def unit(bone: FloatArray) -> FloatArray:
    """A vector of length 1."""
    return np.asarray(bone / max(float(np.linalg.norm(bone)), 1e-6))
