"""What a browser finds again: its clips, and the run that it left."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from helpers.tiny import scene_at_ease, tiny_models
from PIL import Image

from poseanimate.animator import Animator
from poseanimate.events import Event, Frame
from poseanimate.settings import Settings
from poseanimate.storage.own_clips import OwnClips, is_key, make_key
from poseanimate.ui import texts
from poseanimate.ui.input_cache import SETTING_NAMES
from poseanimate.ui.sections.comparison import ComparisonHandlers
from poseanimate.ui.sections.opening import RESTORE_OUTPUTS, OpeningHandlers
from poseanimate.ui.sections.run import GRACE_IN_LINE_S, GRACE_S, RESULT_OUTPUTS, Handlers
from poseanimate.ui.sections.stage import StageHandlers
from poseanimate.ui.sections.your_clips import YourClipsHandlers

WALK = (texts.FROM_PRESET, "walk", None, 0, 0, 1, 0, False, None, True)
QUICK = Settings(num_inference_steps=2, inner_steps=1, frames=3, pacm_pose=False, mgdm=False)
VALUES = [getattr(QUICK, name) for name in SETTING_NAMES]


class Held(Animator):
    """Its runs wait at a frame until they may go on."""

    hold_at: int | None = None

    def __init__(self) -> None:
        super().__init__(tiny_models())
        self.go_on = threading.Event()

    def animate(self, *args: Any, **more: Any) -> Iterator[Event]:
        for event in super().animate(*args, **more):
            yield event
            if isinstance(event, Frame) and event.index == self.hold_at:
                assert self.go_on.wait(60)


class Page:
    """A page of a browser, and the handlers that answer it."""

    def __init__(self, handlers: Handlers, session: str, key: str | None = None) -> None:
        opening, comparison = OpeningHandlers(handlers), ComparisonHandlers(handlers)
        self.handlers, self.comparison = handlers, comparison
        self.yours = YourClipsHandlers(handlers, comparison, opening)
        self.request = gr.Request(session_hash=session)
        self.key, shown = self.yours.arrive(self.request, key)
        self.goes_on = shown["content"]["goes_on"]

    @property
    def clips(self) -> list[dict[str, Any]]:
        return list(self.yours.shelf(self.key)["content"]["cards"])

    def run(self, picture: str) -> Iterator[dict[str, Any]]:
        self.handlers.begin(self.request, self.key)
        answers = self.handlers.animate(self.request, picture, "", "a girl", *WALK, *VALUES)
        return named(answers, RESULT_OUTPUTS)

    def follow(self) -> Iterator[dict[str, Any]]:
        return named(self.yours.follow(self.request), RESULT_OUTPUTS)

    def come_back(self) -> dict[str, Any]:
        (back,) = named(
            self.yours.come_back(self.request, self.key), (*RESTORE_OUTPUTS, *SETTING_NAMES)
        )
        return back

    def open(self, id: Any) -> Iterator[dict[str, Any]]:
        event = gr.EventData(None, {"id": id})
        answers = self.yours.open(self.request, self.key, event)
        return named(answers, (*RESTORE_OUTPUTS, *SETTING_NAMES))


def named(answers: Iterator[tuple[Any, ...]], names: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    for answer in answers:
        pairs = zip(names, answer, strict=True)
        yield {n: v for n, v in pairs if not (isinstance(v, dict) and v == gr.skip())}


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "character.png"
    Image.fromarray(scene_at_ease().picture).save(path)
    return str(path)


@pytest.fixture
def handlers(tmp_path: Path) -> Handlers:
    return Handlers(Held(), own_clips=OwnClips(tmp_path / "own"))


def left(page: Page, picture: str) -> threading.Thread:
    """A page that went while its run was at the second frame; returns the thread that goes on."""
    page.handlers.engine.hold_at = 1  # type: ignore[attr-defined]
    answers = page.run(picture)
    while (run := page.handlers.queue.current("a")) is None or len(run.frames) < 2:
        next(answers)
    answers.close()  # what Gradio does
    page.handlers.leave(page.request)
    assert run.work is not None and run.work.thread is not None
    return run.work.thread


def test_a_browser_gets_a_key_that_stays(handlers: Handlers) -> None:
    page = Page(handlers, "a")
    assert is_key(page.key) and page.clips == [] and not page.goes_on
    assert Page(handlers, "b", page.key).key == page.key
    assert is_key(Page(handlers, "c", "made up").key)


def test_a_second_run_adds_a_clip_and_the_first_is_opened_again(
    handlers: Handlers, picture: str
) -> None:
    page = Page(handlers, "a")
    clips = []
    for _ in range(2):
        for answer in page.run(picture):
            if answer.get("clip", {}).get("value"):
                clips.append(Path(answer["clip"]["value"]).read_bytes())
    second, first = page.clips
    assert first["title"] == "walk" and "3 frames" in first["about"]
    assert Page(handlers, "other").clips == [], "a second visitor sees it"
    back = Page(handlers, "later", page.key)
    for opened in back.open(first["id"]):
        assert Path(opened["clip"]["value"]).read_bytes() == clips[0]
        assert np.array_equal(np.asarray(Image.open(opened["picture"])), scene_at_ease().picture)
    assert opened["motion_preset"] == "walk" and opened["frames"] == 3
    *_, (*_, files) = StageHandlers(handlers).pack(back.request)
    assert len(files) == 5, "an opened clip can't be downloaded"
    back.yours.delete(page.key, gr.EventData(None, {"id": second["id"]}))
    assert [card["id"] for card in page.clips] == [first["id"]]
    (gone,) = back.open(second["id"])
    assert list(gone) == ["restored"] and "there any more" in gone["restored"]


def test_a_comparison_is_kept_and_opened_in_its_place(handlers: Handlers, picture: str) -> None:
    page = Page(handlers, "a")
    handlers.begin(page.request, page.key)
    asked = (texts.BY_VALUES, "lambda_first", "0, 1", picture, "", "a girl", *WALK, *VALUES)
    list(page.comparison.compare(page.request, *asked))
    [card] = page.clips
    assert card["title"] == texts.COMPARED
    run = handlers.queue.find(page.key)
    assert run is not None and run.finished
    frames = [frame for clip in run.variants.values() for frame in clip]
    assert len(run.variants) == 2 and run.made == len(frames) - 2
    assert run.size_bytes() == sum(frame.nbytes for frame in frames) + len(run.compared)
    for opened in page.open(card["id"]):
        assert "clip" not in opened and Path(opened["grid"]["value"]).stat().st_size > 1000
        assert opened["stage"].selected == "compare"


def test_who_comes_back_finds_the_run_and_its_inputs(handlers: Handlers, picture: str) -> None:
    page = Page(handlers, "a")
    alone = left(page, picture)
    back = Page(handlers, "b", page.key)
    assert back.goes_on and not Page(handlers, "c").goes_on
    restored = back.come_back()
    assert restored["motion_preset"] == "walk" and restored["prompt"] == "a girl"
    assert texts.CAME_BACK in restored["restored"] and "clip" not in restored
    following = back.follow()
    assert next(following)["stop"].interactive
    handlers.engine.go_on.set()  # type: ignore[attr-defined]
    *_, last = following
    alone.join(60)
    assert "Done: 3 frames" in last["bar"] and last["generate"].interactive
    assert len(page.clips) == 1
    back.yours.refresh(page.key)
    assert not Page(handlers, "d", page.key).goes_on, "it was seen"


def test_who_comes_back_too_late_to_see_it_finds_the_finished_clip(
    handlers: Handlers, picture: str
) -> None:
    page = Page(handlers, "a")
    alone = left(page, picture)
    handlers.engine.go_on.set()  # type: ignore[attr-defined]
    alone.join(60)
    back = Page(handlers, "b", page.key)
    assert back.goes_on
    *_, last = back.follow()
    assert "Done: 3 frames" in last["bar"] and last["clip"]["visible"]
    back.yours.refresh(page.key)
    assert len(back.clips) == 1 and not Page(handlers, "c", page.key).goes_on
    assert list(Page(handlers, "d", page.key).follow()) == [{}]


def test_a_page_that_went_at_the_last_moment_has_not_seen_the_end(
    handlers: Handlers, picture: str
) -> None:
    page = Page(handlers, "a")
    answers = page.run(picture)
    while "Done" not in next(answers).get("bar", ""):
        pass
    list(answers)  # Gradio may not have noticed that nobody reads
    assert Page(handlers, "b", page.key).goes_on
    page.yours.refresh(page.key)  # what the page asks for, once it has read the end
    assert not Page(handlers, "c", page.key).goes_on


def test_a_phone_that_slept_finds_its_run_without_a_reload(
    handlers: Handlers, picture: str
) -> None:
    page = Page(handlers, "a")
    alone = left(page, picture)
    handlers.engine.go_on.set()  # type: ignore[attr-defined]
    alone.join(60)
    handlers.forget_session("a")  # as after minutes
    assert texts.CAME_BACK in page.come_back()["restored"]
    *_, last = page.follow()
    assert "Done: 3 frames" in last["bar"] and last["clip"]["visible"]


def test_a_run_may_be_stopped_by_the_page_that_came_back(handlers: Handlers, picture: str) -> None:
    page = Page(handlers, "a")
    alone = left(page, picture)
    back = Page(handlers, "b", page.key)
    handlers.stop(Page(handlers, "stranger").request)
    handlers.stop(back.request)
    handlers.engine.go_on.set()  # type: ignore[attr-defined]
    *_, last = back.follow()
    alone.join(60)
    assert "Stopped. The 3 finished frames" in last["bar"]


def test_grace_is_shorter_while_others_wait_and_none_without_a_key(handlers: Handlers) -> None:
    page = Page(handlers, "a")
    handlers.begin(page.request, page.key)
    run = handlers.start(page.request)
    assert handlers._grace_s(run) == GRACE_S
    assert "Others are waiting" not in handlers.bar(run)
    handlers.begin(gr.Request(session_hash="waits"))
    assert handlers._grace_s(run) == GRACE_IN_LINE_S
    assert "if this page is closed, the run stops after 10 s" in handlers.bar(run)
    run.owner = ""
    assert handlers._grace_s(run) == 0


def test_the_next_run_waits_until_the_one_without_a_page_has_ended(
    handlers: Handlers, picture: str
) -> None:
    page = Page(handlers, "a")
    alone = left(page, picture)
    other = Page(handlers, "b").run(picture)
    for _ in range(3):
        waits = next(other)
    assert texts.LAST_MINUTE in waits["bar"]
    run = handlers.queue.current("a")
    assert run is not None and handlers._grace_s(run) == GRACE_IN_LINE_S
    handlers.engine.hold_at = None  # type: ignore[attr-defined]
    handlers.engine.go_on.set()  # type: ignore[attr-defined]
    alone.join(60)
    *_, last = other
    assert "Done: 3 frames" in last["bar"]


def test_the_next_run_waits_for_one_whose_page_has_come_back(
    handlers: Handlers, picture: str
) -> None:
    page = Page(handlers, "a")
    alone = left(page, picture)
    back = Page(handlers, "b", page.key).follow()
    next(back)
    other = Page(handlers, "c").run(picture)
    for _ in range(3):
        waits = next(other)
    assert texts.LAST_MINUTE in waits["bar"]
    next(back)
    assert texts.LAST_MINUTE in next(other)["bar"], "two runs at once on one engine"
    handlers.engine.hold_at = None  # type: ignore[attr-defined]
    handlers.engine.go_on.set()  # type: ignore[attr-defined]
    alone.join(60)
    *_, last = back
    assert "Done: 3 frames" in last["bar"]
    *_, last = other
    assert "Done: 3 frames" in last["bar"]


@pytest.mark.parametrize("data", [None, [], {}, {"id": None}, {"id": "../../etc/passwd"}, "text"])
def test_an_event_that_names_no_clip_opens_and_deletes_none(handlers: Handlers, data: Any) -> None:
    page = Page(handlers, "a", make_key())
    event = gr.EventData(None, data)
    (gone,) = page.yours.open(page.request, page.key, event)
    assert "there any more" in gone[0]
    assert page.yours.delete(page.key, event)["content"]["cards"] == []
