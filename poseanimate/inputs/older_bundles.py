"""Settings of bundles of older formats, in today's terms. Format 1 is from before version 0.2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from poseanimate.settings import Settings

# Defaults that have changed since: a bundle may be older than a setting.
DEFAULTS = {
    "num_inference_steps": 15,
    "guidance_scale": 2.0,
    "frames": 24,
    "inner_steps": 3,
    "source_learning_rate": 3e-3,
    "frame_masks": "skeleton",
}
# Settings that are gone, with the value at which they changed nothing.
REMOVED = {
    "controlnet_scale": 1.0,
    "source_share": 1.0,
    "source_tolerance": 1e-5,  # the loss never came near it
    "pose_optimiser": "gradient",
    "pose_in_generation": False,
    "pose_resample": False,
    "mask_levels": 1,
    "mask_reach": 1.5,
}
MACHINES = "chunk_frames"  # changed speed and memory, not results
# Of the demo models: until format 3 η belonged to the loss's mean over them.
DEMO_LATENTS = 12 * 16 * 16
MOST_ETA = next(e.metadata["high"] for e in fields(Settings) if e.name == "pose_learning_rate")


def migrate_settings(
    settings: Mapping[str, Any], number: int
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Today's settings, and what they can no longer say, as "name=value".

    Args:
        number: of the bundle's format.
    """
    found = dict(settings)
    lost: tuple[str, ...] = ()
    if number == 1:
        found, lost = _from_format_1(found)
    if number <= 2:
        found, more = _from_format_2(found)
        lost += more
    return found, lost


def _from_format_2(settings: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """η of the loss's sum for one of its mean: exact for the demo models, too large for others' more latents."""
    eta = settings.get("pose_learning_rate")
    if isinstance(eta, bool) or not isinstance(eta, int | float):
        return settings, ()
    # 1 was the default, whatever the models
    today = Settings().pose_learning_rate if eta == 1 else min(eta, DEMO_LATENTS) / DEMO_LATENTS
    lost = (f"pose_learning_rate={eta!r:.40}",) if today > MOST_ETA else ()
    return settings | {"pose_learning_rate": min(today, MOST_ETA)}, lost


def _from_format_1(settings: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    found = {**DEFAULTS, **settings}
    found.pop(MACHINES, None)
    lost = []
    for name, neutral in REMOVED.items():
        value = found.pop(name, neutral)
        if value != neutral and not (name == "source_tolerance" and value == 0):
            lost.append(f"{name}={value!r:.40}")
    if found.get("background") == "blended":
        found["background"] = "sampled"
        lost.append("background='blended'")
    attention, weight = found.pop("baseline_attention", "none"), found.pop("image_prompt", 0)
    found["baseline"] = attention
    if weight:
        found["baseline"] = "ip_adapter"
        if settings.get("pose_in_generation") is True:  # which didn't exclude the picture
            found["pacm_pose"] = False
        if (attention, weight, found.get("dcam")) != ("spatio_temporal", 1, False):
            lost.append(f"image_prompt={weight!r:.40}")  # with DCAM the picture is no prompt now
    return found, tuple(lost)
