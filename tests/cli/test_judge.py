"""The commands `doctor` and `judge`, on the pocket models with few steps."""

from __future__ import annotations

import json
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from helpers.tiny import tiny_models
from PIL import Image

from poseanimate.cli import doctor
from poseanimate.cli import judge as command
from poseanimate.cli.main import main
from poseanimate.evaluation import sitting
from poseanimate.evaluation.rows import Row
from poseanimate.models.files import POCKET
from poseanimate.settings import FAMILIES, Settings

EXAMPLES = Path(__file__).parents[2] / "examples" / "characters"
FEW = {"num_inference_steps": 2, "inner_steps": 1, "frames": 3, "crop": False}


def checks(models: str = "pocket") -> dict[str, doctor.Check]:
    return {check.name: check for check in doctor.check_machine(models)}


# --- doctor ---


def test_the_pocket_models_run_here(capsys: pytest.CaptureFixture[str]) -> None:
    found = checks()
    assert all(check.state != doctor.BAD for check in found.values())
    assert found["models"].state == found["ffmpeg"].state == doctor.GOOD
    assert main(["doctor", "--models", "pocket", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [check["name"] for check in told["checks"]] == list(found)


def test_what_is_missing_is_told_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    free = namedtuple("free", ["available"])(1e8)
    monkeypatch.setattr(doctor.psutil, "virtual_memory", lambda: free)
    usage = namedtuple("usage", ["free"])(1e8)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "none"))
    monkeypatch.setattr(doctor, "wheel_folder", lambda _: tmp_path)
    monkeypatch.setattr(doctor, "has_gpu", lambda: False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    found = checks("sd15")
    bad = {name for name, check in found.items() if check.state == doctor.BAD}
    assert bad == {"GPU", "memory", "disk for models", "disk for results", "ffmpeg", "models"}
    assert found["pose detector"].state == doctor.NOTE
    assert all(found[name].remedy.endswith(".") for name in (*bad, "pose detector"))
    assert main(["doctor", "--models", "sd15"]) == 2
    said = capsys.readouterr()
    assert "BAD  memory: 0 GB free" in said.out and "won't run here" in said.err


def test_an_ffmpeg_that_lacks_an_encoder_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "ffmpeg"
    fake.write_text("#!/bin/sh\necho libx264\n")
    fake.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(fake))
    assert checks()["ffmpeg"].found == "lacks libvpx-vp9"


# --- judge ---


