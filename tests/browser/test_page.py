"""The page in a real Chromium, served in-process on the pocket models."""

from __future__ import annotations

import math
import re
import subprocess
import zipfile
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from helpers.browser import HOLD_S, App, dragged, experts, opened, serving, show, small, unfold
from helpers.scripted import ScriptedCluster
from helpers.served import brought_late
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from poseanimate.media import read_video
from poseanimate.models.loading import load_models
from poseanimate.storage.shared_clips import SharedClips
from poseanimate.ui.server.middleware import STREAM_END

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples" / "characters"
SQUARE = (128, 128)  # at which frames are compared
DESK, PHONE = {"width": 1360, "height": 900}, {"width": 390, "height": 844}
OPACITY = """function opacity(each) {
    return each ? getComputedStyle(each).opacity * opacity(each.parentElement) : 1;
}"""
MOST_SHIFT = 0.1  # cumulative layout shift, as Web Vitals count it
HEIGHT = "() => document.querySelector('#generate').getBoundingClientRect().top"


def _downloaded(page: Page, folder: Path, suffix: str) -> Path:
    with page.expect_download() as download:
        page.locator(f"#downloads a[download$='{suffix}']").first.click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def _frames(video: Path) -> np.ndarray:
    return np.stack(read_video(video).frames)


def _first_frame(video: Path) -> np.ndarray:
    """Of a clip of a square example."""
    return np.asarray(Image.fromarray(_frames(video)[0]).resize(SQUARE), np.float64)


WATCH_THE_SHEET = """() => {
    window.sheets = new Set();
    const look = () => {
        const sheet = document.querySelector("#contact-sheet img");
        if (sheet) window.sheets.add(sheet.src);
    };
    const all = {subtree: true, childList: true, attributes: true};
    new MutationObserver(look).observe(document.querySelector("#contact-sheet"), all);
}"""


