"""Works an evaluation out: every row on every case that the store has no result for."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from poseanimate.animator import Animator
from poseanimate.errors import SettingsError
from poseanimate.evaluation import case as cases
from poseanimate.evaluation.metrics.networks import Networks
from poseanimate.evaluation.protocols.folders import External, InTheWild, Videos, known_motions
from poseanimate.evaluation.protocols.pocket import CAPTIONS, DRIVERS_FROM, SPLITS, Pocket
from poseanimate.evaluation.protocols.protocol import Protocol
from poseanimate.evaluation.report.report import write_report
from poseanimate.evaluation.rows import ROWS, Row, swept
from poseanimate.evaluation.store import TRUTH, Result, Store
from poseanimate.events import Done, Frame, Step
from poseanimate.media.similarity import Mask, Picture
from poseanimate.pocket.world.motions import MOTIONS
from poseanimate.settings import Settings

POCKET_MOTIONS = "walk,wave,jumping-jacks,squat"


@dataclass(frozen=True)
class Evaluation:
    """What is asked for."""

    protocol: Protocol
    rows: Mapping[str, Row]
    settings: Settings
    networks: Networks

    @property
    def clips(self) -> int:
        """How many results there will be."""
        return len(self.protocol.names()) * len(self._names)

    def store(self, folder: Path, models: str, identity: str) -> Store:
        """The folder of this evaluation; rows, characters and motions may be added to it later.

        Args:
            models, identity: what they are called, and what tells their weights from others of that name.

        Raises:
            OutputError: see `Store`.
        """
        asked: dict[str, Any] = {**self.protocol.asked(), "models": models, "identity": identity}
        asked |= {"missing": self.networks.missing, "networks": dict(self.networks.digests)}
        asked["settings"] = asdict(self.settings)
        return Store(folder, asked)

    def run(self, animator: Animator, store: Store) -> Iterator[Step]:
        """Yields after every result; what is there already is not made again."""
        asked = self.protocol.names()
        done = sum(store.has(*names, row) for names in asked for row in self._names)
        started, worked = time.monotonic(), 0
        for character, motion in asked:
            missing = [row for row in self._names if not store.has(character, motion, row)]
            if not missing:
                continue
            case = self.protocol.case(animator, character, motion, self.settings)
            references = cases.reference_clips(animator.models, case)
            true_frames = [t.picture for t in case.truth]
            if true_frames:
                true = Result(character, motion, TRUTH, "own", {})
                store.put_features(true, self.networks.features(true_frames))
            for row in missing:
                if row in references:
                    clip, result = references[row], Result(character, motion, row, "own", {})
                else:
                    clip, result = self._made(animator, case, character, row)
                figures = cases.figures(animator.models, case, clip) | result.figures
                figures |= self.networks.figures(clip, case.source.picture, true_frames)
                if true_frames:
                    store.put_features(result, self.networks.features(clip))
                store.put(replace(result, figures=figures), clip)
                done, worked = done + 1, worked + 1
                left_s = (self.clips - done) * (time.monotonic() - started) / worked
                yield Step("evaluation", done, self.clips, left_s)

    def report(self, store: Store) -> tuple[Path, str]:
        """Writes the report; returns its page and its table in Markdown."""
        return write_report(store, self.rows, self.networks.reasons, self.protocol.kinds)

    def _made(
        self, animator: Animator, case: cases.Case, character: str, row_name: str
    ) -> tuple[tuple[Picture, ...], Result]:
        row = self.rows[row_name]
        finished = self.protocol.finished(animator, case, character, row_name)
        if finished is not None:
            return finished, Result(character, case.motion, row_name, row.driver, {})
        motion = case.another if row.driver == "another" and case.another else case.own
        masks: list[Mask | None] = []
        for event in animator.animate(
            case.source, motion, row.settings(self.settings), case.prompt
        ):
            if isinstance(event, Frame) and event.index > 0:
                masks.append(event.mask)
            elif isinstance(event, Done):
                done = event
        figures = cases.run_figures(case, masks, done)
        result = Result(
            character, case.motion, row_name, row.driver, figures,
            dict(done.seconds), done.cached_stages, dict(done.stage_calls),
        )  # fmt: skip
        return done.frames[1:], result

    @property
    def _names(self) -> tuple[str, ...]:
        return (*self.protocol.references, *self.rows)


def ask(
    protocol: str,
    settings: Settings,
    *,
    split: str = "held-out",
    characters: int = 8,
    first: int = 0,
    motions: str = "",
    captions: str = "full",
    data: Path | None = None,
    rows: str = "",
    sweep: str = "",
    networks: Networks | None = None,
    image_prompts: bool = False,
) -> Evaluation:
    """An evaluation from a command's words: lists are told with commas, empty ones mean all.

    Args:
        image_prompts: whether the models have an IP-Adapter, for the row that needs one.

    Raises:
        SettingsError: an unknown split, motion, row or kind of captions, a number out of range, a folder without what
            the protocol looks for in it, or a sweep that can't be.
    """
    asked = _protocol(protocol, split, first, characters, motions, captions, data)
    makes = protocol != External.name
    if makes and "ip-adapter" in rows.split(",") and not image_prompts:
        raise SettingsError(
            "Row ip-adapter needs models that have an IP-Adapter.", "Name the models sd15."
        )
    known = asked.rows(
        {
            name: row
            for name, row in ROWS.items()
            if (asked.drives or row.driver == "own")
            and (image_prompts or "image_prompt" not in row.changes)
        }
    )
    chosen = {name: known[name] for name in _listed(rows, "row", tuple(known))}
    if sweep:
        if not makes:
            raise SettingsError(
                "Clips of other systems have no settings to sweep.", "Leave --sweep out."
            )
        chosen = ({} if not rows else chosen) | swept(sweep)
    evaluation = Evaluation(asked, chosen, settings, networks or Networks())
    for row in evaluation.rows.values():
        row.settings(settings)
    if not evaluation.clips:
        raise SettingsError("There is nothing to evaluate.", "Name a row.")
    return evaluation


def _protocol(
    name: str,
    split: str,
    first: int,
    characters: int,
    motions: str,
    captions: str,
    data: Path | None,
) -> Protocol:
    if captions not in CAPTIONS:
        raise SettingsError(
            f"There are no {captions!r} captions.", f"Choose from {', '.join(CAPTIONS)}."
        )
    if name == Pocket.name:
        if not (first >= 0 and 1 <= characters <= DRIVERS_FROM - first):
            raise SettingsError(
                f"characters is {characters}, from number {first} on.",
                f"Give whole numbers so that there is one at least, within the first {DRIVERS_FROM}.",
            )
        chosen = _listed(motions or POCKET_MOTIONS, "motion", tuple(MOTIONS))
        return Pocket(_listed(split, "split", SPLITS)[0], characters, chosen, first, captions)
    if captions != CAPTIONS[0]:
        raise SettingsError(
            f"Protocol {name} has no {captions} captions.",
            "Leave them out, or choose protocol pocket.",
        )
    if first:
        raise SettingsError(
            f"first is {first}, but protocol {name} makes all of its cases.",
            "Leave it out, or choose protocol pocket.",
        )
    if data is None:
        raise SettingsError(f"Protocol {name} needs pictures.", "Name their folder with --data.")
    if name == InTheWild.name:
        return InTheWild(data, _listed(motions, "motion", known_motions(data)))
    return External(data) if name == External.name else Videos(data, name)


def _listed(text: str, kind: str, known: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.split(","))) if text else known
    for name in names:
        if name not in known:
            raise SettingsError(f"There is no {kind} {name!r}.", f"Choose from {', '.join(known)}.")
    return names
