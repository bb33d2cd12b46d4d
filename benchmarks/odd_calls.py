"""Odd calls from outside against the page: what is answered, and how much the log grows.

`PYTHONPATH=tests python benchmarks/odd_calls.py [--calls 1200] [--seed 0] [--json]`

The app is started as people start it, on the pocket models. Calls name functions, sessions, values and addresses that
no page would send. Afterwards an ordinary call must be answered. Ends with 1 if a call got a 500 or no answer.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from helpers.served import free_port, listens, started

REPOSITORY = Path(__file__).resolve().parent.parent
TIMEOUT_S = 60.0
API = "/gradio_api"
VALUES: list[Any] = [
    *(None, True, 0, -1, 999, 1e308, 10**30, float("nan"), float("inf")),
    *("", "a", "../../etc/passwd", "\ud800", "\0", "9" * 5000, "<img src=x>"),
    *([], [[]], [None] * 3, {}, {"path": "/etc/passwd"}, {"a": {"b": [1]}}),
    {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}},
    {"__type__": "update", "value": 1},
]
RAW = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'"a"',
    b"3",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"data":' * 5000,
    b"9" * 6000,
    b"NaN",
    b"data=1",
]
PLACES = """
/%00 /a/b/c /?deep_link=%00 /?deep_link=../.. /?view=%00 /config?deep_link=.. /config?page=none /static/%00 /static/LONG
/assets/%00 /svelte/%00 /pwa_icon/5 /manifest.json /monitoring/%00 /theme.css?%00 /gradio_api/heartbeat
/gradio_api/call/generate/none /gradio_api/call/%00/%00 /gradio_api/stream/a/b/c/playlist.m3u8
/gradio_api/stream/a/1/1/1.ts
/gradio_api/stream/a/1/1/playlist-file /gradio_api/file=%00 /gradio_api/file=a%00b /gradio_api/file=LONG
/gradio_api/proxy=http://%00 /gradio_api/proxy=:: /gradio_api/custom_component/a/b/c/d
/gradio_api/custom_component/1/client/component/%00 /gradio_api/deep_link?session_hash=%00 /gradio_api/deep_link
/gradio_api/info?page=%00 /gradio_api/info?page=none /gradio_api/upload_progress /gradio_api/openapi.json
/gradio_api/queue/status /gradio_api/dev/reload /gradio_api/queue/data /gradio_api/startup-events /gradio_api/app_id
/gradio_api/token
"""
POSTED = """
cancel reset reset/ component_server component_server/ upload stream/none stream/none/close process_recording vibe-edit
undo-vibe-edit vibe-code vibe-starter-queries run-history/connect queue/join ../login profiling/clear
"""


@dataclass(frozen=True)
class Call:
    """A request: its path, and a body of bytes, where it has one."""

    method: str
    path: str
    body: bytes | None = None
    type: str = "application/json"


def odd_calls(count: int, seed: int, names: dict[str, tuple[int, int]]) -> list[Call]:
    """Random calls.

    Args:
        names: of the page's functions, with their numbers and how many inputs each has.
    """
    chance = random.Random(seed)
    return [_odd_call(chance, names) for _ in range(count)]


def _odd_call(chance: random.Random, names: dict[str, tuple[int, int]]) -> Call:
    kind = chance.choice(["join", "join", "join", "call", "v2", "run", "run", "api", "post", "get"])
    name = chance.choice([*names, *names, "none", "%00", "..", "a" * 3000])
    number, inputs = names.get(name, (chance.choice([-1, 999, 10**30]), 3))
    if kind == "get":
        return Call(
            chance.choice(["GET", "GET", "HEAD", "PUT", "DELETE"]),
            chance.choice(PLACES.split()).replace("LONG", "a" * 5000),
        )
    path = {
        "join": "queue/join",
        "call": f"call/{name}",
        "v2": f"call/v2/{name}",
        "run": chance.choice([f"run/{name}", "run/predict"]),
        "api": f"api/{name}",
        "post": chance.choice(POSTED.split()),
    }[kind]
    if chance.random() < 0.15:
        return Call("POST", f"{API}/{path}", chance.choice(RAW), chance.choice(TYPES))
    body = _odd_body(chance, kind, number, inputs)
    return Call("POST", f"{API}/{path}", json.dumps(body).encode(), chance.choice(TYPES))


TYPES = ["application/json"] * 20 + [
    "",
    "text/plain",
    "multipart/form-data",
    "multipart/form-data; boundary=a",
]


def _odd_body(chance: random.Random, kind: str, number: int, inputs: int) -> dict[str, Any]:
    count = chance.choice([inputs] * 7 + [inputs + 1, max(inputs - 1, 0), 0, 300])
    body: dict[str, Any] = {"data": [chance.choice(VALUES) for _ in range(count)]}
    if chance.random() < 0.9:
        proper = chance.random() < 0.8
        body["session_hash"] = f"odd{chance.randrange(20)}" if proper else chance.choice(VALUES)
    if kind in ("join", "run"):
        body["fn_index"] = chance.choice([number] * 60 + VALUES)
    if kind == "v2":
        body = {f"a{i}": value for i, value in enumerate(body["data"][:5])}
    for extra in (
        "event_data",
        "trigger_id",
        "event_id",
        "batched",
        "simple_format",
        "component_id",
        "fn_name",
    ):
        if chance.random() < 0.05:
            body[extra] = chance.choice(VALUES)
    if chance.random() < 0.1:
        body["data"] = chance.choice(VALUES)
    return body


def functions(client: httpx.Client) -> dict[str, tuple[int, int]]:
    """The page's functions but those that run models for long: number and count of inputs, by name."""
    dependencies = client.get("/config").json()["dependencies"]
    return {each["api_name"]: (each["id"], len(each["inputs"])) for each in dependencies}