def test_the_whole_way(
    app: App, page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "poseanimate.ui.runs.run_view.SHEETS_PER_S", math.inf
    )  # however fast the machine

    # a character: an example, then one's own picture, with a joint put right
    page.get_by_role("radio", name="park girl").check()
    expect(page.locator("#picture")).to_contain_text("park-girl")
    expect(page.locator("#prompt textarea")).to_have_value(re.compile("^a girl .* in the park"))
    page.locator("#own input").set_input_files(EXAMPLES / "room-boy.png")
    expect(page.locator("#found-text")).to_contain_text("Found the character")
    experts(page)
    page.get_by_role("button", name="Use: a girl in a red shirt").click()
    page.get_by_role("button", name="Fix pose…").click()
    dragged(page, 4, -12, -16)
    expect(page.locator("#found-text")).to_contain_text("as you put them")

    # a motion: what is none, then a preset
    text = tmp_path / "dance.mp4"
    text.write_text("this is text")
    page.get_by_role("radio", name="Video", exact=True).check()
    page.locator("#motion-file input[type=file]").set_input_files(text)
    expect(page.locator("#findings").get_by_role("alert")).to_contain_text("Choose an MP4")
    page.get_by_role("radio", name="Ready-made").check()
    page.get_by_role("radio", name="squat").check()

    # the alignment: a finding and its remedy
    small(page, frames=4, steps=4)
    expect(page.locator("#findings")).to_contain_text("poses.")
    page.get_by_role("button", name="Show all").click()
    expect(page.locator("#findings")).to_contain_text("Good fit")
    page.get_by_role("button", name="Advanced").click()
    small(page, frames=5, steps=4)
    page.get_by_label("Matching the picture (PACM)").check()
    monkeypatch.setattr(app.animator, "chunk_size", 2)
    expect(page.locator("#forecast")).to_contain_text("to do: preparing the picture (1/2)")

    # a run: previews come and change; it is stopped, and what is finished is kept
    app.animator.hold_at = 1
    page.evaluate(WATCH_THE_SHEET)
    page.get_by_role("button", name="Generate").click()
    expect(page.get_by_role("button", name="Stop")).to_be_enabled()
    assert app.animator.held.wait(HOLD_S)
    for frames in (1, 2, 3):
        if frames > 1:
            app.animator.go_on_to(frames)
        page.wait_for_function("count => window.sheets.size >= count", arg=frames)
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#bar")).to_contain_text("Stopping")
    app.animator.go_on.set()
    expect(page.locator("#bar")).to_contain_text("Stopped. The 3 finished frames are kept")
    expect(page.locator("#clip video")).to_be_visible()
    unfold(page, "Download")
    expect(page.locator("#downloads a[download$='.mp4']").first).to_be_visible()

    # again: what was done is not done again
    app.animator.hold_at = None
    expect(page.locator("#forecast")).to_contain_text("cached: preparing the picture (1/2)")
    page.get_by_role("button", name="Generate").click()
    expect(page.locator("#bar")).to_contain_text("Done: 5 frames.")
    expect(page.locator("#report")).to_contain_text(
        re.compile(r"Taken from the cache *preparing the picture \(1/2\), learning to reconstruct")
    )
    expect(page.locator("#report")).to_contain_text("dB PSNR")
    expect(page.locator("#review")).to_contain_text("torso lengths")
    assert page.locator("#clip video").evaluate("video => video.loop && video.autoplay")

    # the result frame by frame
    show(page, "Frames")
    frames = page.locator("#frames")
    expect(frames.locator(".pa-strip button")).to_have_count(5)
    frames.get_by_role("button", name="frame 3").click()
    expect(frames.get_by_role("slider")).to_have_value("2")
    expect(frames.get_by_role("img", name="clip, frame 3")).to_be_visible()
    frames.get_by_role("slider").press("ArrowRight")
    expect(frames.get_by_role("img", name="poses, frame 4")).to_be_visible()
    frames.get_by_role("button", name="Play").click()
    expect(frames.get_by_role("img", name="clip, frame 2")).to_be_visible()

    # every download
    show(page, "Clip")
    clip = _downloaded(page, tmp_path, ".mp4")
    assert clip.name == "poseanimate-squat.mp4"
    video = read_video(clip)
    assert len(video.frames) == 5 and min(video.frames[0].shape[:2]) >= 448
    for suffix in (".gif", ".webm"):
        other = read_video(_downloaded(page, tmp_path, suffix))
        assert len(other.frames) == 5 and other.fps == pytest.approx(video.fps, rel=0.02)
    alpha = _alpha(tmp_path / "poseanimate-squat.webm")
    assert len(alpha) == 5
    assert (alpha < 20).mean() > 0.5 and (alpha > 235).mean() > 0.05
    with zipfile.ZipFile(_downloaded(page, tmp_path, "-frames.zip")) as pictures:
        assert len(pictures.namelist()) == 5
        for name in pictures.namelist():
            with pictures.open(name) as file, Image.open(file) as picture:
                assert picture.size == (512, 512)

    # the bundle in a fresh session
    bundle = _downloaded(page, tmp_path, "-bundle.zip")
    fresh = opened(page.context.new_page(), app.url)
    fresh.get_by_text("Open a saved project").click()
    fresh.locator("#bundle input[type=file]").set_input_files(bundle)
    expect(fresh.locator("#restored")).to_contain_text("are back")
    expect(fresh.locator("#clip video")).to_be_visible()
    expect(fresh.locator("#setting-frames input[type=number]")).to_have_value("5")
    expect(fresh.locator("#found-text")).to_contain_text("as you put them")
    fresh.get_by_role("button", name="Generate").click()
    expect(fresh.locator("#bar")).to_contain_text("Done: 5 frames.")
    unfold(fresh, "Download")
    again = _downloaded(fresh, tmp_path, ".mp4")
    assert again.read_bytes() == clip.read_bytes()


def _alpha(video: Path) -> np.ndarray:
    """Of a WebM's frames, (n, H, W) uint8; only libvpx's own decoder reads it."""
    decode = f"-v error -c:v libvpx-vp9 -i {video} -f rawvideo -pix_fmt rgba -".split()
    raw = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), *decode], stdout=subprocess.PIPE, check=True
    ).stdout
    height, width = read_video(video).frames[0].shape[:2]
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 4)[..., 3]


