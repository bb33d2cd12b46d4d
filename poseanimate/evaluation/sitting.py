"""One fixed plan that tells, in half an hour, what a family of models makes of the method.

For models whose pictures nobody has looked at: presets, each module off, both forms of Eq. 9, curves over η and the
first optimisation's rate. What matters most comes first, since a limit of time may cut the end off.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from poseanimate.animator import Animator
from poseanimate.errors import OutputError, PoseAnimateError
from poseanimate.evaluation.metrics.networks import Networks
from poseanimate.evaluation.plan import Evaluation
from poseanimate.evaluation.protocols.folders import InTheWild
from poseanimate.evaluation.rows import Row
from poseanimate.evaluation.store import Store
from poseanimate.events import Note, Step
from poseanimate.media.similarity import Picture
from poseanimate.method.denoiser import branches
from poseanimate.models.family import Models
from poseanimate.poses.overlay import draw_over
from poseanimate.settings import Settings

MOTIONS = ("walk", "wave")
FRAMES = 5
FIRST = "balanced"  # which the others change
PRESETS = (FIRST, "fast", "paper")
ETAS = (0.0, 3e-3, 3e-2, 0.3)
RATES = (1e-3, 3e-3, 3e-2)
MATMUL_ROWS = {"cpu": 1024, "cuda": 8192}


def list_rows(family: str) -> dict[str, Row]:
    """The plan, most important first; every row changes the preset `balanced`."""
    base = plan_settings(family)
    found = {
        name: Row(_difference(base, Settings.preset(name, family)), f"the preset {name}")
        for name in PRESETS
    }
    modules: Mapping[str, Mapping[str, object]] = {
        "without-pacm": {"pacm_source": False, "pacm_pose": False},
        "without-dcam": {"dcam": False},
        "without-mgdm": {"mgdm": False},
        "controlnet": _difference(base, Settings.preset("baseline-controlnet", family)),
        "cross-frame": _difference(base, Settings.preset("baseline-cross-frame", family)),
    }
    for name, changes in modules.items():
        found[name] = Row(changes, "a baseline" if "baseline" in changes else "a module off")
    other = "region" if base.mask_form == "hadamard" else "hadamard"
    found[f"mask_form={other}"] = Row({"mask_form": other}, "the other form of Eq. 9")
    for masks in ("attention", "skeleton", "both"):
        if masks != base.frame_masks:
            found[f"frame_masks={masks}"] = Row({"frame_masks": masks}, "other frame masks")
    for eta in ETAS:
        changes = {"pacm_pose": True, "pose_learning_rate": eta}
        found[f"pose_learning_rate={eta:g}"] = Row(changes, "Alg. 1 with this η")
    for rate in RATES:
        changes = {"pacm_source": True, "source_learning_rate": rate}
        found[f"source_learning_rate={rate:g}"] = Row(changes, "Eq. 6 with this rate")
    return found


def plan_settings(family: str) -> Settings:
    """What every row starts from."""
    return replace(Settings.preset(FIRST, family), frames=FRAMES)


def _difference(base: Settings, other: Settings) -> dict[str, object]:
    values = asdict(base)
    return {
        name: value
        for name, value in asdict(other).items()
        if value != values[name] and name != "frames"
    }


@dataclass
class Sitting:
    """The plan on some pictures, in a folder: stopped, it goes on where it was.

    limit_s: seconds after which no further row begins. steps: T of every row, if not the presets'. skipped: rows that
    there was no time for.
    """

    animator: Animator
    folder: Path
    limit_s: float
    steps: int | None = None
    skipped: list[str] = field(default_factory=list)

    @property
    def rows(self) -> dict[str, Row]:
        """By name, most important first."""
        rows = list_rows(self.animator.family)
        if self.steps is None:
            return rows
        few = {"num_inference_steps": self.steps}
        return {name: replace(row, changes={**row.changes, **few}) for name, row in rows.items()}

    @property
    def settings(self) -> Settings:
        """What every row starts from."""
        base = plan_settings(self.animator.family)
        return base if self.steps is None else base.changed({"num_inference_steps": self.steps})

    def copy_pictures(self, pictures: Sequence[tuple[Image.Image, str]]) -> Iterator[Note]:
        """Puts pictures with their prompts into the folder, without names of their files.

        Yields:
            which are left out, because nobody in them can be animated.

        Raises:
            OutputError: none is left, or the folder can't be written to.
        """
        own = self.folder / "pictures"
        try:
            own.mkdir(parents=True, exist_ok=True)
            for number, (picture, prompt) in enumerate(pictures, 1):
                try:
                    self.animator.character(picture)
                except PoseAnimateError as error:
                    yield Note(f"Picture {number} is left out: {error.message}")
                    continue
                picture.convert("RGB").save(own / f"picture-{number}.png")
                (own / f"picture-{number}.txt").write_text(prompt, encoding="utf-8")
        except OSError as error:
            raise OutputError(
                f"{self.folder} can't be written to ({error.strerror}).", "Choose another folder."
            ) from error
        if not any(own.glob("*.txt")):
            raise OutputError(
                "In none of the pictures can somebody be animated.",
                "Give others: one person, all of it visible.",
            )

    def run(self) -> Iterator[Step | Note]:
        """Measures row by row, as long as there is time."""
        started, rows, store = time.monotonic(), self.rows, self.open_store()
        for number, (name, row) in enumerate(rows.items(), 1):
            left_s = self.limit_s - (time.monotonic() - started)
            # of the first nothing is known yet
            if number > 1 and self._forecast_s(name, row, store) > left_s:
                self.skipped.append(name)
                continue
            try:
                for _ in self._evaluate({name: row}).run(self.animator, store):
                    pass
            except PoseAnimateError as error:
                self.skipped.append(name)
                yield Note(f"{name}: {error.message}")
            yield Step("sitting", number, len(rows), max(left_s, 0.0))

    def draw_skeletons(self) -> dict[tuple[str, str], Picture]:
        """The poses that every row was given, over the picture, side by side; by character and motion."""
        evaluation = self._evaluate({})
        found: dict[tuple[str, str], Picture] = {}
        for names in evaluation.protocol.list_cases():
            case = evaluation.protocol.load_case(self.animator, *names, evaluation.settings)
            poses = case.own.poses[: FRAMES - 1]
            found[names] = np.concatenate(
                [draw_over(case.source.picture, pose) for pose in poses], axis=1
            )
        return found

    def open_store(self) -> Store:
        """Where results are; raises OutputError where the folder holds those of other models or pictures."""
        return self._evaluate({}).open_store(
            self.folder, self.animator.family, self.animator.identity
        )

    def _forecast_s(self, name: str, row: Row, store: Store) -> float:
        """How long a row will take, by the runs before it; 0 where none was yet."""
        evaluation = self._evaluate({name: row})
        todo = [c for c in evaluation.protocol.list_cases() if not store.has(*c, name)]
        if not todo:
            return 0.0
        case = evaluation.protocol.load_case(self.animator, *todo[0], evaluation.settings)
        settings = row.settings(evaluation.settings)
        found = self.animator.forecast(case.source, case.own, settings, case.prompt)
        seconds = found.seconds if found is not None else None
        return len(todo) * (seconds or 0.0)

    def _evaluate(self, rows: Mapping[str, Row]) -> Evaluation:
        protocol = InTheWild(self.folder / "pictures", MOTIONS)
        return Evaluation(protocol, rows, self.settings, Networks())


def measure_speed(models: Models, seconds: float, frames: int, branches: int) -> dict[str, float]:
    """How fast predictions were, beside what the device can do.

    Args:
        seconds: that they took. frames: how many, each at one timestep. branches: of guidance, which share one pass
            through ControlNet.

    Returns:
        tflop_per_s: of the predictions. matmul_tflop_per_s: of a large matrix product in the networks' precision.
        share: of one in the other; the forecasts of docs/sd15.md assume 0.4 of the card's published rate.
    """
    unet, controlnet = count_flop(models)
    rate = frames * (branches * unet + controlnet) / seconds / 1e12
    whole = _matmul_rate(models.device, models.unet.dtype) / 1e12
    return {"tflop_per_s": rate, "matmul_tflop_per_s": whole, "share": rate / whole}


def count_flop(models: Models) -> tuple[int, int]:
    """Of one sample through the U-Net and of one through ControlNet, at the models' own size; nothing is computed."""
    side = models.side // models.factor
    added = models.added("", models.side, models.side)
    counts = []
    with torch.device("meta"), torch.no_grad():
        unet = UNet2DConditionModel.from_config(models.unet.config)
        controlnet = ControlNetModel.from_config(models.controlnet.config)
        z, t = torch.zeros(1, unet.config.in_channels, side, side), torch.ones(1)
        text = torch.zeros(1, models.tokenizer.model_max_length, unet.config.cross_attention_dim)
        more = {name: torch.zeros(value.shape) for name, value in added.items()} or None
        pose = torch.zeros(1, 3, models.side, models.side)
        for run in (
            lambda: unet(z, t, text, added_cond_kwargs=more),
            lambda: controlnet(z, t, text, pose, added_cond_kwargs=more, return_dict=False),
        ):
            with FlopCounterMode(display=False) as counter:
                run()
            counts.append(int(counter.get_total_flops()))
    return counts[0], counts[1]


