"""Servers in a process of their own, as people start them, and a network before one."""

from __future__ import annotations

import asyncio
import http.client
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlparse

import pytest

TIMEOUT_S = 180.0
OTHER_ADDRESS = (
    "127.0.0.2"  # Linux takes it for this machine; who listens at 127.0.0.1 alone is deaf to it
)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def answer(port: int, path: str = "/") -> tuple[int, str]:
    """Status and body of a page; past any proxy."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def listens(port: int, address: str = "127.0.0.1") -> bool:
    with socket.socket() as asked:
        asked.settimeout(TIMEOUT_S)
        return asked.connect_ex((address, port)) == 0


@contextmanager
def started(
    command: Sequence[str],
    folder: Path,
    variables: Mapping[str, str],
    said: Path,
    ready: Callable[[], bool],
) -> Iterator[subprocess.Popen[bytes]]:
    """A process, once it is ready; what it says goes into a file. At the end it is ended, if it hasn't."""
    with (
        said.open("w") as file,
        subprocess.Popen(command, cwd=folder, env=variables, stdout=file, stderr=file) as process,
    ):
        try:
            give_up_s = time.monotonic() + TIMEOUT_S
            while not ready():
                if process.poll() is not None or time.monotonic() > give_up_s:
                    pytest.fail(f"it doesn't serve: {said.read_text()}")
                time.sleep(0.2)
            yield process
        finally:
            process.kill()


@contextmanager
def brought_late(url: str, piece: bytes, late_s: float) -> Iterator[str]:
    """A local server behind a network that holds a piece of its answers back, and what follows on that connection.

    Yields the server's URL there.
    """
    server_port, port = urlparse(url).port, free_port()
    ready, loops = threading.Event(), []

    async def carry(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, held: bytes
    ) -> None:
        try:
            while data := await reader.read(1 << 16):
                if held and held in data:
                    await asyncio.sleep(late_s)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass  # one of the two has hung up
        finally:
            writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        of_server, to_server = await asyncio.open_connection("127.0.0.1", server_port)
        await asyncio.gather(carry(reader, to_server, b""), carry(of_server, writer, piece))

    async def network() -> None:
        over = asyncio.Event()
        loops.append((asyncio.get_running_loop(), over))
        async with await asyncio.start_server(connected, "127.0.0.1", port):
            ready.set()
            await over.wait()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

    thread = threading.Thread(target=lambda: asyncio.run(network()))
    thread.start()
    assert ready.wait(TIMEOUT_S)
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        loop, over = loops[0]
        loop.call_soon_threadsafe(over.set)
        thread.join()
