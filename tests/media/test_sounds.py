"""Sound: read from a video, written into a clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.media import clip_frames, ffmpeg, loudness
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poseanimate.errors import OutputError, VideoError
from poseanimate.media import Sound, VideoLimits, read_sound, read_video, write_clip
from poseanimate.media.sounds import RATE_HZ


def _video(folder: Path, suffix: str = ".mp4", silent: bool = False) -> Path:
    """One second; a tone from 0.5 s on."""
    picture = ("-f", "lavfi", "-i", "testsrc=s=64x48:r=10:d=1")
    sound = ("-f", "lavfi", "-i", "sine=f=440:d=1", "-af", "volume=0:enable='lt(t,0.5)'")
    path = folder / f"v{suffix}"
    ffmpeg(*picture, *(() if silent else sound), "-pix_fmt", "yuv420p", path)
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".mkv"])
def test_sound_keeps_its_time(suffix: str, tmp_path: Path) -> None:
    sound = read_sound(_video(tmp_path, suffix))
    assert sound is not None and sound.samples.dtype == np.int16
    assert len(sound.samples) == pytest.approx(RATE_HZ, rel=0.05)
    levels = np.abs(sound.samples.astype(float)).mean(axis=1)
    half = RATE_HZ // 2
    assert levels[: half - 2000].mean() < 60 < 500 < levels[half + 2000 : 2 * half - 4000].mean()


def test_no_sound_is_none(tmp_path: Path) -> None:
    assert read_sound(_video(tmp_path, silent=True)) is None
    write_clip(clip_frames(3), tmp_path / "c.gif", 10)
    assert read_sound(tmp_path / "c.gif") is None


def test_sound_is_bounded(tmp_path: Path) -> None:
    sound = read_sound(_video(tmp_path), VideoLimits(max_seconds=0.3))
    assert sound is not None and len(sound.samples) <= 0.3 * RATE_HZ


@given(st.integers(0, 3000), st.integers(0, 3000), st.integers(0, 5000))
def test_fitted_sound_is_the_sound_later(count: int, delay: int, length: int) -> None:
    samples = np.arange(1, 2 * count + 1, dtype=np.int16).reshape(-1, 2)
    fitted = Sound(samples).fitted(delay / RATE_HZ, length / RATE_HZ).samples
    assert fitted.shape == (length, 2)
    assert not fitted[:delay].any()
    kept = fitted[delay : delay + count]
    assert np.array_equal(kept, samples[: len(kept)])
    assert not fitted[delay + count :].any()


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
@pytest.mark.parametrize("channels", [3, 4])
def test_a_clip_with_sound(suffix: str, channels: int, tmp_path: Path) -> None:
    if suffix == ".mp4" and channels == 4:
        return  # an MP4 can't be transparent
    sound = read_sound(_video(tmp_path))
    assert sound is not None
    frames = [np.dstack([frame, frame[..., :1]])[..., :channels] for frame in clip_frames(20)]
    path = tmp_path / f"c{suffix}"
    write_clip(frames, path, 10, sound=sound.fitted(0.4, 2))
    assert len(read_video(path).frames) == 20
    back = read_sound(path)
    assert back is not None and len(back.samples) == pytest.approx(2 * RATE_HZ, rel=0.05)
    assert loudness(path, 0.1, 0.8) < 60 < 500 < loudness(path, 1.0, 1.3)
    assert loudness(path, 1.5, 1.9) < 60


def test_other_clips_take_no_sound(tmp_path: Path) -> None:
    silence = Sound(np.zeros((10, 2), np.int16))
    for name in ("c.gif", "c.png", "c.zip", "c"):
        with pytest.raises(OutputError, match="no sound"):
            write_clip(clip_frames(2), tmp_path / name, 10, sound=silence)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.floats(0, 0.99), byte=st.binary())
def test_damaged_sound_is_never_anything_but_a_video_error(
    place: float, byte: bytes, tmp_path: Path
) -> None:
    whole = tmp_path / "v.mp4"
    data = bytearray((whole if whole.exists() else _video(tmp_path)).read_bytes())
    start = int(place * len(data))
    data[start : start + len(byte)] = byte
    (tmp_path / "c").write_bytes(data)
    try:
        sound = read_sound(tmp_path / "c")
    except VideoError as error:
        assert error.remedy
    else:
        assert sound is None or len(sound.samples) <= 60 * RATE_HZ
