"""The 18-joint skeleton: its type, its tree and the drawing that pose ControlNets were trained on.

Joints are in OpenPose's COCO-18 order. The drawing equals controlnet_aux's pixel for pixel, so
every ControlNet trained on OpenPose maps gets exactly the kind of picture it was trained on.
"""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from poseanimate.errors import MotionError, PictureError

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
ByteArray = npt.NDArray[np.uint8]

JOINT_NAMES: tuple[str, ...] = (
    "nose", "neck",
    "right shoulder", "right elbow", "right wrist",
    "left shoulder", "left elbow", "left wrist",
    "right hip", "right knee", "right ankle",
    "left hip", "left knee", "left ankle",
    "right eye", "left eye", "right ear", "left ear",
)  # fmt: skip
NOSE, NECK = 0, 1
R_SHOULDER, R_ELBOW, R_WRIST, L_SHOULDER, L_ELBOW, L_WRIST = 2, 3, 4, 5, 6, 7
R_HIP, R_KNEE, R_ANKLE, L_HIP, L_KNEE, L_ANKLE = 8, 9, 10, 11, 12, 13
R_EYE, L_EYE, R_EAR, L_EAR = 14, 15, 16, 17

JOINTS = len(JOINT_NAMES)
HAND_POINTS = 21
FACE_POINTS = 70

PARENTS: tuple[int, ...] = (1, -1, 1, 2, 3, 1, 5, 6, 1, 8, 9, 1, 11, 12, 0, 0, 14, 15)
"""PARENTS[j] is the joint at the other end of j's bone; the neck is the root."""

MIRRORED: tuple[int, ...] = (0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 15, 14, 17, 16)
"""MIRRORED[j] is the same joint on the other side of the body."""

ROOT_FIRST: tuple[int, ...] = (1, 0, *range(2, JOINTS))
"""All joints, each after its parent."""

LIMBS: tuple[tuple[int, int], ...] = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10),
    (1, 11), (11, 12), (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
COLOURS: tuple[tuple[int, int, int], ...] = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0),
    (0, 255, 0), (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255),
    (0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85),
)  # fmt: skip
"""RGB: COLOURS[i] is that of limb i (drawn at 60 %) and joint i (drawn at 100 %)."""

HAND_LIMBS: tuple[tuple[int, int], ...] = tuple(
    (0 if link == 0 else 4 * finger + link, 4 * finger + link + 1)
    for finger in range(5)
    for link in range(4)
)

THRESHOLD = 0.3
"""The confidence at which a joint counts as seen."""

MAX_COORDINATE = 1e6

_LIMB_DIMMING = 0.6
_STICK_HALF_WIDTH_PX = 4
_JOINT_RADIUS_PX = 4
_MAX_THICKNESS = 7  # times the ordinary one
_FACE_RADIUS_PX = 3
_MIN_DRAWING_SIDE_PX = 512


