"""The README's film: in the running app an example and a motion are picked, and a clip is made and plays.

To run: `PYTHONPATH=tests python docs/generate/film.py`.

Notable: the window is smaller than a desk's; waiting is cut short, the clip isn't.
"""

from __future__ import annotations

import argparse
import io
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from helpers.browser import TIMEOUT_MS, app_in, chromium, opened
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from poseanimate.media import write_clip

FILM = Path(__file__).resolve().parents[2] / "docs" / "app.gif"
WINDOW = (1240, 860)
WIDTH_PX = 800
FPS = 8.0
RUN_S, CLIP_S = 3.0, 3.0
POINTER_PX = 9


@dataclass
class Film:
    """Frames of a page as it is used, with a pointer."""

    page: Page
    frames: list[NDArray[np.uint8]] = field(default_factory=list)
    pointer: tuple[float, float] | None = None

    def shoot(self) -> None:
        """The window as it is now."""
        frame = np.array(Image.open(io.BytesIO(self.page.screenshot())).convert("RGB"))
        if self.pointer is not None:
            at = (round(self.pointer[0]), round(self.pointer[1]))
            cv2.circle(frame, at, POINTER_PX, (255, 255, 255), -1, cv2.LINE_AA)
            cv2.circle(frame, at, POINTER_PX, (79, 70, 229), 3, cv2.LINE_AA)
        size = (WIDTH_PX, round(WIDTH_PX * frame.shape[0] / frame.shape[1]))
        self.frames.append(
            np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
        )

    def hold(self, seconds: float) -> None:
        """Goes on as the page does, in its own time."""
        for _ in range(round(seconds * FPS)):
            began = time.monotonic()
            self.shoot()
            self.page.wait_for_timeout(max(1000 / FPS - 1000 * (time.monotonic() - began), 0))

    def still(self, seconds: float) -> None:
        """Stays at the last frame."""
        self.frames += [self.frames[-1]] * round(seconds * FPS)

    def click(self, target: Locator) -> None:
        box = target.bounding_box()
        assert box is not None
        self.pointer = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        self.shoot()
        self.still(0.25)
        self.page.mouse.click(*self.pointer)


def film(page: Page) -> list[NDArray[np.uint8]]:
    """From the page as it opens to the clip."""
    take = Film(page)
    take.hold(1.5)
    take.click(page.locator("#example label", has_text="park girl"))
    expect(page.locator("#ready-made video")).to_have_attribute("src", re.compile("park-girl"))
    take.hold(1.0)
    take.click(page.locator("#motion label", has_text="cheer"))
    expect(page.locator("#ready-made video")).to_have_attribute("src", re.compile("cheer"))
    take.hold(1.0)
    take.click(page.get_by_role("button", name="Generate"))
    running, done = [], page.locator("#bar", has_text="Done")
    give_up_s = time.monotonic() + TIMEOUT_MS / 1000
    while not done.is_visible() and time.monotonic() < give_up_s:
        take.shoot()
        running.append(take.frames.pop())
    take.pointer = None
    kept = np.linspace(0, len(running) - 1, round(RUN_S * FPS)).round().astype(int)
    take.frames += [running[i] for i in kept]
    expect(page.locator("#clip video")).to_be_visible()
    page.mouse.move(0, 0)
    page.locator("#clip video").evaluate("video => { video.currentTime = 0; return video.play(); }")
    take.hold(CLIP_S)
    return take.frames


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    with (
        TemporaryDirectory() as folder,
        app_in(Path(folder)) as app,
        chromium() as browser,
        browser.new_context(viewport={"width": WINDOW[0], "height": WINDOW[1]}) as context,
    ):
        frames = film(opened(context.new_page(), app.url))
    write_clip(frames, FILM, FPS)


if __name__ == "__main__":
    main()
