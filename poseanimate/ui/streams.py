"""Results reach a page however its two requests for them are delayed on their way.

Gradio's page asks for a result (/queue/join) and reads all results from one stream (/queue/data), which the server ends
when it has nothing left to tell. A page that gets the answer to a next request before it has read that end takes the
stream for open, and waits on it for good.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

JOIN, DATA = "/gradio_api/queue/join", "/gradio_api/queue/data"
END = b'"close_stream"'
NOTICE_S = 2.0  # after which a page that didn't hang up is taken to know


class Ordered:
    """Answers a session's next request only when its page has hung up on the stream that was ended."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._ending: dict[str, asyncio.Event] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].rstrip("/") if scope["type"] == "http" else ""
        if path.endswith(DATA):
            await self._tell(scope, receive, send)
        elif path.endswith(JOIN):
            await self._join(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _tell(self, scope: Scope, receive: Receive, send: Send) -> None:
        session = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])[0]
        known = asyncio.Event()

        async def told(message: Message) -> None:
            if END in message.get("body", b""):
                self._ending[session] = known
            await send(message)
            if self._ending.get(session) is known and not message.get("more_body"):
                with suppress(TimeoutError):
                    await asyncio.wait_for(_hung_up(receive), NOTICE_S)

        try:
            await self.app(scope, receive, told)
        finally:
            known.set()
            if self._ending.get(session) is known:
                del self._ending[session]

    async def _join(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = bytearray()

        async def read() -> Message:
            message = await receive()
            body.extend(message.get("body", b""))
            return message

        async def answered(message: Message) -> None:
            ending = self._ending.get(_session(body))
            if ending is not None:
                await ending.wait()
            await send(message)

        await self.app(scope, read, answered)


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _session(body: bytearray) -> str:
    try:
        asked = json.loads(body)
    except ValueError:
        return ""
    return str(asked.get("session_hash", "")) if isinstance(asked, dict) else ""