def test_two_visitors_at_once_get_their_own_clips(
    app: App, page: Page, browser: Browser, tmp_path: Path
) -> None:
    app.animator.hold_at = 2
    page.get_by_role("radio", name="room boy").check()
    expect(page.locator("#prompt textarea")).to_have_value(re.compile("in a room"))
    small(page, frames=3)
    page.get_by_role("button", name="Generate").click()
    assert app.animator.held.wait(HOLD_S)
    with browser.new_context() as context:
        other = opened(context.new_page(), app.url)
        other.get_by_role("radio", name="snow boy").check()
        expect(other.locator("#prompt textarea")).to_have_value(re.compile("in the snow"))
        small(other, frames=4)
        other.get_by_role("button", name="Generate").click()
        expect(other.locator("#bar")).to_contain_text("Waiting for its turn")
        expect(other.locator("#bar")).to_contain_text("1 run before it")
        app.animator.go_on.set()
        expect(page.locator("#bar")).to_contain_text("Done: 3 frames.")
        expect(other.locator("#bar")).to_contain_text("Done: 4 frames.")
        for visitor, name in ((page, "room-boy"), (other, "snow-boy")):
            folder = tmp_path / name
            folder.mkdir()
            unfold(visitor, "Download")
            first = _first_frame(_downloaded(visitor, folder, ".mp4"))
            with Image.open(EXAMPLES / f"{name}.png") as picture:
                own = np.asarray(picture.convert("RGB").resize(SQUARE), np.float64)
            assert np.abs(first - own).mean() < 10


def test_the_bar_tells_which_engine_runs_and_the_line_before_all_of_them(
    browser: Browser, tmp_path: Path
) -> None:
    engines = ScriptedCluster(load_models("pocket", "cpu"))
    with ExitStack() as stack:
        url = stack.enter_context(serving(engines, SharedClips(tmp_path)))
        bars, heights = [], []
        for number, size in enumerate((DESK, DESK, PHONE, DESK)):
            context = stack.enter_context(browser.new_context(viewport=size))
            visitor = opened(context.new_page(), url)
            bars.append(visitor.locator("#bar"))
            heights.append(visitor.evaluate(HEIGHT))
            visitor.get_by_role("button", name="Generate").click()
            expect(bars[-1]).to_contain_text(
                f"engine {number + 1}" if number < 2 else f"{number} runs before it on 2 engines"
            )
        first, second, third, fourth = bars
        expect(first).to_contain_text(
            "step 1 of 5 · about 1 min 15 s left · engine 1 · 1 of 2 free"
        )
        expect(second).to_contain_text("engine 2 · 0 of 2 free")
        expect(third).to_contain_text("2 runs before it on 2 engines · about 1 min 15 s")
        assert [bar.locator(".pa-line").evaluate(OPACITY) for bar in bars] == [1] * 4
        assert [bar.page.evaluate(HEIGHT) for bar in bars] == heights, "nothing moves"
        assert third.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        engines.may_end[1].release()
        expect(third).to_contain_text("engine 2 · 0 of 2 free")
        expect(fourth).to_contain_text("2 runs before it on 2 engines")
        for end in engines.may_end * 2:
            end.release()
        for bar in bars:
            expect(bar).to_contain_text("Done: 10 frames.")


def test_a_shared_clip_is_opened_by_its_link_and_taken_back(
    app: App, page: Page, browser: Browser
) -> None:
    page.get_by_role("radio", name="park girl").check()
    small(page, frames=3)
    page.get_by_role("button", name="Generate").click()
    expect(page.locator("#bar")).to_contain_text("Done: 3 frames.")
    page.locator("#sharing").get_by_text("Share this clip").first.click()
    buttons = page.get_by_role("button", name="Share this clip")
    expect(buttons).to_have_count(2)  # the accordion's own, and what it holds
    buttons.last.click()
    expect(page.locator("#share-said")).to_contain_text("Shared.")
    shared = page.locator("#share-link :is(input, textarea)")
    expect(shared).to_have_value(re.compile(re.escape(app.url) + r"\?shared=[\w-]{22}$"))
    link = shared.input_value()

    with browser.new_context() as context:
        guest = context.new_page()
        guest.goto(link)
        expect(guest.locator("#restored")).to_contain_text("Somebody shared this clip with you.")
        expect(guest.locator("#clip video")).to_be_visible()
        expect(guest.locator("#prompt textarea")).to_have_value(re.compile("in the park"))
        expect(guest.get_by_role("radio", name="park girl")).to_be_checked()
        expect(guest.get_by_role("radio", name="dance sway")).to_be_checked()
        unfold(guest, "Download")
        expect(guest.locator("#downloads a[download$='.gif']").first).to_be_visible()
        assert "og:video" in guest.content() and "Gradio" not in guest.title()
        guest.get_by_role("link", name="Make your own").click()
        expect(guest.locator("#own input")).to_be_focused()
        expect(guest.locator("#setting-frames input[type=number]")).to_have_value("3")

        page.get_by_role("button", name="Stop sharing").click()
        expect(page.locator("#share-said")).to_contain_text("Taken back")
        expect(page.locator("#share-link")).to_be_hidden()
        guest.goto(link)
        expect(guest.locator("#restored").get_by_role("alert")).to_contain_text("no shared clip")


