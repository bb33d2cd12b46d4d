"""Every state of the page as a picture: the app in this process, a real Chromium, docs/screens/ and docs/screens.md."""

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
VIDEO = REPOSITORY / "examples" / "videos" / "room-girl-wave.mp4"
LIST = REPOSITORY / "docs" / "screens.md"
FOLDER = REPOSITORY / "docs" / "screens"

SIZES = {"desk": (1360, 900), "phone": (390, 844)}
DESK_LIGHT, DESK_DARK = ("desk", "light"), ("desk", "dark")
PHONE_LIGHT, PHONE_DARK = ("phone", "light"), ("phone", "dark")
ALL = (DESK_LIGHT, DESK_DARK, PHONE_LIGHT, PHONE_DARK)
BOTH = (DESK_LIGHT, PHONE_DARK)
QUALITY = 80
SETTLE_MS = 700  # what moves of itself when theme or width change
ABOVE_PX = 16
CLIP = "h2:has-text('5 ·')"

INTRODUCTION = """# Every state of the page

`docs/generate/screenshots.py` takes these pictures of the running app: on a desk (1360 px wide) and a phone (390 px),
in the light and in the dark theme.
"""


@dataclass
class Camera:
    """Takes pictures of pages, and keeps what is to be said about them: (sentence, file names)."""

    taken: list[tuple[str, list[str]]] = field(default_factory=list)

    def take(
        self,
        page: Page,
        name: str,
        about: str,
        at: str | None = None,
        looks: tuple[tuple[str, str], ...] = BOTH,
    ) -> None:
        """One state in some looks; at: what is at the top of the window, None for the page as a whole."""
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
        """All of them as Markdown."""
        parts = [INTRODUCTION]
        for about, files in self.taken:
            pictures = " ".join(
                f"![{name.removesuffix('.webp')}](screens/{name})" for name in files
            )
            parts.append(f"{about}\n\n{pictures}\n")
        return "\n".join(parts)


def _seen_once(page: Page) -> None:
    """Scrolls through the page: pictures are loaded only when they come near."""
    page.evaluate(
        "async () => { for (let y = 0; y < document.body.scrollHeight; y += 600) {"
        " scrollTo(0, y); await new Promise(done => setTimeout(done, 60)); } scrollTo(0, 0); }"
    )


def ready(page: Page, app: App, camera: Camera, folder: Path) -> None:
    camera.take(page, "ready", "Ready, with the first example and the first motion.", looks=ALL)
    page.get_by_text("Adjust").click()
    page.get_by_role("button", name="Advanced").click()
    camera.take(page, "settings", "All settings opened.", "#preset", (DESK_DARK, PHONE_LIGHT))


def picture(page: Page, app: App, camera: Camera, folder: Path) -> None:
    pictures = [Image.open(CHARACTERS / f"{name}.png") for name in ("room-boy", "park-girl")]
    two = np.hstack([np.asarray(each.convert("RGB")) for each in pictures])
    _upload(page, Image.fromarray(two), folder / "two.png")
    expect(page.locator("#found-text")).to_contain_text("Click the one that is meant.")
    camera.take(page, "two-people", "Two people in a picture: one is clicked.", "#picture")

    _upload(page, Image.new("RGB", (128, 128), (90, 140, 200)), folder / "empty.png")
    expect(page.locator("#found-text").get_by_role("alert")).to_contain_text("Place a skeleton")
    camera.take(page, "nobody", "Nobody found: a skeleton can be placed.", "#picture", (DESK_DARK,))
    page.get_by_role("button", name="Place a skeleton").click()
    expect(page.locator("#found-text")).to_contain_text("as you put them")
    camera.take(page, "placed", "A skeleton that was placed.", "#picture")

    text = folder / "picture.png"
    text.write_text("this is text")
    page.locator("#picture").get_by_label("Clear").click()
    page.locator("#picture input[type=file]").set_input_files(text)
    expect(page.locator("#found-text").get_by_role("alert")).to_contain_text("not a picture")
    camera.take(page, "no-picture", "A file that is no picture.", "#picture")


def joints(page: Page, app: App, camera: Camera, folder: Path) -> None:
    expect(page.locator("#joints [data-joint]")).to_have_count(18)
    box = page.locator("#joints [data-joint='4']").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 30, y - 40, steps=4)
    page.mouse.up()
    page.locator("#joints [data-joint='7']").focus()
    page.keyboard.press("Delete")
    expect(page.locator("#found-text")).to_contain_text("17 of 18 joints")
    about = "A joint that was dragged, and one that was hidden and waits at the right."
    camera.take(page, "joints", about, "#picture")