@pytest.mark.parametrize("family", FAMILIES)
def test_every_row_of_the_plan_is_possible_and_changes_something(family: str) -> None:
    base, rows = sitting.plan_settings(family), sitting.list_rows(family)
    assert list(rows)[:3] == ["balanced", "fast", "paper"]
    made = {name: row.settings(base) for name, row in rows.items()}
    assert made["balanced"] == rows["balanced"].settings(base)
    for name, settings in made.items():
        assert name == "balanced" or settings != made["balanced"]
    assert not made["without-dcam"].dcam and not made["without-pacm"].pacm_source
    assert {made[name].mask_form for name in made} == {"region", "hadamard"}
    etas = [s.pose_learning_rate for name, s in made.items() if name.startswith("pose_learning")]
    assert etas == sorted(etas) == list(sitting.ETAS)
    assert made["paper"].num_inference_steps == 50


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows of two steps."""
    base = Settings.preset("balanced", "pocket").changed(FEW)
    rows = {"balanced": Row({}, "the preset"), "without-mgdm": Row({"mgdm": False}, "a module off")}
    monkeypatch.setattr(sitting, "plan_settings", lambda _: base)
    monkeypatch.setattr(sitting, "list_rows", lambda _: rows)
    monkeypatch.setattr(sitting, "MOTIONS", ("wave",))
    monkeypatch.setattr(sitting, "FRAMES", 3)


def judge(folder: Path, *more: str) -> int:
    return main(["judge", "--models", str(POCKET), "-o", str(folder), *more])


@pytest.mark.slow
def test_a_sitting_stops_goes_on_and_names_nobody(
    few: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "My Aunt Jane.png"
    Image.open(EXAMPLES / "park-girl.png").save(own)
    own.with_suffix(".txt").write_text("a girl in the park")
    nobody = tmp_path / "nobody.png"
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(nobody)
    folder = tmp_path / "judged"
    assert judge(folder, str(own), str(nobody), "--minutes", "0.0001") == 0
    said = capsys.readouterr()
    assert "Picture 2 is left out: " in said.err
    first = json.loads((folder / "judge.json").read_text())
    # the first begins in any case: nothing is known of its time yet
    assert first["skipped"] == ["without-mgdm"] and "Not run: without-mgdm." in said.out
    kept = {path: path.stat().st_mtime_ns for path in (folder / "results").iterdir()}

    assert judge(folder, str(own), str(nobody)) == 0
    text, page = ((folder / f"judge.{kind}").read_text() for kind in ("json", "html"))
    found = json.loads(text)
    assert found["skipped"] == [] and found["family"] == "pocket"
    rows = [(r["picture"], r["row"]) for r in found["results"]]
    assert sorted(rows) == [
        ("picture-1", "balanced"), ("picture-1", "source-copy"), ("picture-1", "without-mgdm"),
    ]  # fmt: skip
    assert all(path.stat().st_mtime_ns == kept[path] for path in kept)  # not made again
    (full,) = (r for r in found["results"] if r["row"] == "balanced")
    assert {"frame_mask_iou", "lost_character", "source_psnr", "joint_error"} <= set(
        full["metrics"]
    )
    assert any(name.startswith("lost_character_") for name in full["metrics"])
    assert found["speed"]["tflop_per_s"] > 0
    assert found["speed"]["share"] == pytest.approx(
        found["speed"]["tflop_per_s"] / found["speed"]["matmul_tflop_per_s"]
    )
    for told in (text, page):
        assert "Jane" not in told and str(tmp_path) not in told and str(Path.home()) not in told
    assert page.count("<img ") == 1 + len(rows) and "http" not in page.replace("http-equiv", "")
    assert "skeletons" in page and "without-mgdm: joints" in page


def test_what_cannot_be_judged_is_told(
    few: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody = tmp_path / "nobody.png"
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(nobody)
    for given, words in (
        ([str(nobody)], "In none of the pictures"),
        ([str(tmp_path / "missing.png")], "missing.png"),
        ([str(nobody)] * 9, "9 pictures"),
        ([str(nobody), "--minutes", "0"], "0 minutes"),
        ([str(nobody), "--minutes", "nan"], "nan minutes"),
        ([str(nobody), "--steps", "1"], "num_inference_steps is 1"),
    ):
        assert judge(tmp_path / "judged", *given) == 2
        assert words in capsys.readouterr().err
    assert not (tmp_path / "judged" / "judge.html").exists()


def test_without_pictures_installed_ones_are_taken() -> None:
    for family, least in (("pocket", 128), ("sd15", 512)):
        pictures = command._find_pictures([], family)
        assert len(pictures) == 2
        for picture, prompt in pictures:
            assert picture.mode == "RGB" and min(picture.size) >= least and len(prompt) > 10


def test_speed_counts_what_the_networks_do() -> None:
    """Of a convolution and a matrix product FLOP are known; here, that both networks are counted, and in proportion."""
    models = tiny_models()
    unet, controlnet = sitting.count_flop(models)
    assert unet > controlnet > 0
    one, two = (sitting.measure_speed(models, 2.0, 10, branches) for branches in (1, 2))
    assert one["tflop_per_s"] == pytest.approx(10 * (unet + controlnet) / 2e12)
    assert two["tflop_per_s"] == pytest.approx(10 * (2 * unet + controlnet) / 2e12)
