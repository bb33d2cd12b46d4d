"""Writes the tables of docs/results.md, each in its own section, from the folders that `evaluate pocket` filled."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from markers import replace_section

from poseanimate.evaluation.metrics.figures import FIGURES
from poseanimate.evaluation.protocols.pocket import Pocket
from poseanimate.evaluation.report import report
from poseanimate.evaluation.report.plots import REFERENCES, Summary, alone, heading, trade
from poseanimate.evaluation.statistics import Interval
from poseanimate.evaluation.store import ASKED, Result, Store

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE, PICTURES = DOCS / "results.md", DOCS / "results"
ROWS = {
    "vae-bound": "VAE reconstruction of the true frames",
    "source-copy": "copy of the source",
    "controlnet": "ControlNet from Z_T",
    "cross-frame": "+ cross-frame attention",
    "cross-frame-direct": "cross-frame attention with direct inversion",
    "cross-frame-plus": "cross-frame attention with direct inversion and emphasis",
    "spatio-temporal": "ControlNet + spatio-temporal attention, IP+CtrlN's",
    "full": "**PoseAnimate**, all modules",
    "paper-only": "the paper's modules alone, without direct inversion and emphasis",
    "without-direct": "without direct inversion",
    "without-emphasis": "without emphasis",
    "without-pacm": "without PACM",
    "without-pacm-pose": "without PACM's second optimisation",
    "without-dcam": "without DCAM and MGDM",
    "without-mgdm": "without MGDM",
    "preset": "**`balanced`**, the preset",
    "fast": "**`fast`**: T=10, guidance 1, direct inversion, emphasis",
    "direct": "no PACM, direct inversion",
    "negative-prompt": "negative-prompt inversion, guidance 1",
    "driven": "with PATA",
    "driven-without-pata": "without PATA",
}

Writer = Callable[[Sequence[Result]], Iterator[str]]


def means(*figures: str) -> Writer:
    """Every row's figures, with half of their intervals."""

    def lines(results: Sequence[Result]) -> Iterator[str]:
        yield from _header("row", figures)
        for row, own in report.summarise(results).items():
            cells = [_mean(own.get(name), name) for name in figures]
            yield _line(f"{ROWS[row]} (`{row}`)", cells)

    return lines


def leads(base: str, *figures: str, over: Sequence[str] = tuple(ROWS)) -> Writer:
    """What a row has more than each of others on the same characters, with intervals."""

    def lines(results: Sequence[Result]) -> Iterator[str]:
        if base not in {result.row for result in results}:
            raise SystemExit(f"The evaluation has no row {base}, which others are compared with.")
        yield from _header(f"`{base}` minus …", figures)
        for row, own in report.differences(results, base).items():
            if row in over:
                yield _line(f"`{row}`", [_signed(own.get(name), name) for name in figures])

    return lines


def kinds(row: str, *figures: str) -> Writer:
    """A row's figures by kind of character, in brackets the autoencoder's."""

    def lines(results: Sequence[Result]) -> Iterator[str]:
        grouped = report.by_kind(results, Pocket("held-out", 0, ()).kinds)
        yield from _header("kind (how many), in brackets the autoencoder's", figures)
        for kind, summary in grouped.items():
            yield _line(kind, [_of_both(summary, row, name) for name in figures])

    return lines


WHOLE = (
    "psnr", "psnr_character", "psnr_background", "psnr_outline", "psnr_disoccluded", "ssim", "pck", "joint_error",
    "identity", "letter", "background_change", "flicker",
)  # fmt: skip
LOOKS = ("psnr", "psnr_character", "psnr_background", "pck", "joint_error", "identity", "letter")
PRICED = (
    "psnr", "psnr_character", "psnr_background", "joint_error", "identity", "background_change", "seconds", "nfe",
)  # fmt: skip
BASELINES = ("controlnet", "cross-frame", "spatio-temporal")
TABLES: Mapping[str, Mapping[str, Writer]] = {
    "modules": {
        "modules": means(*WHOLE, "seconds"),
        "leads": leads("full", *WHOLE),
        "paper leads": leads("paper-only", *WHOLE, over=BASELINES),
        "kinds": kinds("full", "psnr", "psnr_character", "pck", "joint_error", "identity"),
    },
    "brief": {"brief": means(*LOOKS), "brief leads": leads("full", *LOOKS)},
    "pata": {"pata": means("psnr", "joint_error", "pck", "identity", "mask_iou")},
    "faster": {"faster": means(*PRICED), "faster leads": leads("preset", *PRICED[:6])},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("evaluation", choices=TABLES, help="whose tables")
    parser.add_argument("folder", type=Path, help="that `evaluate pocket -o` filled")
    args = parser.parse_args()
    evaluation, home = args.evaluation, args.folder
    if not (home / ASKED).exists():
        parser.error(f"{home} holds no evaluation.")
    results = Store(home, json.loads((home / ASKED).read_text())).results()
    order = [*REFERENCES, *ROWS]
    results = sorted((r for r in results if r.row in ROWS), key=lambda r: order.index(r.row))
    page = PAGE.read_text()
    for name, lines in TABLES[evaluation].items():
        page = replace_section(page, "tables", name, lines(results))
    PAGE.write_text(page)
    summary = report.summarise(results)
    plain = {row: {name: vars(own) for name, own in of.items()} for row, of in summary.items()}
    (PICTURES / f"{evaluation}.json").write_text(json.dumps(plain, indent=1) + "\n")
    if evaluation == "faster":
        (PICTURES / "trade.svg").write_text(alone(trade(summary)))


def _header(first: str, figures: Sequence[str]) -> Iterator[str]:
    yield _line(first, [heading(FIGURES[name]) for name in figures])
    yield "|---" * (len(figures) + 1) + "|"


def _line(first: str, cells: Sequence[str]) -> str:
    return f"| {first} | " + " | ".join(cells) + " |"


def _mean(own: Interval | None, name: str) -> str:
    if own is None:
        return "-"
    digits, half = FIGURES[name].digits, (own.high - own.low) / 2
    return f"{own.mean:.{digits}f}" + (f" ± {half:.{digits}f}" if half else "")


def _signed(own: Interval | None, name: str) -> str:
    if own is None:
        return "-"
    digits = FIGURES[name].digits + (FIGURES[name].digits < 2)
    return f"{own.mean:+.{digits}f} ({own.low:+.{digits}f} to {own.high:+.{digits}f})"


def _of_both(summary: Summary, row: str, name: str) -> str:
    cells = [f"{summary[each][name].mean:.{FIGURES[name].digits}f}" for each in (row, "vae-bound")]
    return "{} ({})".format(*cells)


if __name__ == "__main__":
    main()
