"""What an evaluation protocol says: which cases there are, and how one is made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from poseanimate.animator import Animator
from poseanimate.evaluation.case import Case
from poseanimate.evaluation.rows import Row
from poseanimate.media.similarity import Picture
from poseanimate.settings import Settings


class Protocol(ABC):
    """Characters in motions, and what they are compared with."""

    name: str
    references: tuple[str, ...]
    drives = False  # whether cases have another driver, for the rows about PATA

    @abstractmethod
    def names(self) -> tuple[tuple[str, str], ...]:
        """Character and motion of every case."""

    @abstractmethod
    def case(self, animator: Animator, character: str, motion: str, settings: Settings) -> Case:
        """A case, at most as long as a clip with these settings.

        Raises:
            PoseAnimateError: something of it can't be used; the message says what.
        """

    def kinds(self, character: str) -> tuple[str, ...]:
        """What kinds of character it is, for figures by kind."""
        return ()

    def asked(self) -> dict[str, Any]:
        """What results depend on beside settings and models."""
        return {"protocol": self.name}

    def rows(self, made: dict[str, Row]) -> dict[str, Row]:
        """The rows that this protocol can fill: of those that make clips, or its own."""
        return made

    def finished(
        self, animator: Animator, case: Case, character: str, row: str
    ) -> tuple[Picture, ...] | None:
        """Frames 1 … N as they lie somewhere already; None where they are to be made."""
        return None
