"""The engine whose runs go on in a cluster's workers, as many at once as there are.

Detection, segmentation, the fit and forecasts stay in this process. A worker that is lost costs a note and what wasn't
cached: another one does the job again, and what has been shown isn't shown again.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any, cast

from numpy.typing import NDArray
from PIL import Image

from poseanimate.animator import Animator, Character
from poseanimate.engines.fleet import Fleet, LostWorker, Place
from poseanimate.engines.worker import Identity
from poseanimate.errors import DeviceError, PoseAnimateError
from poseanimate.events import Aligned, Done, Event, Frame, Note, Placed, Preview, Stage
from poseanimate.models.family import Models
from poseanimate.pipeline.cost import CostModel, keep_cost_model, kept_cost_model
from poseanimate.poses.motion import Motion
from poseanimate.settings import Settings
from poseanimate.storage.stage_cache import StageCache, content_key

TRIES = 3
HEARTBEAT_S = 1.0  # between the events of a job that waits for a worker
PATIENCE_S = 120.0  # for a worker, while none answers: longer than loading Stable Diffusion takes


class Cluster(Animator):
    """An animator whose runs go on elsewhere.

    Args:
        models: for what stays here.
        fleet: connected; its workers are started, and not waited for.
        load: makes a worker's animator, with the same models.
    """

    def __init__(
        self,
        models: Models,
        cache: StageCache | None,
        max_side: int | None,
        fleet: Fleet,
        load: Callable[[], Animator],
        patience_s: float = PATIENCE_S,
    ) -> None:
        super().__init__(models, cache, max_side)
        self._fleet, self._patience_s = fleet, patience_s
        self._cost_models: dict[str, CostModel] = {}  # by kind of device
        fleet.start(load, Identity.of(self.identity))

    @property
    def places(self) -> int:
        """How many runs may go on at once."""
        return self._fleet.places

    @property
    def answering(self) -> int:
        """How many workers can be used now, busy ones included."""
        return self._fleet.answering

    def animate(
        self,
        picture: Image.Image | Character,
        motion: Motion,
        settings: Settings,
        prompt: str = "",
    ) -> Iterator[Event]:
        """See `Animator.animate`.

        Raises:
            DeviceError: also where no worker answers for long, or the job was lost with several.
        """
        character = self._character(picture, settings)
        shown = _Shown()
        for _ in range(TRIES):
            place = yield from self._take(character)
            with closing(self._on(place, character, motion, settings, prompt)) as events:
                try:
                    yield from shown.only_new(events)
                    return
                except LostWorker:
                    words = (
                        f"Engine {place.number} was lost; another one does again what wasn't kept."
                    )
            yield Note(words, warning=False)
        raise DeviceError(
            f"The job was lost with its engine {TRIES} times.",
            "Choose a smaller picture or fewer frames, or look into the engines' logs: they may lack memory.",
        )

    def _take(self, character: Character) -> Generator[Event, None, Place]:
        """Waits for a worker; it tells so, and each time it does the run can be closed."""
        waited_s = 0.0
        wait_s = 0.0
        while (place := self._fleet.take(self._key(character), wait_s)) is None:
            waited_s = 0.0 if self._fleet.answering else waited_s + wait_s
            trouble = self._fleet.trouble
            if trouble or waited_s >= self._patience_s:
                raise DeviceError(
                    f"None of the {self.places} engines answers. {trouble}".strip(),
                    "Start them again: finished stages are kept, and the job goes on from them.",
                )
            yield Stage("engine", 1)
            wait_s = HEARTBEAT_S
        return place

    def _on(self, place: Place, *job: Any) -> Generator[Event, None, None]:
        """A run on a worker, and in which place it goes on at each stage."""
        device = "" if place.answer is None else place.answer.device
        items = cast(Generator[Any, None, None], self._fleet.stream(place, *job))
        with closing(items):
            for item in items:
                if isinstance(item, CostModel):
                    self._cost_models[device] = item
                    keep_cost_model(self.cache, self.identity, device, item)
                elif isinstance(item, PoseAnimateError):
                    raise item
                else:
                    if isinstance(item, Stage):
                        yield Placed(place.number, self._fleet.busy, self.places)
                    yield item

    def _cost_model(self, character: Character) -> CostModel | None:
        worker = self._fleet.suits(self._key(character))
        if worker is None:
            return None
        learnt = self._cost_models.get(worker.device)
        return learnt or kept_cost_model(self.cache, self.identity, worker.device)

    def _key(self, character: Character) -> str:
        return content_key(self.identity, character.picture)


class _Shown:
    """What a run has shown, so that a second try leaves it out."""

    def __init__(self) -> None:
        self._frames: list[NDArray[Any]] = []
        self._notes: set[str] = set()
        self._aligned = False

    def only_new(self, events: Iterator[Event]) -> Iterator[Event]:
        for event in events:
            match event:
                case Aligned():
                    if self._aligned:
                        continue
                    self._aligned = True
                case Note(text):
                    if text in self._notes:
                        continue
                    self._notes.add(text)
                case Preview(index) if index < len(self._frames):
                    continue
                case Frame(index, picture):
                    if index < len(self._frames):
                        continue
                    self._frames.append(picture)
                case Done():
                    event = replace(event, frames=tuple(self._frames))
            yield event
