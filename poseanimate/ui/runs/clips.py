"""Clips for the page: as `media.write_clip`, but strangers are not told where they can't be written."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from poseanimate import media
from poseanimate.errors import OutputError

_log = logging.getLogger(__name__)


def write_clip(frames: Any, path: Path, *args: Any, **more: Any) -> None:
    """Writes a clip; see `media.write_clip`.

    Raises:
        OutputError: it can't be written; the log says where and why.
    """
    try:
        media.write_clip(frames, path, *args, **more)
    except OutputError as error:
        _log.warning("%s", error.message)
        raise OutputError("The clip can't be written.", "Try again in some minutes.") from error
