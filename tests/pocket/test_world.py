"""The pocket world: splits share nobody, renderings repeat, masks and joints agree."""

from __future__ import annotations

import re
from dataclasses import replace

import cv2
import numpy as np
import pytest

from poseanimate.pocket.body import Angles, Proportions, joints
from poseanimate.pocket.places import WHERE
from poseanimate.pocket.training.nets import caption_words
from poseanimate.pocket.world.assets import CHARACTERS, VIDEOS
from poseanimate.pocket.world.canvas import Canvas
from poseanimate.pocket.world.doll import LETTERS
from poseanimate.pocket.world.scene import SPLITS, Scene, random_angles, split_of

SCENES = 400
SIZE = 128
LIMBS = range(2, 14)


def identity(scene: Scene) -> tuple[object, ...]:
    """What one recognises: the person's look and the place."""
    return scene.look, scene.place


@pytest.fixture(scope="module")
def scenes() -> dict[str, list[Scene]]:
    return {split: [Scene.sample(split, i) for i in range(SCENES)] for split in SPLITS}


def test_a_view_is_that_part_of_the_whole() -> None:
    for index in range(5):
        scene, rng = Scene.sample("train", index), np.random.default_rng(index)
        angles = random_angles(rng)
        side, view = scene.close_up(SIZE, rng)
        left, top, width, height = view
        assert min(left, top) >= 0 and max(left + width, top + height) <= side
        whole, part = scene.render(angles, side, side), scene.render(angles, side, side, view)
        inside = np.s_[top : top + height, left : left + width]
        # OpenCV's antialiasing differs where a shape is clipped
        assert np.abs(part.picture.astype(float) - whole.picture[inside]).mean() < 0.05
        assert np.abs(part.mask - whole.mask[inside]).mean() < 2e-4
        moved = whole.pose.body[:, :2] - (left, top)
        both = part.pose.visible()
        assert np.allclose(part.pose.body[both, :2], moved[both])
        out = ((moved < 0) | (moved >= SIZE)).any(axis=1)
        assert not both[out].any() and both[~out & whole.pose.visible()].all()


def test_close_ups_are_of_large_characters(scenes: dict[str, list[Scene]]) -> None:
    rng = np.random.default_rng(0)
    shares, cut = [], 0
    for scene in scenes["train"][:200]:
        side, view = scene.close_up(SIZE, rng)
        shares.append(scene.height * side / SIZE)
        pose = scene.pose(Angles(), side, side, view)
        cut += not pose.visible()[2:14].all()
    assert min(shares) > 0.54 and max(shares) < 0.99 and 0 < cut < 60


def test_splits_share_no_identity(scenes: dict[str, list[Scene]]) -> None:
    identities = {split: {identity(s) for s in members} for split, members in scenes.items()}
    for split in SPLITS:
        assert len(identities[split]) > 0.98 * SCENES
        for other in SPLITS:
            assert split == other or not identities[split] & identities[other]


def test_who_is_shown_and_measured_looks_like_nobody_in_training() -> None:
    trained = {Scene.sample("train", index).look for index in range(40_000)}
    shown = [*CHARACTERS.values(), *(scene for _, scene in VIDEOS.values())]
    measured = [("held-out", index) for index in range(24)]
    assert not trained & {Scene.sample(*scene).look for scene in [*shown, *measured]}
    lookalikes = [i for i in range(1000) if Scene.sample("held-out", i).look in trained]
    assert lookalikes == [47]


def test_an_identity_decides_its_split(scenes: dict[str, list[Scene]]) -> None:
    for split, members in scenes.items():
        assert {split_of(s.doll, s.place) for s in members} == {split}


def test_every_split_holds_every_kind_and_place(scenes: dict[str, list[Scene]]) -> None:
    for members in scenes.values():
        assert {s.place for s in members} == set(WHERE)
        assert {s.doll.kind for s in members} == {"boy", "girl"}


def test_every_split_holds_what_is_hard(scenes: dict[str, list[Scene]]) -> None:
    for members in scenes.values():
        for kind, low, high in (
            ("small", 0.1, 0.3),
            ("at the edge", 0.1, 0.3),
            ("lettered", 0.15, 0.35),
        ):
            assert low < np.mean([kind in s.kinds for s in members]) < high
        assert {s.doll.top_pattern for s in members} >= {"plain", "striped", "star", *LETTERS}
        assert all(0.36 <= s.height <= 0.8 and 0.12 <= s.x <= 0.88 for s in members)
        assert any(not s.kinds for s in members)


def test_letters_stand_on_the_shirt_alone_and_no_two_look_alike() -> None:
    scene = next(s for s in (Scene.sample("train", i) for i in range(99)) if "lettered" in s.kinds)
    own = scene.render(Angles(), SIZE, SIZE)
    others = scene.relettered()
    patterns = {scene.doll.top_pattern, *(s.doll.top_pattern for s in others)}
    assert patterns == {"plain", *LETTERS}
    pictures = [own.picture, *(s.render(Angles(), SIZE, SIZE).picture for s in others)]
    for i, one in enumerate(pictures):
        for other in pictures[i + 1 :]:
            differs = (one != other).any(axis=2)
            assert differs.sum() > 20
            assert (own.mask[differs] == 1).all()
    plain = next(s for s in (Scene.sample("train", i) for i in range(99)) if not s.kinds)
    assert plain.relettered() == ()


