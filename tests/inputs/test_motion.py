"""What a person names becomes a motion: presets, pose JSON, videos, and parts of them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.bvh import bvh, skeleton_text
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from poseanimate.errors import MotionError, NoCharacterError, PoseAnimateError, VideoError
from poseanimate.events import Returning, Stage, Step
from poseanimate.inputs import pose_files
from poseanimate.inputs.motion import iter_motion, open_motion, read_motion
from poseanimate.inputs.stills import Stills, follow_stills
from poseanimate.media import Video, write_clip
from poseanimate.poses.motion import Motion, load_preset
from poseanimate.poses.skeleton import R_WRIST, Pose, draw_pose


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
    assert motion.start_s == 0.5
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


@pytest.mark.parametrize("part", [{"end_s": 31}, {"start_s": -1}, {"end_s": 0}])
def test_a_still_picture_has_no_other_parts(part: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "pose.png"
    Image.fromarray(moving_bar(6)[5]).save(path)
    with pytest.raises(MotionError, match="A still picture can't be held"):
        open_motion(path, **part)


def drawn(folder: Path, **poses: Pose) -> list[str]:
    """Pictures of skeletons, 512 px wide."""
    folder.mkdir(exist_ok=True)
    for name, pose in poses.items():
        Image.fromarray(draw_pose(pose, 512, 512)).save(folder / f"{name}.png")
    return [str(folder / f"{name}.png") for name in poses]


WAVE, KICK = load_preset("wave").poses[6], load_preset("kick").poses[8]


def test_two_pictures_are_a_way_from_pose_to_pose(tmp_path: Path) -> None:
    paths = drawn(tmp_path, a=WAVE, b=KICK)
    source = open_motion(paths)
    assert isinstance(source, Video)
    motion = Returning(iter_motion(source, Blind(), "a.png"))
    assert list(motion) == [Stage("motion", 2), Step("motion", 1, 2), Step("motion", 2, 2)]
    poses = motion.result.poses
    assert (motion.result.fps, len(poses), len(source.frames)) == (12, 24, 24)
    for pose, wanted in ((poses[0], WAVE), (poses[12], KICK), (poses[23], KICK)):
        seen = pose.visible() & wanted.visible()
        assert seen.sum() >= 15 and np.abs(pose.xy - wanted.xy)[seen].max() < 6
    steps = [np.hypot(*(b.xy - a.xy)[R_WRIST]) for a, b in pairwise(poses)]
    assert np.argmax(steps[:12]) in (5, 6) and max(steps[12:]) == 0
    assert steps[0] < 0.1 * max(steps) > steps[11]
    assert [np.array_equal(frame, source.frames[0]) for frame in source.frames].count(True) == 7
    assert {frame.shape for frame in source.frames} == {(512, 512, 3)}


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(("start", "end"), [(0.0, None), (0.5, 1.75), (2.25, None), (0.0, 5.0)])
def test_a_part_of_the_way_is_the_same_way(
    start: float, end: float | None, stride: int, tmp_path: Path
) -> None:
    paths = drawn(tmp_path, a=WAVE, b=KICK, c=WAVE)
    whole, part = (
        Returning(iter_motion(source, Blind(), "a.png"))
        for source in (open_motion(paths, end_s=9), open_motion(paths, start, end, stride))
    )
    assert list(whole) == list(part)
    seconds = (end or max(2.0, start) + 1) - start
    assert len(part.result.poses) == round(seconds * 12 / stride)
    first = round(start * 12)
    same = whole.result.poses[first : first + stride * len(part.result.poses) : stride]
    assert all(a.equals(b) for a, b in zip(part.result.poses, same, strict=True))
    assert (part.result.start_s, part.result.fps) == (start, 12 / stride)


@settings(max_examples=15, deadline=None)
@given(missing=st.sets(st.sampled_from(range(18)), max_size=17), turned=st.booleans())
def test_what_only_one_picture_shows_fades_in_or_out(missing: set[int], turned: bool) -> None:
    body = np.array(WAVE.body)
    body[list(missing)] = 0
    pair = [Pose(body), WAVE] if turned else [WAVE, Pose(body)]
    source = read_video_like(pair)
    result = Returning(follow_stills(source, Scripted(pair), "a.png"))
    assert len(list(result)) == 2
    poses = result.result.poses
    assert poses[0].equals(pair[0]) and poses[-1].equals(pair[1])
    seen = np.stack([pose.visible() for pose in poses])
    assert (np.abs(np.diff(seen.astype(int), axis=0)).sum(axis=0) <= 2).all(), "no joint flickers"


class Scripted:
    """A detector that knows the poses of pictures whose first pixel is their number."""

    identity = "scripted"

    def __init__(self, poses: list[Pose]) -> None:
        self.poses = poses

    def detect(self, image: np.ndarray) -> list[Pose]:
        return [self.poses[int(image[0, 0, 0])]]


def read_video_like(poses: list[Pose]) -> Stills:
    pictures = [np.full((512, 512, 3), number, np.uint8) for number in range(len(poses))]
    names = [f"{number}.png" for number in range(len(poses))]
    return Stills([pictures[0]] * 13, 12, pictures=pictures, names=names, steps=[*range(13)])


def test_pictures_of_several_sizes_share_a_canvas_and_each_is_looked_at_in_its_own_way(
    tmp_path: Path,
) -> None:
    [skeleton] = drawn(tmp_path, a=WAVE)
    Image.fromarray(moving_bar(6)[5]).save(tmp_path / "b.png")  # 96 x 64: scaled to 512 x 341
    motion = follow([skeleton, str(tmp_path / "b.png")], BrightSpot())
    assert (motion.width, motion.height) == (512, 512)
    assert 200 <= motion.poses[-1].xy[0, 0] <= 260
    assert motion.notes == ("Read from drawn skeletons.",)


def follow(paths: list[str] | str, detector: Any) -> Motion:
    steps = Returning(iter_motion(open_motion(paths), detector, "a.png"))
    list(steps)
    return steps.result


def test_a_folder_of_pictures_goes_by_their_numbers(tmp_path: Path) -> None:
    drawn(tmp_path / "poses", p2=WAVE, p10=KICK, p1=KICK)
    (tmp_path / "poses" / ".hidden.png").write_bytes(b"")
    motion = follow(str(tmp_path / "poses"), Blind())
    assert len(motion.poses) == 36
    assert np.abs(motion.poses[0].xy - KICK.xy)[R_WRIST].max() < 6
    assert np.abs(motion.poses[12].xy - WAVE.xy)[R_WRIST].max() < 6
    (tmp_path / "poses" / "p1.json").write_text(load_preset("walk").to_json())
    walk = follow(str(tmp_path / "poses"), Blind())
    assert len(walk.poses) == len(load_preset("walk").poses) and "left out: 3" in walk.notes[0]


def test_a_picture_without_anybody_is_named(tmp_path: Path) -> None:
    [skeleton] = drawn(tmp_path, a=WAVE)
    Image.new("RGB", (96, 64)).save(tmp_path / "dark.png")
    with pytest.raises(NoCharacterError, match=r"Nobody was found in dark\.png\."):
        follow([skeleton, str(tmp_path / "dark.png")], BrightSpot())


def test_pictures_are_not_mixed_with_others_and_not_many(tmp_path: Path, video: Path) -> None:
    [skeleton] = drawn(tmp_path, a=WAVE)
    pose = tmp_path / "walk.json"
    pose.write_text(load_preset("walk").to_json())
    for other in (pose, video, tmp_path / "gone.png"):
        for paths in ([skeleton, str(other)], [str(other), skeleton]):
            with pytest.raises(MotionError, match=rf"a\.png is a still picture and {other.name}"):
                open_motion(paths)
    assert len(open_motion([skeleton] * 16, end_s=20.0).frames) == 240  # type: ignore[union-attr]
    with pytest.raises(MotionError, match="10001 files, and 10000 are possible"):
        open_motion([skeleton] * 10_001)
    with pytest.raises(MotionError, match="17 still pictures, and 16 are possible"):
        open_motion([skeleton] * 17)
    with pytest.raises(MotionError, match="a frame rate of its own"):
        open_motion([skeleton] * 2, fps=24)


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


@pytest.mark.parametrize("kind", ["preset", "picture", "video"])
@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"stride": 0}, "stride is 0"),
        ({"stride": 10**400}, "stride is 1000"),
        ({"rotate": 45}, "rotation is 45"),
        ({"rotate": 10**400}, "rotation is 1000"),
    ],
)
def test_strides_and_rotations_that_are_none(
    kind: str, part: dict[str, Any], words: str, video: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "pose.png"
    Image.fromarray(moving_bar(6)[5]).save(picture)
    paths: dict[str, str | Path] = {"preset": "walk", "picture": picture, "video": video}
    with pytest.raises(MotionError, match=words):
        open_motion(paths[kind], **part)


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31m", "\u202e", "\udcff"])
def test_a_file_name_breaks_no_sentence(name: str, tmp_path: Path) -> None:
    paths = [tmp_path / "pose.png", tmp_path / name, tmp_path / f"{name}.png"]
    for path in (paths[0], paths[2]):
        Image.fromarray(moving_bar(6)[5]).save(path)
    paths[1].write_text("words")
    for source in (paths[:2], paths[1:], [paths[0], tmp_path / f"{name}.json"], str(paths[1])):
        with pytest.raises(PoseAnimateError) as refused:
            open_motion(source)
        assert str(refused.value).isprintable()


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
