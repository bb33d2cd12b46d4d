"""Figures for one generated picture or clip against the true one.

Pictures are (H, W, 3) uint8 RGB, masks (H, W) in [0, 1]. `FIGURES` says what each figure is called, what it is measured
in and which way is better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2lab
from skimage.metrics import structural_similarity

from poseanimate.media.similarity import Inside, Picture, change
from poseanimate.pocket.world.doll import CLOTH, Doll
from poseanimate.poses.accuracy import PCK_RADIUS, joint_errors
from poseanimate.poses.skeleton import Pose

SHARE_OF_JOINTS = 0.8
OUTLINE_PX = 4  # from a character, half a token of the pocket models: what one token holds of both
FEWEST_PX = 64  # a token of theirs: a figure of fewer pixels is chance
FEWEST_LETTER_PX = 24  # that tell letters apart; fewer are what an arm leaves of them
FEWEST_CLOTH_PX = 5  # that say what colour a garment has
BLEND_RANGE = 40.0  # RGB distance from two colours' blends at which a pixel speaks for neither


@dataclass(frozen=True)
class Figure:
    """What is measured: heading, unit, sentence of explanation, and which way is better (+1, -1, 0 neither)."""

    heading: str
    unit: str
    better: int
    meaning: str
    digits: int = 1


FIGURES: dict[str, Figure] = {
    "psnr": Figure("PSNR", "dB", 1, "against the true frames"),
    "psnr_character": Figure("character", "dB", 1, "PSNR within the true character's mask"),
    "psnr_background": Figure("background", "dB", 1, "PSNR outside the true character's mask"),
    "psnr_outline": Figure(
        "outline", "dB", 1, f"PSNR of the background within {OUTLINE_PX} px of the true character"
    ),
    "psnr_disoccluded": Figure(
        "disoccluded", "dB", 1, "PSNR of the background further off, where the source's character was"
    ),
    "ssim": Figure("SSIM", "", 1, "against the true frames", 3),
    "l1": Figure(
        "L1", "E-04", -1,
        "mean difference of 0 to 255, divided by the number of pixels, as in DisCo's evaluation", 1,
    ),
    "pck": Figure("PCK", "%", 1, "joints found within a quarter of a torso of the truth"),
    "joint_error": Figure(
        "joints", "torsos", -1, "mean distance of joints from the truth; missed ones count 1", 3
    ),
    "mask_iou": Figure("mask IoU", "", 1, "of the character that is seen against the true mask", 3),
    "identity": Figure(
        "identity", "ΔE", -1, "mean colour difference of face, top, bottom and shoes from the truth"
    ),
    "letter": Figure(
        "letter", "% of frames", 1,
        "that show the letter of the shirt: nearer to the truth than to any other letter or none",
    ),
    "background_change": Figure(
        "bg change", "grey levels", -1, "from the source, where the character is in neither", 2
    ),
    "flicker": Figure(
        "flicker", "grey levels", -1,
        "change from frame to frame where the character is in neither", 2,
    ),
    "dynamics": Figure(
        "dynamics", "% of truth", 0,
        "change from frame to frame, of the true clip's; a frozen clip has 0 and no flicker",
    ),
    "motion": Figure(
        "motion", "grey levels", 0,
        "change from frame to frame, where the truth isn't known; a frozen clip has 0 and no flicker", 2,
    ),
    "lpips": Figure("LPIPS", "", -1, "perceptual distance from the source (AlexNet)", 3),
    "lpips_disco": Figure(
        "LPIPS, DisCo", "", -1, "from the truth, as DisCo's released code has it (VGG, shown [0, 1])", 3
    ),
    "fid": Figure(
        "FID", "", -1, "Fréchet distance of Inception's features of all frames from the true ones' (pytorch-fid)"
    ),
    "fid_vid": Figure(
        "FID-VID", "", -1, "the same of 3D-ResNet-50's features of every 16 consecutive frames (DisCo)"
    ),
    "fvd": Figure("FVD", "", -1, "the same of I3D's logits of every 16 consecutive frames (DisCo)"),
    "clip_i": Figure("CLIP-I", "", 1, "mean cosine of the frames' embeddings with the source's", 3),
    "frame_consistency": Figure(
        "FC", "%", 1, "cosine of consecutive frames' embeddings; a frozen clip has 100"
    ),
    "warping_error": Figure(
        "WE", "", -1, "difference from the next frame warped by optical flow; a frozen clip has 0", 4
    ),
    "warping_error_released": Figure(
        "WE, released", "", -1, "the same as EvalCrafter's released code shows pictures to RAFT", 4
    ),
    "source_psnr": Figure("frame 0", "dB", 1, "PSNR of the source as the first optimisation reconstructs it"),
    "inversion_psnr": Figure(
        "frame 0, latent", "dB", 1, "the same against what the autoencoder makes of the source"
    ),
    "frame_mask_iou": Figure(
        "M_i IoU", "", 1, "of the frame masks with the true ones", 3
    ),
    "seconds": Figure("seconds", "s", -1, "that the row takes alone, without loading"),
    "nfe": Figure(
        "NFE", "", -1,
        "number of function evaluations: samples through U-Net and ControlNet, forward and backward", 0,
    ),
}  # fmt: skip


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


def background_parts(body: Inside, source: Inside) -> dict[str, Inside]:
    """Where a frame's background is hard to make, for a character in `body` that was in `source`; by figure.

    A part that is too small for a figure is left out.
    """
    distance = cv2.distanceTransform((~body).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    near = distance <= OUTLINE_PX
    parts = {"psnr_outline": near & ~body, "psnr_disoccluded": ~near & source}
    return {name: part for name, part in parts.items() if part.sum() >= FEWEST_PX}


def l1_disco(made: Picture, truth: Picture) -> float:
    """L1 as DisCo's evaluation has it: the mean difference in grey levels, divided by H·W once more; times 1e4."""
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


