"""The page's temporary files, uploads and results: kept while a page shows them, else swept after minutes.

What a page shows is what Gradio has last received from its session and sent to it, and what its requests in line name.
A session counts while the page is open, which a connection tells, and for a while after that; Gradio's copy of all
that it shows, megabytes, goes sooner. Sweeping happens between the steps of the server's loop, while no answer is made
that may name a file.
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
from typing import Any, NamedTuple

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from poseanimate.media import VideoLimits
from poseanimate.storage.sweep import JUST_MADE_S, sweep
from poseanimate.ui import texts
from poseanimate.ui.server.memory import give_back
from poseanimate.ui.server.page_blocks import PageBlocks

_log = logging.getLogger(__name__)

MAX_BYTES = 4_000_000_000
EVERY_S = 60.0
AGE_S = 600.0  # of what no page shows
CLOSED_S = 3600.0  # after which a closed page, or that of a phone that sleeps, has lost its files
NAMING_S = 0.05
MAX_SESSIONS = 1000  # whose state is kept, a third of a megabyte each before anything is shown
MAX_CLOSED = 1000  # pages that are remembered so long
HEARTBEAT, UPLOAD = "/gradio_api/heartbeat/", "/gradio_api/upload"


class Shown(NamedTuple):
    """What a session shows: when it was last there, in seconds; whether it is a page's or a program's; the files."""

    last_s: float
    is_page: bool
    paths: frozenset[str]


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
        self._shown: dict[str, Shown] = {}

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

    def sweep(self, room_bytes: int = 0, closed: bool = True) -> None:
        """Removes what nobody needs, and forgets sessions that are over.

        Args:
            room_bytes: what else is to fit. closed: whether closed pages keep their files.
        """
        queue = self.page._queue
        lines = [line.queue for line in queue.event_queue_per_concurrency_id.values()]
        busy = [each for events in (*lines, *queue.active_jobs) for each in events or ()]
        self._look()
        held = {path for event in busy for path in self._paths(event.data and event.data.data)}
        for block in self.page.blocks.values():
            held |= getattr(block, "keep_in_cache", set())
        for session, each in self._shown.items():
            if closed or session in self._open:
                held |= each.paths
        limit = self.max_bytes - room_bytes
        swept = sweep(self.folder, held, self.clock(), AGE_S, limit)
        self.used_bytes = swept.left_bytes
        for files in self.page.temp_file_sets:
            files -= swept.removed
        self._forget({str(each.session_hash) for each in busy})

    def _look(self) -> None:
        """Notes what each session shows, and until when that counts."""
        now_s, today, holder = self.clock(), datetime.now(), self.page.state_holder
        for session, used in list(holder.time_last_used.items()):
            state = holder.session_data.get(session)
            values = (
                [each.get("props", {}).get("value") for each in state.components] if state else []
            )
            paths = frozenset(path for value in values for path in self._paths(value))
            used_s = now_s - max((today - used).total_seconds(), 0)
            is_page = session in self._open or session in self._closed
            last_s = self._closed.get(session, now_s) if is_page else used_s
            self._shown[session] = Shown(last_s, is_page, paths)
        for session in self._shown.keys() & self._open.keys():
            self._shown[session] = self._shown[session]._replace(last_s=now_s)

    def _forget(self, busy: set[str]) -> None:
        """Forgets what Gradio would keep for good: a session's state, and results that nobody reads."""
        queue, holder, now_s = self.page._queue, self.page.state_holder, self.clock()
        for session in [*self._shown]:
            each = self._shown[session]
            past_s = now_s - each.last_s
            if past_s >= (AGE_S if each.is_page else JUST_MADE_S) and session not in busy:
                if session in holder.session_data:
                    self.page.forget(session)
                with holder.lock:
                    holder.session_data.pop(session, None)
                    holder.time_last_used.pop(session, None)
                queue.pending_messages_per_session.pop(session, None)
                queue.pending_event_ids_session.pop(session, None)
            if past_s >= (CLOSED_S if each.is_page else AGE_S) and session not in busy:
                del self._shown[session]
                self._closed.pop(session, None)

    def _paths(self, value: Any) -> Iterator[str]:
        """All texts within a value that begin like a path in the folder."""
        todo, root = [value], str(self.folder)
        while todo:
            each = todo.pop()
            if isinstance(each, str):
                if each.startswith(root):
                    yield os.path.abspath(each)
            elif isinstance(each, dict):
                todo += each.values()
            elif isinstance(each, list | tuple):
                todo += each

    def takes(self, size: int) -> bool:
        """Whether there is room for an upload; if not, what nobody needs goes, then what closed pages had."""
        for closed in (True, False):
            if self.used_bytes + size > self.max_bytes and not self.page.naming:
                self.sweep(size, closed)
        if self.used_bytes + size > self.max_bytes:
            return False
        self.used_bytes += size
        return True

    @asynccontextmanager
    async def keep_swept(self, _: Any) -> AsyncIterator[None]:
        """Sweeps every minute while the server runs, and gives freed memory back."""
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
                give_back()
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
