"""Attacks from outside against the page as it is served; docs/security.md is the table of them."""

from __future__ import annotations

import ast
import html
import http.client
import io
import json
import pickle
import re
import secrets
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from inspect import signature
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import httpx
import numpy as np
import pytest
from helpers.browser import HOLD_S, TIMEOUT_MS, App, file_data, serving
from odd_calls import functions as functions_of_page
from odd_calls import odd_calls, send
from PIL import Image
from playwright.sync_api import Browser, expect

from poseanimate.inputs.bundle import JOB, LIMITS, MOTION, PICTURE, Bundle
from poseanimate.media import VideoLimits
from poseanimate.poses.keypoints import MAX_FRAMES, MAX_PEOPLE
from poseanimate.poses.motion import PRESETS_FOLDER, load_preset
from poseanimate.settings import Settings
from poseanimate.storage.shared_clips import ShareToken
from poseanimate.ui.api import Api
from poseanimate.ui.input_cache import MOTION_NAMES, SETTING_NAMES
from poseanimate.ui.page import IN_LINE
from poseanimate.ui.sections.run import PACK_OUTPUTS
from poseanimate.ui.server.log_limit import LINES
from poseanimate.ui.server.middleware import MAX_BODY_BYTES
from poseanimate.ui.server.rate_limit import VARIABLE
from poseanimate.ui.theme import EXAMPLES

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[2]
TABLE = REPOSITORY / "docs" / "security.md"
INPUTS = ("picture", "joints", "prompt", *MOTION_NAMES, *SETTING_NAMES)
QUICK = {"frames": 2, "num_inference_steps": 2}
NAN = float("nan")
HALF = "\ud800"  # of a surrogate pair: JSON lets it through, UTF-8 doesn't
MARKUP = '<img src=x onerror="window.attacked=1">'
FAR = [1e308, 1e308, 1] * 18


@cache
def _config(url: str) -> dict[str, Any]:
    """What the page tells every browser."""
    config: dict[str, Any] = httpx.get(f"{url}config", verify=False, trust_env=False).json()
    return config


@dataclass(frozen=True)
class Answer:
    """What came back: whether it succeeded, each output, and all that a person would read of it."""

    success: bool
    values: list[Any]
    said: str


class Visitor:
    """Somebody who speaks HTTP to the page instead of clicking on it."""

    def __init__(self, url: str, address: str = "127.0.0.1", **headers: str) -> None:
        self.session = secrets.token_hex(6)
        self.http = httpx.Client(
            base_url=url,
            headers=headers,
            timeout=HOLD_S,
            # the server hangs up after an error of its own
            transport=httpx.HTTPTransport(
                verify=False,
                local_address=address,
                limits=httpx.Limits(max_keepalive_connections=0),
            ),
        )
        config = _config(url)
        self._values = {each["id"]: each["props"].get("value") for each in config["components"]}
        self._handlers = {each["api_name"]: each for each in config["dependencies"]}

    def defaults(self, handler: str) -> list[Any]:
        """What the page would send at first."""
        return [self._values[id] for id in self._handlers[handler]["inputs"]]

    def join(self, handler: str, values: list[Any], **query: str) -> httpx.Response:
        body = {"fn_index": self._handlers[handler]["id"], "data": values}
        return self.http.post(
            "/gradio_api/queue/join",
            params=query,
            headers={"content-type": "application/json"},
            content=json.dumps(body | {"session_hash": self.session}),  # httpx would refuse NaN
        )

    def answer(self) -> Answer:
        """Waits for what was asked."""
        query = {"session_hash": self.session}
        with self.http.stream("GET", "/gradio_api/queue/data", params=query) as stream:
            for line in stream.iter_lines():
                message = json.loads(line.removeprefix("data:")) if line else {"msg": ""}
                if message["msg"] == "process_completed":
                    return _read(message["success"], message["output"])
        raise AssertionError("the stream ended without an answer")

    def ask(self, handler: str, *values: Any, **query: str) -> Answer:
        joined = self.join(handler, list(values), **query)
        if joined.status_code == 422:  # refused before it is queued
            return Answer(False, [], joined.json()["detail"])
        assert joined.status_code == 200
        return self.answer()

    def inputs(self, **changed: Any) -> list[Any]:
        """A run's, from the page's own."""
        return list((dict(zip(INPUTS, self.defaults("generate"), strict=True)) | changed).values())

    def animate(self, **changed: Any) -> Answer:
        return self.ask("generate", *self.inputs(**changed))

    def call(self, endpoint: str, **changed: Any) -> Answer:
        """As a program does, with the first example where no picture is given."""
        known = list(signature(getattr(Api, endpoint)).parameters)
        known = [name for name in known if name not in ("self", "request")]
        values = dict(zip(known, self.defaults(endpoint), strict=True))
        values["picture"] = self.defaults("generate")[0]
        return self.ask(endpoint, *(values | changed).values())

    def fit(self, motion: Any) -> Answer:
        """The alignment of the first example with uploaded files as motion."""
        view, picture, joints, _, preset, _, *rest = self.defaults("fit")
        return self.ask("fit", view, picture, joints, "file", preset, motion, *rest)

    def upload(self, name: str, data: bytes) -> dict[str, Any]:
        (path,) = self.http.post("/gradio_api/upload", files={"files": (name, data)}).json()
        return file_data(path)


