"""The page under a thumb: a phone's screen, without a mouse and keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.browser import App, opened, show, small, unfold
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect
from skimage import data

pytestmark = pytest.mark.slow

PHONE = {"width": 390, "height": 844}
MOST_BAR = 0.15 * PHONE["height"]
FINGER_PX = 32
JOINTS = """() => [...document.querySelectorAll("#joints [data-joint]")].map((each) => {
    const { x, y, width, height } = each.getBoundingClientRect();
    return [x + width / 2, y + height / 2];
})"""
EYES, NOSE = (14, 15), 0
CUT_OFF = "bar => [...bar.querySelectorAll('p')].some(p => !p.offsetParent || p.scrollWidth > p.clientWidth)"


@pytest.fixture
def phone(app: App, browser: Browser) -> Iterator[Page]:
    app.animator.unheld()
    with browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True) as context:
        yield opened(context.new_page(), app.url)


def _top(page: Page) -> float:
    """Where the bar begins."""
    box = page.locator("#run").first.bounding_box()
    assert box is not None
    return box["y"]


def _bottom(shown: Locator) -> float:
    box = shown.bounding_box()
    assert box is not None
    return box["y"] + box["height"]


def test_the_bar_is_a_line_that_unfolds(phone: Page, tmp_path: Path) -> None:
    photograph = tmp_path / "astronaut.png"
    Image.fromarray(data.astronaut()).save(photograph)
    phone.locator("#own input").set_input_files(photograph)
    unfold(phone, "1 · Character")
    expect(phone.locator("#found-text")).to_contain_text("here the draft is the result")
    phone.locator("#generate").tap()
    bar = phone.locator("#bar")
    expect(bar.get_by_role("alert")).to_contain_text("Press Generate again to see it.")
    expect(phone.locator(".toast-body")).to_have_count(0)  # the bar says it
    assert PHONE["height"] - _top(phone) <= MOST_BAR
    assert bar.evaluate(CUT_OFF)
    phone.get_by_role("button", name="All of it").tap()
    assert not bar.evaluate(CUT_OFF)
    bar.tap()
    assert PHONE["height"] - _top(phone) <= MOST_BAR


def test_joints_are_far_enough_apart_for_fingers_and_two_taps_hide_one(phone: Page) -> None:
    unfold(phone, "1 · Character")
    phone.get_by_role("button", name="Fix pose…").tap()
    help = phone.locator("#joints .pa-name")
    expect(help).to_contain_text("two taps")
    expect(help).not_to_contain_text("keyboard")
    phone.get_by_role("button", name="Zoom to the head").tap()
    phone.locator("#joints svg").evaluate("svg => svg.scrollIntoView({block: 'center'})")
    joints = phone.evaluate(JOINTS)
    (right_x, _), (left_x, _) = (joints[each] for each in EYES)
    assert abs(left_x - right_x) >= FINGER_PX
    for _ in range(20):  # on a busy machine two taps may be too far apart
        phone.touchscreen.tap(*joints[NOSE])
        if phone.locator(f"#joints [data-joint='{NOSE}'].pa-waiting").count():
            break
    expect(phone.locator("#found-text")).to_contain_text("17 of 18 joints")
    phone.get_by_role("button", name="Whole picture").tap()
    phone.get_by_role("button", name="Undo").tap()
    expect(phone.locator("#found-text")).to_contain_text("head to feet")


def test_a_clip_is_made_kept_and_shared(app: App, phone: Page, browser: Browser) -> None:
    unfold(phone, "3 · Clip")
    small(phone, 9)
    phone.locator("#generate").tap()
    expect(phone.locator("#bar")).to_contain_text("Done: 9 frames.")
    assert PHONE["height"] - _top(phone) <= MOST_BAR
    icon = phone.locator("#clip .icon-button").last
    box = icon.bounding_box()
    assert box is not None and min(box["width"], box["height"]) >= FINGER_PX

    unfold(phone, "Download")
    expect(phone.locator("#downloads a[download$='.mp4']").first).to_be_visible()
    expect(phone.get_by_role("button", name="Remove this file")).to_have_count(0)

    phone.locator("#sharing").get_by_text("Share this clip").first.tap()
    phone.get_by_role("button", name="Share this clip").last.tap()
    link = phone.locator("#share-link :is(input, textarea)")
    expect(link).to_have_value(re.compile("shared="))
    phone.wait_for_function(
        "document.querySelector('#share-said').getBoundingClientRect().bottom"
        " <= document.querySelector('#buttons').getBoundingClientRect().top"
    )
    expect(phone.locator("#share-link")).to_be_in_viewport(ratio=1)

    # the strip goes where the clip is, and the page stays
    show(phone, "Frames")
    frames = phone.locator("#frames")
    frames.get_by_role("button", name="Pause").tap()
    slider = frames.get_by_role("slider")
    slider.fill("8")
    expect(frames.get_by_role("button", name="frame 9")).to_be_in_viewport(ratio=1)
    slider.fill("0")
    expect(frames.get_by_role("button", name="frame 1", exact=True)).to_be_in_viewport(ratio=1)

    with browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True) as context:
        guest = context.new_page()
        guest.goto(link.input_value())
        own = guest.get_by_role("link", name="Make your own")
        expect(own).to_be_visible()
        expect(guest.locator("#forecast")).not_to_be_empty()
        assert _bottom(own) + FINGER_PX <= _top(guest)
