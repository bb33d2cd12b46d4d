"""Clips out: formats, round trips, refusals, and nothing half-written."""

from __future__ import annotations

import io
import math
import re
import subprocess
import zipfile
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from helpers.media import bar_position, clip_frames, ffmpeg, gradient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageSequence

from poseanimate.errors import OutputError
from poseanimate.media import Frame, check_output, clips, read_video, write_clip


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif", ".webp"])
@pytest.mark.parametrize("fps", [12.0, 7.5])
def test_round_trip(suffix: str, fps: float, tmp_path: Path) -> None:
    frames = clip_frames(11)
    path = tmp_path / f"clip{suffix}"
    write_clip(frames, path, fps)
    assert [child.name for child in tmp_path.iterdir()] == [path.name]
    video = read_video(path)
    assert len(video.frames) == len(frames)
    assert video.fps == pytest.approx(fps, rel={".gif": 0.02, ".webp": 0.005}.get(suffix, 1e-3))
    for frame, back in zip(frames, video.frames, strict=True):
        assert back.shape == frame.shape and back.dtype == np.uint8 and back.flags.writeable
        assert bar_position(back) == pytest.approx(bar_position(frame), abs=1)
        assert np.abs(back.astype(int) - frame).mean() < 12


def test_colours_survive_mp4(tmp_path: Path) -> None:
    for colour in ((220, 30, 40), (20, 200, 60), (250, 250, 250), (0, 0, 0)):
        write_clip([np.full((64, 64, 3), colour, np.uint8)] * 2, tmp_path / "c.mp4", 10)
        back = read_video(tmp_path / "c.mp4").frames[0]
        assert np.abs(back.astype(int) - colour).max() <= 4


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_players_are_told_the_colours_and_the_format(suffix: str, tmp_path: Path) -> None:
    write_clip(clip_frames(2), tmp_path / f"c{suffix}", 10)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(tmp_path / f"c{suffix}")]
    stream = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    assert "yuv420p(tv, bt709" in stream and "bt709/" not in stream
    assert ("h264" if suffix == ".mp4" else "vp9") in stream


def test_an_apng_is_exact_and_loops(tmp_path: Path) -> None:
    frames = clip_frames(5)
    write_clip(frames, tmp_path / "c.apng", 8)
    with Image.open(tmp_path / "c.apng") as image:
        assert image.info["loop"] == 0
    video = read_video(tmp_path / "c.apng")
    assert video.fps == pytest.approx(8) and np.array_equal(video.frames, frames)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif", ".apng", ".webp", ".png", ".zip", ""])
def test_a_comment_is_in_the_file(suffix: str, tmp_path: Path) -> None:
    frames, path = clip_frames(3), tmp_path / f"c{suffix}"
    write_clip(frames, path, 8, comment="draft, made here")
    if suffix == ".zip":
        zipfile.ZipFile(path).extractall(tmp_path / "out")
    found = {"": path / "00002.png", ".zip": tmp_path / "out" / "00002.png"}.get(suffix, path)
    if suffix in (".png", ".apng", ".zip", ""):
        with Image.open(found) as image:
            assert image.info["Comment"] == "draft, made here"
    elif suffix == ".webp":
        with Image.open(found) as image:
            assert image.getexif()[ExifTags.Base.ImageDescription] == "draft, made here"
    else:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(found)]
        told = subprocess.run(command, capture_output=True, text=True, check=False).stderr
        assert re.search("comment *: draft, made here", told, re.IGNORECASE)
    if suffix in (".mp4", ".webm", ".gif", ".apng", ".webp"):
        assert len(read_video(path).frames) == 3
    else:
        write_clip(frames, path, 8)  # over it: it is known as a clip


def test_still_frames_are_all_kept(tmp_path: Path) -> None:
    for suffix in (".mp4", ".webm", ".gif", ".apng"):
        write_clip([gradient(64, 64)] * 6, tmp_path / f"c{suffix}", 8)
        assert len(read_video(tmp_path / f"c{suffix}").frames) == 6


def test_a_single_frame(tmp_path: Path) -> None:
    for suffix in (".mp4", ".webm", ".gif"):
        write_clip([gradient(64, 64)], tmp_path / f"c{suffix}", 8)
        assert len(read_video(tmp_path / f"c{suffix}").frames) == 1


