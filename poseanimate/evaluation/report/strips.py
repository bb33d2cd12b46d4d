"""Clips as strips of frames: the best, the median and the worst case of every row."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from poseanimate.evaluation.metrics.catalogue import METRICS
from poseanimate.evaluation.report.summary import Summary
from poseanimate.evaluation.rows import VAE_BOUND
from poseanimate.evaluation.store import CaseResult, Store
from poseanimate.storage.stage_cache import content_key

RANKED_BY = ("psnr", "joint_error", "background_change")  # the first that was measured
SHOWN_CASES = {"best": 1.0, "median": 0.5, "worst": 0.0}


@dataclass(frozen=True)
class ClipStrip:
    """A case of a row as a PNG: its frames, above the VAE reconstruction of the truth where it is known.

    name: of the file.
    """

    name: str
    caption: str
    png: bytes

    def to_html(self) -> str:
        caption, data = html.escape(self.caption), base64.b64encode(self.png).decode()
        return (
            f"<figure><img alt='{caption}' src='data:image/png;base64,{data}'>"
            f"<figcaption>{caption}</figcaption></figure>"
        )


def make_strips(
    store: Store, results: Sequence[CaseResult], summary: Summary
) -> Iterator[ClipStrip]:
    """The best, the median and the worst case of every row."""
    truth = {(r.character, r.motion): r for r in results if r.row == VAE_BOUND}
    for row in summary:
        own = [result for result in results if result.row == row]
        name = next(n for n in RANKED_BY if n in own[0].metrics)
        ranked = sorted(own, key=lambda r: r.metrics.get(name, 0.0) * METRICS[name].better)
        for label, share in SHOWN_CASES.items():
            chosen = ranked[round(share * (len(ranked) - 1))]
            value = (
                f"{METRICS[name].heading} {chosen.metrics.get(name, 0.0):.1f} {METRICS[name].unit}"
            )
            below = truth.get((chosen.character, chosen.motion))
            shown = [chosen] if row == VAE_BOUND or below is None else [chosen, below]
            # a sweep's values are words of a command: none becomes a path
            safe = re.sub(r"[^\w=.-]", "_", row)[:60]
            unlike = "" if safe == row else f"-{content_key(row)[:8]}"
            yield ClipStrip(
                f"{label}-{safe}{unlike}.png",
                f"{row}, {label}: {chosen.character}, {chosen.motion}, {value}",
                store.stack_clips(shown),
            )
