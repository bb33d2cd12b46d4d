"""From one picture and a motion to a clip, as a stream of events.

Notable: closing the stream stops the work at the next step and leaves nothing behind; what is finished is cached;
frames leave chunk by chunk.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from poseanimate.errors import DeviceError, MotionError, first_line
from poseanimate.events import Aligned, Done, Event, Forecast, Note, Stage
from poseanimate.inputs.aligner import Aligner, full_side
from poseanimate.inputs.character import Character
from poseanimate.inputs.prompt import find_character_words
from poseanimate.method.denoiser import branches
from poseanimate.models.family import Models
from poseanimate.pipeline.cost import CostModel, MemoryMonitor
from poseanimate.pipeline.crop import Crop, Window, find_window
from poseanimate.pipeline.memory import is_out_of_memory, release
from poseanimate.pipeline.run import Run
from poseanimate.poses.motion import Motion
from poseanimate.poses.pata import Alignment, Severity
from poseanimate.settings import Settings
from poseanimate.storage.stage_cache import StageCache

__all__ = ["Animator", "Character"]


class Animator(Aligner):
    """Animates characters with one family of models.

    One run at a time: a run puts its own attention into the family's U-Net while a step lasts.

    Args:
        max_side: larger pictures than the models' keep their size, up to the area of a square with this side in
            pixels; None: all have the models' area.
        chunk_size: frames that are generated together; None: as many as fit into memory. It changes speed and memory,
            not results.

    Raises:
        SettingsError: max_side is smaller than the models' side, or more than twice that.
    """

    def __init__(
        self,
        models: Models,
        cache: StageCache | None = None,
        max_side: int | None = None,
        chunk_size: int | None = None,
    ) -> None:
        super().__init__(models.inputs, max_side)
        self.models = models
        self.cache = cache
        self.chunk_size = chunk_size
        self.cost_model: CostModel | None = None  # from the last run

    @property
    def places(self) -> int:
        """How many runs may go on at once."""
        return 1

    @property
    def answering(self) -> int:
        """How many places can be used now."""
        return self.places

    @property
    def identity(self) -> str:
        """Of the models."""
        return self.models.identity

    @property
    def family(self) -> str:
        """Of the models, see `Settings.preset`."""
        return self.models.family

    @property
    def image_prompts(self) -> bool:
        """Whether a picture can be a prompt."""
        return self.models.ip_adapter is not None

    def knows_word(self, word: str) -> bool:
        """Whether the models have a token for a word."""
        return len(self.models.token_positions(word, [word])) == 1

    def find_character_words(self, prompt: str, chosen: str) -> list[str]:
        """The words of a prompt that name the character: the chosen ones, by default those before a place phrase."""
        return find_character_words(prompt, chosen, self.models.places)

    def draw_character(self, seed: int) -> tuple[NDArray[np.uint8], str] | None:
        """A new picture of the models' own world, (H, W, 3), and its prompt; None where they paint any picture."""
        draw = self.models.draw_character
        return None if draw is None else draw(seed)

    def animate(
        self,
        picture: Image.Image | Character,
        motion: Motion,
        settings: Settings,
        prompt: str = "",
    ) -> Iterator[Event]:
        """Yields events until Done.

        Frames have the size of a given character's picture. A given picture is brought to the size that the
        models paint, or with `settings.crop` keeps its own, up to the area of 1920x1080 px.

        Raises:
            NoCharacterError, SeveralCharactersError: see `character`.
            MotionError: PATA finds that the motion can't be used.
            SettingsError: the prompt is too long, or no text.
            DeviceError: memory runs out, the device fails, or results are no numbers.
        """
        started = time.monotonic()
        yield Stage("character", 1)
        character = self._character(picture, settings)
        seen = time.monotonic()
        yield Stage("alignment", 1)
        alignment = self.align(character, motion, settings)
        yield Aligned(alignment, character.picture, character.mask)
        for finding in alignment.findings:
            if finding.severity is Severity.ERROR:
                raise MotionError(finding.message, finding.remedy)
            yield Note(str(finding), finding.severity is Severity.WARNING)
        if len(alignment.poses) < 2:
            raise MotionError(
                "The motion has no frames.", "Choose a motion with at least one pose."
            )
        crop = self._crop(character, alignment, settings)
        run = self._run(crop, settings, prompt)
        run.seconds |= {"character": seen - started, "alignment": time.monotonic() - seen}
        monitor, whole = MemoryMonitor(self.models.device), False
        try:
            with closing(run.events()) as events:  # what it holds is given back below
                for event in crop.put_back(events):
                    monitor.update()
                    whole = whole or isinstance(event, Done)
                    yield event
        except (RuntimeError, MemoryError) as error:
            failure = _device_error(error)
            if failure is None:
                raise
            raise failure from error
        finally:
            if self.models.device.type == "cuda":
                release(self.models.device)  # page-locked memory is the whole machine's
            # what was stopped has measured its first stages alone
            if run.timer.pace_s is not None and (whole or self.cost_model is None):
                area = self._relative_area(run.character)
                pace_s = run.timer.pace_s / branches(settings.guidance_scale) / area
                self.cost_model = monitor.cost_model(pace_s, _samples(run) * area)

    def forecast(
        self, character: Character, motion: Motion, settings: Settings, prompt: str = ""
    ) -> Forecast | None:
        """What a run would cost, without running it; None where it would not begin."""
        alignment = self.align(character, motion, settings)
        if alignment.errors or len(alignment.poses) < 2:
            return None
        crop = self._crop(character, alignment, settings)
        run = self._run(crop, settings, prompt)
        plan, model = run.plan(), self._cost_model(character)
        cached = tuple(stage for stage, passes in plan.items() if not passes)
        to_do = tuple(stage for stage, passes in plan.items() if passes)
        height, width = character.picture.shape[:2]
        if model is None:
            return Forecast(cached, to_do, (width, height), None)
        area = self._relative_area(run.character)
        seconds = model.seconds(sum(plan.values()) * area, branches(settings.guidance_scale))
        memory = model.memory_bytes(_samples(run) * area)
        return Forecast(cached, to_do, (width, height), seconds, memory)

    def _cost_model(self, character: Character) -> CostModel | None:
        """Of whatever would run this character's job."""
        return self.cost_model

    def _character(self, picture: Image.Image | Character, settings: Settings) -> Character:
        if isinstance(picture, Character):
            return picture
        return self.character(picture, most_side=full_side(settings))

    def _crop(self, character: Character, alignment: Alignment, settings: Settings) -> Crop:
        height, width = character.picture.shape[:2]
        window = Window(0, 0, width, height)
        if settings.crop:
            window = find_window(character, alignment.poses)
        size = self.fit_size(window.width, window.height)
        return Crop(character, alignment, window, size, settings.crop)

    def _run(self, crop: Crop, settings: Settings, prompt: str) -> Run:
        seen = crop.inside, crop.alignment_inside
        return Run(self.models, self.cache, *seen, settings, prompt, self.chunk_size)

    def _relative_area(self, character: Character) -> float:
        """The area of what the models see, in areas of the models' own square."""
        height, width = character.picture.shape[:2]
        return height * width / self.models.side**2


def _samples(run: Run) -> int:
    """How many samples the networks evaluate at once: a chunk's frames in each guidance branch."""
    frames = min(run.current_chunk_size, len(run.poses) - 1)
    return frames * branches(run.settings.guidance_scale)


def _device_error(error: Exception) -> DeviceError | None:
    """A device's failure as a sentence; None for other errors."""
    if is_out_of_memory(error):
        return DeviceError(
            "Memory ran out, even for one frame at a time.",
            "Close what else uses it, choose a smaller picture, or another device.",
        )
    if isinstance(error, torch.AcceleratorError):
        return DeviceError(
            f"The device has failed ({first_line(error)}).",
            "Start the program again: finished stages are kept, and the job goes on from them.",
        )
    return None
