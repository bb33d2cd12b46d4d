"""Variants of one job, with each module off in turn or with values of one setting, as one clip of tiles.

The tiles are one video, so they can't get out of step.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import gradio as gr
import numpy as np
from numpy.typing import NDArray

from poseanimate.errors import PoseAnimateError, SettingsError
from poseanimate.events import Stage, Step
from poseanimate.inputs.character import Character
from poseanimate.media import tiled
from poseanimate.settings import Settings
from poseanimate.ui import texts
from poseanimate.ui.event_options import QUIET
from poseanimate.ui.input_cache import FormValues
from poseanimate.ui.outputs import Outputs, in_order
from poseanimate.ui.runs.clips import write_clip
from poseanimate.ui.runs.run_view import RunView
from poseanimate.ui.sections.inputs import InputComponents
from poseanimate.ui.sections.run import Handlers, RunSection, start_timer
from poseanimate.ui.widgets.contact_sheet import enlargement

_log = logging.getLogger(__name__)

Picture = NDArray[np.uint8]

COMPARISON_OUTPUTS = ("bar", "grid", "generate", "compare", "stop")
MODULES = ("pata", "pacm_source", "pacm_pose", "dcam", "mgdm")
MAX_TILES = 9
TILE_PX = 256
LABEL_PX = 24
MAX_VALUES_CHARACTERS = 200
SWEPT = tuple(each.name for each in fields(Settings))


@dataclass(frozen=True)
class ComparisonSection:
    """The stage's comparison: variants of one job."""

    choice: list[gr.components.Component]  # kind, setting, values
    compare: gr.Button
    grid: gr.Video


def add_comparison() -> ComparisonSection:
    gr.Markdown(texts.COMPARISON_HELP)
    kind = gr.Radio(
        texts.COMPARISON_KINDS,
        value=texts.BY_MODULES,
        show_label=False,
        container=False,
        elem_id="compare-kind",
    )
    with gr.Row(visible=False) as chosen:
        name = gr.Dropdown(
            [(texts.label(each), each) for each in SWEPT],
            value="lambda_first",
            label=texts.SWEPT,
            elem_id="compare-setting",
        )
        several = gr.Textbox(
            "0.3, 0.7, 1",
            label=texts.SWEPT_VALUES,
            max_length=MAX_VALUES_CHARACTERS,
            elem_id="compare-values",
        )
    compare = gr.Button(texts.COMPARE, elem_id="compare")
    grid = gr.Video(
        label=texts.GRID,
        interactive=False,
        autoplay=True,
        loop=True,
        buttons=["download"],
        visible="hidden",
        elem_id="grid",
    )
    kind.change(lambda of: gr.Row(visible=of == texts.BY_VALUES), kind, chosen, **QUIET)
    return ComparisonSection([kind, name, several], compare, grid)


class ComparisonHandlers:
    """The handlers of the page's comparison; its runs belong to the session, as those of Generate do."""

    def __init__(self, handlers: Handlers) -> None:
        self.handlers = handlers

    def begin(self, request: gr.Request) -> Outputs:
        """Answers the click at once."""
        self.handlers.begin(request)
        return comparison_outputs(
            bar=self.handlers.waiting_bar(request),
            generate=gr.Button(interactive=False),
            compare=gr.Button(interactive=False),
            stop=gr.Button(interactive=True),
        )

    def compare(
        self,
        request: gr.Request,
        kind: str,
        name: str,
        several: str,
        picture: str | None,
        joints: str,
        prompt: str,
        *values: Any,
    ) -> Iterator[Outputs]:
        """Runs a job's variants one after the other and shows their clips side by side.

        Args:
            kind: texts.BY_MODULES or texts.BY_VALUES, of the setting `name`, `several` of them as typed.
            values: of `MOTION_NAMES`, then of `SETTING_NAMES`.
        """
        run, clips = self.handlers.start(request), {}
        trouble = ""
        try:
            form = FormValues.of(values)
            settings = form.settings()
            jobs = (
                by_modules(settings)
                if kind == texts.BY_MODULES
                else by_values(settings, name, several or "")
            )
            for number, (label, each) in enumerate(jobs.items()):
                if trouble := self.handlers.rate_limit.count(request):
                    break
                of = texts.variant(label, number + 1, len(jobs))
                character = self.handlers.load_character(request, picture, joints, each)
                made = self._clip_of(run, of, character, prompt, form, each)
                frames = yield from made
                if run.stopped:
                    break
                clips[label] = frames
                yield from self._tiles(clips, run)
        except PoseAnimateError as error:
            trouble = str(error)
        except Exception:
            _log.exception("A comparison failed.")
            trouble = texts.INTERNAL
        finally:
            self.handlers.forget(request)
        yield comparison_outputs(
            bar=texts.compared(len(clips), run.stopped, trouble),
            generate=gr.Button(interactive=True),
            compare=gr.Button(interactive=True),
            stop=gr.Button(interactive=False),
        )

    def failed(self, request: gr.Request) -> Outputs:
        """The comparison never began, because the queue is full."""
        self.handlers.forget(request)
        return comparison_outputs(
            bar=texts.sentence(texts.TOO_MANY, "error"),
            generate=gr.Button(interactive=True),
            compare=gr.Button(interactive=True),
            stop=gr.Button(interactive=False),
        )

    def _clip_of(
        self,
        whole: RunView,
        of: str,
        character: Character,
        prompt: str,
        form: FormValues,
        settings: Settings,
    ) -> Generator[Outputs, None, list[Picture]]:
        """One variant's frames; stops when the whole comparison is stopped."""
        run = RunView(clock=self.handlers.clock)
        run.begin()
        with closing(
            self.handlers.events(run, character, prompt, form.motion(), settings)
        ) as events:
            for event in events:
                run.take(event)
                if whole.stopped:
                    break
                if isinstance(event, Stage | Step):
                    yield comparison_outputs(bar=texts.sentence(of) + run.bar)
        whole.fps = run.fps
        return run.frames

    def _tiles(
        self, clips: dict[str, list[Picture]], run: RunView
    ) -> Generator[Outputs, None, None]:
        with TemporaryDirectory(prefix="poseanimate-") as folder:
            path = Path(folder) / "poseanimate-comparison.mp4"
            write_clip(side_by_side(clips), path, run.fps)
            yield comparison_outputs(grid=gr.update(value=str(path), visible=True))


