"""An evaluation's plots as SVG that a page can hold."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

import numpy as np

from poseanimate.evaluation.metrics.catalogue import METRICS
from poseanimate.evaluation.report.summary import Summary
from poseanimate.evaluation.rows import REFERENCES

STYLE = (
    "svg { width: 100%; max-width: 44rem; height: auto; } "
    "svg text { font: 12px system-ui, sans-serif; fill: currentColor; } "
    "svg line { stroke: currentColor; stroke-opacity: .3; } svg .mark { stroke: #6366f1; stroke-opacity: 1; } "
    "svg circle { fill: #6366f1; }"
)


def draw_intervals(summary: Summary, name: str) -> str:
    """Means as dots with their intervals, a line for every row; an SVG in a captioned figure."""
    measured = {row: metrics[name] for row, metrics in summary.items() if name in metrics}
    # references lie so far out that beside them no row differs from another
    own = {row: found for row, found in measured.items() if row not in REFERENCES} or measured
    low, high = min(i.low for i in own.values()), max(i.high for i in own.values())
    span = (high - low) or 1.0
    left, width, step = 150, 420, 20

    def x(value: float) -> float:
        return left + width * (value - low) / span

    marks = []
    for at, (row, interval) in enumerate(own.items()):
        y = 14 + at * step
        marks.append(
            f"<text x='{left - 10}' y='{y + 4}' text-anchor='end'>{html.escape(row)}</text>"
            f"<line x1='{left}' x2='{left + width}' y1='{y}' y2='{y}'/>"
            f"<line class='mark' x1='{x(interval.low):.1f}' x2='{x(interval.high):.1f}' y1='{y}' y2='{y}' "
            f"stroke-width='2'/><circle cx='{x(interval.mean):.1f}' cy='{y}' r='4'/>"
        )
    height, digits = 30 + len(own) * step, METRICS[name].digits
    ends = (
        f"<text x='{left}' y='{height - 4}'>{low:.{digits}f}</text>"
        f"<text x='{left + width}' y='{height - 4}' text-anchor='end'>{high:.{digits}f}</text>"
    )
    return (
        f"<figure><figcaption>{html.escape(METRICS[name].column)}: {html.escape(METRICS[name].meaning)}"
        f"</figcaption><svg viewBox='0 0 {left + width + 20} {height}' role='img' "
        f"aria-label='{html.escape(METRICS[name].heading)}'>{''.join(marks)}{ends}</svg></figure>"
    )


def draw_course(lines: Mapping[str, Sequence[float]], caption: str, of: str, first: int = 1) -> str:
    """A metric over time, a line for every row; an SVG.

    Args:
        lines: values by row. of: what is numbered along the axis, beginning with `first`.
    """
    left, top, width, height = 50, 10, 560, 220
    values = [value for line in lines.values() for value in line]
    low, high = min(values), max(values)
    span, last = (high - low) or 1.0, first + max(map(len, lines.values())) - 1
    marks: list[str] = []
    names: list[tuple[float, float]] = []
    for row, line in lines.items():
        xy = [
            (left + width * i / max(last - first, 1), top + height * (high - value) / span)
            for i, value in enumerate(line)
        ]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in xy)
        dash = f" stroke-dasharray='{4 * len(marks)} 3'" if marks else ""
        x, y = xy[-1]
        while any(x == other and abs(y - beside) < 12 for other, beside in names):
            y -= 12  # names of lines that end together stand above each other
        names.append((x, y))
        marks.append(
            f"<polyline class='mark' points='{points}' fill='none' stroke-width='1.5'{dash}/>"
            f"<text x='{x + 6:.1f}' y='{y + 4:.1f}'>{html.escape(row)}</text>"
        )
    digits = 1 if span > 1 else 2
    ends = (
        f"<text x='{left}' y='{top + height + 18}'>{html.escape(of)} {first}</text>"
        f"<text x='{left + width}' y='{top + height + 18}' text-anchor='end'>{last}</text>"
        f"<text x='{left - 8}' y='{top + height + 4}' text-anchor='end'>{low:.{digits}f}</text>"
        f"<text x='{left - 8}' y='{top + 4}' text-anchor='end'>{high:.{digits}f}</text>"
        f"<line x1='{left}' x2='{left + width}' y1='{top + height}' y2='{top + height}'/>"
    )
    return (
        f"<figure><figcaption>{html.escape(caption)}</figcaption><svg viewBox='0 0 {left + width + 90} "
        f"{top + height + 26}' role='img' aria-label='{html.escape(caption)}'>{''.join(marks)}{ends}</svg></figure>"
    )


def standalone_svg(figure: str) -> str:
    """A figure's SVG as a file of its own, dark on white."""
    svg = figure[figure.index("<svg") : figure.index("</svg>") + len("</svg>")]
    opened = svg.replace("<svg", "<svg xmlns='http://www.w3.org/2000/svg'", 1)
    return opened.replace(
        ">", f"><style>svg {{ background: #fff; color: #222 }} {STYLE}</style>", 1
    )


