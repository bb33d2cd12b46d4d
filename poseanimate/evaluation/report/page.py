"""The report's page: HTML that needs no other file."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping, Sequence

from poseanimate.evaluation.metrics.catalogue import METRICS
from poseanimate.evaluation.report import plots
from poseanimate.evaluation.report.strips import ClipStrip
from poseanimate.evaluation.report.summary import Summary, compare_rows, list_measured
from poseanimate.evaluation.rows import FULL, REFERENCES, VAE_BOUND, Row
from poseanimate.evaluation.store import CaseResult, Store

STYLE = """
:root { color-scheme: light dark; --rule: #8884; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; display: block; overflow-x: auto; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--rule); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
td small { opacity: .65; } td.best { font-weight: 700; }
figure { margin: 1rem 0; } figcaption { opacity: .75; font-size: .9em; }
img { max-width: 100%; image-rendering: pixelated; display: block; }
pre { overflow-x: auto; font-size: .85em; }
"""


def build_page(
    store: Store,
    results: Sequence[CaseResult],
    summary: Summary,
    grouped: Mapping[str, Summary],
    rows: Mapping[str, Row],
    drawn: Mapping[str, str],
    strips: Sequence[ClipStrip],
    missing: Sequence[str],
) -> str:
    """The whole page as HTML.

    Args:
        grouped: a summary for each kind of character. drawn: SVG figures by name. missing: why metrics are missing.
    """
    meanings = REFERENCES | {name: _describe(row) for name, row in rows.items()}
    names = list_measured(summary)
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width'><title>PoseAnimate: evaluation</title>",
        f"<style>{STYLE}{plots.STYLE}</style><h1>Evaluation</h1>",
        "<p>Means with 95 % bootstrap intervals over characters; bold where a row is best, references aside.</p>",
        build_table(summary, names),
        *_build_differences(results),
        *_build_kinds(grouped, _find_base(results)),
        "<h2>Rows</h2><ul>",
        *(f"<li><b>{html.escape(n)}</b>: {html.escape(meanings[n])}</li>" for n in summary),
        "</ul><h2>Metrics</h2><ul>",
        *(f"<li><b>{METRICS[n].column}</b>: {html.escape(METRICS[n].meaning)}</li>" for n in names),
        *(f"<li>missing: {html.escape(r)}</li>" for r in missing),
        "</ul>",
        "<h2>Plots</h2>",
        *drawn.values(),
        "<h2>Clips</h2><p>Best, median and worst case of every row, by PSNR where the truth is known",
        "; below each clip the VAE reconstruction of the truth.</p>"
        if VAE_BOUND in summary
        else ".</p>",
        *(strip.to_html() for strip in strips),
        f"<h2>Settings</h2><pre>{html.escape(json.dumps(store.request, indent=1))}</pre></html>",
    ]
    return "\n".join(parts)


def _describe(row: Row) -> str:
    """A row's meaning, and the settings that it changes."""
    changes = ", ".join(f"{name}={value}" for name, value in row.changes.items())
    return f"{row.meaning} ({changes})" if changes else row.meaning


def _build_kinds(grouped: Mapping[str, Summary], row: str) -> Iterator[str]:
    """The metrics of one row by kind of character."""
    own = {kind: summary[row] for kind, summary in grouped.items() if row in summary}
    if own:
        yield f"<h2>{html.escape(row)} by kind of character</h2>"
        yield "<p>How many characters are of each kind in brackets; one may be of several.</p>"
        yield build_table(own, list_measured(own), first="kind")


def build_table(summary: Summary, names: Sequence[str], first: str = "row") -> str:
    """Means and intervals; the best row of each metric is bold."""
    heads = "".join(f"<th>{html.escape(METRICS[name].column)}</th>" for name in names)
    lines = [f"<table><tr><th>{first}</th>{heads}</tr>"]
    best = {name: _find_best(summary, name) if first == "row" else None for name in names}
    for row, own in summary.items():
        cells = []
        for name in names:
            interval, digits = own.get(name), METRICS[name].digits
            if interval is None:
                cells.append("<td>-</td>")
                continue
            chosen = " class='best'" if best[name] == row else ""
            spread = ""
            if interval.low < interval.high:
                spread = f" <small>{interval.low:.{digits}f} to {interval.high:.{digits}f}</small>"
            cells.append(f"<td{chosen}>{interval.mean:.{digits}f}{spread}</td>")
        lines.append(f"<tr><td>{html.escape(row)}</td>{''.join(cells)}</tr>")
    return "".join([*lines, "</table>"])


def _build_differences(results: Sequence[CaseResult]) -> Iterator[str]:
    """The base row's metrics minus every other row's, on the same characters."""
    base = _find_base(results)
    found = compare_rows(results, base)
    if not found:
        return
    names = [name for name in METRICS if any(name in own for own in found.values())]
    heads = "".join(f"<th>{html.escape(METRICS[name].column)}</th>" for name in names)
    yield (
        f"<h2>{html.escape(base)} minus each row</h2><p>On the same characters; bold "
        f"where the interval excludes 0.</p><table><tr><th>row</th>{heads}</tr>"
    )
    for row, own in found.items():
        cells = ""
        for name in names:
            interval, digits = own.get(name), METRICS[name].digits
            if interval is None:
                cells += "<td>-</td>"
                continue
            sure = " class='best'" if interval.low > 0 or interval.high < 0 else ""
            cells += (
                f"<td{sure}>{interval.mean:+.{digits}f} "
                f"<small>{interval.low:+.{digits}f} to {interval.high:+.{digits}f}</small></td>"
            )
        yield f"<tr><td>{html.escape(row)}</td>{cells}</tr>"
    yield "</table>"


def _find_base(results: Sequence[CaseResult]) -> str:
    """The full method, or else the first row."""
    rows = [result.row for result in results if result.row not in REFERENCES]
    return FULL if FULL in rows else next(iter(rows), FULL)


def _find_best(summary: Summary, name: str) -> str | None:
    """The row with the best mean, references aside; None where neither way is better."""
    means = {
        row: own[name].mean * METRICS[name].better
        for row, own in summary.items()
        if row not in REFERENCES and name in own
    }
    return max(means, key=lambda row: means[row]) if means and METRICS[name].better else None
