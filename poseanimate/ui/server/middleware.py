"""ASGI middleware in front of Gradio's server: limits on request bodies, and results that reach every page.

Gradio's page asks for a result (/queue/join) and reads all results from one stream (/queue/data), which the server ends
whenever nothing is pending. Around these ends a busy machine loses results: a page that gets the answer to its next
request before it has read the end takes the stream for open, and waits on it. `StreamOrder` makes them rare and safe.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from poseanimate.storage.shared_clips import SharedClips
from poseanimate.ui.server.front_page import FrontPage
from poseanimate.ui.server.gate import Gate
from poseanimate.ui.server.page_blocks import PageBlocks
from poseanimate.ui.server.temporary_files import FilesGate, TemporaryFiles

JOIN, DATA = "/gradio_api/queue/join", "/gradio_api/queue/data"
STREAM_END = b'"msg":"close_stream"'
IDLE_S = 5.0  # on a busy machine as well, what a result makes the page ask for comes sooner
HANG_UP_S = 2.0  # then the page has read the end, even if it keeps the connection
TIMEOUT_S = 5.0  # for a connection that accepts no more data

UPLOAD = "/gradio_api/upload"  # Gradio limits it itself
MAX_BODY_BYTES = 2_000_000


class BodyLimit:
    """Refuses requests with a larger body than the page ever sends; Gradio would read it into memory."""

    def __init__(self, app: ASGIApp, max_bytes: int = MAX_BODY_BYTES) -> None:
        self.app, self.max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = self.max_bytes

        async def receive_counted() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413, f"At most {self.max_bytes} bytes are read.")
            return message

        limited = scope["type"] == "http" and scope["path"].rstrip("/") != UPLOAD
        await self.app(scope, receive_counted if limited else receive, send)


class StreamOrder:
    """Keeps a session's stream open from one request to the next, and ends it only when the page asks for nothing.

    A request that comes while the stream is being ended is answered after the page has hung up, which it does as soon
    as it reads the end. The stream's last, empty chunk is held back until then, because afterwards the page's hanging
    up can't be told from the server's.

    Args:
        idle_s: how long a stream stays open when nothing is pending.
        hang_up_s: how long to wait for the page to hang up.
        timeout_s: how long a request waits for the stream's end at most.
    """

    def __init__(
        self,
        app: ASGIApp,
        idle_s: float = IDLE_S,
        hang_up_s: float = HANG_UP_S,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.app = app
        self.idle_s, self.hang_up_s, self.timeout_s = idle_s, hang_up_s, timeout_s
        self._idle: dict[str, asyncio.Event] = {}  # set by the session's next request
        self._ending: dict[str, asyncio.Event] = {}  # set when the page has hung up

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].rstrip("/") if scope["type"] == "http" else ""
        if path.endswith(DATA):
            await self._stream(scope, receive, send)
        elif path.endswith(JOIN):
            await self._join(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        session = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])[-1]
        asked = asyncio.Event()
        started = False
        end: list[Message] = []

        async def send_but_the_end(message: Message) -> None:
            nonlocal started
            if end or STREAM_END in message.get("body", b""):
                self._idle[session] = asked
                end.append(message)
            elif not (started and message["type"] == "http.response.start"):
                started = True
                await send(message)

        try:
            await self.app(scope, receive, send_but_the_end)
            while end and await self._asked_again(asked, receive):
                end.clear()
                asked.clear()
                await self.app(scope, receive, send_but_the_end)
        finally:
            if self._idle.get(session) is asked:
                del self._idle[session]
        if end:
            await self._end(session, end, receive, send)

    async def _asked_again(self, asked: asyncio.Event, receive: Receive) -> bool:
        """Waits for the session's next request, for the page to hang up, or for the end of the idle time."""
        waits = [asyncio.ensure_future(asked.wait()), asyncio.ensure_future(_hang_up(receive))]
        try:
            await asyncio.wait(waits, timeout=self.idle_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return asked.is_set() and not waits[1].done()

    async def _end(self, session: str, end: list[Message], receive: Receive, send: Send) -> None:
        ended = self._ending[session] = asyncio.Event()
        try:
            await send(end[0])
            with suppress(TimeoutError):
                await asyncio.wait_for(_hang_up(receive), self.hang_up_s)
            for message in end[1:]:
                await send(message)
        finally:
            ended.set()
            if self._ending.get(session) is ended:
                del self._ending[session]

    async def _join(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = bytearray()

        async def receive_copied() -> Message:
            message = await receive()
            body.extend(message.get("body", b""))
            return message

        async def send_after_stream(message: Message) -> None:
            if message["type"] == "http.response.start" and (self._idle or self._ending):
                session = _session(body)
                if session in self._idle:
                    self._idle[session].set()
                elif session in self._ending:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._ending[session].wait(), self.timeout_s)
            await send(message)

        await self.app(scope, receive_copied, send_after_stream)


def app_arguments(
    page: PageBlocks, files: TemporaryFiles, shared_clips: SharedClips | None = None
) -> dict[str, Any]:
    """Arguments for the FastAPI app that Gradio makes for a page.

    Args:
        shared_clips: those whose links show a picture.
    """
    return {
        "openapi_url": None,
        "lifespan": files.keep_swept,
        "middleware": [
            Middleware(BodyLimit),
            Middleware(StreamOrder),
            Middleware(FilesGate, files=files),
            Middleware(Gate, page=page),
            Middleware(FrontPage, shared_clips=shared_clips),
        ],
    }


async def _hang_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _session(body: bytearray) -> str:
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return str(request.get("session_hash", "")) if isinstance(request, dict) else ""
