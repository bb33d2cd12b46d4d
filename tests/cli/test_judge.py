"""The commands `doctor` and `judge`, on the pocket models with few steps."""

from __future__ import annotations

import json
import re
import shutil
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sdxl_random
from helpers.tiny import tiny_models
from PIL import Image
from safetensors.numpy import save_file

from poseanimate.animator import Animator
from poseanimate.cli import doctor
from poseanimate.cli import judge as command
from poseanimate.cli.main import main
from poseanimate.errors import DeviceError
from poseanimate.evaluation import sitting
from poseanimate.evaluation.rows import Row
from poseanimate.inputs.aligner import Aligner
from poseanimate.models.files import POCKET
from poseanimate.models.input_models import load_input_models
from poseanimate.models.loading import load_models
from poseanimate.poses.motion import load_preset
from poseanimate.settings import FAMILIES, Settings

EXAMPLES = Path(__file__).parents[2] / "examples" / "characters"
FEW = {"num_inference_steps": 2, "inner_steps": 1, "frames": 3, "mask_form": "hadamard"}


def checks(models: str = "pocket", **chosen: str) -> dict[str, doctor.Check]:
    return {check.name: check for check in doctor.check_machine(models, chosen)}


@pytest.fixture
def poor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has nothing."""
    free = namedtuple("free", ["available"])(1e8)
    monkeypatch.setattr(doctor.psutil, "virtual_memory", lambda: free)
    usage = namedtuple("usage", ["free"])(1e8)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "Jane" / "none"))
    monkeypatch.setattr(doctor, "wheel_folder", lambda _: tmp_path)
    monkeypatch.setattr(doctor, "has_gpu", lambda: False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


# --- doctor ---


def test_what_is_there_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    free = namedtuple("free", ["available"])(1e12)
    monkeypatch.setattr(doctor.psutil, "virtual_memory", lambda: free)
    usage = namedtuple("usage", ["free"])(1e12)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage)
    found = checks()
    assert all(check.state != doctor.BAD for check in found.values())
    good = ("program", "memory", "disk for models", "disk for results", "ffmpeg", "models")
    assert {found[name].state for name in good} == {doctor.GOOD}
    assert main(["doctor", "--models", "pocket", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [check["name"] for check in told["checks"]] == list(found)


def test_what_is_missing_is_told_with_a_remedy(
    poor: None, capsys: pytest.CaptureFixture[str]
) -> None:
    found = checks("sd15")
    states = {name: check.state for name, check in found.items()}
    assert {n for n, state in states.items() if state == doctor.BAD} == {"GPU", "ffmpeg", "models"}
    notes = ("memory", "disk for models", "disk for results", "pose detector")
    assert {states[name] for name in notes} == {doctor.NOTE}
    assert all(check.remedy.endswith(".") for check in found.values() if check.remedy)
    assert main(["doctor", "--models", "sd15"]) == 2
    said = capsys.readouterr()
    assert "note memory: 0 GB free" in said.out and "won't run here" in said.err


def test_what_the_options_name_is_checked(tmp_path: Path) -> None:
    save_file({"model.diffusion_model.out.2.bias": np.zeros(1)}, tmp_path / "part.safetensors")
    for models, chosen, words in (
        (str(tmp_path / "missing.safetensors"), {}, "There is no file"),
        (str(tmp_path / "part.safetensors"), {}, "holds no autoencoder"),
        (str(tmp_path / "old.ckpt"), {}, "pickled"),
        ("pocket", {"lora": str(tmp_path / "missing.safetensors")}, "There is no file"),
        ("pocket", {"detector": "kinect"}, "'kinect'"),
    ):
        found = checks(models, **chosen)["models"]
        assert found.state == doctor.BAD and words in found.found


def test_an_ffmpeg_that_lacks_an_encoder_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "ffmpeg"
    fake.write_text("#!/bin/sh\necho libx264\n")
    fake.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(fake))
    assert checks()["ffmpeg"].found == "lacks libvpx-vp9"


# --- the plan ---


@pytest.mark.parametrize("family", FAMILIES)
def test_every_row_of_the_plan_is_possible_and_changes_something(family: str) -> None:
    base, rows = sitting.plan_settings(family), sitting.list_rows(family)
    assert list(rows)[:3] == ["balanced", "fast", "paper"]
    made = {name: row.settings(base) for name, row in rows.items()}
    first = Settings.preset("balanced", family).changed(
        {"frames": sitting.FRAMES, "crop": False, "pata": False, "transition_frames": 0}
    )
    assert made["balanced"] == first
    same = {name for name in made if name != "balanced" and made[name] == first}
    assert same <= {f"source_learning_rate={first.source_learning_rate:g}"}  # of the curve
    assert not made["without-dcam"].dcam and not made["without-pacm"].pacm_source
    assert {made[name].mask_form for name in made} == {"region", "hadamard"}
    etas = [s.pose_learning_rate for name, s in made.items() if name.startswith("pose_learning")]
    assert etas == sorted(etas) == list(sitting.ETAS) and Settings().pose_learning_rate in etas
    assert made["paper"].num_inference_steps == 50 and made["crop"].crop
    assert {rows[name].meaning for name in ("controlnet", "cross-frame")} == {"a baseline"}


@pytest.mark.parametrize("branch", ["pocket", "sdxl"])
def test_speed_counts_what_the_networks_do(
    branch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tiny_models()
    if branch == "sdxl":
        folder = sdxl_random.write(tmp_path / "sdxl", sdxl_random.NARROW)
        models = load_models(str(folder), "cpu")
        shutil.rmtree(folder)
    counted = sitting.count_flop(models)
    monkeypatch.setattr(sitting, "_best_s", lambda run: float(bool(run().isfinite().all())) * 2)
    found = sitting.measure_speed(models)
    assert counted > 1e6 and found["seconds"] == 2
    assert found["tflop_per_s"] == pytest.approx(counted / 2e12)
    rows = sitting.MATMUL_ROWS["cpu"]
    assert found["matmul_tflop_per_s"] == pytest.approx(rows**3 / 1e12)
    assert found["share"] == pytest.approx(counted / (2 * rows**3))


# --- judge ---


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows of two steps."""
    base = Settings.preset("balanced", "pocket").changed(FEW)
    rows = {"balanced": Row({}, "the preset"), "without-mgdm": Row({"mgdm": False}, "a module off")}
    monkeypatch.setattr(sitting, "plan_settings", lambda _: base)
    monkeypatch.setattr(sitting, "list_rows", lambda _: rows)
    for module in (sitting, command):
        monkeypatch.setattr(module, "MOTIONS", ("wave",))
    monkeypatch.setattr(sitting, "FRAMES", 3)


