"""The transition from the picture's pose into the motion (PATA, step 9).

Limbs turn on arcs instead of shrinking through each other: root and bone lengths are interpolated,
angles along the shorter arc, all with the quintic ease 10u³ - 15u⁴ + 6u⁵.
"""

from __future__ import annotations

import math

import numpy as np

from poseanimate.poses.pata.settings import PataSettings
from poseanimate.poses.pata.track import PARENT, Parts, Track, lerp, read_parts, to_pose
from poseanimate.poses.skeleton import JOINTS, NECK, ROOT_FIRST, FloatArray, Pose

PEAK_OF_EASE = 1.875
"""The ease's largest slope: no step exceeds this many even ones."""

_MIN_FRAMES, _MAX_FRAMES = 2, 8
_FAST_PERCENTILE = 90.0


def ease(u: float) -> float:
    """From 0 to 1, with speed and acceleration 0 at both ends."""
    return u**3 * (10 - 15 * u + 6 * u**2)


def choose_length(character: Track, aligned: Track, settings: PataSettings) -> int:
    """The number of frames to put between p_s and p_1.

    Unless set, as many as keep every joint's largest step within those of the motion's fast frames,
    but 2 to 8; a motion that stands still gets 8.
    """
    if settings.transition_frames is not None:
        return settings.transition_frames
    step_px = _fast_step_px(aligned)
    if step_px <= 0:
        return _MAX_FRAMES
    frames = PEAK_OF_EASE * longest_path_px(character, aligned) / step_px - 1
    return math.ceil(min(max(frames, _MIN_FRAMES), _MAX_FRAMES))


def _fast_step_px(track: Track) -> float:
    """High percentile over time of the largest step of any joint from frame to frame."""
    steps = np.linalg.norm(np.diff(track.xy, axis=0), axis=2)
    steps = np.where(track.seen[1:] & track.seen[:-1], steps, 0.0).max(axis=1)
    return float(np.percentile(steps, _FAST_PERCENTILE)) if len(steps) else 0.0


def longest_path_px(start: Track, end: Track) -> float:
    """d: an upper bound on any joint's path from one track's first frame to the other's.

    The root's path plus the length change and arc of every bone down to the joint. No step of a
    transition of t frames exceeds 1.875·d / (t + 1).
    """
    length_a, length_b, _, turn = _bones(start, end)
    path = np.zeros(JOINTS)
    path[NECK] = np.linalg.norm(_root(end, start) - _root(start, end))
    for joint in ROOT_FIRST[1:]:
        stretch = abs(length_b[joint] - length_a[joint])
        swing = max(length_a[joint], length_b[joint]) * abs(turn[joint])
        path[joint] = path[PARENT[joint]] + stretch + swing
    return float(path.max())


def build_transition(start: Track, end: Track, frames: int) -> tuple[Pose, ...]:
    """The poses between the first frames of `start` and `end`, excluding both.

    A joint, hand or face seen on one side only keeps its length and angle and fades by confidence.
    """
    return tuple(_between(start, end, ease(i / (frames + 1))) for i in range(1, frames + 1))


def _between(start: Track, end: Track, e: float) -> Pose:
    length_a, length_b, angle_rad, turn = _bones(start, end)
    length_px = lerp(length_a, length_b, e)
    angle_rad = angle_rad + e * turn
    xy = np.zeros((JOINTS, 2))
    xy[NECK] = lerp(_root(start, end), _root(end, start), e)
    for joint in ROOT_FIRST[1:]:
        bone = length_px[joint] * np.array([math.cos(angle_rad[joint]), math.sin(angle_rad[joint])])
        xy[joint] = xy[PARENT[joint]] + bone
    confidence = lerp(start.confidence[0], end.confidence[0], e)
    return to_pose(xy, confidence, _lerp_parts(read_parts(start, 0), read_parts(end, 0), e))


def _root(track: Track, other: Track) -> FloatArray:
    """The neck in the first frame or, if not seen, the other track's."""
    here = track if track.seen[0, NECK] else other
    return here.xy[0, NECK]


def _bones(start: Track, end: Track) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """(18,) each: length at the start and the end, angle at the start, turn along the shorter arc.

    What is seen on one side only is the same on both.
    """
    (length_a, angle_a), (length_b, angle_b) = (
        (length[0], angle[0]) for length, angle in (start.bones(), end.bones())
    )
    seen_a, seen_b = start.seen[0], end.seen[0]
    length_a, length_b = (
        np.where(seen_a, length_a, length_b),
        np.where(seen_b, length_b, length_a),
    )
    angle_a, angle_b = np.where(seen_a, angle_a, angle_b), np.where(seen_b, angle_b, angle_a)
    turn = np.remainder(angle_b - angle_a + math.pi, 2 * math.pi) - math.pi
    return length_a, length_b, angle_a, turn


def _lerp_parts(start: Parts, end: Parts, e: float) -> Parts:
    mixed: Parts = {}
    for name in start.keys() | end.keys():
        a, b = start.get(name, end.get(name)), end.get(name, start.get(name))
        if a is None or b is None:
            continue
        # A point on one side only keeps its offset and fades.
        offset_a = np.where(a[:, 2:] > 0, a[:, :2], b[:, :2])
        offset_b = np.where(b[:, 2:] > 0, b[:, :2], a[:, :2])
        confidence = lerp(
            a[:, 2] if name in start else np.zeros(len(a)),
            b[:, 2] if name in end else np.zeros(len(b)),
            e,
        )
        mixed[name] = np.column_stack([lerp(offset_a, offset_b, e), confidence])
    return mixed