def _read(success: bool, output: dict[str, Any]) -> Answer:
    values = output.get("data", [])
    told = [value for value in values if isinstance(value, str)] + [output.get("error") or ""]
    said = html.unescape(re.sub(r"<[^>]*>", " ", " ".join(told)))
    for secret in ("Traceback", 'File "', str(REPOSITORY), tempfile.gettempdir()):
        assert secret not in said
    return Answer(success, values, said)


@pytest.fixture
def visitor(app: App) -> Iterator[Visitor]:
    """Does as the test says; afterwards the server must still be there, with nothing left in its queue."""
    app.animator.hold_at = None
    yield Visitor(app.url)
    client, give_up_s = Visitor(app.url).http, time.monotonic() + HOLD_S
    while client.get("/gradio_api/queue/status").json()["queue_size"]:  # of a page just closed
        assert time.monotonic() < give_up_s
        time.sleep(0.05)


def raw(app: App, path: str) -> http.client.HTTPResponse:
    """A request whose path no client has tidied up."""
    at = urlparse(app.url)
    connection = http.client.HTTPConnection(str(at.hostname), at.port, timeout=HOLD_S)
    connection.request("GET", path)
    return connection.getresponse()


# Files and addresses of the server -----------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=/proc/self/environ",
        "/gradio_api/file=file:///etc/passwd",
        "/gradio_api/file=app.py",
        f"/gradio_api/file={REPOSITORY}/app.py",
        "/gradio_api/file=../../../../etc/passwd",
        "/gradio_api/file=%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        f"/gradio_api/file={EXAMPLES}/../../app.py",
        f"/gradio_api/file={EXAMPLES}/%2e%2e/%2e%2e/app.py",
        f"/gradio_api/file={PRESETS_FOLDER}/../settings/fast.json",
        f"/gradio_api/file={PRESETS_FOLDER}",
        "/gradio_api/file/etc/passwd",
        "/static/../../../../../../../../etc/passwd",
        "/assets/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/svelte/../../../../../../../../etc/passwd",
    ],
)
def test_files_of_the_server_are_not_served(app: App, visitor: Visitor, path: str) -> None:
    answer = raw(app, path)
    assert answer.status == 403
    assert answer.read().startswith((b'{"detail":"File not allowed', b'{"detail":"Forbidden"'))


def test_the_cache_of_stages_and_the_shared_clips_are_not_served(
    app: App, visitor: Visitor
) -> None:
    assert visitor.animate(**QUICK).success and visitor.ask("share").success
    files = [path for path in (*app.cache.rglob("*"), *app.shared_clips.folder.iterdir())]
    assert {path.parent for path in files} == {app.cache, app.shared_clips.folder}
    for path in (app.cache, app.shared_clips.folder, *files):
        assert raw(app, f"/gradio_api/file={path}").status == 403


def test_an_upload_is_found_by_its_whole_path_alone(app: App, visitor: Visitor) -> None:
    path = Path(visitor.upload("secret.png", secrets.token_bytes(99))["path"])
    assert raw(app, f"/gradio_api/file={path}").status == 200
    for guess in (path.parent, path.parent.parent, path.with_name("picture.png")):
        assert raw(app, f"/gradio_api/file={guess}").status == 403
    answer = Visitor(app.url).animate(picture=file_data(str(path.with_name("guess.png"))))
    assert "The picture isn't there any more." in answer.said


