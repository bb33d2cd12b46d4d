"""Similarity of pictures: where it is measured, and its limits."""

from __future__ import annotations

import numpy as np
import pytest

from poseanimate.media import similarity


def test_outside_keeps_a_margin_from_every_mask() -> None:
    for side, margin in ((32, 1), (128, 2), (256, 4)):
        one, other = np.zeros((2, side, side), np.float32)
        one[10, 10], other[20, 20] = 1, 0.5
        away = similarity.outside(one, other)
        assert not away[10 - margin, 10] and away[9 - margin, 10]
        assert not away[20, 20 + margin] and away[0, 31]


def test_change_is_measured_where_it_is_asked_for() -> None:
    one, other = np.full((2, 64, 64, 3), 100, np.uint8)
    other[:, 32:] += 10
    left = np.zeros((64, 64), bool)
    left[:, :32] = True
    assert similarity.change(one, other) == 5
    assert similarity.change(one, other, left) == 0 and similarity.change(one, other, ~left) == 10
    assert similarity.change(one, other, np.zeros((64, 64), bool)) == 0


def test_psnr_is_that_of_the_mean_squared_error_and_at_most_99_db() -> None:
    one = np.full((8, 8, 3), 100, np.uint8)
    other = one.copy()
    other[:, 4:] += 2
    right = np.zeros((8, 8), bool)
    right[:, 4:] = True
    assert similarity.psnr_db(one, one) == similarity.psnr_db(one, other, ~right) == 99
    assert similarity.psnr_db(one, other) == pytest.approx(10 * np.log10(255**2 / 2))
    assert similarity.psnr_db(one, other, right) == pytest.approx(10 * np.log10(255**2 / 4))
