"""Results of an evaluation on disk, one file each, so that it resumes where it was stopped.

A folder belongs to one evaluation: its request lies in the folder and must be the same on resuming.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

from poseanimate.errors import OutputError
from poseanimate.media.similarity import Picture
from poseanimate.pipeline.stages import OF_SOURCE
from poseanimate.storage.atomic import write_bytes_atomically
from poseanimate.storage.stage_cache import content_key

REQUEST = "request.json"
FORMER_REQUEST = "asked.json"  # of versions whose rows and metrics had other names
TRUTH = "truth"  # the row under which the true frames' features are kept


@dataclass(frozen=True)
class CaseResult:
    """A row's metrics on one character and motion.

    seconds and nfe (number of function evaluations): of the stages that were computed. cached: stages from the cache.
    recipe: a digest of what the clip was made from, besides the evaluation's request.
    """

    character: str
    motion: str
    row: str
    driver: str
    metrics: dict[str, float]
    seconds: dict[str, float] = field(default_factory=dict)
    cached: tuple[str, ...] = ()
    nfe: dict[str, int] = field(default_factory=dict)
    recipe: str = ""

    @property
    def name(self) -> str:
        """The name of its files: a digest, so that no text from outside becomes part of a path."""
        return content_key(self.character, self.motion, self.row)[:24]


class Store:
    """The results in one folder.

    Raises:
        OutputError: the folder can't be written to, or holds another evaluation.
    """

    def __init__(self, folder: Path, request: Mapping[str, Any]) -> None:
        self.folder, self.request = folder, request
        try:
            if (folder / FORMER_REQUEST).exists():
                raise OutputError(
                    f"{folder} holds an evaluation of an earlier version, whose rows have other names.",
                    "Choose another folder.",
                )
            (folder / "results").mkdir(parents=True, exist_ok=True)
            (folder / "clips").mkdir(exist_ok=True)
            (folder / "features").mkdir(exist_ok=True)
            kept = folder / REQUEST
            if kept.exists() and json.loads(kept.read_text()) != json.loads(json.dumps(request)):
                raise OutputError(
                    f"{folder} holds another evaluation: other settings, models, split or captions.",
                    "Choose another folder, or remove this one.",
                )
            if not kept.exists():
                write_bytes_atomically(kept, json.dumps(request, indent=1).encode())
        except (OSError, ValueError) as error:
            raise OutputError(
                f"{folder} can't be used ({type(error).__name__}).", "Choose another folder."
            ) from error

    def has(self, character: str, motion: str, row: str, recipe: str) -> bool:
        """Whether there is a result, made by this recipe."""
        name = CaseResult(character, motion, row, "", {}).name
        path = self.folder / "results" / f"{name}.json"
        return path.exists() and json.loads(path.read_text()).get("recipe") == recipe

    def save(self, result: CaseResult, clip: Sequence[Picture]) -> None:
        """Saves the frames side by side, then the result: where that exists, both do."""
        strip = _encode_png(np.concatenate(clip, axis=1)[..., ::-1])
        write_bytes_atomically(self.folder / "clips" / f"{result.name}.png", strip)
        text = json.dumps(asdict(result), indent=1)
        write_bytes_atomically(self.folder / "results" / f"{result.name}.json", text.encode())

    def load_results(self) -> list[CaseResult]:
        """All results by character and motion, with seconds and NFE among their metrics."""
        found = []
        for path in (self.folder / "results").glob("*.json"):
            values = json.loads(path.read_text())
            found.append(CaseResult(**values | {"cached": tuple(values["cached"])}))
        found.sort(key=lambda r: (_natural_key(r.character), r.motion, r.row))
        return [_add_costs(result, found) for result in found]

    def save_features(
        self, result: CaseResult, features: Mapping[str, NDArray[np.float32]]
    ) -> None:
        """Saves what Fréchet distances compare; call it before `save`, if the result is saved at all."""
        if features:
            write_bytes_atomically(self._features_path(result), save(dict(features)))

    def load_features(self, result: CaseResult) -> dict[str, NDArray[np.float32]]:
        """The saved features of a result; empty if there are none."""
        path = self._features_path(result)
        return load_file(path) if path.exists() else {}

    def _features_path(self, result: CaseResult) -> Path:
        return self.folder / "features" / f"{result.name}.safetensors"

    def stack_clips(self, results: Sequence[CaseResult]) -> bytes:
        """A PNG of the results' frames, one row for each result."""
        files = [self.folder / "clips" / f"{result.name}.png" for result in results]
        strips = [np.asarray(cv2.imread(str(file)), np.uint8) for file in files]
        return _encode_png(np.concatenate(strips))


def _add_costs(result: CaseResult, others: Sequence[CaseResult]) -> CaseResult:
    """The result with the cost of its row alone: a cached stage counts what it cost where it was computed.

    That is the same row in another motion, or else another row.
    """
    if not result.seconds:
        return result
    own = [other for other in others if other.character == result.character]
    metrics = dict(result.metrics)
    for name in ("seconds", "nfe"):
        spent: dict[str, float] = getattr(result, name)
        total = sum(value for stage, value in spent.items() if stage not in result.cached)
        for stage in result.cached:
            made = [
                other
                for other in own
                if stage not in other.cached
                and (
                    stage in OF_SOURCE
                    or (other.motion, other.driver) == (result.motion, result.driver)
                )
            ]
            made = [other for other in made if other.row == result.row] or made
            total += max((getattr(other, name).get(stage, 0.0) for other in made), default=0.0)
        metrics[name] = float(total)
    return replace(result, metrics=metrics)


def _natural_key(name: str) -> tuple[str, int]:
    """Sorts "held-out-9" before "held-out-10"."""
    head, _, number = name.rpartition("-")
    return (head, int(number)) if number.isdigit() else (name, 0)


def _encode_png(picture: NDArray[np.uint8]) -> bytes:
    """PNG of a picture (H, W, 3) in BGR order."""
    ok, png = cv2.imencode(".png", picture)
    if not ok:
        raise ValueError(f"a picture of shape {picture.shape} can't be written as PNG")
    return png.tobytes()
