"""Plans an evaluation and runs it: every row on every case without a result in the store."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from poseanimate.animator import Animator
from poseanimate.errors import SettingsError
from poseanimate.evaluation.case import (
    EvaluationCase,
    make_reference,
    measure_clip,
    measure_run,
)
from poseanimate.evaluation.metrics.networks import Networks
from poseanimate.evaluation.protocols.folders import External, InTheWild, Videos, list_motions
from poseanimate.evaluation.protocols.pocket import CAPTIONS, DRIVERS_FROM, SPLITS, Pocket
from poseanimate.evaluation.protocols.protocol import Protocol
from poseanimate.evaluation.report.files import write_report
from poseanimate.evaluation.rows import Row, list_rows, make_sweep
from poseanimate.evaluation.store import TRUTH, CaseResult, Store
from poseanimate.evaluation.together import iterate_together
from poseanimate.events import Done, Frame, Step
from poseanimate.media.similarity import Mask, Picture
from poseanimate.pipeline.cache_keys import CACHE_VERSION
from poseanimate.pocket.world.motions import MOTIONS
from poseanimate.puppet.puppet import PUPPET_VERSION
from poseanimate.settings import Settings
from poseanimate.storage.stage_cache import content_key

POCKET_MOTIONS = "walk,wave,jumping-jacks,squat"


@dataclass(frozen=True)
class Evaluation:
    """Every row on every case of a protocol."""

    protocol: Protocol
    rows: Mapping[str, Row]
    settings: Settings
    networks: Networks

    @property
    def clips(self) -> int:
        """The number of clips to measure."""
        return len(self.protocol.list_cases()) * len(self._row_names)

    def open_store(self, folder: Path, models: str, identity: str) -> Store:
        """Opens the folder of this evaluation; rows, characters and motions can be added to it later.

        Args:
            models: the models' name. identity: a digest that distinguishes weights of the same name.

        Raises:
            OutputError: see `Store`.
        """
        request: dict[str, Any] = {
            **self.protocol.request(),
            "models": models,
            "identity": identity,
            "missing": self.networks.missing,
            "networks": dict(self.networks.digests),
            "settings": asdict(self.settings),
        }
        return Store(folder, request)

    def has(self, store: Store, character: str, motion: str, row: str) -> bool:
        """Whether the store has this result, by today's settings, files and drafts."""
        return store.has(character, motion, row, self._recipe(character, motion, row))

    def _recipe(self, character: str, motion: str, row: str) -> str:
        settings = asdict(self.rows[row].settings(self.settings)) if row in self.rows else None
        files = self.protocol.digest(character, motion, row)
        return content_key(CACHE_VERSION, PUPPET_VERSION, settings, files)

    def run(self, animator: Animator, store: Store) -> Iterator[Step]:
        """Measures every clip without a result in the store; yields after each.

        As many cases go on at once as the animator has places. Measuring happens here, one clip at a time.
        """
        todo = {}
        for names in self.protocol.list_cases():
            missing = [row for row in self._row_names if not self.has(store, *names, row)]
            if missing:
                todo[names] = missing
        done, started, measured = self.clips - sum(map(len, todo.values())), time.monotonic(), 0
        desk = threading.Lock()
        jobs = [self._measure(animator, store, desk, *each) for each in todo.items()]
        for _ in iterate_together(jobs, animator.places):
            done, measured = done + 1, measured + 1
            left_s = (self.clips - done) * (time.monotonic() - started) / measured
            yield Step("evaluation", done, self.clips, left_s)

    def _measure(
        self,
        animator: Animator,
        store: Store,
        desk: threading.Lock,
        names: tuple[str, str],
        missing: Sequence[str],
    ) -> Iterator[str]:
        """Measures a case's missing rows, and yields each. What isn't animated needs the desk."""
        character, motion = names
        with desk:
            case = self.protocol.load_case(animator, character, motion, self.settings)
            true_frames = [t.picture for t in case.truth]
            if true_frames:
                truth = CaseResult(character, motion, TRUTH, "own", {})
                store.save_features(truth, self.networks.extract_features(true_frames))
        for row in missing:
            masks: list[Mask | None] = []
            if row in self.protocol.references:
                with desk:
                    clip = make_reference(animator.models, case, row)
                result = CaseResult(character, motion, row, "own", {})
            else:
                clip, result, masks = self._make_clip(animator, case, character, row)
            with desk:
                metrics = measure_clip(animator.models, case, clip, masks) | result.metrics
                metrics |= self.networks.measure(clip, case.source.picture, true_frames)
                if true_frames:
                    store.save_features(result, self.networks.extract_features(clip))
                recipe = self._recipe(character, motion, row)
                store.save(replace(result, metrics=metrics, recipe=recipe), clip)
            yield row

    def write_report(self, store: Store) -> tuple[Path, str]:
        """Writes the report; returns the path of its page and its table in Markdown."""
        return write_report(store, self.rows, self.networks.reasons, self.protocol.kinds)

    def _make_clip(
        self, animator: Animator, case: EvaluationCase, character: str, row_name: str
    ) -> tuple[tuple[Picture, ...], CaseResult, list[Mask | None]]:
        """Frames 1 … N of a row, loaded or animated, their result without the clip's own metrics, and their masks."""
        row = self.rows[row_name]
        loaded = self.protocol.load_clip(animator, case, character, row_name)
        if loaded is not None:
            return loaded, CaseResult(character, case.motion, row_name, row.driver, {}), []
        motion = case.another if row.driver == "another" and case.another else case.own
        masks: list[Mask | None] = []
        for event in animator.animate(
            case.source, motion, row.settings(self.settings), case.prompt
        ):
            if isinstance(event, Frame) and event.index > 0:
                masks.append(event.mask)
            elif isinstance(event, Done):
                done = event
        result = CaseResult(
            character, case.motion, row_name, row.driver, measure_run(case, masks, done),
            dict(done.seconds), done.cached_stages, dict(done.stage_calls),
        )  # fmt: skip
        return done.frames[1:], result, masks

    @property
    def _row_names(self) -> tuple[str, ...]:
        return (*self.protocol.references, *self.rows)


