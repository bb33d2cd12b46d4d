"""Results reach a page however its two requests for them are delayed on their way.

Gradio's page asks for a result (/queue/join) and reads all results from one stream (/queue/data), which the server ends
when it has nothing left to tell. A page that gets the answer to a next request before it has read that end takes the
stream for open, and waits on it until something else is asked for.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

JOIN, DATA = "/gradio_api/queue/join", "/gradio_api/queue/data"
END = b'"msg":"close_stream"'
NOTICE_S = 2.0  # after which a page that didn't hang up is taken to know
TIMEOUT_S = 5.0  # with a connection that takes nothing more


class Ordered:
    """Answers a session's next request only when its page has hung up on the stream that was ended.

    A page hangs up as soon as it reads the end. So that it can be told from a server that did, the stream's last and
    empty piece is held back until then.
    """

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
        session = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])[-1]
        known = asyncio.Event()

        async def told(message: Message) -> None:
            if END in message.get("body", b""):
                self._ending[session] = known
            elif self._ending.get(session) is known and not message.get("more_body"):
                with suppress(TimeoutError):
                    await asyncio.wait_for(_hung_up(receive), NOTICE_S)
            await send(message)

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
            if self._ending and message["type"] == "http.response.start":
                ending = self._ending.get(_session(body))
                if ending is not None:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(ending.wait(), TIMEOUT_S)
            await send(message)

        await self.app(scope, read, answered)


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _session(body: bytearray) -> str:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return str(asked.get("session_hash", "")) if isinstance(asked, dict) else ""
