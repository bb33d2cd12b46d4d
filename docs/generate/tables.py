"""Writes the tables of docs/results.md, each in its own section, from the folders that `evaluate pocket` filled."""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from markers import replace_section

from poseanimate.evaluation.metrics.catalogue import METRICS
from poseanimate.evaluation.protocols.pocket import Pocket
from poseanimate.evaluation.report.plots import draw_trade, standalone_svg
from poseanimate.evaluation.report.summary import (
    Summary,
    compare_rows,
    summarise,
    summarise_kinds,
)
from poseanimate.evaluation.rows import REFERENCES, VAE_BOUND
from poseanimate.evaluation.statistics import Interval
from poseanimate.evaluation.store import REQUEST, CaseResult, Store

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE, PICTURES = DOCS / "results.md", DOCS / "results"
ROWS = {
    "vae-bound": "VAE reconstruction of the true frames",
    "source-copy": "copy of the source",
    "draft": "the draft itself",
    "controlnet": "ControlNet from Z_T",
    "controlnet-plus": "ControlNet with drafts, direct inversion and emphasis",
    "cross-frame": "+ cross-frame attention",
    "cross-frame-direct": "cross-frame attention with direct inversion",
    "cross-frame-plus": "cross-frame attention with drafts, direct inversion and emphasis",
    "spatio-temporal": "ControlNet + spatio-temporal attention, IP+CtrlN's",
    "spatio-temporal-plus": "the same with drafts, direct inversion and emphasis",
    "full": "**PoseAnimate**, all modules",
    "paper-only": "the paper's modules alone, without drafts, direct inversion and emphasis",
    "without-direct": "without direct inversion",
    "without-emphasis": "without emphasis",
    "without-pacm": "without PACM",
    "without-pacm-pose": "without PACM's second optimisation",
    "without-dcam": "without DCAM and MGDM",
    "without-mgdm": "without MGDM",
    "preset": "**`balanced`**, the preset",
    "fast": "**`fast`**: T=10, guidance 1, drafts, direct inversion, emphasis",
    "direct": "no PACM, direct inversion",
    "negative-prompt": "negative-prompt inversion, guidance 1",
    "without-drafts": "`fast` without drafts",
    "draft-masks": "frame masks from drafts",
    "draft-start": "frames start from drafts",
    "drafted": "**both**",
    "crop": "**`fast` as it is shipped**, with crop and paste back",
    "driven": "with PATA",
    "driven-without-pata": "without PATA",
}

COMMIT = "commit"  # a file in an evaluation's folder, where `all.py` made it
Writer = Callable[[Sequence[CaseResult]], Iterator[str]]


def write_means(*figures: str, over: Sequence[str] = ()) -> Writer:
    """The rows' means, with half of their intervals.

    Args:
        over: rows to show, in this order; empty: all.
    """

    def lines(results: Sequence[CaseResult]) -> Iterator[str]:
        yield from _format_header("row", figures)
        means = summarise(results)
        for row in over or means:
            own = means[row]
            cells = [_format_mean(own.get(name), name) for name in figures]
            yield _format_line(f"{ROWS[row]} (`{row}`)", cells)

    return lines


def write_differences(base: str, *figures: str, over: Sequence[str] = tuple(ROWS)) -> Writer:
    """A row minus each of the others on the same characters, with intervals."""

    def lines(results: Sequence[CaseResult]) -> Iterator[str]:
        if base not in {result.row for result in results}:
            raise SystemExit(f"The evaluation has no row {base}, which others are compared with.")
        yield from _format_header(f"`{base}` minus …", figures)
        for row, own in compare_rows(results, base).items():
            if row in over:
                yield _format_line(
                    f"`{row}`", [_format_difference(own.get(name), name) for name in figures]
                )

    return lines


def write_kinds(row: str, *figures: str) -> Writer:
    """A row's means by kind of character, with the VAE bound's in brackets."""

    def lines(results: Sequence[CaseResult]) -> Iterator[str]:
        grouped = summarise_kinds(results, Pocket("held-out", 0, ()).kinds)
        yield from _format_header("kind (how many), in brackets the autoencoder's", figures)
        for kind, summary in grouped.items():
            yield _format_line(kind, [_format_with_bound(summary, row, name) for name in figures])

    return lines


