"""The settings of the pose alignment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from poseanimate.errors import SettingsError

MAX_TRANSITION_FRAMES = 12


@dataclass(frozen=True)
class PataSettings:
    """The settings of `align`.

    Raises:
        SettingsError: a value outside its range; the message shows both.
    """

    anchor: Literal["anchored", "pinned"] = "anchored"
    """'anchored' keeps the driver's own travel, scaled; 'pinned' stays on the spot."""
    retarget_limbs: bool = True
    """Give bones the character's lengths; otherwise the driver's, scaled."""
    smooth: bool = True
    """Filter root and joint angles."""
    transition_frames: int | None = None
    """Frames between the picture's pose and the motion, 0 to 12; None: 2 to 8, depending on the motion's speed."""
    scale: float = 1.0
    """Scale of the aligned motion about the point where the character stands, 0.1 to 10."""
    shift: tuple[float, float] = (0.0, 0.0)
    """Shift of the aligned motion, in widths and heights of the canvas, -2 to 2."""

    def __post_init__(self) -> None:
        if self.anchor not in ("anchored", "pinned"):
            self._refuse("anchor", "'anchored' or 'pinned'")
        if self.transition_frames is not None and not (
            0 <= self.transition_frames <= MAX_TRANSITION_FRAMES
        ):
            self._refuse("transition_frames", f"None or 0 to {MAX_TRANSITION_FRAMES}")
        if not 0.1 <= self.scale <= 10:
            self._refuse("scale", "0.1 to 10")
        if not all(-2 <= part <= 2 for part in self.shift):
            self._refuse("shift", "two numbers of -2 to 2")

    def _refuse(self, name: str, allowed: str) -> None:
        raise SettingsError(
            f"The alignment's {name} is {getattr(self, name)!r}.", f"Allowed: {allowed}."
        )


DEFAULT_SETTINGS = PataSettings()
