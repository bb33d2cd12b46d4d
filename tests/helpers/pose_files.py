"""Pose files of other tools, in tests."""

from __future__ import annotations

import json
from typing import Any

from poseanimate.poses.motion import Motion
from poseanimate.poses.skeleton import Pose


def read(document: Any) -> Motion:
    """The motion in a JSON value."""
    return Motion.from_json(json.dumps(document), "mine")


def triples(pose: Pose) -> list[float]:
    """x, y and confidence of the 18 joints."""
    numbers: list[float] = pose.body.ravel().tolist()
    return numbers


def frame(*people: Pose, **more: Any) -> dict[str, Any]:
    """A frame as OpenPose writes it, with a canvas of 512x512 pixels."""
    return {
        "people": [{"pose_keypoints_2d": triples(pose)} for pose in people],
        "canvas_width": 512,
        "canvas_height": 512,
    } | more
