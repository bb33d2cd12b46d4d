"""People and motions for tests of poses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from poseanimate.poses.motion import Motion
from poseanimate.poses.pata import Alignment, FindingCode, PataSettings
from poseanimate.poses.skeleton import PARENTS, ROOT_FIRST, Pose

SIDE = 600
PLAIN = PataSettings(smooth=False)
quick = settings(max_examples=40, deadline=None)


# Bones of a person of about 320 px: length in px and angle in degrees (x to the right, y down).
BONES = {
    0: (50, -90), 2: (40, 175), 3: (55, 100), 4: (50, 95), 5: (40, 5), 6: (55, 80), 7: (50, 85),
    8: (105, 105), 9: (75, 92), 10: (75, 92), 11: (105, 75), 12: (75, 88), 13: (75, 88),
    14: (14, -140), 15: (14, -40), 16: (14, 160), 17: (14, 20),
}  # fmt: skip


def person(
    neck: tuple[float, float] = (300, 160),
    scale: float = 1.0,
    lengths: Mapping[int, float] | None = None,
    turns: Mapping[int, float] | None = None,
    **parts: np.ndarray,
) -> Pose:
    """The person with some bones' lengths multiplied and some turned (degrees)."""
    body = np.ones((18, 3))
    body[1, :2] = neck
    for joint in ROOT_FIRST[1:]:
        length = BONES[joint][0] * scale * (lengths or {}).get(joint, 1.0)
        angle = math.radians(BONES[joint][1] + (turns or {}).get(joint, 0.0))
        bone = (length * math.cos(angle), length * math.sin(angle))
        body[joint, :2] = body[PARENTS[joint], :2] + bone
    return Pose(body, **parts)


def clip(poses: list[Pose], side: int = SIDE, fps: float = 12.0) -> Motion:
    return Motion(tuple(poses), side, side, fps, "test")


def random_pose(rng: np.random.Generator, scale: float = 1.0) -> Pose:
    return person(
        neck=tuple(rng.uniform(260, 340, 2) - (0, 120)),
        scale=scale,
        lengths={j: rng.uniform(0.85, 1.15) for j in BONES},
        turns={j: rng.uniform(-25, 25) for j in BONES},
    )


def random_clip(seed: int, frames: int = 5) -> Motion:
    rng = np.random.default_rng(seed)
    return clip([random_pose(rng, 0.9) for _ in range(frames)])


def without(pose: Pose, *joints: int) -> Pose:
    body = pose.body.copy()
    body[list(joints)] = 0
    return replace(pose, body=body)


def moving(alignment: Alignment) -> tuple[Pose, ...]:
    return alignment.poses[1 + alignment.transition :]


def bone_length(pose: Pose, joint: int) -> float:
    return float(np.linalg.norm(pose.xy[joint] - pose.xy[PARENTS[joint]]))


def codes(alignment: Alignment) -> set[FindingCode]:
    return {finding.code for finding in alignment.findings}


options = st.builds(
    PataSettings,
    anchor=st.sampled_from(["anchored", "pinned"]),
    retarget_limbs=st.booleans(),
    smooth=st.booleans(),
    transition_frames=st.sampled_from([None, 0, 1, 5, 12]),
)
seeds = st.integers(0, 10_000)
masks = st.lists(st.lists(st.booleans(), min_size=18, max_size=18), min_size=1, max_size=6)


def travelling(frames: int = 6, **kwargs: Any) -> list[Pose]:
    return [
        person(neck=(250 + 12 * i, 170 - 6 * (i % 2)), scale=0.8, **kwargs) for i in range(frames)
    ]


def hand_at(pose: Pose, wrist: int) -> np.ndarray:
    return np.column_stack([pose.xy[wrist] + np.arange(42).reshape(21, 2), np.full(21, 0.8)])


SITTING = person(lengths={9: 0.3, 12: 0.3})