def test_other_dyes_change_garments_alone() -> None:
    for index in range(20):
        scene = Scene.sample("train", index)
        own, dyed = scene.render(Angles(), SIZE, SIZE), scene.dyed()
        assert set(dyed) == {"top", "trim", "bottom"}
        for what, other in dyed.items():
            off = np.abs(own.picture.astype(int) - other.render(Angles(), SIZE, SIZE).picture)
            differs = (
                off.max(axis=2) > 1
            )  # a trace of coverage is a grey level, but none of the mask
            assert (own.mask[differs] > 0).all()
            assert differs.any() or (what == "trim" and scene.doll.top_pattern == "plain")


def test_captions_name_the_letter() -> None:
    doll = replace(Scene.sample("train", 0).doll, top_pattern="Z", trim_colour="white")
    assert " shirt with a white Z, " in doll.caption()


def test_different_numbers_give_different_scenes(scenes: dict[str, list[Scene]]) -> None:
    for members in scenes.values():
        assert len({s.place_seed for s in members}) == SCENES


@pytest.mark.parametrize("split", SPLITS)
def test_a_scene_repeats_to_the_byte(split: str) -> None:
    angles = random_angles(np.random.default_rng(5))
    first, second = (Scene.sample(split, 17).render(angles, SIZE, SIZE) for _ in range(2))
    assert np.array_equal(first.picture, second.picture)
    assert np.array_equal(first.mask, second.mask)
    assert first.pose.equals(second.pose)


def test_a_rendering_has_the_promised_form() -> None:
    rendered = Scene.sample("train", 3).render(Angles(), 96, 160)
    assert rendered.picture.shape == (160, 96, 3) and rendered.picture.dtype == np.uint8
    assert rendered.mask.shape == (160, 96) and rendered.mask.dtype == np.float32
    assert rendered.mask.min() == 0.0 and rendered.mask.max() == 1.0


@pytest.mark.parametrize("index", range(40))
def test_limbs_lie_inside_the_mask(index: int) -> None:
    scene = Scene.sample(SPLITS[index % 3], index)
    rendered = scene.render(random_angles(np.random.default_rng(index)), SIZE, SIZE)
    outside = (rendered.mask < 0.5).astype(np.uint8)
    distance_px = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    seen = [joint for joint in LIMBS if rendered.pose.visible()[joint]]
    assert len(seen) >= 6
    for x, y in rendered.pose.xy[seen]:
        assert distance_px[int(y), int(x)] <= 2.0


@pytest.mark.parametrize("index", range(20))
def test_a_pose_changes_nothing_outside_mask_and_shadow(index: int) -> None:
    scene = Scene.sample(SPLITS[index % 3], index)
    rendered = scene.render(random_angles(np.random.default_rng(index)), SIZE, SIZE)
    background = scene.background(SIZE, SIZE).picture()
    # Reduction may round a trace of coverage to 0 in the mask but not in the picture.
    free = cv2.dilate((rendered.mask > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) == 0
    middle = (scene.ground - 0.008 * scene.height) * SIZE
    rows = np.arange(SIZE) + 0.5
    free[np.abs(rows - middle) <= 1.35 * 0.024 * scene.height * SIZE + 1] = False
    assert free.mean() > 0.3
    assert np.array_equal(rendered.picture[free], background[free])
    assert not np.array_equal(rendered.picture[rendered.mask == 1], background[rendered.mask == 1])


def test_a_shadow_darkens_what_is_under_it_and_nothing_else() -> None:
    canvas = Canvas(64, 48)
    canvas.gradient(0, 48, (200, 150, 100), (100, 150, 200))
    before = canvas.picture().astype(float)
    canvas.masked = True
    canvas.shadow((30, 20), (10, 5), 0.5)
    canvas.shadow((-40, 20), (10, 5), 0.5)  # outside
    after = canvas.picture().astype(float)
    y, x = np.mgrid[:48, :64] + 0.5
    away = np.hypot((x - 30) / 10, (y - 20) / 5)
    assert (after[away > 1.15] == before[away > 1.15]).all()
    assert (after[away < 0.7] < before[away < 0.7]).all()
    assert after[20, 30] == pytest.approx(before[20, 30] / 2, abs=3)
    assert not canvas.mask().any()


def test_poses_scale_with_the_picture() -> None:
    scene = Scene.sample("held-out", 4)
    small, large = scene.pose(Angles(), 128, 128), scene.pose(Angles(), 512, 512)
    assert np.allclose(4 * small.xy, large.xy)


def test_joints_outside_the_picture_are_absent() -> None:
    scene = Scene.sample("train", 0)
    pose = scene.pose(Angles(travel=-5.0), 128, 128)
    assert not pose.visible().any()


def test_a_face_turned_away_hides_its_far_ear() -> None:
    _, ahead = joints(Proportions(), Angles())
    _, right = joints(Proportions(), Angles(turn=1.0))
    _, left = joints(Proportions(), Angles(turn=-1.0))
    assert ahead.all()
    assert right[16] and not right[17]
    assert left[17] and not left[16]


def test_captions_use_known_words_only(scenes: dict[str, list[Scene]]) -> None:
    known = set(caption_words())
    for members in scenes.values():
        for scene in members:
            # CLIP's tokenizer reads small letters
            assert set(re.findall(r"[^\s,]+|,", scene.caption.lower())) <= known
            assert scene.caption.endswith(WHERE[scene.place])


def test_blending_poses_meets_both_ends() -> None:
    one, other = Angles(lean=10.0, lift=0.1), Angles(lean=-20.0, turn=1.0)
    assert one.blend(other, 0.0) == one
    assert one.blend(other, 1.0) == other
    assert one.blend(other, 0.5).lean == pytest.approx(-5.0)
