"""Figures for one generated picture against the true one.

Pictures are (H, W, 3) uint8 RGB, masks (H, W) in [0, 1].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from poseanimate.pocket.character import CLOTH, Character
from poseanimate.poses.hull import torso_length
from poseanimate.poses.skeleton import Pose

Picture = NDArray[np.uint8]
Mask = NDArray[np.float32]

PCK_RADIUS = 0.25  # in torso lengths
SHARE_OF_JOINTS = 0.8


def ssim(made: Picture, truth: Picture) -> float:
    """Structural similarity with the Gaussian window of the original paper (sigma 1.5)."""
    return float(
        structural_similarity(
            made,
            truth,
            channel_axis=2,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def joint_errors(found: Pose | None, truth: Pose) -> NDArray[np.float64]:
    """Distance of every true joint from the found one in torso lengths; infinite where it was not found."""
    wanted = truth.visible()
    if found is None:
        return np.full(int(wanted.sum()), np.inf)
    distance = np.linalg.norm(found.body[:, :2] - truth.body[:, :2], axis=1) / torso_length(truth)
    return np.where(found.visible(), distance, np.inf)[wanted]


def pose_is_right(found: Pose | None, truth: Pose) -> bool:
    """Whether 80 % of the joints lie within a quarter of a torso of the truth."""
    return bool((joint_errors(found, truth) < PCK_RADIUS).mean() >= SHARE_OF_JOINTS)


def garments_are_right(picture: Picture, character: Character, pose: Pose) -> bool:
    """Whether shirt and trousers, shorts or skirt have the colours that the caption names.

    Pixels around the true skeleton are given the name of the nearest cloth colour: the named colour must be the
    most frequent one, on a patterned shirt one of the two most frequent.
    """
    torso = [_between(pose, 1, hip, at) for hip in (8, 11) for at in (0.25, 0.4, 0.55, 0.7)]
    if character.bottom_style == "skirt":
        hips = (pose.body[8, :2] + pose.body[11, :2]) / 2
        knees = (pose.body[9, :2] + pose.body[12, :2]) / 2
        legs = [hips + (knees - hips) * at for at in (0.1, 0.25, 0.4)]
    else:
        legs = [_between(pose, hip, hip + 1, at) for hip in (8, 11) for at in (0.3, 0.45, 0.6)]
    top, bottom = _cloth_names(picture, torso), _cloth_names(picture, legs)
    allowed = 1 if character.top_pattern == "plain" else 2
    return character.top_colour in top[:allowed] and character.bottom_colour == bottom[0]


def _between(pose: Pose, start: int, end: int, at: float) -> NDArray[np.float64]:
    return pose.body[start, :2] + (pose.body[end, :2] - pose.body[start, :2]) * at


def _cloth_names(picture: Picture, places: list[NDArray[np.float64]]) -> list[str]:
    """Names of the cloth colours around the places, the most frequent first."""
    height, width = picture.shape[:2]
    names, palette = list(CLOTH), np.array(list(CLOTH.values()), np.float64)
    votes = np.zeros(len(names))
    for x, y in places:
        row, column = (int(np.clip(c, 1, side - 2)) for c, side in ((y, height), (x, width)))
        pixels = picture[row - 1 : row + 2, column - 1 : column + 2].reshape(-1, 3).astype(float)
        nearest = np.linalg.norm(pixels[:, None] - palette, axis=2).argmin(axis=1)
        votes += np.bincount(nearest, minlength=len(names))
    return [names[i] for i in votes.argsort()[::-1]]
