"""How near frames and clips are to the true ones, pixel by pixel.

Pictures are (H, W, 3) uint8 RGB, masks (H, W) bool.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from skimage.metrics import structural_similarity

from poseanimate.evaluation.metrics.catalogue import OUTLINE_PX
from poseanimate.media.similarity import Inside, Picture, change

MIN_PART_PX = 64  # one token of the pocket models: fewer pixels measure chance


def ssim(made: Picture, truth: Picture) -> float:
    """Structural similarity with the Gaussian window of the original paper (sigma 1.5)."""
    return float(
        structural_similarity(
            made,
            truth,
            channel_axis=2,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def find_background_parts(body: Inside, source: Inside) -> dict[str, Inside]:
    """Masks (H, W) of the hard parts of a frame's background, by metric; too small ones are left out.

    Args:
        body, source: the character in the frame and in the source picture.
    """
    distance = cv2.distanceTransform((~body).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    near = distance <= OUTLINE_PX
    parts = {"psnr_outline": near & ~body, "psnr_disoccluded": ~near & source}
    return {name: part for name, part in parts.items() if part.sum() >= MIN_PART_PX}


def l1_disco(made: Picture, truth: Picture) -> float:
    """L1 as in DisCo's evaluation: the mean difference in grey levels, divided by H·W once more; times 1e4."""
    height, width = truth.shape[:2]
    return 1e4 * change(made, truth) / (height * width)


def iou(seen: Inside, truth: Inside) -> float:
    """Intersection over union; 1 where both are empty."""
    union = int((seen | truth).sum())
    return 1.0 if union == 0 else float((seen & truth).sum() / union)


def motion(clip: Sequence[Picture]) -> float:
    """Mean change from frame to frame in grey levels."""
    return float(np.mean([change(*pair) for pair in pairwise(clip)]))


def dynamics(clip: Sequence[Picture], truth: Sequence[Picture]) -> float:
    """Change from frame to frame, in per cent of the true clip's."""
    true = motion(truth)
    return 100 * (motion(clip) / true) if true else 0.0
