"""rembg behind the segmenter's interface: its real session classes on a tiny ONNX network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pooch
import pytest

from poseanimate.errors import ModelsError
from poseanimate.models.segmentation import REMBG_MODELS, RembgSegmenter


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def block(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(data)) + data


def mean_network(side: int) -> bytes:
    """An ONNX network (1, 3, side, side) -> (1, 1, side, side): the mean over the channels."""

    def tensor(name: str, channels: int) -> bytes:
        dims = b"".join(block(1, number(1, dim)) for dim in (1, channels, side, side))
        return block(1, name) + block(2, block(1, number(1, 1) + block(2, dims)))

    axes = block(1, "axes") + number(8, 1) + number(20, 7)  # attribute "axes" = [1], INTS
    node = block(1, "x") + block(2, "y") + block(4, "ReduceMean") + block(5, axes)
    graph = block(1, node) + block(2, "g") + block(11, tensor("x", 3)) + block(12, tensor("y", 1))
    return number(1, 7) + block(8, number(2, 13)) + block(7, graph)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("U2NET_HOME", str(tmp_path))
    monkeypatch.delenv("MODEL_CHECKSUM_DISABLED", raising=False)
    return tmp_path


@pytest.mark.parametrize(("model", "side"), [("u2net_human_seg", 320), ("isnet-anime", 1024)])
def test_mask_of_a_bright_figure(home: Path, model: str, side: int) -> None:
    (home / f"{model}.onnx").write_bytes(mean_network(side))
    segmenter = RembgSegmenter(model)
    image = np.zeros((90, 60, 3), np.uint8)
    image[20:70, 15:45] = 230
    mask = segmenter.segment(image)
    assert mask.shape == (90, 60) and mask.dtype == np.float32
    assert mask.min() >= 0.0 and mask.max() <= 1.0
    assert mask[30:60, 20:40].min() > 0.85 and mask[:15].max() < 0.05
    assert np.array_equal(mask, segmenter.segment(image))
    assert model in segmenter.identity and segmenter.identity.startswith("rembg-")


def test_the_mask_is_soft(home: Path) -> None:
    (home / "u2net_human_seg.onnx").write_bytes(mean_network(320))
    ramp = np.tile(np.linspace(0, 255, 64).astype(np.uint8)[None, :, None], (64, 1, 3))
    mask = RembgSegmenter().segment(ramp)
    assert np.abs(mask[32] - np.linspace(0, 1, 64)).max() < 0.05


@pytest.mark.parametrize("name", ["", "bria-rmbg", "u2net_custom", "atlascloud", "../x"])
def test_only_named_models(name: str) -> None:
    with pytest.raises(ModelsError) as caught:
        RembgSegmenter(name)
    assert all(model in caught.value.remedy for model in REMBG_MODELS)


@pytest.mark.parametrize("model", list(REMBG_MODELS))
def test_without_a_connection(home: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> str:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(pooch, "retrieve", offline)
    with pytest.raises(ModelsError, match=f"{model} can't be fetched"):
        RembgSegmenter(model)


def test_a_damaged_network(home: Path) -> None:
    (home / "u2net_human_seg.onnx").write_bytes(b"no network")
    with pytest.raises(ModelsError, match="loaded"):
        RembgSegmenter("u2net_human_seg")


def test_without_rembg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rembg", None)
    with pytest.raises(ModelsError, match="pip install"):
        RembgSegmenter()


def test_importing_the_module_does_not_import_rembg() -> None:
    code = "import sys, poseanimate.models.segmentation; sys.exit('rembg' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
