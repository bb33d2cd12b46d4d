"""The engine on a ZeroGPU Space: each run borrows a GPU for as long as its forecast says.

A run happens in a forked worker. Its arguments and events are pickled, and what it changes in memory is lost, so
it yields the learnt cost model as its last item. Stage results are cached on disk, where both processes see them.
Detection and segmentation stay in the page's process, which has no GPU.
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

START_S = 15  # to start a worker, with a margin
UNKNOWN_S = 120  # for the first run, which has no forecast
MAX_S = 600
MARGIN = 1.3

_engines: list[Animator] = []  # a forked worker finds the models here


class ZeroGPU(Animator):
    """An animator whose runs borrow a GPU."""

    def __init__(
        self, models: Models, cache: StageCache | None = None, max_side: int | None = None
    ) -> None:
        import spaces  # installed on Spaces; not needed elsewhere

        super().__init__(models, cache, max_side)
        _engines[:] = [self]
        self._run_on_gpu: Any = spaces.GPU(duration=borrowed_s)(_run)

    def animate(
        self,
        picture: Image.Image | Character,
        motion: Motion,
        settings: Settings,
        prompt: str = "",
    ) -> Iterator[Event]:
        """See `Animator.animate`."""
        character = self._character(picture, settings)
        with closing(self._run_on_gpu(character, motion, settings, prompt)) as events:
            for event in events:
                if isinstance(event, CostModel):
                    self.cost_model = event
                else:
                    yield event


def borrowed_s(character: Character, motion: Motion, settings: Settings, prompt: str) -> int:
    """How long a run needs a GPU, in seconds."""
    forecast = _engines[0].forecast(character, motion, settings, prompt)
    known_s = None if forecast is None else forecast.seconds
    needed_s = UNKNOWN_S if known_s is None else MARGIN * known_s
    return round(min(START_S + needed_s, MAX_S))


def _run(
    character: Character, motion: Motion, settings: Settings, prompt: str
) -> Iterator[Event | CostModel]:
    engine = _engines[0]
    yield from Animator.animate(engine, character, motion, settings, prompt)
    if engine.cost_model is not None:
        yield engine.cost_model
