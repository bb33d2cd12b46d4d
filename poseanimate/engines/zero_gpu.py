"""The engine on a ZeroGPU Space: a GPU is lent to each run for as long as its forecast says.

Notable: a run goes on in a forked worker. What it is given and what it yields is pickled, so progress comes as
events; what it changes in memory is lost, so what it has learnt is told as its last word. Results of stages are kept
on disk, where both sides see them. Looking at pictures (detector, segmenter) stays with the page, which has no GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from PIL import Image

from poseanimate.animator import Animator, Character
from poseanimate.events import Event
from poseanimate.models.family import Models
from poseanimate.pipeline.cost import CostModel
from poseanimate.poses.motion import Motion
from poseanimate.settings import Settings
from poseanimate.storage.stage_cache import StageCache

START_S = 15  # of a worker, with a margin
UNKNOWN_S = 120  # of the first run, which no other tells anything about
LONGEST_S = 600
MARGIN = 1.3

_engines: list[Animator] = []  # where a forked worker finds the models


class ZeroGPU(Animator):
    """An animator whose runs borrow a GPU."""

    def __init__(
        self, models: Models, cache: StageCache | None = None, max_side: int | None = None
    ) -> None:
        import spaces  # Spaces have it; elsewhere nobody needs it

        super().__init__(models, cache, max_side)
        _engines[:] = [self]
        self._lent: Any = spaces.GPU(duration=lent_s)(_run)

    def animate(
        self,
        picture: Image.Image | Character,
        motion: Motion,
        settings: Settings,
        prompt: str = "",
    ) -> Iterator[Event]:
        """See `Animator.animate`."""
        character = picture if isinstance(picture, Character) else self.character(picture)
        with closing(self._lent(character, motion, settings, prompt)) as events:
            for event in events:
                if isinstance(event, CostModel):
                    self.learnt = event
                else:
                    yield event


def lent_s(character: Character, motion: Motion, settings: Settings, prompt: str) -> int:
    """For how many seconds a run needs a GPU."""
    forecast = _engines[0].forecast(character, motion, settings, prompt)
    known_s = None if forecast is None else forecast.seconds
    needed_s = UNKNOWN_S if known_s is None else MARGIN * known_s
    return round(min(START_S + needed_s, LONGEST_S))


def _run(
    character: Character, motion: Motion, settings: Settings, prompt: str
) -> Iterator[Event | CostModel]:
    engine = _engines[0]
    yield from Animator.animate(engine, character, motion, settings, prompt)
    if engine.learnt is not None:
        yield engine.learnt
