"""Characters that were detected or corrected by hand, and the people beside them."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.tiny import ToldEyes
from hypothesis import given, settings
from hypothesis import strategies as st

from poseanimate.errors import NoCharacterError, PictureError, SeveralCharactersError
from poseanimate.inputs.character import find_character, place_character
from poseanimate.pocket.body import Angles
from poseanimate.pocket.world.scene import Rendered, Scene
from poseanimate.poses.keypoints import people_json, read_people
from poseanimate.poses.motion import load_preset
from poseanimate.poses.silhouette import draw_nearest_region
from poseanimate.poses.skeleton import PARENTS, Pose

SIDE = 96


def two() -> tuple[Rendered, np.ndarray, Pose, Pose]:
    """Two scenes side by side: the left one, the mask of both, and both poses on the wide picture."""
    left, right = (Scene.sample("validation", i).render(Angles(), SIDE, SIDE) for i in (1, 2))
    return left, np.hstack([left.mask, right.mask]), left.pose, right.pose.shifted(SIDE, 0)


def test_a_picture_shows_one_person() -> None:
    left, both, pose, other = two()
    segmenter = ToldEyes((), both)
    assert find_character(left.picture, [pose], segmenter, segmenter).pose is pose
    with pytest.raises(NoCharacterError, match="Nobody was found in the picture") as nobody:
        find_character(left.picture, [], segmenter, segmenter)
    with pytest.raises(SeveralCharactersError, match="2 people") as several:
        find_character(left.picture, [pose, other], segmenter, segmenter)
    assert nobody.value.remedy and several.value.remedy


def test_the_mask_leaves_other_people_out() -> None:
    left, both, pose, other = two()
    picture = np.zeros((SIDE, 2 * SIDE, 3), np.uint8)
    character = place_character(picture, [pose, other], ToldEyes((), both))
    assert character.outlined and character.pose.equals(pose)
    assert np.abs(character.mask[:, :SIDE] - left.mask).mean() < 0.005
    assert character.mask[:, SIDE:].mean() < 0.005
    alone = place_character(picture, [pose], ToldEyes((), both))
    assert np.array_equal(alone.mask, both), "without others the mask is the segmenter's"


def test_where_the_segmenter_sees_something_else_the_mask_is_drawn_around_the_joints() -> None:
    left, *_ = two()
    for seen in (np.zeros((SIDE, SIDE), np.float32), 1 - left.mask):
        character = place_character(left.picture, [left.pose], ToldEyes((), seen))
        assert not character.outlined
        inside = character.mask > 0.5
        truth = left.mask > 0.5
        assert (inside & truth).sum() / (inside | truth).sum() > 0.5


def test_three_joints_are_needed() -> None:
    left, *_ = two()
    body = left.pose.body.copy()
    body[2:] = 0
    with pytest.raises(PictureError, match="2 joints"):
        place_character(left.picture, [Pose(body)], ToldEyes((), left.mask))


def test_the_nearest_region_is_what_pixelwise_distances_give() -> None:
    poses = [pose.scaled(24 / 512, 24 / 512) for pose in load_preset("jumping-jacks").poses[:8:7]]
    other = poses[1].shifted(9, 2)
    near = draw_nearest_region(poses[0], [other], 24, 24)
    for y, x in np.ndindex(24, 24):
        own, away = (_distance(each, x, y) for each in (poses[0], other))
        if abs(own - away) > 1.5:  # bones are drawn on whole pixels
            assert near[y, x] == (own < away)


def _distance(pose: Pose, x: int, y: int) -> float:
    point = np.array([x, y], float)
    found = []
    for joint, parent in enumerate(PARENTS):
        if parent >= 0 and joint not in (14, 15, 16, 17):
            a, b = pose.xy[parent], pose.xy[joint]
            along = np.clip(np.dot(point - a, b - a) / max(np.dot(b - a, b - a), 1e-9), 0, 1)
            found.append(float(np.linalg.norm(point - a - along * (b - a))))
    return min(found)


numbers = st.floats(-100, 1000, width=32)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(numbers, numbers, st.floats(0, 1)), min_size=18, max_size=18),
        min_size=1,
        max_size=3,
    )
)
def test_people_come_back_to_the_last_bit(bodies: list[list[tuple[float, float, float]]]) -> None:
    people = [Pose(np.array(body)) for body in bodies]
    back = read_people(people_json(people, 640, 480), 640, 480)
    assert all(a.equals(b) for a, b in zip(people, back, strict=True))


def test_people_of_another_canvas_are_brought_to_the_pictures() -> None:
    pose = load_preset("walk").poses[0]
    (back,) = read_people(people_json([pose], 512, 512), 256, 128)
    assert np.allclose(back.xy, pose.xy * (0.5, 0.25))
