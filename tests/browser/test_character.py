"""The page's first part: one's own picture on all its ways in, refused files, the joint editor, surprises."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import numpy as np
import pytest
from helpers.browser import App, opened, unfold
from PIL import Image
from pillow_heif import from_pillow
from playwright.sync_api import Browser, Locator, Page, expect

from poseanimate.media import PictureLimits

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples" / "characters"
PHONE = {"width": 390, "height": 844}
THUMBNAIL = re.compile("data:image/jpeg")
NONE = re.compile("none")
DROP = """([selector, url]) => fetch(url).then(answer => answer.blob()).then(blob => {
    const files = new DataTransfer(), part = document.querySelector(selector);
    files.items.add(new File([blob], "mine.png", { type: "image/png" }));
    for (const type of ["dragover", "drop"])
        part.dispatchEvent(new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer: files }));
})"""
STOP = """() => {
    const at = document.activeElement;
    return at.value || at.textContent.trim() || at.getAttribute("aria-label").split(",")[0];
}"""
COPY = """url => fetch(url).then(answer => answer.blob())
    .then(blob => navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]))"""


def _upload(page: Page, path: Path) -> None:
    page.locator("#own input").set_input_files(path)


def _url(name: str) -> str:
    return (
        "data:image/png;base64,"
        + base64.b64encode((EXAMPLES / f"{name}.png").read_bytes()).decode()
    )


def _shows_own(page: Page) -> None:
    """One's own picture is on its tile, and no example is chosen."""
    assert page.evaluate("!document.querySelector('#example :checked')")
    expect(page.locator(".pa-own")).to_have_css("outline-style", "solid")
    page.wait_for_function(
        "() => getComputedStyle(document.querySelector('.pa-own'), '::before')"
        ".backgroundImage.includes('data:image/jpeg')"
    )


def _said(page: Page) -> Locator:
    return page.locator("#found-text")


def _refused(page: Page) -> Locator:
    return page.locator("#own").get_by_role("alert")