def _matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    rows = MATMUL_ROWS.get(device.type, MATMUL_ROWS["cpu"])
    a = torch.ones(rows, rows, device=device, dtype=dtype) / rows
    best_s = float("inf")
    for _ in range(4):
        started = time.monotonic()
        float((a @ a)[0, 0])  # reading a number waits for the device
        best_s = min(best_s, time.monotonic() - started)
    return 2 * rows**3 / best_s


def describe(sitting: Sitting, checks: Sequence[Mapping[str, str]], on: str) -> dict[str, Any]:
    """All that was found, to be sent back; no picture and no path is in it.

    Args:
        checks: of the machine. on: the date.
    """
    store = sitting.open_store()
    results = store.load_results()
    family = sitting.animator.family
    models = sitting.animator.models
    timed = [r for r in results if r.row == FIRST and "generation" in r.seconds]
    seconds = sum(result.seconds["generation"] for result in timed)
    both = branches(sitting.settings.guidance_scale)
    # a frame at a timestep takes a sample for each branch, and one through ControlNet
    frames = sum(result.nfe["generation"] for result in timed) // (both + 1)
    return {
        "on": on,
        "family": family,
        "models": sitting.animator.identity,
        "device": models.device.type,
        "precision": str(models.unet.dtype).removeprefix("torch."),
        "side": models.side,
        "branches": both,
        "settings": asdict(sitting.settings),
        "rows": {name: dict(row.changes) for name, row in sitting.rows.items()},
        "skipped": sitting.skipped,
        "checks": list(checks),
        "speed": measure_speed(models, seconds, frames, both) if seconds else {},
        "results": [
            {
                "picture": r.character, "motion": r.motion, "row": r.row,
                "metrics": r.metrics, "seconds": r.seconds, "cached": list(r.cached), "nfe": r.nfe,
            }
            for r in results
        ],
    }  # fmt: skip
