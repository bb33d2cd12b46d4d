"""What the page asks of whatever animates for it.

Arguments, answers and events are pictures, numbers, text and frozen dataclasses of them, never models. They can all be
pickled, so an engine may run on another machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from poseanimate.events import Event, Forecast
from poseanimate.inputs.character import Character
from poseanimate.poses.motion import Motion
from poseanimate.poses.pata import Alignment
from poseanimate.poses.skeleton import Pose
from poseanimate.settings import Settings


class Engine(Protocol):
    """An engine owns its models; `Animator`, the one in this process, documents each method's errors.

    It is itself a `PoseDetector` and a `Segmenter`, so whatever needs one of these takes the engine.

    At most `places` runs at once: the caller waits for one to end before it starts another (the page's queue does).
    """

    @property
    def places(self) -> int:
        """How many runs may go on at once."""

    @property
    def answering(self) -> int:
        """How many of its places can be used now, busy ones included: others load, or wait for a machine."""

    @property
    def identity(self) -> str:
        """Names the models: equal identities make equal clips."""

    @property
    def family(self) -> str:
        """Of the models: one of `settings.FAMILIES`, or "unknown"."""

    @property
    def image_prompts(self) -> bool:
        """Whether a picture can be a prompt (the baseline with IP-Adapter)."""

    def detect(self, image: NDArray[np.uint8], like: NDArray[np.uint8] | None = None) -> list[Pose]:
        """The people in a picture (H, W, 3), in its pixels, largest first; seen by what looks at pictures `like` it."""

    def segment(
        self, image: NDArray[np.uint8], like: NDArray[np.uint8] | None = None
    ) -> NDArray[np.float32]:
        """The character's soft mask, (H, W) in [0, 1], in a picture (H, W, 3), likewise."""

    def check_paintable(self, picture: NDArray[np.uint8], remedy: str) -> None:
        """Raises PictureError, with a remedy, where the models weren't made for pictures like this one (H, W, 3)."""

    def knows_word(self, word: str) -> bool:
        """Whether the models have a token for a word."""

    def find_character_words(self, prompt: str, chosen: str) -> list[str]:
        """The words of a prompt that name the character: the chosen ones or, without any, the default ones."""

    def draw_character(self, seed: int) -> tuple[NDArray[np.uint8], str] | None:
        """A new picture of the models' own world, (H, W, 3), and its prompt; None where they paint any picture."""

    def fit_picture(self, picture: Image.Image, most_side: int | None = None) -> NDArray[np.uint8]:
        """A picture on the clip's canvas, (H, W, 3), or at its own size up to the area of a square with this side."""

    def align(self, character: Character, motion: Motion, settings: Settings) -> Alignment:
        """PATA alone, which needs no diffusion model."""

    def forecast(
        self, character: Character, motion: Motion, settings: Settings, prompt: str = ""
    ) -> Forecast | None:
        """What a run would cost, without running it; None where it would not begin."""

    def animate(
        self, picture: Character, motion: Motion, settings: Settings, prompt: str = ""
    ) -> Iterator[Event]:
        """Events until Done; closing the iterator stops the work after its current step."""
