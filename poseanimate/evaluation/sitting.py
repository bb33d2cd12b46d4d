"""One fixed plan that tells, in half an hour, what a family of models makes of the method.

For models whose pictures nobody has looked at: presets, each module off, both forms of Eq. 9, curves over η and the
first optimisation's rate. What matters most comes first, since a limit of time may cut the end off.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from PIL import Image
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from poseanimate.animator import Animator
from poseanimate.errors import OutputError, PoseAnimateError, first_line
from poseanimate.evaluation.case import EvaluationCase
from poseanimate.evaluation.metrics.networks import Networks
from poseanimate.evaluation.plan import Evaluation
from poseanimate.evaluation.protocols.folders import InTheWild
from poseanimate.evaluation.rows import Row, find_changes
from poseanimate.evaluation.store import Store
from poseanimate.events import Note, Step
from poseanimate.media.similarity import Picture
from poseanimate.method.denoiser import Denoiser
from poseanimate.models.family import Models
from poseanimate.pipeline.cost import keep_cost_model, kept_cost_model
from poseanimate.poses.overlay import draw_over
from poseanimate.settings import Settings
from poseanimate.storage.atomic import write_bytes_atomically

MOTIONS = ("walk", "wave")
FRAMES = 5
FIRST = "balanced"  # which the others change
PRESETS = (FIRST, "fast", "paper")
ETAS = (0.0, 3e-4, 3e-3, 3e-2, 0.3)
RATES = (1e-3, 3e-3, 1e-2, 3e-2)
MEASURED = 3  # runs, of which the fastest counts
MOST_FAILURES = 4  # in a row, from the first on
MATMUL_ROWS = {"cpu": 1024, "cuda": 8192}


def list_rows(family: str) -> dict[str, Row]:
    """The plan, most important first; every row changes the preset `balanced`, of the whole picture."""
    base = plan_settings(family)
    found = {
        name: Row(
            find_changes(base, Settings.preset(name, family)),
            f"the preset {name}, of the whole picture",
        )
        for name in PRESETS
    }
    found["crop"] = Row({"crop": True}, "the preset balanced with crop and paste back")
    modules: Mapping[str, Mapping[str, object]] = {
        "without-pacm": {"pacm_source": False, "pacm_pose": False},
        "without-dcam": {"dcam": False},
        "without-mgdm": {"mgdm": False},
        "controlnet": find_changes(base, Settings.preset("baseline-controlnet", family)),
        "cross-frame": find_changes(base, Settings.preset("baseline-cross-frame", family)),
    }
    for name, changes in modules.items():
        found[name] = Row(changes, "a module off" if name.startswith("without") else "a baseline")
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


@dataclass(frozen=True)
class _Chosen(InTheWild):
    """Some pictures of a folder, which may hold those of other sittings, too; each case is loaded once."""

    names: tuple[str, ...] = ()
    cases: dict[tuple[str, str], EvaluationCase] = field(default_factory=dict, compare=False)

    def list_cases(self) -> tuple[tuple[str, str], ...]:
        return tuple(product(self.names, self.motions))

    def load_case(
        self, animator: Animator, character: str, motion: str, settings: Settings
    ) -> EvaluationCase:
        names = character, motion
        if names not in self.cases:
            self.cases[names] = super().load_case(animator, *names, settings)
        return self.cases[names]


@dataclass(frozen=True)
class Failure:
    """A case of a row that gave no clip. kind: of the error; message: ours alone, others' may hold paths."""

    row: str
    picture: str
    motion: str
    kind: str
    message: str


