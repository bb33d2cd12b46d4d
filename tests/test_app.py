"""The app as people start it, in a process of its own."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio
import gradio_client
import httpx
import pytest
from gradio import networking
from helpers.served import OTHER_ADDRESS, TIMEOUT_S, answer, free_port, listens, started
from helpers.tiny import tiny_models

from poseanimate.cli import commands
from poseanimate.cli import serve as serving
from poseanimate.cli.arguments import add_serving
from poseanimate.cli.main import main
from poseanimate.engines.late import LateEngine
from poseanimate.errors import ModelsError
from poseanimate.models import loading
from poseanimate.models.family import Models
from poseanimate.storage.stage_cache import FOLDER_VARIABLE
from poseanimate.ui.server.launch import serve

APP = Path(__file__).parents[1] / "app.py"
EXAMPLES = APP.parent / "examples"


def parse(*options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_serving(parser)
    return parser.parse_args(options)


def surroundings(folder: Path, **variables: str) -> dict[str, str]:
    """This process's variables without those that configure the app, and `variables`."""
    others = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("POSEANIMATE_", "GRADIO_SERVER_"))
    }
    return others | {FOLDER_VARIABLE: str(folder / "cache")} | variables


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [("POSEANIMATE_MAX_SIDE", "96", "128 to 256"), (FOLDER_VARIABLE, "file", "cache")],
)
def test_what_can_not_be_used_gets_a_sentence(
    variable: str,
    value: str,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    chosen = {"POSEANIMATE_MODELS": "pocket", variable: value}
    monkeypatch.setattr(os, "environ", surroundings(tmp_path, **chosen))
    assert main(["serve"]) == 2
    said = capsys.readouterr()
    [sentence] = said.err.splitlines()
    assert words in sentence and sentence.endswith(".")
    assert said.out == ""


@pytest.mark.slow
def test_the_process_ends_with_one_sentence(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, str(APP)],
        cwd=tmp_path,
        env=surroundings(tmp_path, POSEANIMATE_MODELS="nowhere"),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert ended.returncode == 2
    [sentence] = ended.stderr.splitlines()
    assert "'nowhere' is no models folder" in sentence and sentence.endswith(".")
    assert ended.stdout == ""


@pytest.mark.parametrize("auth", ["name", ":password", "name:"])
def test_half_a_login_is_refused(auth: str, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse("--auth", auth)
    assert "a colon between" in capsys.readouterr().err
    monkeypatch.setenv("POSEANIMATE_AUTH", auth)
    with pytest.raises(SystemExit, match="2"):
        parse()


def test_options_go_before_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSEANIMATE_MODELS", "sd15")
    monkeypatch.setenv("POSEANIMATE_AUTH", "a:b:c")
    monkeypatch.setenv("POSEANIMATE_MAX_SIDE", "640")
    chosen = parse("--port", "7000", "--share")
    assert chosen.max_side == 640
    assert (chosen.models, chosen.port, chosen.share) == ("sd15", 7000, True)
    assert chosen.auth == ("a", "b:c")
    assert parse("--models", "pocket").models == "pocket"
    assert parse("--max-side", "700").max_side == 700


@pytest.mark.slow
def test_the_page_is_served_on_the_port_that_is_asked_for_to_this_machine_alone(
    tmp_path: Path,
) -> None:
    port, said = free_port(), tmp_path / "said.txt"
    variables = surroundings(tmp_path, GRADIO_SERVER_PORT=str(port))
    command = [sys.executable, str(APP)]
    with started(command, tmp_path, variables, said, lambda: listens(port)):
        status, page = answer(port)
        assert not listens(port, OTHER_ADDRESS)
    assert status == 200
    assert '<meta property="og:title" content="PoseAnimate" />' in page
    assert "Traceback" not in said.read_text()


@pytest.mark.slow
def test_a_page_that_ends_leaves_no_temporary_files_and_the_next_removes_those_of_a_killed_one(
    tmp_path: Path,
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    for asked in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT):
        port, said = free_port(), tmp_path / "said.txt"
        variables = surroundings(
            tmp_path,
            GRADIO_SERVER_PORT=str(port),
            POSEANIMATE_MODELS="pocket",
            TMPDIR=str(temporary),
        )
        with started(
            [sys.executable, str(APP)], tmp_path, variables, said, partial(listens, port)
        ) as app:
            url = f"http://127.0.0.1:{port}/gradio_api/upload"
            [path] = httpx.post(url, files={"files": ("a.txt", b"a")}, trust_env=False).json()
            [folder] = temporary.iterdir()
            assert Path(path).is_relative_to(folder) and Path(path).read_bytes() == b"a"
            app.send_signal(asked)
            app.wait(TIMEOUT_S)
            if asked == signal.SIGKILL:
                assert folder.exists()
            else:
                assert app.returncode == 0 and list(temporary.iterdir()) == []
            assert "Traceback" not in said.read_text()


def test_host_port_login_and_link_are_those_of_the_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    demos, opened = [], []

    def serve_aside(demo: gradio.Blocks, **chosen: object) -> None:
        demos.append(demo)
        serve(demo, **chosen)

    def open_tunnel(local_host: str, local_port: int, **_: object) -> str:
        opened.append((local_host, local_port))
        return "https://somewhere.public"

    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(loading, "load_models", lambda *_, **__: tiny_models())
    monkeypatch.setattr(gradio.Blocks, "block_thread", lambda _: None)
    monkeypatch.setattr(serving.launch, "serve", serve_aside)
    monkeypatch.setattr(networking, "setup_tunnel", open_tunnel)
    port = free_port()
    options = ["--host", "0.0.0.0", "--port", str(port), "--auth", "ada:love:lace", "--share"]
    try:
        assert main(["serve", *options]) == 0
        assert listens(port, OTHER_ADDRESS)
        assert answer(port, "/config")[0] == 401
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as page:
            assert page.post("/login", data={"username": "ada", "password": "x"}).is_client_error
            assert page.get("/config").status_code == 401
            assert page.post("/login", data={"username": "ada", "password": "love:lace"}).is_success
            assert page.get("/config").is_success
    finally:
        for demo in demos:
            demo.close()
    assert opened == [("0.0.0.0", port)]
    assert "public URL: https://somewhere.public" in capsys.readouterr().out


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[gradio.Blocks]]:
    """The pages that `serve` has begun to serve, on a free port; it returns where it would wait for an interrupt."""
    pages: list[gradio.Blocks] = []

    def serve_aside(demo: gradio.Blocks, **chosen: Any) -> None:
        pages.append(demo)
        serve(demo, **chosen | {"server_port": free_port()})

    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(serving.launch, "serve", serve_aside)
    monkeypatch.setattr(gradio.Blocks, "block_thread", lambda _: None)
    # the pages outlive the call that serves them
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "temporary"))
    monkeypatch.setattr(commands, "temporary_folder", contextlib.nullcontext)
    yield pages
    for demo in pages:
        demo.close()


