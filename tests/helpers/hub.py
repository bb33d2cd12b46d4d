"""A Hugging Face hub on this machine: the real client fetches from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlparse

import pytest
from huggingface_hub import constants

NEWEST = "0" * 40


class Hub:
    """Repositories are the folders OWNER/NAME of `folder`; every full commit hash and `main` is a revision.

    gated: repositories that ask for consent. gone: those that are no more. refuses: every request, with a status and
    headers, if not None. asked: the files that were sent, as OWNER/NAME/FILE. requests: how many of any kind.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.gated: set[str] = set()
        self.gone: set[str] = set()
        self.refuses: tuple[int, dict[str, str]] | None = None
        self.requests = 0
        self.asked: list[str] = []

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of a request."""
        self.requests += 1
        if self.refuses is not None:
            return *self.refuses, b""
        parts = unquote(urlparse(path).path).strip("/").split("/")
        api = parts[:2] == ["api", "models"]
        owner, name, verb, revision, *rest = [*(parts[2:] if api else parts), "", "", ""][:4] + (
            parts[6:] if api else parts[4:]
        )
        repository = f"{owner}/{name}"
        home = self.folder / repository
        if not home.is_dir() or repository in self.gone:
            return 404, {"X-Error-Code": "RepoNotFound"}, b""
        if revision not in ("", "main") and len(revision) != 40:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b""
        if repository in self.gated:
            return 403, {"X-Error-Code": "GatedRepo"}, b""
        commit = NEWEST if revision in ("", "main") else revision
        files = [
            {"path": str(file.relative_to(home)), "oid": digest(file), "size": file.stat().st_size}
            for file in sorted(home.rglob("*"))
            if file.is_file()
        ]
        if api and verb == "tree":
            return 200, {}, json.dumps([file | {"type": "file"} for file in files]).encode()
        if api:
            siblings = [{"rfilename": file["path"], "size": file["size"]} for file in files]
            about = {"id": repository, "sha": commit, "siblings": siblings}
            return 200, {}, json.dumps(about).encode()
        file = home.joinpath(*rest)
        if not file.is_file():
            return 404, {"X-Error-Code": "EntryNotFound"}, b""
        return 200, {"ETag": f'"{digest(file)}"', "X-Repo-Commit": commit}, file.read_bytes()


def digest(file: Path) -> str:
    return hashlib.sha1(file.read_bytes()).hexdigest()


@contextmanager
def served(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Within, the hub's client talks to this one and keeps what it fetches in `cache`."""
    hub = Hub(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._send(False)

        def do_GET(self) -> None:
            self._send(True)

        def _send(self, whole: bool) -> None:
            status, headers, body = hub.answer(self.path)
            if whole and "X-Repo-Commit" in headers:
                owner, name, _, _, *rest = unquote(self.path).strip("/").split("/")
                hub.asked.append("/".join([owner, name, *rest]))
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(key, value)
            self.end_headers()
            if whole:
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        here = f"http://127.0.0.1:{server.server_port}"
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, here)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "ENDPOINT", here)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()
