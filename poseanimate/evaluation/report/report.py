"""An evaluation's report: summary.json, results.csv, plots, sheets, and one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import csv
import html
import io
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from poseanimate.evaluation.metrics.figures import FIGURES, Figure
from poseanimate.evaluation.metrics.perceptual import WINDOW, frechet_distance
from poseanimate.evaluation.report import plots
from poseanimate.evaluation.report.plots import BOUND, REFERENCES, Summary, heading
from poseanimate.evaluation.rows import Row
from poseanimate.evaluation.statistics import Interval, bootstrap, paired
from poseanimate.evaluation.store import TRUTH, Result, Store
from poseanimate.storage.atomic import write_bytes_atomically
from poseanimate.storage.stage_cache import content_key

FULL = "full"
DISTANCES = ("fid", "fid_vid", "fvd")
OTHERS = "others"
RANKED_BY = ("psnr", "joint_error", "background_change")  # the first that there is
SHOWN_CASES = {"best": 1.0, "median": 0.5, "worst": 0.0}

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


def summarise(results: Sequence[Result]) -> Summary:
    """Row → figure → mean with its interval over characters; rows in the order in which they were made first."""
    summary: Summary = {}
    for row in dict.fromkeys(result.row for result in results):
        own = [result for result in results if result.row == row]
        names = [name for name in FIGURES if any(name in r.figures for r in own)]
        summary[row] = {name: bootstrap(_by_character(own, name)) for name in names}
    return summary


def distances(store: Store, results: Sequence[Result]) -> Summary:
    """Row → Fréchet distance of all its clips' features from those of the same cases' truth.

    One number of a row as a whole, so without an interval: drawn again, a set would hold clips twice and be nearer to
    a smaller one.
    """
    summary: Summary = {}
    for row in dict.fromkeys(result.row for result in results):
        own = [result for result in results if result.row == row]
        sets = [(store.features(r), store.features(replace(r, row=TRUTH))) for r in own]
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


def differences(results: Sequence[Result], base: str) -> dict[str, dict[str, Interval]]:
    """How much larger each figure of `base` is than every other row's, on the same characters."""
    own = [result for result in results if result.row == base]
    found: dict[str, dict[str, Interval]] = {}
    for row in dict.fromkeys(r.row for r in results if r.row not in (base, *REFERENCES)):
        other = [result for result in results if result.row == row]
        pairs = {n: (_by_character(own, n), _by_character(other, n)) for n in FIGURES}
        found[row] = {
            n: paired(*pair) for n, pair in pairs.items() if pair[0].keys() & pair[1].keys()
        }
    return found


def by_kind(results: Sequence[Result], kinds: Callable[[str], Sequence[str]]) -> dict[str, Summary]:
    """Kind and how many are of it → summary of its characters' results; `OTHERS` are those of no kind."""
    own = {name: kinds(name) or (OTHERS,) for name in {r.character for r in results}}
    counts = Counter(kind for of in own.values() for kind in of)
    return {
        f"{kind} ({counts[kind]})": summarise([r for r in results if kind in own[r.character]])
        for kind in sorted(counts, key=lambda kind: (kind == OTHERS, kind))
    }


def write_report(
    store: Store,
    rows: Mapping[str, Row],
    missing: Sequence[str] = (),
    kinds: Callable[[str], Sequence[str]] = lambda character: (),
) -> tuple[Path, str]:
    """Writes summary.json, results.csv, report.html, plots/ and sheets/ into the store's folder.

    Args:
        missing: why what could not be measured could not.
        kinds: of what kinds a character is; where there are any, figures by kind go into kinds.json and onto the page.

    Returns the page's path and its table in Markdown.
    """
    order = (*REFERENCES, *rows)
    every = store.results()
    results = [r for name in order for r in every if r.row == name]
    summary, whole = summarise(results), distances(store, results)
    summary = {row: {**own, **whole[row]} for row, own in summary.items()}
    files = {"summary.json": _json(_plain(summary))}
    grouped = by_kind(results, kinds)
    if any(kinds(result.character) for result in results):
        files["kinds.json"] = _json({kind: _plain(own) for kind, own in grouped.items()})
    else:
        grouped = {}
        (store.folder / "kinds.json").unlink(missing_ok=True)  # of rows that were asked for earlier
    files["results.csv"] = _csv(results).encode()
    drawn = {name: plots.plot(summary, name) for name in _measured(summary)}
    if trade := plots.trade(summary):
        drawn = {"trade": trade, **drawn}
    sheets = list(_sheets(store, results, summary))
    files |= {f"plots/{name}.svg": plots.alone(own).encode() for name, own in drawn.items()}
    files |= {f"sheets/{sheet.name}": sheet.png for sheet in sheets}
    reasons = (*missing, *_too_few(missing, _measured(summary)))
    files["report.html"] = _page(
        store, results, summary, grouped, rows, drawn, sheets, reasons
    ).encode()
    for name in ("plots", "sheets"):
        shutil.rmtree(store.folder / name, ignore_errors=True)  # rows that were asked for earlier
        (store.folder / name).mkdir(exist_ok=True)
    for name, data in files.items():
        write_bytes_atomically(store.folder / name, data)
    return store.folder / "report.html", markdown(summary)


