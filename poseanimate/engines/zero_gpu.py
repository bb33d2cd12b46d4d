"""The engine on a ZeroGPU Space: each run borrows a GPU for as long as its forecast says.

A run happens in a forked worker. Its arguments and events are pickled, and what it changes in memory is lost, so
it yields the learnt cost model as its last item. Stage results are cached on disk, where both processes see them.
Detection and segmentation stay in the page's process, which has no GPU.

Visitors have a few GPU seconds a day, and a run that asks for more than what is left isn't begun, however little it
would have used. So a run asks for little, and one that can't fit is told before it begins.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import gradio as gr
from PIL import Image

from poseanimate.animator import Animator, Character
from poseanimate.errors import DeviceError, PoseAnimateError
from poseanimate.events import Event, Forecast
from poseanimate.models.family import Models
from poseanimate.pipeline.cost import CostModel, keep_cost_model, kept_cost_model
from poseanimate.poses.motion import Motion
from poseanimate.settings import Settings
from poseanimate.storage.stage_cache import StageCache

START_S = 10  # to start a worker
MARGIN = 1.3  # by which runs differ
FIRST_S = 60  # what is asked for at most while no run has been measured
MAX_S = 300  # a run may ask for: 900 s are refused to everybody
DAILY_S = 120  # of a visitor without an account
GUESS = CostModel(pace_s=0.025, fixed_bytes=0, sample_bytes=0)
"""Nearly twice what half a current card should take: the paper's settings, 5.5 PFLOP with Stable Diffusion 1.5 at
512x512 px, are 8150 such passes, which is 0.014 s each at 50 TFLOP/s (docs/sd15.md)."""
SHORTEST = 4  # frames that are proposed instead

_engines: list[Animator] = []  # a forked worker finds the models here


class ZeroGPU(Animator):
    """An animator whose runs borrow a GPU."""

    def __init__(
        self, models: Models, cache: StageCache | None = None, max_side: int | None = None
    ) -> None:
        import spaces  # installed on Spaces; not needed elsewhere

        super().__init__(models, cache, max_side)
        self._card, self.duration_factor = _card()
        self.cost_model = kept_cost_model(cache, self.identity, self._card)
        _engines[:] = [self]
        self._run_on_gpu: Any = spaces.GPU(duration=borrowed_s)(_run)

    def animate(
        self,
        picture: Image.Image | Character,
        motion: Motion,
        settings: Settings,
        prompt: str = "",
    ) -> Iterator[Event]:
        """See `Animator.animate`.

        Raises:
            DeviceError: also where the run would need a GPU for longer than one is lent.
        """
        character = self._character(picture, settings)
        job = character, motion, settings, prompt
        needed_s = self.needed_s(*job)
        if needed_s is None:  # it ends before the diffusion models, so it needs no GPU
            yield from super().animate(*job)
            return
        if needed_s > self._most_s:
            raise DeviceError(self._too_long(needed_s), self._what_fits(*job))
        with closing(self._run_on_gpu(*job)) as events:
            for event in _in_sentences(events):
                if isinstance(event, PoseAnimateError):
                    raise event
                if isinstance(event, CostModel):
                    self.cost_model = event
                    keep_cost_model(self.cache, self.identity, self._card, event)
                else:
                    yield event

    def forecast(
        self, character: Character, motion: Motion, settings: Settings, prompt: str = ""
    ) -> Forecast | None:
        """See `Animator.forecast`; it says where a GPU isn't lent for long enough, and what would fit."""
        job = character, motion, settings, prompt
        found = super().forecast(*job)
        needed_s = _with_margin(found)
        if found is None or needed_s is None:
            return found
        if self.cost_model is None:  # a guess isn't told as a forecast
            found = replace(found, seconds=None, memory_bytes=None)
        if needed_s > self._most_s:
            return replace(found, remark=f"{self._too_long(needed_s)} {self._what_fits(*job)}")
        if needed_s > DAILY_S:
            few = (
                f"Visitors without an account have {DAILY_S} s of a GPU a day, and this run asks for "
                f"{needed_s:.0f} s. Log in to Hugging Face first, or make it shorter."
            )
            return replace(found, remark=f"{few} {self._what_fits(*job)}")
        return found

    def needed_s(
        self, character: Character, motion: Motion, settings: Settings, prompt: str
    ) -> float | None:
        """How long a run needs a GPU at most, in seconds; None where it would not begin."""
        return _with_margin(super().forecast(character, motion, settings, prompt))

    @property
    def _most_s(self) -> int:
        return FIRST_S if self.cost_model is None else MAX_S

    def _cost_model(self, character: Character) -> CostModel | None:
        return self.cost_model or GUESS

    def _too_long(self, needed_s: float) -> str:
        if self.cost_model is None:
            return (
                f"No run has been measured here yet, so a GPU is borrowed for {FIRST_S} s at most, and this one may "
                f"need {needed_s:.0f} s."
            )
        return f"This run needs a GPU for {needed_s:.0f} s, and one is lent for {MAX_S} s at most."

    def _what_fits(
        self, character: Character, motion: Motion, settings: Settings, prompt: str
    ) -> str:
        """A job like this one that asks for no more than a run may, and visitors without an account have."""
        frames = settings.frames
        quick = replace(Settings.preset("fast", self.family), loop=settings.loop)
        while frames >= SHORTEST:
            shorter = replace(quick, frames=frames)
            needed_s = self.needed_s(character, motion, shorter, prompt)
            if needed_s is not None and needed_s <= min(self._most_s, DAILY_S):
                return f"The preset fast with {frames} frames asks for {needed_s:.0f} s."
            frames //= 2
        return "A smaller picture and fewer frames take less."


def borrowed_s(character: Character, motion: Motion, settings: Settings, prompt: str) -> float:
    """How long a run asks for a GPU, in seconds as `spaces` counts them: it multiplies them on slower cards, where the
    forecast already knows the pace.
    """
    engine = _engines[0]
    assert isinstance(engine, ZeroGPU)
    needed_s = engine.needed_s(character, motion, settings, prompt)
    assert needed_s is not None, "a run that would not begin borrows none"
    return needed_s / engine.duration_factor


def _with_margin(forecast: Forecast | None) -> float | None:
    if forecast is None or forecast.seconds is None:
        return None
    return START_S + MARGIN * forecast.seconds


def _card() -> tuple[str, float]:
    """The card that is lent, and by what `spaces` multiplies durations on it."""
    from spaces.zero.config import get_config

    with warnings.catch_warnings():  # where there is no driver, as elsewhere than on a Space
        warnings.simplefilter("ignore")
        card = get_config()
    return str(card["model"]), float(card["duration_factor"])


def _in_sentences(events: Iterator[Any]) -> Iterator[Any]:
    """The same events; what the platform refuses, as an error with a remedy."""
    try:
        yield from events
    except gr.Error as error:
        title = getattr(error, "title", "") or "ZeroGPU"
        raise DeviceError(
            f"{title}: {re.sub('<[^>]*>', '', str(error.message)).strip().rstrip('.')}.",
            "Log in to Hugging Face, try again later, or make fewer frames; finished stages are kept.",
        ) from error


def _run(
    character: Character, motion: Motion, settings: Settings, prompt: str
) -> Iterator[Event | CostModel | PoseAnimateError]:
    """A run in a worker. Of what is raised there only the class's name gets out, so errors for people are yielded."""
    engine = _engines[0]
    try:
        yield from Animator.animate(engine, character, motion, settings, prompt)
    except PoseAnimateError as error:
        yield error.with_traceback(None)
    if engine.cost_model is not None:
        yield engine.cost_model
