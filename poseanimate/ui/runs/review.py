"""Review of a finished clip: its frames beside picture and poses, and measurements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseanimate.events import Aligned
from poseanimate.media.similarity import change, outside
from poseanimate.poses import overlay
from poseanimate.poses.accuracy import PCK_RADIUS, joint_errors, mean_joint_error
from poseanimate.poses.skeleton import Pose, draw_pose
from poseanimate.ui import texts
from poseanimate.ui.texts import ClipMeasures
from poseanimate.ui.widgets import player

Picture = NDArray[np.uint8]


def compare_frames(aligned: Aligned, frames: Sequence[Picture]) -> dict[str, Any]:
    """The source picture, the finished frames and their poses, in step; see `player.make_content`."""
    picture, alignment = overlay.reduced(aligned.picture, aligned.alignment, player.MAX_TILE_PX)
    height, width = picture.shape[:2]
    poses = alignment.poses[: len(frames)]
    panels = {
        texts.SIDE_PICTURE: [picture],
        texts.SIDE_CLIP: frames,
        texts.SIDE_POSES: [draw_pose(pose, width, height) for pose in poses],
    }
    return player.make_content(panels, aligned.alignment.fps, gallery=texts.SIDE_CLIP)


def measure_clip(
    aligned: Aligned,
    frames: Sequence[Picture],
    alphas: Sequence[NDArray[np.float32]],
    detect: Callable[[Picture], list[Pose]],
) -> ClipMeasures:
    """Measures the joints' distance from their poses, the background's from the picture, and its flicker.

    Args:
        frames: the source picture, then at least one generated frame.
        alphas: the character's mask in each of them, (H, W) in [0, 1].
    """
    errors = []
    for frame, pose in zip(frames[1:], aligned.alignment.poses[1:], strict=False):
        if pose.visible().any():
            people = detect(frame)
            errors.append(joint_errors(people[0] if people else None, pose))
    pairs = list(zip(frames, alphas, strict=True))
    source, mask = pairs[0]
    background = [change(frame, source, outside(mask, alpha)) for frame, alpha in pairs[1:]]
    flicker = [change(a, b, outside(of_a, of_b)) for (a, of_a), (b, of_b) in pairwise(pairs)]
    joints = accuracy = None
    if errors:
        joints = float(np.mean([mean_joint_error(each) for each in errors]))
        accuracy = float((np.concatenate(errors) <= PCK_RADIUS).mean())
    return ClipMeasures(joints, accuracy, float(np.mean(background)), float(np.mean(flicker)))
