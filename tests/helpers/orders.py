"""What files of a folder tell a worker's process to do, and what it tells there; networks are imported late."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from poseanimate.errors import ModelsError

if TYPE_CHECKING:
    from poseanimate.animator import Animator

CHUNK = 2
ENDED = "ended"


@dataclass(frozen=True)
class Orders:
    """What happens in a folder."""

    folder: Path

    def kill(self, stage: str, frames: int) -> None:
        """The worker that next begins this stage, after so many frames, is killed there, as by a lack of memory."""
        (self.folder / "kill").write_text(f"{stage} {frames}")

    @property
    def killed(self) -> bool:
        return not (self.folder / "kill").exists()

    @property
    def trace(self) -> list[str]:
        """The events that workers have yielded since the last `forget`, and when a run ended."""
        path = self.folder / "trace"
        return path.read_text().split() if path.exists() else []

    def forget(self) -> None:
        (self.folder / "trace").unlink(missing_ok=True)

    def obey(self, stage: str, frames: int) -> None:
        path = self.folder / "kill"
        if path.exists() and path.read_text() == f"{stage} {frames}":
            path.unlink()
            os.kill(os.getpid(), signal.SIGKILL)

    def tell(self, word: str) -> None:
        with (self.folder / "trace").open("a") as file:
            file.write(f"{word}\n")


def load_fragile(folder: Path) -> Animator:
    from helpers.fragile import Fragile

    return Fragile(Orders(folder))


def load_nothing() -> Animator:
    raise ModelsError("The models aren't here.", "Bring them.")
