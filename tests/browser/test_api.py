"""The endpoints for programs, asked from outside as docs/api.md says, and the tools of MCP."""

from __future__ import annotations

import json
import re
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file
from helpers.browser import HOLD_S, App, app_in, file_data
from PIL import Image

from poseanimate.media import read_video
from poseanimate.poses.motion import load_preset, preset_names
from poseanimate.ui.theme import EXAMPLES

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENT = REPOSITORY / "docs" / "api.md"
DEFAULT_URL = "http://127.0.0.1:7860"
PICTURE = EXAMPLES / "park-girl.png"
QUICK = {"frames": 4, "num_inference_steps": 2}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """The page with MCP switched on, which changes nothing for others."""
    with app_in(tmp_path_factory.mktemp("app"), mcp=True) as app:
        yield app


@pytest.fixture
def client(app: App) -> Client:
    return Client(app.url, verbose=False, httpx_kwargs={"trust_env": False})


def example(language: str, app: App) -> str:
    """The document's, for the server of this test."""
    (code,) = re.findall(rf"```{language}\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.S)
    assert DEFAULT_URL in code
    return code.replace(DEFAULT_URL, app.url.rstrip("/"))


def frames_and_fps(path: str | Path) -> tuple[int, float]:
    video = read_video(path)
    return len(video.frames), video.fps


def test_the_example_in_python_does_what_the_document_says(
    app: App, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(REPOSITORY)
    left: dict[str, Any] = {}
    exec(example("python", app), left)
    with Image.open(left["preview"]) as preview:
        assert preview.format == "GIF" and preview.n_frames == 8
    assert left["findings"] == [
        {
            "severity": "note",
            "message": "Shows 3 of 24 poses.",
            "remedy": "With 29 frames it shows all of them.",
            "fix": {"frames": 29},
        }
    ]
    fps = load_preset("dance-sway").fps
    assert frames_and_fps(left["clip"]) == (8, fps)
    figures = left["figures"]
    assert (figures["frames"], figures["fps"]) == (8, fps)
    assert figures["model_calls"]["unet"] > 0 and set(figures["seconds"]) > {"generation"}
    said = capsys.readouterr().out
    assert "generation 1" in said and str(preset_names()) in said


def test_the_example_with_curl_ends_with_a_clip(app: App, tmp_path: Path) -> None:
    told = subprocess.run(
        ["bash", "-euc", example("bash", app)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        timeout=HOLD_S,
    ).stdout
    *steps, (last, answer) = re.findall(r"^event: (\w+)\ndata: (.*)$", told, re.M)
    assert last == "complete" and {event for event, _ in steps} >= {"generating"}
    clip, figures = json.loads(answer)
    path = tmp_path / "clip.mp4"
    path.write_bytes(httpx.get(clip["url"], trust_env=False).content)
    assert frames_and_fps(path) == (8, figures["fps"])


def test_motions_are_those_that_ship(client: Client) -> None:
    found = {each.pop("name"): each for each in client.predict(api_name="/motions")}
    assert list(found) == preset_names()
    for name, told in found.items():
        motion = load_preset(name)
        assert told == {
            "frames": len(motion.poses),
            "fps": motion.fps,
            "seconds": motion.duration_s,
        }


def test_a_file_goes_before_a_motions_name_and_its_part_is_used(client: Client) -> None:
    walk = handle_file(REPOSITORY / "presets" / "motions" / "walk.json")
    motion = {"motion": "no such motion", "motion_file": walk}
    part = {"start_s": 0.25, "end_s": 1.25, "stride": 3}
    settings = QUICK | {"frames": 12, "transition_frames": 0}
    job = {"picture": handle_file(PICTURE), "settings": settings, **motion, **part}
    _, findings = client.predict(**job, api_name="/align")
    assert [each["message"] for each in findings] == ["The motion gives 5 frames, not 12."]
    clip, figures = client.predict(**job, api_name="/animate")
    assert frames_and_fps(clip) == (figures["frames"], figures["fps"]) == (5, 12 / 3)


def test_a_draft_moves_the_picture_at_its_own_size(client: Client) -> None:
    job = {"picture": handle_file(PICTURE), "motion": "wave", "settings": {"frames": 8}}
    clip, findings = client.predict(**job, api_name="/draft")
    assert frames_and_fps(clip) == (8, 12)
    assert all(each["severity"] != "error" for each in findings)


def test_a_client_that_leaves_stops_its_run(app: App, client: Client) -> None:
    app.animator.closed.clear()
    hours = {"frames": 240, "num_inference_steps": 200}
    run = client.submit(picture=handle_file(PICTURE), settings=hours, api_name="/animate")
    next(run)
    assert run.cancel() and app.animator.closed.wait(HOLD_S)
    assert not any(clip for clip, _ in run.outputs())


# MCP -----------------------------------------------------------------------------------------------


def asked(app: App, method: str, **about: Any) -> dict[str, Any]:
    """What the server answers to an MCP client."""
    answer = httpx.post(
        f"{app.url}gradio_api/mcp/",
        json={"jsonrpc": "2.0", "id": 1, "method": method, "params": about},
        headers={"accept": "application/json, text/event-stream"},
        timeout=HOLD_S,
        trust_env=False,
    )
    (data,) = re.findall(r"^data: (.+)$", answer.text, re.M)
    result: dict[str, Any] = json.loads(data)["result"]
    return result


def used(app: App, tool: str, **arguments: Any) -> tuple[bool, str]:
    """Whether it succeeded, and what it said."""
    result = asked(app, "tools/call", name=tool, arguments=arguments)
    return not result["isError"], " ".join(each["text"] for each in result["content"])


def test_tools_are_the_endpoints_with_their_help(app: App) -> None:
    tools = {each["name"]: each for each in asked(app, "tools/list")["tools"]}
    assert list(tools) == ["animate", "align", "draft", "motions"]
    for tool in tools.values():
        assert tool["description"]
        assert all(each["description"] for each in tool["inputSchema"]["properties"].values())
    assert tools["animate"]["inputSchema"]["required"] == ["picture"]


def test_a_tool_does_what_its_endpoint_does(app: App) -> None:
    data = f"data:image/png;base64,{b64encode(PICTURE.read_bytes()).decode()}"
    done, said = used(app, "animate", picture=data, settings=QUICK)
    assert done and "poseanimate-clip.mp4" in said and "'frames': 4" in said
    done, said = used(app, "align", picture=data, motion="fly")
    assert not done and "There is no preset motion named 'fly'" in said


def test_tools_take_no_files_of_the_server(app: App, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("hush")
    file = file_data(str(secret))
    picture = f"data:image/png;base64,{b64encode(PICTURE.read_bytes()).decode()}"
    for wrong in (file, str(secret), secret.as_uri(), "http://127.0.0.1:1/a.png", [file]):
        for name in ("picture", "motion_file"):
            assert not used(app, "align", **{"picture": picture, name: wrong})[0]
    for name in ("motion", "settings", "joints", "stride", "other"):
        for value in (file, {"frames": file}, [file]):
            assert not used(app, "align", picture=picture, **{name: value})[0]
    assert not list(app.uploads.rglob("secret*"))
