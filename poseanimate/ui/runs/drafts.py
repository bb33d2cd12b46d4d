"""Drafts of the page's job as files: small to look at, and at the picture's full size to keep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from poseanimate.inputs.aligner import DRAFT_COMMENT
from poseanimate.inputs.character import Character
from poseanimate.media import Sound
from poseanimate.poses.motion import Motion
from poseanimate.poses.pata import Alignment
from poseanimate.puppet.puppet import Puppet
from poseanimate.ui.runs.clips import write_clip

PREVIEW_FPS = 12  # at least


@dataclass(frozen=True, eq=False)
class DraftJob:
    """A draft to make.

    character: aligned to the motion; the puppet may have more pixels. motion: as it was found, before PATA.
    sound: of the motion's video, where it fits.
    """

    puppet: Puppet
    character: Character
    alignment: Alignment
    motion: Motion
    sound: Sound | None = None

    def write(self, path: Path, transparent: bool = False) -> Path:
        """Writes the draft (.webp, .mp4, …) at the puppet's size.

        Raises:
            OutputError: it can't be written.
        """
        draw_draft(self.puppet, self.character, self.alignment, path, self.sound, transparent)
        return path


def draw_draft(
    puppet: Puppet,
    character: Character,
    alignment: Alignment,
    path: Path,
    sound: Sound | None = None,
    transparent: bool = False,
) -> str:
    """The puppet of an aligned character as a clip (.webp, .mp4, …) at the puppet's size; returns the file.

    Raises:
        OutputError: it can't be written.
    """
    height, width = character.picture.shape[:2]
    large_height, large_width = puppet.picture.shape[:2]
    alignment = alignment.scaled(large_width / width, large_height / height)
    draw = puppet.cut_outs if transparent else puppet.frames
    write_clip(list(draw(alignment.poses)), path, alignment.fps, sound=sound, comment=DRAFT_COMMENT)
    return str(path)


def draw_preview(puppet: Puppet, character: Character, alignment: Alignment, folder: Path) -> str:
    """The draft to look at (WebP): of fast motions every second pose or fewer, so that it follows what is dragged."""
    stride = max(1, int(alignment.fps // PREVIEW_FPS))
    thinned = replace(alignment, poses=alignment.poses[::stride], fps=alignment.fps / stride)
    return draw_draft(puppet, character, thinned, folder / "draft.webp")


def write_drafts(job: DraftJob, name: str, folder: Path) -> Iterator[str]:
    """The draft to keep: as it is (MP4), and the character alone (WebM); yields the files as they are ready."""
    yield str(job.write(folder / f"poseanimate-{name}-draft.mp4"))
    yield str(job.write(folder / f"poseanimate-{name}-draft-cut-out.webm", transparent=True))
