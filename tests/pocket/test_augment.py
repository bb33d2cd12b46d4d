"""What perception is trained on: joints and masks stay on the people, and nobody is nobody."""

from __future__ import annotations

import numpy as np
import pytest

from poseanimate.pocket.training.augment import (
    LabelledPicture,
    add_person,
    join_pictures,
    make_nobody,
    read_rendered,
    reduce_picture,
    vary_picture,
)
from poseanimate.pocket.training.data import RenderedSet, render_set


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> RenderedSet:
    return render_set("train", 24, 128, tmp_path_factory.mktemp("rendered"), 1)


def on_the_mask(seen: LabelledPicture) -> float:
    """The share of visible body joints that lie on the mask or beside it."""
    seen_joints = seen.joints[:, :14].reshape(-1, 3)
    seen_joints = seen_joints[seen_joints[:, 2] > 0]
    near = [
        seen.mask[max(int(y) - 2, 0) : int(y) + 3, max(int(x) - 2, 0) : int(x) + 3].max() > 100
        for x, y, _ in seen_joints
    ]
    return float(np.mean(near))


@pytest.mark.parametrize("columns", [1, 2])
def test_joined_pictures_hold_everybody(pictures: RenderedSet, columns: int) -> None:
    singles = pictures.single[:4]
    seen = join_pictures([read_rendered(pictures, int(i)) for i in singles], columns)
    assert seen.people == 4 and seen.picture.shape == (128, 128, 3)
    assert on_the_mask(seen) > 0.97


def test_reduced_pictures_keep_their_person(pictures: RenderedSet) -> None:
    rng = np.random.default_rng(0)
    for index in pictures.single[:10]:
        whole = read_rendered(pictures, int(index))
        seen = reduce_picture(whole, rng)
        assert seen.people == 1 and on_the_mask(seen) > 0.97
        assert seen.mask.sum() < whole.mask.sum()


def test_somebody_is_added_beside_who_is_there(pictures: RenderedSet) -> None:
    rng = np.random.default_rng(0)
    two = 0
    for one, other in zip(pictures.single[:10], pictures.single[10:20], strict=False):
        before = read_rendered(pictures, int(one))
        seen = add_person(before, read_rendered(pictures, int(other)), rng)
        if seen.people == 2:
            two += 1
            assert seen.mask.sum() > before.mask.sum() and on_the_mask(seen) > 0.97
            visible = seen.joints[seen.joints[:, :, 2] > 0]
            assert (visible[:, :2] >= 0).all() and (visible[:, :2] < 128).all()
    assert two >= 5


def test_nobody_is_nobody(pictures: RenderedSet) -> None:
    rng = np.random.default_rng(0)
    whole = read_rendered(pictures, int(pictures.single[0]))
    kinds = [make_nobody(whole, rng) for _ in range(20)]
    for seen in kinds:
        assert seen.people == 0 and not seen.mask.any()
        assert seen.picture.shape == whole.picture.shape and seen.picture.dtype == np.uint8
        assert not np.array_equal(seen.picture, whole.picture)


def test_a_seed_decides_what_is_varied(pictures: RenderedSet) -> None:
    people = set()
    for index in range(60):
        one, same = (
            vary_picture(pictures, index % 24, np.random.default_rng(index)) for _ in range(2)
        )
        np.testing.assert_array_equal(one.picture, same.picture)
        np.testing.assert_array_equal(one.joints, same.joints)
        people.add(one.people)
    assert {0, 1, 2} <= people
