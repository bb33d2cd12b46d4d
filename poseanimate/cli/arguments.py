"""The options of every command."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from poseanimate import __version__
from poseanimate.media import PICTURE_KINDS
from poseanimate.models.pose_detection import DETECTORS
from poseanimate.models.segmentation import SEGMENTERS
from poseanimate.settings import FAMILIES, preset_names
from poseanimate.storage.stage_cache import FOLDER_VARIABLE

SHOWN_SIDE_PX = 512


def build_parser(
    animate: Callable[..., None],
    align: Callable[..., None],
    draft: Callable[..., None],
    motions: Callable[..., None],
    settings: Callable[..., None],
    cache: Callable[..., None],
    evaluate: Callable[..., None],
    doctor: Callable[..., None],
    judge: Callable[..., None],
    serve: Callable[..., None],
) -> argparse.ArgumentParser:
    """The parser of `poseanimate`; the function that runs a command is in the attribute `command`."""
    whole = argparse.ArgumentParser(
        "poseanimate", description="Animate a still character with a motion."
    )
    whole.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = whole.add_subparsers(metavar="COMMAND", required=True)

    for command in (animate, align, draft):
        make = _command(commands, command)
        _add_inputs(make)
        _add_settings(make)
        _add_machine(make)
        if command is animate:
            make.add_argument(
                "--prompt",
                help="what the picture shows; default: the text in the .txt of CHARACTER's name",
            )
            make.add_argument(
                "--anyway",
                action="store_true",
                help="also animate a picture that the models weren't made for: a photograph with the pocket models",
            )
            _add_engines(make)
            make.add_argument(
                "--enlarge",
                type=int,
                metavar="K",
                help=f"enlarge the clip K times; default: to a short side of about {SHOWN_SIDE_PX}",
            )
        if command is draft:
            make.add_argument(
                "--transparent",
                action="store_true",
                help="the character alone, on nothing: all outputs but .mp4",
            )
        if command is not align:
            make.add_argument(
                "--no-sound",
                action="store_true",
                help="leave the video's sound out of a clip that shows its whole motion",
            )

    add_serving(_command(commands, serve))

    measure = _command(commands, evaluate)
    _add_evaluation(measure)
    _add_engines(measure)
    _add_settings(measure)
    _add_machine(measure)

    checked = _command(commands, doctor)
    add_models(checked)
    checked.add_argument("--json", action="store_true", help="print the checks as JSON")
    judged = _command(commands, judge)
    judged.add_argument(
        "pictures",
        type=Path,
        nargs="*",
        metavar="PICTURE",
        help="up to 8, each with its prompt in the .txt of its name; default: two that are installed",
    )
    judged.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER", help="judge.html, judge.json"
    )
    judged.add_argument(
        "--minutes",
        type=float,
        default=30.0,
        metavar="M",
        help="begin nothing that would end later; default: 30",
    )
    judged.add_argument(
        "--steps",
        type=int,
        metavar="T",
        help="DDIM steps of every row instead of the presets', to see quickly that all of it runs",
    )
    _add_machine(judged)
    judged.set_defaults(engines="")  # its figures are of this machine

    _command(commands, motions)
    listed = _command(commands, settings)
    _add_preset(listed)
    listed.add_argument(
        "--family",
        choices=FAMILIES,
        default="pocket",
        help="of the models that the preset is for; default: pocket",
    )
    listed.add_argument(
        "--json", action="store_true", dest="as_json", help="names and values alone, as JSON"
    )
    empty = _command(commands, cache)
    empty.add_argument("--cache", type=Path, metavar="FOLDER", help="another folder")
    empty.add_argument("--clear", action="store_true", help="delete all results")
    return whole


def _command(commands: Any, function: Any) -> argparse.ArgumentParser:
    about = function.__doc__.splitlines()[0]
    parser: argparse.ArgumentParser = commands.add_parser(
        function.__name__, help=about, description=about
    )
    parser.set_defaults(command=function)
    return parser


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("character", type=Path, metavar="CHARACTER", help=PICTURE_KINDS)
    parser.add_argument(
        "--joints",
        type=Path,
        metavar="FILE",
        help="the character's joints as OpenPose keypoint JSON, where they can't be found in the picture; of several "
        "people in it the first is the character",
    )
    _add_max_side(parser)
    parser.add_argument(
        "motion",
        nargs="+",
        metavar="MOTION",
        help="a preset (see `motions`), a video, mocap (BVH), pictures to go from pose to pose (up to 16, or a "
        "folder), or pose JSON: a file, several, or a folder or ZIP of one per frame",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="OUT",
        help="NAME.mp4, .webm, .gif, .apng, .webp, .png (a sheet), .zip (of PNGs), or a name without suffix for a "
        "folder of PNGs",
    )
    part = parser.add_argument_group("part of the motion")
    part.add_argument("--start", type=float, default=0.0, metavar="S", help="from this second")
    part.add_argument("--end", type=float, metavar="S", help="up to this second")
    part.add_argument("--stride", type=int, default=1, metavar="K", help="every K-th frame")
    part.add_argument(
        "--rotate",
        type=int,
        default=0,
        choices=(0, 90, 180, 270),
        help="turn it clockwise by so many degrees, where a video lies on its side",
    )
    part.add_argument(
        "--fps",
        type=float,
        metavar="F",
        help="frames per second of pose JSON or a preset; default: its own, or 12 if the file names none",
    )
    part.add_argument(
        "--repair",
        action="store_true",
        help="swap left and right back where a detector swapped them, and drop joints that jump away",
    )


def _add_max_side(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-side",
        type=int,
        metavar="PX",
        default=os.environ.get("POSEANIMATE_MAX_SIDE"),
        help="pictures larger than the models' keep their size, up to the area of a square with this side "
        "(POSEANIMATE_MAX_SIDE)",
    )


def add_serving(parser: argparse.ArgumentParser) -> None:
    """Options of `serve`; environment variables are the defaults."""
    add_models(parser)
    _add_max_side(parser)
    _add_engines(parser)
    parser.add_argument(
        "--host", help="address to listen on; 0.0.0.0 is all of them (GRADIO_SERVER_NAME)"
    )
    parser.add_argument("--port", type=int, help="(GRADIO_SERVER_PORT)")
    parser.add_argument(
        "--share", action="store_true", help="a public link through Gradio's servers, for a week"
    )
    parser.add_argument(
        "--auth",
        type=_name_and_password,
        metavar="NAME:PASSWORD",
        help="ask visitors for these (POSEANIMATE_AUTH)",
        default=os.environ.get("POSEANIMATE_AUTH"),
    )
    parser.add_argument(
        "--mcp",
        action="store_true",
        help="serve the API to MCP clients as tools, too (POSEANIMATE_MCP=1)",
        default=os.environ.get("POSEANIMATE_MCP", "").lower() in ("1", "true"),
    )
    parser.add_argument(
        "--metrics",
        action="store_true",
        help="tell Prometheus at /metrics how many runs there were (POSEANIMATE_METRICS=1)",
        default=os.environ.get("POSEANIMATE_METRICS", "").lower() in ("1", "true"),
    )
    parser.add_argument(
        "--json-log",
        action="store_true",
        help="write the log as lines of JSON, one for each run (POSEANIMATE_JSON_LOG=1)",
        default=os.environ.get("POSEANIMATE_JSON_LOG", "").lower() in ("1", "true"),
    )


def _add_engines(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--engines",
        metavar="WHERE",
        default=os.environ.get("POSEANIMATE_ENGINES", ""),
        help="run on Ray's workers: ray (one on each of this machine's GPUs), ray:cpu=2, or a cluster's HOST:6379; "
        "needs the package ray (POSEANIMATE_ENGINES)",
    )


def _name_and_password(text: str) -> tuple[str, str]:
    name, colon, password = text.partition(":")
    if not (name and colon and password):
        raise argparse.ArgumentTypeError("give a name and a password with a colon between them")
    return name, password


def _add_evaluation(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "protocol",
        choices=("pocket", "in-the-wild", "tiktok", "ted-talks", "external", "samples"),
        help="pocket: rendered characters, whose true clips are known; in-the-wild: a folder's pictures in "
        "every motion; tiktok, ted-talks: videos that move their own first frame; external: clips of other systems; "
        "samples: single pictures, to see what the models know",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="where the pictures of a protocol lie (docs/evaluation.md)",
    )
    for name, kind, default, words in (
        ("--split", str, "held-out", "validation or held-out"),
        ("--characters", int, 8, "how many"),
        (
            "--first",
            int,
            0,
            "number of the first, for pocket and samples; processes may share a folder, each with its own",
        ),
        (
            "--motions",
            str,
            "",
            "with commas; pocket takes walk, wave, jumping-jacks and squat by itself",
        ),
        (
            "--captions",
            str,
            "full",
            "full, or brief: pocket's prompts without a word about looks",
        ),
        ("--rows", str, "", "with commas; default: all"),
        (
            "--networks",
            str,
            "",
            "what the paper's figures look through (CLIP, RAFT, …): a folder, or hub",
        ),
        ("--sweep", str, "", "rows for values of a setting, as lambda_first=0.5,0.7,0.9"),
    ):
        parser.add_argument(
            name,
            type=kind,
            default=default,
            help=words if default == "" else f"{words}; default: {default}",
        )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER", help="results and report.html"
    )


def _add_preset(parser: Any) -> None:
    names = ", ".join(preset_names())
    parser.add_argument("--preset", default="balanced", help=f"{names}; default: balanced")


def _add_settings(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("settings")
    _add_preset(group)
    group.add_argument(
        "--set",
        nargs="+",
        action="extend",
        metavar="NAME=VALUE",
        help="change settings (see `settings`), as lambda_first=0.6 dcam=off",
    )
    group.add_argument("--frames", metavar="N", help="frames of the clip, the picture included")
    group.add_argument("--seed", metavar="S", help="of the noise where start=random")


def add_models(parser: argparse.ArgumentParser) -> None:
    """Options that choose models; environment variables are their defaults."""
    group = parser.add_argument_group("models")
    for name, words in _MODELS.items():
        variable = f"POSEANIMATE_{name.upper()}"
        group.add_argument(
            f"--{name.replace('_', '-')}",
            default=os.environ.get(variable, ""),
            metavar="NAME",
            help=f"{words} ({variable})",
        )


def chosen_models(options: argparse.Namespace) -> dict[str, Any]:
    """The options of `add_models` as arguments of `loading.load_models`, without the family's name."""
    return {name: getattr(options, name) for name in _MODELS if name != "models"}


