"""New characters of the pocket world, drawn for whoever asks for a surprise."""

from __future__ import annotations

from itertools import count

import numpy as np
from numpy.typing import NDArray

from poseanimate.pocket.body import Angles

SIDE_PX = 512
SPLIT = "train"  # what is held out stays for measuring


def draw_character(seed: int) -> tuple[NDArray[np.uint8], str]:
    """A character standing at ease in a place, and the picture's caption; the same for the same seed.

    Hard cases, such as small characters, are left out.

    Args:
        seed: from 0.

    Returns:
        The picture (512, 512, 3), uint8 RGB, and its caption.
    """
    from poseanimate.pocket.world.scene import Scene  # the renderer is loaded for this alone

    scenes = (Scene.sample(SPLIT, index) for index in count(seed))
    scene = next(each for each in scenes if not each.kinds)
    return scene.render(Angles(), SIDE_PX, SIDE_PX).picture, scene.caption
