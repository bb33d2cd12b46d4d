"""When a session's next request is answered, on an application that ends a stream and one who reads it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
from starlette.types import Message, Receive, Scope, Send

from poseanimate.ui.middleware import DATA, JOIN, STREAM_END, StreamOrder

TIMEOUT_S = 300.0


async def gradio(scope: Scope, receive: Receive, send: Send) -> None:
    """Ends every stream at once, and answers whatever is asked."""
    stream = scope["path"] == DATA
    if not stream:
        await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if stream:
        await send(
            {
                "type": "http.response.body",
                "body": b"data: {" + STREAM_END + b"}",
                "more_body": True,
            }
        )
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def ignored(_: Message) -> None:
    pass


def stream(app: StreamOrder, hung_up: asyncio.Event) -> Awaitable[None]:
    """As in uvicorn, a client that was sent everything counts as disconnected, too."""
    gone = asyncio.Event()

    async def receive() -> Message:
        waits = [asyncio.ensure_future(each.wait()) for each in (hung_up, gone)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body" and not message["more_body"]:
            gone.set()

    return app({"type": "http", "path": DATA, "query_string": b"session_hash=a"}, receive, send)


def join(app: StreamOrder, body: bytes) -> Awaitable[None]:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return app({"type": "http", "path": JOIN, "query_string": b""}, receive, ignored)


def asked(session: str) -> bytes:
    return json.dumps({"session_hash": session}).encode()


def ran(
    scene: Callable[[StreamOrder, asyncio.Event], Awaitable[None]], hang_up_s: float = TIMEOUT_S
) -> None:
    async def played() -> None:
        app, hung_up = StreamOrder(gradio, hang_up_s, TIMEOUT_S), asyncio.Event()
        reading = asyncio.ensure_future(stream(app, hung_up))
        await asyncio.sleep(0)
        await scene(app, hung_up)
        hung_up.set()
        await reading

    asyncio.run(asyncio.wait_for(played(), TIMEOUT_S))


def test_the_next_request_is_answered_when_the_page_has_hung_up() -> None:
    async def scene(app: StreamOrder, hung_up: asyncio.Event) -> None:
        joining = asyncio.ensure_future(join(app, asked("a")))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not joining.done()
        hung_up.set()
        await joining

    ran(scene)


@pytest.mark.parametrize("body", [asked("b"), b"", b"null", b"[" * 100_000], ids=len)
def test_others_do_not_wait(body: bytes) -> None:
    async def scene(app: StreamOrder, hung_up: asyncio.Event) -> None:
        await join(app, body)
        assert not hung_up.is_set()

    ran(scene)


def test_a_page_that_never_hangs_up_is_answered_as_well() -> None:
    async def scene(app: StreamOrder, hung_up: asyncio.Event) -> None:
        await join(app, asked("a"))
        assert not hung_up.is_set()

    ran(scene, hang_up_s=0.01)
