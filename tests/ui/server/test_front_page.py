"""The page's first answer: what unfurls where its link is sent, and how large it is."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from helpers.tiny import scene_at_ease
from PIL import Image
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from poseanimate.inputs.bundle import Bundle
from poseanimate.media import write_clip
from poseanimate.poses.motion import load_preset
from poseanimate.settings import Settings
from poseanimate.storage.shared_clips import SharedClips
from poseanimate.ui import texts
from poseanimate.ui.server.front_page import TILE_PX, TILES, FrontPage, list_pictures

PAGE = (
    '<!doctype html><html><head><meta name="viewport" content="width=device-width" />'
    '<meta property="og:title" content="Gradio" /><meta\n\tproperty="og:image"\n\tcontent="https://far.away/x.jpg"\n/>'
    '<meta name="twitter:creator" content="@Gradio" /></head><body>Hello</body></html>'
)


@pytest.fixture
def shared(tmp_path: Path) -> SharedClips:
    return SharedClips(tmp_path / "shared")


@pytest.fixture
def clip(tmp_path: Path) -> bytes:
    path = tmp_path / "clip.mp4"
    frames = [np.full((64, 96, 3), 60 * i, np.uint8) for i in range(4)]
    write_clip(frames, path, 12.0)
    return path.read_bytes()


def client(shared: SharedClips | None) -> TestClient:
    routes = [
        Route("/", lambda _: HTMLResponse(PAGE)),
        Route("/config", lambda _: JSONResponse({"a": "<meta property='og:title'>"})),
        *list_pictures(shared),
    ]
    middleware = [Middleware(FrontPage, shared_clips=shared)]
    return TestClient(Starlette(routes=routes, middleware=middleware), "https://my.page")


def tags(html: str) -> dict[str, str]:
    found = {}
    for part in html.split("<meta ")[1:]:
        name, content = part.split('"')[1::2][:2]
        found[name] = content
    return found


def put(shared: SharedClips, clip: bytes) -> str:
    picture = scene_at_ease().picture
    return shared.put(
        Bundle(picture, load_preset("walk"), Settings(), "a girl", clip=clip).to_bytes()
    ).id


def test_the_page_unfurls_as_itself(shared: SharedClips) -> None:
    html = client(shared).get("/").text
    assert "Gradio" not in html and "far.away" not in html and "Hello" in html
    seen = tags(html)
    assert seen["viewport"] == "width=device-width" and seen["og:title"] == texts.TITLE
    assert seen["og:image"] == seen["twitter:image"] == "https://my.page/card.jpg"
    assert seen["description"] == texts.UNFURLED and "og:video" not in seen
    picture = Image.open(io.BytesIO(client(shared).get("/card.jpg").content))
    assert picture.size == (TILES * TILE_PX, TILE_PX) and picture.format == "JPEG"


def test_a_shared_clip_unfurls_with_its_own_frames(shared: SharedClips, clip: bytes) -> None:
    id, visitor = put(shared, clip), client(shared)
    seen = tags(visitor.get(f"/?shared={id}").text)
    assert seen["og:title"] == texts.SHARED_TITLE and seen["og:type"] == "video.other"
    assert seen["og:url"] == f"https://my.page/?shared={id}"
    assert visitor.get(seen["og:video"]).content == clip
    answer = visitor.get(seen["og:image"])
    assert answer.headers["content-type"] == "image/jpeg"
    shown = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert shown.shape == (TILE_PX, TILES * TILE_PX, 3)
    assert shown[200, 200].mean() < shown[200, 600].mean() < shown[200, 1000].mean()


@pytest.mark.parametrize("id", ["a" * 22, "../../etc/passwd", '"><script>', "", "%00"])
def test_what_is_not_shared_unfurls_as_the_page(shared: SharedClips, id: str) -> None:
    visitor = client(shared)
    html = visitor.get("/", params={"shared": id}).text
    assert tags(html)["og:title"] == texts.TITLE and "<script>" not in html
    assert visitor.get(f"/shared/{'a' * 22}.jpg").status_code == 404
    assert visitor.get(f"/shared/{'a' * 22}.zip").status_code == 404


def test_a_clip_that_was_taken_back_is_gone(shared: SharedClips, clip: bytes) -> None:
    picture = scene_at_ease().picture
    token = shared.put(Bundle(picture, load_preset("walk"), Settings(), "", clip=clip).to_bytes())
    shared.remove(token)
    assert client(shared).get(f"/shared/{token.id}.mp4").status_code == 404


def test_behind_a_password_nothing_of_a_clip_is_told(shared: SharedClips, clip: bytes) -> None:
    id, visitor = put(shared, clip), client(None)
    assert tags(visitor.get(f"/?shared={id}").text)["og:title"] == texts.TITLE
    assert visitor.get(f"/shared/{id}.jpg").status_code == 404


def test_a_made_up_host_stays_within_its_tag(shared: SharedClips) -> None:
    html = client(shared).get("/", headers={"x-forwarded-host": '"><script>alert(1)</script>'}).text
    assert "<script>" not in html


def test_the_page_alone_is_compressed_and_changed(shared: SharedClips) -> None:
    visitor = client(shared)
    with visitor.stream("GET", "/", headers={"accept-encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) == len(raw)
    assert "Accept-Encoding" in answer.headers["vary"] and b"Hello" in gzip.decompress(raw)
    plain = visitor.get("/", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers and "Hello" in plain.text
    assert visitor.get("/config").json() == {"a": "<meta property='og:title'>"}
    assert visitor.head("/").status_code in (200, 405)
