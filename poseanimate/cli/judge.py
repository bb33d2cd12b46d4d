"""The command `judge`."""

from __future__ import annotations

import argparse
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image

from poseanimate.cli.arguments import chosen_models
from poseanimate.cli.doctor import BAD, Check, check_machine, describe_check
from poseanimate.cli.inputs import load_animator, read_prompt
from poseanimate.cli.reports import Report
from poseanimate.errors import SettingsError, first_line
from poseanimate.evaluation.report.judged import build_judged_page
from poseanimate.evaluation.sitting import MOTIONS, Sitting, describe, measure_speed
from poseanimate.events import Note, Stage
from poseanimate.media import load_picture
from poseanimate.media.similarity import Picture
from poseanimate.models.files import default_models, find_family
from poseanimate.resources import resource_folder
from poseanimate.settings import Settings
from poseanimate.storage.atomic import write_bytes_atomically

NAMELESS = (
    "program",
    "GPU",
    "memory",
    "disk for models",
    "disk for results",
    "peft",
    "ray",
    "torchmetrics",
)
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
    ends = time.monotonic() + 60 * options.minutes
    name = options.models or default_models()
    pictures = _find_pictures(options.pictures, find_family(name), report)
    checks = list(check_machine(name, chosen_models(options)))
    for check in checks:
        report.show(Note(describe_check(check)))
    options.cache = options.cache or options.output / "cache"
    report.show(Stage("models", 1))
    animator = load_animator(options)
    sitting = Sitting(animator, options.output, ends, options.steps)
    for note in sitting.add_pictures(pictures):
        report.show(note)
    clips = len(sitting.rows) * len(sitting.pictures) * len(MOTIONS)
    report.show(Stage("sitting", clips))
    told = [_without_names(check) for check in checks]
    try:
        for event in sitting.run():
            report.show(event)
            if sitting.speed is None:
                sitting.speed = _measure_speed(sitting, report)
            _write_json(sitting, told)  # whatever ends this, so much is there
    finally:  # what is there is shown, also where it was stopped
        page = _write_page(sitting, told, report)
    missing = sitting.list_missing()
    words = f"{page}\n{page.with_suffix('.json')}"
    if missing:
        words += f"\nNot run, or not whole: {', '.join(missing)}. The same command goes on."
    failed = sum(check.state == BAD for check in checks)
    report.result({"page": str(page), "missing": missing, "failed_checks": failed}, words)


def _without_names(check: Check) -> dict[str, str]:
    """A check without what may hold a path or somebody's name."""
    found = check.found if check.name in NAMELESS else ""
    return {"name": check.name, "state": check.state, "found": found}


def _measure_speed(sitting: Sitting, report: Report) -> dict[str, float]:
    try:
        return measure_speed(sitting.animator.models)
    except Exception as error:  # of a device that has failed, for one
        report.show(Note(f"The speed can't be measured: {first_line(error)}"))
        return {}


def _find_pictures(given: list[Path], family: str, report: Report) -> list[tuple[Image.Image, str]]:
    """Pictures with their prompts: those that are given, else some that come with what is installed."""
    if len(given) > MAX_PICTURES:
        raise SettingsError(
            f"{len(given)} pictures take too long.", f"Give at most {MAX_PICTURES}."
        )
    if not given and family != "pocket":
        from skimage import data  # NASA's, in the public domain, and Lav Varshney's, CC0

        return [
            (Image.fromarray(data.astronaut()), ASTRONAUT),
            (Image.fromarray(data.camera()).convert("RGB"), CAMERAMAN),
        ]
    if not given:
        given = sorted((resource_folder("examples") / "characters").glob("*.png"))[:2]
    found = []
    for path in given:
        beside = argparse.Namespace(prompt=None, character=path)
        found.append((load_picture(path), read_prompt(beside, report)))
    return found


def _write_json(sitting: Sitting, checks: list[dict[str, str]]) -> dict[str, Any]:
    found = describe(sitting, checks, datetime.now(UTC).date().isoformat())
    write_bytes_atomically(sitting.folder / "judge.json", json.dumps(found, indent=1).encode())
    return found


def _write_page(sitting: Sitting, checks: list[dict[str, str]], report: Report) -> Path:
    """Writes both; returns the page's path."""
    skeletons: dict[tuple[str, str], Picture] = {}
    try:
        skeletons = sitting.draw_skeletons()
    except Exception as error:  # the clips are shown without them
        report.show(Note(f"The skeletons can't be drawn: {first_line(error)}"))
    page = build_judged_page(_write_json(sitting, checks), sitting.store, skeletons)
    path = sitting.folder / "judge.html"
    write_bytes_atomically(path, page.encode())
    report.show(Note(f"What is there so far: {path}"))
    return path
