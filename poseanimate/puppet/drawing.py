"""A figure drawn in a pose: each of its parts placed, bent and laid over those behind it."""

from __future__ import annotations

import numpy as np

from poseanimate.poses.measures import torso_length
from poseanimate.poses.skeleton import NECK, FloatArray, Pose
from poseanimate.puppet.areas import CHAINS, HEAD, TORSO, trunk_direction
from poseanimate.puppet.canvas import Canvas
from poseanimate.puppet.head import GROWS, Head, is_turned
from poseanimate.puppet.moves import BEND, Bone, Joint, Map, are_folded, fit_affine
from poseanimate.puppet.parts import CLOTH, THROAT, Part

FINE = 48  # points of the maps along a torso, at least
COARSEST_PX = 4  # between them
HANGS = 0.3  # below the hips, in thigh lengths: from there on cloth follows the knees
STIFFNESS = {TORSO: (0.02, 0.5), CLOTH: (0.1, 0.65), HEAD: (1.0, 0.75)}  # see `fit_affine`


class Drawing:
    """A figure's parts, laid on a canvas one after the other.

    Args:
        parts, own_pose: of the figure in its picture. pose: to draw it in.
        height, width, believed: see `Canvas`. Of a body that turns limbs alone are believed.
    """

    def __init__(
        self,
        parts: dict[str, Part],
        own_pose: Pose,
        pose: Pose,
        height: int,
        width: int,
        believed: bool = False,
    ) -> None:
        self.parts, self.pose, self.seen = parts, pose, pose.visible()
        self.own_head, self.head = Head.fit(own_pose), Head.fit(pose)
        ratio = torso_length(pose) / max(torso_length(own_pose), 1e-6)
        self.scale = float(np.clip(ratio, 0.5, 2.0))
        step = round(self.scale * torso_length(own_pose) / FINE)
        self.canvas = Canvas(height, width, min(max(step, 1), COARSEST_PX), believed)
        self.body_trust = 0.0 if is_turned(pose, own_pose) else 1.0
        if self.head and self.own_head and self.seen[NECK] and own_pose.visible()[NECK]:
            necks = own_pose.xy[NECK], pose.xy[NECK]
            self.head = self.head.on_neck(self.own_head, *necks, self.scale)
        torso = parts.get(TORSO)
        self.trunk = None if torso is None else self._fit(torso)

    def add(self, name: str) -> None:
        """Lays a limb or another part over what is there, if it can be placed."""
        if name in CHAINS:
            self._add_limb([self.parts.get(bone) for bone in CHAINS[name]])
            return
        part = self.parts.get(name)
        if part is None:
            return
        if name == THROAT:
            self._add_throat(part)
        elif name == CLOTH:
            self._add_cloth(part)
        elif name == HEAD and self.own_head is not None and self.head is not None:
            away = np.linalg.norm(part.corners() - self.own_head.centre, axis=1).max()
            reach = GROWS * self.scale * float(away + self.own_head.radius)
            window = self.canvas.window(self.head.centre[None], reach)
            if window is not None:
                back = self.own_head.back_from(self.head, self.scale, window.grid)
                window.lay(part, back, trust=self.body_trust)
        elif (matrix := self._fit(part)) is not None:
            window = self.canvas.window(_transform(_inverse(matrix), part.corners()), 1.0)
            if window is not None:
                window.lay(part, _transform(matrix, window.grid), trust=self.body_trust)

    def _fit(self, part: Part) -> FloatArray | None:
        used = [i for i, joint in enumerate(part.joints) if self.seen[joint]]
        if not used:
            return None
        target = self.pose.xy[[part.joints[i] for i in used]]
        return fit_affine(target, part.source[used], *STIFFNESS[part.name])

    def _add_throat(self, part: Part) -> None:
        if self.head is None or self.own_head is None or not self.seen[NECK]:
            return
        source = part.source[0], self.own_head.centre
        target = self.pose.xy[NECK], self.head.centre
        window = self.canvas.window(np.stack(target), part.reach * self.scale)
        if window is not None:
            back = Bone(source, target).back(window.grid, self.scale)
            window.lay(part, back, trust=self.body_trust)

    def _add_cloth(self, part: Part) -> None:
        """Lays cloth that hangs from the trunk over both legs."""
        matrix = self._fit(part)
        if matrix is None:
            return
        ends = [m for m in (matrix, self.trunk) if m is not None]
        corners = [_transform(_inverse(m), part.corners()) for m in ends]
        window = self.canvas.window(np.concatenate(corners), 1.0)
        if window is None:
            return
        grid = window.grid
        back = _transform(matrix, grid)
        if self.trunk is not None and self.seen[list(part.joints)].all():
            hips, knees = self.pose.xy[list(part.joints)].reshape(2, 2, 2).mean(axis=1)
            along = (knees - hips) / max(float(np.square(knees - hips).sum()), 1e-6)
            share = ((grid - hips.astype(np.float32)) @ along.astype(np.float32)) / HANGS
            share = np.clip(share, 0, 1)[..., None]
            back = (1 - share) * _transform(self.trunk, grid) + share * back
        window.lay(part, back, trust=self.body_trust)

    def _add_limb(self, pair: list[Part | None]) -> None:
        """Lays both bones of a limb over what is there, bent at their joint and where they come off the trunk."""
        bones = [p for p in pair if p is not None and self.seen[list(p.joints)].all()]
        if not bones:
            return
        targets = [self.pose.xy[list(part.joints)] for part in bones]
        reach = self.scale * max(part.reach for part in bones)
        window = self.canvas.window(np.concatenate(targets), reach)
        if window is None:
            return
        grid = window.grid
        moved = [Bone((*part.source,), (*to,)) for part, to in zip(bones, targets, strict=True)]
        wide = [max(BEND * part.radius * self.scale, 1.0) for part in bones]
        back = moved[0].back(grid, self.scale)
        shown = [np.ones(grid.shape[:2], np.float32) for _ in bones]
        before = trunk_direction(self.pose.xy, self.seen, bones[0].joints[0])
        if self.trunk is not None and before is not None:
            (a, b, _), (c, d, _) = self.trunk
            on_trunk = _transform(self.trunk, grid)
            joint = Joint(moved[0], before, wide[0])
            share = joint.share(grid)
            back = joint.back(grid, on_trunk, float(np.arctan2(c - b, a + d)), share, self.scale)
            shown[0] = np.maximum(share, joint.near(grid))
        if len(bones) == 2:
            joint = Joint(moved[1], targets[0][1] - targets[0][0], wide[1])
            share, near = joint.share(grid), joint.near(grid)
            back = joint.back(grid, back, moved[0].turn_rad, share, self.scale)
            shown[0], shown[1] = shown[0] * np.maximum(1 - share, near), np.maximum(share, near)
        for part, amount in reversed([*zip(bones, shown, strict=True)]):
            window.lay(part, back, amount)
        if len(bones) == 2 and are_folded(joint.before, targets[1][1] - targets[1][0]):
            window.lay(bones[1], moved[1].back(grid, self.scale))


def _transform(matrix: FloatArray, grid: Map) -> Map:
    """Points (h, w, 2) by an affine map (2, 3)."""
    found = grid @ matrix[:, :2].T.astype(np.float32) + matrix[:, 2].astype(np.float32)
    return np.asarray(found, np.float32)


def _inverse(matrix: FloatArray) -> FloatArray:
    """(2, 3): the affine map back."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])
