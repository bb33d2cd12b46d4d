"""One character in one motion, and the metrics of a clip of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from poseanimate.evaluation.metrics.appearance import identity_error, letter_is_right
from poseanimate.evaluation.metrics.fidelity import (
    dynamics,
    find_background_parts,
    iou,
    l1_disco,
    motion,
    ssim,
)
from poseanimate.evaluation.metrics.limbs import forearm_error, hands_shown
from poseanimate.evaluation.rows import DRAFT, SOURCE_COPY, VAE_BOUND
from poseanimate.events import Done
from poseanimate.inputs.character import Character
from poseanimate.media.similarity import Inside, Mask, Picture, change, outside, psnr_db
from poseanimate.models.family import Models, to_pixels, to_tensor
from poseanimate.models.pose_detection import PoseDetector, choose_eyes
from poseanimate.poses.accuracy import PCK_RADIUS, joint_errors, mean_joint_error
from poseanimate.poses.motion import Motion
from poseanimate.poses.skeleton import Pose
from poseanimate.puppet.puppet import Puppet


@dataclass(frozen=True, eq=False)
class Truth:
    """A true frame: picture (H, W, 3) uint8, mask (H, W) in [0, 1], pose in pixels of the picture.

    relettered: the picture with every other letter on the shirt, and with none; empty where the shirt has no letter.
    skin: where skin is seen, (H, W).
    """

    picture: Picture
    mask: Mask
    pose: Pose
    relettered: tuple[Picture, ...] = ()
    skin: Inside | None = None


@dataclass(frozen=True, eq=False)
class EvaluationCase:
    """One character in one motion.

    own: the poses of frames 1 … N, on the source's canvas.
    another: the motion as another person performs it, in another place and of another size; None if there is none.
    truth: the true frames 1 … N; empty where they are unknown.
    """

    motion: str
    prompt: str
    source: Character
    own: Motion
    another: Motion | None = None
    truth: tuple[Truth, ...] = ()


def make_reference(models: Models, case: EvaluationCase, row: str) -> tuple[Picture, ...]:
    """A clip to compare with, one of `REFERENCES`."""
    source = case.source
    if row == SOURCE_COPY:
        return (source.picture,) * len(case.own.poses)
    if row == DRAFT:
        puppet = Puppet(source.picture, source.mask, source.pose)
        return tuple(puppet.frame(pose) for pose in case.own.poses)
    assert row == VAE_BOUND
    return tuple(_reconstruct(models, true.picture) for true in case.truth)


def _reconstruct(models: Models, picture: Picture) -> Picture:
    height, width = (length // models.scale for length in picture.shape[:2])
    seen = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    latents = models.encode(to_tensor(np.asarray(seen[None], np.uint8), models.device))
    return np.asarray(to_pixels(models.decode(latents))[0])


def measure_clip(
    models: Models,
    case: EvaluationCase,
    clip: Sequence[Picture],
    frame_masks: Sequence[Mask | None] = (),
) -> dict[str, float]:
    """Metrics of a clip's frames 1 … N (without the source), each the mean over frames.

    Where the truth is unknown, the character is where the segmenter finds it in the clip itself.

    Args:
        frame_masks: MGDM's, of the same frames; only compared where the truth is unknown (else see `measure_run`).
    """
    detector, segmenter = (
        choose_eyes(eyes, case.source.picture) for eyes in (models.detector, models.segmenter)
    )
    segmented = [segmenter.segment(made) for made in clip]
    masks = [t.mask for t in case.truth] or segmented
    per_frame: list[dict[str, float]] = []
    for i, (made, pose) in enumerate(zip(clip, case.own.poses, strict=True)):
        values = _measure_pose(detector, made, pose)
        background = outside(case.source.mask, masks[i])
        values["background_change"] = change(made, case.source.picture, background)
        if case.truth:
            values |= _compare_with_truth(
                made, segmented[i] > 0.5, case.truth[i], case.source.mask > 0.5
            )
        per_frame.append(values)
    frames, bodies = [case.source.picture, *clip], [case.source.mask, *masks]
    flicker = [
        change(frames[i - 1], frames[i], outside(bodies[i - 1], bodies[i]))
        for i in range(1, len(frames))
    ]
    metrics = _means(per_frame) | {"flicker": float(np.mean(flicker))}
    if not case.truth:
        metrics |= _compare_masks(frame_masks, segmented)
    if case.truth:
        metrics["dynamics"] = dynamics(clip, [t.picture for t in case.truth])
    else:
        metrics["motion"] = motion(frames)
    return metrics


def measure_run(case: EvaluationCase, masks: Sequence[Mask | None], done: Done) -> dict[str, float]:
    """Metrics of a run itself: frame 0's reconstruction, and the IoU of frames 1 … N's masks with the true ones.

    The share of attention that Eq. 9 loses, in percent, as a mean and by the tokens of a layer.
    """
    values: dict[str, float | None] = {
        "source_psnr": done.source_psnr_db,
        "inversion_psnr": done.inversion_psnr_db,
    }
    for i, name in enumerate(("lost_character", "lost_background")):
        shares = {tokens: 100 * lost[i] for tokens, lost in done.lost_attention.items()}
        values[name] = float(np.mean(list(shares.values()))) if shares else None
        values |= {f"{name}_{tokens}": share for tokens, share in shares.items()}
    found = {name: value for name, value in values.items() if value is not None}
    return found | _compare_masks(masks, [true.mask for true in case.truth])


def _compare_masks(ours: Sequence[Mask | None], others: Sequence[Mask]) -> dict[str, float]:
    """Their mean IoU, where there are any."""
    overlaps = [
        iou(mask > 0.5, other > 0.5)
        for mask, other in zip(ours, others, strict=False)
        if mask is not None
    ]
    return {"frame_mask_iou": float(np.mean(overlaps))} if overlaps else {}


def _measure_pose(detector: PoseDetector, made: Picture, pose: Pose) -> dict[str, float]:
    if not pose.visible().any():
        return {}
    people = detector.detect(made)
    errors = joint_errors(people[0] if people else None, pose)
    return {
        "pck": 100 * float((errors < PCK_RADIUS).mean()),
        "joint_error": mean_joint_error(errors),
    }


def _compare_with_truth(
    made: Picture, segmented: Inside, true: Truth, source: Inside
) -> dict[str, float]:
    body: NDArray[np.bool_] = true.mask > 0.5
    parts = find_background_parts(body, source)
    values = {
        "psnr": psnr_db(made, true.picture),
        "psnr_character": psnr_db(made, true.picture, body),
        "psnr_background": psnr_db(made, true.picture, ~body),
        "ssim": ssim(made, true.picture),
        "l1": l1_disco(made, true.picture),
        "mask_iou": iou(segmented, body),
        "identity": identity_error(made, true.picture, true.pose),
        **{name: psnr_db(made, true.picture, where) for name, where in parts.items()},
    }
    values["forearms"] = forearm_error(made, true.picture, true.pose)
    if true.skin is not None and (hands := hands_shown(made, true.picture, true.pose, true.skin)):
        values["hands"] = 100.0 * float(np.mean(hands))
    if true.relettered:
        letter = letter_is_right(made, true.picture, true.relettered)
        if letter is not None:
            values["letter"] = 100.0 * letter
    return values


def _means(per_frame: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Each metric's mean over the frames that have it."""
    names = dict.fromkeys(name for values in per_frame for name in values)
    finite = {
        name: [v[name] for v in per_frame if np.isfinite(v.get(name, np.nan))] for name in names
    }
    return {name: float(np.mean(own)) for name, own in finite.items() if own}
