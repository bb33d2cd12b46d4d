"""The shipped motions: closed, smooth, inside the picture; and the files that ship."""

from __future__ import annotations

import json
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from poseanimate.errors import MotionError
from poseanimate.media import read_video
from poseanimate.pocket.body import joints
from poseanimate.pocket.world.assets import (
    CHARACTERS,
    REPOSITORY,
    VIDEOS,
    render_character,
    render_video,
    write_all,
)
from poseanimate.pocket.world.motions import (
    AVERAGE,
    FPS,
    MOTIONS,
    loop_frames,
    sample_motion,
    sample_poses,
)
from poseanimate.pocket.world.scene import Scene
from poseanimate.poses.motion import PRESETS_FOLDER, load_preset, preset_names

NAMES = sorted(MOTIONS)
MAX_STEP_TO_MEAN = 3.0
HAND = 0.06  # wrist to fingertips
SHIPPED_BYTES = 1_500_000


def trajectory(name: str, count: int) -> np.ndarray:
    """(count, 18, 2) joints of the average doll in heights."""
    return np.array([joints(AVERAGE, angles)[0] for angles in sample_motion(name, count)])


def steps(name: str, count: int) -> np.ndarray:
    """(count,) how far the fastest joint moves from each frame to the next, round the loop."""
    xy = trajectory(name, count)
    return np.linalg.norm(np.roll(xy, -1, axis=0) - xy, axis=-1).max(axis=1)