@dataclass(frozen=True, eq=False)
class Pose:
    """One person's joints in pixels. The arrays are copied, checked and made read-only.

    Args:
        body: (18, 3) float64: x_px, y_px, confidence in [0, 1]. A joint with confidence 0 is
            absent; its x and y are set to 0.
        left_hand, right_hand: (21, 3) likewise, or None.
        face: (70, 3) likewise, or None.

    Raises:
        MotionError: wrong shape, a non-finite number, a coordinate beyond ±1e6, or a confidence
            outside [0, 1].
    """

    body: FloatArray
    left_hand: FloatArray | None = None
    right_hand: FloatArray | None = None
    face: FloatArray | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "body", _checked("body", self.body, JOINTS))
        for part, points in (
            ("left_hand", HAND_POINTS),
            ("right_hand", HAND_POINTS),
            ("face", FACE_POINTS),
        ):
            array = getattr(self, part)
            if array is not None:
                object.__setattr__(self, part, _checked(part.replace("_", " "), array, points))

    @staticmethod
    def absent() -> Pose:
        """A pose that shows nobody."""
        return Pose(np.zeros((JOINTS, 3)))

    @property
    def xy(self) -> FloatArray:
        """(18, 2): the body's x and y in pixels; 0 where absent."""
        return self.body[:, :2]

    @property
    def confidence(self) -> FloatArray:
        """(18,): the body's confidences in [0, 1]."""
        return self.body[:, 2]

    def visible(self, threshold: float = THRESHOLD) -> BoolArray:
        """(18,) bool: the joints present with at least this confidence."""
        return _visible(self.body, threshold)

    def scaled(self, factor_x: float, factor_y: float) -> Pose:
        """The pose with all x and y multiplied; absent points stay at 0."""
        return self._mapped(np.array([factor_x, factor_y, 1.0]), np.zeros(3))

    def shifted(self, dx: float, dy: float) -> Pose:
        """The pose moved by (dx, dy) pixels; absent points stay at 0."""
        return self._mapped(np.ones(3), np.array([dx, dy, 0.0]))

    def mirrored(self, width: float) -> Pose:
        """The mirror image of the pose on a canvas of this width: left becomes right."""
        flip, back = np.array([-1.0, 1.0, 1.0]), np.array([width, 0.0, 0.0])
        flipped = self._mapped(flip, back)
        return Pose(
            flipped.body[list(MIRRORED)], flipped.right_hand, flipped.left_hand, flipped.face
        )

    def quarter_turned(self, height: float) -> Pose:
        """The pose turned clockwise by 90 degrees, on a canvas that was so many pixels high."""
        turn = [1, 0, 2]  # x' = height - y, y' = x
        body, *extras = (
            None if part is None else part[:, turn]
            for part in (self.body, self.left_hand, self.right_hand, self.face)
        )
        assert body is not None
        return Pose(body, *extras)._mapped(np.array([-1.0, 1.0, 1.0]), np.array([height, 0.0, 0.0]))

    def equals(self, other: Pose) -> bool:
        """Whether every number of every part is the same, bit for bit."""
        pairs = (
            (self.body, other.body),
            (self.left_hand, other.left_hand),
            (self.right_hand, other.right_hand),
            (self.face, other.face),
        )
        return all(
            a is b or (a is not None and b is not None and a.tobytes() == b.tobytes())
            for a, b in pairs
        )

    def _mapped(self, factors: FloatArray, offsets: FloatArray) -> Pose:
        body, *extras = (
            None if part is None else part * factors + offsets
            for part in (self.body, self.left_hand, self.right_hand, self.face)
        )
        return Pose(self.body if body is None else body, *extras)


def _checked(what: str, points: FloatArray, count: int) -> FloatArray:
    array = np.array(points, dtype=np.float64)
    if array.shape != (count, 3):
        raise MotionError(
            f"A pose's {what} has the shape {array.shape} instead of ({count}, 3).",
            "Give x, y and confidence for every point, in OpenPose's order.",
        )
    if not np.isfinite(array).all() or np.abs(array[:, :2]).max() > MAX_COORDINATE:
        raise MotionError(
            f"A pose's {what} holds a coordinate that is no plausible number of pixels.",
            f"Keep x and y finite and within ±{MAX_COORDINATE:.0f}.",
        )
    if array[:, 2].min() < 0 or array[:, 2].max() > 1:
        raise MotionError(
            f"A pose's {what} holds a confidence outside 0 to 1.",
            "Scale confidences to 0 (absent) to 1 (certain).",
        )
    array[array[:, 2] == 0] = 0.0
    array.flags.writeable = False
    return array


def _visible(points: FloatArray, threshold: float = THRESHOLD) -> BoolArray:
    return (points[:, 2] >= threshold) & (points[:, 2] > 0)


