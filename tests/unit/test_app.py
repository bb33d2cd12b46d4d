"""The app as people start it, in a process of its own."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import app
from poseanimate.cache import FOLDER_VARIABLE

APP = Path(__file__).parents[2] / "app.py"
PATIENCE_S = 180.0


def surroundings(folder: Path, **variables: str) -> dict[str, str]:
    """This process's variables without those that configure the app, and `variables`."""
    others = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("POSEANIMATE_", "GRADIO_SERVER_"))
    }
    return others | {FOLDER_VARIABLE: str(folder / "cache")} | variables


def answer(port: int) -> tuple[int, str]:
    """Status and body of the page; past any proxy."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("POSEANIMATE_MODELS", "nowhere", "'nowhere' is no models folder"),
        (FOLDER_VARIABLE, "file", "cache"),
    ],
)
def test_what_can_not_be_used_gets_a_sentence(
    variable: str, value: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    ended = subprocess.run(
        [sys.executable, str(APP)],
        cwd=tmp_path,
        env=surroundings(tmp_path, **{variable: value}),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 2
    [sentence] = ended.stderr.splitlines()
    assert words in sentence and sentence.endswith(".")
    assert ended.stdout == ""


@pytest.mark.parametrize("auth", ["name", ":password", "name:"])
def test_half_a_login_is_refused(auth: str, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        app.parse(["--auth", auth])
    assert "a colon between" in capsys.readouterr().err
    monkeypatch.setenv("POSEANIMATE_AUTH", auth)
    with pytest.raises(SystemExit, match="2"):
        app.parse([])


def test_options_go_before_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSEANIMATE_MODELS", "sd15")
    monkeypatch.setenv("POSEANIMATE_AUTH", "a:b:c")
    chosen = app.parse(["--port", "7000", "--share"])
    assert (chosen.models, chosen.port, chosen.share) == ("sd15", 7000, True)
    assert chosen.auth == ("a", "b:c")
    assert app.parse(["--models", "pocket"]).models == "pocket"


def test_the_page_is_served_on_the_port_that_is_asked_for(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = tmp_path / "said.txt"
    with (
        said.open("w") as file,
        subprocess.Popen(
            [sys.executable, str(APP)],
            cwd=tmp_path,
            env=surroundings(tmp_path, GRADIO_SERVER_PORT=str(port)),
            stdout=file,
            stderr=file,
        ) as served,
    ):
        try:
            give_up_s = time.monotonic() + PATIENCE_S
            while True:
                assert served.poll() is None, f"it ended: {said.read_text()}"
                assert time.monotonic() < give_up_s, f"no answer: {said.read_text()}"
                try:
                    status, page = answer(port)
                    break
                except ConnectionRefusedError:
                    time.sleep(0.2)
        finally:
            served.terminate()
            try:
                served.wait(10)
            except subprocess.TimeoutExpired:
                served.kill()
    assert status == 200
    assert '<meta property="og:title" content="PoseAnimate" />' in page
    assert "Traceback" not in said.read_text()