def test_there_are_at_least_ten() -> None:
    assert len(NAMES) >= 10
    assert all(
        name == name.lower() and set(name) <= set("abcdefghijklmnopqrstuvwxyz-") for name in NAMES
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_motion_closes_on_itself(name: str) -> None:
    start = np.array(astuple(MOTIONS[name](0.0)))
    assert np.allclose(astuple(MOTIONS[name](1.0)), start, atol=1e-6)
    assert np.allclose(astuple(MOTIONS[name](1.0 - 1e-7)), start, atol=1e-2)


@pytest.mark.parametrize("name", NAMES)
def test_a_motion_has_no_jump(name: str) -> None:
    step = steps(name, loop_frames(name))
    assert step.max() <= MAX_STEP_TO_MEAN * step.mean()
    # A jump would keep its size however finely the loop is cut.
    assert steps(name, 40 * loop_frames(name)).max() <= step.max() / 10


@pytest.mark.parametrize("name", NAMES)
def test_a_motion_moves(name: str) -> None:
    assert np.ptp(trajectory(name, 24), axis=0).max() > 0.12


@pytest.mark.parametrize("name", NAMES)
def test_a_large_character_stays_inside_the_picture(name: str) -> None:
    scene = replace(Scene.sample("train", 1), height=0.75, x=0.5, ground=0.92)
    for index in range(6):
        doll = Scene.sample("train", index).doll
        for pose in sample_poses(replace(scene, doll=doll), name, 24, 100, 100):
            limbs = pose.body[:14]
            assert (limbs[:, 2] == 1).all()
            assert limbs[:, :2].min() >= 100 * HAND * 0.75
            assert limbs[:, :2].max() <= 100 - 100 * HAND * 0.75


@pytest.mark.parametrize("name", ["walk", "run"])
def test_gaits_go_to_the_right_with_legs_that_pass(name: str) -> None:
    loop = sample_motion(name, 48)
    xy = trajectory(name, 48)
    assert (xy[:, 0, 0] > xy[:, 1, 0]).all()
    assert all(angles.right_knee >= 0 and angles.left_knee <= 0 for angles in loop)
    ahead = xy[:, 10, 0] - xy[:, 13, 0]
    assert ahead.max() > 0.1 and ahead.min() < -0.1
    # The foot on the ground moves back against the direction of travel.
    lower = np.where(xy[:, 10, 1] > xy[:, 13, 1], 10, 13)
    then = np.roll(np.arange(48), -1)
    same = lower == lower[then]
    moved = xy[then, lower, 0] - xy[np.arange(48), lower, 0]
    assert (moved[same] < 0).mean() > 0.8


@pytest.mark.parametrize("name", ["wave", "squat", "dance-sway", "dance-disco", "stretch", "bow"])
def test_standing_feet_do_not_slide(name: str) -> None:
    moved = np.ptp(trajectory(name, 48)[:, (10, 13)], axis=0)
    assert moved.max() <= 0.02


@pytest.mark.parametrize("name", ["jumping-jacks", "cheer"])
def test_jumps_leave_the_ground_and_come_back(name: str) -> None:
    lifts = [angles.lift for angles in sample_motion(name, 48)]
    assert min(lifts) == 0.0 and max(lifts) > 0.03


def test_frames_are_one_loop() -> None:
    loop = sample_motion("wave", 8)
    assert len(loop) == 8
    assert loop[0] == MOTIONS["wave"](0.0) and loop[3] == MOTIONS["wave"](3 / 8)


def test_an_unknown_motion_is_named() -> None:
    with pytest.raises(MotionError, match=r"moonwalk.*walk"):
        sample_motion("moonwalk", 8)
    with pytest.raises(MotionError, match="0 frames"):
        sample_motion("walk", 0)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("assets")
    assert all(path.stat().st_size > 0 for path in write_all(folder))
    return folder


def files(folder: Path) -> set[str]:
    tops = ("presets/motions", "examples/characters", "examples/videos")
    found = (p for top in tops for p in (folder / top).rglob("*"))
    return {str(p.relative_to(folder)) for p in found if p.is_file()}


def test_shipped_files_are_those_of_the_pocket_world(written: Path) -> None:
    assert files(REPOSITORY) == files(written)
    assert sum((REPOSITORY / name).stat().st_size for name in files(written)) < SHIPPED_BYTES


@pytest.mark.parametrize("name", NAMES)
def test_shipped_presets_are_up_to_date(name: str, written: Path) -> None:
    place = Path("presets") / "motions" / f"{name}.json"
    shipped, fresh = (json.loads((top / place).read_text()) for top in (REPOSITORY, written))
    for key in ("fps", "canvas_width", "canvas_height"):
        assert shipped[key] == fresh[key]
    numbers = [
        np.array([frame["people"][0]["pose_keypoints_2d"] for frame in document["frames"]])
        for document in (shipped, fresh)
    ]
    # A last digit may round differently with another maths library.
    assert np.allclose(*numbers, rtol=0, atol=0.011)


@pytest.mark.parametrize("name", NAMES)
def test_shipped_presets_load(name: str) -> None:
    motion = load_preset(name)
    assert (motion.width, motion.height, motion.fps) == (512, 512, FPS)
    assert len(motion.poses) == loop_frames(name)
    assert all(pose.visible()[:14].all() for pose in motion.poses)
    path = PRESETS_FOLDER / f"{name}.gif"
    assert path.stat().st_size < 60_000
    with Image.open(path) as gif:
        assert gif.size == (96, 96)
        assert gif.n_frames == loop_frames(name)
        assert gif.info["loop"] == 0
        assert np.asarray(gif.convert("RGB")).max() > 100


def test_presets_are_the_motions() -> None:
    assert preset_names() == NAMES


@pytest.mark.parametrize("name", sorted(CHARACTERS))
def test_shipped_characters_are_up_to_date(name: str) -> None:
    scene = Scene.sample(*CHARACTERS[name])
    assert CHARACTERS[name][0] == "held-out"
    assert name == f"{scene.place}-{scene.doll.kind}"
    path = REPOSITORY / "examples" / "characters" / f"{name}.png"
    assert path.with_suffix(".txt").read_text().strip() == scene.caption
    with Image.open(path) as picture:
        shipped = np.asarray(picture.convert("RGB"), np.float64)
    fresh = render_character(name)
    assert shipped.shape == fresh.shape
    assert np.abs(shipped - fresh).mean() < 0.5


def test_example_characters_cover_every_place_and_kind() -> None:
    scenes = [Scene.sample(*where) for where in CHARACTERS.values()]
    assert {s.place for s in scenes} == {"street", "park", "beach", "room", "snow"}
    assert {s.doll.kind for s in scenes} == {"boy", "girl"}
    assert {kind for s in scenes for kind in s.kinds} == {"small", "at the edge", "lettered"}
    assert any(s.doll.bottom_style == "skirt" for s in scenes)
    assert any(s.doll.hat != "none" for s in scenes)
    assert len({s.doll.skin for s in scenes}) >= 3


@pytest.mark.parametrize("name", sorted(VIDEOS))
def test_shipped_videos_are_up_to_date(name: str) -> None:
    motion, (split, index) = VIDEOS[name]
    assert split != "train" and (split, index) not in CHARACTERS.values()
    scene = Scene.sample(split, index)
    assert name == f"{scene.place}-{scene.doll.kind}-{motion}"
    shipped = read_video(REPOSITORY / "examples" / "videos" / f"{name}.mp4")
    fresh = render_video(name)
    assert shipped.fps == pytest.approx(FPS)
    assert len(shipped.frames) == len(fresh) == loop_frames(motion)
    for seen, drawn in zip(shipped.frames, fresh, strict=True):
        assert seen.shape == drawn.shape == (256, 256, 3)
        # Compression loses a little at the edges; another picture would differ by far more.
        assert np.abs(seen.astype(np.float64) - drawn).mean() < 4.0
