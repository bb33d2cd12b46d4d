"""The shipped motions, authored as joint-angle curves of the paper doll.

Every motion is a periodic function of a phase in [0, 1). Curves are sines or eased keys. Standing
feet are placed by inverse kinematics of the average doll, so that weight can shift without sliding.
Side views face the picture's right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from poseanimate.errors import MotionError
from poseanimate.pocket.body import Angles, Proportions, joints
from poseanimate.pocket.world.scene import Scene
from poseanimate.poses.skeleton import R_ANKLE, Pose

FPS = 12
LOOP_FRAMES = 24
SHORT_LOOPS = {"walk": 16}

AVERAGE = Proportions()
STANDING_HIPS = 0.302  # height of the hip joints above the ankles: knees not quite straight
HAND_ON_HIP = (42.0, -72.0)  # shoulder and elbow

Key = tuple[float, float]


def _sine(phase: float, delay: float = 0.0) -> float:
    """sin of the phase minus a delay, both in turns."""
    return float(np.sin(2 * np.pi * (phase - delay)))


def _keys(phase: float, *keys: Key) -> float:
    """A periodic curve through (phase, value) keys, phases rising within [0, 1).

    Cubic between keys, with zero slope at extremes, so it eases in and out there and never
    overshoots (monotone tangents of Fritsch and Butland).
    """
    phase %= 1.0
    at = np.array([keys[-1][0] - 1, *(k[0] for k in keys), keys[0][0] + 1, keys[1][0] + 1])
    value = np.array([keys[-1][1], *(k[1] for k in keys), keys[0][1], keys[1][1]])
    if phase < at[1]:
        phase += 1.0
    steps, slopes = np.diff(at), np.diff(value) / np.diff(at)
    first = int(np.searchsorted(at, phase, side="right")) - 1
    first = min(max(first, 1), len(at) - 3)

    def tangent(key: int) -> float:
        before, after = slopes[key - 1], slopes[key]
        if before * after <= 0:
            return 0.0
        early, late = 2 * steps[key] + steps[key - 1], steps[key] + 2 * steps[key - 1]
        return float((early + late) / (early / before + late / after))

    u, span = (phase - at[first]) / steps[first], steps[first]
    start, end = value[first], value[first + 1]
    rise = start + (end - start) * (3 - 2 * u) * u * u
    bend = span * u * (1 - u) * (tangent(first) * (1 - u) - tangent(first + 1) * u)
    return float(rise + bend)


def _leap(phase: float, start: float, end: float, height: float) -> float:
    """The parabola of a jump between two phases; 0 outside."""
    u = (phase % 1.0 - start) / (end - start)
    return height * 4 * u * (1 - u) if 0 < u < 1 else 0.0


def _stand(
    shift: float = 0.0,
    drop: float = 0.0,
    stance: float = 0.08,
    lean: float = 0.0,
    right_up: float = 0.0,
    left_up: float = 0.0,
) -> Angles:
    """Legs with feet fixed `stance` left and right of the middle while the hips move.

    Knees bend outwards.

    Args:
        shift: of the hips towards the picture's right.
        drop: of the hips below standing; all lengths in fractions of the doll's height.
        lean: of the torso in degrees; the hips tilt with it.
        right_up, left_up: height of a foot above the ground.
    """
    lean_rad, height = np.deg2rad(lean), STANDING_HIPS - drop
    across, tilt = AVERAGE.hip * np.cos(lean_rad), AVERAGE.hip * np.sin(lean_rad)
    right_hip, right_knee = _reach(stance - across + shift, height + tilt - right_up)
    left_hip, left_knee = _reach(stance - across - shift, height - tilt - left_up)
    return Angles(
        lean=lean,
        right_hip=right_hip,
        right_knee=right_knee,
        left_hip=left_hip,
        left_knee=left_knee,
        travel=shift,
    )


def _reach(outwards: float, below: float) -> tuple[float, float]:
    """Hip and knee angles that put the ankle this far outwards from and below the hip joint."""
    thigh, shin = AVERAGE.thigh, AVERAGE.shin
    distance = min(float(np.hypot(outwards, below)), 0.9995 * (thigh + shin))
    inner = (thigh**2 + distance**2 - shin**2) / (2 * thigh * distance)
    knee = (thigh**2 + shin**2 - distance**2) / (2 * thigh * shin)
    hip_rad = np.arctan2(outwards, below) + np.arccos(inner)
    return float(np.rad2deg(hip_rad)), float(np.rad2deg(np.arccos(knee)) - 180)


def _on_right_foot(angles: Angles) -> Angles:
    """The pose moved sideways to put the right foot where it is when standing straight."""
    ankle_x = joints(AVERAGE, angles)[0][R_ANKLE, 0]
    return replace(angles, travel=angles.travel - AVERAGE.hip - float(ankle_x))


@dataclass(frozen=True)
class _Gait:
    """A leg and the arm on its side in a side view, in degrees; forwards is the picture's right."""

    thigh: float  # forwards
    knee: float  # how far it is bent, at least 0
    arm: float  # forwards
    elbow: float  # how far it is bent, at least 0


