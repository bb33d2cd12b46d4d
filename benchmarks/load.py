"""A load of short jobs against the page, how long looks take beside them, and what it keeps: memory, files, threads.

`PYTHONPATH=tests python benchmarks/load.py [--visitors 300] [--clients 1] [--jobs 1] [--hang-up 10] [--json]`

The app is started as people start it, on the pocket models. A visitor looks at the alignment and the draft, makes a
clip of a few frames with a prompt of its own, waits for its downloads, so many times, and closes the page. Every third
brings a photograph of 12 megapixels. Every so many a visitor hangs up in the middle. Ends with 1 if a job was lost or
got another's clip.
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
import numpy as np
from helpers.served import free_port, listens, started
from PIL import Image
from skimage import data

REPOSITORY = Path(__file__).resolve().parent.parent
API = "/gradio_api"
TIMEOUT_S = 600.0
QUICK = {"frames": 3, "num_inference_steps": 2, "inner_steps": 1}
SAMPLES = 10
PHOTO_PX = (3464, 3464)


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

    def brings(self, picture: bytes) -> None:
        """Uploads a picture; the page looks for people in it."""
        files = {"files": ("photo.jpg", picture, "image/jpeg")}
        paths = self.http.post(f"{API}/upload", files=files).raise_for_status().json()
        meta = {"_type": "gradio.FileData"}
        chosen = {"path": paths[0], "orig_name": "photo.jpg", "meta": meta}
        self.values[self.ids["picture"]] = chosen
        self.ask("look", self.inputs("look"))

    def makes(self, prompt: str, leave_after: int | None = None) -> str:
        """Makes a clip and packs it, or hangs up after so many messages; returns what came of it."""
        settings = {f"setting-{name.replace('_', '-')}": value for name, value in QUICK.items()}
        asked = self.inputs("generate", prompt=prompt, **settings)
        try:
            made = self.ask("generate", asked, leave_after)
        except RuntimeError:  # of a photograph these models say once that it isn't theirs
            made = self.ask("generate", asked, leave_after)
        if made is None:
            return "hung up"
        packed = self.ask("pack", [])
        clip, files = made[4], packed[2]
        for file in (clip.get("value", clip), *files):
            self.http.get(f"{API}/file={file['path']}").raise_for_status()
        bundle = self.http.get(f"{API}/file={files[-1]['path']}").content
        return "made" if prompt.encode() in _unzipped(bundle) else "wrong"

    def visit(self, number: int, jobs: int, hangs_up: bool) -> tuple[list[str], list[float]]:
        """So many jobs; what came of each, and the seconds of each look before it."""
        outcomes, looks_s = list[str](), list[float]()
        with self.http.stream("GET", f"{API}/heartbeat/{self.session}"):
            if number % 3 == 2:
                self.brings(photo(number))
            for job in range(jobs):
                began_s = time.monotonic()
                self.ask("fit", self.inputs("fit"))
                looks_s.append(time.monotonic() - began_s)
                prompt = f"a girl with {number} curls and {job} braids, in the park"
                outcomes.append(self.makes(prompt, 3 if hangs_up else None))
        return outcomes, looks_s


def photo(number: int) -> bytes:
    """A photograph that nobody else has."""
    face = Image.fromarray(data.astronaut()).resize(PHOTO_PX)
    face.paste((number % 256, number // 256, 0), (0, 0, 8, 8))
    file = BytesIO()
    face.save(file, "JPEG")
    return file.getvalue()


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


def loaded(visitors: int, clients: int, jobs: int, hang_up: int, after_min: int) -> dict[str, Any]:
    """Starts the app and visits it; looks again so many minutes later."""
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
        looks_s = list[float]()
        command = [sys.executable, "app.py"]
        with started(command, REPOSITORY, variables, said, lambda: listens(port)) as app:
            config = httpx.get(f"{url}/config", trust_env=False).json()
            lock, seen, began_s = threading.Lock(), [0], time.monotonic()

            def look(**about: int) -> None:
                curve.append(about | kept(app.pid, temporary))
                print(curve[-1], file=sys.stderr, flush=True)

            def visit(number: int) -> None:
                hangs_up = number % hang_up == hang_up - 1
                try:
                    came, took_s = Visitor(url, config).visit(number, jobs, hangs_up)
                except (httpx.HTTPError, RuntimeError) as error:
                    came, took_s = [f"lost: {type(error).__name__} {error}"[:200]], []
                with lock:
                    outcomes.extend(came)
                    looks_s.extend(took_s)
                    seen[0] += 1
                    if seen[0] == 1 or seen[0] % max(1, visitors // SAMPLES) == 0:
                        look(visitors=seen[0], minutes=int((time.monotonic() - began_s) / 60))

            look(visitors=0, minutes=0)
            with ThreadPoolExecutor(clients) as pool:
                list(pool.map(visit, range(visitors)))
            took_s = time.monotonic() - began_s
            if after_min:
                time.sleep(60 * after_min)
                look(visitors=visitors, minutes=int((time.monotonic() - began_s) / 60))
        return {
            "outcomes": {each: outcomes.count(each) for each in sorted(set(outcomes))},
            "jobs_a_minute": round(60 * len(outcomes) / took_s, 1),
            "looks_s": {
                name: round(float(np.quantile(looks_s, share)), 2)
                for name, share in (("median", 0.5), ("p95", 0.95), ("most", 1.0))
            },
            "log_bytes": said.stat().st_size,
            "curve": curve,
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visitors", type=int, default=300)
    parser.add_argument("--clients", type=int, default=1, help="at once")
    parser.add_argument("--jobs", type=int, default=1, help="of each visitor")
    parser.add_argument("--hang-up", type=int, default=10, help="every so many hang up")
    parser.add_argument("--after-min", type=int, default=0, help="look again after these minutes")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    hang_up = options.hang_up
    found = loaded(options.visitors, options.clients, options.jobs, hang_up, options.after_min)
    if options.json:
        print(json.dumps(found))
    else:
        print(
            found["outcomes"],
            f"looks {found['looks_s']} s, {found['jobs_a_minute']} jobs a minute, {found['log_bytes']} bytes of log",
        )
        print(" ".join(f"{name:>12}" for name in found["curve"][0]))
        for each in found["curve"]:
            print(" ".join(f"{value:12}" for value in each.values()))
    return int(any(each not in ("made", "hung up") for each in found["outcomes"]))


if __name__ == "__main__":
    sys.exit(main())
