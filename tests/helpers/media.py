"""Frames and files for tests of media."""

from __future__ import annotations

import subprocess

import imageio_ffmpeg
import numpy as np

from poseanimate.media import Frame


def gradient(width: int, height: int) -> Frame:
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.stack([x, y, 255 - x], axis=-1).astype(np.uint8)


def clip_frames(count: int, width: int = 64, height: int = 48) -> list[Frame]:
    """A bright bar that moves right over a gradient: every frame can be told from the others."""
    frames = []
    for index in range(count):
        frame = gradient(width, height) // 2
        left = 4 * index % (width - 4)
        frame[:, left : left + 4] = 255
        frames.append(frame)
    return frames


def bar_position(frame: Frame) -> float:
    brightness = frame.astype(float).min(axis=2).mean(axis=0)
    return float(np.argmax(np.convolve(brightness, np.ones(4), "valid")))


def ffmpeg(*arguments: object) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)


def loudness(path: object, from_s: float, to_s: float) -> float:
    """Mean absolute sample, 0 to 32767, of a part of a file's sound."""
    part = ("-ss", str(from_s), "-t", str(to_s - from_s))
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), *part]
    run = subprocess.run([*command, "-f", "s16le", "-"], check=True, capture_output=True)
    return float(np.abs(np.frombuffer(run.stdout, "<i2").astype(float)).mean())