def find_front(summary: Summary, cost: str = "seconds", gain: str = "psnr") -> list[str]:
    """Rows that no other row beats in both metrics (the Pareto front), the cheapest first."""
    points = {
        row: (own[cost].mean, own[gain].mean)
        for row, own in summary.items()
        if row not in REFERENCES and cost in own and gain in own
    }
    best, kept = -np.inf, []
    for row in sorted(points, key=lambda row: (points[row][0], -points[row][1])):
        if points[row][1] > best:
            best = points[row][1]
            kept.append(row)
    return kept


def draw_trade(summary: Summary, cost: str = "seconds", gain: str = "psnr") -> str:
    """Cost against gain of every row, the Pareto front bold; an SVG."""
    kept = find_front(summary, cost, gain)
    shown = [r for r, own in summary.items() if r not in REFERENCES and {cost, gain} <= set(own)]
    if len(shown) < 2:
        return ""
    left, top, width, height = 50, 10, 560, 280
    spans = [
        (min(values), (max(values) - min(values)) or 1.0)
        for values in ([summary[row][name].mean for row in shown] for name in (cost, gain))
    ]
    (x_low, x_span), (y_low, y_span) = spans
    marks = []
    for row in shown:
        x = left + width * (summary[row][cost].mean - x_low) / x_span
        y = top + height * (1 - (summary[row][gain].mean - y_low) / y_span)
        on = row in kept
        weight = 700 if on else 400
        end, aside = ("end", -8) if x > left + width / 2 else ("start", 8)
        marks.append(
            f"<circle cx='{x:.1f}' cy='{y:.1f}' r='4' fill-opacity='{1 if on else 0.3}'/>"
            f"<text x='{x + aside:.1f}' y='{y + 4:.1f}' text-anchor='{end}' style='font-weight:{weight}'>"
            f"{html.escape(row)}</text>"
        )
    ends = (
        f"<text x='{left}' y='{top + height + 32}'>{x_low:.1f} {METRICS[cost].unit}</text>"
        f"<text x='{left + width}' y='{top + height + 32}' text-anchor='end'>{x_low + x_span:.1f} {METRICS[cost].unit}"
        f"</text><text x='{left - 8}' y='{top + height + 4}' text-anchor='end'>{y_low:.1f}</text>"
        f"<text x='{left - 8}' y='{top + 4}' text-anchor='end'>{y_low + y_span:.1f}</text>"
    )
    caption = f"{METRICS[gain].column} against {METRICS[cost].heading}; bold: no row is both cheaper and better"
    return (
        f"<figure><figcaption>{html.escape(caption)}</figcaption><svg viewBox='0 0 {left + width + 20} "
        f"{top + height + 40}' role='img' aria-label='trade'>{''.join(marks)}{ends}</svg></figure>"
    )