def _json(content: object) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode()


def _plain(summary: Summary) -> dict[str, dict[str, dict[str, float]]]:
    return {
        row: {
            name: {"mean": own.mean} if name in DISTANCES else dict(vars(own))
            for name, own in figures.items()
        }
        for row, figures in summary.items()
    }


def _measured(summary: Summary) -> list[str]:
    """Names of the figures that any row has, in their order."""
    return [name for name in FIGURES if any(name in own for own in summary.values())]


def markdown(summary: Summary, figures: Sequence[str] = tuple(FIGURES)) -> str:
    """The means and intervals as a Markdown table."""
    shown = [name for name in figures if any(name in own for own in summary.values())]
    lines = [
        "| row | " + " | ".join(heading(FIGURES[n]) for n in shown) + " |",
        "|---" * (len(shown) + 1) + "|",
    ]
    for row, own in summary.items():
        cells = [_text(own.get(name), FIGURES[name]) for name in shown]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _by_character(results: Sequence[Result], name: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for result in results:
        value = result.figures.get(name)
        if value is not None and np.isfinite(value):
            found.setdefault(result.character, []).append(value)
    return found


def _text(interval: Interval | None, figure: Figure) -> str:
    if interval is None:
        return "-"
    if interval.low == interval.high:
        return f"{interval.mean:.{figure.digits}f}"
    return f"{interval.mean:.{figure.digits}f} ({interval.low:.{figure.digits}f} to {interval.high:.{figure.digits}f})"


def _csv(results: Sequence[Result]) -> str:
    file = io.StringIO()
    writer = csv.writer(file)
    names = [name for name in FIGURES if name not in DISTANCES]
    writer.writerow(["character", "motion", "row", *names])
    for result in results:
        values = [result.figures.get(name, "") for name in names]
        writer.writerow([result.character, result.motion, result.row, *values])
    return file.getvalue()


# The page -----------------------------------------------------------------------------------------


def _page(
    store: Store,
    results: Sequence[Result],
    summary: Summary,
    grouped: Mapping[str, Summary],
    rows: Mapping[str, Row],
    drawn: Mapping[str, str],
    sheets: Sequence[Sheet],
    missing: Sequence[str],
) -> str:
    meanings = REFERENCES | {name: _told(row) for name, row in rows.items()}
    names = _measured(summary)
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width'><title>PoseAnimate: evaluation</title>",
        f"<style>{STYLE}{plots.STYLE}</style><h1>Evaluation</h1>",
        "<p>Means with 95 % bootstrap intervals over characters; bold where a row is best, references aside.</p>",
        _table(summary, names),
        *_differences(results),
        *_kinds(grouped, _base(results)),
        "<h2>Rows</h2><ul>",
        *(f"<li><b>{html.escape(n)}</b>: {html.escape(meanings[n])}</li>" for n in summary),
        "</ul><h2>Figures</h2><ul>",
        *(
            f"<li><b>{heading(FIGURES[n])}</b>: {html.escape(FIGURES[n].meaning)}</li>"
            for n in names
        ),
        *(f"<li>missing: {html.escape(r)}</li>" for r in missing),
        "</ul>",
        "<h2>Plots</h2>",
        *drawn.values(),
        "<h2>Clips</h2><p>Best, median and worst case of every row, by PSNR where the truth is known",
        "; below each clip what the autoencoder makes of the truth.</p>"
        if BOUND in summary
        else ".</p>",
        *(sheet.figure() for sheet in sheets),
        f"<h2>Settings</h2><pre>{html.escape(json.dumps(store.asked, indent=1))}</pre></html>",
    ]
    return "\n".join(parts)


