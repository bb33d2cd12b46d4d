"""How the page looks: contrast in both themes, names of controls, and that nothing moves when previews arrive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.browser import HOLD_S, App, experts, opened, show, small, unfold
from playwright.sync_api import Browser, Page, expect

from poseanimate.events import Preview

pytestmark = pytest.mark.slow

LOW_CONTRAST = Path(__file__).with_name("theme.js").read_text(encoding="utf-8")
SIZES = {"desk": {"width": 1360, "height": 900}, "phone": {"width": 390, "height": 844}}
ROLES = {
    "button", "checkbox", "combobox", "link", "listbox", "radio", "searchbox", "slider", "spinbutton", "textbox",
}  # fmt: skip
STAYS_PX = 4


@pytest.fixture
def unfolded(app: App, browser: Browser) -> Iterator[Page]:
    """The page with a clip, and with everything on it unfolded."""
    app.animator.unheld()
    with browser.new_context() as context:
        page = opened(context.new_page(), app.url)
        small(page, frames=3)
        page.get_by_role("button", name="Generate").click()
        for name in ("Open a saved project", "Download", "Share this clip"):
            unfold(page, name)
        page.get_by_role("button", name="Fix pose…").click()
        expect(page.locator("#bar")).to_contain_text("Done: 3 frames.")
        experts(page)
        for name in ("Adjust the motion", "Advanced"):
            unfold(page, name)
        expect(page.locator("#downloads a").first).to_be_visible()
        yield page


def _low_contrast(page: Page) -> list[str]:
    found = page.evaluate(LOW_CONTRAST)
    assert found["count"] > 150
    return list(found["found"])


def test_texts_stand_out_from_their_ground_in_both_themes(unfolded: Page) -> None:
    page = unfolded
    first = page.locator("#setting-lambda-first input[type=number]")
    first.fill("0.9")
    first.press("Tab")
    expect(page.locator("#lambda-sum").get_by_role("alert")).to_be_visible()
    page.add_style_tag(content="* { transition: none !important; }")
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        expect(page.locator("body.dark")).to_have_count(int(theme == "dark"))
        assert _low_contrast(page) == []
    page.locator("#intro h1").evaluate("title => title.style.color = '#475569'")
    assert [each.partition(": ")[2] for each in _low_contrast(page)] == ["PoseAnimate"]


def test_every_control_has_a_name(unfolded: Page) -> None:
    page = unfolded
    browser = page.context.new_cdp_session(page)
    tree = browser.send("Accessibility.getFullAXTree")["nodes"]
    controls = [node for node in tree if not node["ignored"] and node["role"]["value"] in ROLES]
    assert {node["role"]["value"] for node in controls} >= {"button", "link", "radio", "slider"}

    def element(node: dict[str, Any]) -> str:
        asked = {"backendNodeId": node["backendDOMNodeId"]}
        return str(browser.send("DOM.getOuterHTML", asked)["outerHTML"])[:200]

    assert [element(node) for node in controls if not node["name"]["value"].strip()] == []


NONE_IS_CUT = """() => [...document.querySelectorAll("#downloads .filename .stem")].every(stem => {
  const text = document.createRange();
  text.selectNodeContents(stem);
  return text.getBoundingClientRect().right <= stem.closest(".filename").getBoundingClientRect().right;
})"""


def test_names_of_downloads_are_whole_on_a_phone(unfolded: Page) -> None:
    experts(unfolded)
    unfolded.set_viewport_size(SIZES["phone"])  # type: ignore[arg-type]
    names = unfolded.locator("#downloads .filename .stem")
    expect(names).to_have_count(5)
    unfolded.wait_for_function(NONE_IS_CUT)  # once the experts' side has gone
    sizes = unfolded.locator("#downloads .download")
    assert sizes.evaluate_all("all => all.every(e => e.scrollWidth <= e.clientWidth)")


@pytest.mark.parametrize("size", SIZES)
def test_nothing_moves_when_previews_and_the_clip_arrive(
    app: App, browser: Browser, size: str
) -> None:
    stays = ("#generate", "#views", "#taking", "#sharing", "#character", "#motion-part")
    app.animator.unheld()
    app.animator.hold_at, app.animator.hold_on = 1, Preview
    with browser.new_context(viewport=SIZES[size]) as context:
        page = opened(context.new_page(), app.url)
        if size == "phone":
            unfold(page, "3 · Clip")
        small(page, frames=9, steps=4)
        expect(page.locator("#findings")).to_contain_text("Good fit: 0.8 s, 9 frames")
        page.evaluate("window.scrollTo(0, 0)")
        ready = {name: _place(page, name) for name in stays}
        page.get_by_role("button", name="Generate").click()
        assert app.animator.held.wait(HOLD_S)
        expect(page.get_by_role("img", name="frames in reading order")).to_have_count(1)
        for name in stays:
            assert _place(page, name) == pytest.approx(ready[name], abs=STAYS_PX), name
        app.animator.go_on.set()
        expect(page.locator("#bar")).to_contain_text("Done: 9 frames.")
        expect(page.locator("#clip video")).to_be_visible()
        for name in stays:
            if name != "#views":  # notes on the clip come below
                assert _place(page, name) == pytest.approx(ready[name], abs=STAYS_PX), name
        show(page, "Frames")
        expect(page.locator("#frames .pa-strip button")).to_have_count(9)
        assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"]


def _place(page: Page, name: str) -> list[float]:
    """Left, top, width and height on the page; on the window where it stays in sight."""
    js = """element => {
        const box = element.getBoundingClientRect(), fixed = element.closest("#run");
        return [box.x, box.y + (fixed ? 0 : scrollY), box.width, box.height];
    }"""
    place: list[float] = page.locator(name).evaluate(js)
    return place
