"""The components that a run reads, from all sections."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from poseanimate.ui.sections.character import CharacterSection
from poseanimate.ui.sections.description import DescriptionSection
from poseanimate.ui.sections.motion import MotionSection
from poseanimate.ui.sections.settings import Controls


@dataclass(frozen=True)
class InputComponents:
    """The components that a run reads, by section of the page."""

    source: CharacterSection
    described: DescriptionSection
    motion: MotionSection
    settings: Controls

    @property
    def all(self) -> list[gr.components.Component]:
        """In the order of the handlers' parameters."""
        seen = [self.source.picture, self.source.joints, self.described.prompt]
        return [*seen, *self.motion.chosen, *self.settings.values()]
