"""Distances of detected joints from the true ones, in torso lengths."""

from __future__ import annotations

import numpy as np

from poseanimate.poses.measures import torso_length
from poseanimate.poses.skeleton import FloatArray, Pose

PCK_RADIUS = 0.25
"""A joint within this distance of the truth counts as found (percentage of correct keypoints)."""

MISSED_ERROR = 1.0
"""The error of a missed joint in the mean, and the maximum for any joint."""


def joint_errors(found: Pose | None, truth: Pose) -> FloatArray:
    """(visible joints of the truth,): the distance of each from the found one; infinite if not found."""
    wanted = truth.visible()
    if found is None:
        return np.full(int(wanted.sum()), np.inf)
    distance = np.linalg.norm(found.body[:, :2] - truth.body[:, :2], axis=1) / torso_length(truth)
    return np.where(found.visible(), distance, np.inf)[wanted]


def mean_joint_error(errors: FloatArray) -> float:
    """The mean of `joint_errors`, each capped at `MISSED_ERROR`."""
    return float(np.minimum(errors, MISSED_ERROR).mean())
