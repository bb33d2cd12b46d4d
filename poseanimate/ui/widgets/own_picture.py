"""The tile for one's own picture: a file, what is pasted or dropped, the webcam's. Its script is own_picture.js."""

from __future__ import annotations

from pathlib import Path

import cv2
import gradio as gr
import numpy as np
from numpy.typing import NDArray

from poseanimate.media import PICTURE_SUFFIXES, PictureLimits
from poseanimate.ui import texts
from poseanimate.ui.widgets.player import data_url

SCRIPT = Path(__file__).with_suffix(".js")
THUMBNAIL_PX = 160


OPEN_WEBCAM = "() => document.querySelector('#own .pa-camera').dispatchEvent(new Event('open'))"


def own_picture() -> gr.HTML:
    """Its value is the file that was given, as Gradio names it in JSON, while it is read; then it is to be emptied.

    The event `upload`: a file was given.
    """
    words = texts.OWN_PICTURE
    kinds = ",".join(("image/*", *PICTURE_SUFFIXES))
    return gr.HTML(
        "",
        label=words["label"],
        html_template=(
            f'<label class="pa-own" title="{words["kinds"]}"><input type="file" accept="{kinds}">'
            f"<span>{words['label']}</span></label>"
            '<p class="pa-refused pa-sentence pa-error" role="alert" hidden></p>'
            f'<dialog class="pa-camera" aria-label="{texts.WEBCAM}"><video muted playsinline></video>'
            f'<p class="pa-countdown" role="status"></p><p>{words["whole"]}</p><div class="pa-shutter">'
            f'<button type="button" class="pa-now">{words["now"]}</button>'
            f'<button type="button" class="pa-later">{words["later"]}</button>'
            f'<button type="button" class="pa-cancel">{words["cancel"]}</button></div></dialog>'
        ),
        js_on_load=SCRIPT.read_text(encoding="utf-8"),
        path="",
        thumbnail="",
        refused="",
        words=words,
        max_bytes=PictureLimits().max_bytes,
        elem_id="own",
    )


def make_thumbnail(picture: NDArray[np.uint8]) -> str:
    """A picture (H, W, 3), small, as a data URL."""
    factor = min(1, THUMBNAIL_PX / min(picture.shape[:2]))
    small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return data_url(np.asarray(small, np.uint8))
