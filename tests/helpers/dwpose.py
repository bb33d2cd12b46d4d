"""Networks of DWPose's exact format: a detector that finds given boxes, and points that are coloured marks."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from poseanimate.models.dwpose import DEVIATION, MEAN, POINTS, STRIDES

NETWORK = 640
ANCHORS = sum((NETWORK // stride) ** 2 for stride in STRIDES)
CROP = (288, 384)
# one colour for each of the body's points, none near another, the background, or the black beyond a picture
COLOURS = np.array(
    [(r, g, b) for r in (0, 90, 255) for g in (60, 170, 255) for b in (20, 255)][:17],
    dtype=np.float64,
)


def constant(name: str, value: np.ndarray) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ascontiguousarray(value), name)


def save_network(
    path: Path, nodes: list, constants: list, given: tuple, outputs: dict[str, list]
) -> None:
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, given)],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()],
        constants,
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)


def save_detector(path: Path, raw: np.ndarray) -> None:
    """Says the same of every picture: raw (anchors, 85)."""
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "raw"], ["output"]),
    ]
    constants = [constant("zero", np.float32(0)), constant("raw", raw[None].astype(np.float32))]
    save_network(path, nodes, constants, (1, 3, NETWORK, NETWORK), {"output": [1, ANCHORS, 85]})


def save_points(path: Path, points: int = POINTS) -> None:
    """exp(-d²) of each pixel's distance d from a point's colour: its largest along both axes, at two bins a pixel."""
    width, height = CROP
    weights = np.zeros((points, 3, 1, 1), np.float32)
    bias = np.full(points, -1e4, np.float32)
    for i, colour in enumerate((COLOURS - MEAN) / DEVIATION):
        weights[i, :, 0, 0], bias[i] = 2 * colour, -(colour**2).sum()
    nodes = [
        helper.make_node("Conv", ["input", "weights", "bias"], ["near"]),
        helper.make_node("Mul", ["input", "input"], ["squares"]),
        helper.make_node("ReduceSum", ["squares", "channels"], ["square"], keepdims=1),
        helper.make_node("Sub", ["near", "square"], ["minus"]),
        helper.make_node("Mul", ["minus", "sharp"], ["logit"]),
        helper.make_node("Exp", ["logit"], ["heat"]),
        helper.make_node("ReduceMax", ["heat"], ["column"], axes=[2], keepdims=0),
        helper.make_node("ReduceMax", ["heat"], ["row"], axes=[3], keepdims=0),
        helper.make_node("Resize", ["column", "", "twice"], ["simcc_x"], mode="linear"),
        helper.make_node("Resize", ["row", "", "twice"], ["simcc_y"], mode="linear"),
    ]
    constants = [
        constant("weights", weights), constant("bias", bias), constant("channels", np.array([1])),
        constant("twice", np.array([1, 1, 2], np.float32)), constant("sharp", np.float32(4)),
    ]  # fmt: skip
    outputs = {"simcc_x": [1, points, 2 * width], "simcc_y": [1, points, 2 * height]}
    save_network(path, nodes, constants, (1, 3, height, width), outputs)


def no_boxes() -> np.ndarray:
    """What the detector says of a picture without people, (anchors, 85)."""
    raw = np.zeros((ANCHORS, 85), np.float32)
    raw[:, 2:4] = -2
    return raw


def add_box(raw: np.ndarray, box: tuple[float, ...], score: float = 0.9, stride: int = 16) -> None:
    """Writes a box (left, top, right, bottom; px of the network) into the grid cell that holds its centre."""
    left, top, right, bottom = box
    x, y = (left + right) / 2 / stride, (top + bottom) / 2 / stride
    side = NETWORK // stride
    first = sum((NETWORK // s) ** 2 for s in STRIDES if s < stride)
    row = first + int(y) * side + int(x)
    raw[row, :4] = (
        x % 1,
        y % 1,
        math.log((right - left) / stride),
        math.log((bottom - top) / stride),
    )
    raw[row, 4:6] = score, 1.0
