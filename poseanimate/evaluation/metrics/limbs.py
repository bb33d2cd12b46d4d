"""Whether a picture shows the arms where they are: hands that are there, and the colours of forearms.

A hand a few pixels off counts, one that is lost or smeared doesn't: the mean error of pixels can't tell these apart.
Pictures are (H, W, 3) uint8 RGB.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2lab

from poseanimate.media.similarity import Inside, Picture
from poseanimate.poses.measures import torso_length
from poseanimate.poses.skeleton import L_ELBOW, L_WRIST, R_ELBOW, R_WRIST, FloatArray, Pose

Plane = NDArray[np.float64]

ARMS = ((R_ELBOW, R_WRIST), (L_ELBOW, L_WRIST))
ALONG = (0.3, 0.5, 0.7)  # of a forearm
# in torso lengths
HAND = 0.1  # the radius of what is surely hand
BEYOND = 0.18  # from the wrist to the hand's middle
AWAY = 0.15  # how far off a limb still is at its place
MIN_HAND_SHARE = 0.5  # of its disc; of hidden hands less is seen
MIN_CONTRAST = 15.0  # ΔE from what surrounds it


def hands_shown(made: Picture, truth: Picture, pose: Pose, skin: Inside) -> list[bool]:
    """For each hand that the true picture shows, whether the other one does.

    It does where a place of a hand's size, within `AWAY` of the true one, is nearer to the hand's colour than to that
    of what surrounds it in truth. Hands of nearly the colour of their surroundings aren't asked for.

    Args:
        skin: where the true picture shows skin, (H, W).
    """
    unit = torso_length(pose)
    lab, smooth = _lab(truth), _lab(_mean_around(made, HAND * unit / 2))
    shown = []
    for elbow, wrist in ARMS:
        if not pose.visible()[[elbow, wrist]].all():
            continue
        start, end = pose.xy[elbow], pose.xy[wrist]
        centre = end + BEYOND * unit * (end - start) / max(float(np.linalg.norm(end - start)), 1e-6)
        distance = _distance(centre, truth)
        disc = distance <= HAND * unit
        hand = disc & skin
        around = (distance > 1.5 * HAND * unit) & (distance <= 3 * HAND * unit) & ~skin
        if hand.sum() < MIN_HAND_SHARE * np.pi * (HAND * unit) ** 2 or not around.any():
            continue
        own, other = np.median(lab[hand], axis=0), np.median(lab[around], axis=0)
        if np.linalg.norm(own - other) < MIN_CONTRAST:
            continue
        near = smooth[distance <= AWAY * unit]
        nearest = np.linalg.norm(near - own, axis=1).min()
        shown.append(bool(nearest < np.linalg.norm(own - other) / 2))
    return shown


def forearm_error(made: Picture, truth: Picture, pose: Pose) -> float:
    """Mean colour difference (CIE 1976 ΔE) along forearms, at the best of the places within `AWAY`; NaN without any."""
    unit = torso_length(pose)
    width = HAND * unit / 2
    true, seen = _lab(_mean_around(truth, width)), _lab(_mean_around(made, width))
    errors = []
    for elbow, wrist in ARMS:
        if not pose.visible()[[elbow, wrist]].all():
            continue
        for share in ALONG:
            place = pose.xy[elbow] + share * (pose.xy[wrist] - pose.xy[elbow])
            distance = _distance(place, truth)
            own = true[np.unravel_index(distance.argmin(), distance.shape)]
            near = seen[distance <= max(AWAY * unit, float(distance.min()))]
            errors.append(float(np.linalg.norm(near - own, axis=1).min()))
    return float(np.mean(errors)) if errors else float("nan")


def _distance(place: FloatArray, picture: Picture) -> Plane:
    rows, columns = np.indices(picture.shape[:2])
    return np.asarray(np.hypot(columns - place[0], rows - place[1]))


def _mean_around(picture: Picture, radius: float) -> Picture:
    """Each pixel's mean over a disc of a radius in pixels."""
    reach = max(round(radius), 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2).astype(np.float32)
    return np.asarray(cv2.filter2D(picture, -1, disc / disc.sum()))


def _lab(picture: Picture) -> Plane:
    return np.asarray(rgb2lab(picture))