def test_odd_sides_are_padded_not_stretched(tmp_path: Path) -> None:
    frames = clip_frames(3, 65, 49)
    write_clip(frames, tmp_path / "c.mp4", 8)
    back = read_video(tmp_path / "c.mp4").frames[0]
    assert back.shape == (50, 66, 3)
    assert np.abs(back[:49, :65].astype(int) - frames[0]).mean() < 6
    write_clip(frames, tmp_path / "c.gif", 8)
    assert read_video(tmp_path / "c.gif").frames[0].shape == (49, 65, 3)


def test_enlarge(tmp_path: Path) -> None:
    write_clip(clip_frames(2), tmp_path / "c.gif", 8, enlarge=3)
    assert read_video(tmp_path / "c.gif").frames[0].shape == (144, 192, 3)


def test_gif_loops_and_keeps_the_mean_rate(tmp_path: Path) -> None:
    write_clip(clip_frames(12), tmp_path / "c.gif", 12)
    with Image.open(tmp_path / "c.gif") as image:
        assert image.info["loop"] == 0
        delays_ms = []
        for index in range(image.n_frames):
            image.seek(index)
            delays_ms.append(image.info["duration"])
    assert len(delays_ms) == 12 and sum(delays_ms) == pytest.approx(1000, abs=10)


def test_png_strip(tmp_path: Path) -> None:
    frames = clip_frames(10)
    write_clip(frames, tmp_path / "strip.png", 8)
    strip = np.asarray(Image.open(tmp_path / "strip.png"))
    assert strip.shape == (2 * 48, 8 * 64, 3)
    assert np.array_equal(strip[48:, 64:128], frames[9])
    assert np.all(strip[48:, 128:] == 255)


def test_folder_of_frames_is_exact_and_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    write_clip(clip_frames(5), folder, 8)
    frames = clip_frames(3, 60, 50)
    write_clip(frames, folder, 8)
    assert sorted(p.name for p in folder.iterdir()) == ["00000.png", "00001.png", "00002.png"]
    assert np.array_equal(np.asarray(Image.open(folder / "00002.png")), frames[2])
    assert [child.name for child in tmp_path.iterdir()] == ["frames"]


def cut_out(count: int) -> list[Frame]:
    """Frames whose left half is there and whose right half is not, with a soft edge."""
    alpha = np.zeros((48, 64), np.uint8)
    alpha[:, :32], alpha[:, 32:34] = 255, 128
    return [np.dstack([frame, alpha]) for frame in clip_frames(count)]


def test_a_zip_holds_the_frames_exactly(tmp_path: Path) -> None:
    for frames in (clip_frames(3), cut_out(3)):
        write_clip(frames, tmp_path / "c.zip", 8)
        with zipfile.ZipFile(tmp_path / "c.zip") as archive:
            assert archive.namelist() == ["00000.png", "00001.png", "00002.png"]
            for frame, name in zip(frames, archive.namelist(), strict=True):
                back = Image.open(io.BytesIO(archive.read(name)))
                assert np.array_equal(np.asarray(back), frame)


def test_a_webm_can_be_transparent(tmp_path: Path) -> None:
    frames = cut_out(5)
    write_clip(frames, tmp_path / "c.webm", 8)
    ffmpeg("-c:v", "libvpx-vp9", "-i", tmp_path / "c.webm", tmp_path / "back-%d.png")
    backs = [np.asarray(Image.open(tmp_path / f"back-{i}.png")) for i in range(1, 6)]
    assert not (tmp_path / "back-6.png").exists()
    for frame, back in zip(frames, backs, strict=True):
        assert back.shape == (48, 64, 4)
        assert np.abs(back[..., 3].astype(int) - frame[..., 3]).max() < 40
        inside = np.abs(back[:, :30, :3].astype(int) - frame[:, :30, :3]).mean()
        assert inside < 12


@pytest.mark.parametrize("suffix", [".gif", ".apng", ".webp"])
def test_animated_pictures_can_be_transparent(suffix: str, tmp_path: Path) -> None:
    frames = [np.roll(frame, 12 * index, axis=1) for index, frame in enumerate(cut_out(4))]
    write_clip(frames, tmp_path / f"c{suffix}", 8)
    with Image.open(tmp_path / f"c{suffix}") as image:
        backs = [np.asarray(back.convert("RGBA")) for back in ImageSequence.Iterator(image)]
    assert len(backs) == 4
    for frame, back in zip(frames, backs, strict=True):
        alpha = frame[..., 3]
        if suffix == ".gif":  # what moved away doesn't stay behind
            alpha = np.where(alpha >= 128, np.uint8(255), np.uint8(0))
        assert np.array_equal(back[..., 3], alpha)
        inside = np.abs(back[..., :3].astype(int) - frame[..., :3])[alpha > 128]
        assert inside.mean() < (1e-9 if suffix == ".apng" else 4)


