"""The motion in a real Chromium: tabs, a video trimmed by hand, drawn skeletons, the webcam, refused files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.browser import App, opened
from playwright.sync_api import Browser, Locator, Page, expect

from poseanimate.media import write_clip
from poseanimate.pocket.world.motions import sample_motion
from poseanimate.pocket.world.scene import Scene
from poseanimate.poses.motion import load_preset
from poseanimate.poses.skeleton import MIRRORED, Pose, draw_pose

pytestmark = pytest.mark.slow

FPS, FRAMES = 12, 24
SIDE = 256
FINGER_PX = 24  # least width of what a finger can hit
RECORDED_FRAMES = 20
SHOWN = "() => document.querySelector('#camera video').getVideoPlaybackQuality().totalVideoFrames"
RECORDS = f"least => ({SHOWN})() >= least"
PHONE = {"width": 390, "height": 844}
# files are dropped as the browser does it: on an element, with the bytes of `text`, or with so many
DROP = """([at, name, size]) => {
    const files = new DataTransfer();
    files.items.add(new File([new Uint8Array(size)], name));
    const target = document.querySelector(at);
    for (const type of ["dragover", "drop"])
        target.dispatchEvent(new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer: files }));
}"""


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of somebody who waves."""
    path = tmp_path_factory.mktemp("videos") / "wave.mp4"
    scene = Scene.sample("validation", 0)
    write_clip(
        [scene.render(pose, SIDE, SIDE).picture for pose in sample_motion("wave", FRAMES)],
        path,
        FPS,
    )
    return path


def _tab(page: Page, name: str) -> None:
    page.locator("#motion-from").get_by_role("radio", name=name, exact=True).check()


def _give(page: Page, *files: Path) -> None:
    clear = page.locator("#motion-file").get_by_label("Clear")
    if clear.count():
        clear.click()
    page.locator("#motion-file input[type=file]").set_input_files(files)


def _drag(page: Page, handle: Locator, dx: float) -> None:
    handle.evaluate("e => e.scrollIntoView({block: 'center'})")
    box = handle.bounding_box()
    assert box is not None and box["width"] >= FINGER_PX <= box["height"]
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + dx, y, steps=4)
    page.mouse.up()


def _number(page: Page, name: str) -> Locator:
    return page.locator("#adjust-file").get_by_label(name)


