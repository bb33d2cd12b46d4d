"""What looks at inputs: a family's picture size, its pose detector and its segmenter; no diffusion network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from poseanimate.errors import ModelsError
from poseanimate.models.blazepose.eyes import BlazePoseEyes
from poseanimate.models.blazepose.files import MEDIAPIPE
from poseanimate.models.dwpose import FILES as DWPOSE_FILES
from poseanimate.models.dwpose import DWPoseDetector
from poseanimate.models.eyes import Eyes
from poseanimate.models.files import (
    DWPOSE,
    OPENPOSE,
    OPENPOSE_FILES,
    PERCEPTION_FOLDER,
    POCKET,
    ModelFiles,
    find_files,
    has_gpu,
)
from poseanimate.models.hub import OnMessage, fetch, find_complete
from poseanimate.models.pose_detection import DETECTORS, OpenPoseDetector, PoseDetector
from poseanimate.models.segmentation import (
    EYES,
    REMBG_MODELS,
    SEGMENTERS,
    RembgSegmenter,
    Segmenter,
)
from poseanimate.models.wheel import fetch_members

if TYPE_CHECKING:
    from poseanimate.pocket.perception import Perception

PRECISIONS = ("half", "full")


class World(Protocol):
    """Knows the pictures that a family paints."""

    def is_of_its_world(self, image: NDArray[np.uint8]) -> bool:
        """Whether an RGB picture (height, width, 3) is one of them."""


@dataclass(frozen=True, eq=False)
class InputModels:
    """What finds the character in a picture.

    side: of the square pictures that the family was trained on, px. factor: how many pixels a side of a latent covers.
    scale: how many times as wide a decoded picture is as an encoded one.
    world: tells the pictures of the only world that the family paints; None where it paints anything.
    """

    side: int
    factor: int
    scale: int
    detector: PoseDetector
    segmenter: Segmenter
    world: World | None = None


def load_input_models(
    name: str = "pocket",
    device: str | None = None,
    *,
    vae: str = "",
    detector: str = "",
    segmenter: str = "",
    on_message: OnMessage = lambda _: None,
) -> InputModels:
    """Loads what a family needs to look at pictures and videos.

    Args:
        name, device, vae, detector, segmenter, on_message: see `loading.load_models`.

    Raises:
        ModelsError: there are no such models, or they can't be downloaded or loaded.
    """
    check_names(detector, segmenter)
    files = find_files(name, vae=vae, weights=False, on_message=on_message)
    device = device or ("cuda" if has_gpu() else "cpu")
    looks = load_eyes(files, device, detector, segmenter, on_message)
    return InputModels(files.side, files.factor, files.scale, *looks)


def check_names(detector: str = "", segmenter: str = "", precision: str = "") -> None:
    """Raises ModelsError where one of these isn't a name; "" is the default."""
    for kind, name, known in (
        ("pose detector", detector, tuple(DETECTORS)),
        ("segmentation model", segmenter, tuple(SEGMENTERS)),
        ("precision", precision, PRECISIONS),
    ):
        if name and name not in known:
            raise ModelsError(
                f"There is no {kind} {name[:80]!r}.", f"Choose one of: {', '.join(known)}."
            )


def load_eyes(
    files: ModelFiles, device: str, detector: str, segmenter: str, on_message: OnMessage
) -> tuple[PoseDetector, Segmenter, World | None]:
    """The detector and segmenter that are named, else auto; what finds also cuts out, where it can. The family's world.

    Without BlazePose's networks auto goes on, and says so. For Stable Diffusion DWPose takes auto's place as detector
    where it has been downloaded, and that is said, too.
    """
    detector = detector or _default_detector(files.family, on_message)
    segmenter = segmenter or (detector if detector in EYES else "auto")

    @cache
    def load_pocket() -> Perception:
        from poseanimate.pocket.perception import Perception, PerceptionNet  # imports torch

        return Perception(
            PerceptionNet.load(files.perception or POCKET / PERCEPTION_FOLDER, device)
        )

    @cache
    def load_one(name: str) -> Any:
        if name in REMBG_MODELS:
            return RembgSegmenter(name)
        if name not in EYES:
            return _load_detector(name, device, on_message)
        if name == "pocket":
            return load_pocket()
        try:
            blazepose = BlazePoseEyes(fetch_members(MEDIAPIPE, on_message=on_message))
        except ModelsError as error:
            if name == "blazepose":
                raise
            on_message(
                f"Only characters of the pocket world are found: {error.message} {error.remedy}"
            )
            return Eyes(load_pocket(), None)
        return blazepose if name == "blazepose" else Eyes(load_pocket(), blazepose)

    world = load_pocket() if files.perception else None
    return load_one(detector), load_one(segmenter), world


def _default_detector(family: str, on_message: OnMessage) -> str:
    if family not in ("sd15", "sdxl") or find_complete(DWPOSE, _choose_dwpose) is None:
        return "auto"
    on_message("DWPose finds poses, as it is here; --detector auto chooses BlazePose.")
    return "dwpose"


def _choose_dwpose(names: list[str]) -> list[str]:
    return [name for name in names if name in DWPOSE_FILES]


def _load_detector(name: str, device: str, on_message: OnMessage) -> PoseDetector:
    family, _, whole = name.partition("-")
    if family == "dwpose":
        folder = fetch(DWPOSE, _choose_dwpose, on_message)
        return DWPoseDetector.load(folder, bool(whole), bool(whole))
    folder = fetch(OPENPOSE, lambda names: [f for f in names if f in OPENPOSE_FILES], on_message)
    return OpenPoseDetector.load(str(folder), device, hands=bool(whole), face=bool(whole))
