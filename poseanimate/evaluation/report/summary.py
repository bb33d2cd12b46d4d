"""What an evaluation's results say: means with intervals by row, by kind of character, and between rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from poseanimate.evaluation.metrics.catalogue import DISTANCES, METRICS, Metric
from poseanimate.evaluation.metrics.perceptual import frechet_distance
from poseanimate.evaluation.rows import REFERENCES
from poseanimate.evaluation.statistics import Case, Interval, bootstrap, paired
from poseanimate.evaluation.store import TRUTH, CaseResult, Store

OTHERS = "others"
Summary = dict[str, dict[str, Interval]]
"""Row → metric → mean with its interval."""


def summarise(results: Sequence[CaseResult]) -> Summary:
    """Means with intervals over characters; rows in the order of the results."""
    summary: Summary = {}
    for row in dict.fromkeys(result.row for result in results):
        own = [result for result in results if result.row == row]
        names = [name for name in METRICS if any(name in r.metrics for r in own)]
        summary[row] = {name: bootstrap(_by_character(own, name)) for name in names}
    return summary


def measure_distances(store: Store, results: Sequence[CaseResult]) -> Summary:
    """Fréchet distance of the features of all of a row's clips from those of the true clips.

    They have no interval: a resampled set would hold clips twice and so be like a smaller one.
    """
    summary: Summary = {}
    for row in dict.fromkeys(result.row for result in results):
        own = [result for result in results if result.row == row]
        sets = [(store.load_features(r), store.load_features(replace(r, row=TRUTH))) for r in own]
        summary[row] = {}
        for name in DISTANCES:
            pairs = [
                (made[name], true[name])
                for made, true in sets
                if {name} <= made.keys() & true.keys()
            ]
            if pairs and sum(len(made) for made, _ in pairs) > 1:
                value = frechet_distance(
                    *(np.concatenate(side) for side in zip(*pairs, strict=True))
                )
                summary[row][name] = Interval(value, value, value)
    return summary


def compare_rows(results: Sequence[CaseResult], base: str) -> dict[str, dict[str, Interval]]:
    """Row → metric → `base` minus the row, on the same characters and motions."""
    own = [result for result in results if result.row == base]
    found: dict[str, dict[str, Interval]] = {}
    for row in dict.fromkeys(r.row for r in results if r.row not in (base, *REFERENCES)):
        other = [result for result in results if result.row == row]
        pairs = {n: (_by_case(own, n), _by_case(other, n)) for n in METRICS}
        found[row] = {
            n: paired(*pair) for n, pair in pairs.items() if pair[0].keys() & pair[1].keys()
        }
    return found


def summarise_kinds(
    results: Sequence[CaseResult], kinds: Callable[[str], Sequence[str]]
) -> dict[str, Summary]:
    """Kind with its number of characters → summary of their results; `OTHERS` have no kind."""
    own = {name: kinds(name) or (OTHERS,) for name in {r.character for r in results}}
    counts = Counter(kind for of in own.values() for kind in of)
    return {
        f"{kind} ({counts[kind]})": summarise([r for r in results if kind in own[r.character]])
        for kind in sorted(counts, key=lambda kind: (kind == OTHERS, kind))
    }


def list_measured(summary: Summary) -> list[str]:
    """Names of the metrics that any row has, in the catalogue's order."""
    return [name for name in METRICS if any(name in own for own in summary.values())]


def format_markdown(summary: Summary, metrics: Sequence[str] = tuple(METRICS)) -> str:
    """The means and intervals as a Markdown table."""
    shown = [name for name in metrics if any(name in own for own in summary.values())]
    lines = [
        "| row | " + " | ".join(METRICS[n].column for n in shown) + " |",
        "|---" * (len(shown) + 1) + "|",
    ]
    for row, own in summary.items():
        cells = [_format_interval(own.get(name), METRICS[name]) for name in shown]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _by_character(results: Sequence[CaseResult], name: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for (character, _), value in _by_case(results, name).items():
        found.setdefault(character, []).append(value)
    return found


def _by_case(results: Sequence[CaseResult], name: str) -> dict[Case, float]:
    values = {(r.character, r.motion): r.metrics.get(name) for r in results}
    return {case: v for case, v in values.items() if v is not None and np.isfinite(v)}


def _format_interval(interval: Interval | None, metric: Metric) -> str:
    if interval is None:
        return "-"
    if interval.low == interval.high:
        return f"{interval.mean:.{metric.digits}f}"
    mean, low, high = (
        f"{value:.{metric.digits}f}" for value in (interval.mean, interval.low, interval.high)
    )
    return f"{mean} ({low} to {high})"
