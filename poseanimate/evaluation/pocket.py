"""Protocol `pocket`: characters of the rendered world in motions whose true frames are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from poseanimate.animator import Animator, Character
from poseanimate.evaluation.metrics import (
    PCK_RADIUS,
    Mask,
    Picture,
    change,
    dynamics,
    identity_error,
    iou,
    joint_errors,
    l1_disco,
    mean_joint_error,
    outside,
    ssim,
)
from poseanimate.events import Done
from poseanimate.models import Models, to_pixels, to_tensor
from poseanimate.pocket.body import Angles
from poseanimate.pocket.motions import FPS
from poseanimate.pocket.motions import frames as motion_frames
from poseanimate.pocket.scene import Rendered, Scene
from poseanimate.poses.motion import Motion
from poseanimate.poses.skeleton import Pose
from poseanimate.stages import psnr_db

SPLITS = ("validation", "held-out")
DRIVERS_FROM = 500  # a split's scenes from here on drive the others


@dataclass(frozen=True, eq=False)
class Case:
    """One character in one motion.

    own, another: the motion in the character's true poses, and as it is found in pictures of another character.
    """

    motion: str
    prompt: str
    source: Character
    own: Motion
    another: Motion
    truth: tuple[Rendered, ...]


def case(animator: Animator, split: str, index: int, motion: str, frames: int) -> Case:
    """Character number `index` of a split in a motion; `frames` are spread over one loop of it."""
    side, models = animator.models.side, animator.models
    scene, other = (Scene.sample(split, i) for i in (index, DRIVERS_FROM + index))
    angles = motion_frames(motion, frames)
    truth = tuple(scene.render(a, side, side) for a in angles)
    return Case(
        motion=motion,
        prompt=scene.caption,
        source=animator.character(Image.fromarray(scene.render(Angles(), side, side).picture)),
        own=Motion(tuple(t.pose for t in truth), side, side, FPS, motion),
        another=_found(models, [other.render(a, side, side) for a in angles], motion),
        truth=truth,
    )


def _found(models: Models, driver: list[Rendered], name: str) -> Motion:
    """The largest person's poses in pictures of a driver, as a video's would be found."""
    poses = []
    for each in driver:
        people = models.detector.detect(each.picture)
        poses.append(people[0] if people else Pose.absent())
    height, width = driver[0].picture.shape[:2]
    return Motion(tuple(poses), width, height, FPS, name)


def reference_clips(models: Models, case: Case) -> dict[str, tuple[Picture, ...]]:
    """What frames the rows' figures: the autoencoder of the truth, the best that can be, and the source copied."""
    pictures = np.stack([t.picture for t in case.truth])
    bound = to_pixels(models.decode(models.encode(to_tensor(pictures, models.device))))
    return {"bound": tuple(bound), "copy": (case.source.picture,) * len(bound)}


def figures(models: Models, case: Case, clip: Sequence[Picture]) -> dict[str, float]:
    """Figures of a clip's frames 1 … N (without the source) against the truth, each the mean over frames."""
    per_frame = [
        _frame_figures(models, case, made, true)
        for made, true in zip(clip, case.truth, strict=True)
    ]
    found = {name: float(np.mean([f[name] for f in per_frame])) for name in per_frame[0]}
    masks = [case.source.mask, *(t.mask for t in case.truth)]
    shown = [case.source.picture, *clip]
    found["flicker"] = float(
        np.mean(
            [
                change(shown[i - 1], shown[i], outside(*masks[i - 1 : i + 1]))
                for i in range(1, len(shown))
            ]
        )
    )
    found["dynamics"] = dynamics(clip, [t.picture for t in case.truth])
    return found


def run_figures(case: Case, masks: Sequence[Mask | None], done: Done) -> dict[str, float]:
    """What a run tells of itself: frame 0's reconstruction, and MGDM's masks of frames 1 … N against the true ones."""
    found = {"source_psnr": done.source_psnr_db, "inversion_psnr": done.inversion_psnr_db}
    overlaps = [
        iou(mask > 0.5, true.mask > 0.5)
        for mask, true in zip(masks, case.truth, strict=True)
        if mask is not None
    ]
    found["frame_mask_iou"] = float(np.mean(overlaps)) if overlaps else None
    return {name: value for name, value in found.items() if value is not None}


def _frame_figures(models: Models, case: Case, made: Picture, true: Rendered) -> dict[str, float]:
    people = models.detector.detect(made)
    errors = joint_errors(people[0] if people else None, true.pose)
    body: NDArray[np.bool_] = true.mask > 0.5
    return {
        "psnr": psnr_db(made, true.picture),
        "psnr_character": psnr_db(made, true.picture, body),
        "psnr_background": psnr_db(made, true.picture, ~body),
        "ssim": ssim(made, true.picture),
        "l1": l1_disco(made, true.picture),
        "pck": 100 * float((errors < PCK_RADIUS).mean()),
        "joint_error": mean_joint_error(errors),
        "mask_iou": iou(models.segmenter.segment(made) > 0.5, body),
        "identity": identity_error(made, true.picture, true.pose),
        "background_change": change(
            made, case.source.picture, outside(case.source.mask, true.mask)
        ),
    }
