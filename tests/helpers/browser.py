"""The page served in-process on the pocket models, and a Chromium that opens it: for tests and for pictures of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from helpers.served import free_port
from playwright.sync_api import Browser, Page, expect, sync_playwright

from poseanimate.animator import Animator
from poseanimate.events import Event, Frame, Preview
from poseanimate.models.loading import load_models
from poseanimate.storage.own_clips import OwnClips
from poseanimate.storage.shared_clips import SharedClips
from poseanimate.storage.stage_cache import StageCache
from poseanimate.ui.page import create_demo
from poseanimate.ui.server.launch import serve

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
]  # fmt: skip
TIMEOUT_MS = 300_000  # only ends a hang
HOLD_S = 300.0
HELD_MS = 400  # longer than the editor waits before it tells of a joint that is dragged


class Paced(Animator):
    """An animator whose runs can be held, until `go_on` is set.

    hold_at: once so many frames are finished; None: not. hold_on: Preview to hold where a frame so far is predicted.
    """

    hold_at: int | None = None
    hold_on: type[Frame] | type[Preview] = Frame

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.held, self.go_on, self.closed = (threading.Event() for _ in range(3))

    def unheld(self) -> None:
        """As at first."""
        self.hold_at, self.hold_on = None, Frame
        for event in (self.held, self.go_on, self.closed):
            event.clear()

    def go_on_to(self, hold_at: int) -> None:
        """Lets a held run go on until it is held again."""
        self.hold_at, go_on, self.go_on = hold_at, self.go_on, threading.Event()
        self.held.clear()
        go_on.set()
        assert self.held.wait(HOLD_S)

    def animate(self, *args: Any, **more: Any) -> Iterator[Event]:
        try:
            for event in super().animate(*args, **more):
                yield event
                if self.hold_at is None or not isinstance(event, self.hold_on):
                    continue
                if event.index + 1 >= self.hold_at:
                    go_on = self.go_on
                    self.held.set()
                    go_on.wait(HOLD_S)
        finally:
            self.closed.set()


@dataclass(frozen=True)
class App:
    """The page that is served, and what it keeps."""

    url: str
    animator: Paced
    cache: Path
    shared_clips: SharedClips
    uploads: Path


@contextmanager
def serving(
    animator: Animator,
    shared_clips: SharedClips,
    mcp: bool = False,
    own_clips: OwnClips | None = None,
) -> Iterator[str]:
    """The page of an animator, in a thread of its own; yields its URL."""
    demo = create_demo(animator, shared_clips, own_clips)
    try:
        _, url, _ = serve(demo, mcp, server_port=free_port(), prevent_thread_lock=True, quiet=True)
        yield url
    finally:
        demo.close()


@contextmanager
def app_in(folder: Path, mcp: bool = False) -> Iterator[App]:
    """The page, with all that it keeps in a folder."""
    cache, shared, uploads = (folder / name for name in ("cache", "shared", "uploads"))
    uploads.mkdir()
    animator, shared_clips = (
        Paced(load_models("pocket", "cpu"), StageCache(cache, 10**9)),
        SharedClips(shared),
    )
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("GRADIO_TEMP_DIR", str(uploads))
        with serving(animator, shared_clips, mcp, OwnClips(folder / "own")) as url:
            yield App(url, animator, cache, shared_clips, uploads)


def file_data(path: str, **more: Any) -> dict[str, Any]:
    """A file as Gradio's clients name it."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}, **more}


@contextmanager
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        raise FileNotFoundError(f"There is no {CHROMIUM}. Install it: apt-get install chromium.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


def opened(page: Page, url: str) -> Page:
    """The page, once it has looked at the first example and motion."""
    page.set_default_timeout(TIMEOUT_MS)
    expect.set_options(timeout=TIMEOUT_MS)
    page.goto(url)
    expect(page.locator("#findings")).to_contain_text("Good fit")
    expect(page.locator("#forecast")).not_to_be_empty()
    return page


def show(page: Page, tab: str) -> None:
    """Brings a tab of the stage to the front."""
    page.get_by_role("tab", name=tab, exact=True).click()


STANDS_STILL = """() => Promise.allSettled(
    document.getAnimations().filter(each => each instanceof CSSTransition).map(each => each.finished)
)"""


def experts(page: Page) -> None:
    """Opens the experts' side of the page, or closes it, and waits until it stands still."""
    toggle = page.locator("#expert").get_by_role("button", name="Expert", exact=True)
    expanded = toggle.get_attribute("aria-expanded") == "true"
    toggle.click()
    expect(toggle).to_have_attribute("aria-expanded", "false" if expanded else "true")
    page.evaluate(STANDS_STILL)


@contextmanager
def expert_side(page: Page) -> Iterator[None]:
    """The experts' side is open, for a while unless it was before."""
    shut = "open" not in str(page.locator("#expert").get_attribute("class")).split()
    if shut:
        experts(page)
    yield
    if shut:
        experts(page)


def unfold(page: Page, name: str) -> None:
    """Opens a folded part."""
    page.locator("button.label-wrap", has_text=name).click()


def small(page: Page, frames: int, steps: int = 2) -> None:
    """Settings for a run of seconds."""
    _set_number(page, "frames", frames)
    with expert_side(page):
        _set_number(page, "num-inference-steps", steps)
        _set_number(page, "inner-steps", 1)


def _set_number(page: Page, setting: str, value: int) -> None:
    number = page.locator(f"#setting-{setting} input[type=number]")
    number.fill(str(value))
    number.press("Tab")


def dragged(page: Page, joint: int, dx: float, dy: float, drop: bool = True) -> None:
    """Drags a joint in the editor, by so many pixels of the window."""
    handle = page.locator(f"#joints [data-joint='{joint}']")
    expect(handle).to_be_visible()
    handle.evaluate("e => e.scrollIntoView({block: 'center'})")  # not behind the buttons
    box = handle.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + dx, y + dy, steps=4)
    if drop:
        page.mouse.up()
    else:  # held for as long as the editor waits
        page.wait_for_timeout(HELD_MS)
        page.mouse.move(x + dx, y + dy)
