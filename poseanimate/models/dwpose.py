"""DWPose (Yang et al. 2023): whole-body poses with real confidences, by two ONNX networks under the Apache licence.

A YOLOX network finds people, and a SimCC network finds 133 points in each. They run on onnxruntime, which rembg brings.
Notable: the libraries that wrap these networks want other builds of OpenCV, which would overwrite the headless one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from poseanimate.errors import ModelsError, first_line
from poseanimate.poses.measures import person_size
from poseanimate.poses.skeleton import NECK, THRESHOLD, FloatArray, Pose

FILES = ("yolox_l.onnx", "dw-ll_ucoco_384.onnx")
STRIDES = (8, 16, 32)  # of YOLOX's three grids, px
GREY = 114  # YOLOX's padding in training
PERSON_SCORE, OVERLAP = 0.3, 0.45
MARGIN = 1.25  # of a person's box
MEAN = np.array([123.675, 116.28, 103.53], np.float32)  # of red, green, blue
DEVIATION = np.array([58.395, 57.12, 57.375], np.float32)
BINS_PER_PX = 2.0
POINTS = 133
# COCO-WholeBody's body points in the order of OpenPose's joints; the neck is between the shoulders
BODY = (0, -1, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
SHOULDERS, EYES = (5, 6), (2, 1)
FACE, LEFT_HAND, RIGHT_HAND = slice(23, 91), slice(91, 112), slice(112, 133)
WHOLE_PICTURE_CONFIDENCE = 0.5


class DWPoseDetector:
    """Finds people, drawn ones and half bodies among them.

    Where no person is found, as in many drawings, the whole picture is treated as one person, if the body's joints then
    have a mean confidence of `WHOLE_PICTURE_CONFIDENCE`.

    Args:
        people, points: onnxruntime's sessions of the two networks.
        identity: a digest of their weights.
        hands, face: whether to return their points too; they cost nothing extra.
    """

    def __init__(
        self, people: Any, points: Any, identity: str, hands: bool = False, face: bool = False
    ) -> None:
        self._people, self._points = people, points
        self._hands, self._face = hands, face
        self._identity = f"dwpose:{identity}:hands={hands}:face={face}"

    @classmethod
    def load(
        cls,
        folder: Path,
        hands: bool = False,
        face: bool = False,
        providers: Sequence[str] = ("CPUExecutionProvider",),
    ) -> DWPoseDetector:
        """Loads both networks.

        Args:
            folder: holds `FILES`.

        Raises:
            ModelsError: a file is missing or damaged, or holds another network.
        """
        import onnxruntime  # takes half a second

        sessions: list[Any] = []
        digest = hashlib.sha256()
        for name in FILES:
            path = folder / name
            try:
                digest.update(hashlib.sha256(path.read_bytes()).digest())
                sessions.append(onnxruntime.InferenceSession(path, providers=list(providers)))
            except Exception as error:  # onnxruntime's errors have no common base class
                raise ModelsError(
                    f"DWPose's {name} can't be loaded ({first_line(error)}).",
                    "Delete it, so that it is downloaded again, or choose the detector openpose.",
                ) from error
        people, points = sessions
        detector = cls(people, points, digest.hexdigest()[:16], hands, face)
        try:
            detector._find_points(np.zeros((64, 64, 3), np.uint8), np.array([[0, 0, 64, 64.0]]))
            detector._find_boxes(np.zeros((64, 64, 3), np.uint8))
        except Exception as error:  # as above
            raise ModelsError(
                f"{' and '.join(FILES)} are not DWPose's networks ({first_line(error)}).",
                "Put the published files into the folder, or choose the detector openpose.",
            ) from error
        return detector

    @property
    def identity(self) -> str:
        """The weights' digest, and which parts are looked for."""
        return self._identity

    def detect(self, image: NDArray[np.uint8]) -> list[Pose]:
        """The people in an RGB picture (height, width, 3), in its pixels, largest first."""
        boxes = self._find_boxes(image)
        people = [self._build_pose(person) for person in self._find_points(image, boxes)]
        people = [pose for pose in people if pose.visible().any()]  # a box with nobody in it
        if not people:
            height, width = image.shape[:2]
            whole = np.array([[0, 0, width, height]], dtype=np.float64)
            people = [self._build_pose(person) for person in self._find_points(image, whole)]
            people = [p for p in people if p.body[:, 2].mean() >= WHOLE_PICTURE_CONFIDENCE]
        return sorted(people, key=person_size, reverse=True)

    def _find_boxes(self, image: NDArray[np.uint8]) -> FloatArray:
        """(people, 4): left, top, right, bottom in pixels, by falling confidence."""
        _, _, height, width = self._people.get_inputs()[0].shape
        ratio = min(height / image.shape[0], width / image.shape[1])
        size = (max(1, round(image.shape[1] * ratio)), max(1, round(image.shape[0] * ratio)))
        canvas = np.full((height, width, 3), GREY, np.uint8)
        canvas[: size[1], : size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
        (raw,) = self._run_network(self._people, canvas[None, :, :, ::-1].astype(np.float32))
        boxes, scores = decode_boxes(raw[0], width, height)
        corner_and_size = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        kept = cv2.dnn.NMSBoxes(corner_and_size.tolist(), scores.tolist(), PERSON_SCORE, OVERLAP)
        return boxes[np.asarray(kept, dtype=int).reshape(-1)] / ratio

    def _find_points(self, image: NDArray[np.uint8], boxes: FloatArray) -> FloatArray:
        """(people, 133, 3): x, y in pixels and confidence in [0, 1], of the person in each box."""
        found = np.zeros((len(boxes), POINTS, 3))
        _, _, height, width = self._points.get_inputs()[0].shape
        for person, (left, top, right, bottom) in zip(found, boxes, strict=True):
            centre = np.array([left + right, top + bottom]) / 2
            # px of the picture for one of the network's, the same in both directions
            scale = MARGIN * max((right - left) / width, (bottom - top) / height, 1 / width)
            corner = centre - scale * np.array([width, height]) / 2
            to_picture = np.array([[scale, 0, corner[0]], [0, scale, corner[1]]])
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            crop = cv2.warpAffine(image, to_picture, (width, height), flags=flags)
            crops = (crop[None].astype(np.float32) - MEAN) / DEVIATION
            along_x, along_y = (axis[0] for axis in self._run_network(self._points, crops))
            if (along_x.shape[0], along_y.shape[0]) != (POINTS, POINTS):
                raise ValueError(f"{along_x.shape[0]} points instead of {POINTS}")
            place = np.stack([along_x.argmax(1), along_y.argmax(1)], axis=1) / BINS_PER_PX
            person[:, :2] = corner + scale * place
            person[:, 2] = np.clip(np.minimum(along_x.max(1), along_y.max(1)), 0, 1)
        return found

    @staticmethod
    def _run_network(session: Any, pictures: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """A network's outputs for pictures (n, height, width, 3)."""
        given = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))
        outputs: list[NDArray[np.float32]] = session.run(
            None, {session.get_inputs()[0].name: given}
        )
        return outputs

    def _build_pose(self, person: FloatArray) -> Pose:
        body = person[np.array(BODY)]
        shoulders = person[list(SHOULDERS)]
        body[NECK] = *shoulders[:, :2].mean(axis=0), shoulders[:, 2].min()
        face = np.concatenate([person[FACE], person[list(EYES)]])  # OpenPose's last two are pupils
        return Pose(
            body=body,
            left_hand=_points_if_seen(person[LEFT_HAND]) if self._hands else None,
            right_hand=_points_if_seen(person[RIGHT_HAND]) if self._hands else None,
            face=_points_if_seen(face) if self._face else None,
        )


def _points_if_seen(points: FloatArray) -> FloatArray | None:
    return points if (points[:, 2] >= THRESHOLD).any() else None


def decode_boxes(
    raw: NDArray[np.float32], width: int, height: int
) -> tuple[FloatArray, FloatArray]:
    """Boxes (anchors, 4) and their confidence of being a person (anchors,), from YOLOX's output for its grids' cells.

    Args:
        raw: (anchors, 5 + classes): centre in cells from the cell's corner, logarithm of the size in cells, confidence
            that there is an object, and the classes'; a person is the first.
        width, height: of the network's input.
    """
    cells, strides = [], []
    for stride in STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
        strides.append(np.full((rows.size, 1), stride))
    cell, px = np.concatenate(cells), np.concatenate(strides)
    centre, size = (raw[:, :2] + cell) * px, np.exp(raw[:, 2:4]) * px
    boxes = np.concatenate([centre - size / 2, centre + size / 2], axis=1)
    return boxes.astype(np.float64), (raw[:, 4] * raw[:, 5]).astype(np.float64)