def test_ones_own_picture_is_chosen_pasted_and_dropped(page: Page, tmp_path: Path) -> None:
    with page.expect_file_chooser() as choosing:
        page.get_by_text("Your picture").click()
    choosing.value.set_files(EXAMPLES / "park-girl.png")
    expect(page.get_by_role("tab", name="Draft")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#prompt textarea")).to_have_value("")
    expect(page.locator("#picture")).to_contain_text("park-girl")
    expect(_said(page)).to_contain_text("head to feet")
    _shows_own(page)

    page.get_by_role("radio", name="snow boy").check()
    expect(page.locator(".pa-own")).to_have_css("outline-style", "none")
    expect(page.locator("#ready-made video")).to_have_attribute("src", re.compile("snow-boy"))
    page.locator("#own input").press("Enter")  # one's own comes back
    expect(page.locator("#picture")).to_contain_text("park-girl")
    _shows_own(page)
    page.get_by_role("radio", name="snow boy").check()
    expect(page.get_by_role("tab", name="Clip")).to_have_attribute("aria-selected", "true")

    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(COPY, _url("street-girl"))
    page.locator("#setting-frames input[type=number]").focus()
    page.keyboard.press("Control+v")  # a text field keeps what is pasted
    page.get_by_role("radio", name="squat").focus()
    page.keyboard.press("Control+v")
    expect(page.get_by_role("tab", name="Draft")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#picture")).to_contain_text("image")
    _shows_own(page)

    page.get_by_role("radio", name="snow boy").check()
    expect(page.get_by_role("tab", name="Clip")).to_have_attribute("aria-selected", "true")
    page.evaluate(DROP, ["#found-text", _url("beach-girl")])
    expect(page.locator("#picture")).to_contain_text("mine")
    expect(page.locator("#prompt textarea")).to_have_value("")
    _shows_own(page)

    heic = tmp_path / "IMG_0001.HEIC"  # which no browser can show
    with Image.open(EXAMPLES / "park-girl.png") as picture:
        from_pillow(picture.convert("RGB").resize((512, 512))).save(heic, quality=90)
    _upload(page, heic)
    expect(_said(page)).to_contain_text("head to feet")
    _shows_own(page)


def test_a_refused_file_is_told_and_the_picture_before_it_stays(page: Page, tmp_path: Path) -> None:
    text, torn, huge = (tmp_path / name for name in ("me.txt", "torn.png", "huge.jpg"))
    text.write_text("this is text")
    torn.write_bytes((EXAMPLES / "park-girl.png").read_bytes()[:3000])
    with huge.open("wb") as file:
        file.truncate(PictureLimits().max_bytes + 1)
    for path, why in (
        (text, "This is not a picture that can be read. Choose a PNG, JPEG"),
        (torn, "The picture is damaged"),
        (huge, "The picture is too large: at most 50 MB"),
    ):
        _upload(page, path)
        expect(_refused(page)).to_contain_text(why)
        expect(_refused(page)).to_contain_text("The picture before it stays.")
        expect(page.locator(".pa-own")).to_have_attribute("aria-busy", "false")
        expect(page.get_by_role("radio", name="room boy")).to_be_checked()
    expect(_said(page)).to_contain_text("head to feet")
    expect(page.get_by_role("tab", name="Clip")).to_have_attribute("aria-selected", "true")
    expect(page.locator(".toast-body")).to_have_count(0)
    page.get_by_role("radio", name="park girl").check()
    expect(_refused(page)).to_have_count(0)


def test_the_editor_unfolds_where_one_is_to_be_chosen_or_placed(page: Page, tmp_path: Path) -> None:
    two, empty = tmp_path / "two.png", tmp_path / "empty.png"
    pictures = [Image.open(EXAMPLES / f"{name}.png") for name in ("room-boy", "park-girl")]
    Image.fromarray(np.hstack([np.asarray(each.convert("RGB")) for each in pictures])).save(two)
    Image.new("RGB", (128, 128), (90, 140, 200)).save(empty)
    toggle, editor = page.get_by_role("button", name="Fix pose…"), page.locator("#joints svg")
    expect(editor).to_be_hidden()

    _upload(page, two)
    expect(_said(page)).to_contain_text("Click the character to animate.")
    expect(page.locator("#findings")).to_contain_text("Pick the character first.")
    expect(toggle).to_have_attribute("aria-expanded", "true")
    page.get_by_role("button", name="person 2").click()
    expect(_said(page)).to_contain_text("as you put them")
    expect(page.locator("#findings")).to_contain_text("Good fit")
    page.get_by_role("button", name="Reset pose").click()
    expect(_said(page)).to_contain_text("Click the character to animate.")

    _upload(page, EXAMPLES / "park-girl.png")
    expect(_said(page)).to_contain_text("head to feet")
    expect(editor).to_be_hidden()
    _upload(page, empty)
    expect(_said(page).get_by_role("alert")).to_contain_text("Place a skeleton")
    page.get_by_role("button", name="Place a skeleton").click()
    expect(_said(page)).to_contain_text("All 18 joints, as you put them.")
    expect(_said(page)).to_contain_text("we drew one around the joints")
    toggle.click()
    expect(editor).to_be_hidden()


def test_a_surprise_is_a_new_character_in_another_motion(page: Page) -> None:
    surprise = page.get_by_role("button", name="Surprise me")
    prompts, motions = [""], ["dance-sway"]
    for _ in range(2):
        surprise.click()
        expect(page.locator("#motion :checked")).not_to_have_value(motions[-1])
        motions.append(page.locator("#motion :checked").input_value())
        prompts.append(page.locator("#prompt textarea").input_value())
    assert len({*prompts}) == 3
    assert all(re.match("a (girl|boy) with .* skin, ", prompt) for prompt in prompts[1:])
    expect(page.get_by_role("tab", name="Draft")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#alignment img")).to_be_visible()
    expect(_said(page)).to_contain_text("Found the character")
    _shows_own(page)
    page.get_by_role("radio", name="snow boy").check()
    surprise.click()
    expect(page.get_by_role("radio", name="snow boy")).not_to_be_checked()
    _upload(page, EXAMPLES / "park-girl.png")  # which takes the surprise's description away
    expect(page.locator("#prompt textarea")).to_have_value("")


def test_the_tab_key_goes_as_the_eye_does_and_stops_once_at_the_joints(page: Page) -> None:
    page.get_by_role("button", name="Fix pose…").press("Enter")
    expect(page.locator("#joints [data-joint='0']")).to_have_count(1)
    page.locator("#own input").focus()
    stops = []
    while not stops or "Motion" not in stops[-1]:
        page.keyboard.press("Tab")
        stops.append(page.evaluate(STOP))
        assert len(stops) < 10
    assert stops[:-1] == ["room-boy", "Webcam", "Surprise me", "Fix pose…", "nose"]
    page.locator("#joints [data-joint='0']").press("PageUp")
    expect(page.locator("#joints [data-joint='17']")).to_be_focused()
    page.keyboard.press("PageDown")
    expect(page.locator("#joints [data-joint='0']")).to_be_focused()


def test_the_webcam_takes_a_picture_by_keyboard(page: Page) -> None:
    page.get_by_role("button", name="Webcam").press("Enter")
    webcam = page.get_by_role("dialog", name="Webcam")
    expect(webcam.get_by_role("button", name="Take the picture")).to_be_visible()
    webcam.press("Escape")
    expect(webcam).to_be_hidden()
    page.get_by_role("button", name="Webcam").press("Enter")
    page.wait_for_function("() => document.querySelector('.pa-camera video').videoWidth")
    webcam.get_by_role("button", name="Take the picture").press("Enter")
    expect(webcam).to_be_hidden()
    expect(page.locator("#picture")).to_contain_text("webcam")
    page.get_by_role("radio", name="park girl").check()
    expect(page.locator("#picture")).to_contain_text("park-girl")

    page.clock.install()
    page.get_by_role("button", name="Webcam").click()
    webcam.get_by_role("button", name="In 5 seconds").click()
    expect(webcam.get_by_role("status")).to_have_text("5")
    page.clock.run_for(4000)
    expect(webcam.get_by_role("status")).to_have_text("1")
    page.clock.run_for(1000)
    page.clock.resume()
    expect(webcam).to_be_hidden()
    expect(page.locator("#picture")).to_contain_text("webcam")
    expect(_said(page)).not_to_contain_text("head to feet")
    _shows_own(page)


def test_a_phone_shows_beside_the_tiles_what_the_models_cannot_paint(
    app: App, browser: Browser, tmp_path: Path
) -> None:
    with browser.new_context(viewport=PHONE) as context:
        page = opened(context.new_page(), app.url)
        unfold(page, "1 · Character")
        noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / "noise.png")
        _upload(page, tmp_path / "noise.png")
        page.get_by_role("button", name="Place a skeleton").click()
        expect(_said(page)).to_contain_text("can't paint this picture")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
