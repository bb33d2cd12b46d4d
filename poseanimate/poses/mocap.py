"""Recorded motions as a camera sees them: the joints of a BVH file as 18 joints in pixels.

Notable:
- Joints are known by name, in the conventions of CMU, Mixamo, Rokoko, Xsens, SMPL, Biped, Unreal and Blender.
- The camera is orthographic and stands still. It stands where the figure faces it in the first frame, and can be moved
  from there.
- Such files have no faces. Nose, eyes and ears are placed on the head with half the confidence, where a viewer would
  see them.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from poseanimate.errors import MotionError
from poseanimate.poses.bvh import BvhJoint, FloatArray, read_recording
from poseanimate.poses.motion import Motion
from poseanimate.poses.skeleton import (
    JOINT_NAMES,
    JOINTS,
    L_EAR,
    L_EYE,
    L_HIP,
    L_SHOULDER,
    NECK,
    NOSE,
    R_EAR,
    R_EYE,
    R_HIP,
    R_SHOULDER,
    Pose,
)

FIGURE_PX = 400  # from the ankles to the neck, standing
MAX_CANVAS_PX = 4096
MARGIN_PX = 60
ESTIMATED = 0.5  # confidence of what is placed on the head

_PREFIX = re.compile(r"^(.*:|(mixamorig|character|bip|valvebiped|def)\d*[ _.\-]+)+", re.IGNORECASE)
_SIDES = {"right": ("right{}", "r{}", "{}r", "{}right"), "left": ("left{}", "l{}", "{}l", "{}left")}
_PARTS = {  # where a skeleton has several of them, the first is meant: a "shoulder" may be a collar bone
    "hip": ("upleg", "thigh", "upperleg", "hip", "hipjoint"),
    "knee": ("leg", "lowleg", "lowerleg", "shin", "calf", "knee"),
    "ankle": ("foot", "ankle"),
    "shoulder": ("arm", "uparm", "upperarm", "shldr", "shoulder"),
    "elbow": ("forearm", "lowarm", "lowerarm", "elbow"),
    "wrist": ("hand", "wrist"),
}
HEAD = -1  # the file's head, beside the indices of the skeleton's joints, which has none
_NEEDED = (R_HIP, L_HIP, R_SHOULDER, L_SHOULDER)
_NECK_PER_HIP = 0.4  # of the height from ankles to neck, that from hips to neck

_HEAD_SIZE = 0.16  # of the height from ankles to neck
# On the head, from its joint at the top of the neck: left, up and forwards, in heads; and how far
# it may be turned from the viewer, as the cosine to its own direction.
_FACE = {
    NOSE: ((0.0, 0.4, 0.5), (0.0, 0.0, 1.0), -0.1),
    R_EYE: ((-0.15, 0.55, 0.42), (-0.34, 0.0, 0.94), 0.0),
    L_EYE: ((0.15, 0.55, 0.42), (0.34, 0.0, 0.94), 0.0),
    R_EAR: ((-0.35, 0.5, 0.0), (-1.0, 0.0, 0.0), -0.5),
    L_EAR: ((0.35, 0.5, 0.0), (1.0, 0.0, 0.0), -0.5),
}


def read_bvh(
    text: str,
    name: str,
    start_s: float = 0.0,
    end_s: float | None = None,
    yaw: float = 0.0,
    pitch: float = 0.0,
) -> Motion:
    """Reads a BVH file as a motion of at most 30 frames per second.

    Args:
        name: of the motion.
        start_s, end_s: the part to use, in seconds; end_s None uses it to the end.
        yaw: how far the camera goes around the figure, towards its left hand, in degrees.
        pitch: how far the camera rises, in degrees.

    Raises:
        MotionError: see `read_recording`; or the joints are not those of a person, by their names.
    """
    recording = read_recording(text, start_s, end_s)
    known = _find_joints(recording.joints)
    body = _Body.of_rest(_to_skeleton(recording.rest()[None], known)[0])
    positions, rotations = recording.places()
    world = _to_skeleton(positions, known)
    camera = body.camera(world[0], yaw, pitch)
    confidence = np.zeros((len(world), JOINTS))
    confidence[:, [NECK, *(joint for joint in known if joint >= 0)]] = 1.0
    if HEAD in known:
        head = known[HEAD]
        _add_face(
            world, confidence, positions[:, head], rotations[:, head] @ body.axes, body, camera
        )
    return _photograph(world @ camera.T, confidence, body.height, recording.fps, name)


def _find_joints(joints: list[BvhJoint]) -> dict[int, int]:
    """Which joint of the file each joint of the skeleton is, and HEAD."""
    indices: dict[str, int] = {}
    for index, joint in enumerate(joints):
        plain = re.sub(r"[\W_]", "", _PREFIX.sub("", joint.name).lower())
        indices.setdefault(plain, index)
    found = {}
    for joint_index, (side, _, part) in enumerate(each.partition(" ") for each in JOINT_NAMES):
        for name in _PARTS.get(part, ()):
            matches = [
                indices[form.format(name)] for form in _SIDES[side] if form.format(name) in indices
            ]
            if matches:
                found[joint_index] = matches[0]
                break
    if not {*_NEEDED} <= {*found}:
        names = ", ".join(repr(joint.name)[1:-1] for joint in joints if joint.name)[:200]
        raise MotionError(
            f"The joints of this BVH file are not known as a person's: {names}.",
            "Rename shoulders and hips to LeftArm, RightArm, LeftUpLeg and RightUpLeg, and so on.",
        )
    if "head" in indices:
        found[HEAD] = indices["head"]
    return found


def _to_skeleton(positions: FloatArray, known: dict[int, int]) -> FloatArray:
    """(frames, 18, 3); joints that the file doesn't have are at 0."""
    world = np.zeros((len(positions), JOINTS, 3))
    for joint, index in known.items():
        if joint >= 0:
            world[:, joint] = positions[:, index]
    world[:, NECK] = world[:, [R_SHOULDER, L_SHOULDER]].mean(axis=1)
    return world


