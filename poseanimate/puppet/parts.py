"""The figure cut into parts: head, torso, upper and lower arms and legs, each a layer of the picture's own pixels.

Parts overlap around their joints, and cloth that hangs over both legs is a part of its own. What arms hide of the
body is filled in; a limb that isn't seen is the mirror's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from poseanimate.poses.measures import torso_length
from poseanimate.poses.skeleton import (
    L_ANKLE,
    L_ELBOW,
    L_HIP,
    L_KNEE,
    L_WRIST,
    MIRRORED,
    NECK,
    R_ANKLE,
    R_ELBOW,
    R_HIP,
    R_KNEE,
    R_WRIST,
    BoolArray,
    FloatArray,
    Pose,
)
from poseanimate.puppet.areas import (
    HEAD,
    LIMBS,
    TIPS,
    TORSO,
    TYPICAL,
    Areas,
    Picture,
    Plane,
    distance,
    find_areas,
    pixel_grid,
    sample,
    to_segment,
    unit,
)
from poseanimate.puppet.head import BALL

THROAT, CLOTH = "throat", "cloth"
BEYOND = {L_ELBOW: (L_WRIST,), R_ELBOW: (R_WRIST,), L_KNEE: (L_ANKLE,), R_KNEE: (R_ANKLE,)}
CLOTH_JOINTS = (R_HIP, L_HIP, R_KNEE, L_KNEE)

BESIDE = 0.3  # how far beside the trunk, in torso lengths, pixels of the torso say how wide it is
CROTCH = 0.3  # how far below the hips, in thigh lengths, the trunk keeps the legs together
OVERLAP = 1.15  # around a joint, in half-widths, what belongs to both bones
NECK_WIDTH = 0.5  # of the head's
SKIRT_WIDTH = 0.32  # how far cloth hangs out beside both thighs at least, in torso lengths
SPREAD = 1.25  # between the knees, in distances of the hips: there legs without a skirt show a gap
SHORTEST_SKIRT, LONGEST_SKIRT = 0.45, 1.9  # in thigh lengths
GAP = 0.85  # of the mask: a gap narrower than a pixel between the legs is no darker
SEAM = 0.02  # around what is filled in, in torso lengths, pixels may be of both
CRUMB = 0.02  # of a part: smaller pieces beside it are none of its own


@dataclass(frozen=True, eq=False)
class Part:
    """A part of the figure.

    joints: that place it. source: (n, 2), where they are in the picture, px. radius: half its width, px.
    layer: (h, w, 4) uint8, RGB multiplied by alpha, and alpha. left, top: where that lies in the picture, px.
    reach: how far its pixels lie from its bone, px.
    """

    name: str
    joints: tuple[int, ...]
    source: FloatArray
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

    def corners(self) -> Plane:
        """(4, 2): of the layer, in the picture, px."""
        height, width = self.layer.shape[:2]
        right, bottom = self.left + width, self.top + height
        return np.array(
            [(x, y) for x in (self.left, right) for y in (self.top, bottom)], np.float32
        )

    def mirrored(self, start: FloatArray | None) -> Part:
        """The limb of the other side, which begins at `start` (2,) in the picture; None: where this one does."""
        x, y = self.source[0] if start is None else start
        twice, down = round(float(self.source[0, 0] + x)), round(float(y - self.source[0, 1]))
        side, bone = self.name.split(" ", 1)
        return replace(
            self,
            name=f"{other(side)} {bone}",
            joints=tuple(MIRRORED[joint] for joint in self.joints),
            source=self.source * (-1, 1) + (twice, down),
            layer=np.ascontiguousarray(self.layer[:, ::-1]),
            left=twice - self.left - self.layer.shape[1] + 1,
            top=self.top + down,
        )


def other(side: str) -> str:
    """The other of left and right."""
    return "left" if side == "right" else "right"


def cut(picture: Picture, mask: Plane, pose: Pose) -> dict[str, Part]:
    """Cuts the figure with this pose out of a picture (H, W, 3) with its mask (H, W) in [0, 1].

    A part whose joints aren't seen, nor its mirror's, is none.
    """
    areas = find_areas(picture, mask, pose)
    return _Cut(picture, mask, pose, areas).parts() if areas.names else {}


class _Cut:
    def __init__(self, picture: Picture, mask: Plane, pose: Pose, areas: Areas) -> None:
        self.picture, self.mask, self.areas = picture, mask, areas
        self.xy, self.seen, self.unit = pose.xy, pose.visible(), max(torso_length(pose), 1.0)
        self.grid = pixel_grid(*mask.shape)
        self.arms = areas.of(*(name for name in areas.names if name.endswith("arm")))

    def parts(self) -> dict[str, Part]:
        found = {}
        for name in self.areas.names:
            own = self._without_crumbs(self.areas.of(name)).astype(np.float32)
            if name not in LIMBS:  # a pixel wider, so that nothing shines through where parts meet
                own = np.asarray(cv2.dilate(own, np.ones((3, 3), np.uint8)), np.float32)
            own = np.asarray(cv2.GaussianBlur(own, (3, 3), 0), np.float32)
            if name in LIMBS:
                own = self._overlapping(own, name)
            found[name] = self._part(name, self.areas.joints[name], own)
        found |= self._find_cloth()
        if HEAD in found and TORSO in found and self.seen[NECK]:
            around = to_segment(self.grid, self.xy[NECK], self._face())
            width = NECK_WIDTH * self.areas.radii[HEAD]
            found[THROAT] = self._part(THROAT, (NECK,), np.clip(width - around + 0.5, 0, 1))
        self._complete(found)
        return found | self._mirrors(found)

    def _find_cloth(self) -> dict[str, Part]:
        """Cloth over both legs, and the thighs, which it hides, without it; nothing where there is none."""
        legs = [n for n in self.areas.names if n == TORSO or n.endswith(("thigh", "shin"))]
        own = self.areas.of(*legs).astype(np.float32)
        length = self._skirt_length(own * self.mask)
        if length is None:
            return {}
        over = self._over_legs(length)
        found = {CLOTH: self._part(CLOTH, CLOTH_JOINTS, own * over)}
        for name in ("right thigh", "left thigh"):
            start, end = self.areas.joints[name]
            beside = (
                to_segment(self.grid, self.xy[start], self.xy[end]) - TYPICAL["leg"] * self.unit
            )
            own = self.areas.of(name) * (1 - over * np.clip(beside + 0.5, 0, 1))
            found[name] = self._part(name, (start, end), self._overlapping(own, name))
        return found

    def _face(self) -> FloatArray:
        return np.asarray(self.xy[[joint for joint in BALL if self.seen[joint]]].mean(axis=0))

    def _without_crumbs(self, area: BoolArray) -> BoolArray:
        """An area (H, W) less its small pieces within the figure."""
        inside = (area & (self.mask > 0.05)).astype(np.uint8)
        count, pieces, about, _ = cv2.connectedComponentsWithStats(inside, connectivity=8)
        small = about[:, cv2.CC_STAT_AREA] < CRUMB * inside.sum()
        return area & ~small[pieces] if count > 2 else area

    def _overlapping(self, own: Plane, name: str) -> Plane:
        """A limb's pixels, and those around the joints that it shares with another part."""
        for joint in self.areas.joints[name]:
            if joint not in TIPS:
                around = to_segment(self.grid, self.xy[joint], self.xy[joint])
                own = np.maximum(
                    own, np.clip(OVERLAP * self.areas.radii[name] - around + 0.5, 0, 1)
                )
        return own

    def _skirt_length(self, legs: Plane) -> float | None:
        """How far cloth hangs over both legs, in thigh lengths; None where it doesn't, or where the legs are closed.

        Args:
            legs: the mask of trunk and legs, without arms.
        """
        if not self.seen[list(CLOTH_JOINTS)].all():
            return None
        hips, knees = self.xy[[R_HIP, L_HIP]], self.xy[[R_KNEE, L_KNEE]]

        def is_open(length: float) -> bool:
            right, left = hips + length * (knees - hips)
            across = np.linspace(right, left, 9)
            return any(sample(legs, point) <= GAP for point in across)

        lengths = np.linspace(0.0, LONGEST_SKIRT, 39)
        length = next((length for length in lengths if is_open(length)), None)
        if length is None or length <= SHORTEST_SKIRT:
            return None
        right, left = hips + 0.6 * min(length, 1.0) * (knees - hips)
        out = SKIRT_WIDTH * self.unit * unit(left - right)
        wide = all(sample(legs, point) > 0.5 for point in (right - out, left + out))
        # between closed legs there is no gap either
        spread = np.linalg.norm(knees[1] - knees[0]) > SPREAD * np.linalg.norm(hips[1] - hips[0])
        return float(length) if wide or spread else None

    def _over_legs(self, length: float) -> Plane:
        """(H, W): 1 from a little above the hips to so many thigh lengths below them."""
        hips, knees = self.xy[[R_HIP, L_HIP]].mean(axis=0), self.xy[[R_KNEE, L_KNEE]].mean(axis=0)
        thigh = float(np.linalg.norm(knees - hips))
        t = (self.grid - hips.astype(np.float32)) @ unit(knees - hips).astype(np.float32)
        ends = np.clip(t + 0.15 * thigh + 0.5, 0, 1) * np.clip(length * thigh - t + 0.5, 0, 1)
        return np.asarray(ends, np.float32)

    def _complete(self, found: dict[str, Part]) -> None:
        """Fills in what the arms hide of torso and thighs, and lets the torso keep the crotch together."""
        body = self.areas.trunk
        if TORSO in found and body is not None:
            share = np.maximum(self._share(found[TORSO]), self._crotch() * self.mask)
            near = distance(~body) < BESIDE * self.unit
            whole = _hull(near & (share > 0.5) | body)
            found[TORSO] = self._filled_in(found[TORSO], share, whole)
        for name in ("right thigh", "left thigh"):
            if name in found:
                share = self._share(found[name])
                found[name] = self._filled_in(found[name], share, _hull(share > 0.5))

    def _mirrors(self, found: dict[str, Part]) -> dict[str, Part]:
        """The limbs of which nothing is seen, where their twins are."""
        mirrors: dict[str, Part] = {}
        for name, (start, end) in LIMBS.items():
            side, bone = name.split(" ", 1)
            twin = found.get(f"{other(side)} {bone}")
            if name in found or twin is None or self.seen[[end, *BEYOND.get(end, ())]].any():
                continue
            above = next((p for p in mirrors.values() if p.joints[1] == start), None)
            place = self.xy[start] if self.seen[start] else None
            mirrors[name] = twin.mirrored(place if above is None else above.source[1])
        return mirrors

    def _share(self, part: Part) -> Plane:
        return np.asarray(part.over(*self.mask.shape)[..., 3] / np.float32(255))

    def _filled_in(self, part: Part, share: Plane, whole: BoolArray) -> Part:
        """A part with this share of the picture's pixels, and what arms hide of `whole` in the colours around them."""
        hidden = whole & self.arms & (self.mask > 0.5)
        near = distance(~hidden) <= SEAM * self.unit  # may show both
        known = self.areas.of(part.name) & (share > 0.98) & ~near
        if not hidden.any() or not known.any():
            return self._cropped(part.name, part.joints, self.picture, share)
        left, top, width, height = cv2.boundingRect((hidden | known).astype(np.uint8))
        box = np.s_[top : top + height, left : left + width]
        missing = (~known[box]).astype(np.uint8)
        colours = cv2.inpaint(
            np.ascontiguousarray(self.picture[box]), missing, 3, cv2.INPAINT_TELEA
        )
        filled = self.picture.copy()
        filled[box] = np.where(near[box][..., None], colours, self.picture[box])
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
        source, reach = self.xy[list(joints)], 0.0
        if name in LIMBS or name == THROAT:
            ends = source[0], source[1] if name in LIMBS else self._face()
            away = to_segment(self.grid[box], *ends)[alpha[box] > 1 / 512]
            reach = float(away.max(initial=0.0)) + 1
        radius = self.areas.radii.get(name, 0.0)
        layer = np.asarray(clear, np.uint8)
        return Part(name, joints, source, radius, layer, left - 1, top - 1, reach)


def _hull(area: BoolArray) -> BoolArray:
    """(H, W): the convex hull of what is inside."""
    whole = np.zeros(area.shape, np.uint8)
    rows, columns = np.nonzero(area)
    if len(rows):
        points = np.column_stack([columns, rows]).astype(np.int32)
        cv2.fillConvexPoly(whole, cv2.convexHull(points), 1)
    return whole > 0
