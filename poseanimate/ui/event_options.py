"""How the page's events are answered: options of Gradio's listeners."""

from __future__ import annotations

from typing import Any

QUIET: dict[str, Any] = {  # events that answer at once
    "queue": False,
    "show_progress": "hidden",
    "api_visibility": "private",
}
CHOSEN: dict[str, Any] = {**QUIET, "trigger_mode": "always_last"}  # by hand, perhaps quickly
# quick events in a line of their own: of answers past the line, the page overlooks a state that changed
QUEUED: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
BESIDE: dict[str, Any] = {  # events without diffusion models, which don't wait for runs
    "concurrency_limit": 1,
    "concurrency_id": "poses",
    "show_progress": "hidden",
    "api_visibility": "private",
}
FOLLOWING: dict[str, Any] = {
    **BESIDE,
    "trigger_mode": "always_last",
}  # what others change, often quickly
POSES: dict[str, Any] = {name: BESIDE[name] for name in ("concurrency_limit", "concurrency_id")}