def test_a_remedy_is_clicked(page: Page) -> None:
    page.get_by_role("radio", name="walk").check()
    experts(page)
    unfold(page, "Adjust the motion")
    shift = page.locator("#setting-shift-x input[type=number]")
    expect(shift).to_be_visible()  # what is unfolded is made only then, and takes no number before
    small(page, frames=4)
    expect(page.locator("#findings")).to_contain_text("poses.")
    page.get_by_role("button", name="Show all").click()
    expect(page.locator("#findings")).to_contain_text("Good fit")
    show(page, "Draft")
    before = page.locator("#alignment img").get_attribute("src")
    page.get_by_label("Original motion").check()
    expect(page.locator("#alignment img")).not_to_have_attribute("src", str(before))
    shift.fill("0.9")
    shift.press("Tab")
    expect(page.locator("#findings")).to_contain_text("leave the picture")
    page.get_by_role("button", name="Pin to the spot").click()
    expect(page.locator("#setting-anchor").get_by_label("pinned")).to_be_checked()


def test_results_come_though_the_end_of_a_stream_is_late(
    app: App, browser: Browser, tmp_path: Path
) -> None:
    with (
        serving(app.animator, SharedClips(tmp_path)) as url,
        brought_late(url, STREAM_END, 1.0) as there,
        browser.new_context() as context,
    ):
        page = opened(context.new_page(), there)
        show(page, "Draft")
        for view in ("Skeleton, all frames", "Original motion", "Skeleton, playing"):
            shown = str(page.locator("#alignment img").get_attribute("src"))
            page.get_by_label(view).check()
            expect(page.locator("#alignment img")).not_to_have_attribute("src", shown)


def test_values_of_a_setting_are_compared_in_one_clip(page: Page) -> None:
    small(page, frames=3)
    show(page, "Compare")
    expect(page.locator("#compare-told")).to_contain_text("4 clips: your settings, without align")
    expect(page.locator("#compare-told")).to_contain_text("Off already: Matching the picture")
    page.get_by_label("Values of a setting").check()
    page.get_by_label("Values, with commas").fill("0, 1")
    page.locator("#compare").click()
    expect(page.get_by_role("button", name="Generate")).to_be_disabled()
    expect(page.locator("#bar")).to_contain_text("Done: 2 clips.")
    size = page.locator("#grid video").evaluate(
        "video => new Promise(done => video.readyState ? done([video.videoWidth, video.videoHeight])"
        " : video.onloadedmetadata = () => done([video.videoWidth, video.videoHeight]))"
    )
    assert size == [2 * 512, 512 + 24]
    expect(page.locator("#compare")).to_be_enabled()


def _joint(page: Page, joint: int) -> list[float]:
    handle = page.locator(f"#joints [data-joint='{joint}']")
    return [float(handle.get_attribute(name) or "nan") for name in ("cx", "cy")]


