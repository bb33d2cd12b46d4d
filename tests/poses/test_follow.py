"""One person among several, by position and by number."""

from __future__ import annotations

from helpers.people import person
from helpers.pose_files import frame, read, triples
from hypothesis import given
from hypothesis import strategies as st

from poseanimate.poses.follow import Follower
from poseanimate.poses.skeleton import Pose

A, B = person(), person().shifted(200, 0)


def larger(pose: Pose) -> Pose:
    """A tenth larger at about the same place."""
    return pose.scaled(1.1, 1.1).shifted(-25, -25)


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.lists(st.booleans(), min_size=8))
def test_the_one_who_is_largest_at_first_is_followed_whoever_is_larger_later(
    grows: list[bool], swapped: list[bool]
) -> None:
    follower = Follower()
    frames = [(larger(A), B), *((A, larger(B)) if grow else (larger(A), B) for grow in grows)]
    for (a, b), swap in zip(frames, [False, *swapped], strict=False):
        assert follower.choose([b, a] if swap else [a, b]) is a


def test_numbers_go_before_positions() -> None:
    follower = Follower()
    assert follower.choose([larger(A), B], [7, 3]).xy[0, 0] < B.xy[0, 0]
    assert follower.choose([A, B], [3, 7]) is B  # they changed places at once


def test_who_was_seen_beside_them_is_not_them() -> None:
    follower = Follower()
    follower.choose([larger(A), B], [7, 3])
    assert not follower.choose([A], [3]).visible().any()
    assert follower.choose([B, A], [3, 8]) is A  # a tracker that lost them gives a new number
    assert follower.choose([A, B], [3, 8]) is B


def test_a_file_with_two_people_of_nearly_the_same_size_is_the_motion_of_one() -> None:
    frames = [(larger(A), B) if i % 2 == 0 else (A, larger(B)) for i in range(6)]
    motion = read([frame(*people) for people in frames])
    assert all(pose.equals(a) for pose, (a, _) in zip(motion.poses, frames, strict=True))
    assert motion.people == 2


def test_person_id_is_the_number() -> None:
    def one(pose: Pose, number: int) -> dict[str, object]:
        return {"person_id": [number], "pose_keypoints_2d": triples(pose)}

    people = [[one(larger(A), 5), one(B, 2)], [one(A, 2), one(B, 5)]]
    motion = read([frame(people=each) for each in people])
    assert motion.poses[1].equals(B)
    unknown = [[one(larger(A), -1), one(B, -1)], [one(A, -1), one(B, -1)]]
    assert read([frame(people=each) for each in unknown]).poses[1].equals(A)
