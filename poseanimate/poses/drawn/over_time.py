"""Misread joints over time: what is unsure and jumps away from its neighbours for a moment is dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from poseanimate.poses.measures import box_diagonal
from poseanimate.poses.skeleton import Pose

SURE = 0.75
"""Joints with this confidence stay: their dot was seen."""

_JUMP = 0.1  # of the figure's size
_REACH = 2  # frames on either side


def drop_outliers(poses: Sequence[Pose]) -> tuple[Pose, ...]:
    """The poses without joints that are unsure and far from where they are shortly before and after.

    Far means more than a tenth of the figure's size from the nearest of the neighbours within two frames on
    either side, where there are such on both sides.
    """
    bodies = np.array([pose.body for pose in poses])
    kept = bodies.copy()
    for t, pose in enumerate(poses):
        limit = _JUMP * box_diagonal(pose.xy[pose.visible()])
        for joint in np.flatnonzero((pose.confidence > 0) & (pose.confidence < SURE)):
            before = bodies[max(t - _REACH, 0) : t, joint]
            after = bodies[t + 1 : t + 1 + _REACH, joint]
            sides = [side[side[:, 2] > 0, :2] for side in (before, after)]
            if all(
                len(side) and np.hypot(*(side - pose.xy[joint]).T).min() > limit for side in sides
            ):
                kept[t, joint] = 0.0
    return tuple(
        pose if np.array_equal(body, pose.body) else replace(pose, body=body)
        for pose, body in zip(poses, kept, strict=True)
    )
