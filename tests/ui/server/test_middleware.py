"""When a session's stream ends and its next request is answered, with a server like Gradio's and a page that reads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
from starlette.types import Message, Receive, Scope, Send

from poseanimate.ui.server.middleware import DATA, JOIN, STREAM_END, StreamOrder

NEVER_S = 300.0  # only ends a hang
AT_ONCE_S = 0.001


class Gradio:
    """Sends the results of what was asked, then ends the stream."""

    def __init__(self) -> None:
        self.results: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == JOIN:
            await receive()
            await send({"type": "http.response.start", "status": 200, "headers": []})
        else:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while self.results:
                await send(_chunk(self.results.pop(0)))
            await send(_chunk(b"data: {" + STREAM_END + b"}"))
        await send(_chunk(b"", more=False))


def _chunk(body: bytes, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


class Page:
    """Reads a stream. As in uvicorn, one that was sent everything counts as disconnected, too."""

    def __init__(self, app: StreamOrder) -> None:
        self.app, self.sent = app, list[Message]()
        self.gone = asyncio.Event()

    @property
    def read(self) -> list[bytes]:
        return [each["body"] for each in self.sent[1:]]

    @property
    def ended(self) -> bool:
        return any(STREAM_END in body for body in self.read)

    def stream(self) -> Awaitable[None]:
        async def receive() -> Message:
            await self.gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            self.sent.append(message)
            if message["type"] == "http.response.body" and not message["more_body"]:
                self.gone.set()

        scope = {"type": "http", "path": DATA, "query_string": b"session_hash=a"}
        return self.app(scope, receive, send)

    def join(self, body: bytes) -> Awaitable[None]:
        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def ignored(_: Message) -> None:
            pass

        return self.app({"type": "http", "path": JOIN, "query_string": b""}, receive, ignored)


def asked(session: str) -> bytes:
    return json.dumps({"session_hash": session}).encode()


def ran(
    scene: Callable[[Page, Gradio], Awaitable[None]],
    idle_s: float = NEVER_S,
    hang_up_s: float = NEVER_S,
) -> None:
    """Plays a scene while the page reads a stream with one result; it hangs up at last."""

    async def played() -> None:
        gradio = Gradio()
        gradio.results.append(b"first")
        page = Page(StreamOrder(gradio, idle_s, hang_up_s, NEVER_S))
        reading = asyncio.ensure_future(page.stream())
        await _until(lambda: b"first" in page.read)
        await scene(page, gradio)
        page.gone.set()
        await reading
        assert page.sent[0]["type"] == "http.response.start"
        assert all(each["type"] == "http.response.body" for each in page.sent[1:])

    asyncio.run(asyncio.wait_for(played(), NEVER_S))


async def _until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0)


async def _some_time() -> None:
    for _ in range(100):
        await asyncio.sleep(0)


def test_a_stream_brings_the_results_of_later_requests() -> None:
    async def scene(page: Page, gradio: Gradio) -> None:
        for result in (b"second", b"third"):
            await _some_time()
            gradio.results.append(result)
            await page.join(asked("a"))
            await _until(lambda result=result: result in page.read)  # type: ignore[misc]
        assert page.read == [b"first", b"second", b"third"]

    ran(scene)


def test_a_stream_ends_after_its_idle_time() -> None:
    async def scene(page: Page, gradio: Gradio) -> None:
        await _until(lambda: page.ended)

    ran(scene, idle_s=AT_ONCE_S)


def test_a_page_that_hangs_up_ends_its_stream() -> None:
    async def scene(page: Page, gradio: Gradio) -> None:
        page.gone.set()
        await _until(lambda: page.ended)

    ran(scene)


@pytest.mark.parametrize("body", [asked("b"), b"", b"null", b"[" * 100_000], ids=len)
def test_requests_of_others_do_not_keep_it_open(body: bytes) -> None:
    async def scene(page: Page, gradio: Gradio) -> None:
        gradio.results.append(b"of another")
        await page.join(body)
        await _some_time()
        assert page.read == [b"first"]

    ran(scene)


def test_a_request_during_the_end_is_answered_when_the_page_has_hung_up() -> None:
    async def scene(page: Page, gradio: Gradio) -> None:
        await _until(lambda: page.ended)
        joining = asyncio.ensure_future(page.join(asked("a")))
        await _some_time()
        assert not joining.done()
        page.gone.set()
        await joining

    ran(scene, idle_s=AT_ONCE_S)


@pytest.mark.parametrize("body", [asked("b"), b"", b"null", b"[" * 100_000], ids=len)
def test_others_do_not_wait_for_the_end(body: bytes) -> None:
    async def scene(page: Page, gradio: Gradio) -> None:
        await _until(lambda: page.ended)
        await page.join(body)
        assert not page.gone.is_set()

    ran(scene, idle_s=AT_ONCE_S)


def test_a_page_that_never_hangs_up_is_answered_as_well() -> None:
    async def scene(page: Page, gradio: Gradio) -> None:
        await _until(lambda: page.ended)
        await page.join(asked("a"))
        assert page.read[-1] == b""

    ran(scene, idle_s=AT_ONCE_S, hang_up_s=AT_ONCE_S)


def test_nothing_is_kept_of_a_stream_that_is_over() -> None:
    async def played() -> None:
        app = StreamOrder(Gradio(), AT_ONCE_S, AT_ONCE_S, NEVER_S)
        await Page(app).stream()
        assert not app._idle and not app._ending

    asyncio.run(asyncio.wait_for(played(), NEVER_S))
