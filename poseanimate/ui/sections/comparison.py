"""Variants of one job, with each module off in turn or with values of one setting, as one clip of tiles.

The tiles are one video, so they can't get out of step.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import gradio as gr
import numpy as np
from numpy.typing import NDArray

from poseanimate.errors import SettingsError
from poseanimate.events import Stage, Step
from poseanimate.media import tiled
from poseanimate.settings import Settings
from poseanimate.ui import texts
from poseanimate.ui.event_options import CHOSEN, QUIET
from poseanimate.ui.input_cache import FormValues
from poseanimate.ui.outputs import Outputs
from poseanimate.ui.runs.clips import write_clip
from poseanimate.ui.runs.kept import keep
from poseanimate.ui.runs.run_view import COMPARISON, RunView
from poseanimate.ui.runs.work import Work
from poseanimate.ui.sections.inputs import InputComponents
from poseanimate.ui.sections.run import Handlers, connect_start, run_outputs, running
from poseanimate.ui.sections.settings import SWITCHES
from poseanimate.ui.widgets.contact_sheet import enlargement

Picture = NDArray[np.uint8]

MAX_TILES = 9
NAME = "poseanimate-comparison.mp4"
TILE_PX = 256
LABEL_PX = 24
MAX_VALUES_CHARACTERS = 200
SWEPT = tuple(each.name for each in fields(Settings))


@dataclass(frozen=True)
class ComparisonSection:
    """The stage's comparison: variants of one job.

    told: which modules are turned off.
    """

    tab: gr.Tab
    choice: list[gr.components.Component]  # kind, setting, values
    told: gr.HTML
    compare: gr.Button
    grid: gr.Video


def add_comparison(tab: gr.Tab) -> ComparisonSection:
    """What its tab of the stage holds."""
    gr.Markdown(texts.COMPARISON_HELP)
    kind = gr.Radio(
        texts.COMPARISON_KINDS,
        value=texts.BY_MODULES,
        show_label=False,
        container=False,
        elem_id="compare-kind",
    )
    told = gr.HTML(elem_id="compare-told")
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
    return ComparisonSection(tab, [kind, name, several], told, compare, grid)


class ComparisonHandlers:
    """The handlers of the page's comparison; its runs belong to the session, as those of Generate do."""

    def __init__(self, handlers: Handlers) -> None:
        self.handlers = handlers

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
        run = self.handlers.start(request)
        chosen = kind, name, several or ""
        steps = self._steps(request, run, chosen, picture, joints, prompt, values)
        run.kind = COMPARISON
        work = self.handlers.work(
            run, steps, lambda: keep(self.handlers.own_clips, run, run.compared)
        )
        yield from self.follow(work)

    def follow(self, work: Work) -> Iterator[Outputs]:
        """Updates the page after each step of a comparison, which another page may have begun, until it is over."""
        run, shown = work.run, b""
        for _ in work.follow():
            yield run_outputs(bar=self.handlers.bar(run))
            if run.compared is not shown:
                yield from _show(run)
            shown = run.compared
        if run.compared is not shown:
            yield from _show(run)
        said = texts.compared(len(run.variants), run.stopped, run.trouble)
        yield run_outputs(bar=said, **running(False))

    def _steps(
        self,
        request: gr.Request,
        run: RunView,
        chosen: tuple[str, str, str],
        picture: str | None,
        joints: str,
        prompt: str,
        values: Sequence[Any],
    ) -> Generator[None, None, None]:
        """The steps of a comparison; raises what is wrong with its inputs."""
        kind, name, several = chosen
        form = FormValues.of(values)
        settings = form.settings()
        by = kind == texts.BY_MODULES
        jobs = by_modules(settings) if by else by_values(settings, name, several)
        for number, (label, each) in enumerate(jobs.items()):
            if message := self.handlers.rate_limit.count(request):
                run.trouble = message
                return
            of = texts.variant(label, number + 1, len(jobs))
            character = self.handlers.load_character(request, picture, joints, each)
            one = RunView(clock=self.handlers.clock, joints=joints)
            one.begin()
            events = self.handlers.events(one, character, prompt, form.motion(), each, run)
            with closing(events):
                for event in events:
                    one.take(event)
                    if isinstance(event, Stage | Step):
                        run.bar = texts.sentence(of) + one.bar
                        yield
            run.fps, run.variants[label] = one.fps, one.frames
            run.job = run.job or (one.job and replace(one.job, settings=settings))
            run.compared = _side_by_side_clip(run)
            run.all_compared = number + 1 == len(jobs)
            yield