@dataclass
class Sitting:
    """The plan on some pictures, in a folder: stopped, it goes on where it was.

    ends: `time.monotonic()` after which nothing begins. steps: T of every row, if not the presets'.
    failures: what went wrong this time. pictures: names that `add_pictures` gave. speed: see `measure_speed`; None
    until it was measured, empty where it couldn't be.
    """

    animator: Animator
    folder: Path
    ends: float
    steps: int | None = None
    failures: list[Failure] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    speed: dict[str, float] | None = None
    _cases: dict[tuple[str, str], EvaluationCase] = field(default_factory=dict)

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

    @property
    def store(self) -> Store:
        """Where results are.

        Raises:
            OutputError: the folder can't be written to, or holds a sitting with other models, detectors or settings.
        """
        models = self.animator.models
        looking = (models.detector.identity, models.segmenter.identity)
        identity = " ".join((self.animator.identity, *looking))
        evaluation = Evaluation(self._protocol, {}, self.settings, Networks())
        return evaluation.open_store(self.folder, self.animator.family, identity)

    def add_pictures(self, pictures: Sequence[tuple[Image.Image, str]]) -> Iterator[Note]:
        """Puts pictures with their prompts into the folder, under digests of both.

        Yields:
            which are left out, because nobody in them can be animated.

        Raises:
            OutputError: none is left, or the folder can't be written to.
        """
        own = self.folder / "pictures"
        try:
            own.mkdir(parents=True, exist_ok=True)
            for number, (picture, prompt) in enumerate(pictures, 1):
                coded = io.BytesIO()
                picture.convert("RGB").save(coded, "PNG")
                digest = hashlib.sha256(coded.getvalue() + prompt.encode()).hexdigest()
                name = f"picture-{digest[:8]}"
                write_bytes_atomically(own / f"{name}.png", coded.getvalue())
                write_bytes_atomically(own / f"{name}.txt", prompt.encode())
                protocol = _Chosen(own, MOTIONS, (name,), self._cases)
                try:
                    for case in protocol.list_cases():
                        protocol.load_case(self.animator, *case, self.settings)
                except PoseAnimateError as error:
                    yield Note(f"Picture {number} is left out: {error.message}")
                    continue
                if name not in self.pictures:
                    self.pictures.append(name)
        except OSError as error:
            raise OutputError(
                f"{self.folder} can't be written to ({error.strerror}).", "Choose another folder."
            ) from error
        if not self.pictures:
            raise OutputError(
                "In none of the pictures can somebody be animated.",
                "Give others: one person, all of it visible.",
            )

    def run(self) -> Iterator[Step | Note]:
        """Measures row by row, picture by picture, as long as there is time; yields after each.

        What fails is recorded, and the next is tried; where everything fails, nothing more is.
        """
        animator, store = self.animator, self.store
        kept = animator.identity, animator.models.device.type
        animator.cost_model = animator.cost_model or kept_cost_model(animator.cache, *kept)
        every = [(row, *case) for row in self.rows for case in self._protocol.list_cases()]
        for number, (row, *case) in enumerate(every, 1):
            name, motion = case
            one = replace(self._protocol, motions=(motion,), names=(name,))
            evaluation = Evaluation(one, {row: self.rows[row]}, self.settings, Networks())
            if not evaluation.has(store, name, motion, row):
                try:
                    if self._forecast_s(row, name, motion) > self.ends - time.monotonic():
                        continue
                    for _ in evaluation.run(animator, store):
                        pass
                    if animator.cost_model is not None:
                        keep_cost_model(animator.cache, *kept, animator.cost_model)
                except Exception as error:  # whatever these models bring about is a finding
                    message = error.message if isinstance(error, PoseAnimateError) else ""
                    self.failures.append(Failure(row, name, motion, type(error).__name__, message))
                    yield Note(f"{row} failed: {first_line(error)}")
                    if len(self.failures) >= MOST_FAILURES and not store.load_results():
                        return
            yield Step("sitting", number, len(every), max(self.ends - time.monotonic(), 0.0))

    def list_missing(self) -> list[str]:
        """The rows that lack a clip of these pictures."""
        store, cases = self.store, self._protocol.list_cases()
        every = Evaluation(self._protocol, self.rows, self.settings, Networks())
        return [r for r in self.rows if not all(every.has(store, *case, r) for case in cases)]

    def draw_skeletons(self) -> dict[tuple[str, str], Picture]:
        """The poses that every row was given, over the picture, side by side; by picture and motion."""
        found: dict[tuple[str, str], Picture] = {}
        for names in self._protocol.list_cases():
            case = self._protocol.load_case(self.animator, *names, self.settings)
            poses = case.own.poses[: FRAMES - 1]
            found[names] = np.concatenate(
                [draw_over(case.source.picture, pose) for pose in poses], axis=1
            )
        return found

    def _forecast_s(self, row: str, name: str, motion: str) -> float:
        """How long a clip will take, by those before it; 0 where none was yet. What is cached takes nothing."""
        case = self._protocol.load_case(self.animator, name, motion, self.settings)
        settings = self.rows[row].settings(self.settings)
        found = self.animator.forecast(case.source, case.own, settings, case.prompt)
        return (found.seconds if found is not None else None) or 0.0

    @property
    def _protocol(self) -> _Chosen:
        return _Chosen(self.folder / "pictures", MOTIONS, tuple(self.pictures), self._cases)