def test_a_joint_is_dragged_moved_by_keys_hidden_and_put_back(page: Page) -> None:
    expect(page.locator("#found-text")).to_contain_text("head to feet")
    show(page, "Draft")
    page.get_by_role("button", name="Fix pose…").click()
    expect(page.locator("#joints [data-joint='4']")).to_have_count(1)
    found = _joint(page, 4)
    before = page.locator("#alignment img").get_attribute("src")
    scale = page.locator("#joints image").evaluate("image => image.getScreenCTM().a")
    dragged(page, 4, -20, -30)
    moved = [found[0] - 20 / scale, found[1] - 30 / scale]
    assert _joint(page, 4) == pytest.approx(moved, abs=0.6)
    expect(page.locator("#found-text")).to_contain_text("as you put them")
    expect(page.locator("#alignment img")).not_to_have_attribute("src", str(before))

    page.locator("#joints [data-joint='4']").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    step = page.locator("#joints image").evaluate("image => image.width.baseVal.value") / 128
    assert _joint(page, 4) == pytest.approx([moved[0], moved[1] + 2 * step], abs=0.6)
    page.keyboard.press("Delete")
    expect(page.locator("#found-text")).to_contain_text("17 of 18 joints")
    expect(page.locator("#joints [data-joint='4']")).to_be_focused()
    page.get_by_role("button", name="Reset pose").click()
    expect(page.locator("#found-text")).to_contain_text("head to feet")
    assert _joint(page, 4) == pytest.approx(found)

    dragged(page, 7, 10, 0)
    expect(page.locator("#found-text")).to_contain_text("as you put them")
    page.get_by_role("radio", name="park girl").check()
    expect(page.locator("#found-text")).to_contain_text("head to feet")


def test_what_was_done_to_joints_is_undone_and_done_again(page: Page) -> None:
    page.get_by_role("button", name="Fix pose…").click()
    said, wrist = page.locator("#found-text"), page.locator("#joints [data-joint='4']")
    undo, redo = (page.get_by_role("button", name=name, exact=True) for name in ("Undo", "Redo"))
    expect(wrist).to_have_count(1)
    expect(undo).to_be_hidden()
    found = _joint(page, 4)
    dragged(page, 4, -20, -30)  # in several moves, which are one step
    expect(said).to_contain_text("as you put them")
    moved = _joint(page, 4)
    wrist.press("Delete")
    expect(said).to_contain_text("17 of 18 joints")
    page.keyboard.press("Control+z")
    expect(said).to_contain_text("All 18 joints, as you put them")
    assert _joint(page, 4) == pytest.approx(moved)
    undo.click()
    expect(said).to_contain_text("head to feet")
    assert _joint(page, 4) == pytest.approx(found)
    expect(undo).to_be_hidden()
    redo.click()
    redo.click()
    expect(said).to_contain_text("17 of 18 joints")
    expect(redo).to_be_hidden()
    page.get_by_role("radio", name="park girl").check()
    expect(said).to_contain_text("head to feet")
    expect(undo).to_be_hidden()


def test_a_prompt_is_suggested_and_its_words_are_marked(page: Page) -> None:
    prompt, words = page.locator("#prompt textarea"), page.locator("#words")
    page.get_by_role("radio", name="beach girl").check()
    experts(page)
    for word in ("girl", "skin", "shoes"):  # the pocket models need all that describes her
        expect(words.get_by_label(word)).to_be_checked()
    expect(words.get_by_label("beach")).not_to_be_checked()
    words.get_by_label("beach").check()
    page.get_by_role("button", name="Advanced").click()
    named = page.locator("#setting-character-words textarea")
    expect(named).to_have_value(re.compile("^girl .* beach$"))
    words.get_by_label("beach").uncheck()
    expect(named).to_have_value("")

    prompt.fill("")
    suggestion = page.get_by_role("button", name="Use: a girl in a white shirt, black trousers")
    expect(suggestion).to_be_visible()
    suggestion.click()
    expect(prompt).to_have_value("a girl in a white shirt, black trousers and black shoes")
    expect(suggestion).to_be_hidden()
    expect(words.get_by_label("shirt")).to_be_checked()


def test_lambdas_that_do_not_sum_to_one_get_a_sentence(page: Page) -> None:
    experts(page)
    first = page.locator("#setting-lambda-first input[type=number]")
    first.fill("0.9")
    first.press("Tab")
    expect(page.locator("#lambda-sum").get_by_role("alert")).to_contain_text("1.2, but must be 1")
    expect(page.locator("#quality-changed")).to_contain_text("must be 1: see Expert")
    page.get_by_role("button", name="Generate").click()
    expect(page.locator("#bar").get_by_role("alert")).to_contain_text("for instance 0.7, 0.15")
    expect(page.get_by_role("button", name="Generate")).to_be_enabled()
    page.get_by_role("button", name="Make them add up to 1").click()
    expect(page.locator("#lambda-sum")).to_contain_text("λ1 + λ2 + λ3 = 1")
    expect(first).to_have_value("0.9")
    expect(page.locator("#setting-lambda-self input[type=number]")).to_have_value("0")


