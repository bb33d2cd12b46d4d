"""The command `judge`."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image

from poseanimate.cli.doctor import BAD, Check, check_machine, line
from poseanimate.cli.inputs import load_animator
from poseanimate.cli.reports import Report
from poseanimate.errors import SettingsError
from poseanimate.evaluation.report.judged import build_judged_page
from poseanimate.evaluation.sitting import Sitting, describe
from poseanimate.events import Note, Stage
from poseanimate.media import load_picture
from poseanimate.models.files import default_models, find_family
from poseanimate.resources import resource_folder
from poseanimate.settings import Settings
from poseanimate.storage.atomic import write_bytes_atomically

MAX_PICTURES, MAX_MINUTES = 8, 24 * 60
ASTRONAUT = "a woman in an orange space suit in front of a flag and a model of a rocket"
CAMERAMAN = "a man in a black coat behind a camera on a tripod, on a lawn"


def run(options: argparse.Namespace, report: Report) -> None:
    """See `commands.judge`."""
    if not 0 < options.minutes <= MAX_MINUTES:
        raise SettingsError(
            f"{options.minutes:g} minutes can't be.", f"Give more than 0, at most {MAX_MINUTES}."
        )
    if options.steps is not None:
        Settings(num_inference_steps=options.steps)  # refuses what can't be
    name = options.models or default_models()
    pictures = _find_pictures(options.pictures, find_family(name))
    checks = list(check_machine(name))
    for check in checks:
        report.show(Note(line(check)))
    options.cache = options.cache or options.output / "cache"
    report.show(Stage("models", 1))
    animator = load_animator(options)
    sitting = Sitting(animator, options.output, 60 * options.minutes, options.steps)
    for note in sitting.copy_pictures(pictures):
        report.show(note)
    report.show(Stage("sitting", len(sitting.rows)))
    try:
        for event in sitting.run():
            report.show(event)
    finally:  # what is there is shown, also where it was stopped
        page = _write(sitting, checks)
    failed = sum(check.state == BAD for check in checks)
    words = f"{page}\n{page.with_suffix('.json')}"
    if sitting.skipped:
        words += f"\nNot run: {', '.join(sitting.skipped)}. The same command goes on."
    report.result({"page": str(page), "skipped": sitting.skipped, "failed_checks": failed}, words)


def _find_pictures(given: list[Path], family: str) -> list[tuple[Image.Image, str]]:
    """Pictures with their prompts: those that are given, else some that come with what is installed."""
    if len(given) > MAX_PICTURES:
        raise SettingsError(
            f"{len(given)} pictures take too long.", f"Give at most {MAX_PICTURES}."
        )
    if not given and family != "pocket":
        from skimage import data  # in the public domain, NASA's and MIT's

        return [
            (Image.fromarray(data.astronaut()), ASTRONAUT),
            (Image.fromarray(data.camera()).convert("RGB"), CAMERAMAN),
        ]
    if not given:
        given = sorted((resource_folder("examples") / "characters").glob("*.png"))[:2]
    return [(load_picture(path), _read_prompt(path)) for path in given]


def _read_prompt(picture: Path) -> str:
    """The text beside a picture, if there is one."""
    beside = picture.with_suffix(".txt")
    return beside.read_text(encoding="utf-8").strip() if beside.is_file() else ""


def _write(sitting: Sitting, checks: list[Check]) -> Path:
    """Writes judge.html and judge.json; returns the page's path."""
    today = datetime.now(UTC).date().isoformat()
    found = describe(sitting, [asdict(check) for check in checks], today)
    page = build_judged_page(found, sitting.open_store(), sitting.draw_skeletons())
    files = {"judge.html": page.encode(), "judge.json": json.dumps(found, indent=1).encode()}
    for name, content in files.items():
        write_bytes_atomically(sitting.folder / name, content)
    return sitting.folder / "judge.html"
