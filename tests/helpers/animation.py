"""Runs of the animator on tiny models, in fractions of a second."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from helpers.tiny import scene_at_ease, tiny_models
from PIL import Image

from poseanimate.animator import Animator
from poseanimate.events import Done, Event
from poseanimate.models.family import Models
from poseanimate.poses.motion import Motion, load_preset
from poseanimate.settings import Settings
from poseanimate.storage.stage_cache import StageCache

T, INNER = 2, 1
PROMPT = "a girl with red hair, in the park"
CACHE_BYTES = 50_000_000


def fast(**changes) -> Settings:
    """Few steps, none of which stops early, and a guidance and a rate at which they show."""
    few = {
        "guidance_scale": 3.0,
        "source_learning_rate": 3e-2,
        "num_inference_steps": T,
        "inner_steps": INNER,
        "frames": 3,
        "transition_frames": 0,
        "frame_masks": "both",
    }
    return Settings().changed(few | changes)


def picture() -> Image.Image:
    return Image.fromarray(scene_at_ease().picture)


@cache
def walk(poses: int = 6) -> Motion:
    whole = load_preset("walk")
    return replace(whole, poses=whole.poses[:poses])


def run(
    settings: Settings | None = None,
    cache: StageCache | None = None,
    prompt: str = PROMPT,
    source: Image.Image | None = None,
    motion: Motion | None = None,
    models: Models | None = None,
    chunk_size: int = 2,
) -> list[Event]:
    animator = Animator(models or tiny_models(), cache, chunk_size=chunk_size)
    return list(animator.animate(source or picture(), motion or walk(), settings or fast(), prompt))


def frames_of(events: list[Event]) -> np.ndarray:
    done = events[-1]
    assert isinstance(done, Done)
    return np.stack(done.frames)


def assert_alike(found: np.ndarray, expected: np.ndarray) -> None:
    """Equal but for the order of sums and the place in memory: rounding to 8 bits may fall either way."""
    off = np.abs(found.astype(int) - expected.astype(int))
    assert off.max() <= 1 and (off > 0).mean() < 0.01


@cache
def undisturbed(settings: Settings, chunk_size: int = 2) -> np.ndarray:
    """The frames of a run without a cache, made once."""
    return frames_of(run(settings, chunk_size=chunk_size))
