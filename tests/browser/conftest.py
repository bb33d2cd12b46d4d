"""The page, one for all tests of a process, and a real Chromium, one for each file of tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from helpers.browser import App, app_in, chromium
from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with app_in(tmp_path_factory.mktemp("app")) as app:
        yield app


@pytest.fixture(scope="module")  # its event loop would be in the way of other files' own
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session", autouse=True)
def _workers_end() -> Iterator[None]:
    """Lets handlers end that a closed page has left behind: within torch at exit, they would abort the process."""
    yield
    for thread in threading.enumerate():
        if thread.name.startswith("AnyIO worker"):
            thread.join(WORKERS_S)


WORKERS_S = 10.0  # only ends a hang