def test_a_transparent_sheet_ends_clear(tmp_path: Path) -> None:
    write_clip(cut_out(10), tmp_path / "c.png", 8)
    sheet = np.asarray(Image.open(tmp_path / "c.png"))
    assert sheet.shape == (2 * 48, 8 * 64, 4) and not sheet[48:, 128:].any()


def test_what_cannot_be_transparent_says_what_can(tmp_path: Path) -> None:
    for refuse in (
        lambda path: write_clip(cut_out(2), path, 8),
        lambda path: check_output(path, transparent=True),
    ):
        with pytest.raises(OutputError, match="can't be transparent") as caught:
            refuse(tmp_path / "c.mp4")
        assert all(each in caught.value.remedy for each in (".webm", ".gif", ".apng", "folder"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["clip.avi", "no/clip.mp4", "folder.mp4", "file", "full", "own"])
def test_check_output_refuses(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "file").write_text("precious")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("precious")
    (tmp_path / "own").mkdir()  # numbered pictures of somebody's own
    Image.new("RGB", (8, 8)).save(tmp_path / "own" / "00007.png")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputError) as caught:
        check_output(tmp_path / name)
    assert caught.value.remedy
    with pytest.raises(OutputError):
        write_clip(clip_frames(2), tmp_path / name, 8)
    assert sorted(tmp_path.rglob("*")) == before


def test_check_output_accepts_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "old.mp4").write_text("a former clip")
    for name in ("a.MP4", "a.gif", "a.webm", "a.apng", "a.png", "folder", "empty", "old.mp4"):
        check_output(tmp_path / name)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "old.mp4"]


def test_unwritable_place() -> None:
    if not Path("/proc/self").is_dir():
        pytest.skip("needs /proc, where nobody can make files")
    with pytest.raises(OutputError, match="can be written"):
        check_output(Path("/proc/clip.mp4"))


def test_name_too_long(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        check_output(tmp_path / ("x" * 300 + ".mp4"))


@pytest.mark.parametrize("name", ["c.mp4", "c.gif", "c.png", "frames"])
def test_bad_clips(name: str, tmp_path: Path) -> None:
    good = clip_frames(2)
    bad: list[tuple[list[Frame], float, int]] = [
        ([], 8, 1),
        ([good[0], good[1][:-2]], 8, 1),
        ([good[0][..., 0]], 8, 1),
        (good, 0, 1),
        (good, math.nan, 1),
        (good, 8, 0),
    ]
    for frames, fps, enlarge in bad:
        with pytest.raises(OutputError):
            write_clip(frames, tmp_path / name, fps, enlarge)
    with pytest.raises(OutputError, match="8-bit"):
        write_clip([frame.astype(float) for frame in good], tmp_path / name, 8)  # type: ignore[misc]
    assert not list(tmp_path.iterdir())


def test_a_gif_has_a_highest_rate(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="GIF"):
        write_clip(clip_frames(2), tmp_path / "c.gif", 60)


@pytest.mark.parametrize("suffix", [".mp4", ".gif", ".webm", ".apng"])
def test_a_failing_encoder_leaves_the_old_clip(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"c{suffix}"
    write_clip(clip_frames(2), path, 8)
    before = path.read_bytes()
    monkeypatch.setitem(clips._ENCODERS, suffix, ["-c:v", "no-such-encoder"])
    with pytest.raises(OutputError, match="can't be written"):
        write_clip(clip_frames(40, 256, 256), path, 8)
    assert path.read_bytes() == before
    assert [child.name for child in tmp_path.iterdir()] == [path.name]


def test_a_failing_folder_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "frames"
    write_clip(clip_frames(3), folder, 8)
    rename = Path.rename

    def disk_full(self: Path, target: Path) -> Path:
        if target == folder and not self.name.endswith("former"):
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", disk_full)
    with pytest.raises(OutputError, match="No space"):
        write_clip(clip_frames(9), folder, 8)
    assert len(list(folder.iterdir())) == 3
    assert [child.name for child in tmp_path.iterdir()] == ["frames"]


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(width=st.integers(16, 70), height=st.integers(16, 70), count=st.integers(1, 9))
def test_any_size_and_count_survives(width: int, height: int, count: int, tmp_path: Path) -> None:
    write_clip([gradient(width, height)] * count, tmp_path / "c.mp4", 9)
    frames = read_video(tmp_path / "c.mp4").frames
    assert len(frames) == count
    assert frames[0].shape == (height + height % 2, width + width % 2, 3)
