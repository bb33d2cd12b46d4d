"""Works an evaluation out: every row on every case that the store has no result for."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from poseanimate.animator import Animator
from poseanimate.errors import SettingsError
from poseanimate.evaluation import pocket
from poseanimate.evaluation.metrics import Mask, Picture
from poseanimate.evaluation.networks import Networks
from poseanimate.evaluation.report import write_report
from poseanimate.evaluation.rows import ROWS, Row, swept
from poseanimate.evaluation.store import Result, Store
from poseanimate.events import Done, Frame, Step
from poseanimate.pocket.motions import MOTIONS
from poseanimate.settings import Settings

REFERENCES = ("bound", "copy")


@dataclass(frozen=True)
class PocketEvaluation:
    """What protocol `pocket` is asked for."""

    split: str
    characters: int
    motions: tuple[str, ...]
    rows: Mapping[str, Row]
    settings: Settings
    networks: Networks

    @property
    def clips(self) -> int:
        """How many results there will be."""
        return self.characters * len(self.motions) * len(self._names)

    def store(self, folder: Path, models: str) -> Store:
        """The folder of this evaluation; rows, characters and motions may be added to it later.

        Raises:
            OutputError: see `Store`.
        """
        asked: dict[str, Any] = {"protocol": "pocket", "models": models, "split": self.split}
        asked |= {"missing": self.networks.missing, "settings": asdict(self.settings)}
        return Store(folder, asked)

    def run(self, animator: Animator, store: Store) -> Iterator[Step]:
        """Yields after every result; what is there already is not made again."""
        asked = list(product(range(self.characters), self.motions, self._names))
        done = sum(store.has(self._character(i), motion, row) for i, motion, row in asked)
        started, worked = time.monotonic(), 0
        for index, motion in product(range(self.characters), self.motions):
            name = self._character(index)
            missing = [row for row in self._names if not store.has(name, motion, row)]
            if not missing:
                continue
            case = pocket.case(animator, self.split, index, motion, self.settings.frames - 1)
            references = pocket.reference_clips(animator.models, case)
            for row in missing:
                if row in REFERENCES:
                    clip, result = references[row], Result(name, motion, row, "own", {})
                else:
                    clip, result = self._made(animator, case, name, row)
                figures = pocket.figures(animator.models, case, clip) | result.figures
                figures |= self.networks.figures(clip, case.source.picture)
                store.put(replace(result, figures=figures), clip)
                done, worked = done + 1, worked + 1
                left_s = (self.clips - done) * (time.monotonic() - started) / worked
                yield Step("evaluation", done, self.clips, left_s)

    def report(self, store: Store) -> tuple[Path, str]:
        """Writes the report; returns its page and its table in Markdown."""
        return write_report(store, self.rows)

    def _made(
        self, animator: Animator, case: pocket.Case, name: str, row_name: str
    ) -> tuple[tuple[Picture, ...], Result]:
        row = self.rows[row_name]
        settings = row.settings(self.settings)
        motion = case.another if row.driver == "another" else case.own
        masks: list[Mask | None] = []
        for event in animator.animate(case.source, motion, settings, case.prompt):
            if isinstance(event, Frame) and event.index > 0:
                masks.append(event.mask)
            elif isinstance(event, Done):
                done = event
        figures = pocket.run_figures(case, masks, done)
        seconds, cached = dict(done.seconds), done.cached_stages
        result = Result(name, case.motion, row_name, row.driver, figures, seconds, cached)
        return done.frames[1:], result

    def _character(self, index: int) -> str:
        return f"{self.split}-{index}"

    @property
    def _names(self) -> tuple[str, ...]:
        return (*REFERENCES, *self.rows)


def ask(
    split: str,
    characters: int,
    motions: str,
    rows: str,
    sweep: str,
    settings: Settings,
    networks: Networks | None = None,
) -> PocketEvaluation:
    """An evaluation from a command's words: lists are told with commas, empty ones mean all.

    Raises:
        SettingsError: an unknown split, motion or row, a number out of range, or a sweep that can't be.
    """
    chosen = {name: ROWS[name] for name in _listed(rows, "row", tuple(ROWS))}
    if sweep:
        chosen = ({} if not rows else chosen) | swept(sweep)
    if not 1 <= characters <= pocket.DRIVERS_FROM:
        raise SettingsError(
            f"characters is {characters}.", f"Give a whole number from 1 to {pocket.DRIVERS_FROM}."
        )
    evaluation = PocketEvaluation(
        _listed(split, "split", pocket.SPLITS)[0],
        characters,
        _listed(motions, "motion", tuple(MOTIONS)),
        chosen,
        settings,
        networks or Networks(),
    )
    for row in evaluation.rows.values():
        row.settings(settings)
    return evaluation


def _listed(text: str, kind: str, known: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.split(","))) if text else known
    for name in names:
        if name not in known:
            raise SettingsError(f"There is no {kind} {name!r}.", f"Choose from {', '.join(known)}.")
    return names
