"""The page of a sitting: checks, figures, curves and every clip as a contact sheet, in one file."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from poseanimate.evaluation.metrics.catalogue import METRICS
from poseanimate.evaluation.report import plots
from poseanimate.evaluation.report.page import STYLE, build_table
from poseanimate.evaluation.report.summary import list_measured, summarise
from poseanimate.evaluation.rows import REFERENCES
from poseanimate.evaluation.store import CaseResult, Store
from poseanimate.media.similarity import Picture

CURVES = {  # swept settings, and what is drawn over them
    "pose_learning_rate": ("joint_error", "background_change"),
    "source_learning_rate": ("source_psnr", "inversion_psnr"),
}
SHEET_HEIGHT_PX, WEBP_QUALITY = 256, 90
SKELETONS = "skeletons"
MARKS = {"good": "✓", "note": "·", "bad": "✗"}


def build_judged_page(
    found: Mapping[str, Any], store: Store, skeletons: Mapping[tuple[str, str], Picture]
) -> str:
    """The whole page as HTML.

    Args:
        found: what `sitting.describe` returns. store: of the clips. skeletons: over the picture, the frames side by
            side, by character and motion.
    """
    shown = {result["picture"] for result in found["results"]}
    order = [*REFERENCES, *found["rows"]]
    results = [r for r in store.load_results() if r.character in shown and r.row in order]
    results.sort(key=lambda result: order.index(result.row))
    summary = summarise(results)
    speed = found["speed"]
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width'><title>PoseAnimate: judge</title>",
        f"<style>{STYLE}{plots.STYLE}.words td {{ text-align: left; }}</style>",
        "<h1>What these models make of the method</h1>",
        f"<p>{html.escape(found['family'])}, {found['precision']} on {found['device']}, {found['side']} px, ",
        f"{html.escape(found['on'])}. Look at the clips below: is it the same person, where the skeleton wants it, ",
        "in the same place? Then send judge.json back; it holds figures, no picture and no path.</p>",
        "<h2>Machine</h2><table class='words'>",
        *(_check_row(check) for check in found["checks"]),
        "</table>",
    ]
    if speed:
        parts.append(
            f"<p>A prediction with guidance takes {speed['seconds']:.3g} s: {speed['tflop_per_s']:.2f} TFLOP/s, "
            f"{speed['share']:.0%} of what a large matrix product reaches here ({speed['matmul_tflop_per_s']:.2f}).</p>"
        )
    if found["missing"]:
        parts.append(f"<p>Not run, or not whole: {html.escape(', '.join(found['missing']))}.</p>")
    if found["failures"]:
        lines = [
            f"<li>{html.escape(each['row'])}, {each['picture']} in {each['motion']}: "
            f"{html.escape(each['message'] or each['kind'])}</li>"
            for each in found["failures"]
        ]
        parts += ["<h2>What failed</h2><ul>", *lines, "</ul>"]
    parts += ["<h2>Figures</h2>", build_table(summary, list_measured(summary)), "<ul>"]
    parts += [
        f"<li><b>{html.escape(name)}</b>: {html.escape(row['about'])}</li>"
        for name, row in found["rows"].items()
    ]
    parts.append("</ul>")
    if curves := list(_draw_curves(results)):
        parts += ["<h2>Curves</h2>", *curves]
    parts += ["<h2>Clips</h2>", *_draw_sheets(store, results, skeletons)]
    return "\n".join([*parts, "</html>"])


def _check_row(check: Mapping[str, str]) -> str:
    said = " ".join(html.escape(check[part]) for part in ("found", "remedy") if check.get(part))
    return f"<tr><td>{MARKS[check['state']]} {html.escape(check['name'])}</td><td>{said}</td></tr>"


def _draw_curves(results: Sequence[CaseResult]) -> Iterator[str]:
    """Metrics over each swept setting, in the order of its values."""
    for setting, metrics in CURVES.items():
        rows = sorted(
            {r.row for r in results if r.row.startswith(f"{setting}=")},
            key=lambda row: float(row.partition("=")[2]),
        )
        if len(rows) < 2:
            continue
        summary = summarise([result for result in results if result.row in rows])
        yield f"<h3>{html.escape(setting)}</h3>"
        for name in metrics:
            if all(name in summary[row] for row in rows):
                values = {row.partition("=")[2]: summary[row] for row in rows}
                yield plots.draw_intervals(values, name)


def _draw_sheets(
    store: Store,
    results: Sequence[CaseResult],
    skeletons: Mapping[tuple[str, str], Picture],
) -> Iterator[str]:
    """Every row's frames below each other, by picture and motion."""
    for case in dict.fromkeys((r.character, r.motion) for r in results):
        yield f"<h3>{html.escape(' in '.join(case))}</h3>"
        if case in skeletons:
            yield _draw_sheet(SKELETONS, skeletons[case][..., ::-1])
        for result in results:
            if (result.character, result.motion) == case:
                png = np.frombuffer(store.stack_clips([result]), np.uint8)
                strip = np.asarray(cv2.imdecode(png, cv2.IMREAD_COLOR), np.uint8)
                yield _draw_sheet(f"{result.row}{_figures(result)}", strip)


def _draw_sheet(words: str, strip: Picture) -> str:
    """Frames side by side, (H, W, 3) in OpenCV's order of colours, no higher than `SHEET_HEIGHT_PX`."""
    height, width = strip.shape[:2]
    if height > SHEET_HEIGHT_PX:
        size = (width * SHEET_HEIGHT_PX // height, SHEET_HEIGHT_PX)
        strip = np.asarray(cv2.resize(strip, size, interpolation=cv2.INTER_AREA), np.uint8)
    _, coded = cv2.imencode(".webp", strip, [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY])
    data, words = base64.b64encode(coded.tobytes()).decode(), html.escape(words)
    return (
        f"<figure><figcaption>{words}</figcaption>"
        f"<img alt='{words}' src='data:image/webp;base64,{data}'></figure>"
    )


def _figures(result: CaseResult) -> str:
    shown = [
        f"{METRICS[name].heading} {result.metrics[name]:.{METRICS[name].digits}f}"
        for name in ("joint_error", "background_change", "seconds")
        if name in result.metrics
    ]
    return f": {', '.join(shown)}" if shown else ""
