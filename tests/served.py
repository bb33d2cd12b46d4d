"""Servers in a process of their own, as people start them."""

from __future__ import annotations

import http.client
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

PATIENCE_S = 180.0
OTHER_ADDRESS = (
    "127.0.0.2"  # Linux takes it for this machine; who listens at 127.0.0.1 alone is deaf to it
)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def answer(port: int, path: str = "/") -> tuple[int, str]:
    """Status and body of a page; past any proxy."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def listens(port: int, address: str = "127.0.0.1") -> bool:
    with socket.socket() as asked:
        asked.settimeout(PATIENCE_S)
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
            give_up_s = time.monotonic() + PATIENCE_S
            while not ready():
                if process.poll() is not None or time.monotonic() > give_up_s:
                    pytest.fail(f"it doesn't serve: {said.read_text()}")
                time.sleep(0.2)
            yield process
        finally:
            process.kill()
