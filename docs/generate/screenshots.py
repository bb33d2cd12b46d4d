"""Pictures of the page for docs/screens.md: the app in this process, in a real Chromium.

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
from helpers.browser import HOLD_S, App, app_in, chromium, experts, opened, show, small
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from poseanimate.events import Preview

REPOSITORY = Path(__file__).resolve().parents[2]
CHARACTERS = REPOSITORY / "examples" / "characters"
VIDEO = REPOSITORY / "examples" / "videos" / "street-boy-dance-disco.mp4"
LIST = REPOSITORY / "docs" / "screens.md"
FOLDER = REPOSITORY / "docs" / "screens"

SIZES = {"desk": (1360, 900), "phone": (390, 844)}
DESK_LIGHT, PHONE_DARK = ("desk", "light"), ("phone", "dark")
QUALITY = 80
SETTLE_MS = 700  # animations after a change of theme or width
EDGES = ("width", "height")

INTRODUCTION = """# The page in pictures

`PYTHONPATH=tests python docs/generate/screenshots.py` takes them of the running app, at a desk's width (1360 px) and a
phone's (390 px).
"""

SINCE = """## Since the first edition

Measured in Chromium on the pocket models, 1360x900 and 390x844 px, 2026-11-29; before, at 23af7aa. axe-core 4.14 finds
nothing serious or critical on any tab, open or folded, light or dark.

| | before | now |
|---|---|---|
| a photograph, for the pocket models | green, and a ruined face | a warning at the upload; the draft moves it |
| clicks until a clip plays | 1, and 17 s | 0 |
| Generate on a desk, as the page opens | 223 px below the window | in sight, as is the progress of every button |
| pages of a phone, nothing opened | 8 to 9 | 1.4 |
| from Generate to the progress on a phone | 5000 px | side by side |
| a comparison's progress | 1589 px above its button | in sight |
| the clip, on a desk | 298 px | 560 px |
| what moves when clip and downloads arrive | 378 px | 0 px |
| the clip of a shared link, from the top: desk, phone | 1421 px, further | 224 px, 292 px |
| what a shared link shows where it is sent | Gradio's name and picture | a title and three frames of the clip |
| an opened project | has neither frames nor downloads | has both |
| one's own picture | a file row that looks like a download | the first tile, with its thumbnail |
| a file that can't be used | a message that vanishes | an error message that stays, as does the picture before it |
| two people in a picture | the editor is folded | it unfolds by itself |
| what is said of a video | a screen below the upload | right below it |
| another part of a video | looks through all again, 21 s | 0.5 s at most after the handle is let go |
| a second run | empties the first clip | adds to "Your clips" |
| a reload, a closed page, a lost connection | lose all | the run goes on for 60 s and is found again |
| inputs that change under a finished clip | "Done" stays green | "Inputs changed: generate again." |
| a preset and the length | resets it | leaves it alone |
| stops of the Tab key to Generate | over 90 | 1 with the skip link, 19 without |
| cumulative layout shift while loading: desk, phone | 1.6 | 0.01, 0 |
| the page itself, without pictures and scripts | 510 kB | 207 kB |
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
        looks: tuple[tuple[str, str], ...] = (DESK_LIGHT,),
    ) -> None:
        """One state at some sizes and themes."""
        files = []
        for size, theme in looks:
            width, height = SIZES[size]
            page.set_viewport_size({"width": width, "height": height})
            page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
            page.wait_for_timeout(SETTLE_MS)
            page.evaluate("scrollTo(0, 0)")
            page.wait_for_timeout(SETTLE_MS)
            files.append(f"{name}-{size}-{theme}.webp")
            picture = Image.open(io.BytesIO(page.screenshot()))
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
        return "\n".join([*parts, SINCE])


def ready(page: Page, app: App, camera: Camera, folder: Path) -> None:
    about = "Ready: the first example's clip plays before the first click."
    camera.take(page, "ready", about, (DESK_LIGHT,))
    with page.context.browser.new_context(
        viewport=dict(zip(EDGES, SIZES["phone"], strict=True))
    ) as context:
        camera.take(
            opened(context.new_page(), app.url), "phone", "The same on a phone.", (PHONE_DARK,)
        )


def two_people(page: Page, app: App, camera: Camera, folder: Path) -> None:
    pictures = [Image.open(CHARACTERS / f"{name}.png") for name in ("room-boy", "park-girl")]
    two = np.hstack([np.asarray(each.convert("RGB")) for each in pictures])
    _upload(page, Image.fromarray(two), folder / "two.png")
    expect(page.locator("#found-text")).to_contain_text("Click the character to animate")
    expect(page.get_by_role("button", name="person 2")).to_be_visible()
    camera.take(page, "two-people", "Two people in a picture: the page asks which one is meant.")


def clip(page: Page, app: App, camera: Camera, folder: Path) -> None:
    app.animator.hold_at, app.animator.hold_on = 12, Preview
    page.get_by_role("button", name="Generate").click()
    assert app.animator.held.wait(HOLD_S)
    expect(page.get_by_role("img", name="frames in reading order")).to_be_visible()
    about = "Running: finished frames, a framed prediction, and skeletons for the rest."
    camera.take(page, "running", about, (DESK_LIGHT, PHONE_DARK))
    app.animator.hold_at = None
    app.animator.go_on.set()
    expect(page.locator("#bar")).to_contain_text("Done: 16 frames.")
    expect(page.locator("#review")).to_contain_text("Background")
    page.set_viewport_size(dict(zip(EDGES, SIZES["desk"], strict=True)))
    expect(page.locator("#your-clips li")).to_have_count(1)
    show(page, "Before/after")
    camera.take(page, "before-after", "Done: before and after, and what this browser has made.")
    show(page, "Frames")
    page.locator("#frames").get_by_role("button", name="frame 9").click()
    camera.take(page, "frames", "Done: each frame beside the picture and its pose.")
    show(page, "Draft")
    experts(page)
    camera.take(page, "expert", "The draft, and what experts set.")


def video(page: Page, app: App, camera: Camera, folder: Path) -> None:
    page.get_by_role("radio", name="Video").check()
    page.locator("#motion-file input[type=file]").set_input_files(VIDEO)
    expect(page.locator("#timeline .pa-handle").first).to_be_visible()
    page.wait_for_timeout(SETTLE_MS)
    camera.take(page, "video", "A video: its part is chosen by two handles.")


def compared(page: Page, app: App, camera: Camera, folder: Path) -> None:
    small(page, frames=6, steps=4)
    show(page, "Compare")
    page.get_by_label("Values of a setting").check()
    page.locator("#compare").click()
    expect(page.locator("#bar")).to_contain_text("Done: 3 clips.")
    expect(page.locator("#grid video")).to_be_visible()
    camera.take(page, "compared", "Three values of a setting, in step.")


SCENES: tuple[Callable[[Page, App, Camera, Path], None], ...] = (
    ready,
    two_people,
    video,
    clip,
    compared,
)


def _upload(page: Page, picture: Image.Image, path: Path) -> None:
    picture.save(path)
    page.locator("#own input").set_input_files(path)


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
