"""One character in one motion, and the figures of a clip of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseanimate.evaluation.metrics.figures import (
    background_parts,
    dynamics,
    identity_error,
    iou,
    l1_disco,
    letter_is_right,
    motion,
    ssim,
)
from poseanimate.events import Done
from poseanimate.inputs.character import Character
from poseanimate.media.similarity import Inside, Mask, Picture, change, outside, psnr_db
from poseanimate.models.family import Models, to_pixels, to_tensor
from poseanimate.poses.accuracy import PCK_RADIUS, joint_errors, mean_joint_error
from poseanimate.poses.motion import Motion
from poseanimate.poses.skeleton import Pose


@dataclass(frozen=True, eq=False)
class Truth:
    """A true frame: picture (H, W, 3) uint8, mask (H, W) in [0, 1], pose in pixels of the picture.

    relettered: the picture with every other letter on the shirt, and with none; empty where the shirt has no letter.
    """

    picture: Picture
    mask: Mask
    pose: Pose
    relettered: tuple[Picture, ...] = ()


@dataclass(frozen=True, eq=False)
class Case:
    """One character in one motion.

    own: the poses that frames 1 … N shall have, on the source's canvas.
    another: the motion as another person shows it, who is elsewhere and of another size; None where there is none.
    truth: the true frames 1 … N; empty where nobody knows them.
    """

    motion: str
    prompt: str
    source: Character
    own: Motion
    another: Motion | None = None
    truth: tuple[Truth, ...] = ()


def reference_clips(models: Models, case: Case) -> dict[str, tuple[Picture, ...]]:
    """What frames the rows' figures: the source copied, and the autoencoder of the truth, the best that can be."""
    clips = {"source-copy": (case.source.picture,) * len(case.own.poses)}
    if case.truth:
        pictures = np.stack([t.picture for t in case.truth])
        bound = to_pixels(models.decode(models.encode(to_tensor(pictures, models.device))))
        clips["vae-bound"] = tuple(bound)
    return clips


def figures(models: Models, case: Case, clip: Sequence[Picture]) -> dict[str, float]:
    """Figures of a clip's frames 1 … N (without the source), each the mean over frames.

    Where the truth is not known, characters are where the segmenter sees them in the clip itself.
    """
    seen = [models.segmenter.segment(made) for made in clip]
    masks = [t.mask for t in case.truth] or seen
    per_frame: list[dict[str, float]] = []
    for i, (made, pose) in enumerate(zip(clip, case.own.poses, strict=True)):
        found = _pose_figures(models, made, pose)
        nowhere = outside(case.source.mask, masks[i])
        found["background_change"] = change(made, case.source.picture, nowhere)
        if case.truth:
            found |= _truth_figures(made, seen[i] > 0.5, case.truth[i], case.source.mask > 0.5)
        per_frame.append(found)
    shown, where = [case.source.picture, *clip], [case.source.mask, *masks]
    flicker = [
        change(shown[i - 1], shown[i], outside(where[i - 1], where[i]))
        for i in range(1, len(shown))
    ]
    found = _means(per_frame) | {"flicker": float(np.mean(flicker))}
    if case.truth:
        found["dynamics"] = dynamics(clip, [t.picture for t in case.truth])
    else:
        found["motion"] = motion(shown)
    return found


def run_figures(case: Case, masks: Sequence[Mask | None], done: Done) -> dict[str, float]:
    """What a run tells of itself: frame 0's reconstruction, and MGDM's masks of frames 1 … N against the true ones."""
    found = {"source_psnr": done.source_psnr_db, "inversion_psnr": done.inversion_psnr_db}
    overlaps = [
        iou(mask > 0.5, true.mask > 0.5)
        for mask, true in zip(masks, case.truth, strict=False)
        if mask is not None
    ]
    found["frame_mask_iou"] = float(np.mean(overlaps)) if overlaps else None
    return {name: value for name, value in found.items() if value is not None}


def _pose_figures(models: Models, made: Picture, pose: Pose) -> dict[str, float]:
    if not pose.visible().any():
        return {}
    people = models.detector.detect(made)
    errors = joint_errors(people[0] if people else None, pose)
    return {
        "pck": 100 * float((errors < PCK_RADIUS).mean()),
        "joint_error": mean_joint_error(errors),
    }


def _truth_figures(made: Picture, seen: Inside, true: Truth, source: Inside) -> dict[str, float]:
    body: NDArray[np.bool_] = true.mask > 0.5
    parts = background_parts(body, source)
    found = {
        "psnr": psnr_db(made, true.picture),
        "psnr_character": psnr_db(made, true.picture, body),
        "psnr_background": psnr_db(made, true.picture, ~body),
        "ssim": ssim(made, true.picture),
        "l1": l1_disco(made, true.picture),
        "mask_iou": iou(seen, body),
        "identity": identity_error(made, true.picture, true.pose),
        **{name: psnr_db(made, true.picture, where) for name, where in parts.items()},
    }
    if true.relettered:
        letter = letter_is_right(made, true.picture, true.relettered)
        if letter is not None:
            found["letter"] = 100.0 * letter
    return found


def _means(per_frame: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Every figure's mean over the frames that have it."""
    names = dict.fromkeys(name for found in per_frame for name in found)
    values = {
        name: [f[name] for f in per_frame if np.isfinite(f.get(name, np.nan))] for name in names
    }
    return {name: float(np.mean(own)) for name, own in values.items() if own}
