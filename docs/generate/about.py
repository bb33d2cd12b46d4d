"""Draws examples/about/: the same frames with and without each module of the paper."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from poseanimate.animator import Animator
from poseanimate.events import Done
from poseanimate.media import load_picture, tiled
from poseanimate.models.loading import load_models
from poseanimate.poses import overlay
from poseanimate.poses.motion import Motion, load_preset
from poseanimate.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
CHARACTER, MOTION, FRAMES = "room-boy", "dance-disco", 9
SHOWN = (3, 6, 8)  # frames
WITHOUT = {
    "pacm": {"pacm_source": False, "pacm_pose": False},
    "dcam": {"dcam": False},
    "mgdm": {"mgdm": False},
}
GAP_PX = 4


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    animator = Animator(load_models("pocket", "cpu"))
    folder = ROOT / "examples" / "about"
    folder.mkdir(exist_ok=True)
    source = ROOT / "examples" / "characters" / f"{CHARACTER}.png"
    character = animator.character(load_picture(source))
    prompt = source.with_suffix(".txt").read_text().strip()
    motion = load_preset(MOTION)
    settings = Settings.preset("balanced", "pocket").changed({"frames": FRAMES, "pacm_pose": True})

    def run(**changed: object) -> list[np.ndarray]:
        events = animator.animate(character, motion, settings.changed(changed), prompt)
        frames = next(event.frames for event in events if isinstance(event, Done))
        return [large(frames[i]) for i in SHOWN]

    def aligned(**changed: object) -> list[np.ndarray]:
        alignment = animator.align(character, elsewhere(motion), settings.changed(changed))
        poses = overlay.frames(character.picture, alignment)
        return [poses[i] for i in SHOWN]

    whole = run()
    pairs = {"pata": (aligned(pata=False), aligned())}
    pairs |= {name: (run(**off), whole) for name, off in WITHOUT.items()}
    for name, (without, having) in pairs.items():
        sheet = tiled([*without, *having], len(SHOWN), GAP_PX)
        Image.fromarray(sheet).save(folder / f"{name}.webp", quality=85)


def large(frame: np.ndarray) -> np.ndarray:
    picture = Image.fromarray(frame)
    return np.asarray(picture.resize((256, 256), Image.Resampling.LANCZOS))


def elsewhere(motion: Motion) -> Motion:
    """The motion of somebody who is smaller and stands at the side, as in most videos."""
    poses = (
        p.scaled(0.6, 0.6).shifted(0.05 * motion.width, 0.3 * motion.height) for p in motion.poses
    )
    return Motion(tuple(poses), motion.width, motion.height, motion.fps, motion.name)


if __name__ == "__main__":
    main()
