"""Six pictures of the page for docs/screens.md: the app in this process, in a real Chromium.

To run: `PYTHONPATH=tests python docs/generate/screenshots.py`.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from helpers.browser import HOLD_S, App, app_in, chromium, opened, small
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from poseanimate.events import Preview

REPOSITORY = Path(__file__).resolve().parents[2]
CHARACTERS = REPOSITORY / "examples" / "characters"
LIST = REPOSITORY / "docs" / "screens.md"
FOLDER = REPOSITORY / "docs" / "screens"

SIZES = {"desk": (1360, 900), "phone": (390, 844)}
DESK_LIGHT, PHONE_DARK = ("desk", "light"), ("phone", "dark")
QUALITY = 80
SETTLE_MS = 700  # animations after a change of theme or width
ABOVE_PX = 16
CLIP = "h2:has-text('5 ·')"

INTRODUCTION = """# The page in six pictures

`PYTHONPATH=tests python docs/generate/screenshots.py` takes them of the running app, at a desk's width (1360 px) and a
phone's (390 px).
"""


@dataclass
class Camera:
    """Takes pictures of the page and keeps their captions: (sentence, file names)."""

    taken: list[tuple[str, list[str]]] = field(default_factory=list)

    def take(
        self,
        page: Page,
        name: str,
        about: str,
        at: str | None = None,
        looks: tuple[tuple[str, str], ...] = (DESK_LIGHT,),
    ) -> None:
        """One state at some sizes and themes; at: what is at the top of the window, None for the whole page."""
        files = []
        for size, theme in looks:
            width, height = SIZES[size]
            page.set_viewport_size({"width": width, "height": height})
            page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
            page.wait_for_timeout(SETTLE_MS)
            _seen_once(page)
            if at is not None:
                page.locator(at).first.evaluate(
                    "(e, above) => scrollBy({ top: e.getBoundingClientRect().top - above, behavior: 'instant' })",
                    ABOVE_PX,
                )
            page.wait_for_timeout(SETTLE_MS)
            files.append(f"{name}-{size}-{theme}.webp")
            picture = Image.open(io.BytesIO(page.screenshot(full_page=at is None)))
            picture.convert("RGB").save(FOLDER / files[-1], quality=QUALITY, method=6)
        self.taken.append((about, files))

    def list(self) -> str:
        """All pictures as Markdown."""
        parts = [INTRODUCTION]
        for about, files in self.taken:
            pictures = " ".join(
                f"![{name.removesuffix('.webp')}](screens/{name})" for name in files
            )
            parts.append(f"{about}\n\n{pictures}\n")
        return "\n".join(parts)


def _seen_once(page: Page) -> None:
    """Scrolls through the page, which loads its pictures lazily."""
    page.evaluate(
        "async () => { for (let y = 0; y < document.body.scrollHeight; y += 600) {"
        " scrollTo(0, y); await new Promise(done => setTimeout(done, 60)); } scrollTo(0, 0); }"
    )


def ready(page: Page, app: App, camera: Camera, folder: Path) -> None:
    camera.take(page, "ready", "Ready, with the first example and the first motion.")


def two_people(page: Page, app: App, camera: Camera, folder: Path) -> None:
    pictures = [Image.open(CHARACTERS / f"{name}.png") for name in ("room-boy", "park-girl")]
    two = np.hstack([np.asarray(each.convert("RGB")) for each in pictures])
    _upload(page, Image.fromarray(two), folder / "two.png")
    expect(page.locator("#found-text")).to_contain_text("Click the one that is meant.")
    camera.take(
        page, "two-people", "Two people in a picture: the page asks which one is meant.", "#picture"
    )


def clip(page: Page, app: App, camera: Camera, folder: Path) -> None:
    page.get_by_role("radio", name="room boy").check()
    page.get_by_role("radio", name="dance sway").check()
    expect(page.locator("#findings")).to_contain_text("frames")
    app.animator.hold_at, app.animator.hold_on = 12, Preview
    page.get_by_role("button", name="Generate").click()
    assert app.animator.held.wait(HOLD_S)
    expect(page.get_by_role("img", name="frames in reading order")).to_be_visible()
    about = "Running: finished frames, a framed prediction, and skeletons for the rest."
    camera.take(page, "running", about, CLIP)
    app.animator.hold_at = None
    app.animator.go_on.set()
    expect(page.locator("#bar")).to_contain_text("Done: 16 frames.")
    expect(page.locator("#review")).to_contain_text("Background")
    expect(page.locator("#downloads a").first).to_be_visible()
    page.locator("#frames").get_by_role("button", name="frame 9").click()
    about = "Done: the clip, and each frame beside the picture and its pose."
    camera.take(page, "finished", about, CLIP, (DESK_LIGHT, PHONE_DARK))


def compared(page: Page, app: App, camera: Camera, folder: Path) -> None:
    small(page, frames=6, steps=4)
    page.get_by_label("Values of a setting").check()
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("#bar")).to_contain_text("Done: 3 clips.")
    expect(page.locator("#grid video")).to_be_visible()
    camera.take(page, "compared", "Three values of a setting, in step.", "#compare-kind")


SCENES: tuple[Callable[[Page, App, Camera, Path], None], ...] = (ready, two_people, clip, compared)


def _upload(page: Page, picture: Image.Image, path: Path) -> None:
    picture.save(path)
    page.locator("#picture").get_by_label("Clear").click()
    page.locator("#picture input[type=file]").set_input_files(path)


@contextmanager
def _page(browser: Browser, app: App) -> Iterator[Page]:
    width, height = SIZES["desk"]
    with browser.new_context(viewport={"width": width, "height": height}) as context:
        app.animator.unheld()
        yield opened(context.new_page(), app.url)


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    FOLDER.mkdir(exist_ok=True)
    for former in FOLDER.glob("*.webp"):
        former.unlink()
    camera = Camera()
    with TemporaryDirectory() as folder, app_in(Path(folder)) as app, chromium() as browser:
        for scene in SCENES:
            with _page(browser, app) as page:
                scene(page, app, camera, Path(folder))
    LIST.write_text(camera.list(), encoding="utf-8")


if __name__ == "__main__":
    main()
