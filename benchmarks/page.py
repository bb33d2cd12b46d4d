"""What a person waits for: the page, the first preview and the clip; and what previews cost.

`PYTHONPATH=tests python benchmarks/page.py [--json]`

The app is started as people start it, with an empty cache, and used in Chromium: the first example and motion, preset
fast. What previews cost is that of the quickest of several runs of the engine, the one that other work disturbed least.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from helpers.browser import TIMEOUT_MS, chromium, opened
from helpers.served import free_port, listens, started
from PIL import Image
from playwright.sync_api import Page, expect

from poseanimate.animator import Animator
from poseanimate.events import Event, Preview
from poseanimate.media import load_picture
from poseanimate.models.loading import load_models
from poseanimate.poses.motion import load_preset
from poseanimate.settings import Settings
from poseanimate.ui.runs.run_view import RunView
from poseanimate.ui.sections.motion import FIRST_MOTION
from poseanimate.ui.sections.settings import FIRST_PRESET
from poseanimate.ui.theme import EXAMPLES, caption, example_names
from poseanimate.ui.widgets.contact_sheet import PREDICTED_RGB

RUNS = 3
REPOSITORY = Path(__file__).resolve().parent.parent
# whether the contact sheet has a frame with a predicted frame's border
PREDICTED = """rgb => {
    const image = document.querySelector("#contact-sheet img");
    if (!image?.complete || !image.naturalWidth) return false;
    const { naturalWidth: width, naturalHeight: height } = image;
    const brush = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
    brush.drawImage(image, 0, 0);
    const { data } = brush.getImageData(0, 0, width, height);
    let close = 0;
    for (let i = 0; i < data.length; i += 4) close += rgb.every((value, c) => Math.abs(data[i + c] - value) < 16);
    return close > 500;
}"""


def waits() -> dict[str, float]:
    """Seconds from the app's start, and from opening the page."""
    port = free_port()
    with TemporaryDirectory() as folder, chromium() as browser:
        page = browser.new_page()
        variables = os.environ | {
            "POSEANIMATE_CACHE": f"{folder}/cache",
            "GRADIO_SERVER_PORT": str(port),
        }
        began = time.monotonic()
        app = started(
            [sys.executable, "app.py"],
            REPOSITORY,
            variables,
            Path(folder) / "said",
            lambda: listens(port),
        )
        with app:
            answers_s = time.monotonic() - began
            used = _used(page, f"http://127.0.0.1:{port}/")
            return {
                "start_to_answer": answers_s,
                "start_to_usable": answers_s + used["open_to_usable"],
                **used,
            }


def _used(page: Page, url: str) -> dict[str, float]:
    began = time.monotonic()
    opened(page, url)
    seconds = {"open_to_usable": time.monotonic() - began}
    page.get_by_role("button", name="Generate").click()
    clicked = time.monotonic() - began
    page.wait_for_function(PREDICTED, arg=list(PREDICTED_RGB), polling=50, timeout=TIMEOUT_MS)
    seconds["open_to_preview"] = time.monotonic() - began
    page.wait_for_function(
        "document.querySelector('#clip video')?.readyState >= 2", timeout=TIMEOUT_MS
    )
    seconds["open_to_clip"] = time.monotonic() - began
    expect(page.locator("#bar")).to_contain_text("Done")
    return {**seconds, "click_to_clip": seconds["open_to_clip"] - clicked}


def previews() -> dict[str, float]:
    """The cost of previews in the least disturbed of several runs."""
    models = load_models("pocket", "cpu")
    name = example_names()[0]
    picture = load_picture(EXAMPLES / f"{name}.png")
    job = (
        picture,
        load_preset(FIRST_MOTION),
        Settings.preset(FIRST_PRESET, "pocket"),
        caption(name),
    )
    for _ in Animator(models).animate(*job):
        pass  # warm-up
    runs = [_previews(Animator(models).animate(*job)) for _ in range(RUNS)]
    return min(runs, key=lambda run: run["run_s"])


def _previews(events: Iterator[Event]) -> dict[str, float]:
    """Decoding previews and encoding contact sheets as JPEG, relative to the rest of the same run."""
    run, decoding_s, sheets_s, sheets = RunView(), 0.0, 0.0, 0
    run.begin()
    began = asked = time.monotonic()
    for event in events:
        came = time.monotonic()
        if isinstance(event, Preview):  # decoded since the step before it
            decoding_s += came - asked
        run.take(event)
        if run.frames and (sheet := run.contact_sheet(throttled=True)) is not None:
            Image.fromarray(sheet).save(BytesIO(), "jpeg")
            sheets += 1
        asked = time.monotonic()
        sheets_s += asked - came
    whole_s = time.monotonic() - began
    return {
        "run_s": whole_s,
        "decoding_s": decoding_s,
        "sheets_s": sheets_s,
        "sheets": sheets,
        "share": (decoding_s + sheets_s) / (whole_s - decoding_s - sheets_s),
    }


def table(figures: dict[str, Any]) -> str:
    """The figures as a Markdown table, with the context needed to read it."""
    waits, previews = figures["waits"], figures["previews"]
    rows = {
        "start to the server's first answer": waits["start_to_answer"],
        "start to the first usable page": waits["start_to_usable"],
        "opening the page to its being usable": waits["open_to_usable"],
        "opening the page to the first preview": waits["open_to_preview"],
        "opening the page to the finished clip": waits["open_to_clip"],
        "Generate to the finished clip": waits["click_to_clip"],
    }
    lines = [
        f"Preset {figures['preset']}, {figures['character']}, {figures['motion']}, empty cache, "
        f"{figures['machine']}, {figures['threads']} threads.",
        "",
        "| | s |",
        "|---|---:|",
        *(f"| {name} | {seconds:.1f} |" for name, seconds in rows.items()),
        "",
        f"Previews: {100 * previews['share']:.1f} % on top of the rest of a run of {previews['run_s']:.1f} s "
        f"(decoding them {previews['decoding_s']:.2f} s, {previews['sheets']} sheets of frames "
        f"{previews['sheets_s']:.2f} s). Usable is a page that shows the motion over the character; Generate is "
        "clicked then.",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    figures = {
        "preset": FIRST_PRESET,
        "character": example_names()[0],
        "motion": FIRST_MOTION,
        "threads": torch.get_num_threads(),
        "machine": f"{platform.machine()}, torch {torch.__version__}",
        "waits": waits(),
        "previews": previews(),
    }
    print(json.dumps(figures, indent=1) if options.json else table(figures))


if __name__ == "__main__":
    main()