@pytest.mark.parametrize("address", ["http://169.254.169.254/latest/meta-data", "http://[::1]/"])
@pytest.mark.parametrize(("way", "status"), [("file", 403), ("proxy", 404)])
def test_the_server_fetches_no_address(
    app: App, visitor: Visitor, address: str, way: str, status: int
) -> None:
    assert raw(app, f"/gradio_api/{way}={address}").status == status
    assert raw(app, f"/gradio_api/{way}={app.url}config").status == status


NO_UPLOADS = [
    file_data("/etc/passwd"),
    file_data(f"{REPOSITORY}/tests/../app.py"),
    file_data("/etc/passwd", url="http://127.0.0.1/picture.png"),
    file_data("http://127.0.0.1:1/picture.png"),
    file_data("http://169.254.169.254/picture.png"),
    "/etc/passwd",
    ["/etc/passwd"],
    {},
]


@pytest.mark.parametrize("file", NO_UPLOADS)
@pytest.mark.parametrize("place", ["picture", "motion", "motions", "look", "fit", "bundle"])
def test_a_file_that_is_no_upload_is_refused(visitor: Visitor, file: Any, place: str) -> None:
    ask = {
        "picture": lambda: visitor.animate(picture=file),
        "motion": lambda: visitor.animate(motion_from="file", motion_file=file),
        "motions": lambda: visitor.animate(motion_from="file", motion_file=[file]),
        "look": lambda: visitor.ask("look", file, ""),
        "fit": lambda: visitor.fit(file),
        "bundle": lambda: visitor.ask("restore", file),
    }
    answer = ask[place]()
    assert not answer.success and re.search("no uploaded file|is of another kind", answer.said)


@pytest.mark.parametrize(
    "file",
    [
        *NO_UPLOADS,
        {"path": "/etc/passwd"},
        {"path": "/etc/passwd", "meta": {"_type": "gradio.Other"}},
        {"path": "/etc/passwd", "meta": "gradio.FileData"},
        {"file": file_data("/etc/passwd")},
        [file_data("/etc/passwd")],
        file_data("/etc/passwd", is_stream=True),
    ],
)
@pytest.mark.parametrize("place", ["picture", "motion_file", "more_files", "settings"])
@pytest.mark.parametrize("endpoint", ["animate", "align"])
def test_a_file_that_is_no_upload_is_refused_to_programs(
    visitor: Visitor, endpoint: str, place: str, file: Any
) -> None:
    if (place, file) == ("settings", {}):
        file = {"frames": "/etc/passwd"}
    more = {}
    if place == "more_files":
        file, more = [file], {"motion_file": visitor.defaults("generate")[0]}
    answer = visitor.call(endpoint, **{place: file}, **more)
    assert not answer.success and "root:" not in answer.said
    assert re.search(
        "no uploaded file|can't be used|no setting|settings are|frames is", answer.said.strip()
    )


def test_a_file_of_the_shared_clips_is_no_bundle_to_upload(app: App, visitor: Visitor) -> None:
    token = app.shared_clips.put(a_bundle())
    (path,) = app.shared_clips.folder.glob(f"{token.id}*")
    answer = visitor.ask("restore", file_data(str(path)))
    assert not answer.success and "no uploaded file" in answer.said


# Uploads --------------------------------------------------------------------------------------------


def test_an_upload_that_is_too_large_leaves_nothing(app: App, visitor: Visitor) -> None:
    before = set(app.uploads.rglob("*"))
    data = bytes(VideoLimits().max_bytes + 1)
    answer = visitor.http.post("/gradio_api/upload", files={"files": ("a.mp4", data)})
    assert answer.status_code == 413
    assert set(app.uploads.rglob("*")) == before


