"""Gradio's page, whose events never end in a traceback of Gradio's: unusable values get a sentence, faults one line."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from errno import EDQUOT, ENOSPC
from typing import Any

import gradio as gr

from poseanimate.engines.engine import Engine
from poseanimate.errors import SettingsError
from poseanimate.settings import Settings
from poseanimate.storage.shared_clips import SharedClips
from poseanimate.ui import texts
from poseanimate.ui.runs.run_counts import RunCounts

_log = logging.getLogger(__name__)

SETTING = "setting-"  # then the setting's name, as `element_id` has it
# of a request that is answered directly: whether a value was refused
refused: ContextVar[list[str] | None] = ContextVar("refused", default=None)


def element_id(setting: str) -> str:
    """The id of a setting's component."""
    return SETTING + setting.replace("_", "-")


class PageBlocks(gr.Blocks):
    """The page. What Gradio would refuse without words is refused with them, and what fails is logged once.

    engine, counts: for those who ask how the server is. shared_clips: those that links open.
    naming: how many answers are being made, which may name files. on_forgotten: called with a session that is over.
    """

    engine: Engine
    counts: RunCounts
    shared_clips: SharedClips | None = None
    naming = 0
    on_forgotten: Callable[[str], None] | None = None

    def forget(self, session: str) -> None:
        """A session is over."""
        if self.on_forgotten is not None:
            self.on_forgotten(session)

    async def postprocess_data(self, *args: Any, **more: Any) -> Any:
        """As Gradio's."""
        self.naming += 1
        try:
            return await super().postprocess_data(*args, **more)
        finally:
            self.naming -= 1

    async def preprocess_data(
        self, block_fn: Any, inputs: list[Any], *args: Any, **more: Any
    ) -> Any:
        """As Gradio's; a value that a component can't take is an error with a sentence."""
        try:
            return await super().preprocess_data(block_fn, inputs, *args, **more)
        except Exception as error:
            sentence = refusal(block_fn.inputs, inputs, error)
            if (said := refused.get()) is not None:
                said.append(sentence)
            raise gr.Error(sentence, print_exception=False) from error

    async def process_api(self, *args: Any, **more: Any) -> dict[str, Any]:
        """As Gradio's; a fault of the program is logged here, and its text stays on the server."""
        try:
            return await super().process_api(*args, **more)
        except gr.Error as error:
            error.print_exception = False
            raise
        except Exception as error:
            if is_full(error):
                _log.warning("There is no room in the temporary folder.")
                raise gr.Error(texts.NO_ROOM, print_exception=False) from error
            _log.exception("An event failed.")
            raise gr.Error(texts.INTERNAL, print_exception=False) from error


def refusal(components: Sequence[Any], values: Sequence[Any], error: Exception) -> str:
    """Why values can't be used: the first setting that can't be, or else the field that Gradio refuses."""
    for component, value in zip(components, values, strict=False):
        name = str(component.elem_id or "")
        if name.startswith(SETTING):
            try:
                Settings().changed({name.removeprefix(SETTING).replace("-", "_"): value})
            except SettingsError as wrong:
                return str(wrong)
    for component, value in zip(components, values, strict=False):
        limits = [getattr(component, end, None) for end in ("minimum", "maximum")]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if number and not _within(value, *limits):
            return texts.out_of_range(component.label, *limits)
        choices = [each for _, each in getattr(component, "choices", None) or []]
        chosen = value if isinstance(value, list) else [value]
        if choices and value is not None and any(each not in choices for each in chosen):
            return texts.not_a_choice(component.label)
    if isinstance(error, ValueError):  # of Gradio's: a file that was not uploaded
        return texts.NO_UPLOAD
    return texts.UNUSABLE


def is_full(error: BaseException | None) -> bool:
    """Whether an error comes of a full disk."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (ENOSPC, EDQUOT):
            return True
        error = error.__cause__ or error.__context__
    return False


def _within(value: float, low: float | None, high: float | None) -> bool:
    at_least = low is None or value >= low  # false for NaN
    return at_least and (high is None or value <= high) and abs(value) != float("inf")