def _side_view(
    right: _Gait, left: _Gait, lean: float, head: float, turn: float, lift: float
) -> Angles:
    return Angles(
        lean=lean,
        head=head,
        right_shoulder=-right.arm,
        right_elbow=-right.elbow,
        left_shoulder=left.arm,
        left_elbow=left.elbow,
        right_hip=-right.thigh,
        right_knee=right.knee,
        left_hip=left.thigh,
        left_knee=-left.knee,
        turn=turn,
        lift=lift,
    )


def walk(phase: float) -> Angles:
    """Two steps on the spot, facing the picture's right."""

    def side(at: float) -> _Gait:
        return _Gait(
            thigh=_keys(at, (0.0, 24), (0.5, -22), (0.62, -14), (0.86, 27)),
            knee=_keys(at, (0.0, 4), (0.12, 12), (0.34, 3), (0.52, 20), (0.7, 54), (0.94, 3)),
            arm=4 - 26 * float(np.cos(2 * np.pi * at)),
            elbow=24 - 14 * float(np.cos(2 * np.pi * (at - 0.06))),
        )

    return _side_view(
        side(phase),
        side(phase + 0.5),
        lean=4 + 1.2 * _sine(2 * phase, 0.1),
        head=-2 + 1.8 * _sine(2 * phase, 0.35),
        turn=0.85,
        lift=0.0,
    )


def run(phase: float) -> Angles:
    """Two strides (four steps) on the spot, facing the picture's right."""
    stride = 2 * phase

    def side(at: float) -> _Gait:
        return _Gait(
            thigh=_keys(at, (0.0, 24), (0.36, -26), (0.46, -22), (0.82, 46)),
            knee=_keys(at, (0.0, 14), (0.12, 30), (0.34, 12), (0.6, 92), (0.92, 18)),
            arm=-2 - 40 * float(np.cos(2 * np.pi * (at + 0.06))),
            elbow=78 - 16 * float(np.cos(2 * np.pi * at)),
        )

    return _side_view(
        side(stride),
        side(stride + 0.5),
        lean=11 + 1.5 * _sine(2 * stride, 0.2),
        head=-6 + 2.5 * _sine(2 * stride, 0.45),
        turn=0.9,
        lift=0.018 * (1 + float(np.cos(4 * np.pi * (stride - 0.45)))),
    )


def march(phase: float) -> Angles:
    """Alternating high knees, facing the viewer, arms swinging in opposition."""

    def knee_up(at: float) -> float:
        return _keys(at, (0.0, 0), (0.25, 1), (0.5, 0), (0.75, 0))

    right, left = knee_up(phase), knee_up(phase + 0.5)
    shift = -0.02 * _sine(phase)
    legs = _stand(-shift * 1.2, 0.004, 0.07, 2.5 * _sine(phase, 0.04), 0.13 * right, 0.13 * left)
    return replace(
        legs,
        head=-3 * _sine(phase, 0.12),
        right_shoulder=20 + 14 * left,
        right_elbow=-10 - 98 * left,
        left_shoulder=20 + 14 * right,
        left_elbow=-10 - 98 * right,
        turn=0.16 * _sine(phase),
    )


def wave(phase: float) -> Angles:
    """A raised hand waves twice, the weight on one leg."""
    swing = _sine(2 * phase)
    legs = _stand(
        0.022 + 0.008 * _sine(phase, 0.2),
        0.004 + 0.003 * _sine(2 * phase, 0.3),
        lean=-3 + 1.5 * _sine(phase, 0.3),
    )
    return replace(
        legs,
        head=6 + 4 * _sine(phase, 0.4),
        right_shoulder=14 + 3 * _sine(phase, 0.3),
        right_elbow=10 + 5 * _sine(phase, 0.42),
        left_shoulder=112 + 7 * swing,
        left_elbow=48 + 30 * _sine(2 * phase, 0.09),
    )