@pytest.fixture
def aunt(tmp_path: Path) -> Path:
    path = tmp_path / "My Aunt Jane.png"
    Image.open(EXAMPLES / "park-girl.png").save(path)
    path.with_suffix(".txt").write_text("a girl in the park")
    return path


@pytest.fixture
def nobody(tmp_path: Path) -> Path:
    path = tmp_path / "nobody.png"
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(path)
    return path


def judge(folder: Path, *more: object) -> int:
    return main(["judge", "--models", str(POCKET), "-o", str(folder), *map(str, more)])


def read(folder: Path) -> tuple[dict[str, Any], str]:
    """The figures, and the page without its pictures."""
    found = json.loads((folder / "judge.json").read_text())
    page = (folder / "judge.html").read_text()
    return found, re.sub(r"data:image/webp;base64,[\w+/=]+", "data:", page)


@pytest.mark.slow
def test_a_sitting_goes_on_and_names_nobody(
    few: None,
    poor: None,
    aunt: Path,
    nobody: Path,
    tmp_path: Path,
    capsys: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "judged"
    assert judge(folder, aunt, nobody, "--minutes", 1e-9) == 0  # nothing begins
    said = capsys.readouterr()
    assert "Picture 2 is left out: " in said.err
    first, _ = read(folder)
    assert first["missing"] == ["balanced", "without-mgdm"] and first["results"] == []
    assert "Not run, or not whole: balanced, without-mgdm." in said.out

    load, loaded = sitting.InTheWild.load_case, []
    monkeypatch.setattr(
        sitting.InTheWild, "load_case", lambda *given: loaded.append(given[2]) or load(*given)
    )
    assert judge(folder, aunt, nobody) == 0
    assert len(loaded) == 2, "each picture is looked at once"
    found, page = read(folder)
    assert found["missing"] == found["failures"] == [] and found["family"] == "pocket"
    (name,) = {result["picture"] for result in found["results"]}
    rows = sorted(result["row"] for result in found["results"])
    assert rows == ["balanced", "source-copy", "without-mgdm"]
    (full,) = (r for r in found["results"] if r["row"] == "balanced")
    measured = {"frame_mask_iou", "lost_character", "source_psnr", "joint_error"}
    assert measured <= set(full["metrics"])
    assert any(each.startswith("lost_character_") for each in full["metrics"])
    assert not found["rows"]["balanced"]["settings"]["pata"]  # as it ran
    assert found["speed"]["seconds"] > 0 and found["speed"]["share"] > 0
    text = (folder / "judge.json").read_text()
    for told in (text, page):
        for private in ("Jane", str(tmp_path), str(Path.home()), "park"):
            assert private not in told
    assert page.count("<img ") == 1 + len(rows) and "http:" not in page
    assert "skeletons" in page and "without-mgdm: joints" in page and "the preset" in page

    kept = {path: path.stat().st_mtime_ns for path in (folder / "results").iterdir()}
    other = EXAMPLES / "room-boy.png"
    assert judge(folder, other) == 0
    again, _ = read(folder)
    assert {result["picture"] for result in again["results"]}.isdisjoint({name})
    assert judge(folder, aunt) == 0  # nothing is made again
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert read(folder)[0]["results"] == found["results"]


@pytest.mark.slow
def test_what_fails_is_a_finding(
    few: None, aunt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    animate, secret = Animator.animate, str(tmp_path)

    def fails(self: Animator, source: Any, motion: Any, settings: Settings, prompt: str) -> Any:
        if not settings.mgdm:
            raise RuntimeError(f"expected scalar type Half in {secret}")
        return animate(self, source, motion, settings, prompt)

    monkeypatch.setattr(Animator, "animate", fails)
    folder = tmp_path / "judged"
    assert judge(folder, aunt) == 0
    found, page = read(folder)
    (failure,) = found["failures"]
    assert (failure["row"], failure["kind"], failure["message"]) == (
        "without-mgdm",
        "RuntimeError",
        "",
    )
    assert found["missing"] == ["without-mgdm"] and {r["row"] for r in found["results"]} == {
        "balanced", "source-copy",
    }  # fmt: skip
    assert "RuntimeError" in page and secret not in page + json.dumps(found)

    def dies(self: Animator, *_: Any) -> Iterator[Any]:
        raise DeviceError("The device has failed.", "Restart.")

    monkeypatch.setattr(Animator, "animate", dies)
    assert judge(folder, aunt) == 0
    assert read(folder)[0]["failures"][0]["message"] == "The device has failed."


@pytest.mark.slow
def test_stopped_it_shows_what_is_there(
    few: None, aunt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    animate = Animator.animate

    def stops(self: Animator, source: Any, motion: Any, settings: Settings, prompt: str) -> Any:
        if not settings.mgdm:
            raise KeyboardInterrupt
        return animate(self, source, motion, settings, prompt)

    monkeypatch.setattr(Animator, "animate", stops)
    folder = tmp_path / "judged"
    assert judge(folder, aunt) == 130
    found, page = read(folder)
    assert found["missing"] == ["without-mgdm"] and "balanced: joints" in page
    assert str(folder / "judge.html") in capsys.readouterr().err


def test_what_cannot_be_judged_is_told(
    few: None, nobody: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for given, words in (
        ([nobody], "In none of the pictures"),
        ([tmp_path / "missing.png"], "missing.png"),
        ([nobody] * 9, "9 pictures"),
        ([nobody, "--minutes", "0"], "0 minutes"),
        ([nobody, "--minutes", "nan"], "nan minutes"),
        ([nobody, "--steps", "1"], "num_inference_steps is 1"),
    ):
        assert judge(tmp_path / "judged", *given) == 2
        assert words in capsys.readouterr().err
    nobody.with_suffix(".txt").write_bytes(b"caf\xe9")
    assert judge(tmp_path / "judged", nobody) == 2
    assert "UTF-8" in capsys.readouterr().err
    assert not (tmp_path / "judged" / "judge.html").exists()


def test_without_pictures_installed_ones_are_taken() -> None:
    told: list[object] = []
    report: Any = namedtuple("report", ["show"])(told.append)
    for family, least in (("pocket", 128), ("sd15", 512)):
        pictures = command._find_pictures([], family, report)
        assert len(pictures) == 2
        for picture, prompt in pictures:
            assert picture.mode in ("RGB", "RGBA") and min(picture.size) >= least
            assert len(prompt) > 10
    assert len(told) == 2  # where the prompts are from


def test_the_installed_pictures_can_be_animated() -> None:
    looking = load_input_models("pocket", "cpu")
    aligner = Aligner(looking, None)
    report: Any = namedtuple("report", ["show"])(print)
    for picture, _ in command._find_pictures([], "sd15", report):
        character = aligner.character(picture)
        for motion in sitting.MOTIONS:
            settings = replace(sitting.plan_settings("sd15"), transition_frames=0)
            assert not aligner.align(character, load_preset(motion), settings).errors
