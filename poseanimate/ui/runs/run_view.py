"""One session's run: what the page shows of the engine's events."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from poseanimate.errors import VideoError
from poseanimate.events import Aligned, Done, Event, Frame, Note, Placed, Preview, Stage, Step
from poseanimate.inputs.bundle import Bundle
from poseanimate.inputs.driver_sound import read_driver_sound
from poseanimate.media import Sound
from poseanimate.poses import overlay
from poseanimate.ui import texts
from poseanimate.ui.runs.clips import write_clip
from poseanimate.ui.widgets.contact_sheet import ContactSheet, enlargement

if TYPE_CHECKING:
    from poseanimate.ui.runs.work import Work

Picture = NDArray[np.uint8]

CLIP, COMPARISON = "clip", "comparison"
SHEETS_PER_S = 2.0
SKELETON_PX = 512  # long side of the pictures on the contact sheet, at most


@dataclass
class RunView:
    """Follows a run.

    name: of the clip's file; never text from outside. share: how much is done, 0 to 1.
    left_s: remaining seconds, where known.
    job: what the clip is made of, as soon as that is known. joints: the character's, as corrected on the page.
    sound_from: a video whose sound is wanted if the clip shows all of it. sound: of the clip.
    asked_s: when the page last asked for its turn. begun: no longer waiting. stopped: somebody asked it to end.
    over: it has ended; trouble: why, if it failed. owner: the key of the browser that asked for it, or empty.
    away_s: for how long it went on without a page, if it was stopped for it. work: what it does.
    kind: CLIP, or COMPARISON of variants: clips by what differs; compared: their MP4, side by side.
    all_compared: whether no variant lacks.
    written: the clip as MP4, once it is over.
    clock: seconds that only go forward.
    """

    name: str = "clip"
    fps: float = 12.0
    frames: list[Picture] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    aligned: Aligned | None = None
    done: Done | None = None
    job: Bundle | None = None
    joints: str = ""
    sound_from: str | None = None
    sound: Sound | None = None
    begun: bool = False
    begun_s: float = 0.0
    asked_s: float = 0.0
    stopped: bool = False
    over: bool = False
    trouble: str = ""
    owner: str = ""
    away_s: float | None = None
    work: Work | None = None
    kind: str = CLIP
    variants: dict[str, list[Picture]] = field(default_factory=dict)
    compared: bytes = b""
    all_compared: bool = False
    written: bytes = b""
    share: float = 0.0
    left_s: float | None = None
    clock: Callable[[], float] = time.monotonic
    bar: str = texts.progress(texts.READING, 0.0)
    _sheet: ContactSheet | None = None
    _sheet_changed: bool = False
    _sheet_sent_s: float = -math.inf
    _frames: tuple[int, int] | None = None
    _last: int | None = None
    _place: str = ""

    def begin(self) -> None:
        """The run begins."""
        self.begun, self.begun_s = True, self.clock()

    def take(self, event: Event) -> None:
        """Takes an event of the engine."""
        match event:
            case Placed():
                self._place = texts.placed(event)
            case Stage("engine"):
                self._place = ""
                self.bar = texts.progress(texts.stage("engine"), self.share)
            case Stage(name, steps, cached):
                self._frames = event.frames
                about = "from the cache" if cached else f"{steps} steps" if steps > 1 else ""
                self.bar = self._progress(name, about)
            case Step(name, index, total, left_s):
                if left_s is not None:
                    passed_s = self.clock() - self.begun_s
                    self.left_s = left_s
                    self.share = passed_s / max(passed_s + left_s, 1e-6)
                about = texts.step_detail(index, total, left_s)
                self.bar = self._progress(name, about)
            case Aligned(alignment, picture):
                self.aligned = event
                self.fps, self._last = alignment.fps, len(alignment.poses) - 1
                height, width = picture.shape[:2]
                small = overlay.reduced(picture, alignment, SKELETON_PX)
                self._sheet = ContactSheet(overlay.frames(*small), width, height)
                self._sheet_changed = True
            case Preview(index, picture) if self._sheet is not None:
                self._sheet.predict(index, picture)
                self._sheet_changed = True
            case Frame(index=index, picture=picture):
                self.frames.append(picture)
                if self._sheet is not None:
                    self._sheet.finish(index, picture)
                    self._sheet_changed = True
            case Note():
                self.notes.append(event)
            case Done():
                self.done = event

    def contact_sheet(self, throttled: bool = False) -> Picture | None:
        """The contact sheet if it has changed; if throttled, at most `SHEETS_PER_S` of them."""
        if self._sheet is None or not self._sheet_changed:
            return None
        if throttled:
            now_s = self.clock()
            if now_s - self._sheet_sent_s < 1 / SHEETS_PER_S:
                return None
            self._sheet_sent_s = now_s
        self._sheet_changed = False
        return self._sheet.picture()

    def show_again(self) -> None:
        """Another page follows it: it gets the contact sheet as it is."""
        self._sheet_changed = self._sheet is not None

    def size_bytes(self) -> int:
        """Of all frames and of what was written of them."""
        clips = (self.frames, *self.variants.values())
        written = len(self.written) + len(self.compared)
        return sum(frame.nbytes for frames in clips for frame in frames) + written

    @property
    def finished(self) -> bool:
        """Whether it made all that it was asked for."""
        return self.all_compared if self.kind == COMPARISON else self.done is not None

    @property
    def made(self) -> int:
        """How many frames it has made, source pictures left out."""
        clips = self.variants.values() if self.kind == COMPARISON else (self.frames,)
        return sum(max(len(frames) - 1, 0) for frames in clips)

    def add_sound(self) -> None:
        """Gives a finished clip the sound of the video that it shows whole; a note says so, or what is wrong."""
        path, job, aligned = self.sound_from, self.job, self.aligned
        if path is None or job is None or aligned is None or self.done is None:
            return
        alignment, frames = aligned.alignment, len(self.frames)
        try:
            self.sound = read_driver_sound(Path(path), job.motion, alignment, frames)
        except VideoError as error:
            self.notes.append(Note(f"{texts.NO_SOUND} {error}", warning=True))
        if self.sound:
            self.notes.append(Note(texts.HAS_SOUND))

    def write(self, folder: Path) -> str | None:
        """Writes the clip of the finished frames; None if there is none but the source.

        Raises:
            OutputError: it can't be written.
        """
        if len(self.frames) < 2:
            return None
        path = folder / f"poseanimate-{self.name}.mp4"
        if self.over and self.written:
            path.write_bytes(self.written)
            return str(path)
        height, width = self.frames[0].shape[:2]
        write_clip(self.frames, path, self.fps, enlargement(width, height), self.sound)
        self.written = path.read_bytes()
        return str(path)

    def notes_said(self) -> str:
        """Notes on the run, in sentences, without what is said of the motion before it."""
        found = self.aligned.alignment.findings if self.aligned is not None else ()
        said = {str(each) for each in found}
        return texts.sentences(
            (note.text, "warning" if note.warning else "note")
            for note in self.notes
            if note.text not in said
        )

    def figures(self) -> str:
        """The figures of a finished run; empty before."""
        return "" if self.done is None else texts.figures(self.done)

    def _progress(self, stage: str, about: str) -> str:
        """The bar: the stage and its frames, details, and where it runs."""
        doing = texts.stage(stage, self._frames, self._last)
        return texts.progress(doing, self.share, " · ".join(filter(None, (about, self._place))))
