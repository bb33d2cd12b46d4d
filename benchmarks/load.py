"""A load of short jobs against the page, and what it keeps: memory, threads, open files, temporary files.

`PYTHONPATH=tests python benchmarks/load.py [--jobs 300] [--clients 1] [--json]`

The app is started as people start it, on the pocket models. Each job is a visitor of its own, who looks at the draft,
makes a clip of a few frames with a prompt of its own, waits for its downloads, and closes the page. Every tenth hangs
up in the middle. Ends with 1 if a job was lost or got another's clip.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile

import httpx
from helpers.served import free_port, listens, started

REPOSITORY = Path(__file__).resolve().parent.parent
API = "/gradio_api"
TIMEOUT_S = 600.0
QUICK = {"frames": 3, "num_inference_steps": 2, "inner_steps": 1}
SAMPLES = 10


class Visitor:
    """A page that is open, without a browser."""

    def __init__(self, url: str, config: dict[str, Any]) -> None:
        self.session = secrets.token_hex(6)
        self.http = httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False)
        self.values = {each["id"]: each["props"].get("value") for each in config["components"]}
        self.ids = {each["props"].get("elem_id"): each["id"] for each in config["components"]}
        self.handlers = {each["api_name"]: each for each in config["dependencies"]}

    def inputs(self, handler: str, **changed: Any) -> list[Any]:
        """What the page would send, with some settings changed."""
        new = {self.ids[name]: value for name, value in changed.items()}
        return [new.get(id, self.values[id]) for id in self.handlers[handler]["inputs"]]

    def ask(self, handler: str, values: Sequence[Any], leave_after: int | None = None) -> Any:
        """The handler's last answer; None if this visitor hangs up after so many messages."""
        body = {"fn_index": self.handlers[handler]["id"], "data": list(values)}
        joined = self.http.post(f"{API}/queue/join", json=body | {"session_hash": self.session})
        joined.raise_for_status()
        query = {"session_hash": self.session}
        with self.http.stream("GET", f"{API}/queue/data", params=query) as stream:
            for seen, line in enumerate(each for each in stream.iter_lines() if each):
                message = json.loads(line.removeprefix("data:"))
                if message["msg"] == "process_completed":
                    if not message["success"]:
                        raise RuntimeError(message["output"].get("error"))
                    return message["output"]["data"]
                if leave_after is not None and seen >= leave_after:
                    return None
        raise RuntimeError("the stream ended without an answer")

    def visit(self, number: int) -> str:
        """Looks, makes a clip, packs it; returns what came of it."""
        settings = {f"setting-{name.replace('_', '-')}": value for name, value in QUICK.items()}
        settings["prompt"] = f"a girl with {number} curls, in the park"
        hangs_up = number % 10 == 9
        with self.http.stream("GET", f"{API}/heartbeat/{self.session}"):
            self.ask("fit", self.inputs("fit"))
            made = self.ask(
                "generate", self.inputs("generate", **settings), 3 if hangs_up else None
            )
            if hangs_up:
                return "hung up"
            packed = self.ask("pack", [])
            clip, files = made[2], packed[2]["value"]
            for file in (clip.get("value", clip), *files):
                self.http.get(f"{API}/file={file['path']}").raise_for_status()
            bundle = self.http.get(f"{API}/file={files[-1]['path']}").content
            return "made" if settings["prompt"].encode() in _unzipped(bundle) else "wrong"


def _unzipped(data: bytes) -> bytes:
    """A bundle's texts."""
    with ZipFile(BytesIO(data)) as bundle:
        return b"".join(bundle.read(name) for name in bundle.namelist() if name.endswith(".json"))


def kept(process: int, temporary: Path) -> dict[str, float]:
    """What a process holds now: MB, threads, descriptors, and files and folders in the temporary folder."""
    status = Path(f"/proc/{process}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    places = list(os.walk(temporary))  # skips what goes meanwhile
    return {
        "rss_mb": round(int(fields["VmRSS"].split()[0]) / 1024),
        "threads": int(fields["Threads"]),
        "descriptors": len(os.listdir(f"/proc/{process}/fd")),
        "files": sum(len(names) for _, _, names in places),
        "folders": len(places) - 1,
    }


def loaded(jobs: int, clients: int) -> dict[str, Any]:
    """Starts the app and visits it."""
    port = free_port()
    with TemporaryDirectory() as folder:
        temporary, said = Path(folder) / "tmp", Path(folder) / "said"
        temporary.mkdir()
        variables = os.environ | {
            "POSEANIMATE_CACHE": f"{folder}/cache",
            "POSEANIMATE_MODELS": "pocket",
            "GRADIO_SERVER_PORT": str(port),
            "TMPDIR": str(temporary),
        }
        url, curve, outcomes = f"http://127.0.0.1:{port}", [], list[str]()
        command = [sys.executable, "app.py"]
        with started(command, REPOSITORY, variables, said, lambda: listens(port)) as app:
            config = httpx.get(f"{url}/config", trust_env=False).json()
            lock, began_s = threading.Lock(), time.monotonic()

            def visit(number: int) -> None:
                try:
                    outcome = Visitor(url, config).visit(number)
                except (httpx.HTTPError, RuntimeError) as error:
                    outcome = f"lost: {type(error).__name__} {error}"[:200]
                with lock:
                    outcomes.append(outcome)
                    if len(outcomes) == 1 or len(outcomes) % max(1, jobs // SAMPLES) == 0:
                        curve.append({"jobs": len(outcomes), **kept(app.pid, temporary)})
                        print(curve[-1], file=sys.stderr, flush=True)

            with ThreadPoolExecutor(clients) as pool:
                list(pool.map(visit, range(jobs)))
            took_s = time.monotonic() - began_s
        return {
            "outcomes": {each: outcomes.count(each) for each in sorted(set(outcomes))},
            "jobs_a_minute": round(60 * jobs / took_s, 1),
            "log_bytes": said.stat().st_size,
            "curve": curve,
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = loaded(options.jobs, options.clients)
    if options.json:
        print(json.dumps(found))
    else:
        print(
            found["outcomes"],
            f"{found['jobs_a_minute']} jobs a minute, {found['log_bytes']} bytes of log",
        )
        print(" ".join(f"{name:>12}" for name in found["curve"][0]))
        for each in found["curve"]:
            print(" ".join(f"{value:12}" for value in each.values()))
    return int(any(each not in ("made", "hung up") for each in found["outcomes"]))


if __name__ == "__main__":
    sys.exit(main())
