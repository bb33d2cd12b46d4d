"""The most that a pose file may hold, and what its numbers may be."""

from __future__ import annotations

MAX_FRAMES = 2000
MAX_JSON_CHARACTERS = 32_000_000
MAX_PEOPLE = 100
MAX_SIDE_PX = 16_384
MIN_FPS, MAX_FPS = 0.1, 240.0
MAX_POINTS = 600  # of one part of a person; MediaPipe's face has 478
