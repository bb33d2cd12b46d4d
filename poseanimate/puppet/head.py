"""The head as a ball: where its centre is, and how far it is tilted and turned, from the joints of the face."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from poseanimate.poses.skeleton import FloatArray, Pose

Map = NDArray[np.float32]

# joint: azimuth in degrees seen from above, to the picture's right; height in radii, upwards
BALL = {0: (0.0, -0.12), 14: (-25.0, 0.1), 15: (25.0, 0.1), 16: (-82.0, 0.0), 17: (82.0, 0.0)}
MOST_TURN = 0.45  # radii that the face moves; beyond, it would fold
HIDES_EAR_DEG = 20.0
TURNED_DEG = 12.0  # from here on a figure shows one side
GROWS = 1.08  # at most, and shrinks: a figure's head keeps its size
NECK_LENGTHS = (0.8, 1.08)  # the shortest, as it nods, and the longest, of the source's
TURNS_DEG = np.arange(-75.0, 76.0, 5.0)


@dataclass(frozen=True)
class Head:
    """centre: (2,) px. radius: px. turn_deg: to the picture's right. tilt_rad: clockwise."""

    centre: FloatArray
    radius: float
    turn_deg: float
    tilt_rad: float

    @staticmethod
    def fit(pose: Pose) -> Head | None:
        """The ball that fits the joints of the face best; None where fewer than three are seen."""
        joints = [joint for joint in BALL if pose.visible()[joint]]
        if len(joints) < 3:
            return None
        seen = pose.xy[joints] @ np.array([1, 1j])
        azimuth, height = np.array([BALL[joint] for joint in joints]).T
        model = np.sin(np.deg2rad(azimuth + TURNS_DEG[:, None])) - 1j * height
        middle, here = model.mean(axis=1), seen.mean()
        z, w = model - middle[:, None], seen - here
        factor = (z.conj() * w).sum(axis=1) / np.maximum((np.abs(z) ** 2).sum(axis=1), 1e-9)
        size = np.maximum(np.abs(factor), 1e-6)
        left = (np.abs(w - factor[:, None] * z) ** 2).sum(axis=1) / size**2 + 1e-5 * TURNS_DEG**2
        away = (17 in joints) - (16 in joints)  # an ear that is hidden is on the far side
        left += (away != 0) & (away * TURNS_DEG > -HIDES_EAR_DEG)
        best = int(np.argmin(left))
        centre = here - factor[best] * middle[best]
        return Head(
            np.array([centre.real, centre.imag]),
            float(size[best]),
            float(TURNS_DEG[best]),
            float(np.angle(factor[best])),
        )

    def on_neck(
        self, source: Head, source_neck: FloatArray, neck: FloatArray, scale: float
    ) -> Head:
        """The same head about as far from the neck as the source's, whoever's proportions the pose has."""
        away, own = self.centre - neck, float(np.linalg.norm(source.centre - source_neck)) * scale
        far = max(float(np.linalg.norm(away)), 1e-6)
        nearest, farthest = NECK_LENGTHS
        return replace(self, centre=neck + away * np.clip(far, nearest * own, farthest * own) / far)

    def back_from(self, target: Head, scale: float, grid: Map) -> Map:
        """The points of this head for points (..., 2) of a target's, the face moved as it turns."""
        x, y = np.moveaxis(grid - target.centre.astype(np.float32), -1, 0)
        size = float(np.clip(target.radius / self.radius, scale / GROWS, scale * GROWS))
        cos, sin = np.cos(-target.tilt_rad), np.sin(-target.tilt_rad)
        reach = size * self.radius
        u, v = (x * cos - y * sin) / reach, (x * sin + y * cos) / reach
        turned = np.sin(np.deg2rad(target.turn_deg)) - np.sin(np.deg2rad(self.turn_deg))
        bulge = np.clip(1 - v**2, 0, 1)
        u = u - np.clip(turned, -MOST_TURN, MOST_TURN) * np.clip(bulge - u**2, 0, 1)
        cos, sin = np.cos(self.tilt_rad), np.sin(self.tilt_rad)
        back = np.stack([u * cos - v * sin, u * sin + v * cos], -1) * self.radius + self.centre
        return np.asarray(back, np.float32)


def is_turned(pose: Pose, against: Pose) -> bool:
    """Whether a figure turns between two poses, by its head, which a flat one can't follow."""
    heads = [head for head in (Head.fit(pose), Head.fit(against)) if head is not None]
    return len(heads) == 2 and abs(heads[0].turn_deg - heads[1].turn_deg) > TURNED_DEG
