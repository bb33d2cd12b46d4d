"""Masks refined to a picture's edges."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from poseanimate.models.guided_filter import refine_mask

SIDES = st.integers(1, 24)


@given(st.data(), SIDES, SIDES, st.integers(1, 9))
def test_masks_stay_masks(data: st.DataObject, height: int, width: int, radius: int) -> None:
    image = data.draw(arrays.arrays(np.uint8, (height, width, 3)))
    mask = data.draw(arrays.arrays(np.float32, (height, width), elements=st.floats(0, 1, width=32)))
    refined = refine_mask(mask, image, radius)
    assert refined.shape == mask.shape and refined.dtype == np.float32
    assert refined.min() >= 0 and refined.max() <= 1


@given(st.data(), st.sampled_from([0.0, 0.5, 1.0]))
def test_an_even_mask_stays_as_it_is(data: st.DataObject, value: float) -> None:
    image = data.draw(arrays.arrays(np.uint8, (20, 30, 3)))
    refined = refine_mask(np.full((20, 30), value, np.float32), image, 4)
    assert np.allclose(refined, value, atol=0.02)


@pytest.mark.parametrize(
    "colours", [((200, 40, 40), (40, 60, 200)), ((90, 90, 90), (120, 120, 120))]
)
def test_a_coarse_mask_is_corrected_at_an_edge_of_the_picture(
    colours: tuple[tuple[int, int, int], tuple[int, int, int]],
) -> None:
    true = np.zeros((128, 128), np.uint8)
    cv2.circle(true, (64, 64), 40, 1, -1)
    image = np.where(true[..., None] > 0, *(np.uint8(colour) for colour in colours))
    coarse = cv2.resize(cv2.resize(true.astype(np.float32), (16, 16)), (128, 128))
    coarse = np.roll(coarse, 3, axis=1)

    def overlap(mask: np.ndarray) -> float:
        return ((mask > 0.5) & (true > 0)).sum() / ((mask > 0.5) | (true > 0)).sum()

    assert overlap(coarse) < 0.93
    assert overlap(refine_mask(coarse, image, 12)) > 0.98