@pytest.mark.parametrize("name", ["a.html", "a.svg", "a.xhtml", "a.js", "a.pdf"])
def test_uploaded_markup_is_saved_and_not_shown(app: App, visitor: Visitor, name: str) -> None:
    path = visitor.upload(name, b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>")["path"]
    answer = raw(app, f"/gradio_api/file={path}")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize("name", ["../../evil.py", "/etc/evil.py", "..\\evil.py", "evil\0.py"])
def test_an_upload_stays_in_its_folder(app: App, visitor: Visitor, name: str) -> None:
    path = Path(visitor.upload(name, b"evil")["path"])
    assert path.resolve().is_relative_to(app.uploads) and path.read_bytes() == b"evil"


def png_of(width: int, height: int) -> bytes:
    made = io.BytesIO()
    Image.new("1", (width, height)).save(made, "PNG")
    return made.getvalue()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"this is text", "not a picture that can be read"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "This is an SVG drawing"),
        (png_of(60_000, 16_000), "at most 64 megapixels"),
        (png_of(8001, 8001), "at most 64 megapixels"),
        (png_of(128, 128)[:60], "damaged"),
    ],
    ids=["text", "svg", "bomb", "large", "cut off"],
)
def test_a_picture_that_is_none_gets_a_sentence(visitor: Visitor, data: bytes, said: str) -> None:
    picture = visitor.upload("a.png", data)
    assert said in visitor.ask("look", picture, "").said
    answer = visitor.animate(picture=picture)
    assert not answer.success and said in answer.said


def huge_gif() -> bytes:
    made = io.BytesIO()
    Image.new("P", (64, 64)).save(made, "GIF")
    data = bytearray(made.getvalue())
    data[6:10] = b"\x80\x3e\x80\x3e"  # the canvas's width and height
    return bytes(data)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.mp4", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n", "not a video"),
        ("a.mp4", b"ffconcat version 1.0\nfile /etc/passwd\n", "not a video"),
        ("a.webm", b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00", "not a video"),
        ("a.mp4", b"\0\0\0\x20ftypisom#EXTM3U\nfile:///etc/passwd\n", "damaged"),
        ("a.gif", huge_gif(), "too large"),
    ],
    ids=["playlist", "concat", "other container", "playlist behind a header", "huge"],
)
def test_a_video_that_is_none_gets_a_sentence(
    visitor: Visitor, name: str, data: bytes, said: str
) -> None:
    motion = visitor.upload(name, data)
    assert said in visitor.fit([motion]).said
    answer = visitor.animate(motion_from="file", motion_file=[motion])
    assert not answer.success and said in answer.said


def one(numbers: Any) -> str:
    return json.dumps({"people": [{"pose_keypoints_2d": numbers}]})


POSES = {
    "nan": (one([NAN] * 54), "Nobody"),
    "infinity": (one([float("inf")] * 54), "Infinity instead of a number"),
    "far": (one(FAR), "beyond"),
    "overflow": (one(FAR).replace("1e+308", "1e999"), "finite number"),
    "deep": ("[" * 80_000, "no valid JSON"),
    "crowd": (json.dumps({"people": [{}] * (MAX_PEOPLE + 1)}), f"at most {MAX_PEOPLE}"),
    "long": (json.dumps({"frames": [{}] * (MAX_FRAMES + 1)}), f"{MAX_FRAMES} are possible"),
    "canvas": ('{"canvas_width": 1e9, "canvas_height": 1, "people": [{}]}', "its canvas is"),
}


@pytest.mark.parametrize(("text", "said"), POSES.values(), ids=POSES)
def test_poses_that_cannot_be_get_a_sentence(visitor: Visitor, text: str, said: str) -> None:
    motion = visitor.upload("a.json", text.encode())
    assert said in visitor.fit([motion]).said
    for answer in (
        visitor.ask("look", visitor.defaults("look")[0], text),
        visitor.animate(joints=text),
    ):
        assert any(each in answer.said for each in (said, "1 frames and", "has 0 joints"))


@pytest.mark.parametrize(
    "joints", [7, [1], {"a": 1}, HALF, " " * 1_000_000], ids=lambda value: repr(value)[:9]
)
def test_joints_of_another_kind_get_a_sentence(visitor: Visitor, joints: Any) -> None:
    answer = visitor.animate(joints=joints)
    expected = "^The picture's joints" if isinstance(joints, str) else "is of another kind"
    assert not answer.success and re.search(expected, answer.said.strip())


# Bundles --------------------------------------------------------------------------------------------


def a_bundle(members: dict[str, bytes] | None = None, **job: Any) -> bytes:
    """One that can be used but for what is changed: members of the file, or what it says about its job."""
    pixels = np.asarray(Image.open(EXAMPLES / "park-girl.png").convert("RGB"))
    good = Bundle(pixels, load_preset("walk"), Settings(**QUICK), "a girl")
    with zipfile.ZipFile(io.BytesIO(good.to_bytes())) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    found[JOB] = json.dumps(json.loads(found[JOB]) | job).encode()
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (found | (members or {})).items():
            archive.writestr(name, data)
    return made.getvalue()


