"""Previews of an alignment."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from helpers.people import clip, person, travelling

from poseanimate.errors import PictureError
from poseanimate.poses import overlay
from poseanimate.poses.pata import Alignment, align
from poseanimate.poses.skeleton import Pose

EMPTY = Alignment((Pose.absent(),), 0, 12.0, ())


def test_previews_are_large_enough_to_see() -> None:
    picture = np.full((100, 150, 3), 200, np.uint8)
    alignment = align(person().scaled(1 / 6, 1 / 6), clip(travelling()), 100, 100)
    frames = overlay.frames(picture, alignment)
    assert len(frames) == len(alignment.poses)
    assert {frame.shape for frame in frames} == {(300, 450, 3)}
    assert overlay.frames(picture, EMPTY)[0].max() <= 121
    assert frames[0].max() > 200
    # The right shoulder's dot is orange, at three times its place in the picture.
    x, y = (alignment.poses[0].xy[2] * 3).astype(int)
    r, g, b = frames[0][y, x].astype(int)
    assert r > 180
    assert r > g > b + 50
    large = np.zeros((300, 256, 3), np.uint8)
    assert overlay.frames(large, EMPTY)[0].shape == large.shape


def test_the_strip_holds_every_pose() -> None:
    picture = np.full((64, 64, 3), 200, np.uint8)
    alignment = align(person().scaled(0.1, 0.1), clip(travelling(5)), 64, 64)
    count = len(alignment.poses)
    sheet = overlay.strip(picture, alignment, columns=4)
    assert sheet.shape == (math.ceil(count / 4) * 260 - 4, 4 * 260 - 4, 3)
    np.testing.assert_array_equal(sheet[:256, 260:516], overlay.frames(picture, alignment)[1])
    many = replace(alignment, poses=alignment.poses[:1] * 150)
    assert max(overlay.strip(picture, many, columns=1).shape) <= 8192


@pytest.mark.parametrize("shape", [(64, 64), (64, 64, 4), (0, 64, 3)])
def test_previews_refuse_what_is_no_picture(shape: tuple[int, ...]) -> None:
    with pytest.raises(PictureError):
        overlay.frames(np.zeros(shape, np.uint8), EMPTY)
