"""People in pictures: the interface of pose detectors, and OpenPose."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from poseanimate.errors import ModelsError
from poseanimate.poses.measures import person_size
from poseanimate.poses.skeleton import (
    FACE_POINTS,
    HAND_POINTS,
    JOINTS,
    FloatArray,
    Pose,
)

if TYPE_CHECKING:
    from controlnet_aux.open_pose import OpenposeDetector, PoseResult
    from controlnet_aux.open_pose.body import Keypoint

OPENPOSE_SIDE_PX = 512
DETECTORS = {
    "auto": "the pocket world's own eyes for its pictures, BlazePose for all others",
    "pocket": "the pocket world's own eyes alone",
    "blazepose": "BlazePose, the body, of photographs and drawings on any CPU; Apache licence",
    "openpose": "OpenPose, the body; licensed for non-commercial research only",
    "openpose-whole": "OpenPose, body, hands and face; licensed for non-commercial research only",
    "dwpose": "DWPose, the body, with confidences; Apache licence",
    "dwpose-whole": "DWPose, body, hands and face; Apache licence",
}
"""Detectors by name, and what they are."""


class PoseDetector(Protocol):
    """Finds people in a picture. One that is faster on videos also has a method `start_tracking`, see below."""

    @property
    def identity(self) -> str:
        """Names the model and its version: equal identities give equal poses."""

    def detect(self, image: NDArray[np.uint8]) -> list[Pose]:
        """The people in an RGB picture (height, width, 3), in its pixels, largest first."""


def choose_eyes(eyes: Any, picture: NDArray[np.uint8]) -> Any:
    """Of a detector or segmenter that consists of several, the one for a picture (height, width, 3); else itself.

    Frames made from a picture are of its world, however odd they look: they are left to what looked at the picture.
    """
    choose = getattr(eyes, "choose", None)
    return eyes if choose is None else choose(picture)


def start_tracking(detector: PoseDetector) -> Callable[[NDArray[np.uint8]], list[Pose]]:
    """What finds people in the frames of one video, given in their order: a detector's own tracking, else `detect`."""
    own = getattr(detector, "start_tracking", None)
    return detector.detect if own is None else own()


class OpenPoseDetector:
    """controlnet_aux's OpenPose. Its licence allows non-commercial use only.

    The detector gives no confidences: a joint that it finds has 1, others have 0.

    Args:
        detector: a loaded `controlnet_aux.OpenposeDetector`; see also `load`.
        name: what it was loaded from; part of `identity`.
        hands, face: whether to look for them too (the detector must have these networks).
    """

    def __init__(
        self, detector: OpenposeDetector, name: str, hands: bool = False, face: bool = False
    ) -> None:
        self._detector = detector
        self._hands = hands
        self._face = face
        self._name = name

    @classmethod
    def load(
        cls, source: str, device: str = "cpu", hands: bool = False, face: bool = False
    ) -> OpenPoseDetector:
        """Load the three networks from a folder or a Hugging Face repository.

        Args:
            source: for instance "lllyasviel/Annotators", or a folder with body_pose_model.pth,
                hand_pose_model.pth and facenet.pth.
            device: "cpu", "cuda", ...

        Raises:
            ModelsError: controlnet-aux isn't installed, or the networks can't be downloaded or loaded.
        """
        try:
            with warnings.catch_warnings():  # importing it warns about parts that aren't used here
                warnings.simplefilter("ignore")
                from controlnet_aux.open_pose import OpenposeDetector
        except ImportError as error:
            raise ModelsError(
                "OpenPose can't be used here.", "Install it with: pip install controlnet-aux."
            ) from error
        try:
            detector = OpenposeDetector.from_pretrained(source).to(device)
        except Exception as error:  # downloads and parsers raise errors of several libraries
            raise ModelsError(
                f"OpenPose can't be downloaded or loaded from {source}.",
                "Check the name and the connection, or give a folder with its three .pth files.",
            ) from error
        return cls(detector, source, hands, face)

    @property
    def identity(self) -> str:
        """The source and which parts are looked for."""
        return f"openpose:{self._name}:hands={self._hands}:face={self._face}"

    def detect(self, image: NDArray[np.uint8]) -> list[Pose]:
        """The people in an RGB picture (height, width, 3), in its pixels, largest first."""
        height, width = image.shape[:2]
        factor = OPENPOSE_SIDE_PX / math.sqrt(width * height)
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        interpolation = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        resized = cv2.resize(image, size, interpolation=interpolation)
        results = self._detector.detect_poses(resized, self._hands, self._face)
        poses = [_convert_pose(result, width, height) for result in results]
        return sorted(poses, key=person_size, reverse=True)


def _convert_pose(result: PoseResult, width: int, height: int) -> Pose:
    body = _convert_points(result.body.keypoints, JOINTS, width, height)
    return Pose(
        body=np.zeros((JOINTS, 3)) if body is None else body,
        left_hand=_convert_points(result.left_hand, HAND_POINTS, width, height),
        right_hand=_convert_points(result.right_hand, HAND_POINTS, width, height),
        face=_convert_points(result.face, FACE_POINTS, width, height),
    )


def _convert_points(
    keypoints: Iterable[Keypoint | None] | None, count: int, width: int, height: int
) -> FloatArray | None:
    """(count, 3) in pixels; None where nothing was found. A missing point is None or negative."""
    points = np.zeros((count, 3))
    for row, keypoint in zip(points, keypoints or (), strict=False):
        if keypoint is not None and keypoint.x >= 0 and keypoint.y >= 0:
            row[:] = keypoint.x * width, keypoint.y * height, min(max(keypoint.score, 0.0), 1.0)
    return points if points[:, 2].any() else None