BUNDLES = {
    "no bundle": (b"hello", "no ZIP file"),
    "bomb": (a_bundle({MOTION: bytes(LIMITS[MOTION] + 1)}), "larger than 32 MB"),
    "traversal": (a_bundle({"../../worm.py": b"evil"}), "something else"),
    "pickle": (a_bundle({"job.pkl": pickle.dumps(print)}), "something else"),
    "picture is a bomb": (a_bundle({PICTURE: png_of(12_000, 12_000)}), "too large"),
    "clip is a playlist": (a_bundle({"clip.mp4": b"#EXTM3U\n/etc/passwd"}), "not a video"),
    "nan": (a_bundle(settings={"guidance_scale": NAN}), "NaN instead of a number"),
    "absurd": (a_bundle(settings={"frames": 10**30}), "frames is 1e+30"),
    "unknown": (a_bundle(settings={"__class__": 1}), "no setting"),
    "broken text": (a_bundle(prompt=HALF), "'prompt' is no text"),
    "broken setting": (a_bundle(settings={"character_words": HALF}), "must be text"),
    "long prompt": (a_bundle(prompt="a" * 2001), "at most 2000 characters"),
}


@pytest.mark.parametrize(("data", "said"), BUNDLES.values(), ids=BUNDLES)
def test_a_bundle_that_cannot_be_gets_a_sentence(
    app: App, visitor: Visitor, data: bytes, said: str
) -> None:
    answer = visitor.ask("restore", visitor.upload("a.zip", data))
    assert said in answer.said
    assert all(unchanged(value) for value in answer.values[1:])
    assert not list(app.uploads.parent.rglob("worm.py"))


def unchanged(value: Any) -> bool:
    """An update of nothing, in one or another of Gradio's forms."""
    nothing = {"__type__": "update"}
    return value in (nothing, {"props": nothing, **nothing})


@pytest.mark.parametrize("gone", [None, "gone.zip"])
def test_a_bundle_that_is_not_there_gets_a_sentence(
    app: App, visitor: Visitor, gone: str | None
) -> None:
    bundle = None if gone is None else file_data(str(app.uploads / gone))
    assert "There is no bundle." in visitor.ask("restore", bundle).said


# Prompts and settings --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "said"), [("a" * 2001, "2001 characters"), (f"a girl {HALF}", "broken characters")]
)
def test_a_prompt_that_cannot_be_gets_a_sentence(visitor: Visitor, prompt: str, said: str) -> None:
    answer = visitor.animate(prompt=prompt, **QUICK)
    assert not answer.success and said in answer.said
    assert visitor.ask("forecast", *visitor.inputs(prompt=prompt)).values == [""]