def jumping_jacks(phase: float) -> Angles:
    """Two jumps, to legs apart and arms overhead and back."""
    beat = 2 * phase % 1.0
    apart = _keys(beat, (0.04, 0), (0.44, 1), (0.54, 1), (0.94, 0))
    arms = _keys(beat, (0.06, 0), (0.47, 1), (0.56, 1), (0.97, 0))
    lift = _leap(beat, 0.1, 0.4, 0.055) + _leap(beat, 0.6, 0.9, 0.045)
    bend = _keys(beat, (0.03, 1), (0.22, 0), (0.48, 0.8), (0.74, 0))
    legs = _stand(0.0, 0.018 * bend + 0.024 * apart, 0.07 + 0.11 * apart, lean=1.2 * _sine(phase))
    return replace(
        legs,
        head=2 * _sine(phase, 0.1),
        right_shoulder=10 + 126 * arms,
        right_elbow=6 + 4 * arms,
        left_shoulder=10 + 126 * arms,
        left_elbow=6 + 4 * arms,
        lift=lift,
    )


def squat(phase: float) -> Angles:
    """Down with the arms out to the sides for balance, and up."""
    down = _keys(phase, (0.04, 0), (0.44, 1), (0.54, 1), (0.92, 0))
    arms = _keys(phase, (0.06, 0), (0.42, 1), (0.56, 1), (0.96, 0))
    legs = _stand(0.006 * _sine(phase), 0.004 + 0.115 * down, 0.12, lean=1.5 * _sine(phase))
    return replace(
        legs,
        head=-2.5 * _sine(phase, 0.1),
        right_shoulder=12 + 74 * arms,
        right_elbow=8 - 6 * arms,
        left_shoulder=12 + 74 * arms,
        left_elbow=8 - 6 * arms,
    )


def dance_sway(phase: float) -> Angles:
    """Hips sway from side to side, the arms floating after them."""
    shift = 0.045 * _sine(phase)
    legs = _stand(
        shift, 0.018 - 0.012 * float(np.cos(4 * np.pi * phase)), 0.09, lean=-8 * _sine(phase, 0.03)
    )
    return replace(
        legs,
        head=8 * _sine(phase, 0.1),
        right_shoulder=78 - 36 * _sine(phase, 0.08),
        right_elbow=12 - 26 * _sine(phase, 0.22),
        left_shoulder=78 + 36 * _sine(phase, 0.08),
        left_elbow=12 + 26 * _sine(phase, 0.22),
        turn=0.2 * _sine(phase, 0.05),
    )


def dance_disco(phase: float) -> Angles:
    """Four beats: a finger to the sky and down across the hips, first left, then right."""

    def arm(at: float) -> tuple[float, float]:
        point = _keys(at, (0.13, 1), (0.2, 1), (0.37, 0), (0.86, 0))
        across = _keys(at, (0.16, 0), (0.38, 1), (0.44, 1), (0.64, 0))
        rest = 1 - point - across
        return (
            140 * point - 14 * across + HAND_ON_HIP[0] * rest,
            4 * point - 40 * across + HAND_ON_HIP[1] * rest,
        )

    (right_shoulder, right_elbow), (left_shoulder, left_elbow) = arm(phase + 0.5), arm(phase)
    turn_rad = 2 * np.pi * (phase - 0.035)
    swing = float(np.cos(turn_rad) - 0.4 * np.cos(3 * turn_rad))
    bounce = 0.016 * float(np.cos(8 * np.pi * (phase - 0.035)))
    legs = _stand(-0.036 * swing, 0.022 - bounce, 0.1, lean=5 * swing)
    return replace(
        legs,
        head=5 * float(np.cos(turn_rad - 0.5)),
        right_shoulder=right_shoulder,
        right_elbow=right_elbow,
        left_shoulder=left_shoulder,
        left_elbow=left_elbow,
    )


def kick(phase: float) -> Angles:
    """A high front kick towards the picture's right with the far leg."""
    thigh = _keys(phase, (0.0, 4), (0.18, -16), (0.4, 78), (0.5, 80), (0.62, 62), (0.84, -2))
    knee = _keys(
        phase, (0.0, 4), (0.18, 22), (0.34, 84), (0.47, 6), (0.52, 8), (0.64, 66), (0.86, 5)
    )
    effort = _keys(phase, (0.05, 0), (0.45, 1), (0.54, 1), (0.92, 0))
    wind_up = _keys(phase, (0.0, 0), (0.18, 1), (0.36, 0), (0.7, 0))
    stand = _Gait(-1 - 8 * effort, 4 + 9 * effort, 10 + 42 * effort, 34 + 40 * effort)
    swing = _Gait(thigh, knee, 8 + 24 * wind_up - 44 * effort, 34 + 34 * effort)
    lean, head = 2 + 5 * wind_up - 15 * effort, -1 - 3 * wind_up + 11 * effort
    return _on_right_foot(_side_view(stand, swing, lean, head, turn=0.75, lift=0.0))


