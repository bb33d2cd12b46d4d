"""The first answer of the page: compressed, and with tags for where its link is sent to somebody.

They name title, description and picture, and a shared clip's own; those of Gradio, with its name, are taken out. Gradio
compresses scripts and styles, but not the page itself.
"""

from __future__ import annotations

import gzip
import re
from functools import cache
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs

import cv2
import numpy as np
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from poseanimate.errors import PoseAnimateError
from poseanimate.inputs.bundle import Bundle
from poseanimate.media import read_video, tiled
from poseanimate.storage.shared_clips import SharedClips
from poseanimate.ui import texts
from poseanimate.ui.theme import ready_made

PARAMETER = "shared"  # of a link to a shared clip
TAGS = re.compile(rb'<meta\s+(?:property="og:|name="twitter:|name="description")[^>]*>')
HEAD_END = b"</head>"
TILE_PX, TILES = 400, 3  # a picture of 1200 x 400
PAIR = "park-girl", "cheer"
GZIP_LEVEL = 5
HELD_S = 600  # how long others may keep a picture, also of a clip that is taken back


class FrontPage:
    """ASGI middleware: writes the page's tags and compresses it.

    Args:
        shared_clips: those whose links unfurl with their own picture; None where visitors need a password.
    """

    def __init__(self, app: ASGIApp, shared_clips: SharedClips | None) -> None:
        self.app, self.shared_clips = app, shared_clips

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"].strip("/"):
            await self.app(scope, receive, send)
            return
        start: Message = {}
        body = bytearray()

        async def send_tagged(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            body.extend(message.get("body", b""))
            if message.get("more_body"):
                return
            headers = MutableHeaders(raw=start["headers"])
            page = bytes(body)
            if headers.get("content-type", "").startswith("text/html"):
                page = TAGS.sub(b"", page).replace(HEAD_END, self._tags(scope) + HEAD_END, 1)
                if "gzip" in Headers(scope=scope).get("accept-encoding", ""):
                    page = gzip.compress(page, GZIP_LEVEL)
                    headers["content-encoding"] = "gzip"
                headers.add_vary_header("Accept-Encoding")
                headers["content-length"] = str(len(page))
            await send(start)
            await send({"type": "http.response.body", "body": page})

        await self.app(scope, receive, send_tagged)

    def _tags(self, scope: Scope) -> bytes:
        address = _address(Request(scope))
        query = parse_qs(scope["query_string"].decode("latin-1"))
        id = query.get(PARAMETER, [""])[-1]
        title, about, picture = texts.TITLE, texts.UNFURLED, f"{address}/card.jpg"
        tags = {"og:type": "website", "og:url": f"{address}/"}
        if id and self.shared_clips is not None and self.shared_clips.has(id):
            title, about, picture = (
                texts.SHARED_TITLE,
                texts.SHARED_ABOUT,
                f"{address}/shared/{id}.jpg",
            )
            video = f"{address}/shared/{id}.mp4"
            tags = {
                "og:type": "video.other",
                "og:url": f"{address}/?{PARAMETER}={id}",
                "og:video": video,
                "og:video:type": "video/mp4",
            }
        tags |= {"og:title": title, "og:description": about, "og:image": picture}
        tags |= {"og:image:width": str(TILES * TILE_PX), "og:image:height": str(TILE_PX)}
        made = [
            f'<meta property="{name}" content="{escape(value)}" />' for name, value in tags.items()
        ]
        made += [f'<meta name="{name}" content="{escape(value)}" />' for name, value in (
            ("description", about), ("twitter:card", "summary_large_image"),
            ("twitter:title", title), ("twitter:description", about), ("twitter:image", picture),
        )]  # fmt: skip
        return "\n".join([*made, ""]).encode()


def list_pictures(shared_clips: SharedClips | None) -> list[Route]:
    """The addresses of the pictures and clips that the tags name.

    Args:
        shared_clips: as `FrontPage`'s.
    """

    def card(_: Request) -> Response:
        return _answer(page_card(), "image/jpeg")

    def shared(request: Request) -> Response:
        id, kind = request.path_params["id"], request.path_params["kind"]
        try:
            if shared_clips is None or kind not in ("jpg", "mp4"):
                return Response(status_code=404)
            clip = Bundle.from_bytes(shared_clips.get(id)).clip
            if kind == "mp4":
                return _answer(clip, "video/mp4")
            return _answer(clip_card(clip), "image/jpeg")
        except PoseAnimateError:
            return Response(status_code=404)

    return [Route("/card.jpg", card), Route("/shared/{id}.{kind}", shared)]


@cache
def page_card() -> bytes:
    """The page's own picture, a JPEG: frames of a ready-made clip."""
    return clip_card(ready_made(*PAIR).read_bytes())


def clip_card(clip: bytes) -> bytes:
    """A JPEG with frames of an MP4 side by side.

    Raises:
        VideoError: it is no video.
    """
    with TemporaryDirectory(prefix="poseanimate-") as folder:
        path = Path(folder) / "clip.mp4"
        path.write_bytes(clip)
        frames = read_video(path).frames
    chosen = [frames[len(frames) * (2 * i + 1) // (2 * TILES)] for i in range(TILES)]
    tiles = []
    for frame in chosen:
        height, width = frame.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 4, (width - side) // 2  # heads are above
        square = frame[top : top + side, left : left + side]
        tiles.append(
            np.asarray(cv2.resize(square, (TILE_PX,) * 2, interpolation=cv2.INTER_AREA), np.uint8)
        )
    picture = cv2.cvtColor(tiled(tiles, TILES), cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()


def _answer(data: bytes, kind: str) -> Response:
    return Response(data, media_type=kind, headers={"Cache-Control": f"public, max-age={HELD_S}"})


def _address(request: Request) -> str:
    """The page's address as the visitor sees it, without a slash at its end."""
    host = request.headers.get("x-forwarded-host") or request.url.netloc
    scheme = request.headers.get("x-forwarded-proto", request.url.scheme).partition(",")[0]
    return (
        f"{'https' if scheme == 'https' else 'http'}://{host}{request.scope.get('root_path', '')}"
    )
