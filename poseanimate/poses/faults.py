"""Faults of a motion that a detector or a camera left: found, and corrected where that is safe.

Distances are in torso lengths of the motion, so nothing depends on its size in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from poseanimate.poses.measures import neck_to_hips, torso_length, torso_turn
from poseanimate.poses.motion import Motion
from poseanimate.poses.skeleton import (
    MIRRORED,
    BoolArray,
    FloatArray,
    Pose,
)

MIRROR = np.array(MIRRORED)
PAIRED = np.flatnonzero(np.arange(len(MIRROR)) != MIRROR)

EXCHANGE = 0.1  # how much nearer an exchange must bring the joints, on average
WILD_DISTANCE = 0.75  # from the middle of the frames before and after
WILD_RATIO = 2.0  # to the distance between these two frames
CUT_DISTANCE = 1.0  # that most joints jump
CUT_SCALE = 1.6  # by which the torso grows or shrinks between two frames
TURNED_SHARE = 0.8  # of the frames in which the torso must lie
LATE_S = 0.25  # until the person is seen; shorter gaps are not worth a word


@dataclass(frozen=True)
class Faults:
    """What is wrong with a motion.

    swapped: frames whose left and right are exchanged. wild: (frame, joint) pairs that are far from where the frames
    before and after have the joint. cut: the first frame after a cut, None without one. turn: how far the motion has to
    be rotated clockwise to stand upright, in degrees: 0, 90, 180 or 270. first: the first frame that shows somebody.
    """

    swapped: tuple[int, ...] = ()
    wild: tuple[tuple[int, int], ...] = ()
    cut: int | None = None
    turn: int = 0
    first: int = 0


def find_faults(motion: Motion) -> Faults:
    """Looks for all faults; the frames before the first that shows somebody are not judged."""
    seen = np.stack([pose.visible() for pose in motion.poses])
    if not seen.any():
        return Faults()
    first = int(np.flatnonzero(seen.any(axis=1))[0])
    torsos = [torso_length(pose) for pose in motion.poses if pose.visible().any()]
    xy = np.stack([pose.xy for pose in motion.poses]) / float(np.median(torsos))
    swapped = _find_swapped(xy, seen)
    for frame in swapped:
        xy[frame], seen[frame] = xy[frame][MIRROR], seen[frame][MIRROR]
    return Faults(
        swapped=swapped,
        wild=_find_wild(xy, seen),
        cut=_find_cut(xy, seen, motion.poses),
        turn=_find_turn(motion.poses),
        first=first if first / motion.fps >= LATE_S else 0,
    )


def repair(motion: Motion) -> Motion:
    """Swaps left and right back, and drops joints that jump away for one frame. Cuts and turns are left."""
    faults = find_faults(motion)
    if not (faults.swapped or faults.wild):
        return motion
    poses = list(motion.poses)
    for frame in faults.swapped:
        poses[frame] = _swap_sides(poses[frame])
    for frame, joint in faults.wild:
        body = poses[frame].body.copy()
        body[joint] = 0.0
        poses[frame] = replace(poses[frame], body=body)
    return replace(motion, poses=tuple(poses))


def _swap_sides(pose: Pose) -> Pose:
    return Pose(pose.body[MIRROR], pose.right_hand, pose.left_hand, pose.face)


def _find_swapped(xy: FloatArray, seen: BoolArray) -> tuple[int, ...]:
    """Frames between two exchanges of left and right: the cheapest path through "as given" and "exchanged" per frame.

    A detector exchanges all joints at once, and back some frames later. A person who turns round needs several frames,
    and stays turned; so an exchange without a return isn't reported.
    """
    shown = np.flatnonzero(seen.any(axis=1))
    costs, came_from = np.zeros(2), []
    for before, frame in pairwise(shown):
        moved = [
            _mean_distance(xy[before], seen[before], xy[frame][order], seen[frame][order])
            for order in (slice(None), MIRROR)
        ]
        steps = np.array([[moved[0], moved[1] + EXCHANGE], [moved[1] + EXCHANGE, moved[0]]])
        totals = costs[:, None] + steps
        came_from.append(totals.argmin(axis=0))
        costs = totals.min(axis=0)
    states = [int(costs.argmin())]
    for choice in reversed(came_from):
        states.append(int(choice[states[-1]]))
    path = np.array(states[::-1])
    runs = np.split(np.arange(len(path)), np.flatnonzero(np.diff(path)) + 1)
    # the first run is as given; so every second one is not, if another follows
    return tuple(int(shown[i]) for run in runs[1:-1:2] for i in run)


def _mean_distance(a: FloatArray, a_seen: BoolArray, b: FloatArray, b_seen: BoolArray) -> float:
    """Between the joints that have a side and are seen in both; 0 if there are fewer than four."""
    both = PAIRED[a_seen[PAIRED] & b_seen[PAIRED]]
    if len(both) < 4:
        return 0.0
    return float(np.linalg.norm(a[both] - b[both], axis=1).mean())


def _find_wild(xy: FloatArray, seen: BoolArray) -> tuple[tuple[int, int], ...]:
    before, now, after = xy[:-2], xy[1:-1], xy[2:]
    around = seen[:-2] & seen[1:-1] & seen[2:]
    gap = np.linalg.norm(after - before, axis=2)
    away = np.linalg.norm(now - (before + after) / 2, axis=2)
    wild = around & (away > WILD_DISTANCE) & (away > WILD_RATIO * gap)
    # where most of the body jumps it is no single joint's fault
    wild &= (wild.sum(axis=1) * 2 < around.sum(axis=1))[:, None]
    return tuple((int(frame) + 1, int(joint)) for frame, joint in np.argwhere(wild))


def _find_cut(xy: FloatArray, seen: BoolArray, poses: Sequence[Pose]) -> int | None:
    """The first frame whose whole body is elsewhere, or of another size, than in the frame before."""
    for frame in range(1, len(xy)):
        both = seen[frame - 1] & seen[frame]
        if both.sum() < 4:
            continue
        jump = float(np.median(np.linalg.norm(xy[frame][both] - xy[frame - 1][both], axis=1)))
        sizes = [neck_to_hips(pose.xy, pose.visible()) for pose in poses[frame - 1 : frame + 1]]
        scale = max(sizes) / min(sizes) if all(sizes) else 1.0  # type: ignore[type-var, operator]
        if jump > CUT_DISTANCE or scale > CUT_SCALE:
            return frame
    return None


def _find_turn(poses: Sequence[Pose]) -> int:
    """By the torso's direction, neck to hips, in most frames in which both are seen."""
    turns = [turn for pose in poses if (turn := torso_turn(pose)) is not None]
    common = max(set(turns), key=turns.count, default=0)
    return common if turns.count(common) >= TURNED_SHARE * len(turns) else 0