def _show(run: RunView) -> Iterator[Outputs]:
    """The variants that are finished, side by side."""
    with TemporaryDirectory(prefix="poseanimate-") as folder:
        path = Path(folder) / NAME
        path.write_bytes(run.compared)
        yield run_outputs(grid=gr.update(value=str(path), visible=True))


def _side_by_side_clip(run: RunView) -> bytes:
    with TemporaryDirectory(prefix="poseanimate-") as folder:
        path = Path(folder) / NAME
        write_clip(side_by_side(run.variants), path, run.fps)
        return path.read_bytes()


def tell_modules(kind: str, *switches: bool) -> str:
    """Which modules a comparison turns off, and which are off already; empty for values of a setting.

    Args:
        switches: of `SWITCHES`.
    """
    if kind != texts.BY_MODULES:
        return ""
    given = list(zip(SWITCHES, switches, strict=True))
    return texts.modules_compared([n for n, on in given if on], [n for n, on in given if not on])


def by_modules(settings: Settings) -> dict[str, Settings]:
    """The job as set, and without each of its modules.

    Raises:
        SettingsError: it has none.
    """
    on = [name for name in SWITCHES if getattr(settings, name)]
    if not on:
        raise SettingsError(texts.ALL_OFF, texts.ALL_OFF_REMEDY)
    return {texts.YOURS: settings} | {texts.without(n): settings.changed({n: False}) for n in on}


def by_values(settings: Settings, name: str, values: str) -> dict[str, Settings]:
    """The job with each value of a setting.

    Args:
        values: as typed, separated by commas.

    Raises:
        SettingsError: no such setting, less than two values or too many, or one outside its range.
    """
    given = [value.strip() for value in values[:MAX_VALUES_CHARACTERS].split(",") if value.strip()]
    given = list(dict.fromkeys(given))
    label = texts.label(name)
    variants = {f"{label} {each}": settings.changed({name: each}) for each in given[:MAX_TILES]}
    if not 2 <= len(given) <= MAX_TILES:
        raise SettingsError(
            f"{len(given)} value{' is' if len(given) == 1 else 's are'} given; 2 to {MAX_TILES} are possible.",
            "Type values with commas between them, for instance 0.3, 0.5, 0.7.",
        )
    return variants


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
    comparing: ComparisonSection,
    outputs: list[Any],
    key: gr.BrowserState,
    timer: gr.Timer,
    diffusion: dict[str, Any],
) -> Any:
    """The button of the comparison; it and Generate exclude each other. Returns the event.

    Args:
        outputs: as RESULT_OUTPUTS. key: of the browser. diffusion: where runs wait for one another.
    """
    kind: Any = comparing.choice[0]
    switches: list[Any] = [inputs.settings[name] for name in SWITCHES]
    # a tab that has not been opened loses what is sent to it
    told_by = [comparing.tab.select, kind.change, *(each.change for each in switches)]
    gr.on(told_by, tell_modules, [kind, *switches], comparing.told, **CHOSEN)
    return connect_start(
        comparing.compare,
        comparison.handlers,
        comparison.compare,
        [*comparing.choice, *inputs.all],
        outputs,
        key,
        timer,
        show_progress="hidden",
        **diffusion,
    )
