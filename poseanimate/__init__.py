"""Pose-controllable character animation without training.

models = load_models("pocket")
for event in Animator(models).animate(picture, load_preset("walk"), Settings(), "a girl in the park"):
    ...
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

# Read when torch is imported. OpenMP's threads would spin while they wait, and so take the cores from other processes.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from poseanimate.animator import Animator
    from poseanimate.models.family import Models
    from poseanimate.models.loading import load_models
    from poseanimate.poses.motion import Motion, load_preset
    from poseanimate.settings import Settings

__version__ = "0.2.0"
__all__ = ["Animator", "Models", "Motion", "Settings", "load_models", "load_preset"]

_MODULES = {
    "Animator": "animator",
    "Models": "models.family",
    "Motion": "poses.motion",
    "Settings": "settings",
    "load_models": "models.loading",
    "load_preset": "poses.motion",
}


def __getattr__(name: str) -> Any:
    # imported on first use: torch takes a second
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