def timeline(page: Page, app: App, camera: Camera, folder: Path) -> None:
    page.get_by_role("radio", name="A video or pose file").check()
    page.locator("#motion-file input[type=file]").set_input_files(VIDEO)
    found = page.locator("#timeline")
    expect(found).to_contain_text("frame 1 of 24")
    found.get_by_role("slider").fill("6")
    about = "What was found in a video, frame by frame; a part of it can be chosen."
    camera.take(page, "timeline", about, "#motion-from")


def finding(page: Page, app: App, camera: Camera, folder: Path) -> None:
    page.get_by_text("Adjust").click()
    page.wait_for_timeout(SETTLE_MS)  # what is typed while its components come in is lost
    shift = page.locator("#setting-shift-x input[type=number]")
    shift.fill("0.9")
    shift.press("Tab")
    small(page, frames=8)
    expect(page.locator("#findings")).to_contain_text("leave the picture")
    expect(page.locator("#findings")).to_contain_text("The clip shows")
    about = "Findings on a motion that does not fit, and remedies to click."
    camera.take(page, "findings", about, "#alignment-view")


def lambdas(page: Page, app: App, camera: Camera, folder: Path) -> None:
    first = page.locator("#setting-lambda-first input[type=number]")
    first.fill("0.9")
    first.press("Tab")
    page.get_by_role("button", name="Generate").click()
    expect(page.locator("#bar").get_by_role("alert")).to_contain_text("for instance")
    about = "Weights that do not sum to 1: a sentence, also where Generate was clicked."
    camera.take(page, "lambdas", about, "#setting-frames")


def clip(page: Page, app: App, camera: Camera, folder: Path) -> None:
    page.get_by_role("radio", name="room boy").check()
    page.get_by_role("radio", name="dance sway").check()
    expect(page.locator("#findings")).to_contain_text("frames")
    app.animator.hold_at, app.animator.hold_on = 12, Preview
    page.get_by_role("button", name="Generate").click()
    assert app.animator.held.wait(HOLD_S)
    expect(page.get_by_role("img", name="frames in reading order")).to_be_visible()
    about = (
        "Running: finished frames, a predicted one with a frame around it, skeletons for the rest."
    )
    camera.take(page, "running", about, CLIP, ALL)
    page.get_by_role("button", name="Stop").click()
    app.animator.go_on.set()
    expect(page.locator("#bar")).to_contain_text("Stopped.")
    expect(page.locator("#clip video")).to_be_visible()
    camera.take(page, "stopped", "Stopped: what is finished is a clip.", CLIP)

    app.animator.hold_at = None
    page.get_by_role("button", name="Generate").click()
    expect(page.locator("#bar")).to_contain_text("Done: 16 frames.")
    expect(page.locator("#seen")).to_contain_text("Background")
    expect(page.locator("#downloads a").first).to_be_visible()
    page.locator("#frames").get_by_role("button", name="frame 9").click()
    about = "Done: the clip, its frames beside picture and poses, downloads and figures."
    camera.take(page, "finished", about, CLIP, ALL)
    camera.take(page, "figures", "Further down: downloads and figures.", "#frames")

    page.locator("#sharing").get_by_text("Share this clip").first.click()
    page.get_by_role("button", name="Share this clip").last.click()
    expect(page.locator("#share-said")).to_contain_text("Shared.")
    camera.take(page, "shared", "A link to the clip, which can be taken back.", "#sharing")
    page.goto(page.locator("#share-link :is(input, textarea)").input_value())
    expect(page.locator("#restored")).to_contain_text("Somebody shared this clip with you.")
    expect(page.locator("#clip video")).to_be_visible()
    camera.take(page, "opened", "What a guest sees who opens the link.", "#intro")


def compared(page: Page, app: App, camera: Camera, folder: Path) -> None:
    small(page, frames=6, steps=4)
    page.get_by_label("Values of a setting").check()
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("#bar")).to_contain_text("Done: 3 clips.")
    expect(page.locator("#grid video")).to_be_visible()
    camera.take(page, "compared", "Values of a setting in one clip.", "#compare-kind")


SCENES: tuple[Callable[[Page, App, Camera, Path], None], ...] = (
    ready, picture, joints, timeline, finding, lambdas, clip, compared,
)  # fmt: skip


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