def test_control_characters_in_a_prompt_do_nothing(visitor: Visitor) -> None:
    prompt = "a girl\0\x1b[31m\r\n\u202e"
    assert visitor.animate(prompt=prompt, **QUICK).success
    assert visitor.ask("share").success


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("frames", 241, "must lie between 2 and 240"),
        ("frames", 1e308, "must lie between 2 and 240"),
        ("frames", 10**400, "must be a whole number"),
        ("frames", -1, "must lie between 2 and 240"),
        ("frames", 2.5, "must be a whole number"),
        ("frames", NAN, "must be a whole number"),
        ("frames", "7", "is of another kind"),
        ("frames", [7], "is of another kind"),
        ("frames", {"a": 7}, "is of another kind"),
        ("frames", None, "must be a whole number"),
        ("seed", NAN, "must be a whole number"),
        ("start_s", -1, "isn't possible. Enter one from 0."),
        ("stride", float("inf"), "isn't possible"),
        ("fps", [1], "is of another kind"),
        ("start_s", [1], "is of another kind"),
        ("start", "/etc/passwd", "must be one of inverted"),
        ("pata", {"a": 1}, "is of another kind"),
        ("pata", "a" * 1_000_000, "is of another kind"),
        ("character_words", "a" * 201, "text of at most 200 characters"),
        ("character_words", HALF, "text of at most 200 characters"),
        ("motion_from", ["file"], "is of another kind"),
        ("motion_preset", "../settings/fast", "doesn't offer this"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_setting_that_cannot_be_begins_no_run(
    visitor: Visitor, setting: str, value: Any, said: str
) -> None:
    answer = visitor.animate(**{setting: value})
    assert not answer.success
    assert said in answer.said and len(answer.said) < 1000


@pytest.mark.parametrize(
    ("argument", "value", "said"),
    [
        ("motion", "/etc/passwd", "no preset motion"),
        ("motion", "../settings/fast", "no preset motion"),
        ("motion", ["walk"], "Give a text"),
        ("preset", "../motions/walk", "no preset"),
        ("preset", "a" * 1_000_000, "no preset"),
        ("preset", None, "Give a text"),
        ("settings", '{"frames": 4}', "Give names and values"),
        ("settings", {"__class__": 1}, "no setting"),
        ("settings", {"frames": NAN}, "must be a whole number"),
        ("settings", {"frames": 10**400}, "must be a whole number"),
        ("settings", {"frames": {"a": 7}}, "must be a whole number"),
        ("settings", {HALF: 1}, "no setting"),
        ("joints", [1], "joints are no text"),
        ("start_s", NAN, "Give a number"),
        ("start_s", "0", "Give a number"),
        ("start_s", 9, "is empty"),
        ("end_s", -1, "Give a number"),
        ("stride", 0, "Give a number"),
        ("stride", 1.5, "whole number"),
        ("stride", 10**400, "Give a number"),
        ("stride", [1], "Give a number"),
        ("fps", 10**400, "Give a number"),
        ("fps", 1000, "0.1 to 240"),
        ("rotate", 45, "Give 0, 90, 180 or 270"),
        ("rotate", -90, "Give a number"),
    ],
    ids=lambda value: repr(value)[:20],
)
@pytest.mark.parametrize("endpoint", ["animate", "align"])
def test_an_argument_that_cannot_be_gets_a_sentence(
    visitor: Visitor, endpoint: str, argument: str, value: Any, said: str
) -> None:
    answer = visitor.call(endpoint, **{argument: value})
    assert not answer.success and said in answer.said and len(answer.said) < 1000


@pytest.mark.parametrize(
    ("prompt", "said"),
    [("a" * 2001, "2001 characters"), (HALF, "broken characters"), (5, "a text")],
)
def test_a_prompt_that_cannot_be_gets_a_sentence_by_a_program_too(
    visitor: Visitor, prompt: Any, said: str
) -> None:
    answer = visitor.call("animate", prompt=prompt)
    assert not answer.success and said in answer.said


@pytest.mark.parametrize(
    ("handler", "values"),
    [
        ("choose_example", ["../../../etc/passwd"]),
        ("preset_values", ["../motions/walk"]),
        ("fit", ["/etc/passwd"]),
        ("compare", ["values", "__class__", "1"]),
    ],
)
def test_what_is_chosen_from_a_list_is_of_the_list(
    visitor: Visitor, handler: str, values: list[str]
) -> None:
    answer = visitor.ask(handler, *values, *visitor.defaults(handler)[len(values) :])
    assert not answer.success and "doesn't offer this" in answer.said


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("lambda_first", "1," * 10, "2 to 9 are possible"),
        ("frames", MARKUP, "must be a whole number"),
        ("character_words", HALF, "text of at most 200 characters"),
    ],
)
def test_compared_values_that_cannot_be_get_a_sentence(
    visitor: Visitor, name: str, values: str, said: str
) -> None:
    answer = visitor.ask("compare", "values", name, values, *visitor.inputs())
    assert said in answer.said and "<img" not in str(answer.values)


# Script ------------------------------------------------------------------------------------------------