def comparison_outputs(**changed: Any) -> Outputs:
    """New values of `COMPARISON_OUTPUTS`; what isn't named stays as it is."""
    return in_order(COMPARISON_OUTPUTS, changed)


def by_modules(settings: Settings) -> dict[str, Settings]:
    """The job as set, and without each of its modules."""
    on = [name for name in MODULES if getattr(settings, name)]
    return {texts.YOURS: settings} | {texts.without(n): settings.changed({n: False}) for n in on}


def by_values(settings: Settings, name: str, values: str) -> dict[str, Settings]:
    """The job with each value of a setting.

    Args:
        values: as typed, separated by commas.

    Raises:
        SettingsError: no such setting, no value or too many, or one outside its range.
    """
    given = [value.strip() for value in values[:MAX_VALUES_CHARACTERS].split(",") if value.strip()]
    if not 1 <= len(given) <= MAX_TILES:
        raise SettingsError(
            f"{len(given)} values are given; 1 to {MAX_TILES} are possible.",
            "Type values with commas between them, for instance 0.3, 0.5, 0.7.",
        )
    return {f"{texts.label(name)} {value}": settings.changed({name: value}) for value in given}


def side_by_side(clips: Mapping[str, Sequence[Picture]]) -> list[Picture]:
    """Clips side by side with their names above them; a shorter one holds its last frame.

    Args:
        clips: name → frames (H, W, 3) uint8, all of one aspect.
    """
    length = max(len(frames) for frames in clips.values())
    first = next(iter(clips.values()))[0]
    columns = math.ceil(math.sqrt(len(clips)))
    factor = enlargement(first.shape[1], first.shape[0], TILE_PX)
    size = (first.shape[1] * factor, first.shape[0] * factor)
    labels = {name: _label(name, size[0]) for name in clips}
    made = []
    for i in range(length):
        tiles = []
        for name, frames in clips.items():
            frame = frames[min(i, len(frames) - 1)]
            large = cv2.resize(frame, size, interpolation=cv2.INTER_LANCZOS4)
            tiles.append(np.concatenate([labels[name], large]).astype(np.uint8, copy=False))
        made.append(tiled(tiles, columns))
    return made


def _label(text: str, width: int) -> Picture:
    """A name in dark letters on white, (LABEL_PX, width, 3)."""
    label = np.full((LABEL_PX, width, 3), 255, np.uint8)
    cv2.putText(
        label, text[:40], (4, LABEL_PX - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (30, 30, 30), 1,
        cv2.LINE_AA,
    )  # fmt: skip
    return label


def connect_comparison(
    comparison: ComparisonHandlers,
    inputs: InputComponents,
    run: RunSection,
    comparing: ComparisonSection,
    timer: gr.Timer,
    diffusion: dict[str, Any],
) -> None:
    """The button of the comparison; it and Generate exclude each other."""
    # as COMPARISON_OUTPUTS
    outputs = [run.bar, comparing.grid, run.generate, comparing.compare, run.stop]
    comparing.compare.click(comparison.begin, None, outputs, **QUIET)
    comparing.compare.click(*start_timer(timer), **QUIET)
    compared = comparing.compare.click(
        comparison.compare,
        [*comparing.choice, *inputs.all],
        outputs,
        show_progress="hidden",
        api_visibility="private",
        **diffusion,
    )
    compared.failure(comparison.failed, None, outputs, **QUIET)
