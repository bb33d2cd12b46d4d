"""Joints in the orders of many tools become the same 18."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.people import person
from helpers.pose_files import read

from poseanimate.poses.formats.orders import (
    ABSENT,
    BETWEEN_SHOULDERS,
    ORDERS,
    Order,
    choose_order,
    find_joint,
)
from poseanimate.poses.motion import load_preset, preset_names
from poseanimate.poses.skeleton import JOINT_NAMES, L_SHOULDER, NECK, R_SHOULDER, Pose

EVERY = [(count, order) for count, orders in ORDERS.items() for order in orders]


def in_order(pose: Pose, count: int, order: Order) -> np.ndarray:
    """(count, 3): the pose's joints at their places, hands and face at theirs, and everything else missing."""
    points = np.zeros((count, 3))
    for part in ("left_hand", "right_hand", "face"):
        places = list(getattr(order, part))
        points[places] = np.column_stack(
            [np.arange(len(places)) + 300, np.arange(len(places)) + 50, np.ones(len(places))]
        )
    for joint, place in enumerate(order.joints):
        if place not in (BETWEEN_SHOULDERS, ABSENT):
            points[place] = pose.body[joint]
    return points


@pytest.mark.parametrize(("count", "order"), EVERY, ids=lambda value: getattr(value, "name", ""))
def test_every_order_gives_the_same_joints(count: int, order: Order) -> None:
    pose = person()
    points = in_order(pose, count, order)
    motion = read([{"people": [{"pose_keypoints_2d": points.ravel().tolist()}]}])
    (back,) = motion.poses
    wanted = pose.body.copy()
    if order.joints[NECK] == BETWEEN_SHOULDERS:
        wanted[NECK] = wanted[[R_SHOULDER, L_SHOULDER]].mean(axis=0)
    wanted[np.equal(order.joints, ABSENT)] = 0
    np.testing.assert_allclose(back.body, wanted)
    for part in ("left_hand", "right_hand", "face"):
        places = list(getattr(order, part))
        found = getattr(back, part)
        assert (found is not None) == bool(places)
        if places:
            np.testing.assert_allclose(found[: len(places)], points[places])
            assert not found[len(places) :].any()
    usual = order.name in ("COCO-18", "BODY_25")
    assert any(order.name in note for note in motion.notes) != usual


@pytest.mark.parametrize("name", preset_names())
@pytest.mark.parametrize(("count", "order"), EVERY, ids=lambda value: getattr(value, "name", ""))
def test_the_order_of_every_motion_is_found(name: str, count: int, order: Order) -> None:
    bodies = [in_order(pose, count, order) for pose in load_preset(name).poses]
    assert choose_order(count, bodies) is order


def test_an_order_has_places_within_its_points() -> None:
    for count, order in EVERY:
        places = [place for place in order.joints if place >= 0]
        assert len(order.joints) == 18 and len(set(places)) == len(places)
        assert max((*places, *order.left_hand, *order.right_hand, *order.face)) < count
        assert {len(order.left_hand), len(order.right_hand)} <= {0, 21}
        assert len(order.face) in (0, 68, 70)


def test_without_both_shoulders_there_is_no_neck() -> None:
    points = in_order(person(), 17, ORDERS[17][0])
    points[5] = 0
    (pose,) = read([{"people": [{"pose_keypoints_2d": points.ravel().tolist()}]}]).poses
    assert pose.confidence[NECK] == 0 and pose.confidence[R_SHOULDER] == 1


@pytest.mark.parametrize("write", [str, str.title, lambda name: name.replace(" ", "_")])
def test_joints_are_known_by_name(write: Any) -> None:
    assert [find_joint(write(name)) for name in JOINT_NAMES] == list(range(18))


@pytest.mark.parametrize(
    ("name", "joint"),
    [("LShoulder", 5), ("leftShoulder", 5), ("REye", 14), ("Neck", 1), ("left_eye_inner", None),
     ("l", None), ("", None), ("left nose", None)],
)  # fmt: skip
def test_short_names_are_known_and_others_are_not(name: str, joint: int | None) -> None:
    assert find_joint(name) == joint
