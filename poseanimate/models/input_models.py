"""What looks at inputs: a family's picture size, its pose detector and its segmenter; no diffusion network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
from poseanimate.models.hub import OnMessage, fetch
from poseanimate.models.pose_detection import DETECTORS, OpenPoseDetector, PoseDetector
from poseanimate.models.segmentation import (
    EYES,
    REMBG_MODELS,
    SEGMENTERS,
    RembgSegmenter,
    Segmenter,
)
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
    """Those that are named, else the family's own, else OpenPose and the first of REMBG_MODELS.

    A family with its own eyes cuts out with those that find, where they can.
    """
    own = files.perception is not None
    detector = detector or ("pocket" if own else "openpose")
    if not segmenter and own:
        segmenter = detector if detector in EYES else "pocket"
    segmenter = segmenter or next(iter(REMBG_MODELS))
    finds: Any = (
        _load_eyes(detector, files, device, on_message)
        if detector in EYES
        else _load_detector(detector, device, on_message)
    )
    cuts: Segmenter
    if segmenter == detector:
        cuts = finds
    elif segmenter in EYES:
        cuts = _load_eyes(segmenter, files, device, on_message)
    else:
        cuts = RembgSegmenter(segmenter)
    return finds, cuts


def _load_eyes(name: str, files: ModelFiles, device: str, on_message: OnMessage) -> Any:
    """A detector that is a segmenter, too, by its name in EYES; without BlazePose's networks auto is what remains."""
    blazepose = None
    if name != "pocket":
        try:
            blazepose = BlazePoseEyes(fetch_members(MEDIAPIPE, on_message=on_message))
        except ModelsError as error:
            if name != "auto":
                raise
            on_message(
                f"Only characters of the pocket world are found: {error.message} {error.remedy}"
            )
    if name == "blazepose" and blazepose is not None:
        return blazepose
    from poseanimate.pocket.perception import Perception, PerceptionNet  # imports torch

    own = files.perception or POCKET / PERCEPTION_FOLDER
    pocket = Perception(PerceptionNet.load(own, device))
    return pocket if blazepose is None else Eyes(pocket, blazepose)


def _load_detector(name: str, device: str, on_message: OnMessage) -> PoseDetector:
    family, _, whole = name.partition("-")
    if family == "dwpose":
        folder = fetch(DWPOSE, lambda names: [f for f in names if f in DWPOSE_FILES], on_message)
        return DWPoseDetector.load(folder, bool(whole), bool(whole))
    folder = fetch(OPENPOSE, lambda names: [f for f in names if f in OPENPOSE_FILES], on_message)
    return OpenPoseDetector.load(str(folder), device, hands=bool(whole), face=bool(whole))
