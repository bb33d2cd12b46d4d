"""The player: clips side by side, in step, frame by frame. Its browser side is player.js.

All frames of a clip are tiles of one picture, so seeking needs no request and clips can't get out of step.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import gradio as gr
import numpy as np
from numpy.typing import NDArray

from poseanimate.media import tiled
from poseanimate.ui import texts

Picture = NDArray[np.uint8]

SCRIPT = Path(__file__).with_suffix(".js")
JPEG_QUALITY = 88
MAX_CLIP_PIXELS = 4_000_000  # of all frames of a clip together
MAX_TILE_PX = 384
NOTHING = False  # empty content; an update with None would change nothing


def player(element_id: str, label: str) -> gr.HTML:
    """The component; empty until it is given `content`.

    Its value is the part that was last chosen by hand, as JSON: {"start_s", "end_s", "number"}; end_s is 0 for the
    clip's own end, and numbers rise. The part to show is its property `part`, likewise; its number is that of the
    value when this part was asked for, so that one that was overtaken is left out.
    """
    return gr.HTML(
        "",
        label=label,
        html_template=f'<div class="pa-player" role="group" aria-label="{label}"></div>',
        js_on_load=SCRIPT.read_text(encoding="utf-8"),
        content=None,
        part=None,
        elem_id=element_id,
    )


def make_content(
    panels: Mapping[str, Sequence[Picture]],
    fps: float,
    start_s: float = 0.0,
    notes: Sequence[str] = (),
    marks: Sequence[float] = (),
    gallery: str | None = None,
    trims: bool = False,
) -> dict[str, Any]:
    """What the player shows.

    Args:
        panels: label → frames (H, W, 3), all of one size and number; a single frame is a still.
        start_s: time of the first frame.
        notes: a few words about each frame. marks: the quality of each, 0 to 1, drawn as bars.
        gallery: label of the panel whose frames are also shown as a strip; None for no strip.
        trims: whether a part can be chosen.
    """
    count = max(len(frames) for frames in panels.values())
    columns = math.ceil(math.sqrt(count))
    height, width = next(iter(panels.values()))[0].shape[:2]
    return {
        "panels": [
            {"label": label, "still": len(frames) == 1, "url": _tile_frames(frames, count, columns)}
            for label, frames in panels.items()
        ],
        "columns": columns,
        "rows": math.ceil(count / columns),
        "count": count,
        "aspect": width / height,
        "fps": fps,
        "start_s": start_s,
        "notes": list(notes),
        "marks": [round(mark, 2) for mark in marks],
        "gallery": None if gallery is None else list(panels).index(gallery),
        "trims": trims,
        "words": texts.PLAYER,
    }


def data_url(picture: Picture) -> str:
    """A picture (H, W, 3) as a JPEG data URL."""
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.tobytes()).decode()


def _tile_frames(frames: Sequence[Picture], count: int, columns: int) -> str:
    """Frames as tiles of one picture, a still as it is."""
    height, width = frames[0].shape[:2]
    room = min(
        MAX_TILE_PX / max(width, height), math.sqrt(MAX_CLIP_PIXELS / (count * width * height))
    )
    factor = math.floor(room) if room >= 1 else room
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    interpolation = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    tiles = [np.asarray(cv2.resize(f, size, interpolation=interpolation), np.uint8) for f in frames]
    return data_url(tiled(tiles, 1 if len(frames) == 1 else columns))
