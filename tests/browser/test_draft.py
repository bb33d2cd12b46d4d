"""Drafts in a real Chromium: a photograph and a video are uploaded, and the character moves."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from helpers.browser import TIMEOUT_MS, dragged, experts, unfold
from PIL import Image, ImageSequence
from playwright.sync_api import Page, expect
from skimage import data

from poseanimate.media import read_video, write_clip
from poseanimate.pocket.world.motions import sample_motion
from poseanimate.pocket.world.scene import Scene

pytestmark = pytest.mark.slow

PHOTOGRAPH = data.astronaut()
FPS, FRAMES = 12, 24
R_SHOULDER = 2


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A photograph, and a video of two seconds."""
    folder = tmp_path_factory.mktemp("files")
    photograph, video = folder / "astronaut.jpg", folder / "wave.mp4"
    Image.fromarray(PHOTOGRAPH).save(photograph, quality=95)
    scene = Scene.sample("validation", 0)
    moving = sample_motion("wave", FRAMES)
    write_clip([scene.render(angles, 128, 128).picture for angles in moving], video, FPS)
    return photograph, video


def _upload(page: Page, photograph: Path, *motion: Path) -> None:
    page.locator("#own input").set_input_files(photograph)
    expect(page.locator("#found-text")).to_contain_text("Found the character")
    page.get_by_role("radio", name="Video", exact=True).check()
    expect(page.locator("#findings")).to_contain_text("upload a video")
    page.locator("#motion-file input[type=file]").set_input_files(motion)


def _next_draft(page: Page, before: str = "") -> tuple[str, np.ndarray]:
    """The address of the draft that follows another, once it is seen, and its frames, (n, H, W, 3)."""
    page.wait_for_function(
        """before => { const seen = document.querySelector("#alignment img");
            return seen && seen.src !== before && seen.complete && seen.naturalWidth; }""",
        arg=before,
        timeout=TIMEOUT_MS,
    )
    url = str(page.locator("#alignment img").get_attribute("src"))
    with Image.open(io.BytesIO(page.request.get(url).body())) as clip:
        frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(clip)]
    return url, np.stack(frames)


def test_a_photograph_moves_as_a_video_does(
    page: Page, files: tuple[Path, Path], tmp_path: Path
) -> None:
    _upload(page, *files)
    url, frames = _next_draft(page)
    assert len(frames) > 1
    small = np.asarray(Image.fromarray(PHOTOGRAPH).resize(frames.shape[2:0:-1]), int)
    assert np.abs(frames[0] - small).mean() < 6
    assert np.abs(frames[-1].astype(int) - frames[0]).max() > 60
    expect(page.locator("#found-text")).to_contain_text("here the draft is the result")

    # all of the motion
    page.get_by_role("button", name="Show all").click()
    url, longer = _next_draft(page, url)
    assert len(longer) > FRAMES

    page.get_by_role("button", name="Fix pose…").click()
    expect(page.locator(f"#joints [data-joint='{R_SHOULDER}']")).to_have_count(1)

    # a joint is dragged: the draft follows before it is dropped
    dragged(page, R_SHOULDER, -12, 10, drop=False)
    url, other = _next_draft(page, url)
    assert len(other) == len(longer)
    assert np.abs(other.astype(int) - longer)[1:].max() > 60
    page.mouse.up()
    expect(page.locator("#found-text")).to_contain_text("as you put them")
    dragged(page, R_SHOULDER, -12, 10)
    url, other = _next_draft(page, url)

    # the figure is shifted
    experts(page)
    unfold(page, "Adjust the motion")
    shift = page.locator("#setting-shift-x input[type=number]")
    shift.fill("0.1")
    shift.press("Tab")
    url, shifted = _next_draft(page, url)
    assert np.abs(shifted.astype(int) - other)[-1].max() > 60

    # it is kept
    page.get_by_role("button", name="Make the draft at full size").click()
    for suffix in ("-draft.mp4", "-draft-cut-out.webm"):
        link = page.locator(f"#draft-files a[download$='{suffix}']").first
        expect(link).to_be_visible()
        with page.expect_download() as download:
            link.click()
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        assert path.name == f"poseanimate-clip{suffix}"
        video = read_video(path)
        assert len(video.frames) == len(shifted) and video.fps == FPS
        assert {frame.shape for frame in video.frames} == {PHOTOGRAPH.shape}
        assert b"draft, poseanimate" in path.read_bytes()
    own = read_video(tmp_path / "poseanimate-clip-draft.mp4").frames[0]
    assert np.abs(own.astype(int) - PHOTOGRAPH).mean() < 4
    expect(page.get_by_role("button", name="Make the draft at full size")).to_be_enabled()

    # it is shared, and taken back
    page.locator("#draft-sharing").get_by_text("Share this draft").first.click()
    page.locator("#draft-share").click()
    expect(page.locator("#draft-share-said")).to_contain_text("Shared.")
    shared = page.locator("#draft-share-link :is(input, textarea)")
    expect(shared).to_have_value(re.compile(r"\?shared=[\w-]{22}$"))
    with page.context.browser.new_context() as context:
        guest = context.new_page()
        guest.goto(shared.input_value())
        expect(guest.locator("#restored")).to_contain_text("Somebody shared this draft with you")
        expect(guest.locator("#clip video")).to_be_visible()
    page.locator("#draft-unshare").click()
    expect(page.locator("#draft-share-said")).to_contain_text("Taken back")

    # what is kept is of what is seen
    page.get_by_label("Mirror").check()
    _next_draft(page, url)
    expect(page.locator("#draft-files")).to_be_hidden()


def test_several_pictures_are_uploaded_as_a_motion(
    page: Page, files: tuple[Path, Path], tmp_path: Path
) -> None:
    photograph, video = files
    stills = []
    for number, frame in enumerate(read_video(video).frames[2:20:8]):
        stills.append(tmp_path / f"pose-{number}.png")
        Image.fromarray(frame).save(stills[-1])
    _upload(page, photograph, *stills)
    _next_draft(page)
    for still in stills:
        expect(page.locator("#motion-file")).to_contain_text(still.stem)
    expect(page.locator("#timeline")).to_contain_text("frame 1 of 36")  # two ways, and a second
