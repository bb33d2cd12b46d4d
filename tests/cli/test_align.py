"""`align` and bad input: a sentence with its remedy, exit code 2, and nothing left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.tiny import scene_at_ease, tiny_models
from PIL import Image

from poseanimate.cli import inputs
from poseanimate.cli import main as cli
from poseanimate.errors import (
    MotionError,
    OutputError,
    PictureError,
    PoseAnimateError,
    SettingsError,
)
from poseanimate.media import read_video
from poseanimate.models.input_models import InputModels
from poseanimate.storage.stage_cache import FOLDER_VARIABLE

NOBODY = '{"frames": [{"people": []}, {"people": []}]}'
ABSENT = json.dumps({"frames": [{"people": [{"pose_keypoints_2d": [0.0] * 54}]}] * 2})


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: a character, prose that is no picture, motions with nobody, a folder."""
    folder = tmp_path / "place"
    (folder / "taken.png").mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "cache"))
    Image.fromarray(scene_at_ease().picture).save("who.png")
    Path("prose.png").write_text("a portrait of the artist")
    Path("nobody.json").write_text(NOBODY)
    Path("absent.json").write_text(ABSENT)
    return folder


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Puts tiny models in place of real ones; the list is of what was asked for."""
    asked: list[str] = []

    def load(name: str, device: str | None = None, **_: object) -> InputModels:
        asked.append(name)
        return tiny_models().inputs

    monkeypatch.setattr(inputs, "load_input_models", load)
    return asked


OK = ("-o", "sheet.png")
BAD_INPUT: list[tuple[str, tuple[str, ...], type[PoseAnimateError], str]] = [
    ("prose", ("prose.png", "walk", *OK), PictureError, "not a picture"),
    ("no motion", ("who.png", "wlak", *OK), MotionError, "named 'wlak'"),
    ("no preset", ("who.png", "walk", *OK, "--preset", "slow"), SettingsError, "'slow'"),
    ("nobody", ("who.png", "nobody.json", *OK), MotionError, "Nobody"),
    ("absent", ("who.png", "absent.json", *OK), MotionError, "Nobody"),
    ("absent, no PATA", ("who.png", "absent.json", *OK, "--set", "pata=off"), MotionError, "Nobody"),
    ("no folder", ("who.png", "walk", "-o", "no/sheet.png"), OutputError, "There is no folder"),
    ("taken", ("who.png", "walk", "-o", "taken.png"), OutputError, "is a folder"),
    ("itself", ("who.png", "walk", "-o", "./who.png"), OutputError, "is an input"),
]  # fmt: skip


def test_a_larger_picture_keeps_its_size_where_that_is_asked_for(
    place: Path, loaded: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(scene_at_ease(side=80).picture).save("large.png")
    for options, side in (([], 64), (["--max-side", "100"], 80)):
        assert cli.main(["align", "large.png", "walk", "-o", "clip.mp4", *options]) == 0
        assert read_video(place / "clip.mp4").frames[0].shape == (
            4 * side,
            4 * side,
            3,
        )  # as previews are
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POSEANIMATE_MAX_SIDE", "100")
        assert cli.main(["align", "large.png", "walk", "-o", "clip.mp4"]) == 0
    assert read_video(place / "clip.mp4").frames[0].shape == (320, 320, 3)
    capsys.readouterr()
    assert cli.main(["align", "large.png", "walk", "-o", "other.mp4", "--max-side", "200"]) == 2
    assert "Give 64 to 128" in capsys.readouterr().err
    assert not Path("other.mp4").exists()


@pytest.mark.parametrize(
    ("arguments", "kind", "words"), [case[1:] for case in BAD_INPUT], ids=[c[0] for c in BAD_INPUT]
)
def test_bad_input_to_align_gets_a_sentence_and_leaves_nothing_behind(
    arguments: tuple[str, ...],
    kind: type[PoseAnimateError],
    words: str,
    place: Path,
    loaded: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
    assert cli.main(["align", *arguments]) == 2
    for_people = capsys.readouterr()
    assert cli.main(["align", *arguments, "--json"]) == 2
    for_programs = capsys.readouterr()
    line: dict[str, Any] = json.loads(for_programs.out.splitlines()[-1])
    assert (line["event"], line["type"]) == ("error", kind.__name__)
    assert words in line["message"] and line["remedy"].endswith(".")
    sentence = f"error: {line['message']} {line['remedy']}"
    for said in (for_people, for_programs):
        assert said.err.splitlines() == [sentence]
    assert for_people.out == ""
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*")} == before
    if kind is not MotionError:
        assert loaded == []
