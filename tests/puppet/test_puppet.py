"""The puppet: cut out, moved, laid over the clean plate."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from poseanimate.pocket.body import Angles
from poseanimate.pocket.world.motions import sample_motion
from poseanimate.pocket.world.scene import Rendered, Scene
from poseanimate.poses.skeleton import JOINTS, L_SHOULDER, NECK, R_SHOULDER, R_WRIST, Pose
from poseanimate.puppet import parts, plate
from poseanimate.puppet.areas import (
    CHAINS,
    HEAD,
    LIMBS,
    TORSO,
    follow_edges,
    pixel_grid,
    to_segment,
)
from poseanimate.puppet.head import Head, is_turned
from poseanimate.puppet.moves import Bone, Joint, fit_affine
from poseanimate.puppet.parts import CLOTH, THROAT, cut
from poseanimate.puppet.puppet import Puppet, order_parts

SIDE = 192
MOTIONS = ("walk", "wave", "jumping-jacks", "squat")


def source(index: int = 0, side: int = SIDE) -> tuple[Scene, Rendered, Puppet]:
    scene = Scene.sample("validation", index)
    seen = scene.render(Angles(), side, side)
    return scene, seen, Puppet(seen.picture, seen.mask, seen.pose)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(np.square(a / 255.0 - b / 255.0).mean() + 1e-12))


# --- the whole puppet ---


@pytest.mark.parametrize("index", range(4))
def test_in_its_own_pose_the_figure_is_the_picture(index: int) -> None:
    _, seen, puppet = source(index)
    assert psnr(puppet.frame(seen.pose), seen.picture) > 31
    assert overlap(puppet.draw(seen.pose)[..., 3] > 127, seen.mask > 0.5) > 0.98


@pytest.mark.parametrize("motion", MOTIONS)
def test_it_stands_where_the_true_figure_stands(motion: str) -> None:
    overlaps, looks = [], []
    for index in range(3):
        scene, _, puppet = source(index)
        for angles in sample_motion(motion, 4):
            true = scene.render(angles, SIDE, SIDE)
            inside = true.mask > 0.5
            overlaps.append(overlap(puppet.draw(true.pose)[..., 3] > 127, inside))
            looks.append(psnr(puppet.frame(true.pose)[inside], true.picture[inside]))
    # a skeleton's hull reaches 0.83 (docs/draft.md)
    assert np.mean(overlaps) > (0.8 if motion == "walk" else 0.88)
    assert np.mean(looks) > (14 if motion == "walk" else 17)


def test_the_first_frame_is_the_picture_itself() -> None:
    _, seen, puppet = source()
    first, second = puppet.frames([seen.pose, seen.pose.shifted(9, 0)])
    assert np.array_equal(first, seen.picture)
    assert np.array_equal(second, puppet.frame(seen.pose.shifted(9, 0)))


def test_cut_outs_over_the_plate_are_the_frames() -> None:
    _, seen, puppet = source()
    poses = [seen.pose, seen.pose.shifted(9, 0)]
    first, second = (each.astype(float) for each in puppet.cut_outs(poses))
    assert np.array_equal(first[..., :3], seen.picture)
    assert np.abs(first[..., 3] / 255 - seen.mask).max() < 1 / 500
    share = second[..., 3:] / 255
    over = share * second[..., :3] + (1 - share) * puppet.plate
    assert np.abs(over - puppet.frame(poses[1])).max() < 2
    # beyond the edge colours go on, so that none is mixed with black
    edge = (share[..., 0] == 0) & (cv2.dilate(share[..., 0], np.ones((3, 3))) > 0.5)
    assert second[edge, :3].sum(axis=1).min() > 0


@settings(max_examples=10, deadline=None)
@given(index=st.integers(0, 200), motion=st.sampled_from(("wave", "squat", "jumping-jacks")))
def test_a_figure_that_does_not_turn_is_believed(index: int, motion: str) -> None:
    scene, seen, puppet = source(index, 128)
    pose = scene.pose(sample_motion(motion, 5)[2], 128, 128)
    assume(not is_turned(pose, seen.pose))  # an arm before an ear looks like a turn: 4 of 603
    believed, doubtful, left = puppet.belief(pose)
    figure = puppet.silhouette(pose)
    assert np.abs(believed - figure).max() < 0.02
    assert doubtful.max() < 1e-5
    assert np.abs(left - seen.mask * (1 - figure)).max() < 0.02


def test_of_a_figure_that_turns_the_limbs_alone_are_believed() -> None:
    scene, seen, puppet = source(1, 128)
    pose = scene.pose(Angles(turn=0.9, right_shoulder=90), 128, 128)
    believed, doubtful, ground = puppet.belief(pose)
    nose, neck = (tuple(pose.xy[joint].round().astype(int)[::-1]) for joint in (0, NECK))
    assert believed[nose] == believed[neck] == 0
    assert min(doubtful[nose], doubtful[neck]) > 0.9
    wrist = tuple(pose.xy[R_WRIST].round().astype(int)[::-1])
    assert believed[wrist] > 0.9
    left = (seen.mask == 1) & (puppet.silhouette(pose) == 0)
    assert left.any() and (ground[left] == 1).all()


def test_a_shifted_pose_shifts_the_figure() -> None:
    _, seen, puppet = source(1)
    moved = puppet.draw(seen.pose.shifted(12, -5))
    there = np.zeros_like(moved)
    there[:-5, 12:] = puppet.draw(seen.pose)[5:, :-12]
    assert np.abs(moved.astype(int) - there)[10:-10, 20:-20].max() <= 3


def test_colours_are_multiplied_by_alpha() -> None:
    _, seen, puppet = source(2)
    drawn = puppet.draw(seen.pose.shifted(3.5, 0.25)).astype(int)
    assert (drawn[..., :3] <= drawn[..., 3:] + 1).all()


def test_outside_the_old_and_the_new_figure_every_pixel_is_the_pictures() -> None:
    scene, seen, puppet = source(3)
    pose = scene.render(sample_motion("wave", 4)[2], SIDE, SIDE).pose
    old = cv2.dilate((seen.mask > 0).astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
    new = puppet.draw(pose)[..., 3] > 0
    untouched = ~old & ~new
    assert untouched.mean() > 0.4
    assert np.array_equal(puppet.frame(pose)[untouched], seen.picture[untouched])


coordinates = st.floats(-600, 800, allow_nan=False, width=32)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(coordinates, coordinates, st.sampled_from([0.0, 1.0])),
        min_size=JOINTS,
        max_size=JOINTS,
    ),
    st.integers(0, 3),
)
def test_any_pose_gives_a_frame(joints: list[tuple[float, float, float]], kind: int) -> None:
    pose = Pose(np.array(joints, float))
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (64, 48, 3), np.uint8)
    mask = np.zeros((64, 48), np.float32)
    if kind == 1:
        mask[:] = 1
    elif kind == 2:
        mask[20:40, 20:21] = 1
    elif kind == 3:
        mask[:] = rng.random((64, 48))
    for puppet_pose, target in (
        (pose, pose),
        (pose, pose.shifted(5, 5)),
        (Pose.absent(), pose),
        (pose, Pose.absent()),
    ):
        frame = Puppet(picture, mask, puppet_pose).frame(target)
        assert frame.shape == picture.shape and frame.dtype == np.uint8


far = st.floats(-1e5, 1e5, allow_nan=False, width=32)


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 60),
    st.sampled_from(["none", "all", "two joints", "huge", "thin", "one pixel"]),
    st.lists(st.tuples(far, far), min_size=JOINTS, max_size=JOINTS),
    st.sets(st.integers(0, JOINTS - 1), max_size=JOINTS),
)
def test_bad_input_gives_whole_frames(
    index: int, kind: str, away: list[tuple[float, float]], hidden: set[int]
) -> None:
    seen = Scene.sample("validation", index).render(Angles(), 96, 96)
    mask, pose = seen.mask.copy(), seen.pose
    if kind in ("none", "all"):
        mask[:] = kind == "all"
    elif kind == "two joints":
        body = np.zeros((JOINTS, 3))
        body[[2, 3]] = pose.body[[2, 3]]
        pose = Pose(body)
    elif kind == "huge":  # ten times as large as the picture
        pose = pose.scaled(10, 10).shifted(-400, -400)
        mask[:] = 1
    elif kind == "thin":  # limbs a pixel wide
        mask[:] = 0
        for start, end in LIMBS.values():
            ends = [tuple(int(x) for x in pose.xy[joint].round()) for joint in (start, end)]
            cv2.line(mask, *ends, 1.0)
    elif kind == "one pixel":
        mask[:] = 0
        mask[40, 50] = 1
    target = pose.body.copy()
    target[:, :2] = away
    target[list(hidden), 2] = 0
    puppet = Puppet(seen.picture, mask, pose)
    for other in (pose, Pose(target), seen.pose, Pose.absent()):
        assert puppet.frame(other).shape == seen.picture.shape
        belief = puppet.belief(other)
        assert np.isfinite(belief).all() and belief.min() >= 0
        assert belief.sum(axis=0).max() <= 1 + 1e-5
        (_, drawn) = puppet.cut_outs([pose, other])
        assert drawn.shape == (96, 96, 4)


def test_without_a_mask_the_picture_stays() -> None:
    _, seen, _ = source()
    puppet = Puppet(seen.picture, np.zeros_like(seen.mask), seen.pose)
    assert np.array_equal(puppet.frame(seen.pose.shifted(9, 4)), seen.picture)
    assert puppet.silhouette(seen.pose).max() == 0


def test_two_joints_are_enough_for_a_part() -> None:
    _, seen, _ = source()
    body = np.zeros((JOINTS, 3))
    body[[2, 3]] = seen.pose.body[[2, 3]]
    found = cut(seen.picture, seen.mask, Pose(body))
    assert list(found) == ["right upper arm", "left upper arm"]  # the other one is its mirror's
    assert np.array_equal(found["right upper arm"].over(SIDE, SIDE)[..., 3] > 127, seen.mask > 0.5)
    assert cut(seen.picture, seen.mask, Pose.absent()) == {}


# --- parts ---


def test_parts_together_are_the_figure() -> None:
    for index in range(4):
        _, seen, puppet = source(index)
        alphas = [part.over(SIDE, SIDE)[..., 3] for part in puppet.parts.values()]
        whole = np.max(alphas, axis=0)
        assert overlap(whole > 127, seen.mask > 0.5) > 0.985
        assert {*LIMBS, HEAD, TORSO, THROAT} <= puppet.parts.keys()


def test_each_limb_holds_its_own_bones() -> None:
    _, seen, puppet = source()
    for name, (start, end) in LIMBS.items():
        for share in (0.3, 0.5, 0.7):
            x, y = (
                (seen.pose.xy[start] * (1 - share) + seen.pose.xy[end] * share).round().astype(int)
            )
            assert puppet.parts[name].over(SIDE, SIDE)[y, x, 3] > 200, name


def test_skirts_hang_over_both_legs_and_trousers_do_not() -> None:
    scenes = [Scene.sample("validation", index) for index in range(60)]
    for scene in scenes:
        seen = scene.render(Angles(right_hip=14, left_hip=14), 256, 256)
        skirt = scene.doll.bottom_style == "skirt"
        assert (CLOTH in cut(seen.picture, seen.mask, seen.pose)) == skirt
    assert {scene.doll.bottom_style for scene in scenes} == {"trousers", "shorts", "skirt"}


@given(st.integers(-6, 6), st.booleans())
def test_borders_follow_the_pictures_edges_and_stay_without_them(away: int, edge: bool) -> None:
    columns = np.arange(60)
    believed = np.tile((columns >= 30).astype(np.int32), (40, 1))
    picture = np.full((40, 60, 3), 120, np.uint8)
    if edge:
        picture[:, columns >= 30 + away] = (200, 60, 30)
    unknown = np.tile(abs(columns - 29.5) < 9, (40, 1))
    figure = np.tile((columns > 2) & (columns < 57), (40, 1))
    found = follow_edges(picture, figure, believed, unknown)
    assert (found[~unknown] == believed[~unknown]).all()
    border = 60 - found[5:-5].sum(axis=1)  # the smoothing rounds corners
    assert abs(border - (30 + away * edge)).max() <= 2


def test_limbs_of_which_nothing_is_seen_are_the_mirrors() -> None:
    _, seen, _ = source(1)
    body = seen.pose.body.copy()
    body[[6, 7], 2] = 0
    found = cut(seen.picture, seen.mask, Pose(body))
    twin, mirror = found["right upper arm"], found["left upper arm"]
    np.testing.assert_allclose(mirror.source[0], seen.pose.xy[5], atol=1)
    np.testing.assert_allclose(
        (mirror.source[1] - mirror.source[0]) * (-1, 1), twin.source[1] - twin.source[0]
    )
    assert np.array_equal(mirror.layer[:, ::-1], twin.layer)
    np.testing.assert_allclose(found["left forearm"].source[0], mirror.source[1], atol=1)
    # the mirror's pixels are about its own bone
    middle = mirror.source.mean(axis=0) - (mirror.left, mirror.top)
    assert mirror.layer[round(middle[1]), round(middle[0]), 3] > 200
    body[7, 2] = 1  # a hand is seen: the arm is somewhere else in the picture
    assert "left upper arm" not in cut(seen.picture, seen.mask, Pose(body))


def test_distances_from_a_segment() -> None:
    points = np.array([[0, 3], [5, -2], [13, 4], [10, 0]], np.float32)
    away = to_segment(points, np.array([0.0, 0.0]), np.array([10.0, 0.0]))
    np.testing.assert_allclose(away, [3, 2, 5, 0], atol=1e-5)
    np.testing.assert_allclose(to_segment(points[:1], np.zeros(2), np.zeros(2)), [3])


# --- moves ---


@given(st.floats(-3, 3), st.floats(0.5, 2), st.floats(-20, 20), st.floats(-20, 20))
def test_a_bone_carries_its_points_along(turn: float, scale: float, x: float, y: float) -> None:
    a, b = np.array([3.0, 4.0]), np.array([23.0, 14.0])
    rotation = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shift = np.array([x, y])
    points = np.array([[5.0, 9.0], [3.0, 4.0], [30.0, 20.0], [-4.0, 1.0]])
    to = (points @ rotation.T + shift).astype(np.float32)
    back = Bone((a, b), (rotation @ a + shift, rotation @ b + shift)).back(to, scale)
    np.testing.assert_allclose(back, points, atol=2e-3)


def test_a_longer_bone_stretches_along_itself_alone() -> None:
    source_bone = np.array([0.0, 0.0]), np.array([10.0, 0.0])
    target_bone = np.array([0.0, 0.0]), np.array([20.0, 0.0])
    points = np.array([[10.0, 3.0], [20.0, -2.0], [24.0, 0.0], [-2.0, 0.0]], np.float32)
    back = Bone(source_bone, target_bone).back(points, 1.0)
    np.testing.assert_allclose(back, [[5, 3], [10, -2], [14, 0], [-2, 0]], atol=1e-5)


@given(st.floats(-2.6, 2.6), st.floats(0.5, 2))
def test_bent_limbs_keep_their_width_around_the_joint(turn: float, scale: float) -> None:
    source_bone = np.array([10.0, 0.0]), np.array([20.0, 0.0])
    end = 10 * scale * np.array([np.cos(turn), np.sin(turn)])
    joint = Joint(Bone(source_bone, (np.zeros(2), end)), np.array([1.0, 0.0]), 3.0 * scale)
    angles = np.linspace(0, 2 * np.pi, 60)
    around = (np.stack([np.cos(angles), np.sin(angles)], -1) * 2 * scale).astype(np.float32)
    first = around / np.float32(scale) + np.array(
        [10, 0], np.float32
    )  # the bone before isn't turned
    share = joint.share(around)
    back = joint.back(around, first, 0.0, share, scale)
    away = np.linalg.norm(back - (10, 0), axis=-1)
    np.testing.assert_allclose(away, 2, atol=1e-3)
    assert share.min() < 0.5 < share.max()
    np.testing.assert_allclose(joint.near(around), 1)


@given(st.floats(-3, 3), st.floats(0.5, 2), st.integers(2, 5))
def test_a_similar_body_is_placed_exactly(turn: float, scale: float, count: int) -> None:
    joints = np.array([[0, 0], [10, 2], [-9, 3], [6, 30], [-5, 31]], float)[:count]
    rotation = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    target = joints @ rotation.T + (4, 7)
    matrix = fit_affine(target, joints, 0.02, 0.5)
    np.testing.assert_allclose(target @ matrix[:, :2].T + matrix[:, 2], joints, atol=1e-4 * 40)


@given(st.lists(st.tuples(coordinates, coordinates), min_size=10, max_size=10))
def test_a_placed_body_is_neither_mirrored_nor_crushed(points: list[tuple[float, float]]) -> None:
    target, joints = np.array(points[:5], float), np.array(points[5:], float)
    matrix = fit_affine(target, joints, 0.02, 0.5)
    assert np.isfinite(matrix).all()
    stretches = np.linalg.svd(matrix[:, :2], compute_uv=False)
    assert np.linalg.det(matrix[:, :2]) > 0 and stretches[0] / stretches[1] < 4.01


# --- heads and orders ---


@pytest.mark.parametrize("turn", [-1.0, -0.5, 0.0, 0.5, 1.0])
@pytest.mark.parametrize("tilt", [-20.0, 0.0, 12.0])
def test_a_heads_tilt_and_turn_are_found(turn: float, tilt: float) -> None:
    pose = Scene.sample("validation", 0).render(Angles(head=tilt, turn=turn), 384, 384).pose
    head = Head.fit(pose)
    assert head is not None
    assert abs(np.rad2deg(head.tilt_rad) - tilt) < 2
    assert abs(head.turn_deg - 55 * turn) <= 20 and head.turn_deg * turn >= 0


def test_a_head_goes_back_to_itself() -> None:
    _, seen, _ = source()
    head = Head.fit(seen.pose)
    assert head is not None
    grid = pixel_grid(SIDE, SIDE)
    np.testing.assert_allclose(head.back_from(head, 1.0, grid), grid, atol=0.05)


@given(st.floats(0.3, 3))
def test_a_head_keeps_its_distance_from_the_neck(longer: float) -> None:
    _, seen, _ = source()
    head, neck = Head.fit(seen.pose), seen.pose.xy[NECK]
    assert head is not None
    moved = replace(head, centre=neck + longer * (head.centre - neck))
    kept = moved.on_neck(head, neck, neck, 1.0)
    ratio = np.linalg.norm(kept.centre - neck) / np.linalg.norm(head.centre - neck)
    assert ratio == pytest.approx(np.clip(longer, 0.8, 1.08))


def test_of_a_face_with_two_joints_nothing_is_said() -> None:
    body = np.zeros((JOINTS, 3))
    body[[0, 14]] = 1.0
    assert Head.fit(Pose(body)) is None


@pytest.mark.parametrize(("turn", "far", "near"), [(1.0, "left", "right"), (-1.0, "right", "left")])
def test_of_a_turned_body_the_far_arm_lies_behind(turn: float, far: str, near: str) -> None:
    pose = Scene.sample("validation", 1).render(Angles(turn=turn), SIDE, SIDE).pose
    head = Head.fit(pose)
    assert head is not None and head.turn_deg * turn > 0
    order = order_parts(pose, head.turn_deg)
    assert order.index(f"{far} arm") < order.index(TORSO) < order.index(f"{near} arm")
    assert order.index(f"{far} leg") < order.index(f"{near} leg")


def test_a_raised_arm_lies_before_the_head() -> None:
    pose = Scene.sample("validation", 1).render(Angles(right_shoulder=170), SIDE, SIDE).pose
    order = order_parts(pose, 0.0)
    assert order.index("left arm") < order.index(HEAD) < order.index("right arm")
    assert sorted(order) == sorted([*CHAINS, HEAD, TORSO, CLOTH, THROAT])
    assert pose.xy[R_SHOULDER, 0] < pose.xy[L_SHOULDER, 0]


# --- the plate ---


def hole(height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), np.float32)
    mask[height // 4 : -height // 8, width // 3 : width // 2] = 1
    return mask


def test_a_plain_background_comes_back_exactly() -> None:
    picture = np.full((96, 120, 3), (200, 30, 90), np.uint8)
    mask = hole(96, 120)
    with_figure = picture.copy()
    with_figure[mask > 0] = 0
    assert np.abs(plate.fill(with_figure, mask).astype(int) - picture).max() <= 1


def test_layers_and_stripes_go_on_behind_the_figure() -> None:
    rows = np.arange(160)
    for picture in (
        np.repeat(np.stack([rows, 255 - rows, (rows > 80) * 200], -1)[:, None], 160, 1),
        np.repeat(np.where(np.arange(160)[None, :, None] // 8 % 2, 220, 40), 160, 0).repeat(3, 2),
    ):
        picture = picture.astype(np.uint8)
        mask = hole(160, 160)
        with_figure = picture.copy()
        with_figure[mask > 0] = (255, 0, 255)
        found = plate.fill(with_figure, mask)
        assert psnr(found, picture) > 24
        assert not (found == (255, 0, 255)).all(axis=-1).any()


def test_the_plate_is_the_picture_outside_the_hole_and_the_same_again() -> None:
    _, seen, puppet = source()
    again = plate.fill(seen.picture, seen.mask)
    assert np.array_equal(again, puppet.plate)
    far = cv2.dilate((seen.mask > 0).astype(np.uint8), np.ones((15, 15), np.uint8)) == 0
    assert np.array_equal(again[far], seen.picture[far])
    nothing = np.zeros(seen.mask.shape, np.float32)
    assert np.array_equal(plate.fill(seen.picture, nothing), seen.picture)


def test_a_hole_without_surroundings_is_their_mean() -> None:
    picture = np.full((40, 40, 3), 7, np.uint8)
    assert (plate.fill(picture, np.ones((40, 40), np.float32)) == 7).all()
    assert parts.cut(picture, np.ones((40, 40), np.float32), Pose.absent()) == {}