def identity_error(made: Picture, truth: Picture, pose: Pose, radius: int = 2) -> float:
    """Mean colour difference (CIE 1976 ΔE) from the truth on the parts that one knows a character by.

    Of face, top, bottom and shoes; around the true joints, the median colour of each place.
    """
    places = [
        pose.body[0, :2],
        *(place for hip in (8, 11) for place in _between(pose, 1, hip, 0.25, 0.5, 0.75)),
        *(place for hip in (8, 11) for place in _between(pose, hip, hip + 1, 0.2, 0.5)),
        *(pose.body[ankle, :2] for ankle in (10, 13)),
    ]
    height, width = truth.shape[:2]
    seen = [p for p in places if 0 < p[0] < width and 0 < p[1] < height]
    pairs = [[_median(picture, place, radius) for picture in (made, truth)] for place in seen]
    lab = rgb2lab(np.array(pairs, np.float64) / 255)
    return float(np.linalg.norm(lab[:, 0] - lab[:, 1], axis=1).mean()) if seen else float("nan")


def pose_is_right(found: Pose | None, truth: Pose) -> bool:
    """Whether 80 % of the joints lie within a quarter of a torso of the truth."""
    return bool((joint_errors(found, truth) < PCK_RADIUS).mean() >= SHARE_OF_JOINTS)


def garments_are_right(
    picture: Picture, true: Picture, dyed: Mapping[str, Picture], character: Doll
) -> bool:
    """Whether shirt and trousers, shorts or skirt have the colours that the caption names.

    Most of the pixels that show the garment in the true picture must be nearest to the named cloth colour. A patterned
    shirt, whose thin stripes blend, must have the one colour that explains them best together with its pattern's. Not
    right where too little of either garment is seen.

    Args:
        picture: the picture that is looked at.
        true: the picture as it was rendered.
        dyed: the same rendered with another colour of "top", "trim" and "bottom" (`Scene.dyed`).
        character: who is in it.
    """
    top = _differ(true, dyed["top"]) | _differ(true, dyed["trim"])
    bottom = _differ(true, dyed["bottom"])
    if min(top.sum(), bottom.sum()) < FEWEST_CLOTH_PX:
        return False
    shirt, legs = (picture[where].astype(np.float64) for where in (top, bottom))
    found = (
        _cloth_name(shirt)
        if character.top_pattern == "plain"
        else _cloth_name_beside(shirt, character.trim_colour)
    )
    return (found, _cloth_name(legs)) == (character.top_colour, character.bottom_colour)


def _differ(one: Picture, other: Picture) -> NDArray[np.bool_]:
    """Where two pictures differ by more than half of their largest difference: edges, which blend, left out."""
    difference = np.abs(one.astype(np.float64) - other).sum(axis=2)
    return difference > max(difference.max() / 2, 1.0)


def letter_is_right(picture: Picture, true: Picture, relettered: Sequence[Picture]) -> bool | None:
    """Whether a picture is nearer to the true one than to those with another letter or none.

    Compared where these differ; None where too little of them is seen.
    """
    differs = np.any([(other != true).any(axis=2) for other in relettered], axis=0)
    if differs.sum() < FEWEST_LETTER_PX:
        return None
    seen = picture[differs].astype(np.float64)
    error, *others = (np.square(seen - p[differs]).sum() for p in (true, *relettered))
    return bool(error < min(others))


def _between(pose: Pose, start: int, end: int, *shares: float) -> list[NDArray[np.float64]]:
    """Places on the way from one joint to another; none where either is outside the picture."""
    if not pose.visible()[[start, end]].all():
        return []
    one, other = pose.xy[start], pose.xy[end]
    return [one + (other - one) * share for share in shares]


def _patch(picture: Picture, place: NDArray[np.float64], radius: int) -> NDArray[np.float64]:
    """(pixels, 3) around a place, kept inside the picture."""
    (row, column), sides = (round(float(c)) for c in place[::-1]), picture.shape[:2]
    row, column = (
        int(np.clip(c, radius, side - 1 - radius))
        for c, side in zip((row, column), sides, strict=True)
    )
    square = picture[row - radius : row + radius + 1, column - radius : column + radius + 1]
    return square.reshape(-1, 3).astype(np.float64)


def _median(picture: Picture, place: NDArray[np.float64], radius: int) -> NDArray[np.float64]:
    return np.asarray(np.median(_patch(picture, place, radius), axis=0))


def _cloth_name(pixels: NDArray[np.float64]) -> str:
    """The cloth colour that most pixels are nearest to."""
    palette = np.array(list(CLOTH.values()), np.float64)
    nearest = np.linalg.norm(pixels[:, None] - palette, axis=2).argmin(axis=1)
    return list(CLOTH)[int(np.bincount(nearest).argmax())]


def _cloth_name_beside(pixels: NDArray[np.float64], pattern: str) -> str:
    """The cloth colour whose blends with the pattern's lie nearest to the pixels, in RGB."""
    end = np.array(CLOTH[pattern], np.float64)

    def distance(name: str) -> float:
        along = np.array(CLOTH[name], np.float64) - end
        share = np.clip((pixels - end) @ along / (along @ along), 0, 1)
        off = np.linalg.norm(pixels - end - share[:, None] * along, axis=1)
        return float(np.minimum(off, BLEND_RANGE).mean())

    return min((name for name in CLOTH if name != pattern), key=distance)