def _to_the_left(joints: FloatArray) -> FloatArray:
    """Where a figure's left is, by its hips and shoulders; joints: (18, 3)."""
    return joints[L_HIP] - joints[R_HIP] + joints[L_SHOULDER] - joints[R_SHOULDER]


@dataclass(frozen=True, eq=False)
class _Body:
    """axes: its left, up and forwards as columns, in the rest pose. height: from the ankles to the neck."""

    axes: FloatArray
    height: float

    @staticmethod
    def of_rest(joints: FloatArray) -> _Body:
        """From the rest pose, which stands upright along one of the file's axes; joints: (18, 3)."""
        spine = joints[NECK] - joints[[R_HIP, L_HIP]].mean(axis=0)
        axis = int(np.abs(spine).argmax())
        up = np.zeros(3)
        up[axis] = math.copysign(1.0, spine[axis])
        left = _to_the_left(joints)
        left = left - (left @ up) * up
        width, height = float(np.linalg.norm(left)), float(np.linalg.norm(spine)) / _NECK_PER_HIP
        if width < 1e-3 * height or height == 0:
            raise MotionError(
                "The skeleton of this BVH file has no width or no height.",
                "Export one whose offsets show a standing person.",
            )
        left = left / width
        return _Body(np.stack([left, up, np.cross(left, up)], axis=1), height)

    def camera(self, joints: FloatArray, yaw: float, pitch: float) -> FloatArray:
        """Rows: the picture's right and down, and towards the viewer; joints: (18, 3) of the first frame."""
        up = self.axes[:, 1]
        left = _to_the_left(joints)
        left = left - (left @ up) * up
        length = float(np.linalg.norm(left))
        if length < 0.05 * self.height:  # it lies on its side
            left, length = self.axes[:, 0], 1.0
        left = left / length
        around, above = math.radians(yaw), math.radians(pitch)
        level = math.cos(around) * np.cross(left, up) + math.sin(around) * left
        towards = math.cos(above) * level + math.sin(above) * up
        picture_up = math.cos(above) * up - math.sin(above) * level
        return np.stack([np.cross(up, level), -picture_up, towards])


def _add_face(
    world: FloatArray,
    confidence: FloatArray,
    origins: FloatArray,
    axes: FloatArray,
    body: _Body,
    camera: FloatArray,
) -> None:
    """Nose, eyes and ears. origins: (frames, 3), of the head. axes: (frames, 3, 3): its left, up and forwards."""
    for joint, (place, direction, least) in _FACE.items():
        world[:, joint] = origins + axes @ (_HEAD_SIZE * body.height * np.array(place))
        facing = (axes @ np.array(direction)) @ camera[2]
        confidence[:, joint] = np.where(facing > least, ESTIMATED, 0.0)


def _photograph(
    seen: FloatArray, confidence: FloatArray, height: float, fps: float, name: str
) -> Motion:
    """The motion on a canvas that holds all of it. seen: (frames, 18, 3), in the camera's axes."""
    xy = seen[..., :2]
    shown = xy[confidence > 0]
    low, high = shown.min(axis=0), shown.max(axis=0)
    room = MAX_CANVAS_PX - 2 * MARGIN_PX
    scale = min(FIGURE_PX / height, room / max(float((high - low).max()), 1e-9))
    xy = (xy - low) * scale + MARGIN_PX
    width, height_px = (math.ceil(side) + 2 * MARGIN_PX for side in (high - low) * scale)
    poses = (Pose(np.column_stack(each)) for each in zip(xy, confidence, strict=True))
    return Motion(tuple(poses), width, height_px, fps, name)
