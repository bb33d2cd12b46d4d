"""The pocket family's pose detector and segmenter: one small network for pictures of the pocket world.

A convolutional encoder and decoder gives 18 heat maps at half the picture's size and the character's mask at its
full size; detector and segmenter read them.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import interpolate, pixel_shuffle

from poseanimate.errors import ModelsError
from poseanimate.pocket.body import Angles, Proportions
from poseanimate.pocket.body import joints as pose_doll
from poseanimate.poses.measures import person_size
from poseanimate.poses.skeleton import NECK, Pose

JOINTS = 18
WORKING_SIZE = 128  # long side of what the network was trained on, px
MULTIPLE = 16
# a second look at single figures in larger pictures: what they fill of it, and how much of the picture it shows at most
FILLED, CLOSER = 0.5, 0.85
PEAK = 0.25  # heat from which a joint counts as visible
SECOND_PERSON = 0.5  # heat from which a neck counts as a person of its own
UNSURE_WEIGHT, STRANGE_WEIGHT = 0.25, 0.4
KNOWN = (
    0.55  # chosen on 614 rendered characters and 3,400 other pictures; figures in docs/inputs.md
)
BONES = np.array(
    [
        (NECK, 0), (NECK, 2), (NECK, 5), (2, 3), (3, 4), (5, 6), (6, 7),
        (NECK, 8), (NECK, 11), (8, 9), (9, 10), (11, 12), (12, 13),
    ]
)  # fmt: skip
WEIGHTS, CONFIG = "perception.safetensors", "config.json"


class PerceptionNet(nn.Module):
    """(b, 3, H, W) in [-1, 1] -> heat maps (b, 18, H/2, W/2) and mask (b, 1, H, W), both as logits."""

    def __init__(self, channels: tuple[int, int, int, int] = (24, 48, 80, 112)) -> None:
        super().__init__()
        self.channels = channels
        a, b, c, d = channels
        self.at_half = _make_block(3, a, stride=2)
        self.at_quarter = nn.Sequential(_make_block(a, b, stride=2), _make_block(b, b))
        self.at_eighth = nn.Sequential(_make_block(b, c, stride=2), _make_block(c, c))
        self.at_sixteenth = nn.Sequential(
            _make_block(c, d, stride=2), _make_block(d, d), _make_block(d, d)
        )
        self.up_eighth = _make_block(c + d, c)
        self.up_quarter = _make_block(b + c, b)
        self.up_half = _make_block(a + b, b)
        self.out = nn.Conv2d(b, JOINTS + 4, 3, padding=1)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        half = self.at_half(pictures)
        quarter = self.at_quarter(half)
        eighth = self.at_eighth(quarter)
        x = self.at_sixteenth(eighth)
        x = self.up_eighth(torch.cat([_upsample(x), eighth], dim=1))
        x = self.up_quarter(torch.cat([_upsample(x), quarter], dim=1))
        x = self.out(self.up_half(torch.cat([_upsample(x), half], dim=1)))
        return x[:, :JOINTS], pixel_shuffle(x[:, JOINTS:], 2)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(
            {k: v.half().contiguous() for k, v in self.state_dict().items()}, folder / WEIGHTS
        )
        (folder / CONFIG).write_text(json.dumps({"channels": self.channels}, indent=1) + "\n")

    @staticmethod
    def load(folder: Path, device: str = "cpu") -> PerceptionNet:
        """Raises ModelsError where the folder holds no perception network."""
        try:
            config = json.loads((folder / CONFIG).read_text())
            net = PerceptionNet(tuple(config["channels"]))
            net.load_state_dict({k: v.float() for k, v in load_file(folder / WEIGHTS).items()})
        except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            raise ModelsError(
                f"The perception network in {folder.name!r} can't be loaded ({error}).",
                "Use a complete copy of the models folder.",
            ) from error
        return net.to(device).eval()


class Perception:
    """The pocket world's pose detector and segmenter (see models/pose_detection.py, models/segmentation.py)."""

    def __init__(self, net: PerceptionNet) -> None:
        self.net = net
        digest = hashlib.sha256()
        for name, value in net.state_dict().items():
            digest.update(name.encode() + value.cpu().numpy().tobytes())
        self.identity = f"pocket-perception-{digest.hexdigest()[:16]}"

    def detect(self, image: NDArray[np.uint8]) -> list[Pose]:
        """People in a picture (H, W, 3), the largest first; none if no body is found."""
        people = self._look(image)
        if len(people) != 1:
            return people
        [pose] = people
        window = _find_close_up(pose.xy[pose.visible()], image)
        if window is None:
            return people
        closer = self._look(image[window])
        if len(closer) != 1 or closer[0].visible().sum() < pose.visible().sum():
            return people
        rows, columns = window
        return [closer[0].shifted(columns.start, rows.start)]

    def is_of_its_world(self, image: NDArray[np.uint8]) -> bool:
        """Whether a picture (H, W, 3) shows a character of the pocket world.

        In others the network also finds bodies, but with weak peaks, blurred masks and other proportions.
        """
        heat, mask = self._predict(image)
        people = _read_people(heat, *image.shape[:2])
        unsure = ((mask > 0.1) & (mask < 0.9)).sum() / max((mask > 0.5).sum(), 1)
        known = [
            float(pose.confidence[pose.visible()].mean()) - STRANGE_WEIGHT * _strangeness(pose)
            for pose in people
        ]
        return bool(max(known, default=0.0) - UNSURE_WEIGHT * unsure > KNOWN)

    def segment(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The character's mask (H, W) in [0, 1]."""
        mask = self._cut_out(image)
        window = _find_close_up(np.argwhere(mask > 0.5)[:, ::-1], image)
        if window is not None:
            closer = self._cut_out(image[window])
            mask = np.zeros_like(mask)
            mask[window] = closer
        return mask

    def _look(self, image: NDArray[np.uint8]) -> list[Pose]:
        heat, _ = self._predict(image)
        return _read_people(heat, *image.shape[:2])

    def _cut_out(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        _, mask = self._predict(image)
        size = (image.shape[1], image.shape[0])
        return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR), np.float32)

    @torch.no_grad()
    def _predict(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        height, width = image.shape[:2]
        scale = WORKING_SIZE / max(height, width)
        size = [max(round(side * scale / MULTIPLE), 1) * MULTIPLE for side in (width, height)]
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        small = cv2.resize(image, size, interpolation=method)
        device = next(self.net.parameters()).device
        pixels = torch.from_numpy(np.ascontiguousarray(small)).to(device).permute(2, 0, 1)[None]
        heat, mask = self.net(pixels.float() / 127.5 - 1)
        return heat[0].sigmoid().cpu().numpy(), mask[0, 0].sigmoid().cpu().numpy()


def target_heat(joints: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Heat maps (18, size/2, size/2) of people's joints (people, 18, 3): Gaussians of 1.2 cells around each."""
    cells = np.arange(size // 2, dtype=np.float32) + 0.5
    heat = np.zeros((JOINTS, size // 2, size // 2), np.float32)
    for person in joints:
        x, y, confidence = (person[:, column, None] for column in range(3))
        across = np.exp(-((cells - x / 2) ** 2) / (2 * 1.2**2))
        down = np.exp(-((cells - y / 2) ** 2) / (2 * 1.2**2))
        heat = np.maximum(heat, confidence[:, :, None] * down[:, :, None] * across[:, None, :])
    return heat


def _find_close_up(
    points: NDArray[np.float64] | NDArray[np.int64], image: NDArray[np.uint8]
) -> tuple[slice, slice] | None:
    """The rows and columns of a closer look at points (n, 2) in a picture, a square with a margin.

    None where that would show nothing more: in pictures as small as the network's, and where the points fill them.
    """
    sides = np.array(image.shape[1::-1])
    if not len(points) or sides.max() <= WORKING_SIZE:
        return None
    low, high = points.min(axis=0), points.max(axis=0)
    side = max(float((high - low).max()) / FILLED, WORKING_SIZE / 2)
    if side > CLOSER * sides.max():
        return None
    size = np.minimum(round(side), sides)
    left, top = ((low + high - size) / 2).round().clip(0, sides - size).astype(int)
    return slice(top, top + size[1]), slice(left, left + size[0])


def _make_block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1),
        nn.GroupNorm(8, outputs),
        nn.SiLU(),
    )


def _upsample(x: Tensor) -> Tensor:
    return interpolate(x, scale_factor=2.0, mode="nearest")


def _read_people(heat: NDArray[np.float32], height: int, width: int) -> list[Pose]:
    """The people in heat maps (18, h, w), in pixels of a picture of this size, the largest first."""
    stride = np.array([width / heat.shape[2], height / heat.shape[1]])
    necks = _find_necks(heat[NECK])
    rows, columns = np.indices(heat.shape[1:])
    away = [np.hypot(rows - row, columns - column) for row, column in necks]
    nearest = np.argmin(away, axis=0) if away else np.zeros(heat.shape[1:])
    # several people: what is nearest to a neck is that person's
    people = [_read_person(heat * (nearest == number), stride) for number in range(len(necks) or 1)]
    found = [pose for pose in people if pose is not None]
    return sorted(found, key=person_size, reverse=True)


def _strangeness(pose: Pose) -> float:
    """How far a body's proportions are from a paper doll's: the mean difference of the bones' logarithmic lengths."""
    doll, _ = pose_doll(Proportions(), Angles())
    seen = (pose.confidence[BONES] > 0).all(axis=1)
    if not seen.any():
        return float("inf")
    length, own = (
        np.linalg.norm(np.diff(xy[BONES], axis=1)[:, 0], axis=1) for xy in (pose.xy, doll)
    )
    ratio = np.log(np.maximum(length, 1e-3) / own)[seen]
    return float(np.abs(ratio - np.median(ratio)).mean())


def _read_person(heat: NDArray[np.float32], stride: NDArray[np.float64]) -> Pose | None:
    """The strongest peak of every joint, refined by the heat around it; None without neck or hips and shoulders."""
    body = np.zeros((JOINTS, 3))
    for joint, plane in enumerate(heat):
        row, column = divmod(int(plane.argmax()), plane.shape[1])
        peak = float(plane[row, column])
        if peak < PEAK:
            continue
        rows = slice(max(row - 2, 0), row + 3)
        columns = slice(max(column - 2, 0), column + 3)
        weight = plane[rows, columns].astype(np.float64) ** 2
        y = (weight.sum(1) * (np.arange(rows.start, rows.start + len(weight)) + 0.5)).sum()
        x = (
            weight.sum(0) * (np.arange(columns.start, columns.start + weight.shape[1]) + 0.5)
        ).sum()
        body[joint] = (*(np.array([x, y]) / weight.sum() * stride), min(peak, 1.0))
    torso = body[[1, 2, 5, 8, 11], 2] > 0
    return Pose(body) if torso.sum() >= 3 else None


def _find_necks(heat: NDArray[np.float32]) -> list[tuple[float, float]]:
    """Rows and columns of the necks that stand out in their heat map (h, w)."""
    grown = cv2.dilate(heat, np.ones((9, 9), np.uint8))
    peaks = ((heat == grown) & (heat > SECOND_PERSON)).astype(np.uint8)
    count, labels = cv2.connectedComponents(peaks)  # a flat peak counts once
    places = [np.argwhere(labels == label).mean(axis=0) for label in range(1, count)]
    return [(float(row), float(column)) for row, column in places]