def measure_speed(models: Models) -> dict[str, float]:
    """How fast one prediction with guidance is, beside what the device can do.

    Returns:
        seconds: of the prediction, the best of some. tflop_per_s: in it. matmul_tflop_per_s: of a large matrix product
        in the networks' precision. share: of one in the other.
    """
    side = models.side // models.factor
    empty, told = (models.added(text, models.side, models.side) for text in ("", "a person"))
    denoiser = Denoiser(
        models.unet, models.controlnet, models.embed("a person"), models.embed(""), 7.5,
        added={name: torch.cat([empty[name], told[name]]) for name in told},
    )  # fmt: skip
    z = torch.randn(1, models.unet.config.in_channels, side, side).to(models.device)
    with torch.no_grad():
        pose_cond = denoiser.embed_poses(torch.rand(1, 3, models.side, models.side).to(z))
        seconds = _best_s(lambda: denoiser.predict(z, 500, denoiser.prompt, pose_cond))
        rows = MATMUL_ROWS.get(models.device.type, MATMUL_ROWS["cpu"])
        a = torch.randn(rows, rows, device=models.device, dtype=models.unet.dtype) / rows
        whole = 2 * rows**3 / _best_s(lambda: a @ a) / 1e12
    rate = count_flop(models) / seconds / 1e12
    return {
        "seconds": seconds,
        "tflop_per_s": rate,
        "matmul_tflop_per_s": whole,
        "share": rate / whole,
    }


def count_flop(models: Models) -> int:
    """Of one prediction with guidance at the models' own size: two samples through the U-Net, one through ControlNet.

    Nothing is computed, and a pose's embedding, which is made once, not counted.
    """
    side = models.side // models.factor
    added = models.added("", models.side, models.side)
    with torch.device("meta"), torch.no_grad():
        unet = UNet2DConditionModel.from_config(models.unet.config)
        controlnet = ControlNetModel.from_config(models.controlnet.config)
        z, t = torch.zeros(1, unet.config.in_channels, side, side), torch.ones(1)
        text = torch.zeros(1, models.tokenizer.model_max_length, unet.config.cross_attention_dim)
        more = {name: torch.zeros(value.shape) for name, value in added.items()} or None
        pose = controlnet.controlnet_cond_embedding(torch.zeros(1, 3, models.side, models.side))
        controlnet.controlnet_cond_embedding = nn.Identity()
        with FlopCounterMode(display=False) as counter:
            controlnet(z, t, text, pose, added_cond_kwargs=more, return_dict=False)
            for _ in range(2):
                unet(z, t, text, added_cond_kwargs=more)
    return int(counter.get_total_flops())


def _best_s(run: Callable[[], Tensor]) -> float:
    """Seconds of the fastest of some runs, without the first; reading a number waits for the device."""
    best_s = float("inf")
    for attempt in range(1 + MEASURED):
        started = time.monotonic()
        float(run().flatten()[0])
        if attempt:
            best_s = min(best_s, time.monotonic() - started)
    return best_s


def describe(sitting: Sitting, checks: Sequence[Mapping[str, str]], on: str) -> dict[str, Any]:
    """All that was found, to be sent back; no picture, no path and no name is in it.

    Args:
        checks: of the machine. on: the date.
    """
    models, family = sitting.animator.models, sitting.animator.family
    results = [r for r in sitting.store.load_results() if r.character in sitting.pictures]
    base = sitting.settings
    return {
        "on": on,
        "family": family,
        "models": sitting.animator.identity,
        "detector": models.detector.identity,
        "segmenter": models.segmenter.identity,
        "device": models.device.type,
        "precision": str(models.unet.dtype).removeprefix("torch."),
        "side": models.side,
        "rows": {
            name: {"about": row.meaning, "settings": asdict(row.settings(base))}
            for name, row in sitting.rows.items()
        },
        "missing": sitting.list_missing(),
        "failures": [asdict(failure) for failure in sitting.failures],
        "checks": list(checks),
        "speed": sitting.speed or {},
        "results": [
            {
                "picture": r.character, "motion": r.motion, "row": r.row,
                "metrics": r.metrics, "seconds": r.seconds, "cached": list(r.cached), "nfe": r.nfe,
            }
            for r in results
        ],
    }  # fmt: skip