def find(demo: gradio.Blocks) -> str:
    """What the page says about the people in an example's picture, once its models are there."""
    client = gradio_client.Client(demo.local_url, verbose=False)
    try:
        picture = gradio_client.handle_file(EXAMPLES / "characters" / "street-girl.png")
        return str(client.predict(picture, "walk", api_name="/align"))
    finally:
        client.close()


def test_the_page_answers_before_its_models_are_loaded(
    served: list[gradio.Blocks], monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses: list[int] = []

    def load(*_: object, **__: object) -> Models:
        statuses.append(httpx.get(served[0].local_url, trust_env=False).status_code)
        return tiny_models()

    monkeypatch.setattr(loading, "load_models", load)
    assert main(["serve", "--models", "pocket"]) == 0
    assert statuses == [200]
    assert find(served[0])


@pytest.mark.parametrize(
    ("failure", "code", "told", "err"),
    [
        (
            ModelsError("The weights are torn.", "Get others."),
            2,
            "torn",
            "error: The weights are torn. Get others.\n",
        ),
        (KeyboardInterrupt(), 0, "aren't loaded", ""),
    ],
    ids=["torn", "interrupted"],
)
def test_models_that_fail_behind_the_page_end_it_and_who_waited_is_told(
    served: list[gradio.Blocks],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    failure: BaseException,
    code: int,
    told: str,
    err: str,
) -> None:
    """A request waits for the models; when they fail it gets a sentence, and the process ends."""
    answers: list[str] = []

    def ask() -> None:
        try:
            find(served[0])
        except gradio_client.exceptions.AppError as error:
            answers.append(str(error))

    visitor = threading.Thread(target=ask)
    waiting, wait = threading.Event(), LateEngine.__getattr__

    def watched(self: LateEngine, name: str) -> object:
        waiting.set()
        return wait(self, name)

    def load(*_: object, **__: object) -> Models:
        visitor.start()
        assert waiting.wait(TIMEOUT_S)
        raise failure

    monkeypatch.setattr(LateEngine, "__getattr__", watched)
    monkeypatch.setattr(loading, "load_models", load)
    # the page stays up until its visitor has the answer, as a slow close would have it
    close = gradio.Blocks.close
    monkeypatch.setattr(gradio.Blocks, "close", lambda self: (visitor.join(TIMEOUT_S), close(self)))
    assert main(["serve", "--models", "pocket"]) == code
    assert len(answers) == 1 and told in answers[0]
    assert capsys.readouterr().err == err


def test_an_interrupt_before_the_page_is_up_ends_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    closed: list[bool] = []

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(
        serving, "create_demo", lambda _: SimpleNamespace(close=lambda: closed.append(True))
    )
    monkeypatch.setattr(serving.launch, "serve", interrupted)
    assert main(["serve"]) == 0 and closed == [True]
