"""A clip that can't be written."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from poseanimate.errors import OutputError
from poseanimate.ui.runs.clips import write_clip


def test_a_place_that_cannot_be_written_to_is_logged_and_not_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frames = [np.zeros((8, 8, 3), np.uint8)] * 2
    with caplog.at_level(logging.WARNING), pytest.raises(OutputError) as raised:
        write_clip(frames, tmp_path / "none" / "clip.mp4", 8.0)
    assert str(tmp_path) not in str(raised.value) and str(tmp_path) in caplog.text
