"""Writes a report: summary.json, kinds.json, results.csv, plots, strips of frames, and the page."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from poseanimate.evaluation.metrics.catalogue import DISTANCES, METRICS
from poseanimate.evaluation.metrics.perceptual import WINDOW
from poseanimate.evaluation.report import plots
from poseanimate.evaluation.report.page import build_page
from poseanimate.evaluation.report.strips import make_strips
from poseanimate.evaluation.report.summary import (
    Summary,
    format_markdown,
    list_measured,
    measure_distances,
    summarise,
    summarise_kinds,
)
from poseanimate.evaluation.rows import REFERENCES, Row
from poseanimate.evaluation.store import CaseResult, Store
from poseanimate.storage.atomic import write_bytes_atomically


def write_report(
    store: Store,
    rows: Mapping[str, Row],
    missing: Sequence[str] = (),
    kinds: Callable[[str], Sequence[str]] = lambda character: (),
) -> tuple[Path, str]:
    """Writes summary.json, results.csv, report.html, plots/ and sheets/ into the store's folder.

    Args:
        missing: why metrics are missing, a sentence each.
        kinds: the kinds of a character; if it has any, metrics by kind go into kinds.json and onto the page.

    Returns the page's path and its table in Markdown.
    """
    order = (*REFERENCES, *rows)
    every = store.load_results()
    results = [r for name in order for r in every if r.row == name]
    summary, whole = summarise(results), measure_distances(store, results)
    summary = {row: {**own, **whole[row]} for row, own in summary.items()}
    files = {"summary.json": _encode_json(_to_plain(summary))}
    grouped = summarise_kinds(results, kinds)
    if any(kinds(result.character) for result in results):
        files["kinds.json"] = _encode_json({kind: _to_plain(own) for kind, own in grouped.items()})
    else:
        grouped = {}
        (store.folder / "kinds.json").unlink(missing_ok=True)  # of an earlier report
    files["results.csv"] = _encode_csv(results).encode()
    drawn = {name: plots.draw_intervals(summary, name) for name in list_measured(summary)}
    if trade := plots.draw_trade(summary):
        drawn = {"trade": trade, **drawn}
    strips = list(make_strips(store, results, summary))
    files |= {
        f"plots/{name}.svg": plots.standalone_svg(own).encode() for name, own in drawn.items()
    }
    files |= {f"sheets/{strip.name}": strip.png for strip in strips}
    reasons = (*missing, *_explain_missing_distances(missing, list_measured(summary)))
    files["report.html"] = build_page(
        store, results, summary, grouped, rows, drawn, strips, reasons
    ).encode()
    for name in ("plots", "sheets"):
        shutil.rmtree(store.folder / name, ignore_errors=True)  # of an earlier report
        (store.folder / name).mkdir(exist_ok=True)
    for name, data in files.items():
        write_bytes_atomically(store.folder / name, data)
    return store.folder / "report.html", format_markdown(summary)


def _encode_json(content: object) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode()


def _to_plain(summary: Summary) -> dict[str, dict[str, dict[str, float]]]:
    return {
        row: {
            name: {"mean": own.mean} if name in DISTANCES else dict(vars(own))
            for name, own in metrics.items()
        }
        for row, metrics in summary.items()
    }


def _encode_csv(results: Sequence[CaseResult]) -> str:
    file = io.StringIO()
    writer = csv.writer(file)
    names = [name for name in METRICS if name not in DISTANCES]
    writer.writerow(["character", "motion", "row", *names])
    for result in results:
        values = [result.metrics.get(name, "") for name in names]
        writer.writerow([result.character, result.motion, result.row, *values])
    return file.getvalue()


def _explain_missing_distances(missing: Sequence[str], names: Sequence[str]) -> Iterator[str]:
    """Why distances are missing although their networks are loaded."""
    for name in DISTANCES:
        heading = METRICS[name].heading
        if name not in names and not any(f"({heading})" in reason for reason in missing):
            least = "two frames" if name == "fid" else f"two windows of {WINDOW} frames"
            yield f"{heading} needs the truth of {least} at least"
