"""The figures of gpu.py as Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from speed import STAGES

NAMES = {**STAGES, "previews": "previews", "other": "cache, drawings, masks, PSNR"}
RATIOS = {
    "chunked_over_whole": "generation in chunks, over all frames at once",
    "regenerate_over_controlnet": "another λ with all else cached, over plain ControlNet",
    "literal_over_ours": "literal loop, over the engine",
    "nulltext_over_pacm1": "null-text inversion, over pose-aware inversion as good as it",
    "memory_n_over_16": "memory of the longest clip, over the shortest",
}
STEPS = {"generation": "one generation step", "pacm_pose": "one pose-optimisation step"}


def table(figures: dict[str, Any]) -> str:
    """Markdown tables and the context needed to read them."""
    about = figures["about"]
    width, height = about["size_px"]
    machine = about["card"] or f"{about['machine']}, {about['threads']} threads"
    lines = [
        f"{about['date']}: models {about['models']} ({about['dtype']}) on {about['device']} ({machine}), "
        + ", ".join(f"{name} {number}" for name, number in about["versions"].items())
        + f". {about['character']}, {about['motion']}, {about['frames']} frames of {width} x {height} px, preset "
        f"{about['preset']} (T={about['steps']}, n={about['inner_steps']}, w={about['guidance']:g}), "
        f"{about['chunk_size']} frames to a chunk. The tokenizer knows {about['tokenizer']}.",
    ]
    if about["models"] == "sd15-random":
        lines += [
            "",
            "Random weights: seconds, FLOP and memory are the real models', what depends on PSNR is not.",
        ]
    lines += ["", *_ratios(figures)]
    for part, written in (
        ("engine", _engine),
        ("generation", _generation),
        ("literal", _literal),
        ("nulltext", _nulltext),
        ("memory", _memory),
        ("profile", _profile),
    ):
        if part in figures:
            lines += ["", *written(figures)]
    return "\n".join(lines)


def _rows(head: str, rows: Iterable[Iterable[object]]) -> list[str]:
    columns = head.split("|")
    rule = "|".join(["---", *["---:"] * (len(columns) - 1)])
    return [f"|{head}|", f"|{rule}|", *(f"| {' | '.join(map(str, row))} |" for row in rows)]


def _ratios(figures: dict[str, Any]) -> list[str]:
    def cell(name: str) -> str:
        ratio = figures["ratios"][name]
        return f"- ({figures['reasons'][name]})" if ratio is None else f"{ratio:.3f}"

    return _rows(" ratio | ", [(words, cell(name)) for name, words in RATIOS.items()])


def _engine(figures: dict[str, Any]) -> list[str]:
    engine = figures["engine"]

    def row(stage: str) -> list[str]:
        tflop, share = engine["tflop"].get(stage), engine["share_of_matmul"].get(stage)
        return [
            NAMES.get(stage, stage),
            f"{engine['seconds'][stage]:.2f}",
            "-" if tflop is None else f"{tflop:.3f}",
            "-" if share is None else f"{share:.0%}",
        ]

    order = [*NAMES, *(stage for stage in engine["seconds"] if stage not in NAMES)]
    rows = [row(stage) for stage in order if stage in engine["seconds"]]
    whole = sum(engine["tflop"].values())
    rows.append(["**total**", f"**{engine['total_s']:.2f}**", f"{whole:.3f}", "-"])
    return [
        "First run. FLOP are counted in a short run and multiplied by the calls; a large matrix product reaches "
        f"{engine['matmul_tflop_per_s']:.2f} TFLOP/s in this precision. Frame 1 is finished after "
        f"{engine['first_frame_s']:.2f} s. Memory at the peak: {_gib(engine['peak_bytes'])} (on a CPU the whole "
        "process's).",
        "",
        *_rows(" stage | s | TFLOP | of the matrix product's rate ", rows),
    ]


def _generation(figures: dict[str, Any]) -> list[str]:
    found = figures["generation"]
    names = {
        "chunks": f"{figures['about']['chunk_size']} frames to a chunk",
        "whole": "all frames at once",
        "plain": "plain ControlNet (diffusers' pipeline, latents alone)",
    }
    rows = [
        (
            names[kind],
            f"{own['generation_s']:.2f}",
            f"{own['frame_0_s']:.2f}" if "frame_0_s" in own else "-",
            f"{own['total_s']:.2f}" if "total_s" in own else "-",
            _gib(own["peak_bytes"]),
        )
        for kind, own in found.items()
    ]
    lines = [
        f"Another λ with everything else cached, best of {figures['about']['repetitions']} that took turns.",
        "",
        *_rows(" | generation, s | frame 0's keys and values, s | whole run, s | peak ", rows),
    ]
    if (ratio := figures.get("regenerate_without_frame_0_over_controlnet")) is not None:
        lines += [
            "",
            f"Without frame 0's keys and values the ratio to plain ControlNet is {ratio:.3f}.",
        ]
    return lines


def _literal(figures: dict[str, Any]) -> list[str]:
    literal = figures["literal"]
    rows = [(NAMES.get(name, name), f"{s:.2f}") for name, s in literal["seconds"].items()]
    left_out = ", ".join(NAMES.get(name, name) for name in literal["left_out"]) or "nothing"
    return [
        f"The paper's listing run literally: {literal['total_s']:.2f} s, from {literal['measured_frames']} frames that "
        f"were worked out. Left out as by the preset: {left_out}.",
        "",
        *_rows(" stage | s ", rows),
    ]


def _nulltext(figures: dict[str, Any]) -> list[str]:
    found = figures["nulltext"]
    rows = [("null-text inversion", found["null_text"])]
    rows += [("pose-aware inversion", run) for run in found["ours"]]
    ratio = found["ratio_at_equal_quality"]
    at_quality = (
        f"{ratio:.2f} (n = {found['at_equal_quality']})" if ratio is not None else "not reached"
    )
    return [
        "Reconstruction of the source from the same inverted trajectory; PSNR of the decoded picture against the "
        f"decoded inverted latent. Our learning rate: {found['learning_rate']:g}. Null-text inversion's seconds over "
        f"ours at its PSNR: {at_quality}; at equal n: {found['ratio_at_equal_n']:.2f}.",
        "",
        *_rows(
            " method | n | s | PSNR, dB ",
            [
                (name, run["inner_steps"], f"{run['seconds']:.2f}", f"{run['psnr_db']:.2f}")
                for name, run in rows
            ],
        ),
    ]


def _memory(figures: dict[str, Any]) -> list[str]:
    memory = figures["memory"]
    rows = [
        (
            clip["frames"],
            _gib(clip["peak_bytes"]),
            _gib(clip["loaded_bytes"]),
            f"{clip['seconds']:.1f}",
        )
        for clip in memory["clips"].values()
    ]
    return [
        f"Memory, each clip in a process of its own, T={memory['steps']}, {memory['chunk_size']} frames to a chunk.",
        "",
        *_rows(" frames | peak | before the run | s ", rows),
    ]


def _profile(figures: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for stage, top in figures["profile"].items():
        rows = [
            (f"`{own['name']}`", f"{own['share']:.1%}", f"{own['self_s'] * 1e3:.2f}", own["calls"])
            for own in top
        ]
        lines += [
            f"Operators of {STEPS[stage]} by their own time.",
            "",
            *_rows(" operator | share | ms | calls ", rows),
            "",
        ]
    return lines[:-1]


def _gib(size: float) -> str:
    return f"{size / 2**30:.2f} GiB"
