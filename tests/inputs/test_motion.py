"""What a person names becomes a motion: presets, pose JSON, videos, and parts of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.bvh import bvh, skeleton_text
from PIL import Image

from poseanimate.errors import MotionError, NoCharacterError, PoseAnimateError, VideoError
from poseanimate.events import Stage, Step
from poseanimate.inputs import pose_files
from poseanimate.inputs.motion import iter_motion, open_motion, read_motion
from poseanimate.media import Video, write_clip
from poseanimate.poses.motion import Motion, load_preset
from poseanimate.poses.skeleton import Pose


class BrightSpot:
    """Sees one person around the brightest column; nobody in the dark."""

    identity = "bright spot"

    def detect(self, image: np.ndarray) -> list[Pose]:
        brightness = image.astype(float).mean(axis=(0, 2))
        if brightness.max() < 60:
            return []
        x = float(np.argmax(brightness))
        return [Pose(np.column_stack([np.full(18, x), np.arange(18.0), np.ones(18)]))]


class Blind:
    """Must not be asked."""

    identity = "blind"

    def detect(self, image: np.ndarray) -> list[Pose]:
        raise RuntimeError("a preset or pose JSON needs no detector")


def moving_bar(count: int, lit: bool = True) -> list[np.ndarray]:
    frames = np.zeros((count, 64, 96, 3), np.uint8)
    for i, frame in enumerate(frames):
        frame[:, 8 * i : 8 * i + 8] = 255 if lit else 0
    return list(frames)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "bar.mp4"
    write_clip(moving_bar(10), path, fps=10)
    return path


def xs(motion: Motion) -> list[float]:
    return [float(pose.xy[0, 0]) for pose in motion.poses]


def test_a_presets_name_is_the_preset_even_beside_a_file_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "walk").write_text(load_preset("wave").to_json())
    assert read_motion("walk", Blind()).name == "walk"
    as_file = read_motion("./walk", Blind())
    assert len(as_file.poses) == len(load_preset("wave").poses)


@pytest.mark.parametrize("name", ["mine.json", "mine.JSON", "mine", "mine.txt"])
@pytest.mark.parametrize("before", ["", "\n ", "\ufeff"])
def test_pose_json_is_told_by_its_content(name: str, before: str, tmp_path: Path) -> None:
    wanted = load_preset("kick")
    (tmp_path / name).write_text(before + wanted.to_json(), encoding="utf-8")
    motion = read_motion(tmp_path / name, Blind())
    assert all(a.equals(b) for a, b in zip(motion.poses, wanted.poses, strict=True))
    assert (motion.fps, motion.name) == (wanted.fps, name)


@pytest.mark.parametrize("before", ["", "\ufeff", "\n"])
def test_bvh_is_told_by_its_content_and_cut_like_a_video(before: str, tmp_path: Path) -> None:
    path = tmp_path / "take.txt"
    frames = [{"Hips Xposition": index} for index in range(240)]
    path.write_text(before + bvh(skeleton_text(), *frames, frame_s=1 / 120), encoding="utf-8")
    motion = read_motion(path, Blind(), start_s=0.5, end_s=1.5, stride=3)
    assert (motion.name, motion.fps, len(motion.poses)) == ("take.txt", pytest.approx(10), 10)
    steps = np.diff(xs(motion))
    assert np.allclose(steps, steps[0])


class Counting(BrightSpot):
    """A bright spot that counts how often it looks."""

    looks = 0

    def detect(self, image: np.ndarray) -> list[Pose]:
        self.looks += 1
        return super().detect(image)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".gif", ".bmp", ".tiff", ".avif"])
def test_a_still_picture_is_a_pose_to_hold(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"pose{suffix}"
    Image.fromarray(moving_bar(6)[5]).save(path)
    detector = Counting()
    motion = read_motion(path, detector)
    assert (motion.fps, len(motion.poses), motion.width, motion.height) == (12, 12, 96, 64)
    assert detector.looks == 1 and len({*xs(motion)}) == 1 and 38 <= xs(motion)[0] <= 48
    longer = read_motion(path, detector, start_s=1, end_s=3, stride=2)
    assert (longer.fps, len(longer.poses)) == (6, 12)
    turned = read_video_or_still(path, rotate=90)
    assert np.abs(turned.frames[0].astype(int) - np.rot90(moving_bar(6)[5], -1)).max() < 60


def read_video_or_still(path: Path, rotate: int) -> Video:
    source = open_motion(path, rotate=rotate)
    assert isinstance(source, Video)
    return source


@pytest.mark.parametrize("part", [{"end_s": 31}, {"start_s": -1}, {"end_s": 0}, {"stride": 0}])
def test_a_still_picture_has_no_other_parts(part: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "pose.png"
    Image.fromarray(moving_bar(6)[5]).save(path)
    with pytest.raises(MotionError, match="A still picture can't be held"):
        open_motion(path, **part)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".gif"])
def test_an_animated_picture_is_a_video(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"dance{suffix}"
    first, *rest = [Image.fromarray(frame) for frame in moving_bar(4)]
    first.save(path, save_all=True, append_images=rest, duration=100)
    assert len({*xs(read_motion(path, BrightSpot()))}) == 4


def test_a_video_is_looked_through_frame_by_frame(video: Path) -> None:
    source = open_motion(str(video))
    assert isinstance(source, Video)
    steps = iter_motion(source, BrightSpot(), "bar.mp4")
    events = []
    with pytest.raises(StopIteration) as end:
        while True:
            events.append(next(steps))
    assert events == [Stage("motion", 10), *(Step("motion", i, 10) for i in range(1, 11))]
    motion = end.value.value
    assert (motion.width, motion.height, motion.fps, motion.name) == (96, 64, 10, "bar.mp4")
    assert np.diff(xs(motion)) == pytest.approx([8] * 9, abs=4)
    assert xs(read_motion(video, BrightSpot())) == xs(motion)


@pytest.mark.parametrize(
    ("part", "indices", "rate"),
    [
        ({}, range(10), 10),
        ({"start_s": 0.3}, range(3, 10), 10),
        ({"end_s": 0.5}, range(5), 10),
        ({"stride": 2}, range(0, 10, 2), 5),
        ({"start_s": 0.2, "end_s": 0.8, "stride": 3}, range(2, 8, 3), 10 / 3),
        ({"end_s": 99}, range(10), 10),
    ],
)
def test_a_part_of_a_video_and_of_a_motion_is_the_same(
    part: dict[str, Any], indices: range, rate: float, video: Path, tmp_path: Path
) -> None:
    whole = read_motion(video, BrightSpot())
    (tmp_path / "bar.json").write_text(whole.to_json())
    expected = [xs(whole)[i] for i in indices]
    for path, detector in ((video, BrightSpot()), (tmp_path / "bar.json", Blind())):
        motion = read_motion(path, detector, **part)
        assert xs(motion) == pytest.approx(expected, abs=4)
        assert motion.fps == pytest.approx(rate)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"stride": 0}, "stride is 0"),
        ({"start_s": 0.5, "end_s": 0.5}, "empty"),
        ({"start_s": -1}, "empty"),
        ({"start_s": float("nan")}, "empty"),
        ({"end_s": float("nan")}, "empty"),
        ({"start_s": 3}, "empty"),
    ],
)
def test_no_part_is_refused(part: dict[str, Any], words: str) -> None:
    with pytest.raises(MotionError, match=words) as caught:
        open_motion("walk", **part)
    assert caught.value.remedy


def no_file(folder: Path) -> str:
    return str(folder / "nothing.mp4")


def a_folder(folder: Path) -> str:
    return str(folder)


def bad_json(folder: Path) -> str:
    (folder / "x.json").write_text('{"frames": [')
    return str(folder / "x.json")


def no_text(folder: Path) -> str:
    (folder / "x.json").write_bytes(b"\xff\xfe\x00[")
    return str(folder / "x.json")


def prose(folder: Path) -> str:
    (folder / "x.mp4").write_text("a long walk along the beach")
    return str(folder / "x.mp4")


def nothing_at_all(folder: Path) -> str:
    (folder / "x").touch()
    return str(folder / "x")


@pytest.mark.parametrize(
    ("made", "kind", "words"),
    [
        (lambda _: "wlak", MotionError, "no preset motion named 'wlak'"),
        (lambda _: "", MotionError, "no motion"),
        (lambda _: "n" * 5000, MotionError, "no preset"),
        (lambda _: "a\0b", MotionError, "no preset"),
        (no_file, MotionError, "no motion at"),
        (a_folder, MotionError, "no .json file"),
        (bad_json, MotionError, "no valid JSON"),
        (no_text, MotionError, "can't be read"),
        (prose, VideoError, "not a video"),
        (nothing_at_all, VideoError, "not a video"),
    ],
)
def test_what_is_no_motion_is_refused(
    made: Callable[[Path], str], kind: type[PoseAnimateError], words: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=words) as caught:
        open_motion(made(tmp_path))
    assert caught.value.remedy


def test_a_huge_json_file_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.json").write_text("[" + " " * 100)
    monkeypatch.setattr(pose_files, "MAX_JSON_CHARACTERS", 100)
    with pytest.raises(MotionError, match="too large"):
        open_motion(tmp_path / "x.json")


def test_a_video_with_nobody_in_it_is_refused(tmp_path: Path) -> None:
    write_clip(moving_bar(3, lit=False), tmp_path / "dark.mp4", fps=10)
    with pytest.raises(NoCharacterError, match=r"dark\.mp4"):
        read_motion(tmp_path / "dark.mp4", BrightSpot())


def test_motions_of_every_kind_turn(video: Path) -> None:
    upright, turned = open_motion(video), open_motion(video, rotate=90)
    assert isinstance(upright, Video) and isinstance(turned, Video)
    assert np.array_equal(turned.frames[1], np.rot90(upright.frames[1], -1))
    walk, lying = open_motion("walk"), open_motion("walk", rotate=90)
    assert isinstance(walk, Motion) and isinstance(lying, Motion)
    assert (lying.width, lying.height) == (walk.height, walk.width)
    for source in (video, "walk"):
        with pytest.raises(PoseAnimateError, match="rotation is 100"):
            open_motion(source, rotate=100)
