"""The page, one for all tests of a process, and a real Chromium, one for each file of tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlparse

import pytest
from helpers.browser import App, app_in, chromium, opened
from playwright.sync_api import Browser, Page


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with app_in(tmp_path_factory.mktemp("app")) as app:
        yield app


@pytest.fixture(scope="module")  # its event loop would be in the way of other files' own
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@dataclass
class Visit:
    """What a page did behind the scenes."""

    hosts: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)


@pytest.fixture
def page(app: App, browser: Browser) -> Iterator[Page]:
    """The page, ready; afterwards it must have stayed on this machine and without script errors."""
    app.animator.unheld()
    visit = Visit()
    with browser.new_context(viewport={"width": 1360, "height": 900}) as context:
        context.on("request", lambda request: visit.hosts.add(urlparse(request.url).hostname or ""))
        context.on("weberror", lambda error: visit.errors.append(str(error.error)))
        yield opened(context.new_page(), app.url)
        app.animator.go_on.set()
    assert visit.hosts <= {"127.0.0.1", ""}, "the page asked other machines"
    assert visit.errors == []


@pytest.fixture(scope="session", autouse=True)
def _workers_end() -> Iterator[None]:
    """Lets handlers end that a closed page has left behind: within torch at exit, they would abort the process."""
    yield
    for thread in threading.enumerate():
        if thread.name.startswith("AnyIO worker"):
            thread.join(WORKERS_S)


WORKERS_S = 10.0  # only ends a hang