def _told(row: Row) -> str:
    """What a row is, and which settings it has in place of those that the evaluation was asked for."""
    changes = ", ".join(f"{name}={value}" for name, value in row.changes.items())
    return f"{row.meaning} ({changes})" if changes else row.meaning


def _too_few(missing: Sequence[str], names: Sequence[str]) -> Iterator[str]:
    """Why distances are missing whose networks are there."""
    for name in DISTANCES:
        heading = FIGURES[name].heading
        if name not in names and not any(f"({heading})" in reason for reason in missing):
            least = "two frames" if name == "fid" else f"two windows of {WINDOW} frames"
            yield f"{heading} needs the truth of {least} at least"


def _kinds(grouped: Mapping[str, Summary], row: str) -> Iterator[str]:
    """The figures of one row by kind of character."""
    own = {kind: summary[row] for kind, summary in grouped.items() if row in summary}
    if own:
        yield f"<h2>{html.escape(row)} by kind of character</h2>"
        yield "<p>How many characters are of each kind in brackets; one may be of several.</p>"
        yield _table(own, _measured(own), first="kind")


def _table(summary: Summary, names: Sequence[str], first: str = "row") -> str:
    """Means and intervals; the best of each figure is bold where what is compared is rows."""
    heads = "".join(f"<th>{html.escape(heading(FIGURES[name]))}</th>" for name in names)
    lines = [f"<table><tr><th>{first}</th>{heads}</tr>"]
    best = {name: _best(summary, name) if first == "row" else None for name in names}
    for row, own in summary.items():
        cells = []
        for name in names:
            interval, digits = own.get(name), FIGURES[name].digits
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


def _differences(results: Sequence[Result]) -> Iterator[str]:
    """What every row differs by from the full method, or from the first row, on the same characters."""
    base = _base(results)
    found = differences(results, base)
    if not found:
        return
    names = [name for name in FIGURES if any(name in own for own in found.values())]
    heads = "".join(f"<th>{html.escape(heading(FIGURES[name]))}</th>" for name in names)
    yield (
        f"<h2>What {html.escape(base)} has more</h2><p>Its figure less the row's, on the same characters; bold "
        f"where the interval leaves out 0.</p><table><tr><th>row</th>{heads}</tr>"
    )
    for row, own in found.items():
        cells = ""
        for name in names:
            interval, digits = own.get(name), FIGURES[name].digits
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


def _base(results: Sequence[Result]) -> str:
    """The full method, or the first row where it isn't there."""
    rows = [result.row for result in results if result.row not in REFERENCES]
    return FULL if FULL in rows else next(iter(rows), FULL)


def _best(summary: Summary, name: str) -> str | None:
    means = {
        row: own[name].mean * FIGURES[name].better
        for row, own in summary.items()
        if row not in REFERENCES and name in own
    }
    return max(means, key=lambda row: means[row]) if means and FIGURES[name].better else None


@dataclass(frozen=True)
class Sheet:
    """A case of a row as a PNG under a name: its frames, above the bound's where there is one."""

    name: str
    caption: str
    png: bytes

    def figure(self) -> str:
        caption, data = html.escape(self.caption), base64.b64encode(self.png).decode()
        return (
            f"<figure><img alt='{caption}' src='data:image/png;base64,{data}'>"
            f"<figcaption>{caption}</figcaption></figure>"
        )


def _sheets(store: Store, results: Sequence[Result], summary: Summary) -> Iterator[Sheet]:
    """The best, the median and the worst case of every row."""
    truth = {(r.character, r.motion): r for r in results if r.row == BOUND}
    for row in summary:
        own = [result for result in results if result.row == row]
        name = next(n for n in RANKED_BY if n in own[0].figures)
        ranked = sorted(own, key=lambda r: r.figures.get(name, 0.0) * FIGURES[name].better)
        for label, share in SHOWN_CASES.items():
            chosen = ranked[round(share * (len(ranked) - 1))]
            value = (
                f"{FIGURES[name].heading} {chosen.figures.get(name, 0.0):.1f} {FIGURES[name].unit}"
            )
            below = truth.get((chosen.character, chosen.motion))
            shown = [chosen] if row == BOUND or below is None else [chosen, below]
            # a sweep's values are words of a command: none becomes a path
            safe = re.sub(r"[^\w=.-]", "_", row)[:60]
            unlike = "" if safe == row else f"-{content_key(row)[:8]}"
            yield Sheet(
                f"{label}-{safe}{unlike}.png",
                f"{row}, {label}: {chosen.character}, {chosen.motion}, {value}",
                store.stacked(shown),
            )