def test_presets_fill_the_settings(page: Page) -> None:
    steps, length = (
        page.locator(f"#setting-{name} input[type=number]")
        for name in ("num-inference-steps", "frames")
    )
    length.fill("7")
    length.press("Tab")
    page.get_by_role("radio", name="Paper (slow)").check()
    expect(steps).to_have_value("50")
    experts(page)
    expect(page.get_by_role("radio", name="paper", exact=True)).to_be_checked()
    page.get_by_role("radio", name="fast", exact=True).check()
    expect(steps).not_to_have_value("50")
    expect(page.get_by_role("radio", name="Fast (seconds)")).to_be_checked()
    page.get_by_role("radio", name="Good (a minute)").check()
    expect(page.get_by_role("radio", name="balanced", exact=True)).to_be_checked()
    steps.fill("7")
    steps.press("Tab")
    changed = page.locator("#quality-changed")
    expect(changed).to_contain_text("Changed: Steps (T)")
    page.locator("#quality-reset").click()
    expect(changed.locator(".pa-sentence")).to_have_count(0)
    expect(steps).not_to_have_value("7")
    page.get_by_role("radio", name="baseline-controlnet").check()
    expect(page.get_by_role("radio", name="Good (a minute)")).not_to_be_checked()


def test_the_keyboard_reaches_everything_in_a_few_steps(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to Generate")).to_be_focused()
    stops = []
    while not stops or (stops[-1] != "generate" and len(stops) < 25):
        page.keyboard.press("Tab")
        stops.append(page.evaluate("document.activeElement.id || document.activeElement.value"))
    assert stops[-1] == "generate"
    for group in ("#example", "#motion"):
        tiles = page.locator(f"{group} input[type=radio]")
        tiles.nth(1).press("Space")
        expect(tiles.nth(1)).to_be_checked()
        page.keyboard.press("ArrowRight")
        expect(tiles.nth(2)).to_be_checked()
    expect(page.locator("#ready-made video")).to_have_attribute(
        "src", re.compile("room-boy_dance-disco")
    )


def test_the_closed_experts_side_is_no_stop_and_the_open_one_is_left_by_escape(page: Page) -> None:
    toggle = page.locator("#expert").get_by_role("button", name="Expert", exact=True)
    toggle.focus()
    page.keyboard.press("Tab")
    assert not page.evaluate("document.activeElement.closest('#expert')")
    page.keyboard.press("Shift+Tab")
    expect(toggle).to_be_focused()
    page.keyboard.press("Shift+Tab")
    assert not page.evaluate("document.activeElement.closest('#expert')")
    experts(page)
    page.keyboard.press("Tab")
    expect(page.locator("#prompt textarea")).to_be_focused()
    steps = page.locator("#setting-num-inference-steps input[type=number]")
    steps.press("Tab")  # its slider is no stop of its own
    expect(page.locator("#setting-inner-steps input[type=number]")).to_be_focused()
    page.keyboard.press("Escape")
    expect(toggle).to_have_attribute("aria-expanded", "false")
    expect(toggle).to_be_focused()


def test_arrows_move_between_the_tabs_of_the_stage(page: Page) -> None:
    names = ["Clip", "Draft", "Before/after", "Frames", "Compare"]
    tabs = [page.get_by_role("tab", name=name, exact=True) for name in names]
    tabs[0].focus()
    for key, reached in (("ArrowRight", 1), ("End", 4), ("ArrowRight", 0), ("ArrowLeft", 4), ("Home", 0)):  # fmt: skip
        page.keyboard.press(key)
        expect(tabs[reached]).to_be_focused()
        expect(tabs[reached]).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Tab")  # the other tabs are no stops
    assert not page.evaluate("document.activeElement.closest('[role=tablist]')")


def test_the_keyboard_alone_makes_and_downloads_a_clip(page: Page) -> None:
    def press_tab_until(reached: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate(f"document.activeElement.matches({reached!r})"):
                return
        raise AssertionError(f"The Tab key doesn't reach {reached}.")

    press_tab_until(".pa-skip")
    page.keyboard.press("Enter")
    expect(page.locator("#generate")).to_be_focused()
    page.keyboard.press("Shift+Tab")  # the length is before it
    press_tab_until("#generate")
    page.keyboard.press("Enter")
    expect(page.locator("#bar")).to_contain_text("Done: 16 frames.")
    press_tab_until("#taking > button")
    page.keyboard.press("Enter")
    expect(page.locator("#downloads a[download$='.mp4']").first).to_be_visible()
    press_tab_until("#downloads a[download]")
    named = page.get_by_role("link", name=re.compile(r"^poseanimate-dance-sway\.mp4, .*KB$"))
    expect(named).to_be_focused()
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename.endswith(".mp4")


SHIFTS = """() => new Promise(done => {
    let sum = 0;
    new PerformanceObserver(list => list.getEntries().forEach(each => { sum += each.hadRecentInput ? 0 : each.value; }))
        .observe({ type: "layout-shift", buffered: true });
    setTimeout(() => done(sum), 300);
})"""


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_little_moves_while_the_page_loads(
    app: App, browser: Browser, size: dict[str, int]
) -> None:
    with browser.new_context(viewport=size) as context:
        page = opened(context.new_page(), app.url)
        assert page.evaluate(SHIFTS) <= MOST_SHIFT


def test_who_wants_no_motion_is_shown_none(app: App, browser: Browser) -> None:
    with browser.new_context(reduced_motion="reduce") as context:
        page = opened(context.new_page(), app.url)
        page.get_by_role("radio", name="park girl").check()
        ready = page.locator("#ready-made video")
        expect(ready).to_have_attribute("src", re.compile("park-girl"))
        page.wait_for_function("() => document.querySelector('#ready-made video').paused")


def test_a_phone_shows_one_column_without_scrolling_sideways(app: App, browser: Browser) -> None:
    with browser.new_context(viewport=PHONE, color_scheme="dark") as context:
        page = opened(context.new_page(), app.url)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.evaluate("document.documentElement.scrollHeight") <= 3 * 844
        parts = [
            page.locator(f"#{name}") for name in ("views", "character", "motion-part", "about")
        ]
        boxes = [part.bounding_box() for part in parts]
        assert all(a and b and a["y"] < b["y"] for a, b in pairwise(boxes))
        expect(page.locator("#ready-made video")).to_be_in_viewport()
        generate = page.get_by_role("button", name="Generate")
        expect(generate).to_be_in_viewport()
        unfold(page, "2 · Motion")
        page.locator("#about").scroll_into_view_if_needed()
        expect(generate).to_be_in_viewport()


def test_all_three_parts_are_in_sight_at_first(page: Page) -> None:
    quality, run = (page.locator(each).first.bounding_box() for each in ("#quality", "#run"))
    assert quality and run and quality["y"] + quality["height"] <= run["y"]


def test_a_clip_plays_before_the_first_click_and_follows_the_choice(page: Page) -> None:
    ready = page.locator("#ready-made video")
    plays = "video => new Promise(done => video.addEventListener('timeupdate', () => done(!video.paused)))"
    assert ready.evaluate(plays)
    page.get_by_role("radio", name="park girl").check()
    expect(ready).to_have_attribute("src", re.compile("park-girl_dance-sway"))
    page.get_by_role("radio", name="kick").check()
    expect(ready).to_have_attribute("src", re.compile("park-girl_kick"))
    page.locator("#own input").set_input_files(EXAMPLES / "room-boy.png")
    expect(page.get_by_role("tab", name="Draft")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#alignment img")).to_be_visible()


def test_who_has_a_clip_keeps_it_when_inputs_change(page: Page) -> None:
    small(page, frames=3)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#bar")).to_contain_text("Done: 3 frames.")
    page.get_by_role("radio", name="park girl").check()
    expect(page.locator("#bar")).to_contain_text("Inputs changed: generate again.")
    show(page, "Clip")
    expect(page.locator("#clip video")).to_be_visible()
    expect(page.locator("#ready-made video")).to_have_count(0)