def test_script_in_texts_and_names_is_not_executed(
    app: App, visitor: Visitor, browser: Browser
) -> None:
    shared = app.shared_clips.put(a_bundle(prompt=MARKUP, motion_name=MARKUP, models=MARKUP))
    wrong = a_bundle(settings={MARKUP: 1})
    with browser.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        expect.set_options(timeout=TIMEOUT_MS)

        page.goto(f"{app.url}?shared={MARKUP}")
        expect(page.locator("#restored")).to_contain_text("no shared clip")
        page.goto(f"{app.url}?shared={shared.id}")
        expect(page.locator("#restored")).to_contain_text("Somebody shared this clip")
        expect(page.locator("#prompt textarea")).to_have_value(MARKUP)
        expect(page.locator("#findings")).to_contain_text("frames")

        page.get_by_text("Open a saved project").click()
        bundle = {"name": "a.zip", "mimeType": "application/zip", "buffer": wrong}
        page.locator("#bundle input[type=file]").set_input_files(bundle)
        expect(page.locator("#restored")).to_contain_text(MARKUP)

        name = f"{MARKUP} &lt;img src=x onerror=window.attacked=1&gt;.json"
        motion = {"name": name, "mimeType": "application/json", "buffer": b"[]"}
        page.locator("#motion-file").get_by_label("Clear").click()  # the shared clip's
        page.locator("#motion-file input[type=file]").set_input_files(motion)
        expect(page.locator("#findings")).to_contain_text("has no frames")
        page.get_by_role("button", name="Generate").click()
        expect(page.locator("#bar").get_by_role("alert")).to_contain_text("has no frames")
        expect(page.locator(".toast-body")).to_have_count(0)  # it is said once

        assert page.evaluate("window.attacked") is None
        # and here is what it would have done
        page.evaluate("markup => { document.body.innerHTML += markup }", MARKUP)
        page.wait_for_function("window.attacked == 1")


# Other people's work ------------------------------------------------------------------------------------


def test_another_session_gets_nothing_of_a_run(app: App, visitor: Visitor) -> None:
    assert visitor.animate(**QUICK).success
    *_, mine = visitor.ask("pack").values
    assert len(mine) == 5
    other = Visitor(app.url)
    theirs = other.ask("pack").values
    assert theirs == [None] * len(PACK_OUTPUTS)
    assert "There is no clip yet" in other.ask("share").said
    nameless = other.http.post("/gradio_api/queue/join", json={"fn_index": 0, "data": []})
    assert nameless.status_code == 422
    assert other.http.get("/gradio_api/deep_link?session_hash=guess").status_code == 404


@pytest.mark.parametrize("id", ["../../../../etc/passwd", "*", "?" * 22, "a" * 22, "a\0" * 11])
def test_a_link_that_is_none_opens_nothing(app: App, visitor: Visitor, id: str) -> None:
    app.shared_clips.put(a_bundle())
    answer = visitor.ask("opened", shared=id)
    assert "There is no shared clip under this link." in answer.said
    assert all(unchanged(value) for value in answer.values[1:])


def test_a_clip_is_taken_back_by_whom_it_is_from_alone(app: App, visitor: Visitor) -> None:
    assert visitor.animate(**QUICK).success
    id = visitor.ask("share").values[1]
    other = Visitor(app.url)
    for token in ([id, "key"], [id, ""], {"id": id}, None):
        assert "isn't shared any more" in other.ask("unshare", token).said
    assert not app.shared_clips.remove(ShareToken(id, "key"))
    assert app.shared_clips.get(id)
    assert "Taken back" in visitor.ask("unshare", None).said
    assert "no shared clip" in other.ask("opened", shared=id).said


# Too much ------------------------------------------------------------------------------------------------


def test_more_runs_than_the_queue_holds_are_refused(app: App, visitor: Visitor) -> None:
    for event in (app.animator.held, app.animator.go_on):
        event.clear()
    app.animator.hold_at = 1
    assert visitor.join("generate", visitor.inputs(**QUICK)).status_code == 200
    assert app.animator.held.wait(HOLD_S)
    waiting = [Visitor(app.url) for _ in range(IN_LINE)]
    for each in waiting:
        assert each.join("generate", each.inputs(frames=NAN)).status_code == 200
    refused = waiting[0].join("generate", waiting[0].inputs())
    assert refused.status_code == 503
    assert (
        refused.json()["detail"] == f"Queue is full. Max size is {IN_LINE} and size is {IN_LINE}."
    )
    app.animator.go_on.set()
    assert visitor.answer().success
    assert all("must be a whole number" in each.answer().said for each in waiting)


def test_a_visitor_who_has_made_enough_runs_stays_one(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "1")
    with serving(app.animator, app.shared_clips) as url:
        # a proxy on the same machine would be believed, so the visitor comes from elsewhere
        elsewhere = "127.0.0.2"
        assert "must be a whole number" in Visitor(url, elsewhere).animate(frames=NAN).said
        for headers in ({}, {"x-forwarded-for": "8.8.8.8"}, {"cookie": "a=b", "user-agent": "b"}):
            again = Visitor(url, elsewhere, **headers)
            for asked in (again.animate(frames=NAN), again.call("animate")):
                assert "You have made 1 runs within an hour" in asked.said


