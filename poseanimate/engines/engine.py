"""What the page asks of whatever animates for it.

Notable for an implementation on another machine: arguments, answers and events hold numbers, texts and numpy arrays
alone, so all of them can be pickled; nothing is asked of a model but through this interface.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from poseanimate.events import Event, Forecast
from poseanimate.inputs.character import Character
from poseanimate.models.pose_detection import PoseDetector
from poseanimate.models.segmentation import Segmenter
from poseanimate.poses.motion import Motion
from poseanimate.poses.pata.alignment import Alignment
from poseanimate.settings import Settings


class Engine(Protocol):
    """One engine, which owns its models; see `Animator`, the one in this process, for each of the methods.

    Runs never overlap: whoever asks for one waits until the last is over (the page's queue does).
    """

    @property
    def identity(self) -> str:
        """Of the models; another one makes other clips."""

    @property
    def image_prompts(self) -> bool:
        """Whether a picture can be a prompt (`Settings.image_prompt`)."""

    @property
    def detector(self) -> PoseDetector:
        """Finds people in pictures."""

    @property
    def segmenter(self) -> Segmenter:
        """Cuts characters out."""

    def knows(self, word: str) -> bool:
        """Whether the models have a token for a word."""

    def naming(self, prompt: str, chosen: str) -> list[str]:
        """The words of a prompt that name the character: the chosen ones, or those that are taken anyway."""

    def fitted(self, picture: Image.Image) -> NDArray[np.uint8]:
        """A picture on the clip's canvas, (H, W, 3)."""

    def align(self, character: Character, motion: Motion, settings: Settings) -> Alignment:
        """PATA alone, at once."""

    def forecast(
        self, character: Character, motion: Motion, settings: Settings, prompt: str = ""
    ) -> Forecast | None:
        """What a run would cost, at once; None where it would not begin."""

    def animate(
        self, picture: Character, motion: Motion, settings: Settings, prompt: str = ""
    ) -> Iterator[Event]:
        """Events until Done; closing the stream stops the work at its next step."""
