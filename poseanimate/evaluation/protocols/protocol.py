"""What an evaluation protocol defines: its cases, and how each is loaded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from poseanimate.animator import Animator
from poseanimate.evaluation.case import EvaluationCase
from poseanimate.evaluation.rows import Row
from poseanimate.media.similarity import Picture
from poseanimate.settings import Settings


class Protocol(ABC):
    """Characters in motions, and what they are compared with."""

    name: str
    references: tuple[str, ...]
    has_drivers = False  # whether cases have another person's motion, for the rows about PATA

    @abstractmethod
    def list_cases(self) -> tuple[tuple[str, str], ...]:
        """Character and motion of every case."""

    @abstractmethod
    def load_case(
        self, animator: Animator, character: str, motion: str, settings: Settings
    ) -> EvaluationCase:
        """Loads a case, at most as long as a clip with these settings.

        Raises:
            PoseAnimateError: a picture or motion of it can't be used.
        """

    def kinds(self, character: str) -> tuple[str, ...]:
        """The kinds that a character belongs to, for metrics by kind."""
        return ()

    def request(self) -> dict[str, Any]:
        """What the results depend on besides settings and models."""
        return {"protocol": self.name}

    def digest(self, character: str, motion: str, row: str) -> str:
        """Of the files that a result depends on."""
        return ""

    def select_rows(self, known: dict[str, Row]) -> dict[str, Row]:
        """The rows that this protocol has: those of the known ones that fit, or its own."""
        return known

    def load_clip(
        self, animator: Animator, case: EvaluationCase, character: str, row: str
    ) -> tuple[Picture, ...] | None:
        """Loads frames 1 … N of a finished clip; None where the row has to be animated."""
        return None
