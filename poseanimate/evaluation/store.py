"""Results of an evaluation on disk, one file each, so that it resumes where it was stopped.

A folder belongs to one evaluation: what was asked for lies in it and must be the same when it goes on.
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
from poseanimate.storage.atomic import write_bytes_atomically
from poseanimate.storage.stage_cache import content_key

ASKED = "asked.json"
TRUTH = "truth"  # the row that the true frames' features lie under
SHARED = ("inversion", "pacm_source")  # stages that depend on the picture alone


@dataclass(frozen=True)
class Result:
    """A row's figures on one character and motion.

    seconds and nfe (number of function evaluations): by stage, of those that were worked out; cached: stages that came
        from the cache.
    """

    character: str
    motion: str
    row: str
    driver: str
    figures: dict[str, float]
    seconds: dict[str, float] = field(default_factory=dict)
    cached: tuple[str, ...] = ()
    nfe: dict[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of its files: no text from outside is part of a path."""
        return content_key(self.character, self.motion, self.row)[:24]


class Store:
    """The results in one folder.

    Raises:
        OutputError: the folder can't be written to, or holds another evaluation.
    """

    def __init__(self, folder: Path, asked: Mapping[str, Any]) -> None:
        self.folder, self.asked = folder, asked
        try:
            (folder / "results").mkdir(parents=True, exist_ok=True)
            (folder / "clips").mkdir(exist_ok=True)
            (folder / "features").mkdir(exist_ok=True)
            kept = folder / ASKED
            if kept.exists() and json.loads(kept.read_text()) != json.loads(json.dumps(asked)):
                raise OutputError(
                    f"{folder} holds another evaluation: other settings, models, split or captions.",
                    "Choose another folder, or remove this one.",
                )
            if not kept.exists():
                write_bytes_atomically(kept, json.dumps(asked, indent=1).encode())
        except (OSError, ValueError) as error:
            raise OutputError(
                f"{folder} can't be used ({type(error).__name__}).", "Choose another folder."
            ) from error

    def has(self, character: str, motion: str, row: str) -> bool:
        name = Result(character, motion, row, "", {}).name
        return (self.folder / "results" / f"{name}.json").exists()

    def put(self, result: Result, clip: Sequence[Picture]) -> None:
        """Keeps a result and its frames side by side; the result last, since it says that both are there."""
        strip = _png(np.concatenate(clip, axis=1)[..., ::-1])
        write_bytes_atomically(self.folder / "clips" / f"{result.name}.png", strip)
        text = json.dumps(asdict(result), indent=1)
        write_bytes_atomically(self.folder / "results" / f"{result.name}.json", text.encode())

    def results(self) -> list[Result]:
        """All of them, their costs among the figures, in the order of characters and motions."""
        found = []
        for path in (self.folder / "results").glob("*.json"):
            values = json.loads(path.read_text())
            found.append(Result(**values | {"cached": tuple(values["cached"])}))
        found.sort(key=lambda r: (_natural(r.character), r.motion, r.row))
        return [_with_costs(result, found) for result in found]

    def put_features(self, result: Result, features: Mapping[str, NDArray[np.float32]]) -> None:
        """Keeps what Fréchet distances compare; before the result itself, if it has one."""
        if features:
            write_bytes_atomically(self._features(result), save(dict(features)))

    def features(self, result: Result) -> dict[str, NDArray[np.float32]]:
        """What was kept of a result; nothing where there is nothing."""
        path = self._features(result)
        return load_file(path) if path.exists() else {}

    def _features(self, result: Result) -> Path:
        return self.folder / "features" / f"{result.name}.safetensors"

    def stacked(self, results: Sequence[Result]) -> bytes:
        """A PNG of the results' frames, side by side in a row for each."""
        files = [self.folder / "clips" / f"{result.name}.png" for result in results]
        strips = [np.asarray(cv2.imread(str(file)), np.uint8) for file in files]
        return _png(np.concatenate(strips))


def _with_costs(result: Result, others: Sequence[Result]) -> Result:
    """With what the row takes alone: stages that were cached count with what they took where they were worked out.

    By the row itself, in another motion, or else by another row: that is where they were cached from.
    """
    if not result.seconds:
        return result
    own = [other for other in others if other.character == result.character]
    found = dict(result.figures)
    for name in ("seconds", "nfe"):
        spent: dict[str, float] = getattr(result, name)
        total = sum(value for stage, value in spent.items() if stage not in result.cached)
        for stage in result.cached:
            made = [
                other
                for other in own
                if stage not in other.cached
                and (
                    stage in SHARED
                    or (other.motion, other.driver) == (result.motion, result.driver)
                )
            ]
            made = [other for other in made if other.row == result.row] or made
            total += max((getattr(other, name).get(stage, 0.0) for other in made), default=0.0)
        found[name] = float(total)
    return replace(result, figures=found)


def _natural(name: str) -> tuple[str, int]:
    head, _, number = name.rpartition("-")
    return (head, int(number)) if number.isdigit() else (name, 0)


def _png(picture: NDArray[np.uint8]) -> bytes:
    """Of blue, green and red, as OpenCV has them."""
    ok, png = cv2.imencode(".png", picture)
    if not ok:
        raise ValueError(f"a picture of shape {picture.shape} can't be written as PNG")
    return png.tobytes()
