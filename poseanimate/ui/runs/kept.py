"""What a browser keeps of a run: its clip with all that it was made of, and a card."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from poseanimate.storage.own_clips import OwnClips
from poseanimate.ui import texts
from poseanimate.ui.runs.run_view import COMPARISON, RunView
from poseanimate.ui.widgets.player import data_url

_log = logging.getLogger(__name__)

CARD_PX = 128  # the longer side of a card's picture


def keep(own_clips: OwnClips, run: RunView, clip: bytes) -> None:
    """Keeps a run's clip for its owner; without either it does nothing.

    Args:
        clip: an MP4 of what the run has made.
    """
    if not (run.owner and clip and run.job is not None):
        return
    compared = run.kind == COMPARISON
    frames = next(iter(run.variants.values())) if compared else run.frames
    title = texts.COMPARED if compared else texts.motion_title(run.name)
    about = texts.card(len(frames), len(frames) / run.fps, run.job.settings.num_inference_steps)
    try:
        bundle = replace(run.job, clip=clip).to_bytes()
        own_clips.put(run.owner, bundle, run.kind, title, about, _small(frames))
    except Exception:  # a run must not fail for it
        _log.exception("A clip wasn't kept for its browser.")


def _small(frames: Sequence[NDArray[np.uint8]]) -> str:
    """The middle frame, small."""
    frame = frames[len(frames) // 2]
    factor = CARD_PX / max(frame.shape[:2])
    size = (max(1, round(frame.shape[1] * factor)), max(1, round(frame.shape[0] * factor)))
    return data_url(np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8))
