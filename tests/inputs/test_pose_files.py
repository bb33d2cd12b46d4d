"""Pose JSON in folders, ZIPs and several files."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.people import person
from helpers.pose_files import frame
from hypothesis import example, given, settings
from hypothesis import strategies as st

from poseanimate.errors import MotionError
from poseanimate.inputs import pose_files
from poseanimate.inputs.motion import open_motion
from poseanimate.inputs.pose_files import read_pose_archive
from poseanimate.media import Video, write_clip
from poseanimate.poses.motion import Motion, load_preset

COUNT = 12
POSES = tuple(person().shifted(2 * i, i) for i in range(COUNT))


def one_per_frame(stem: str = "dance_{:012}_keypoints.json") -> dict[str, bytes]:
    return {stem.format(i): json.dumps(frame(pose)).encode() for i, pose in enumerate(POSES)}


def packed(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


def saved(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def opened(source: Path | list[Path], **more: float) -> Motion:
    motion = open_motion(source, **more)  # type: ignore[arg-type]
    assert isinstance(motion, Motion)
    return motion


def is_the_dance(motion: Motion) -> bool:
    return len(motion.poses) == COUNT and all(
        a.equals(b) for a, b in zip(motion.poses, POSES, strict=True)
    )


@pytest.mark.parametrize("stem", ["dance_{:012}_keypoints.json", "{}.json", "pose2d_{}.JSON"])
def test_a_folder_a_zip_and_several_files_are_one_motion(stem: str, tmp_path: Path) -> None:
    files = one_per_frame(stem)
    folder = saved(tmp_path / "dance", files)
    assert is_the_dance(opened(folder))
    (tmp_path / "dance.zip").write_bytes(packed(files))
    assert is_the_dance(opened(tmp_path / "dance.zip"))
    (tmp_path / "no-suffix").write_bytes(packed({f"dance/{name}": files[name] for name in files}))
    assert is_the_dance(opened(tmp_path / "no-suffix"))
    paths = [folder / name for name in reversed(files)]
    assert is_the_dance(opened(paths))
    assert is_the_dance(opened([tmp_path / "dance.zip"]))


def test_json_lines_of_any_suffix_are_read(tmp_path: Path) -> None:
    path = tmp_path / "dance.jsonl"
    path.write_bytes(b"\n".join(one_per_frame().values()))
    assert is_the_dance(opened(path))


def test_what_is_no_json_is_left_out_and_said(tmp_path: Path) -> None:
    files = one_per_frame() | {"dance.png": b"x", ".DS_Store": b"x"}
    motion = opened(saved(tmp_path / "dance", files))
    assert is_the_dance(motion) and "left out: 1" in motion.notes[-1]
    mac = {f"__MACOSX/._{name}": b"\0" for name in files} | files
    assert is_the_dance(read_pose_archive(packed(mac), "dance.zip"))


def test_a_file_that_is_missing_in_between_shows_nobody(tmp_path: Path) -> None:
    files = one_per_frame()
    del files["dance_000000000005_keypoints.json"]
    motion = opened(saved(tmp_path / "dance", files))
    assert len(motion.poses) == COUNT and not motion.poses[5].visible().any()


def test_the_rate_is_the_one_that_is_asked_for(tmp_path: Path) -> None:
    folder = saved(tmp_path / "dance", one_per_frame())
    assert opened(folder).fps == 12
    motion = opened(folder, fps=24.0, start_s=0.25)
    assert motion.fps == 24 and motion.poses[0].equals(POSES[6]) and not motion.notes
    assert opened(Path("walk"), fps=20).fps == 20 and load_preset("walk").fps != 20
    with pytest.raises(MotionError, match="frame rate"):
        opened(folder, fps=0)
    write_clip([np.zeros((64, 64, 3), np.uint8)] * 3, tmp_path / "clip.mp4", fps=10)
    assert isinstance(open_motion(tmp_path / "clip.mp4"), Video)
    with pytest.raises(MotionError, match="of its own"):
        open_motion(tmp_path / "clip.mp4", fps=10)


def test_of_several_files_each_must_be_there(tmp_path: Path) -> None:
    folder = saved(tmp_path / "dance", one_per_frame())
    for paths in ([*folder.iterdir(), tmp_path / "gone.json"], []):
        with pytest.raises(MotionError, match="no motion"):
            open_motion(paths)


def encrypted() -> bytes:
    data = bytearray(packed(one_per_frame(), zipfile.ZIP_STORED))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        start = archive.start_dir
    data[start + 8] |= 1
    return bytes(data)


def zip_64() -> bytes:
    data = packed(one_per_frame())
    return data[:-22] + b"PK\x06\x07" + bytes(16) + data[-22:]


def claims(directory_bytes: int) -> bytes:
    data = packed(one_per_frame())
    return data[:-10] + struct.pack("<I", directory_bytes) + data[-6:]


def doubled() -> bytes:
    with pytest.warns(UserWarning, match="Duplicate"):
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as archive:
            for _ in range(2):
                archive.writestr("a_0.json", b"{}")
    return made.getvalue()


ATTACKS: dict[str, tuple[Callable[[], bytes], str]] = {
    "bomb": (lambda: packed({"a.json": b" " * 40_000_000}), "too large|32 MB together"),
    "bomb in parts": (
        lambda: packed({f"a_{i}.json": b" " * 5_000_000 for i in range(8)}),
        "32 MB together",
    ),
    "many frames": (lambda: packed({f"a_{i}.json": b"{}" for i in range(2001)}), "2000 are"),
    "many files": (lambda: packed({f"{i}.png": b"" for i in range(10_001)}), "10000 files"),
    "a long list": (lambda: claims(3_000_000), "too many files"),
    "a list in the wrong format": (zip_64, "too many files"),
    "traversal": (lambda: packed({"../a_0.json": b"{}"}), "odd place"),
    "traversal, Windows": (lambda: packed({"..\\a_0.json": b"{}"}), "odd place"),
    "root": (lambda: packed({"/a_0.json": b"{}"}), "odd place"),
    "drive": (lambda: packed({"C:/a_0.json": b"{}"}), "odd place"),
    "depth": (lambda: packed({"a/b/c/d/e_0.json": b"{}"}), "odd place"),
    "encrypted": (encrypted, "encrypted"),
    "unusual": (lambda: packed(one_per_frame(), zipfile.ZIP_LZMA), "unusual way"),
    "twice": (doubled, "twice"),
    "several videos": (lambda: packed(one_per_frame() | one_per_frame("b{}.json")), "2 videos"),
    "several motions": (lambda: packed({"walk.json": b"{}", "wave.json": b"{}"}), "2 videos"),
    "no JSON": (lambda: packed({"a.png": b""}), "no .json file"),
    "empty": (lambda: packed({}), "no .json file"),
    "no text": (lambda: packed({"a_0.json": b"\xff\xfe\x00["}), "can't be read"),
    "cut off": (lambda: packed(one_per_frame())[:-30], "no end"),
    "no ZIP": (lambda: b"PK\x03\x04", "no end"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_in_a_zip_of_poses(name: str) -> None:
    make, words = ATTACKS[name]
    with pytest.raises(MotionError, match=words) as caught:
        read_pose_archive(make(), "dance.zip")
    assert caught.value.remedy.endswith(".")


def test_a_zip_that_lies_about_a_size_is_read_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    data = packed({"a_0.json": b" " * 5000})
    place = data.rindex(struct.pack("<I", 5000))
    lying = data[:place] + struct.pack("<I", 10) + data[place + 4 :]
    monkeypatch.setattr(pose_files, "MAX_JSON_CHARACTERS", 100)
    with pytest.raises(MotionError):
        read_pose_archive(lying, "dance.zip")


def test_a_huge_zip_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dance.zip").write_bytes(packed(one_per_frame()))
    monkeypatch.setattr(pose_files, "MAX_ARCHIVE_BYTES", 100)
    with pytest.raises(MotionError, match="more than"):
        open_motion(tmp_path / "dance.zip")


def test_a_crowded_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = saved(tmp_path / "dance", one_per_frame())
    monkeypatch.setattr(pose_files, "MAX_ENTRIES", 5)
    with pytest.raises(MotionError, match="more than 5 files"):
        open_motion(folder)


SMALL = packed({f"a_{i}.json": json.dumps(frame(POSES[i])).encode() for i in range(2)})


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 255)), max_size=6),
    st.integers(0, len(SMALL)),
)
@example([(SMALL.rindex(b"a_1.json"), 0)], 0)  # a name without any letter
def test_damage_to_a_zip_of_poses_is_never_anything_but_a_motion_error(
    changes: list[tuple[int, int]], length: int
) -> None:
    data = bytearray(SMALL)
    for place, value in changes:
        data[place] = value
    for damaged in (bytes(data), bytes(data[:length])):
        try:
            motion = read_pose_archive(damaged, "dance.zip")
        except MotionError as error:
            assert error.message.endswith(".") and error.remedy.endswith(".")
        else:
            assert all(np.isfinite(pose.body).all() for pose in motion.poses)