def _add_machine(parser: argparse.ArgumentParser) -> None:
    add_models(parser)
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: CUDA where it is found")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--cache", type=Path, metavar="FOLDER", help=f"of results; default: ${FOLDER_VARIABLE}, or "
        "the system's place for caches"
    )  # fmt: skip
    where.add_argument("--no-cache", action="store_true", help="keep no results for later runs")
    parser.add_argument("--json", action="store_true", help="print events as JSON lines")


_MODELS = {
    "models": "pocket, sd15, sdxl, or a fine-tune: a folder in diffusers' layout, a .safetensors of 1.5, or "
    "OWNER/NAME[@REVISION][/FILE] of the Hugging Face hub; default: sd15 where there is a GPU, else pocket",
    "lora": "a LoRA's .safetensors, here or OWNER/NAME/FILE, with :WEIGHT if not 1; several with commas",
    "controlnet": "folder or OWNER/NAME of another OpenPose ControlNet",
    "vae": "folder or OWNER/NAME of another autoencoder",
    "detector": f"what finds poses: {'; '.join(f'{name}: {what}' for name, what in DETECTORS.items())}; "
    "default: auto",
    "segmenter": f"what cuts characters out: {'; '.join(f'{name}: {what}' for name, what in SEGMENTERS.items())}; "
    "default: auto, or as the detector",
    "precision": "half or full; default: half on a GPU",
}
