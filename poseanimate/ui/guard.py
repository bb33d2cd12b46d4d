"""What stands before Gradio's server: it refuses what the page never sends, and keeps the page's streams in order."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from poseanimate.ui.middleware import Ordered

RECORDING = "/gradio_api/process_recording"  # runs ffmpeg on whatever comes, outside any queue
UPLOAD = "/gradio_api/upload"  # has a limit of its own
MAX_BODY_BYTES = 2_000_000


class Bounded:
    """Refuses requests whose body is larger than any that the page sends; Gradio would read it into memory."""

    def __init__(self, app: ASGIApp, max_bytes: int = MAX_BODY_BYTES) -> None:
        self.app, self.max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = self.max_bytes

        async def counted() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413, f"At most {self.max_bytes} bytes are read.")
            return message

        bounded = scope["type"] == "http" and scope["path"].rstrip("/") != UPLOAD
        await self.app(scope, counted if bounded else receive, send)


async def _closed(_: Request) -> None:
    raise HTTPException(404)


def guarded() -> dict[str, Any]:
    """Arguments for the FastAPI app that Gradio makes."""
    return {
        "openapi_url": None,
        "routes": [Route(path, _closed, methods=["POST"]) for path in (RECORDING, f"{RECORDING}/")],
        "middleware": [Middleware(Bounded), Middleware(Ordered)],
    }
