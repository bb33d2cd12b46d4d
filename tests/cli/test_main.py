"""The command line, in process: real files, encoder and alignment; tiny models with random weights."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from helpers.media import ffmpeg, loudness
from helpers.tiny import OtherWorld, scene_at_ease, tiny_models
from PIL import Image, ImageSequence

from poseanimate import __version__, errors
from poseanimate.cli import inputs
from poseanimate.cli import main as cli
from poseanimate.events import Note, Stage, Step
from poseanimate.media import read_sound, read_video, write_clip
from poseanimate.method.denoiser import Denoiser
from poseanimate.models import loading
from poseanimate.models.family import Models
from poseanimate.poses.motion import load_preset
from poseanimate.poses.motion import preset_names as motion_names
from poseanimate.poses.skeleton import Pose
from poseanimate.settings import NOT_JUDGED, Settings
from poseanimate.storage.stage_cache import FOLDER_VARIABLE, StageCache

FRAMES = 3
QUICK = ["--frames", str(FRAMES), "--set", "num_inference_steps=2", "inner_steps=1", "pacm_pose=on"]
CAPTION = "a girl on the street"

CheckError = type[errors.PoseAnimateError]


@dataclass(frozen=True)
class Eyes:
    """Sees the same people in every picture that isn't dark."""

    people: tuple[Pose, ...]
    mask: np.ndarray
    identity: str = "eyes"

    def detect(self, image: np.ndarray) -> list[Pose]:
        return list(self.people) if image.max() > 60 else []

    def segment(self, image: np.ndarray) -> np.ndarray:
        return self.mask