def test_a_video_is_trimmed_by_dragging_and_by_keys(
    page: Page, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _tab(page, "Video")
    _give(page, video)
    findings, timeline = page.locator("#findings"), page.locator("#timeline")
    expect(findings).to_contain_text(f"11 of {FRAMES} poses.")
    for seen in (page.locator("#motion-file"), findings, page.locator("#fix-frames")):
        expect(seen).to_be_in_viewport(ratio=1)
    expect(timeline).to_contain_text(f"frame 1 of {FRAMES} · 0.00 s · 18 of 18 joints")
    start, end = (timeline.get_by_role("slider", name=name) for name in ("Start", "End"))
    expect(start).to_have_attribute("aria-valuetext", "0.00 s")
    expect(end).to_have_attribute("aria-valuetext", "2.00 s")
    page.locator("#adjust-file button").first.click()
    monkeypatch.delattr("poseanimate.ui.input_cache.open_motion")  # no part is read anew

    # by dragging: to a quarter, what the clip shows follows
    film = timeline.locator(".pa-film").bounding_box()
    assert film is not None
    _drag(page, start, film["width"] / 4)
    expect(start).to_have_attribute("aria-valuetext", "0.50 s")
    expect(timeline).to_contain_text("frame 7 of 24")
    expect(_number(page, "Start, s")).to_have_value("0.5")
    expect(findings).to_contain_text("11 of 18 poses.")

    # by keys: a frame, ten frames, the end, never past the other handle
    end.focus()
    for key, at in (("ArrowLeft", "1.92"), ("PageDown", "1.08"), ("Home", "0.58"), ("End", "2.00")):
        page.keyboard.press(key)
        expect(end).to_have_attribute("aria-valuetext", f"{at} s")
    expect(_number(page, "End, s")).to_have_value("")
    for _ in range(6):
        page.keyboard.press("ArrowLeft")
    expect(_number(page, "End, s")).to_have_value("1.5")
    expect(findings).to_contain_text("11 of 12 poses.")
    expect(timeline).to_contain_text("Part: 0.50 to 1.50 s")
    expect(end).to_be_focused()

    # by numbers; then all of it
    _number(page, "Start, s").fill("1")
    _number(page, "Start, s").press("Tab")
    expect(start).to_have_attribute("aria-valuetext", "1.00 s")
    timeline.get_by_role("button", name="Whole motion").click()
    expect(_number(page, "Start, s")).to_have_value("0")
    expect(_number(page, "End, s")).to_have_value("")
    expect(timeline.get_by_role("button", name="Whole motion")).to_be_hidden()

    # playing stays within the part
    _drag(page, start, film["width"] * 0.9)
    timeline.get_by_role("button", name="Play").click()
    for frame in (23, 24, 23):
        expect(timeline).to_contain_text(f"frame {frame} of 24")
    timeline.get_by_role("button", name="Pause").click()

    # another file is taken as it is; without one there is nothing to trim
    _give(page, video)
    expect(_number(page, "Start, s")).to_have_value("0")
    _tab(page, "Ready-made")
    expect(timeline.locator(".pa-player")).to_be_hidden()
    expect(page.locator("#adjust-file")).to_be_hidden()


def test_drawn_skeletons_and_pose_files_are_motions(page: Page, tmp_path: Path) -> None:
    wave = load_preset("wave")
    drawn = tmp_path / "skeleton.mp4"
    write_clip([draw_pose(pose, wave.width, wave.height) for pose in wave.poses], drawn, wave.fps)
    _tab(page, "Pose")
    _give(page, drawn)
    expect(page.locator("#findings")).to_contain_text("Read from drawn skeletons.")
    expect(page.locator("#timeline")).to_contain_text(f"of {len(wave.poses)}")

    # faults of a motion are mended by a click
    walk = load_preset("walk")
    poses = list(walk.poses)
    for frame in (4, 5):  # left and right exchanged, as detectors do
        poses[frame] = Pose(poses[frame].body[list(MIRRORED)])
    nobody = [Pose.absent()] * round(walk.fps)
    lying = replace(walk, poses=(*nobody, *poses)).rotated(-90)
    file = tmp_path / "lying.json"
    file.write_text(lying.to_json())
    _give(page, file)
    findings = page.locator("#findings")
    expect(findings).to_contain_text("lies on the side")
    page.get_by_role("button", name="Rotate the motion").click()
    expect(findings).not_to_contain_text("lies on the side")
    expect(findings).to_contain_text("Nobody is seen in the first 1.0 s")
    page.get_by_role("button", name="Start at 1.0 s").click()
    expect(findings).not_to_contain_text("Nobody is seen in the first")
    start = page.locator("#timeline").get_by_role("slider", name="Start")
    expect(start).to_have_attribute("aria-valuetext", "1.00 s")
    expect(findings).to_contain_text("left and right are swapped in 2 frames")
    page.get_by_role("button", name="Repair the motion").click()
    expect(findings).not_to_contain_text("swapped")
    page.locator("#adjust-file button").first.click()
    expect(_number(page, "Start, s")).to_have_value("1")
    expect(page.get_by_label("Repair faults of tracking")).to_be_checked()


def test_a_refused_file_leaves_a_sentence(page: Page, video: Path, tmp_path: Path) -> None:
    findings, timeline = page.locator("#findings"), page.locator("#timeline")
    _tab(page, "Video")
    for name, content in (("notes.txt", b"some words"), ("setup.exe", b"MZ\x90\0" + bytes(200))):
        file = tmp_path / name
        file.write_bytes(content)
        _give(page, file)
        expect(page.locator("#motion-file")).to_contain_text(file.stem)
        expect(findings.get_by_role("alert")).to_contain_text("not a video that can be read")
        expect(findings.get_by_role("alert")).to_contain_text("Choose an MP4")
        expect(findings).to_be_in_viewport()
        expect(timeline.locator(".pa-player")).to_be_hidden()
        page.locator("#motion-file").get_by_label("Clear").click()

    # too large to be sent: whether it is chosen or dropped
    refused = page.locator("#motion-refused")
    large = tmp_path / "long.mp4"
    with large.open("wb") as sparse:
        sparse.truncate(101_000_000)
    _give(page, large)
    told = "long.mp4 is too large: 101 MB, at most 100 MB are read. Cut it or save it smaller."
    expect(refused.get_by_role("alert")).to_have_text(told)
    _give(page, video)
    expect(timeline).to_contain_text(f"of {FRAMES}")
    expect(refused).to_be_hidden()
    page.evaluate(DROP, ["#findings", "dropped.mp4", 100_000_001])
    expect(refused.get_by_role("alert")).to_contain_text("dropped.mp4 is too large")
    expect(timeline).to_contain_text(f"of {FRAMES}")

    # a file that is dropped takes the place of the one there, from any tab
    page.evaluate(DROP, ["#findings", "notes.txt", 10])
    expect(findings.get_by_role("alert")).to_contain_text("not a video that can be read")
    expect(refused).to_be_hidden()
    _tab(page, "Ready-made")
    expect(findings).to_contain_text("Good fit")
    page.evaluate(DROP, ["#motion", "poses.json", 10])
    expect(page.get_by_role("radio", name="Pose", exact=True)).to_be_checked()
    expect(page.locator("#motion-file")).to_contain_text("poses")
    expect(findings.get_by_role("alert")).to_be_visible()


def test_the_tabs_are_reached_by_keys(page: Page) -> None:
    tabs = page.locator("#motion-from input")
    expect(page.get_by_role("radio", name="Ready-made")).to_be_checked()
    tabs.first.focus()
    for name, shown in (("Video", "#record"), ("Pose", "#motion-file"), ("Ready-made", "#motion")):
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("radio", name=name, exact=True)).to_be_checked()
        expect(page.get_by_role("radio", name=name, exact=True)).to_be_focused()
        expect(page.locator(shown)).to_be_visible()
    expect(page.locator("#motion-file")).to_be_hidden()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("radio", name="Pose", exact=True)).to_be_checked()
    expect(page.locator("#record")).to_be_hidden()