@pytest.mark.parametrize("told", [True, False], ids=["with its length", "without"])
def test_a_body_that_the_page_never_sends_is_not_read(visitor: Visitor, told: bool) -> None:
    body = b'{"data": ["' + b"a" * MAX_BODY_BYTES + b'"]}'
    for path in ("queue/join", "run/weigh", "call/animate"):
        content = body if told else iter([body[:1000], body[1000:]])
        kind = {"content-type": "application/json"}
        answer = visitor.http.post(f"/gradio_api/{path}", content=content, headers=kind)
        assert answer.status_code == 413


# Ways in that the page doesn't need --------------------------------------------------------------------


@pytest.mark.parametrize("way", ["run", "api"])
def test_runs_cannot_pass_the_queue(visitor: Visitor, way: str) -> None:
    for name in (
        "animate",
        "align",
        "motions",
        "generate",
        "compare",
        "pack",
        "restore",
        "share",
        "fit",
    ):
        answer = visitor.http.post(f"/gradio_api/{way}/{name}", json={"data": []})
        assert answer.status_code == 404 and "join the queue" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/monitoring", 403),
        ("GET", "/monitoring/summary", 403),
        ("GET", "/monitoring/guess", 403),
        ("GET", "/docs", 404),
        ("GET", "/redoc", 404),
        ("GET", "/openapi.json", 404),
        ("GET", "/gradio_api/mcp/schema", 404),
        ("GET", "/gradio_api/mcp", 404),
        ("POST", "/gradio_api/mcp/", 404),
        ("GET", "/gradio_api/mcp/sse", 404),
        ("GET", "/gradio_api/runs", 404),
        ("GET", "/gradio_api/run-history/buckets", 404),
        ("GET", "/gradio_api/profiling/traces", 404),
        ("GET", "/gradio_api/vibe-code", 403),
        ("POST", "/gradio_api/process_recording", 404),
        ("POST", "/gradio_api/process_recording/", 404),
    ],
)
def test_what_the_page_does_not_need_is_closed(
    visitor: Visitor, method: str, path: str, status: int
) -> None:
    assert visitor.http.request(method, path).status_code == status


def test_an_endpoint_that_is_none_gets_a_sentence(visitor: Visitor) -> None:
    body = {"fn_index": 999, "data": [], "session_hash": "a"}
    answer = visitor.http.post("/gradio_api/queue/join", json=body)
    assert answer.status_code == 404 and "no such function" in answer.json()["detail"]


@pytest.mark.parametrize("seed", range(3))
def test_odd_calls_are_refused_and_leave_the_log_short(
    visitor: Visitor, capfd: pytest.CaptureFixture[str], seed: int
) -> None:
    names = functions_of_page(visitor.http)
    for call in odd_calls(100, seed, names):
        assert 200 <= send(visitor.http, call) < 500, call
    said = "".join(capfd.readouterr())
    assert "Traceback" not in said and max(map(len, said.splitlines()), default=0) < 120
    assert len(said.splitlines()) <= LINES
    assert visitor.animate(**QUICK).success


def test_a_foreign_page_may_not_read_what_a_local_one_answers(visitor: Visitor) -> None:
    for origin in ("https://example.org", "null"):
        answer = visitor.http.get("/config", headers={"origin": origin})
        assert "access-control-allow-origin" not in answer.headers
    assert not answer.cookies, "there are no privileges to borrow"


# The table ----------------------------------------------------------------------------------------------


def test_the_table_names_tests_that_exist_and_all_of_these() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TABLE.read_text(encoding="utf-8"))
    for file, name in named:
        assert name in functions(REPOSITORY / file), f"{file} has no {name}"
    here = str(Path(__file__).relative_to(REPOSITORY))
    assert functions(Path(__file__)) <= {name for file, name in named if file == here}


def functions(file: Path) -> set[str]:
    """The tests of a file, by name."""
    nodes = ast.parse(file.read_text(encoding="utf-8")).body
    return {
        each.name
        for each in nodes
        if isinstance(each, ast.FunctionDef) and each.name.startswith("test_")
    }