def seeing(*people: Pose) -> Models:
    eyes = Eyes(people, scene_at_ease().mask)
    return replace(tiny_models(), detector=eyes, segmenter=eyes)


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """Puts tiny models in place of real ones; the list is of what was asked for."""
    asked: list[tuple[str, str | None]] = []

    def load(name: str, device: str | None = None, **_: object) -> Models:
        asked.append((name, device))
        print("a library prints something")
        return seeing(scene_at_ease().pose)

    monkeypatch.setattr(loading, "load_models", load)
    monkeypatch.setattr(inputs, "load_input_models", lambda *given, **_: load(*given).inputs)
    return asked


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a character in it."""
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "cache"))
    Image.fromarray(scene_at_ease().picture).save("who.png")
    return folder


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder and the digest of what is in it."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "folder"
        for path in folder.rglob("*")
    }


def picture(path: str | Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# Clips --------------------------------------------------------------------------------------------


def test_a_clip_is_made_and_summed_up_in_a_line(
    place: Path,
    loaded: list[Any],
    shared_cache: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("who.txt").write_text(f"{CAPTION}\n", encoding="utf-8")
    arguments = ["animate", "who.png", "walk", "-o", "clip.mp4", "--cache", str(shared_cache)]
    assert cli.main([*arguments, *QUICK]) == 0
    said = capsys.readouterr()
    clip = read_video(place / "clip.mp4")
    assert len(clip.frames) == FRAMES
    assert clip.fps == load_preset("walk").fps
    assert clip.frames[0].shape == (512, 512, 3)  # 64 px, enlarged 8 times
    source = Image.fromarray(picture("who.png")).resize((512, 512), Image.Resampling.LANCZOS)
    assert np.abs(np.subtract(clip.frames[0], source, dtype=int)).mean() < 8
    line = said.out.splitlines()[-1]
    assert line.startswith(f"clip.mp4: {FRAMES} frames at 12 fps; ")
    for words in ("models ", "inversion ", "pacm_source ", "generation ", "unet ", " dB"):
        assert words in line
    assert "who.txt" in said.err
    assert CAPTION in said.err
    assert "\r" not in said.err  # no bars where there is no terminal
    assert loaded == [("pocket", None)]
    assert {path.name for path in place.iterdir()} == {"who.png", "who.txt", "clip.mp4"}


def test_a_still_picture_moves_a_clip_and_has_no_sound(
    place: Path, loaded: list[Any], shared_cache: Path
) -> None:
    Image.new("RGB", (64, 64), "grey").save("pose.jpg")
    command = ["animate", "who.png", "pose.jpg", "-o", "clip.mp4", "--cache", str(shared_cache)]
    command += ["--set", "num_inference_steps=2", "inner_steps=1", "transition_frames=2"]
    assert cli.main([*command, "--frames", "15"]) == 0
    assert read_sound(place / "clip.mp4") is None


@pytest.mark.parametrize(
    ("arguments", "heard"),
    [([], True), (["--no-sound"], False), (["--start", "0.1"], False), (["--stride", "2"], False)],
)
def test_a_clip_of_a_whole_video_has_its_sound(
    arguments: list[str], heard: bool, place: Path, loaded: list[Any], shared_cache: Path
) -> None:
    write_clip([np.full((64, 64, 3), 200, np.uint8)] * 3, place / "silent.mp4", 10)
    ffmpeg("-f", "lavfi", "-i", "sine=d=0.3", "-i", "silent.mp4", "-c:v", "copy", "dance.mp4")
    command = ["animate", "who.png", "dance.mp4", "-o", "clip.mp4", "--cache", str(shared_cache)]
    command += ["--set", "num_inference_steps=2", "inner_steps=1", "transition_frames=2"]
    assert cli.main([*command, "--frames", "6", *arguments]) == 0
    assert (read_sound(place / "clip.mp4") is not None) == heard
    if heard:
        assert (
            loudness(place / "clip.mp4", 0.0, 0.2)
            < 60
            < 500
            < loudness(place / "clip.mp4", 0.4, 0.55)
        )


def test_damaged_sound_costs_the_sound_and_not_the_clip(
    place: Path,
    loaded: list[Any],
    shared_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(_: Path) -> None:
        raise errors.VideoError("The video's sound is damaged.", "Save it again.")

    monkeypatch.setattr("poseanimate.inputs.driver_sound.read_sound", fail)
    write_clip([np.full((64, 64, 3), 200, np.uint8)] * 3, place / "dance.mp4", 10)
    command = ["animate", "who.png", "dance.mp4", "-o", "clip.mp4", "--cache", str(shared_cache)]
    command += ["--set", "num_inference_steps=2", "inner_steps=1", "transition_frames=2"]
    assert cli.main([*command, "--frames", "6"]) == 0
    assert len(read_video(place / "clip.mp4").frames) == 6
    said = capsys.readouterr()
    assert "The clip is silent. The video's sound is damaged." in said.out + said.err


def test_json_lines_tell_every_event_and_nothing_else(
    place: Path,
    loaded: list[Any],
    shared_cache: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("poseanimate.cli.inputs.find_family", lambda _: "pocket")  # of any name
    write_clip([scene_at_ease().picture] * 8, place / "driver.mp4", fps=10)
    arguments = ["animate", "who.png", "driver.mp4", "-o", "clip.gif", "--json", "--stride", "2"]
    arguments += ["--prompt", CAPTION, "--cache", str(shared_cache), "--enlarge", "1"]
    assert cli.main([*arguments, *QUICK, "--models", "some", "--device", "cpu"]) == 0
    said = capsys.readouterr()
    lines = json_lines(said.out)
    assert "a library prints something" in said.err
    assert loaded == [("some", "cpu")]
    of = {kind: [line for line in lines if line["event"] == kind] for kind in
          ("stage", "step", "aligned", "preview", "frame", "done")}  # fmt: skip
    stages = [line["stage"] for line in of["stage"]]
    assert stages[:4] == ["models", "motion", "character", "alignment"]
    assert [line["index"] for line in of["step"] if line["stage"] == "motion"] == [1, 2, 3, 4]
    assert {"pacm_pose", "generation"} <= {line["stage"] for line in of["step"]}
    assert all(1 <= line["index"] <= line["total"] for line in of["step"])
    assert [line["index"] for line in of["frame"]] == list(range(FRAMES))
    assert all(line["stage"] == "generation" for line in of["frame"][1:] + of["preview"])
    assert of["aligned"][0]["poses"] == FRAMES
    assert of["done"] == lines[-1:]
    done = lines[-1]
    assert done["output"] == "clip.gif"
    assert (done["frames"], done["fps"]) == (FRAMES, 5)
    assert {"models", "motion", "generation", "writing"} <= set(done["seconds"])
    assert done["model_calls"]["unet"] > 0
    assert done["source_psnr_db"] > 0
    assert len(read_video(place / "clip.gif").frames) == FRAMES


def test_a_folder_of_pictures_and_what_was_cached(
    place: Path, loaded: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["animate", "who.png", "walk", "-o", "frames", "--prompt", CAPTION, *QUICK]
    assert cli.main(arguments) == 0
    assert sorted(contents(place / "frames")) == ["00000.png", "00001.png", "00002.png"]
    first = [picture(path) for path in sorted(Path("frames").iterdir())]
    assert "from the cache" not in capsys.readouterr().out
    assert cli.main(arguments) == 0
    assert "from the cache: inversion, pacm_source, drafts, pacm_pose" in capsys.readouterr().out
    again = [picture(path) for path in sorted(Path("frames").iterdir())]
    # sums of floats depend on where arrays lie in memory, by one step of 255 before enlarging
    assert np.abs(np.subtract(first, again, dtype=int)).max() <= 3


def test_no_cache_keeps_nothing(place: Path, loaded: list[Any]) -> None:
    arguments = ["animate", "who.png", "walk", "-o", "clip.png", "--no-cache", *QUICK]
    assert cli.main([*arguments, "--enlarge", "2"]) == 0
    assert not (place.parent / "cache").exists()
    assert picture("clip.png").shape == (128, FRAMES * 128, 3)


def test_the_prompt_given_goes_before_the_one_beside_the_picture(
    place: Path, loaded: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Reached(errors.PoseAnimateError):
        pass

    def embed(self: Models, text: str) -> torch.Tensor:
        raise Reached(text, "")

    def prompt_of(*arguments: str) -> str:
        with monkeypatch.context() as patch:
            patch.setattr(Models, "embed", embed)
            said: list[str] = []
            patch.setattr(cli.Sentences, "fail", lambda self, error: said.append(error.message))
            assert cli.main(["animate", "who.png", "walk", "-o", "clip.mp4", *arguments]) == 2
            return said[0]

    assert prompt_of() == ""
    Path("who.txt").write_text("\ufeffa girl\n  in the park \n", encoding="utf-8")
    assert prompt_of() == "a girl in the park"
    assert prompt_of("--prompt", "a boy") == "a boy"
    assert prompt_of("--prompt", "") == ""


def test_a_picture_that_the_models_do_not_paint_is_animated_only_on_insistence(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models = replace(seeing(scene_at_ease().pose), world=OtherWorld())
    monkeypatch.setattr(loading, "load_models", lambda *_, **__: models)
    monkeypatch.setattr(inputs, "load_input_models", lambda *_, **__: models.inputs)
    assert cli.main(["align", "who.png", "walk", "-o", "sheet.png"]) == 0
    before = contents(place)
    arguments = ["animate", "who.png", "walk", "-o", "clip.mp4", *QUICK]
    assert cli.main(arguments) == 2
    told = capsys.readouterr().err
    assert "paint drawn figures" in told and "--anyway" in told and contents(place) == before
    assert cli.main([*arguments, "--anyway"]) == 0
    assert (place / "clip.mp4").exists()


def test_an_interrupted_run_leaves_nothing_half_written(
    place: Path,
    loaded: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = contents(place)
    calls = []
    predict = Denoiser.predict

    def interrupted(self: Denoiser, *arguments: Any, **more: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return predict(self, *arguments, **more)

    monkeypatch.setattr(Denoiser, "predict", interrupted)
    assert cli.main(["animate", "who.png", "walk", "-o", "clip.mp4", *QUICK]) == 130
    assert contents(place) == before
    said = capsys.readouterr()
    assert "stopped" in said.err
    assert "Traceback" not in said.err


# Previews -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["sheet.png", "preview.mp4"])
def test_align_draws_skeletons_and_runs_no_network(
    output: str, place: Path, loaded: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*arguments: Any, **more: Any) -> None:
        raise AssertionError("alignment needs no denoising")

    monkeypatch.setattr(Denoiser, "predict", forbidden)
    assert cli.main(["align", "who.png", "wave", "-o", output, "--frames", "10"]) == 0
    if output == "sheet.png":
        assert picture(output).shape[1] > 8 * 256
    else:
        assert len(read_video(place / output).frames) == 10


def test_a_draft_moves_the_picture_itself_at_its_own_size(
    place: Path, loaded: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    large = cv2.resize(scene_at_ease().picture, (150, 150))
    Image.fromarray(large).save("large.png")
    eyes = Eyes(
        (scene_at_ease().pose.scaled(150 / 64, 150 / 64),),
        cv2.resize(scene_at_ease().mask, (150, 150)),
    )
    models = replace(tiny_models(), detector=eyes, segmenter=eyes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "load_input_models", lambda *_, **__: models.inputs)
        assert (
            cli.main(["draft", "large.png", "wave", "-o", "drafts", "--frames", "5", "--json"]) == 0
        )
    frames = [picture(path) for path in sorted(Path("drafts").iterdir())]
    assert len(frames) == 5 and {frame.shape for frame in frames} == {(150, 150, 3)}
    assert np.array_equal(frames[0], large) and not np.array_equal(frames[4], large)
    figures = {"event": "done", "output": "drafts", "frames": 5, "width": 150, "height": 150}
    assert json_lines(capsys.readouterr().out)[-1] == figures


def _moved(suffix: str, *more: str) -> Path:
    """A draft of the picture that is there, in a format."""
    output = Path(f"moved{suffix}")
    command = ["draft", "who.png", "wave", "-o", str(output), "--frames", "5", *more]
    assert cli.main(command) == 0
    return output


@pytest.mark.parametrize("suffix", [".webm", ".gif", ".apng", ".webp", ".png", ".zip", ""])
def test_a_draft_can_be_the_character_alone(suffix: str, place: Path, loaded: list[Any]) -> None:
    output = _moved(suffix, "--transparent")
    if suffix == ".webm":  # libvpx's own decoder alone reads alpha
        ffmpeg("-c:v", "libvpx-vp9", "-i", output, "back-%d.png")
        backs = [picture(f"back-{number}.png") for number in range(1, 6)]
        assert not Path("back-6.png").exists()
    elif suffix in (".gif", ".apng", ".webp"):
        with Image.open(output) as clip:
            backs = [np.asarray(each.convert("RGBA")) for each in ImageSequence.Iterator(clip)]
    elif suffix == ".png":
        backs = np.split(picture(output), 5, axis=1)
    else:
        if suffix == ".zip":
            shutil.unpack_archive(output, "moved")
        backs = [picture(path) for path in sorted(Path("moved").iterdir())]
    assert len(backs) == 5 and {back.shape for back in backs} == {(64, 64, 4)}
    source, mask = scene_at_ease().picture, scene_at_ease().mask
    for back in backs:
        shown = back[..., 3] > 128
        assert not shown[0].any() and not shown[:, 0].any()  # of the background nothing
        assert 0.6 < shown.sum() / (mask > 0.5).sum() < 1.5
    first = backs[0].astype(int)
    assert np.mean((first[..., 3] > 128) == (mask > 0.5)) > 0.99
    inside = cv2.erode((mask > 0.9).astype(np.uint8), np.ones((3, 3))) > 0
    assert np.abs(first[..., :3] - source)[inside].mean() < 12
    moved = [np.abs(back.astype(int) - first).mean() for back in backs[1:]]
    assert max(moved) > 1


def test_a_draft_that_cannot_be_transparent_is_refused_at_once(
    place: Path, loaded: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(place)
    assert cli.main(["draft", "who.png", "wave", "-o", "moved.mp4", "--transparent"]) == 2
    told = capsys.readouterr().err
    assert ".mp4 can't be transparent" in told and ".webm" in told and "folder" in told
    assert loaded == [] and contents(place) == before


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif", ".apng", ".webp"])
def test_a_draft_is_marked_as_one(suffix: str, place: Path, loaded: list[Any]) -> None:
    output = _moved(suffix)
    assert b"draft, poseanimate" in output.read_bytes()
    assert [frame.shape for frame in read_video(output).frames] == [(64, 64, 3)] * 5


def test_a_draft_of_a_whole_video_has_its_sound(place: Path, loaded: list[Any]) -> None:
    write_clip([np.full((64, 64, 3), 200, np.uint8)] * 3, place / "silent.mp4", 10)
    ffmpeg("-f", "lavfi", "-i", "sine=d=0.3", "-i", "silent.mp4", "-c:v", "copy", "dance.mp4")
    for arguments, heard in (([], True), (["--no-sound"], False)):
        command = ["draft", "who.png", "dance.mp4", "-o", "moved.mp4", *arguments]
        assert cli.main([*command, "--frames", "6", "--set", "transition_frames=2"]) == 0
        assert (read_sound(place / "moved.mp4") is not None) == heard


def test_align_tells_programs_its_findings(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    body = scene_at_ease().pose.body.copy()
    mirrored = body.copy()
    for right, left in ((2, 5), (3, 6), (4, 7), (8, 11), (9, 12), (10, 13), (14, 15), (16, 17)):
        mirrored[[right, left]] = body[[left, right]]
    models = seeing(Pose(mirrored)).inputs
    monkeypatch.setattr(inputs, "load_input_models", lambda *_, **__: models)
    arguments = ["align", "who.png", "walk", "-o", "sheet.png", "--frames", "3"]
    assert cli.main([*arguments, "--json"]) == 0
    lines = json_lines(capsys.readouterr().out)
    findings = next(line for line in lines if line["event"] == "aligned")["findings"]
    assert "facing_flipped" in {finding["code"] for finding in findings}
    assert all(finding["message"] and finding["remedy"] for finding in findings)
    notes = [line["text"] for line in lines if line["event"] == "note"]
    assert [f"{v['message']} {v['remedy']}" for v in findings] == notes
    figures = {"event": "done", "output": "sheet.png", "poses": 3, "transition": 2}
    assert lines[-1] == figures
    assert cli.main(arguments) == 0
    assert notes[0] in capsys.readouterr().err


# Lists --------------------------------------------------------------------------------------------


def test_motions_lists_every_preset_with_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["motions"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert [row[0] for row in rows] == motion_names()
    walk = load_preset("walk")
    figures = next(row[1:] for row in rows if row[0] == "walk")
    assert [float(f) for f in figures] == pytest.approx(
        [len(walk.poses), walk.fps, walk.duration_s], abs=0.01
    )


def test_settings_lists_every_knob_with_the_presets_value(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["settings", "--preset", "paper"]) == 0
    text = capsys.readouterr().out
    for name, about in Settings.__dataclass_fields__.items():
        assert f"\n{name} = " in text
        assert about.metadata["help"] in text
    assert "num_inference_steps = 50  (2 to 200)" in text


def test_settings_are_those_of_a_family(capsys: pytest.CaptureFixture[str]) -> None:
    for family, judged in (("pocket", True), ("sd15", False)):
        assert cli.main(["settings", "--preset", "fast", "--family", family]) == 0
        assert (NOT_JUDGED in capsys.readouterr().out) is not judged
        assert cli.main(["settings", "--preset", "fast", "--family", family, "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == asdict(Settings.preset("fast", family))


def test_the_cache_is_measured_and_emptied(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = StageCache(place.parent / "cache", 10**9)
    for digit in "abc":
        store.put(digit * 64, {"x": np.zeros(250_000, np.float32)})
    assert cli.main(["cache"]) == 0
    said = capsys.readouterr().out
    assert str(store.folder) in said
    assert "3 results, 3.0 MB" in said
    assert cli.main(["cache", "--clear"]) == 0
    assert "3 results deleted, 3.0 MB freed" in capsys.readouterr().out
    assert store.entries() == []
    other = place.parent / "other"
    other.mkdir()
    assert cli.main(["cache", "--cache", str(other)]) == 0
    assert "0 results" in capsys.readouterr().out
    assert cli.main(["cache", "--cache", str(other / "none")]) == 2
    assert "There is no folder" in capsys.readouterr().err


def test_a_fresh_process_lists_motions_without_torch() -> None:
    code = "import sys\nfrom poseanimate.cli.main import main\nmain(['motions'])\n"
    code += "print(sorted({'torch', 'diffusers', 'transformers'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"
    command = [sys.executable, "-m", "poseanimate", "motions"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[1].split()[0] == motion_names()[0]
    assert run.stderr == ""


def test_a_reader_who_leaves_early_gets_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "poseanimate", "settings"]
    run = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (run.returncode, run.stderr) == (141, b"")


# Bad input ----------------------------------------------------------------------------------------


def small() -> None:
    Image.new("RGB", (63, 200)).save("bad.png")


def too_many_pixels() -> None:
    Image.new("1", (9000, 8000)).save("bad.png")


def too_many_bytes() -> None:
    with Path("bad.png").open("wb") as file:
        file.truncate(50_000_001)


def cut_off() -> None:
    Path("bad.png").write_bytes(Path("who.png").read_bytes()[:-600])


def no_picture() -> None:
    Path("bad.png").write_text("a portrait of the artist")


def odd_prompt() -> None:
    Path("who.txt").write_bytes(b"\xff\xfe\xfa")


def sound_alone() -> None:
    ffmpeg("-f", "lavfi", "-i", "sine=duration=1", "bad.mp4")


def too_long() -> None:
    ffmpeg("-f", "lavfi", "-i", "color=gray:64x64:rate=1:duration=90", "bad.mp4")


def cut_off_video() -> None:
    ffmpeg("-f", "lavfi", "-i", "testsrc=128x128:rate=10:duration=3", "whole.mp4")
    Path("bad.mp4").write_bytes(Path("whole.mp4").read_bytes()[:4000])


def dark_video() -> None:
    ffmpeg("-f", "lavfi", "-i", "color=black:64x64:rate=5:duration=1", "bad.mp4")


def fast_video() -> None:
    ffmpeg("-f", "lavfi", "-i", "color=gray:64x64:rate=60:duration=1", "bad.mp4")


def bad_json() -> None:
    Path("bad.json").write_text('{"frames": []}')


def nobody_in_json() -> None:
    Path("bad.json").write_text('{"frames": [{"people": []}]}')


def folder_named_clip() -> None:
    Path("taken.mp4").mkdir()


def folder_of_other_things() -> None:
    Path("taken").mkdir()
    Path("taken/diary.txt").write_text("dear diary")


def half_a_models_folder() -> None:
    Path("half/unet").mkdir(parents=True)
    Path("half/model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')


def file_for_a_cache() -> None:
    Path("cache-file").touch()


def blocked_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "load_models", lambda *_, **__: seeing())


def two_people(monkeypatch: pytest.MonkeyPatch) -> None:
    pose = scene_at_ease().pose
    monkeypatch.setattr(loading, "load_models", lambda *_, **__: seeing(pose, pose.shifted(3, 0)))


def legs_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    body = scene_at_ease().pose.body.copy()
    body[[0, 1, 2, 3, 4, 5, 6, 7, 14, 15, 16, 17]] = 0
    monkeypatch.setattr(loading, "load_models", lambda *_, **__: seeing(Pose(body)))


REAL_LOADER = loading.load_models


def real_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "load_models", REAL_LOADER)


WHO = ("who.png", "walk")
OK = ("-o", "clip.mp4")
Make = Callable[..., None] | None
BAD_INPUT: list[tuple[str, Make, tuple[str, ...], CheckError, str]] = [
    ("nobody in the picture", nobody, (*WHO, *OK), errors.NoCharacterError, "Nobody was found"),
    ("two people", two_people, (*WHO, *OK), errors.SeveralCharactersError, "2 people"),
    ("no torso", legs_alone, (*WHO, *OK), errors.MotionError, "torso|neck|shoulders"),
    ("no such picture", None, ("none.png", "walk", *OK), errors.PictureError, "no picture at"),
    ("small", small, ("bad.png", "walk", *OK), errors.PictureError, "too small: 63x200"),
    ("pixels", too_many_pixels, ("bad.png", "walk", *OK), errors.PictureError, "too large: 9000"),
    ("bytes", too_many_bytes, ("bad.png", "walk", *OK), errors.PictureError, "too large: 50"),
    ("cut-off picture", cut_off, ("bad.png", "walk", *OK), errors.PictureError, "damaged"),
    ("prose", no_picture, ("bad.png", "walk", *OK), errors.PictureError, "not a picture"),
    ("odd prompt", odd_prompt, (*WHO, *OK), errors.PictureError, "prompt"),
    ("no such video", None, ("who.png", "no.mp4", *OK), errors.MotionError, "no motion at no.mp4"),
    ("no frames", sound_alone, ("who.png", "bad.mp4", *OK), errors.VideoError, "sound"),
    ("too long", too_long, ("who.png", "bad.mp4", *OK), errors.VideoError, "too long: 90"),
    ("cut-off video", cut_off_video, ("who.png", "bad.mp4", *OK), errors.VideoError, "damaged"),
    ("no video", no_picture, ("who.png", "bad.png", *OK), errors.VideoError, "not a video"),
    ("dark", dark_video, ("who.png", "bad.mp4", *OK), errors.NoCharacterError, "any frame"),
    ("no motion", None, ("who.png", "wlak", *OK), errors.MotionError, "named 'wlak'"),
    ("bad JSON", bad_json, ("who.png", "bad.json", *OK), errors.MotionError, "no frames"),
    ("empty JSON", nobody_in_json, ("who.png", "bad.json", *OK), errors.MotionError, "Nobody"),
    ("no part", None, (*WHO, *OK, "--start", "5"), errors.MotionError, "empty"),
    ("no stride", None, (*WHO, *OK, "--stride", "0"), errors.MotionError, "stride is 0"),
    ("no preset", None, (*WHO, *OK, "--preset", "slow"), errors.SettingsError, "'slow'"),
    ("unknown", None, (*WHO, *OK, "--set", "speed=1"), errors.SettingsError, "setting 'speed'"),
    ("no value", None, (*WHO, *OK, "--set", "dcam"), errors.SettingsError, "names no value"),
    ("range", None, (*WHO, *OK, "--frames", "1"), errors.SettingsError, "between 2 and 240"),
    ("seed", None, (*WHO, *OK, "--seed", "x"), errors.SettingsError, "whole number"),
    ("lambda", None, (*WHO, *OK, "--set", "lambda_first=0.7", "lambda_prev=0.7"),
     errors.SettingsError, "is 1.4, but must be 1"),
    ("no models", real_models, (*WHO, *OK, "--models", "nowhere"), errors.ModelsError, "nowhere"),
    ("long models", real_models, (*WHO, *OK, "--models", "m" * 300), errors.ModelsError, "mmm"),
    ("half models", half_a_models_folder, (*WHO, *OK, "--models", "half"), errors.ModelsError,
     "incomplete"),
    ("no CUDA", blocked_cuda, (*WHO, *OK, "--device", "cuda"), errors.ModelsError, "no CUDA"),
    ("suffix", None, (*WHO, "-o", "clip.avi"), errors.OutputError, "as .avi"),
    ("no folder", None, (*WHO, "-o", "no/clip.mp4"), errors.OutputError, "There is no folder"),
    ("long folder", None, (*WHO, "-o", "f" * 300 + "/clip.mp4"), errors.OutputError, "There is no"),
    ("taken", folder_named_clip, (*WHO, "-o", "taken.mp4"), errors.OutputError, "is a folder"),
    ("diary", folder_of_other_things, (*WHO, "-o", "taken"), errors.OutputError, "no folder of"),
    ("itself", None, (*WHO, "-o", "./who.png"), errors.OutputError, "is an input"),
    ("fast GIF", fast_video, ("who.png", "bad.mp4", "-o", "a.gif"), errors.OutputError, "60 frame"),
    ("enlarge", None, (*WHO, *OK, "--enlarge", "0"), errors.OutputError, "enlargement is 0"),
    ("cache", file_for_a_cache, (*WHO, *OK, "--cache", "cache-file"), errors.CacheError, "cache"),
]  # fmt: skip
BEFORE_ANY_MODEL = (
    errors.PictureError,
    errors.VideoError,
    errors.SettingsError,
    errors.OutputError,
)


@pytest.mark.parametrize(
    ("make", "arguments", "kind", "words"),
    [case[1:] for case in BAD_INPUT],
    ids=[case[0] for case in BAD_INPUT],
)
def test_bad_input_gets_a_sentence_and_leaves_nothing_behind(
    make: Make,
    arguments: tuple[str, ...],
    kind: CheckError,
    words: str,
    place: Path,
    loaded: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if make is half_a_models_folder:
        real_models(monkeypatch)
    if make is not None:
        make(monkeypatch) if make.__code__.co_argcount else make()
    before = contents(place)
    for json_too in ([], ["--json"]):
        assert cli.main(["animate", *arguments, *json_too]) == 2
        said = capsys.readouterr()
        [sentence] = [line for line in said.err.splitlines() if line.startswith("error: ")]
        assert "Traceback" not in said.err
    line = json_lines(said.out)[-1]
    assert set(line) == {"event", "type", "message", "remedy"}
    assert (line["event"], line["type"]) == ("error", kind.__name__)
    assert sentence == f"error: {line['message']} {line['remedy']}"
    assert any(word in line["message"] for word in words.split("|"))
    assert len(line["remedy"]) > 5
    assert contents(place) == before
    if (place.parent / "cache").exists():
        assert StageCache(place.parent / "cache", 1).entries() == []
    if issubclass(kind, BEFORE_ANY_MODEL):
        assert loaded == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["animate"],
        ["animate", "who.png", "walk"],
        ["animate", *WHO, *OK, "--stride", "two"],
        ["animate", *WHO, *OK, "--device", "tpu"],
        ["animate", *WHO, *OK, "--cache", "x", "--no-cache"],
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code == 2
    assert "usage: poseanimate" in capsys.readouterr().err


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"poseanimate {__version__}\n"


# Bars ---------------------------------------------------------------------------------------------


class Terminal:
    """A stderr that says it is a terminal."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return True


def test_a_bar_shows_stage_step_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    report = cli.Sentences()
    report.show(Stage("pacm_source", 25))
    report.show(Step("pacm_source", 25, 25, 61.0))
    report.show(Note("The character looks away."))
    report.show(Stage("inversion", 0, cached=True))
    report.show(Step("generation", 25, 25, 31.0))  # a stage's step without its beginning
    report.close()
    lines = terminal.text.replace("\n", "\r").split("\r")
    shown = {line.split()[0]: line for line in lines if "/25" in line}
    assert "pacm source" in shown["pacm"]
    assert "01:01 left" in terminal.text
    assert "The character looks away." in lines
    assert "25/25" in shown["generation"]
    assert "inversion" not in terminal.text