WHOLE = (
    "psnr", "psnr_character", "psnr_background", "psnr_outline", "psnr_disoccluded", "ssim", "pck", "joint_error",
    "identity", "letter", "background_change", "flicker",
)  # fmt: skip
LOOKS = (
    "psnr", "psnr_character", "psnr_background", "joint_error", "identity", "hands", "forearms", "letter",
)  # fmt: skip
PRICED = (
    "psnr", "psnr_character", "psnr_background", "joint_error", "identity", "background_change", "seconds", "nfe",
)  # fmt: skip
DRAFTED = (
    "psnr", "psnr_character", "psnr_background", "psnr_outline", "psnr_disoccluded", "joint_error", "identity", "hands",
    "forearms", "flicker",
)  # fmt: skip
SHIPPED = ("hands", "forearms", "joint_error", "psnr_character", "identity", "mask_iou")
BASELINES = ("controlnet", "cross-frame", "spatio-temporal")
TABLES: Mapping[str, Mapping[str, Writer]] = {
    "modules": {
        "modules": write_means(*WHOLE, "seconds"),
        "leads": write_differences("full", *WHOLE),
        "paper leads": write_differences("paper-only", *WHOLE, over=BASELINES),
        "kinds": write_kinds("full", "psnr", "psnr_character", "pck", "joint_error", "identity"),
    },
    "brief": {"brief": write_means(*LOOKS), "brief leads": write_differences("full", *LOOKS)},
    "drafts": {
        "shipped": write_means(
            *SHIPPED, over=("crop", "drafted", "without-drafts", "draft", "vae-bound")
        ),
        "drafts": write_means(*DRAFTED),
        "drafts leads": write_differences("drafted", *DRAFTED),
    },
    "pata": {"pata": write_means("psnr", "joint_error", "pck", "identity", "mask_iou")},
    "faster": {
        "faster": write_means(*PRICED),
        "faster leads": write_differences("preset", *PRICED[:6]),
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("evaluation", choices=TABLES, help="whose tables")
    parser.add_argument("folder", type=Path, help="that `evaluate pocket -o` filled")
    args = parser.parse_args()
    if not (args.folder / REQUEST).exists():
        parser.error(f"{args.folder} holds no evaluation.")
    write_tables(args.evaluation, args.folder)


def write_tables(evaluation: str, home: Path) -> None:
    """Writes an evaluation's tables into the page, its means into docs/results, and of what they are into both."""
    results = Store(home, json.loads((home / REQUEST).read_text())).load_results()
    order = [*REFERENCES, *ROWS]
    results = sorted((r for r in results if r.row in ROWS), key=lambda r: order.index(r.row))
    about = describe_origin(home)
    page = PAGE.read_text()
    for name, lines in TABLES[evaluation].items():
        stamp = ("", "*Made on {on}, commit {commit}, models {models}.*".format(**about))
        page = replace_section(page, "tables", name, (*lines(results), *stamp))
    PAGE.write_text(page)
    summary = summarise(results)
    plain = {row: {name: vars(own) for name, own in of.items()} for row, of in summary.items()}
    told = {"made": about, "rows": plain}
    (PICTURES / f"{evaluation}.json").write_text(json.dumps(told, indent=1) + "\n")
    if evaluation == "faster":
        (PICTURES / "trade.svg").write_text(standalone_svg(draw_trade(summary)))


def find_commit() -> str:
    """This checkout's, with "-dirty" where files have changed since."""
    command = ["git", "describe", "--always", "--abbrev=8", "--exclude=*", "--dirty"]
    ended = subprocess.run(command, cwd=DOCS, capture_output=True, text=True, check=True)
    return ended.stdout.strip()


def describe_origin(home: Path) -> dict[str, str]:
    """When an evaluation's folder was last added to, the commit that began it, and the models' digest."""
    written = max(path.stat().st_mtime for path in (home / "results").glob("*.json"))
    commit = (home / COMMIT).read_text() if (home / COMMIT).exists() else find_commit()
    request = json.loads((home / REQUEST).read_text())
    return {
        "on": datetime.fromtimestamp(written, UTC).date().isoformat(),
        "commit": commit,
        "models": f"{request['models']} {request['identity'][:8]}",
    }


def _format_header(first: str, figures: Sequence[str]) -> Iterator[str]:
    yield _format_line(first, [METRICS[name].column for name in figures])
    yield "|---" * (len(figures) + 1) + "|"


def _format_line(first: str, cells: Sequence[str]) -> str:
    return f"| {first} | " + " | ".join(cells) + " |"


def _format_mean(own: Interval | None, name: str) -> str:
    if own is None:
        return "-"
    digits, half = METRICS[name].digits, (own.high - own.low) / 2
    return f"{own.mean:.{digits}f}" + (f" ± {half:.{digits}f}" if half else "")


def _format_difference(own: Interval | None, name: str) -> str:
    if own is None:
        return "-"
    digits = METRICS[name].digits + (METRICS[name].digits < 2)
    return f"{own.mean:+.{digits}f} ({own.low:+.{digits}f} to {own.high:+.{digits}f})"


def _format_with_bound(summary: Summary, row: str, name: str) -> str:
    cells = [f"{summary[each][name].mean:.{METRICS[name].digits}f}" for each in (row, VAE_BOUND)]
    return "{} ({})".format(*cells)


if __name__ == "__main__":
    main()