def bow(phase: float) -> Angles:
    """A bow towards the picture's right, one arm in front of the belly, one behind."""
    down = _keys(phase, (0.04, 0), (0.42, 1), (0.58, 1), (0.94, 0))
    head = _keys(phase, (0.08, 0), (0.46, 1), (0.62, 1), (0.97, 0))
    arms = _keys(phase, (0.02, 0), (0.34, 1), (0.64, 1), (0.96, 0))
    return _on_right_foot(
        Angles(
            lean=2 + 32 * down,
            head=-1 + 17 * head,
            right_shoulder=6 + 2 * arms,
            right_elbow=-6 - 82 * arms,
            left_shoulder=8 - 42 * arms,
            left_elbow=6 + 18 * arms,
            right_hip=-3 - 7 * down,
            left_hip=3 + 39 * down,
            left_knee=-1 - 54 * down,
            turn=0.8,
        )
    )


def cheer(phase: float) -> Angles:
    """A crouch, a jump with both arms thrown up, and two pumps of the fists after landing."""
    crouch = _keys(
        phase, (0.02, 0), (0.16, 1), (0.3, 0), (0.5, 0), (0.57, 0.8), (0.72, 0.1), (0.8, 0.3)
    )
    arms = _keys(phase, (0.0, 0), (0.12, -0.1), (0.38, 1), (0.8, 0.95))
    pump = _keys(phase, (0.0, 0), (0.5, 0), (0.6, 1), (0.69, 0), (0.78, 1), (0.88, 0.1))
    apart = _keys(phase, (0.24, 0), (0.38, 1), (0.52, 0))
    legs = _stand(
        0.01 * _sine(phase), 0.004 + 0.055 * crouch, 0.085 + 0.035 * apart, lean=2 * _sine(phase)
    )
    return replace(
        legs,
        head=4 * _sine(phase, 0.1),
        right_shoulder=26 + 118 * arms - 40 * pump,
        right_elbow=-24 * (1 - arms) + 4 * arms + 58 * pump,
        left_shoulder=26 + 118 * arms - 40 * pump,
        left_elbow=-24 * (1 - arms) + 4 * arms + 58 * pump,
        lift=_leap(phase, 0.27, 0.53, 0.11),
    )


def stretch(phase: float) -> Angles:
    """A side bend to either side, the free arm over the head, the other hand on the hip."""

    def bend_of(at: float) -> float:
        return _keys(at, (0.0, 0), (0.22, 1), (0.28, 1), (0.5, 0), (0.75, 0))

    right, left = bend_of(phase), bend_of(phase + 0.5)
    side = right - left
    late = bend_of(phase - 0.04) - bend_of(phase + 0.46)
    legs = _stand(-0.03 * side, 0.008, 0.1, lean=17 * side)
    return replace(
        legs,
        head=9 * late,
        right_shoulder=HAND_ON_HIP[0] + 108 * right,
        right_elbow=HAND_ON_HIP[1] + 112 * right,
        left_shoulder=HAND_ON_HIP[0] + 108 * left,
        left_elbow=HAND_ON_HIP[1] + 112 * left,
    )


MOTIONS: dict[str, Callable[[float], Angles]] = {
    "bow": bow,
    "cheer": cheer,
    "dance-disco": dance_disco,
    "dance-sway": dance_sway,
    "jumping-jacks": jumping_jacks,
    "kick": kick,
    "march": march,
    "run": run,
    "squat": squat,
    "stretch": stretch,
    "walk": walk,
    "wave": wave,
}


def loop_frames(name: str) -> int:
    """The number of frames in one loop of the motion at `FPS`."""
    return SHORT_LOOPS.get(name, LOOP_FRAMES)


def sample_motion(name: str, count: int) -> list[Angles]:
    """One loop of a motion in `count` frames; the frame after the last is the first.

    Raises:
        MotionError: there is no motion of this name, or `count` is below 1.
    """
    if name not in MOTIONS:
        raise MotionError(
            f"The pocket world has no motion {name!r}.", f"Choose one of: {', '.join(MOTIONS)}."
        )
    if count < 1:
        raise MotionError(f"A loop can't have {count} frames.", "Ask for at least one frame.")
    return [MOTIONS[name](i / count) for i in range(count)]


def sample_poses(scene: Scene, name: str, count: int, width: int, height: int) -> list[Pose]:
    """The scene's doll in the poses of `sample_motion`, in pixels of a width x height picture.

    Raises:
        MotionError: as `sample_motion`.
    """
    return [scene.pose(angles, width, height) for angles in sample_motion(name, count)]
