"""The paper doll's skeleton: proportions and joint angles in, 18 joints out.

Lengths are fractions of the character's height, angles are in degrees. A limb's angle is 0 when it hangs down and
grows away from the body: +90 is horizontal, 180 straight up. An elbow's or knee's angle is added to that of the
limb above it. The doll faces the viewer, so its right side is on the picture's left.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

FOOT = 0.03  # height of the ankle above the sole
YAW_DEG = 55.0  # of a fully turned head
# joint: azimuth on the head in degrees, height above the centre in radii
FACE = {0: (0, -0.10), 14: (-24, 0.12), 15: (24, 0.12), 16: (-78, 0.02), 17: (78, 0.02)}


@dataclass(frozen=True)
class Proportions:
    """Bone lengths as fractions of the character's height."""

    head: float = 0.155  # radius of the head
    neck: float = 0.145  # neck to nose
    shoulder: float = 0.088  # neck to shoulder, sideways
    torso: float = 0.245  # neck to the middle of the hips
    hip: float = 0.055  # middle of the hips to hip joint, sideways
    upper_arm: float = 0.125
    forearm: float = 0.115
    thigh: float = 0.155
    shin: float = 0.15
    limb: float = 0.036  # half-width of an arm; legs are 1.25 times as wide


@dataclass(frozen=True)
class Angles:
    """One pose of the doll, in degrees; `turn` in [-1, 1], `lift` and `travel` in fractions of its height."""

    lean: float = 0.0  # of the torso, towards the picture's right
    head: float = 0.0  # of the head relative to the torso, likewise
    right_shoulder: float = 12.0
    right_elbow: float = 6.0
    left_shoulder: float = 12.0
    left_elbow: float = 6.0
    right_hip: float = 5.0
    right_knee: float = 0.0
    left_hip: float = 5.0
    left_knee: float = 0.0
    turn: float = 0.0  # of the body about its axis: +1 faces the picture's right
    lift: float = 0.0  # of the lower foot above the ground
    travel: float = 0.0  # sideways

    def blend(self, other: Angles, weight: float) -> Angles:
        """The pose a fraction `weight` (0..1) of the way to `other`."""
        return Angles(
            **{
                f.name: (1 - weight) * getattr(self, f.name) + weight * getattr(other, f.name)
                for f in fields(self)
            }
        )

    def mirrored(self) -> Angles:
        """The mirror image of the pose."""
        values = vars(self)
        swapped = {
            name: values[name.replace("right", "x").replace("left", "right").replace("x", "left")]
            for name in values
        }
        odd = ("lean", "head", "turn", "travel")
        return Angles(**{n: -v if n in odd else v for n, v in swapped.items()})


def direction(angle_deg: float) -> FloatArray:
    """Unit vector of a limb: down at 0, to the picture's right at +90 (y grows downwards)."""
    angle_rad = np.deg2rad(angle_deg)
    return np.array([np.sin(angle_rad), np.cos(angle_rad)])


def joints(body: Proportions, angles: Angles) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Forward kinematics of the doll.

    Returns:
        The 18 OpenPose joints (18, 2) in heights, x to the right and y downwards, with the ground at y = 0 and
        the hips at rest at x = 0; and which of them are visible (18,): a turned face hides its far ear, and
        turned further its far eye.
    """
    xy = np.zeros((18, 2))
    seen = np.ones(18, dtype=bool)
    lean_rad = np.deg2rad(angles.lean)
    across = np.array([np.cos(lean_rad), np.sin(lean_rad)])
    down = np.array([-across[1], across[0]])
    narrow = 1.0 - 0.45 * abs(angles.turn)
    xy[1] = -down * body.torso
    for side, shoulder, upper, lower in (
        (-1, 2, angles.right_shoulder, angles.right_elbow),
        (1, 5, angles.left_shoulder, angles.left_elbow),
    ):
        xy[shoulder] = xy[1] + side * narrow * body.shoulder * across + 0.02 * down
        upper_arm = direction(side * upper - angles.lean)
        forearm = direction(side * (upper + lower) - angles.lean)
        xy[shoulder + 1] = xy[shoulder] + body.upper_arm * upper_arm
        xy[shoulder + 2] = xy[shoulder + 1] + body.forearm * forearm
    for side, hip, upper, lower in (
        (-1, 8, angles.right_hip, angles.right_knee),
        (1, 11, angles.left_hip, angles.left_knee),
    ):
        xy[hip] = side * narrow * body.hip * across
        xy[hip + 1] = xy[hip] + body.thigh * direction(side * upper)
        xy[hip + 2] = xy[hip + 1] + body.shin * direction(side * (upper + lower))
    centre, head_across, head_up = head_frame(body, angles, xy[1])
    for joint, (azimuth_deg, height) in FACE.items():
        azimuth_rad = np.deg2rad(azimuth_deg + YAW_DEG * angles.turn)
        sideways = np.sin(azimuth_rad) * body.head
        xy[joint] = centre + sideways * head_across + height * body.head * head_up
        seen[joint] = np.cos(azimuth_rad) > -0.3
    sole = max(xy[10, 1], xy[13, 1]) + FOOT
    return xy + np.array([angles.travel, -sole - angles.lift]), seen


def head_frame(
    body: Proportions, angles: Angles, neck: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The head's centre and its unit vectors across (to the picture's right) and up."""
    tilt_rad = np.deg2rad(angles.lean + angles.head)
    across = np.array([np.cos(tilt_rad), np.sin(tilt_rad)])
    up = np.array([np.sin(tilt_rad), -np.cos(tilt_rad)])
    return neck + body.neck * up, across, up
