"""People from pictures and videos: OpenPose's real decoding."""

from __future__ import annotations

import sys
import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from poseanimate.errors import ModelsError
from poseanimate.media import Frame
from poseanimate.models.pose_detection import (
    OpenPoseDetector,
)
from poseanimate.poses.measures import person_size
from poseanimate.poses.skeleton import Pose

# A standing person in fractions of the picture, arms half out, every bone of different direction.
STANDING = np.array([
    (0.50, 0.15), (0.50, 0.28), (0.40, 0.29), (0.30, 0.38), (0.22, 0.48), (0.60, 0.29),
    (0.70, 0.40), (0.76, 0.52), (0.44, 0.55), (0.42, 0.72), (0.40, 0.90), (0.56, 0.55),
    (0.60, 0.72), (0.62, 0.90), (0.47, 0.12), (0.53, 0.12), (0.43, 0.14), (0.57, 0.14),
])  # fmt: skip

# OpenPose's limbs (joints from 0) and the part affinity channels (x, y) that belong to each.
LIMBS = [
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11),
    (11, 12), (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17), (2, 16), (5, 17),
]  # fmt: skip
FIELDS = [12, 20, 14, 16, 22, 24, 0, 2, 4, 6, 8, 10, 28, 30, 34, 32, 36, 18, 26]


@pytest.fixture(scope="module")
def openpose() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import controlnet_aux.open_pose as module
    return module


class KnownPerson(torch.nn.Module):
    """Answers as OpenPose's network would for a person who stands at `xy` (fractions)."""

    def __init__(self, xy: np.ndarray[Any, Any], missing: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.device_holder = torch.nn.Parameter(torch.zeros(1))
        self.xy = xy
        self.missing = missing

    def forward(self, picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        height, width = (side // 8 for side in picture.shape[-2:])
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        heat, fields = torch.zeros(1, 19, height, width), torch.zeros(1, 38, height, width)
        for joint, (fx, fy) in enumerate(self.xy):
            if joint not in self.missing:
                squared = (x - fx * width + 0.5) ** 2 + (y - fy * height + 0.5) ** 2
                heat[0, joint] = torch.exp(-squared / 2)
        for (a, b), channel in zip(LIMBS, FIELDS, strict=True):
            along = self.xy[b] - self.xy[a]
            along = along / np.hypot(*along)
            fields[0, channel], fields[0, channel + 1] = float(along[0]), float(along[1])
        return fields, heat


def detector_with(openpose: Any, network: torch.nn.Module) -> OpenPoseDetector:
    body = object.__new__(openpose.Body)
    body.model = network.eval()
    return OpenPoseDetector(openpose.OpenposeDetector(body), "test")


@pytest.mark.parametrize(("width", "height"), [(128, 128), (600, 400), (300, 500)])
def test_a_known_person_is_found(openpose: Any, width: int, height: int) -> None:
    found = detector_with(openpose, KnownPerson(STANDING)).detect(
        np.zeros((height, width, 3), np.uint8)
    )
    assert len(found) == 1
    expected = STANDING * (width, height)
    assert np.all(found[0].confidence == 1)
    assert np.abs(found[0].xy - expected).max() < 0.03 * max(width, height)
    assert found[0].left_hand is None and found[0].face is None


def test_missing_joints_are_absent(openpose: Any) -> None:
    network = KnownPerson(STANDING, missing=(4, 10))
    (pose,) = detector_with(openpose, network).detect(np.zeros((128, 128, 3), np.uint8))
    assert np.flatnonzero(pose.confidence == 0).tolist() == [4, 10]
    assert not pose.xy[[4, 10]].any()


def test_the_real_network_runs(openpose: Any) -> None:
    torch.manual_seed(0)
    detector = detector_with(openpose, openpose.body.bodypose_model())
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    assert all(isinstance(pose, Pose) for pose in detector.detect(noise))


class Canned:
    """Stands for the loaded detector: gives these PoseResults and keeps what it was asked."""

    def __init__(self, results: list[Any]) -> None:
        self.results = results
        self.asked: list[tuple[Any, ...]] = []

    def detect_poses(self, image: Frame, hands: bool, face: bool) -> list[Any]:
        self.asked.append((image.shape, hands, face))
        return self.results


def result(openpose: Any, xy: np.ndarray[Any, Any], **parts: Any) -> Any:
    keypoints = [openpose.Keypoint(float(x), float(y)) for x, y in xy]
    body = openpose.BodyResult(keypoints, 18.0, 18)
    empty = {"left_hand": None, "right_hand": None, "face": None}
    return openpose.PoseResult(body, **{**empty, **parts})


def test_largest_first_and_in_pixels(openpose: Any) -> None:
    small, large = STANDING * 0.3 + 0.6, STANDING * 0.8
    canned = Canned([result(openpose, small), result(openpose, large)])
    poses = OpenPoseDetector(canned, "test").detect(np.zeros((100, 400, 3), np.uint8))  # type: ignore[arg-type]
    assert np.allclose(poses[0].xy, large * (400, 100))
    assert np.allclose(poses[1].xy, small * (400, 100))
    assert person_size(poses[0]) > person_size(poses[1]) > 0 == person_size(Pose.absent())
    ((height, width, _), hands, face) = canned.asked[0]
    assert (width, height, hands, face) == (1024, 256, False, False)


def test_hands_and_face(openpose: Any) -> None:
    points = [openpose.Keypoint(0.5, 0.25)] * 20 + [openpose.Keypoint(-1 / 64, -1 / 64)]
    nothing = [openpose.Keypoint(-1 / 64, -1 / 64)] * 21
    face = [openpose.Keypoint(0.1, 0.2)] * 70
    canned = Canned([result(openpose, STANDING, left_hand=points, right_hand=nothing, face=face)])
    detector = OpenPoseDetector(canned, "test", hands=True, face=True)  # type: ignore[arg-type]
    (pose,) = detector.detect(np.zeros((64, 64, 3), np.uint8))
    assert canned.asked[0][1:] == (True, True)
    assert pose.left_hand is not None and pose.face is not None and pose.right_hand is None
    assert pose.left_hand[0].tolist() == [32, 16, 1] and pose.left_hand[20].tolist() == [0, 0, 0]
    assert np.allclose(pose.face, (6.4, 12.8, 1))


def test_identity_tells_settings_apart() -> None:
    canned: Any = Canned([])
    identities = {
        OpenPoseDetector(canned, name, hands, face).identity
        for name in ("a", "b")
        for hands in (False, True)
        for face in (False, True)
    }
    assert len(identities) == 8


def test_load(openpose: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = []
    loaded = SimpleNamespace(to=lambda device: moved.append(device) or Canned([]))
    monkeypatch.setattr(openpose.OpenposeDetector, "from_pretrained", lambda source: loaded)
    detector = OpenPoseDetector.load("somewhere", device="cpu", hands=True)
    assert moved == ["cpu"] and "somewhere" in detector.identity
    assert detector.detect(np.zeros((64, 64, 3), np.uint8)) == []


def test_load_from_nowhere(openpose: Any, tmp_path: Any) -> None:
    with pytest.raises(ModelsError, match=r"\.pth"):
        OpenPoseDetector.load(str(tmp_path))


def test_load_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "controlnet_aux.open_pose", None)
    with pytest.raises(ModelsError, match="pip install"):
        OpenPoseDetector.load("somewhere")


# ------------------------------------------------------------------------------------- one person