def test_a_finger_trims_on_a_phone(app: App, browser: Browser, video: Path) -> None:
    with browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True) as context:
        page = opened(context.new_page(), app.url)
        page.locator("button.label-wrap", has_text="2 · Motion").click()
        _tab(page, "Video")
        _give(page, video)
        expect(page.locator("#findings")).to_contain_text("poses.")
        page.locator("#motion-from").scroll_into_view_if_needed()
        handle = page.locator("#timeline").get_by_role("slider", name="Start")
        expect(handle).to_be_visible()
        handle.evaluate("e => e.scrollIntoView({block: 'center'})")
        box, film = handle.bounding_box(), page.locator(".pa-film").bounding_box()
        assert box is not None and film is not None and box["width"] >= FINGER_PX
        at = {"x": box["x"] + 12, "y": box["y"] + 20}
        touch = context.new_cdp_session(page)
        scrolled = page.evaluate("scrollY")
        for kind, dx in (("touchStart", 0), ("touchMove", 30), ("touchMove", film["width"] / 4)):
            points = [{"x": at["x"] + dx, "y": at["y"]}]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        expect(handle).to_have_attribute("aria-valuetext", "0.50 s")
        expect(page.locator("#findings")).to_contain_text("11 of 18 poses.")
        assert page.evaluate("scrollY") == pytest.approx(scrolled, abs=40)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_the_webcam_gives_a_video(page: Page) -> None:
    _tab(page, "Video")
    page.locator("#record > button").click()
    camera = page.locator("#camera")
    camera.get_by_text("Click to Access Webcam").click()
    camera.get_by_role("button", name="start recording").click()
    page.wait_for_function(RECORDS, arg=page.evaluate(SHOWN) + RECORDED_FRAMES)
    camera.get_by_text("Stop").click()
    expect(page.locator("#motion-file")).to_contain_text(".webm")
    expect(page.locator("#findings")).to_contain_text("Nobody was found")  # Chromium's test picture
    expect(camera).to_be_hidden()
    page.locator("#motion-file").get_by_label("Clear").click()
    expect(page.locator("#record > button")).to_be_visible()
