"""Clips frame by frame, and what is seen in a finished one; without a browser."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from helpers.tiny import SIDE, ToldEyes, scene_at_ease
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from poseanimate.events import Aligned
from poseanimate.media import tiled
from poseanimate.poses.accuracy import PCK_RADIUS
from poseanimate.poses.measures import torso_length
from poseanimate.poses.motion import load_preset
from poseanimate.poses.pata import Alignment
from poseanimate.poses.skeleton import Pose
from poseanimate.ui import texts
from poseanimate.ui.input_cache import MAX_PIXELS, _reduced
from poseanimate.ui.runs.review import compare_frames, measure_clip
from poseanimate.ui.widgets import player


def grey(level: int, width: int = 8, height: int = 8) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def decoded(url: str) -> np.ndarray:
    kind, _, data = url.partition("base64,")
    assert kind == "data:image/jpeg;"
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        return np.asarray(picture)


@given(st.integers(1, 30), st.integers(1, 6), st.integers(0, 3))
def test_tiles_lie_in_reading_order(count: int, columns: int, gap: int) -> None:
    sheet = tiled([grey(i, 4, 3) for i in range(count)], columns, gap)
    for i in range(count):
        top, left = i // columns * (3 + gap), i % columns * (4 + gap)
        assert (sheet[top : top + 3, left : left + 4] == i).all()
    assert sheet.shape[1] == columns * (4 + gap) - gap


@pytest.mark.parametrize("count", [1, 2, 5, 24])
def test_every_frame_is_found_where_the_page_looks_for_it(count: int) -> None:
    frames = [grey(8 * i) for i in range(count)]
    content = player.make_content({"still": [grey(250)], "clip": frames}, 12.0)
    still, clip = content["panels"]
    assert still["still"] and (decoded(still["url"]) > 245).all()
    sheet = decoded(clip["url"])
    height, width = sheet.shape[0] // content["rows"], sheet.shape[1] // content["columns"]
    for i in range(count):
        row, column = divmod(i, content["columns"])
        middle = sheet[row * height + height // 2, column * width + width // 2]
        assert abs(int(middle[0]) - 8 * i) <= 3


def test_a_long_clip_stays_small() -> None:
    content = player.make_content({"clip": [grey(100, 512, 768)] * 240}, 12.0)
    height, width = decoded(content["panels"][0]["url"]).shape[:2]
    assert height * width <= 1.1 * player.MAX_CLIP_PIXELS


def aligned_walk(frames: int = 4) -> Aligned:
    scene = scene_at_ease()
    poses = tuple(pose.scaled(SIDE / 256, SIDE / 256) for pose in load_preset("walk").poses)
    alignment = Alignment((scene.pose, *poses[: frames - 1]), 0, 12.0, ())
    return Aligned(alignment, scene.picture, scene.mask)


def test_a_stopped_clip_is_shown_as_far_as_it_is() -> None:
    aligned = aligned_walk()
    content = compare_frames(aligned, [aligned.picture, grey(9, SIDE, SIDE)])
    assert (
        content["count"] == 2 and content["panels"][content["gallery"]]["label"] == texts.SIDE_CLIP
    )


def test_joints_and_background_are_measured_in_the_clip() -> None:
    aligned = aligned_walk(3)
    mask = np.zeros((SIDE, SIDE), np.float32)
    mask[:, : SIDE // 2] = 1
    source = grey(100, SIDE, SIDE)
    changed = source.copy()
    changed[:, SIDE // 2 + 8 :] += 4
    changed[:, : SIDE // 2] = 250  # the character's half counts nothing
    aligned = Aligned(aligned.alignment, source, mask)
    eyes = ToldEyes((aligned.alignment.poses[1],), mask)
    measured = measure_clip(aligned, [source, changed, changed], [mask] * 3, eyes.detect)
    said = texts.review(measured)
    share = (SIDE // 2 - 8) / (SIDE // 2 - 1)  # a margin at the mask's edge counts nothing either
    assert f"{4 * share:.1f} grey levels from the picture" in said
    assert f"{2 * share:.1f} from frame to frame" in said
    steps = aligned.alignment.poses
    off = np.linalg.norm(steps[1].xy - steps[2].xy, axis=1)[steps[2].visible()]
    off /= torso_length(steps[2])
    assert f"{np.minimum(off, 1).mean() / 2:.3f} torso lengths" in said
    right = (1 + (off <= PCK_RADIUS).mean()) / 2
    assert f"Pose accuracy {100 * right:.0f} %" in texts.verdict(measured)


def test_where_no_joint_is_wanted_none_is_measured() -> None:
    nobody = Pose(np.zeros((18, 3)))
    scene = scene_at_ease()
    aligned = Aligned(Alignment((scene.pose, nobody), 0, 12.0, ()), scene.picture, scene.mask)
    eyes = ToldEyes((scene.pose,), scene.mask)
    measured = measure_clip(aligned, [scene.picture] * 2, [scene.mask] * 2, eyes.detect)
    said = texts.review(measured)
    assert "torso" not in said and "0.0 grey levels" in said
    assert "Background steady" in texts.verdict(measured)
    assert "accuracy" not in texts.verdict(measured)


@given(st.integers(1, 600), st.integers(1, 300), st.integers(1, 300))
def test_remembered_frames_have_a_bound(count: int, width: int, height: int) -> None:
    small = _reduced(np.zeros((height, width, 3), np.uint8), count)
    assert count * (small.shape[0] - 1) * (small.shape[1] - 1) <= MAX_PIXELS