def send(client: httpx.Client, call: Call) -> int:
    """The answer's status; 0 without one."""
    try:
        with client.stream(
            call.method, call.path, content=call.body, headers={"content-type": call.type}
        ) as answer:
            return answer.status_code
    except httpx.HTTPError:
        return 0


def attacked(count: int, seed: int) -> dict[str, Any]:
    """Starts the app, and sends calls to it."""
    port = free_port()
    with TemporaryDirectory() as folder:
        said = Path(folder) / "said"
        variables = os.environ | {
            "POSEANIMATE_CACHE": f"{folder}/cache",
            "POSEANIMATE_MODELS": "pocket",
            "GRADIO_SERVER_PORT": str(port),
            "TMPDIR": folder,
        }
        command = [sys.executable, "app.py"]
        with started(command, REPOSITORY, variables, said, lambda: listens(port)):
            client = httpx.Client(
                base_url=f"http://127.0.0.1:{port}",
                timeout=TIMEOUT_S,
                transport=httpx.HTTPTransport(limits=httpx.Limits(max_keepalive_connections=0)),
            )
            known = functions(client)
            settled(client)
            before = said.stat().st_size
            statuses, failed = Counter[int](), list[str]()
            for call in odd_calls(count, seed, known):
                status = send(client, call)
                statuses[status] += 1
                if status >= 500 or not status:
                    failed.append(f"{status} {call.method} {call.path:.80} {call.body!r:.200}")
            settled(client)
            text = said.read_bytes()[before:].decode(errors="replace")
            return {
                "calls": count,
                "statuses": dict(sorted(statuses.items())),
                "log_bytes": len(text.encode()),
                "log_lines": text.count("\n"),
                "tracebacks": text.count("Traceback"),
                "failed": failed[:20],
                "next_call": client.get("/config").status_code,
            }


def settled(client: httpx.Client) -> None:
    """Waits until an ordinary call is answered: everything queued before it is done, and the models are loaded."""
    call = client.post(f"{API}/call/motions", json={"data": []}).raise_for_status().json()
    answer = client.get(f"{API}/call/motions/{call['event_id']}", timeout=600).text
    assert "event: complete" in answer, answer


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = attacked(options.calls, options.seed)
    print(json.dumps(found) if options.json else "\n".join(f"{k}: {v}" for k, v in found.items()))
    return int(any(status >= 500 or not status for status in found["statuses"]))


if __name__ == "__main__":
    sys.exit(main())