def plan(
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
    family: str = "pocket",
) -> Evaluation:
    """Plans an evaluation from a command's options; lists are separated by commas, empty ones mean all.

    Args:
        image_prompts: whether the models have an IP-Adapter, for the row that needs one.
        family: of the models, whose preset `fast` is a row.

    Raises:
        SettingsError: an unknown split, motion, row or kind of captions, a number out of range, a folder without what
            the protocol needs, or an impossible sweep.
    """
    chosen_protocol = _make_protocol(protocol, split, first, characters, motions, captions, data)
    animates = protocol != External.name
    if animates and "ip-adapter" in rows.split(",") and not image_prompts:
        raise SettingsError(
            "Row ip-adapter needs models that have an IP-Adapter.", "Name the models sd15."
        )
    known = chosen_protocol.select_rows(
        {
            name: row
            for name, row in list_rows(settings, family).items()
            if (chosen_protocol.has_drivers or row.driver == "own")
            and (image_prompts or row.changes.get("baseline") != "ip_adapter")
        }
    )
    chosen = {name: known[name] for name in _split_list(rows, "row", tuple(known))}
    if sweep:
        if not animates:
            raise SettingsError(
                "Clips of other systems have no settings to sweep.", "Leave --sweep out."
            )
        chosen = ({} if not rows else chosen) | make_sweep(sweep)
    evaluation = Evaluation(chosen_protocol, chosen, settings, networks or Networks())
    for row in evaluation.rows.values():
        row.settings(settings)
    if not evaluation.clips:
        raise SettingsError("There is nothing to evaluate.", "Name a row.")
    return evaluation


def _make_protocol(
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
        chosen = _split_list(motions or POCKET_MOTIONS, "motion", tuple(MOTIONS))
        return Pocket(_split_list(split, "split", SPLITS)[0], characters, chosen, first, captions)
    if captions != CAPTIONS[0]:
        raise SettingsError(
            f"Protocol {name} has no {captions} captions.",
            "Leave them out, or choose protocol pocket.",
        )
    if first:
        raise SettingsError(
            f"first is {first}, but protocol {name} runs all of its cases.",
            "Leave it out, or choose protocol pocket.",
        )
    if data is None:
        raise SettingsError(f"Protocol {name} needs pictures.", "Name their folder with --data.")
    if name == InTheWild.name:
        return InTheWild(data, _split_list(motions, "motion", list_motions(data)))
    return External(data) if name == External.name else Videos(data, name)


def _split_list(text: str, kind: str, known: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.split(","))) if text else known
    for name in names:
        if name not in known:
            raise SettingsError(f"There is no {kind} {name!r}.", f"Choose from {', '.join(known)}.")
    return names
