"""The source mask: how much of each pixel belongs to the character."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from poseanimate.errors import ModelsError

REMBG_MODELS = {
    "u2net_human_seg": "people",
    "isnet-anime": "drawn and anime characters",
    "isnet-general-use": "anything",
}
"""rembg's models by name, and what they are for. Its others would download files or call services
that nobody chose."""

EYES = {
    "auto": "as the detector auto",
    "pocket": "characters of the pocket world",
    "blazepose": "people whom BlazePose finds, on any CPU",
}
"""Detectors that are segmenters, too, and what they cut out."""

SEGMENTERS = EYES | REMBG_MODELS
"""Segmenters by name, and what they are for."""


class Segmenter(Protocol):
    """Finds the character in a picture."""

    @property
    def identity(self) -> str:
        """Names the model and its version: equal identities give equal masks."""

    def segment(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The soft mask, (height, width) in [0, 1], of an RGB picture (height, width, 3)."""


class RembgSegmenter:
    """One of rembg's networks, on the CPU. Its file is downloaded on first use.

    Args:
        model_name: a key of `REMBG_MODELS`.

    Raises:
        ModelsError: an unknown name, rembg isn't installed, or the network can't be downloaded
            or loaded.
    """

    def __init__(self, model_name: str = "u2net_human_seg") -> None:
        if model_name not in REMBG_MODELS:
            raise ModelsError(
                f"There is no segmentation model named {model_name[:80]!r}.",
                f"Choose one of: {', '.join(REMBG_MODELS)}.",
            )
        try:
            # Importing it takes seconds, and ends the process where onnxruntime is missing.
            import rembg
        except (ImportError, SystemExit) as error:
            raise ModelsError(
                "rembg can't be used here.", "Install it with: pip install 'rembg[cpu]'."
            ) from error
        try:
            self._session = rembg.new_session(model_name, providers=["CPUExecutionProvider"])
        except Exception as error:  # downloads and parsers raise errors of three libraries
            raise ModelsError(
                f"The segmentation model {model_name} can't be fetched or loaded.",
                "Check the connection, or put its .onnx file into the folder U2NET_HOME.",
            ) from error
        self._remove = rembg.remove
        self._identity = f"rembg-{rembg.__version__}:{model_name}"

    @property
    def identity(self) -> str:
        """rembg's version, since it also decides the preprocessing, and the network's name."""
        return self._identity

    def segment(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The soft mask, (height, width) in [0, 1], of an RGB picture (height, width, 3)."""
        mask = self._remove(Image.fromarray(image), session=self._session, only_mask=True)
        return np.asarray(mask.convert("L"), dtype=np.float32) / 255.0
