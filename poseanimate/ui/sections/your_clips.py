"""Your clips: what this browser has made, and the run that it left while it went on.

Notable: a browser is known by a key that it keeps itself; who has no key, or deletes it, has no clips.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from poseanimate.errors import PoseAnimateError
from poseanimate.storage.own_clips import is_key, make_key
from poseanimate.ui import texts
from poseanimate.ui.event_options import BESIDE, QUIET
from poseanimate.ui.outputs import Outputs, session_of, skips
from poseanimate.ui.runs.run_view import COMPARISON
from poseanimate.ui.sections.comparison import ComparisonHandlers
from poseanimate.ui.sections.opening import OpeningHandlers, restore_nothing
from poseanimate.ui.sections.run import Handlers, RunSection, run_outputs, running
from poseanimate.ui.sections.stage import StageHandlers, StageSection
from poseanimate.ui.widgets.shelf import make_content, shelf

STORAGE = "poseanimate"  # of the browser
FOLLOWED = 8  # runs that pages come back to, at once


@dataclass(frozen=True)
class YourClipsSection:
    """key: of the browser. clips: the shelf."""

    key: gr.BrowserState
    clips: gr.HTML


def add_your_clips() -> YourClipsSection:
    """The shelf below the stage, and the browser's key."""
    # Gradio encrypts it; a secret of each start's own would lose it with the next
    key = gr.BrowserState(None, storage_key=STORAGE, secret=STORAGE)
    return YourClipsSection(key, shelf("your-clips", texts.SHELF["heading"]))


class YourClipsHandlers:
    """The handlers of this section."""

    def __init__(
        self, handlers: Handlers, comparison: ComparisonHandlers, opening: OpeningHandlers
    ) -> None:
        self.handlers, self.comparison, self.opening = handlers, comparison, opening
        self.own_clips = handlers.own_clips

    def arrive(self, request: gr.Request, key: Any) -> tuple[str, Any]:
        """A page opens: the browser's key, a new one if it has none, and its clips."""
        key = key if is_key(key) else make_key()
        self.handlers.recognise(request, key)
        goes_on = self.handlers.queue.find(key) is not None
        return key, self.shelf(key, goes_on)

    def shelf(self, key: Any, goes_on: bool = False) -> Any:
        """What the shelf shows."""
        return gr.update(content=make_content(self.own_clips.cards(key or ""), goes_on))

    def refresh(self, key: Any) -> Any:
        """The shelf after a run; that the page asks for it tells that it has seen the end."""
        self.handlers.queue.saw(key or "")
        return self.shelf(key)

    def open(self, request: gr.Request, key: Any, chosen: gr.EventData) -> Iterator[Outputs]:
        """Opens a clip or a comparison, as `OpeningHandlers.restored` does."""
        try:
            card, bundle = self.own_clips.get(key or "", chosen_id(chosen))
        except PoseAnimateError as error:
            yield restore_nothing(texts.sentence(str(error), "error"))
            return
        yield from self.opening.restored(request, bundle, kind=card.kind)

    def delete(self, key: Any, chosen: gr.EventData) -> Any:
        """Deletes a clip for good."""
        self.own_clips.remove(key or "", chosen_id(chosen))
        return self.shelf(key)

    def come_back(self, request: gr.Request, key: Any) -> Iterator[Outputs]:
        """The inputs of a run that this browser left, on a page that shows nothing of it."""
        self.handlers.recognise(request, key)  # who was away for long is forgotten
        run = self.handlers.queue.find(self.handlers.owner(request))
        if run is None or self.handlers.queue.current(session_of(request)) is run:
            yield restore_nothing()
        elif run.job is None:
            yield restore_nothing(texts.sentence(texts.CAME_BACK, "note"))
        else:
            yield from self.opening.restored(request, run.job.to_bytes(), texts.CAME_BACK)

    def follow(self, request: gr.Request) -> Iterator[Outputs]:
        """The run or comparison that this browser left, as the page that began it would show it."""
        run = self.handlers.queue.find(self.handlers.owner(request))
        if run is None or run.work is None:
            yield run_outputs()  # an answer without any would empty them
            return
        run.show_again()
        # with every answer: a page that is still being built loses some
        going_on = run_outputs(**running(True))
        yield run_outputs(bar=run.bar, **running(True))
        answers = (
            self.comparison.follow(run.work)
            if run.kind == COMPARISON
            else self.handlers.follow(request, run.work)
        )
        for answer in answers:
            pairs = zip(answer, going_on, strict=True)
            yield tuple(other if skips(each) else each for each, other in pairs)


def chosen_id(chosen: gr.EventData) -> str:
    """The id that an event of the shelf tells; empty where it tells none."""
    data = getattr(chosen, "_data", None)
    return str(data.get("id", "")) if isinstance(data, dict) else ""


def connect_your_clips(
    demo: gr.Blocks,
    handlers: YourClipsHandlers,
    stage: StageHandlers,
    yours: YourClipsSection,
    result: StageSection,
    run: RunSection,
    back: list[Any],
    made: list[Any],
) -> Any:
    """The shelf, and what happens when a page comes back; returns the event of a clip that is opened.

    Args:
        back: as RESTORE_OUTPUTS and settings. made: events after which there may be another clip.
    """
    shelf, key = yours.clips, yours.key
    demo.load(handlers.arrive, key, [key, shelf], **QUIET)
    opened = shelf.select(handlers.open, key, back, **BESIDE)
    opened.then(stage.pack, None, result.packed, **BESIDE)
    shelf.delete(handlers.delete, key, shelf, **QUIET)
    came = shelf.submit(handlers.come_back, key, back, **BESIDE)
    followed = came.then(
        handlers.follow,
        None,
        result.outputs(run),
        show_progress="hidden",
        api_visibility="private",
        concurrency_limit=FOLLOWED,
    )
    for event in (*made, followed):
        event.then(handlers.refresh, key, shelf, **QUIET)
    followed.then(stage.pack, None, result.packed, **BESIDE)
    return opened
