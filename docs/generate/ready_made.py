"""The page's ready-made clips: each example character in each motion, as Generate makes them with the first preset.

To run: `python docs/generate/ready_made.py [character ...]`. Clips that exist stay; delete those to make anew.
"""

from __future__ import annotations

import argparse

from PIL import Image

from poseanimate.animator import Animator
from poseanimate.events import Done
from poseanimate.media import write_clip
from poseanimate.models.loading import load_models
from poseanimate.poses.motion import load_preset, preset_names
from poseanimate.settings import Settings
from poseanimate.ui.sections.settings import FIRST_PRESET
from poseanimate.ui.theme import EXAMPLES, caption, example_names, ready_made
from poseanimate.ui.widgets.contact_sheet import enlargement


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("characters", nargs="*", default=example_names())
    options = parser.parse_args()
    animator, settings = (
        Animator(load_models("pocket", device="cpu")),
        Settings.preset(FIRST_PRESET, "pocket"),
    )
    for character in options.characters:
        picture = Image.open(EXAMPLES / f"{character}.png").convert("RGB")
        for motion in preset_names():
            path = ready_made(character, motion)
            if path.is_file():
                continue
            *_, done = animator.animate(picture, load_preset(motion), settings, caption(character))
            assert isinstance(done, Done)
            path.parent.mkdir(exist_ok=True)
            height, width = done.frames[0].shape[:2]
            write_clip(done.frames, path, done.fps, enlargement(width, height))
            print(path.name, f"{path.stat().st_size / 1e3:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
