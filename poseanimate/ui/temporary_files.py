"""The page's temporary files, uploads and results: kept while a page shows them, else swept after minutes.

What a page shows is what Gradio has last received from its session and sent to it, and what its requests in line name.
A session counts while the page is open, which a connection tells, and for a while after that. Sweeping happens between
the steps of the server's loop, while no answer is made that may name a file.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from poseanimate.media import VideoLimits
from poseanimate.storage.sweep import sweep
from poseanimate.ui import texts
from poseanimate.ui.page_blocks import PageBlocks

_log = logging.getLogger(__name__)

MAX_BYTES = 4_000_000_000
EVERY_S = 60.0
AGE_S = 600.0  # of what no page shows
CLOSED_S = 3600.0  # after which a closed page, or that of a phone that sleeps, has lost its files
NAMING_S = 0.05
MAX_CLOSED = 1000  # pages that are remembered so long
HEARTBEAT, UPLOAD = "/gradio_api/heartbeat/", "/gradio_api/upload"


class TemporaryFiles:
    """The files of a served page.

    Args:
        folder: Gradio's, of this page alone.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        page: PageBlocks,
        folder: Path,
        max_bytes: int = MAX_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.page, self.folder, self.max_bytes, self.clock = page, folder, max_bytes, clock
        self.used_bytes = 0  # at most
        self._open = Counter[str]()
        self._closed: OrderedDict[str, float] = OrderedDict()

    def opened(self, session: str) -> None:
        """A page has connected."""
        self._open[session] += 1
        self._closed.pop(session, None)

    def closed(self, session: str) -> None:
        """A page has hung up."""
        self._open[session] -= 1
        if self._open[session] <= 0:
            del self._open[session]
            self._closed[session] = self.clock()
            while len(self._closed) > MAX_CLOSED:
                self._closed.popitem(last=False)

    def sweep(self, room_bytes: int = 0) -> None:
        """Removes what nobody needs, and forgets sessions that are over.

        Args:
            room_bytes: what else is to fit.
        """
        busy = self._busy()
        self._forget({str(each.session_hash) for each in busy})
        held = self._held(busy)
        swept = sweep(self.folder, held, self.clock(), AGE_S, self.max_bytes - room_bytes)
        self.used_bytes = swept.left_bytes
        for files in self.page.temp_file_sets:
            files -= swept.removed

    def _busy(self) -> list[Any]:
        """What waits in line or runs."""
        queue = self.page._queue
        lines = [line.queue for line in queue.event_queue_per_concurrency_id.values()]
        return [each for events in (*lines, *queue.active_jobs) for each in events or ()]

    def _held(self, busy: list[Any]) -> set[str]:
        """The files that pages show, or that requests in line name."""
        root, held = str(self.folder), set[str]()
        for block in self.page.blocks.values():
            held |= getattr(block, "keep_in_cache", set())
        for event in busy:
            held.update(_paths(event.data and event.data.data, root))
        for state in list(self.page.state_holder.session_data.values()):
            for config in list(state.components):
                held.update(_paths(config.get("props", {}).get("value"), root))
        return held

    def _forget(self, busy: set[str]) -> None:
        """Gradio keeps a session's state for good, and results that nobody reads."""
        queue, holder = self.page._queue, self.page.state_holder
        known = {*holder.session_data, *queue.pending_messages_per_session}
        for session in known - busy:
            if not self._counts(session):
                with holder.lock:
                    holder.session_data.pop(session, None)
                    holder.time_last_used.pop(session, None)
                queue.pending_messages_per_session.pop(session, None)
                queue.pending_event_ids_session.pop(session, None)
                self.page.forget(session)
        now_s = self.clock()
        for session in [each for each, at in self._closed.items() if now_s - at >= CLOSED_S]:
            del self._closed[session]

    def _counts(self, session: str) -> bool:
        """Whether somebody may still look at a session's page, or fetch its results."""
        now_s = self.clock()
        if session in self._open or now_s - self._closed.get(session, -CLOSED_S) < CLOSED_S:
            return True
        used = self.page.state_holder.time_last_used.get(session)
        return used is not None and 0 <= (datetime.now() - used).total_seconds() < AGE_S

    def takes(self, size: int) -> bool:
        """Whether there is room for an upload; what nobody needs goes, if there isn't."""
        if self.used_bytes + size > self.max_bytes and not self.page.naming:
            self.sweep(size)
        if self.used_bytes + size > self.max_bytes:
            return False
        self.used_bytes += size
        return True

    @asynccontextmanager
    async def keep_swept(self, _: Any) -> AsyncIterator[None]:
        """Sweeps every minute while the server runs."""
        sweeping = asyncio.ensure_future(self._sweep_on())
        try:
            yield
        finally:
            sweeping.cancel()

    async def _sweep_on(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            while self.page.naming:
                await asyncio.sleep(NAMING_S)
            try:
                self.sweep()
            except Exception:
                _log.exception("Temporary files weren't swept.")


class FilesGate:
    """ASGI middleware: tells which pages are open, and refuses uploads that don't fit."""

    def __init__(self, app: ASGIApp, files: TemporaryFiles) -> None:
        self.app, self.files = app, files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].rstrip("/") if scope["type"] == "http" else ""
        if path.startswith(HEARTBEAT):
            session = path.removeprefix(HEARTBEAT)
            self.files.opened(session)
            try:
                await self.app(scope, receive, send)
            finally:
                self.files.closed(session)
        elif path == UPLOAD and not self.files.takes(self._size(scope)):
            _log.warning("Refused: an upload, as the temporary folder is full.")
            await JSONResponse({"detail": texts.NO_ROOM}, 507)(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _size(self, scope: Scope) -> int:
        """In bytes, at most."""
        told = Headers(scope=scope).get("content-length", "")
        return int(told) if re.fullmatch("[0-9]{1,15}", told) else VideoLimits().max_bytes


def _paths(value: Any, root: str) -> Iterator[str]:
    """All texts within a value that begin like a path in a folder."""
    todo = [value]
    while todo:
        each = todo.pop()
        if isinstance(each, str):
            if each.startswith(root):
                yield os.path.abspath(each)
        elif isinstance(each, dict):
            todo += each.values()
        elif isinstance(each, list | tuple):
            todo += each
