"""What a serving process leaves behind: nothing. Imported before Gradio and torch, which make folders when imported."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from poseanimate.errors import OutputError
from poseanimate.storage.own_folder import own_folder

# what Gradio and torch read when they need a folder
GRADIO_FOLDER, INDUCTOR = "GRADIO_TEMP_DIR", "TORCHINDUCTOR_CACHE_DIR"


@contextlib.contextmanager
def ends_when_told() -> Iterator[None]:
    """SIGTERM ends the page as an interrupt does, so that it is cleaned up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """All temporary files of this process go into a folder of its own, which is removed at the end.

    Raises:
        OutputError: it can't be made.
    """
    parent = Path(os.environ.get(GRADIO_FOLDER) or tempfile.gettempdir())
    former = tempfile.tempdir, {name: os.environ.get(name) for name in (GRADIO_FOLDER, INDUCTOR)}
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(own_folder(parent))
        except OSError as error:
            raise OutputError(
                f"No temporary folder can be made in {parent} ({error.strerror}).",
                f"Make room there, or name another in {GRADIO_FOLDER}.",
            ) from error
        tempfile.tempdir = str(folder)
        os.environ[GRADIO_FOLDER] = str(folder / "gradio")
        os.environ.setdefault(INDUCTOR, str(folder / "inductor"))
        try:
            yield folder
        finally:
            tempfile.tempdir, variables = former
            for name, value in variables.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value
