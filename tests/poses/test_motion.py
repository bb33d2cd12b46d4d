"""Motions: pose JSON in and out, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.people import person
from hypothesis import given, settings
from hypothesis import strategies as st

from poseanimate.errors import MotionError
from poseanimate.poses import keypoints
from poseanimate.poses import motion as motion_module
from poseanimate.poses.motion import Motion, load_preset, preset_names
from poseanimate.poses.skeleton import Pose


def body(seed: int = 0, scale: float = 100.0) -> list[float]:
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.uniform(0, scale, (18, 2)), np.ones(18)]).ravel().tolist()


def frame(*bodies: list[float], **more: Any) -> dict[str, Any]:
    return {"people": [{"pose_keypoints_2d": numbers} for numbers in bodies], **more}


def document(frames: list[Any], **more: Any) -> str:
    return json.dumps(
        {"fps": 12, "canvas_width": 200, "canvas_height": 300} | more | {"frames": frames}
    )


def random_pose(seed: int) -> Pose:
    rng = np.random.default_rng(seed)

    def points(count: int) -> np.ndarray | None:
        return rng.uniform(0, 1, (count, 3)) * (512, 512, 1) if rng.random() < 0.7 else None

    whole = rng.uniform(0, 1, (18, 3)) * (512, 512, 1)
    whole[rng.random(18) < 0.2, 2] = 0
    return Pose(whole, points(21), points(21), points(70))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=4), st.floats(0.5, 120))
def test_json_there_and_back_is_bit_for_bit(seeds: list[int], fps: float) -> None:
    motion = Motion(tuple(random_pose(seed) for seed in seeds), 512, 640, fps, "there")
    back = Motion.from_json(motion.to_json(), "back")
    assert (back.width, back.height, back.fps, back.name) == (512, 640, fps, "back")
    assert len(back.poses) == len(motion.poses)
    assert all(a.equals(b) for a, b in zip(motion.poses, back.poses, strict=True))


def test_one_openpose_frame_is_a_motion_of_one_pose() -> None:
    motion = Motion.from_json(json.dumps(frame(body(), version=1.3)), "one")
    assert len(motion.poses) == 1
    assert motion.fps == 12
    np.testing.assert_allclose(motion.poses[0].body.ravel(), body())
    # Without a canvas the joints themselves say how large it must be.
    highest = motion.poses[0].xy.max(axis=0)
    assert highest[0] < motion.width <= highest[0] + 2
    assert highest[1] < motion.height <= highest[1] + 2


def test_a_list_of_frames_is_read_with_its_canvas() -> None:
    frames = [frame(body(i), canvas_width=640, canvas_height=480) for i in range(3)]
    motion = Motion.from_json(json.dumps(frames), "list")
    assert (len(motion.poses), motion.width, motion.height) == (3, 640, 480)


def test_fractions_are_multiplied_by_the_canvas() -> None:
    given_canvas = Motion.from_json(document([frame(body(scale=1.0))]), "fractions")
    expected = np.reshape(body(scale=1.0), (18, 3))[:, :2]
    np.testing.assert_allclose(given_canvas.poses[0].xy, expected * (200, 300))
    no_canvas = Motion.from_json(json.dumps(frame(body(scale=1.0))), "fractions")
    assert (no_canvas.width, no_canvas.height) == (512, 512)
    np.testing.assert_allclose(no_canvas.poses[0].xy, expected * 512)


def test_body_25_becomes_18_joints() -> None:
    # nose, neck, arms; then BODY_25's 8 is the middle of the hips, which 18 joints do not have
    wanted = person().body
    points = np.ones((25, 3))
    points[[*range(8), *range(9, 19)]] = wanted
    points[8, :2] = wanted[[8, 11], :2].mean(axis=0)
    points[19:, :2] = wanted[[13, 13, 13, 10, 10, 10], :2]
    pose = Motion.from_json(document([frame(points.ravel().tolist())]), "25").poses[0]
    np.testing.assert_allclose(pose.body, wanted)


def test_the_largest_person_of_a_frame_is_taken() -> None:
    motion = Motion.from_json(document([frame(body(1, 20), body(2, 90), body(3, 50))]), "crowd")
    np.testing.assert_allclose(motion.poses[0].body.ravel(), body(2, 90))


def test_a_frame_without_anybody_is_an_absent_pose() -> None:
    motion = Motion.from_json(document([frame(), {}, frame(body()), frame([])]), "gaps")
    assert [bool(pose.visible().any()) for pose in motion.poses] == [False, False, True, False]


def test_hands_and_face_are_read_and_may_be_null() -> None:
    person = {
        "pose_keypoints_2d": body(),
        "hand_left_keypoints_2d": [50.0, 60.0, 1.0] * 21,
        "hand_right_keypoints_2d": None,
        "face_keypoints_2d": [],
    }
    pose = Motion.from_json(document([{"people": [person]}]), "hands").poses[0]
    assert pose.left_hand is not None
    assert pose.left_hand[3].tolist() == [50, 60, 1]
    assert pose.right_hand is None
    assert pose.face is None


def test_confidences_up_to_two_count_as_certain() -> None:
    numbers = body()
    numbers[2] = 2.0
    assert Motion.from_json(document([frame(numbers)]), "coco").poses[0].confidence[0] == 1.0


def with_number(index: int, value: Any) -> list[Any]:
    numbers: list[Any] = list(body())
    numbers[index] = value
    return numbers


DEEP = "[" * 100_000
BAD = {
    "empty": "",
    "no json": "hello",
    "deep": DEEP,
    "number": "5",
    "half of a surrogate pair": document([frame(body())], note=1).replace("note", "\ud800"),
    "other object": "{}",
    "null frames": '{"frames": null}',
    "no frames": '{"frames": []}',
    "empty list": "[]",
    "frames of text": '{"frames": ["a"]}',
    "people of text": '{"people": "a"}',
    "person of text": '{"people": ["a"]}',
    "too many people": json.dumps(frame(*[body()] * 101)),
    "too many frames": document([{}] * 2001),
    "short body": document([frame(body()[:-1])]),
    "long body": document([frame([*body(), 1, 2, 3])]),
    "body of text": document([frame("abc")]),  # type: ignore[arg-type]
    "body is an object": document([{"people": [{"pose_keypoints_2d": {"a": 1}}]}]),
    "text in body": document([frame(with_number(3, "1"))]),
    "truth in body": document([frame(with_number(3, True))]),
    "infinity": document([frame(with_number(3, float("inf")))]),
    "overflowing float": document([frame(body())]).replace("[[", "[[").replace("1.0]", "1e999]"),
    "overflowing int": document([frame(with_number(3, 10**400))]),
    "endless int": '{"people": [{"pose_keypoints_2d": [' + "9" * 10_000 + "]}]}",
    "far away": document([frame(with_number(3, 1e9))]),
    "confidence of 7": document([frame(with_number(2, 7))]),
    "confidence below 0": document([frame(with_number(2, -0.5))]),
    "hand of text": document(
        [{"people": [{"pose_keypoints_2d": body(), "hand_left_keypoints_2d": "abc"}]}]
    ),
    "fps 0": document([frame(body())], fps=0),
    "fps text": document([frame(body())], fps="fast"),
    "fps 1000": document([frame(body())], fps=1000),
    "canvas 0": document([frame(body())], canvas_width=0),
    "canvas half": document([frame(body())], canvas_width=20.5),
    "canvas huge": document([frame(body())], canvas_width=1e9),
    "canvas one-sided": json.dumps(frame(body(), canvas_width=64)),
    "canvases differ": document([frame(body(), canvas_width=64, canvas_height=64)]),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_json_gets_a_sentence_and_a_remedy(name: str) -> None:
    with pytest.raises(MotionError) as caught:
        Motion.from_json(BAD[name], "mine")
    assert caught.value.message.endswith(".")
    assert len(caught.value.remedy) > 10
    assert len(str(caught.value)) < 500


def test_too_long_a_text_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keypoints, "MAX_JSON_CHARACTERS", 100)
    with pytest.raises(MotionError, match="characters"):
        Motion.from_json(document([frame(body())]), "long")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["frames", "people", "pose_keypoints_2d", "fps", "canvas_width"]), inner
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(json_values)
def test_any_json_is_read_or_refused(value: Any) -> None:
    try:
        motion = Motion.from_json(json.dumps(value), "any")
    except MotionError:
        return
    assert all(np.isfinite(pose.body).all() for pose in motion.poses)


@pytest.mark.parametrize(
    ("poses", "width", "height", "fps", "what"),
    [
        ((), 512, 512, 12.0, "0 frames"),
        ((Pose.absent(),) * 2001, 512, 512, 12.0, "2001 frames"),
        ((Pose.absent(),), 0, 512, 12.0, "0x512"),
        ((Pose.absent(),), 512, 20_000, 12.0, "20000"),
        ((Pose.absent(),), 512, 512, 0.0, "frame rate"),
        ((Pose.absent(),), 512, 512, 0.05, "frame rate"),
        ((Pose.absent(),), 512, 512, float("nan"), "frame rate"),
    ],
)
def test_impossible_motions_are_refused(
    poses: tuple[Pose, ...], width: int, height: int, fps: float, what: str
) -> None:
    with pytest.raises(MotionError, match=what):
        Motion(poses, width, height, fps, "impossible")


@pytest.fixture
def presets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(motion_module, "PRESETS_FOLDER", tmp_path)
    (tmp_path / "walk.json").write_text(document([frame(body())] * 2))
    (tmp_path / "bow.json").write_text("{")
    (tmp_path / "walk.gif").write_bytes(b"GIF89a")
    return tmp_path


def test_presets_are_found_by_name(presets: Path) -> None:
    assert preset_names() == ["bow", "walk"]
    motion = load_preset("walk")
    assert (motion.name, len(motion.poses)) == ("walk", 2)


@pytest.mark.parametrize("name", ["jump", "", "../walk", "walk.json", "/etc/passwd"])
def test_an_unknown_preset_lists_the_known_ones(presets: Path, name: str) -> None:
    with pytest.raises(MotionError, match="bow, walk"):
        load_preset(name)


def test_a_broken_preset_says_so(presets: Path) -> None:
    with pytest.raises(MotionError, match="bow"):
        load_preset("bow")
    (presets / "bow.json").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(MotionError, match="can't be read"):
        load_preset("bow")


def test_without_presets_the_message_says_where_they_belong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(motion_module, "PRESETS_FOLDER", tmp_path / "none")
    assert preset_names() == []
    with pytest.raises(MotionError, match="No presets are installed"):
        load_preset("walk")


def test_every_shipped_preset_is_readable() -> None:
    for name in preset_names():
        motion = load_preset(name)
        assert any(pose.visible().any() for pose in motion.poses)


def test_a_motion_turns_with_its_canvas() -> None:
    walk = load_preset("walk")
    pose = walk.poses[3]
    turned = walk.rotated(90)
    assert (turned.width, turned.height) == (walk.height, walk.width)
    seen = pose.visible(0.01)
    expected = np.stack([walk.height - pose.xy[:, 1], pose.xy[:, 0]], axis=1)
    assert np.allclose(turned.poses[3].xy[seen], expected[seen])
    assert not turned.poses[3].body[~seen].any()
    assert np.allclose(turned.rotated(270).poses[3].body, pose.body)
    assert np.allclose(walk.rotated(180).poses[3].body, turned.rotated(90).poses[3].body)
    with pytest.raises(MotionError, match="rotation is 45"):
        walk.rotated(45)
