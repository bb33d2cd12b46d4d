"""ASGI middleware in front of Gradio's server: limits on request bodies, and results that reach every page.

Gradio's page asks for a result (/queue/join) and reads all results from one stream (/queue/data), which the server ends
when nothing is pending. If the answer to the page's next request arrives before the page has read that end, it takes
the stream for open and waits on it until something else is requested. `StreamOrder` prevents this.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

JOIN, DATA = "/gradio_api/queue/join", "/gradio_api/queue/data"
STREAM_END = b'"msg":"close_stream"'
HANG_UP_S = 2.0  # then the page has read the end, even if it keeps the connection
TIMEOUT_S = 5.0  # for a connection that accepts no more data

RECORDING = "/gradio_api/process_recording"  # runs ffmpeg on any upload, outside the queue
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
    """Answers a session's next request only after its page has hung up on the stream that was ended.

    A page hangs up as soon as it reads the end. The stream's last, empty chunk is held back until then, because
    afterwards the page's hanging up can't be told from the server's.

    Args:
        hang_up_s: how long to wait for the page to hang up.
        timeout_s: how long a request waits for the stream's end at most.
    """

    def __init__(
        self, app: ASGIApp, hang_up_s: float = HANG_UP_S, timeout_s: float = TIMEOUT_S
    ) -> None:
        self.app, self.hang_up_s, self.timeout_s = app, hang_up_s, timeout_s
        self._ending: dict[str, asyncio.Event] = {}

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
        ended = asyncio.Event()

        async def send_end_last(message: Message) -> None:
            if STREAM_END in message.get("body", b""):
                self._ending[session] = ended
            elif self._ending.get(session) is ended and not message.get("more_body"):
                with suppress(TimeoutError):
                    await asyncio.wait_for(_hang_up(receive), self.hang_up_s)
            await send(message)

        try:
            await self.app(scope, receive, send_end_last)
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
            if self._ending and message["type"] == "http.response.start":
                ending = self._ending.get(_session(body))
                if ending is not None:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(ending.wait(), self.timeout_s)
            await send(message)

        await self.app(scope, receive_copied, send_after_stream)


def app_arguments() -> dict[str, Any]:
    """Arguments for the FastAPI app that Gradio makes."""
    return {
        "openapi_url": None,
        "routes": [
            Route(path, _not_found, methods=["POST"]) for path in (RECORDING, f"{RECORDING}/")
        ],
        "middleware": [Middleware(BodyLimit), Middleware(StreamOrder)],
    }


async def _not_found(_: Request) -> None:
    raise HTTPException(404)


async def _hang_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _session(body: bytearray) -> str:
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return str(request.get("session_hash", "")) if isinstance(request, dict) else ""
