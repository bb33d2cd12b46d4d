"""Whether this machine has what the models need: the checks of the commands `doctor` and `judge`."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import imageio_ffmpeg
import psutil

from poseanimate import __version__
from poseanimate.errors import ModelsError, PoseAnimateError, first_line
from poseanimate.models.blazepose.files import MEDIAPIPE
from poseanimate.models.files import SD15, find_family, find_files, has_gpu
from poseanimate.models.hub import TIMEOUT_S
from poseanimate.models.input_models import check_names
from poseanimate.models.weight_files import parse_loras
from poseanimate.models.wheel import default_folder as wheel_folder
from poseanimate.settings import UNKNOWN
from poseanimate.storage.stage_cache import default_folder

GOOD, NOTE, BAD = "good", "note", "bad"
NEEDS = {  # main memory (with what `paper` moves there), a GPU's memory and disk, GB: computed (docs/sd15.md)
    "pocket": (2, 0, 1),
    "sd15": (16, 6, 4),
    "sdxl": (80, 22, 12),
}
OPTIONAL = {"peft": "--lora", "ray": "--engines", "torchmetrics": "evaluate --networks"}
ENCODERS = ("libx264", "libvpx-vp9")
FFMPEG_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    state: GOOD, NOTE (works, with a limit) or BAD (will fail). remedy: what to do; empty where nothing is.
    """

    name: str
    state: str
    found: str
    remedy: str = ""


def check_machine(models: str, chosen: Mapping[str, str] | None = None) -> Iterator[Check]:
    """Looks at Python, GPU, memory, disk, ffmpeg, the models' files and optional packages; loads no network.

    Args:
        models: a name as `load_models` takes it; those that can't be found are taken for sd15's kind.
        chosen: other arguments of `load_models`, as `arguments.chosen_models` gives them.
    """
    try:
        family = find_family(models)
    except ModelsError:  # which the check of the models says
        family = UNKNOWN
    memory_gb, gpu_gb, disk_gb = NEEDS.get(family, NEEDS["sd15"])
    found = (
        f"poseanimate {__version__}, Python {platform.python_version()}, torch {version('torch')}"
    )
    yield Check("program", GOOD, found)
    yield _check_gpu(gpu_gb)
    free = psutil.virtual_memory().available / 1e9
    words = f"{free:.0f} GB free, {os.cpu_count()} cores"
    yield _least(
        "memory", free, memory_gb, words, "Fewer steps need less; or take a larger machine.", NOTE
    )
    yield from _check_disks(disk_gb)
    yield _check_ffmpeg()
    yield _check_models(models, chosen or {})
    kept = wheel_folder(MEDIAPIPE)
    if all((kept / name).is_file() for name in MEDIAPIPE.members):
        yield Check("pose detector", GOOD, "BlazePose's networks are here")
    else:
        remedy = "Run python -m poseanimate.models.blazepose.files with a connection."
        yield Check("pose detector", NOTE, "BlazePose's networks aren't here yet", remedy)
    for package, what in OPTIONAL.items():
        try:
            yield Check(package, GOOD, version(package))
        except PackageNotFoundError:
            yield Check(package, NOTE, f"not installed; only {what} needs it")


def describe_check(check: Check) -> str:
    """A check as a line of text."""
    mark = {"good": "ok  ", "note": "note", "bad": "BAD "}[check.state]
    return f"{mark} {check.name}: {check.found.rstrip('.')}. {check.remedy}".rstrip()


def _least(
    name: str, found: float, least: float, words: str, remedy: str, otherwise: str = BAD
) -> Check:
    if found >= least:
        return Check(name, GOOD, words)
    return Check(name, otherwise, f"{words}; about {least} GB are needed", remedy)


def _check_gpu(least_gb: float) -> Check:
    if not has_gpu():
        if not least_gb:
            return Check("GPU", GOOD, "none, and these models need none")
        remedy = "Choose a machine with a GPU, or the models pocket; or see docs/sd15.md, Troubleshooting."
        return Check("GPU", BAD, "none that torch finds; clips take hours on a CPU", remedy)
    import torch

    try:
        free, whole = (each / 1e9 for each in torch.cuda.mem_get_info())
    except RuntimeError as error:
        return Check("GPU", BAD, f"it can't be used ({first_line(error)})", "Free it, or restart.")
    by = f"CUDA {torch.version.cuda}" if torch.version.cuda else f"ROCm {torch.version.hip}"
    words = f"{torch.cuda.get_device_name()}, {free:.0f} of {whole:.0f} GB free, {by}"
    return _least("GPU", free, least_gb, words, "Free its memory, or choose smaller models.")


def _check_disks(least_gb: float) -> Iterator[Check]:
    from huggingface_hub.constants import HF_HUB_CACHE

    for name, folder, remedy in (
        ("disk for models", Path(HF_HUB_CACHE), "Free some, or set HF_HOME to another disk."),
        ("disk for results", default_folder(), "Free some, or set POSEANIMATE_CACHE."),
    ):
        there = next(path for path in (folder, *folder.parents) if path.is_dir())
        free = shutil.disk_usage(there).free / 1e9
        try:
            with tempfile.TemporaryFile(dir=there):
                words = f"{free:.0f} GB free"  # the models may be here already
                yield _least(name, free, least_gb, words, remedy, NOTE)
        except OSError as error:
            yield Check(name, BAD, f"can't be written to ({error.strerror})", remedy)


def _check_ffmpeg() -> Check:
    remedy = "Install imageio-ffmpeg again, or set IMAGEIO_FFMPEG_EXE to an ffmpeg that has them."
    try:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-encoders"]
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=FFMPEG_TIMEOUT_S, check=True
        )
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        return Check("ffmpeg", BAD, f"can't be run ({first_line(error)})", remedy)
    missing = [name for name in ENCODERS if name not in ended.stdout]
    if missing:
        return Check("ffmpeg", BAD, f"lacks {', '.join(missing)}", remedy)
    return Check("ffmpeg", GOOD, f"writes {' and '.join(ENCODERS)}")


def _check_models(name: str, chosen: Mapping[str, str]) -> Check:
    """Whether the models' small files are here or can be fetched, which shows that the hub answers."""
    try:
        check_names(*(chosen.get(each, "") for each in ("detector", "segmenter", "precision")))
        parse_loras(chosen.get("lora", ""))
        found = find_files(name, vae=chosen.get("vae", ""), weights=False)
    except PoseAnimateError as error:
        return Check("models", BAD, error.message, error.remedy)
    words = f"{found.name}, of the family {found.family}, for pictures of {found.side} px"
    if not _is_on_hub(name):
        return Check("models", GOOD, words)
    try:
        from huggingface_hub import HfApi

        HfApi().model_info(SD15.id, timeout=TIMEOUT_S)
    except Exception as error:  # in the ways of several libraries
        remedy = "Models that are here already work; others need a connection."
        return Check(
            "models", NOTE, f"{words}; the hub isn't reached ({first_line(error)})", remedy
        )
    return Check("models", GOOD, f"{words}; the Hugging Face hub answers")


def _is_on_hub(name: str) -> bool:
    return name != "pocket" and not os.path.exists(name)