def draw_pose(pose: Pose, width: int, height: int, thick: bool = False) -> ByteArray:
    """Draws the pose as a ControlNet condition: (height, width, 3) uint8 RGB on black.

    Equals controlnet_aux's OpenPose drawing on canvases whose short side is at least 512. Sticks
    and dots have a fixed width in pixels, too thick for smaller canvases: there the drawing is made
    at the smallest integer multiple that reaches 512 and reduced by area averaging.

    Args:
        thick: whether the body's sticks and dots are two to seven times as thick, the more the larger the
            canvas, as xinsir's ControlNets for Stable Diffusion XL saw them in training.

    Raises:
        PictureError: the canvas has no pixels.
    """
    if width < 1 or height < 1:
        raise PictureError(
            f"A pose can't be drawn on a canvas of {width}x{height} pixels.",
            "Choose a width and a height of at least 1.",
        )
    multiple = max(1, math.ceil(_MIN_DRAWING_SIDE_PX / min(width, height)))
    enlarged = np.array([multiple, multiple, 1.0])
    canvas = np.zeros((height * multiple, width * multiple, 3), dtype=np.uint8)
    times = min(2 + max(canvas.shape[:2]) // 1000, _MAX_THICKNESS) if thick else 1
    _draw_body(canvas, pose.body * enlarged, times)
    for hand in (pose.left_hand, pose.right_hand):
        if hand is not None:
            _draw_hand(canvas, hand * enlarged)
    if pose.face is not None:
        _draw_face(canvas, pose.face * enlarged)
    if multiple == 1:
        return canvas
    reduced = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(reduced, dtype=np.uint8)


def _on_canvas(canvas: ByteArray, points: FloatArray) -> FloatArray:
    # The reference keeps positions as fractions of the canvas. The round trip can move a whole
    # number just below itself, and truncation then shifts it by a pixel, so repeat it here.
    size = np.array([canvas.shape[1], canvas.shape[0]], dtype=np.float64)
    return points[:, :2] / size * size


def _draw_body(canvas: ByteArray, body: FloatArray, thickness: int) -> None:
    xy, seen = _on_canvas(canvas, body), _visible(body)
    for (a, b), colour in zip(LIMBS, COLOURS, strict=False):
        if not (seen[a] and seen[b]):
            continue
        centre_x, centre_y = (xy[a] + xy[b]) / 2
        dx, dy = xy[a] - xy[b]
        ellipse = cv2.ellipse2Poly(
            (int(centre_x), int(centre_y)),
            (int((dx**2 + dy**2) ** 0.5 / 2), _STICK_HALF_WIDTH_PX * thickness),
            int(math.degrees(math.atan2(dy, dx))),
            0,
            360,
            1,
        )
        cv2.fillConvexPoly(canvas, np.array(ellipse), [int(c * _LIMB_DIMMING) for c in colour])
    for joint in np.flatnonzero(seen):
        centre = (int(xy[joint, 0]), int(xy[joint, 1]))
        cv2.circle(canvas, centre, _JOINT_RADIUS_PX * thickness, COLOURS[joint], thickness=-1)


def _draw_hand(canvas: ByteArray, hand: FloatArray) -> None:
    xy = _on_canvas(canvas, hand).astype(int)
    # The reference treats a point in the first row or column as not found.
    seen = _visible(hand) & (xy > 0).all(axis=1)
    for i, (a, b) in enumerate(HAND_LIMBS):
        if seen[a] and seen[b]:
            colour = [255 * c for c in colorsys.hsv_to_rgb(i / len(HAND_LIMBS), 1.0, 1.0)]
            cv2.line(canvas, xy[a].tolist(), xy[b].tolist(), colour, thickness=2)
    for point in np.flatnonzero(seen):
        cv2.circle(canvas, xy[point].tolist(), _JOINT_RADIUS_PX, (0, 0, 255), thickness=-1)


def _draw_face(canvas: ByteArray, face: FloatArray) -> None:
    xy = _on_canvas(canvas, face).astype(int)
    seen = _visible(face) & (xy > 0).all(axis=1)
    for point in np.flatnonzero(seen):
        cv2.circle(canvas, xy[point].tolist(), _FACE_RADIUS_PX, (255, 255, 255), thickness=-1)
