"""The joint editor: a picture whose joints can be corrected on the page. Its browser side is joints.js."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import gradio as gr
import numpy as np
from numpy.typing import NDArray

from poseanimate.poses.keypoints import people_json
from poseanimate.poses.motion import load_preset
from poseanimate.poses.skeleton import COLOURS, JOINT_NAMES, LIMBS, Pose
from poseanimate.ui import texts
from poseanimate.ui.widgets.player import data_url

SCRIPT = Path(__file__).with_suffix(".js")
STANDING = "squat"  # its first pose is that of a placed skeleton
MIN_SIDE_PX = 384
OUTLINE_PX = 0.5  # tolerance of the simplified outline


def editor() -> gr.HTML:
    """Its value is OpenPose keypoint JSON, the character first; empty while the detected joints are used."""
    return gr.HTML(
        "",
        label=texts.FOUND,
        html_template=(
            '<div class="pa-joints pa-empty">'
            f'<button type="button" class="pa-fix" aria-expanded="false">{texts.FIX_POSE}</button>'
            f'<div class="pa-editor" hidden><svg role="group" aria-label="{texts.FOUND_ALT}"></svg>'
            '<div class="pa-joints-bar"><span class="pa-name" role="status"></span>'
            f'<button type="button" class="pa-place" hidden>{texts.PLACE}</button>'
            '<button type="button" class="pa-zoom" hidden></button>'
            f'<button type="button" class="pa-undo" hidden>{texts.UNDO}</button>'
            f'<button type="button" class="pa-redo" hidden>{texts.REDO}</button>'
            f'<button type="button" class="pa-reset" hidden>{texts.AS_FOUND}</button></div></div></div>'
        ),
        js_on_load=SCRIPT.read_text(encoding="utf-8"),
        content=None,
        elem_id="joints",
    )


def make_content(
    picture: NDArray[np.uint8], people: Sequence[Pose], mask: NDArray[np.float32] | None
) -> dict[str, Any]:
    """What the editor shows: a picture (H, W, 3), the people detected in it, and the character's mask (H, W)."""
    height, width = picture.shape[:2]
    return {
        "picture": data_url(_enlarged(picture)),
        "width": width,
        "height": height,
        "people": people_json(people, width, height),
        "outline": [] if mask is None else _outlines(mask),
        "limbs": LIMBS,
        "colours": [f"rgb{colour}" for colour in COLOURS],
        "names": JOINT_NAMES,
        "standing": _standing(),
        "words": {
            "person": texts.PERSON,
            "missing": texts.MISSING,
            "help": texts.FOUND_HELP,
            "help_touch": texts.FOUND_HELP_TOUCH,
            "zoom": texts.ZOOM,
            "zoom_out": texts.ZOOM_OUT,
        },
    }


def _enlarged(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    factor = max(1, round(MIN_SIDE_PX / min(picture.shape[:2])))
    large = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    return np.asarray(large, np.uint8)


def _outlines(mask: NDArray[np.float32]) -> list[list[float]]:
    """The mask's outer contours, each as x, y, x, y, …"""
    binary = (mask > 0.5).astype(np.uint8)
    contours, _ = cv2.findContours(binary, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    lines = (cv2.approxPolyDP(contour, OUTLINE_PX, True) for contour in contours)
    return [(line + 0.5).ravel().tolist() for line in lines if len(line) > 2]


@cache
def _standing() -> list[list[float]]:
    """A standing person's 18 joints relative to the centre, in body heights."""
    xy = load_preset(STANDING).poses[0].xy
    centred = xy - (xy.min(axis=0) + xy.max(axis=0)) / 2
    units: list[list[float]] = (centred / np.ptp(xy[:, 1])).round(4).tolist()
    return units
