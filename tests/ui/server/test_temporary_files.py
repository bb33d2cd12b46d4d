"""The temporary files of a small page that is served: what is swept, and what its visitors still need."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import gradio as gr
import httpx
import pytest
from helpers.served import free_port

from poseanimate.storage.sweep import JUST_MADE_S
from poseanimate.ui.server import launch, temporary_files
from poseanimate.ui.server.launch import serve
from poseanimate.ui.server.page_blocks import PageBlocks
from poseanimate.ui.server.temporary_files import AGE_S, CLOSED_S, MAX_SESSIONS, TemporaryFiles

WAIT_S = 60.0


@dataclass
class Served:
    """A page that is served: its files, by a clock that the test sets."""

    http: httpx.Client
    files: TemporaryFiles
    now_s: float
    wait: threading.Event
    forgotten: list[str]

    def later(self, seconds: float) -> None:
        self.now_s += seconds
        used = self.files.page.state_holder.time_last_used
        for session, at in used.items():
            used[session] = at - timedelta(seconds=seconds)

    def swept(self) -> set[str]:
        """What is left, by name; Gradio leaves an empty file for each that it reads."""
        self.files.sweep()
        files = [path for path in self.files.folder.rglob("*") if path.is_file()]
        return {path.name for path in files if path.stat().st_size}

    def upload(self, name: str, data: bytes = b"a") -> dict[str, Any]:
        answer = self.http.post("/gradio_api/upload", files={"files": (name, data)})
        [path] = answer.raise_for_status().json()
        return {"path": path, "meta": {"_type": "gradio.FileData"}}

    def call(self, name: str, session: str, *values: Any) -> Any:
        body = {"data": list(values), "session_hash": session}
        return self.http.post(f"/gradio_api/run/{name}", json=body).raise_for_status().json()


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    made: list[TemporaryFiles] = []
    wait, forgotten = threading.Event(), list[str]()

    def write(text: str) -> str:
        path = tmp_path / text
        path.write_text(text)
        return str(path)

    def held_up(file: str) -> None:
        wait.wait(WAIT_S)

    def files_of(page: PageBlocks, folder: Path) -> TemporaryFiles:
        made.append(TemporaryFiles(page, folder, 1000, lambda: served.now_s))
        return made[-1]

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    monkeypatch.setattr(launch, "TemporaryFiles", files_of)
    monkeypatch.setattr(temporary_files, "EVERY_S", 1e6)
    with PageBlocks(analytics_enabled=False) as demo:
        file, text, result = gr.File(), gr.Textbox(), gr.File()
        more: dict[str, Any] = {"queue": False, "api_visibility": "private"}
        file.change(lambda _: None, file, None, api_name="take", **more)
        text.change(write, text, result, api_name="write", **more)
        file.upload(held_up, file, None, api_name="hold", api_visibility="private")
        demo.unload(lambda: None)
        demo.on_forgotten = forgotten.append
    demo.engine, demo.counts = cast(Any, None), cast(Any, None)  # nobody asks how it is
    demo.queue()
    try:
        _, url, _ = serve(demo, server_port=free_port(), prevent_thread_lock=True, quiet=True)
        with httpx.Client(base_url=url, trust_env=False, timeout=WAIT_S) as client:
            served = Served(client, made[0], time.time(), wait, forgotten)
            yield served
    finally:
        wait.set()
        demo.close()


def test_what_nobody_needs_goes_after_minutes(served: Served) -> None:
    served.upload("a.txt")
    assert served.swept() == {"a.txt"}
    served.later(AGE_S / 2)
    assert served.swept() == {"a.txt"}
    served.later(AGE_S)
    assert served.swept() == set()
    served.later(10 * AGE_S)
    assert served.swept() == set() and list(served.files.folder.iterdir()) == []


def test_what_an_open_page_shows_stays(served: Served) -> None:
    with served.http.stream("GET", "/gradio_api/heartbeat/s"):
        served.call("take", "s", served.upload("a.txt", b"a"))
        served.call("write", "s", "first.txt")
        served.call("write", "s", "second.txt")
        served.later(100 * AGE_S)
        assert served.swept() == {"a.txt", "second.txt"}
        served.call("take", "s", served.upload("b.txt", b"b"))
        served.later(AGE_S)
        assert served.swept() == {"b.txt", "second.txt"}
    until(lambda: not served.files._open)
    states = served.files.page.state_holder.session_data
    served.later(AGE_S - 1)
    assert served.swept() == {"b.txt", "second.txt"} and "s" in states
    served.later(1)  # its state goes before its files
    assert served.swept() == {"b.txt", "second.txt"}
    assert "s" not in states and served.forgotten == ["s"]
    served.later(CLOSED_S - AGE_S)
    served.swept()
    assert served.swept() == set() and not served.files._closed and not served.files._shown


def test_an_open_page_whose_state_was_dropped_keeps_its_files(served: Served) -> None:
    with served.http.stream("GET", "/gradio_api/heartbeat/s"):
        served.call("take", "s", served.upload("a.txt"))
        assert served.swept() == {"a.txt"}
        for i in range(MAX_SESSIONS):
            served.files.page.state_holder[f"another{i}"]
        assert "s" not in served.files.page.state_holder.session_data
        served.later(100 * AGE_S)
        assert served.swept() == {"a.txt"}


def test_files_of_closed_pages_make_room(served: Served) -> None:
    with served.http.stream("GET", "/gradio_api/heartbeat/s"):
        served.call("take", "s", served.upload("a.txt", b"a" * 500))
        served.later(2 * JUST_MADE_S)
        answer = served.http.post("/gradio_api/upload", files={"files": ("b.txt", b"b" * 600)})
        assert answer.status_code == 507
    until(lambda: not served.files._open)
    served.upload("b.txt", b"b" * 600)
    assert served.swept() == {"b.txt"}


def test_what_a_program_was_sent_stays_for_minutes(served: Served) -> None:
    served.call("write", "s", "a.txt")
    served.later(AGE_S / 2)
    served.call("write", "s", "a.txt")  # the same file again, made long ago
    served.later(AGE_S * 0.9)
    assert served.swept() == {"a.txt"}
    assert served.forgotten == ["s"] and not served.files.page.state_holder.session_data
    served.later(AGE_S)
    served.swept()
    assert served.swept() == set() and not served.files._shown


def test_what_a_request_in_line_names_stays(served: Served) -> None:
    for name in ("a.txt", "b.txt"):
        [number] = [i for i, fn in served.files.page.fns.items() if fn.api_name == "hold"]
        body = {"data": [served.upload(name, name.encode())], "fn_index": number}
        served.http.post("/gradio_api/queue/join", json=body | {"session_hash": name[0]})
    queue = served.files.page._queue
    until(lambda: any(queue.active_jobs))
    served.later(100 * AGE_S)
    assert served.swept() == {"a.txt", "b.txt"}
    served.wait.set()
    until(lambda: not any(queue.active_jobs) and not len(queue))
    served.later(100 * AGE_S)
    served.swept()
    assert served.swept() == set()
    assert not queue.pending_messages_per_session and not queue.pending_event_ids_session


def test_uploads_that_do_not_fit_are_refused_and_older_ones_make_room(served: Served) -> None:
    served.upload("a.txt", b"a" * 500)
    answer = served.http.post("/gradio_api/upload", files={"files": ("b.txt", b"b" * 600)})
    assert answer.status_code == 507 and "no room" in answer.json()["detail"]
    served.later(2 * JUST_MADE_S)
    served.upload("b.txt", b"b" * 600)
    assert served.swept() == {"b.txt"}


def test_a_part_of_an_upload_that_hung_up_goes(served: Served) -> None:
    at = served.http.base_url
    with socket.create_connection((at.host, at.port or 80)) as connection:
        kind = "multipart/form-data; boundary=b"
        head = f"POST /gradio_api/upload HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\nContent-Type: {kind}\r\n\r\n"
        part = (
            '--b\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\n'
            + "a" * 300
        )
        connection.sendall((head + part).encode())
        until(lambda: list(served.files.folder.glob("tmp*")))
    served.later(AGE_S + 1)
    assert served.swept() == set() and list(served.files.folder.glob("tmp*")) == []


def test_an_upload_without_a_length_counts_as_the_largest(served: Served) -> None:
    answer = served.http.post("/gradio_api/upload", content=iter([b"a", b"b"]))
    assert answer.status_code == 507


def until(true: Any) -> None:
    give_up_s = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < give_up_s
        time.sleep(0.02)
