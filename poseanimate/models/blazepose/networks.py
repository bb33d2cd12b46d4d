"""BlazePose's networks on LiteRT's interpreter, on one thread of the CPU."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseanimate.errors import ModelsError, first_line

_NOTICE = b"INFO: Created TensorFlow Lite XNNPACK delegate"
_stderr = Lock()


class Network:
    """A .tflite file, ready to run.

    Raises:
        ModelsError: ai-edge-litert isn't installed, or the file is missing, damaged, or another network.
    """

    def __init__(self, path: Path, side: int, outputs: tuple[tuple[int, ...], ...]) -> None:
        """Loads a file that takes (1, side, side, 3) and gives arrays of these shapes."""
        try:
            from ai_edge_litert.interpreter import Interpreter  # takes 0.1 s
        except ImportError as error:
            raise ModelsError(
                "BlazePose can't be used here.", "Install it with: pip install ai-edge-litert."
            ) from error
        try:
            content = path.read_bytes()
            with _without_notice():
                self._interpreter: Any = Interpreter(model_content=content, num_threads=1)
                self._interpreter.allocate_tensors()
            given = self._interpreter.get_input_details()[0]
            self._input = given["index"]
            shapes = {tuple(o["shape"]): o["index"] for o in self._interpreter.get_output_details()}
            self._outputs = [shapes[shape] for shape in outputs]
            if tuple(given["shape"]) != (1, side, side, 3):
                raise ValueError(f"its input has the shape {tuple(given['shape'])}")
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise ModelsError(
                f"BlazePose's {path.name} can't be loaded ({first_line(error)}).",
                "Delete it, so that it is downloaded again, or name another detector.",
            ) from error
        self.digest = hashlib.sha256(content).hexdigest()[:16]
        self._lock = Lock()  # an interpreter holds the tensors of one run

    def run(self, picture: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """The outputs for a picture (side, side, 3), without their first axis of one."""
        with self._lock:
            self._interpreter.set_tensor(self._input, picture[None])
            self._interpreter.invoke()
            return [self._interpreter.get_tensor(index)[0] for index in self._outputs]


@contextmanager
def _without_notice() -> Iterator[None]:
    """Keeps LiteRT's notice that it uses the CPU away from stderr: it has no switch (LiteRT issue 7420)."""
    with _stderr, tempfile.TemporaryFile() as said:
        own = os.dup(2)
        os.dup2(said.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(own, 2)
            os.close(own)
            said.seek(0)
            for line in said:
                if not line.startswith(_NOTICE):
                    os.write(2, line)
