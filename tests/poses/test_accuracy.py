"""Distances of detected joints from the true ones."""

from __future__ import annotations

from poseanimate.pocket.body import Angles
from poseanimate.pocket.world.scene import Scene
from poseanimate.poses.accuracy import MISSED_ERROR, joint_errors, mean_joint_error
from poseanimate.poses.skeleton import Pose


def test_joints_that_are_missed_count_as_one_torso() -> None:
    truth = Scene.sample("held-out", 3).render(Angles(), 128, 128).pose
    assert mean_joint_error(joint_errors(truth, truth)) == 0
    assert mean_joint_error(joint_errors(None, truth)) == MISSED_ERROR
    far = truth.shifted(1000, 0)
    assert mean_joint_error(joint_errors(far, truth)) == MISSED_ERROR
    assert mean_joint_error(joint_errors(Pose.absent(), truth)) == MISSED_ERROR
