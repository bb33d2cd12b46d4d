"""What survives a reload, a lost connection and a restart of the browser; and that nobody else sees it."""

from __future__ import annotations

import re

import pytest
from helpers.browser import HOLD_S, App, opened, small, unfold
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.slow

WATCH_THE_STAGE = """setInterval(() => {
    const video = document.querySelector("html.pa-built .pa-ready video");
    window.example_seen ||= Boolean(video) && getComputedStyle(video).visibility === "visible";
}, 50);"""


def made(page: Page, motion: str, count: int) -> None:
    """A clip of so many on the shelf."""
    page.get_by_role("radio", name=motion).check()
    page.locator("#generate").click()
    expect(page.locator("#your-clips li")).to_have_count(count)
    expect(page.locator("#bar")).to_contain_text("Done: 3 frames.")


def began(app: App, page: Page, motion: str) -> None:
    """A run that is held at its second frame."""
    app.animator.unheld()
    app.animator.hold_at = 2
    page.get_by_role("radio", name=motion).check()
    page.locator("#generate").click()
    assert app.animator.held.wait(HOLD_S)


def goes_on(app: App) -> None:
    """A held run goes on to its end."""
    app.animator.hold_at = None
    app.animator.go_on.set()


def test_clips_and_runs_come_back_to_their_browser_alone(app: App, browser: Browser) -> None:
    app.animator.unheld()
    mine = browser.new_context()
    page = opened(mine.new_page(), app.url)
    small(page, frames=3)
    expect(page.locator("#your-clips .pa-shelf")).to_be_hidden()
    made(page, "walk", 1)
    made(page, "squat", 2)

    # a reload while a run goes on: it is found, with its inputs, and ends on the new page
    began(app, page, "wave")
    page.add_init_script(WATCH_THE_STAGE)
    page.reload()
    expect(page.locator("#restored")).to_contain_text("went on while this page was away")
    expect(page.locator("#stop")).to_be_enabled()
    expect(page.get_by_role("radio", name="wave")).to_be_checked()
    expect(page.locator("#contact-sheet img")).to_be_visible()
    assert not page.evaluate("window.example_seen")
    goes_on(app)
    expect(page.locator("#bar")).to_contain_text("Done: 3 frames.")
    expect(page.locator("#clip video")).to_be_visible()
    expect(page.locator("#your-clips li")).to_have_count(3)
    expect(page.locator("#generate")).to_be_enabled()

    # an earlier clip again, with what made it and its downloads
    page.get_by_role("button", name=re.compile("^squat ")).click()
    expect(page.get_by_role("radio", name="squat")).to_be_checked()
    unfold(page, "Download")
    expect(page.locator("#downloads a[download$='-bundle.zip']").first).to_be_visible()
    delete = page.get_by_role("button", name="Delete: walk")
    delete.evaluate("button => { button.click(); button.click(); }")  # the second one is sure
    expect(page.locator("#your-clips li")).to_have_count(2)

    # without a run the example is there again
    page.reload()
    page.wait_for_function("window.example_seen")

    # another visitor sees nothing of it; the same browser, started anew, all
    other = opened(browser.new_context().new_page(), app.url)
    expect(other.locator("#your-clips .pa-shelf")).to_be_hidden()
    again = opened(browser.new_context(storage_state=mine.storage_state()).new_page(), app.url)
    expect(again.locator("#your-clips li")).to_have_count(2)


def test_a_run_goes_on_though_its_page_is_closed_and_ends_unseen(
    app: App, browser: Browser
) -> None:
    context = browser.new_context()
    page = opened(context.new_page(), app.url)
    small(page, frames=3)
    began(app, page, "bow")
    page.close()
    goes_on(app)
    later = opened(context.new_page(), app.url)
    expect(later.locator("#bar")).to_contain_text("Done: 3 frames.")
    expect(later.locator("#clip video")).to_be_visible()
    expect(later.locator("#your-clips li")).to_have_count(1)


def test_a_run_survives_a_lost_connection(app: App, browser: Browser) -> None:
    context = browser.new_context()
    page = opened(context.new_page(), app.url)
    small(page, frames=3)
    began(app, page, "march")
    context.set_offline(True)
    goes_on(app)
    page.wait_for_function("!navigator.onLine")
    context.set_offline(False)
    expect(page.locator("#bar")).to_contain_text("Done: 3 frames.")
    expect(page.locator("#clip video")).to_be_visible()
    expect(page.locator("#your-clips li")).to_have_count(1)
