"""The endpoints for programs and their switch for MCP, without a server."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import gradio as gr
import pytest
from gradio.utils import get_function_description
from helpers.media import ffmpeg
from helpers.scripted import Scripted
from helpers.tiny import OtherWorld, scene_at_ease, tiny_models
from PIL import Image

from poseanimate.animator import Animator
from poseanimate.cli.arguments import add_serving
from poseanimate.cli.main import main
from poseanimate.media import read_sound, read_video, write_clip
from poseanimate.poses.motion import load_preset
from poseanimate.ui import page
from poseanimate.ui.api import Api
from poseanimate.ui.sections.run import Handlers
from poseanimate.ui.server import launch

ENDPOINTS = ("animate", "align", "draft", "motions")
DOCUMENT = Path(__file__).parents[2] / "docs" / "api.md"


@pytest.fixture(scope="module")
def demo() -> gr.Blocks:
    return page.create_demo(Scripted())


def rows(demo: gr.Blocks, endpoint: str) -> list[str]:
    """The arguments as the document's table has them."""
    helped = get_function_description(getattr(Api, endpoint))[1]
    found = []
    for told in demo.get_api_info()["named_endpoints"][f"/{endpoint}"]["parameters"]:
        name, kind = told["parameter_name"], told["python_type"]["type"].replace(" | ", " or ")
        default = f"`{json.dumps(told['parameter_default'])}`"
        given = default if told["parameter_has_default"] else ""
        found.append(f"| `{name}` | {kind} | {given} | {helped[name]} |")
    return found


def test_four_endpoints_are_public_and_all_of_them_is_typed_and_explained(
    demo: gr.Blocks,
) -> None:
    api = demo.get_api_info()
    assert list(api["named_endpoints"]) == [f"/{name}" for name in ENDPOINTS]
    assert not api["unnamed_endpoints"]
    for name, told in api["named_endpoints"].items():
        description, helped, returns = get_function_description(getattr(Api, name[1:]))
        assert description and returns
        assert all(each["type"] for each in told["parameters"] + told["returns"])
        assert all(helped[each["parameter_name"]] for each in told["parameters"])


def test_the_document_lists_what_the_endpoints_say_of_themselves(demo: gr.Blocks) -> None:
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("| `")] == rows(demo, "animate")


def test_what_is_aligned_can_be_animated_with_the_same_arguments(demo: gr.Blocks) -> None:
    of_clips = ("| `prompt`", "| `sound`", "| `anyway`")
    assert rows(demo, "draft") == rows(demo, "align")
    assert rows(demo, "align") == [
        row for row in rows(demo, "animate") if not row.startswith(of_clips)
    ]


def test_programs_insist_on_a_picture_that_the_models_do_not_paint(tmp_path: Path) -> None:
    Image.fromarray(scene_at_ease().picture).save(tmp_path / "who.png")
    upload = {"path": str(tmp_path / "who.png"), "meta": {"_type": "gradio.FileData"}}
    api = Api(Handlers(Animator(replace(tiny_models(), world=OtherWorld()))))
    how = {"settings": {"frames": 2, "num_inference_steps": 2}}
    for anyway in (False, "yes"):
        with pytest.raises(gr.Error, match="set `anyway`"):
            list(api.animate(gr.Request(session_hash="a"), upload, anyway=anyway, **how))
    *_, (clip, _) = api.animate(gr.Request(session_hash="a"), upload, anyway=True, **how)
    assert clip is not None


def uploaded(path: Path) -> dict[str, object]:
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}}


def test_what_a_finding_names_can_be_asked_for(tmp_path: Path) -> None:
    Image.fromarray(scene_at_ease().picture).save(tmp_path / "who.png")
    (tmp_path / "lying.json").write_text(load_preset("walk").rotated(270).to_json())
    job = {"picture": uploaded(tmp_path / "who.png"), "settings": {"frames": 8}}
    job["motion_file"] = uploaded(tmp_path / "lying.json")
    api = Api(Handlers(Animator(tiny_models())))
    (_, lying), *_ = api.align(**job)
    (turn,) = [each["fix"] for each in lying if "rotate" in each["fix"]]
    assert turn == {"rotate": 90}
    (_, standing), *_ = api.align(**job, **turn)
    assert not any("rotate" in each["fix"] for each in standing)


