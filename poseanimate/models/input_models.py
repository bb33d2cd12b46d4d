"""What looks at inputs: a family's picture size, its pose detector and its segmenter; no diffusion network."""

from __future__ import annotations

from dataclasses import dataclass

from poseanimate.errors import ModelsError
from poseanimate.models.blazepose.detector import BlazePose
from poseanimate.models.blazepose.files import MEDIAPIPE
from poseanimate.models.blazepose.segmenter import BlazePoseSegmenter
from poseanimate.models.dwpose import FILES as DWPOSE_FILES
from poseanimate.models.dwpose import DWPoseDetector
from poseanimate.models.files import (
    DWPOSE,
    OPENPOSE,
    OPENPOSE_FILES,
    ModelFiles,
    find_files,
    has_gpu,
)
from poseanimate.models.hub import OnMessage, fetch
from poseanimate.models.pose_detection import DETECTORS, OpenPoseDetector, PoseDetector
from poseanimate.models.segmentation import REMBG_MODELS, SEGMENTERS, RembgSegmenter, Segmenter
from poseanimate.models.wheel import fetch_members

PRECISIONS = ("half", "full")


@dataclass(frozen=True, eq=False)
class InputModels:
    """What finds the character in a picture.

    side: of the square pictures that the family was trained on, px. factor: how many pixels a side of a latent covers.
    """

    side: int
    factor: int
    detector: PoseDetector
    segmenter: Segmenter


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
    finds, cuts = load_detector_and_segmenter(files, device, detector, segmenter, on_message)
    return InputModels(files.side, files.factor, finds, cuts)


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


def load_detector_and_segmenter(
    files: ModelFiles, device: str, detector: str, segmenter: str, on_message: OnMessage
) -> tuple[PoseDetector, Segmenter]:
    """Those that are named, else the family's own, else the first of DETECTORS and of REMBG_MODELS."""
    own = None
    if files.perception is not None and not (detector and segmenter):
        from poseanimate.pocket.perception import Perception, PerceptionNet  # imports torch

        own = Perception(PerceptionNet.load(files.perception, device))
    finds: PoseDetector = (
        own if own and not detector else _load_detector(detector, device, on_message)
    )
    cuts: Segmenter = own if own and not segmenter else _load_segmenter(segmenter, on_message)
    return finds, cuts


def _load_detector(name: str, device: str, on_message: OnMessage) -> PoseDetector:
    family, _, whole = (name or next(iter(DETECTORS))).partition("-")
    if family == "blazepose":
        return BlazePose(fetch_members(MEDIAPIPE, on_message=on_message))
    if family == "dwpose":
        folder = fetch(DWPOSE, lambda names: [f for f in names if f in DWPOSE_FILES], on_message)
        return DWPoseDetector.load(folder, bool(whole), bool(whole))
    folder = fetch(OPENPOSE, lambda names: [f for f in names if f in OPENPOSE_FILES], on_message)
    return OpenPoseDetector.load(str(folder), device, hands=bool(whole), face=bool(whole))


def _load_segmenter(name: str, on_message: OnMessage) -> Segmenter:
    if name == "blazepose":
        folder = fetch_members(MEDIAPIPE, on_message=on_message)
        return BlazePoseSegmenter(BlazePose(folder), folder)
    return RembgSegmenter(name or next(iter(REMBG_MODELS)))