def test_programs_give_several_pictures_as_motion(tmp_path: Path) -> None:
    Image.fromarray(scene_at_ease().picture).save(tmp_path / "who.png")
    poses = []
    for number in range(2):
        Image.new("RGB", (64, 64), (200, 200, 90 * number)).save(tmp_path / f"{number}.png")
        poses.append(uploaded(tmp_path / f"{number}.png"))
    api = Api(Handlers(Animator(tiny_models())))
    job = {"picture": uploaded(tmp_path / "who.png")}
    job |= {"settings": {"frames": 60, "transition_frames": 1}}
    for motion_file, more_files, frames in ((poses[0], [], 14), (poses[0], poses[1:], 26)):
        answers = api.draft(**job, motion_file=motion_file, more_files=more_files)
        clip = next(clip for clip, _ in answers if clip)  # it is there until the answer is sent
        assert len(read_video(Path(clip["path"])).frames) == frames
    for wrong in ({"more_files": poses}, {"motion_file": poses[0], "more_files": "a.png"}):
        with pytest.raises(gr.Error, match="more_files"):
            list(api.align(**job, **wrong))
    with pytest.raises(gr.Error, match="no uploaded file"):
        list(api.align(**job, motion_file=poses[0], more_files=["/etc/passwd"]))


def test_programs_choose_rate_and_sound(tmp_path: Path) -> None:
    Image.fromarray(scene_at_ease().picture).save(tmp_path / "who.png")
    write_clip([scene_at_ease().picture] * 3, tmp_path / "silent.mp4", 10)
    tone = ("-f", "lavfi", "-i", "sine=d=0.3", "-i", tmp_path / "silent.mp4")
    ffmpeg(*tone, "-c:v", "copy", tmp_path / "dance.mp4")
    api = Api(Handlers(Animator(tiny_models())))

    def animate(**how: object) -> tuple[bool, float]:
        settings = {"frames": 6, "num_inference_steps": 2, "transition_frames": 2}
        job = {"picture": uploaded(tmp_path / "who.png"), "settings": settings, **how}
        answers = api.animate(gr.Request(session_hash="a"), **job)
        clip, figures = next(answer for answer in answers if answer[0])
        return read_sound(Path(clip["path"])) is not None, figures["fps"]

    dance = uploaded(tmp_path / "dance.mp4")
    assert animate(motion_file=dance) == (True, 10)
    assert animate(motion_file=dance, sound=False) == (False, 10)
    assert animate(motion="wave", fps=24) == (False, 24)


def test_programs_wait_for_the_turn_of_the_page(demo: gr.Blocks) -> None:
    queues = {fn.api_name: (fn.concurrency_id, fn.concurrency_limit) for fn in demo.fns.values()}
    assert queues["animate"] == queues["generate"] == queues["compare"] == ("diffusion", 1)
    assert queues["align"] == queues["draft"] == queues["fit"] == ("poses", 1)


@pytest.mark.parametrize("version", [None, "2.3.0"])
def test_mcp_without_its_package_gets_a_sentence(
    version: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def installed(name: str) -> str:
        if version is None:
            raise PackageNotFoundError(name)
        return version

    monkeypatch.setattr(launch, "version", installed)
    assert main(["serve", "--mcp"]) == 2
    sentence = "MCP needs a package. Install it: pip install 'mcp>=1.21,<2'."
    assert capsys.readouterr().err == f"error: {sentence}\n"


def test_mcp_with_a_login_gets_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--mcp", "--auth", "ada:lovelace"]) == 2
    assert capsys.readouterr().err.startswith("error: MCP knows no password.")


@pytest.mark.parametrize(
    ("variable", "options", "on"),
    [("", [], False), ("0", [], False), ("1", [], True), ("True", [], True), ("", ["--mcp"], True)],
)
def test_mcp_is_off_unless_it_is_asked_for(
    variable: str, options: list[str], on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSEANIMATE_MCP", variable)
    parser = argparse.ArgumentParser()
    add_serving(parser)
    assert parser.parse_args(options).mcp is on
