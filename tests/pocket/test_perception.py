"""The pocket family's perception: its targets, how heat maps are read, and how accurate the shipped weights are."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from poseanimate.errors import ModelsError
from poseanimate.media import load_picture
from poseanimate.models.files import POCKET
from poseanimate.pocket.body import Angles
from poseanimate.pocket.perception import Perception, PerceptionNet, target_heat
from poseanimate.pocket.training.data import render_sample
from poseanimate.pocket.world.scene import Scene, random_angles
from poseanimate.poses.skeleton import Pose

SIDE = 128
EXAMPLES = Path(__file__).parents[2] / "examples" / "characters"
NARROW = (8, 8, 8, 8)


class ToldNet(nn.Module):
    """Gives the heat and the mask that it was told, whatever it sees."""

    def __init__(self, heat: np.ndarray, mask: np.ndarray | None = None) -> None:
        super().__init__()
        self.heat = nn.Parameter(torch.from_numpy(heat)[None], requires_grad=False)
        mask = np.zeros((SIDE, SIDE), np.float32) if mask is None else mask
        self.mask = nn.Parameter(torch.from_numpy(mask)[None, None], requires_grad=False)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        return self.heat.logit(1e-6), self.mask.logit(1e-6)


def perceiving(*poses: Pose) -> Perception:
    joints = np.zeros((2, 18, 3), np.float32)
    for person, pose in zip(joints, poses, strict=False):
        person[:] = pose.body
    return Perception(ToldNet(target_heat(joints, SIDE)))


def blank(width: int = SIDE, height: int = SIDE) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def random_pose(index: int, x: float | None = None, height: float | None = None) -> Pose:
    scene = Scene.sample("train", index)
    angles = random_angles(np.random.default_rng(index)) if x is None else Angles()
    scene = Scene(
        scene.doll,
        scene.place,
        scene.place_seed,
        height or scene.height,
        scene.x if x is None else x,
        scene.ground,
    )
    return scene.pose(angles, SIDE, SIDE)


def errors_px(found: Pose, truth: Pose) -> np.ndarray:
    seen = truth.body[:, 2] > 0
    assert (found.body[seen, 2] > 0).all()
    assert not found.body[~seen].any()
    return np.linalg.norm(found.body[seen, :2] - truth.body[seen, :2], axis=1)


# --- heat ---


def test_heat_peaks_at_the_joints() -> None:
    pose = random_pose(1)
    heat = target_heat(pose.body[None].astype(np.float32), SIDE)
    assert heat.shape == (18, 64, 64) and heat.dtype == np.float32
    assert heat.min() >= 0 and heat.max() <= 1
    for plane, (x, y, confidence) in zip(heat, pose.body, strict=True):
        if not confidence:
            assert not plane.any()
            continue
        row, column = np.unravel_index(plane.argmax(), plane.shape)
        assert abs(2 * (column + 0.5) - x) <= 1 and abs(2 * (row + 0.5) - y) <= 1
        assert plane.max() > 0.8


def test_heat_of_two_people_holds_both() -> None:
    one, other = random_pose(1, 0.25), random_pose(2, 0.75)
    bodies = np.stack([one.body, other.body]).astype(np.float32)
    both = target_heat(bodies, SIDE)
    each = [target_heat(body[None], SIDE) for body in bodies]
    np.testing.assert_array_equal(both, np.maximum(*each))
    assert not target_heat(np.zeros((2, 18, 3), np.float32), SIDE).any()


def test_poses_are_read_from_heat_to_a_fraction_of_a_cell() -> None:
    errors = []
    for index in range(40):
        pose = random_pose(index)
        people = perceiving(pose).detect(blank())
        assert len(people) == 1
        errors.append(errors_px(people[0], pose))
    errors = np.concatenate(errors)
    assert errors.mean() < 0.2
    assert errors.max() < 0.7


def test_poses_come_in_the_pictures_pixels() -> None:
    pose = random_pose(3)
    (large,) = perceiving(pose).detect(blank(384, 384))
    assert errors_px(large, pose.scaled(3, 3)).max() < 3 * 0.7
    (small,) = perceiving(pose).detect(blank(64, 64))
    assert errors_px(small, pose.scaled(0.5, 0.5)).max() < 0.5 * 0.7


def test_a_neck_between_two_cells_is_one_neck() -> None:
    pose = random_pose(3)
    moved = pose.shifted(*(np.round(pose.body[1, :2] / 2) * 2 - pose.body[1, :2]))
    assert moved.body[1, 0] % 2 == 0
    assert len(perceiving(moved).detect(blank())) == 1


def test_two_people_are_both_found_the_larger_first() -> None:
    small, large = random_pose(4, 0.25, 0.5), random_pose(5, 0.75, 0.75)
    people = perceiving(small, large).detect(blank())
    assert len(people) == 2
    assert errors_px(people[0], large).max() < 0.7
    assert errors_px(people[1], small).max() < 0.7


def test_nobody_is_seen_where_there_is_no_body() -> None:
    assert perceiving().detect(blank()) == []
    face = random_pose(6).body.copy()
    face[1:14] = 0
    assert perceiving(Pose(face)).detect(blank()) == []
    faint = random_pose(6).body.copy()
    faint[:, 2] = 0.2
    assert perceiving(Pose(faint)).detect(blank()) == []


def test_confidence_is_the_peak() -> None:
    body = random_pose(7).body.copy()
    body[body[:, 2] > 0, 2] = 0.5
    (pose,) = perceiving(Pose(body)).detect(blank())
    seen = pose.body[:, 2] > 0
    assert (pose.body[seen, 2] <= 0.5).all() and (pose.body[seen, 2] > 0.35).all()


def test_the_mask_comes_at_the_pictures_size() -> None:
    told = np.zeros((SIDE, SIDE), np.float32)
    told[16:112, 48:80] = 1  # large enough not to be looked at twice
    perception = Perception(ToldNet(np.zeros((18, 64, 64), np.float32), told))
    for width, height in ((128, 128), (300, 200), (64, 96)):
        mask = perception.segment(blank(width, height))
        assert mask.shape == (height, width) and mask.dtype == np.float32
        assert mask.min() >= 0 and mask.max() <= 1
        assert mask[height // 2, width // 2] > 0.99
        assert mask.mean() == pytest.approx(told.mean(), abs=0.01)


# --- the network ---


@pytest.mark.parametrize(("width", "height"), [(128, 128), (96, 160), (37, 500), (640, 64)])
def test_any_picture_can_be_looked_at(width: int, height: int) -> None:
    perception = Perception(PerceptionNet(NARROW).eval())
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    assert perception.segment(picture).shape == (height, width)
    for pose in perception.detect(picture):
        seen = pose.body[:, 2] > 0
        assert (pose.body[seen, 0] <= width).all() and (pose.body[seen, 1] <= height).all()


def test_the_network_gives_heat_at_half_and_the_mask_at_full_size() -> None:
    heat, mask = PerceptionNet(NARROW)(torch.zeros(2, 3, 96, 128))
    assert heat.shape == (2, 18, 48, 64)
    assert mask.shape == (2, 1, 96, 128)


def test_a_saved_network_is_loaded_as_it_was(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = PerceptionNet(NARROW).eval()
    net.save(tmp_path)
    again = PerceptionNet.load(tmp_path)
    assert not again.training
    for name, value in net.state_dict().items():
        assert torch.equal(again.state_dict()[name], value.half().float())
    assert Perception(again).identity == Perception(PerceptionNet.load(tmp_path)).identity
    torch.manual_seed(1)
    assert Perception(PerceptionNet(NARROW)).identity != Perception(again).identity


@pytest.mark.parametrize("damage", ["no folder", "no config", "bad config", "other", "garbage"])
def test_a_damaged_network_is_refused(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "perception"
    if damage != "no folder":
        PerceptionNet(NARROW).save(folder)
    config, weights = folder / "config.json", folder / "perception.safetensors"
    if damage == "no config":
        config.unlink()
    elif damage == "bad config":
        config.write_text("[]")
    elif damage == "other":
        config.write_text('{"channels": [8, 8, 8, 16]}')
    elif damage == "garbage":
        weights.write_bytes(b"\xff" * 100)
    with pytest.raises(ModelsError, match="perception"):
        PerceptionNet.load(folder)


# --- the shipped weights ---


@pytest.fixture(scope="module")
def shipped() -> Perception:
    return Perception(PerceptionNet.load(POCKET / "perception"))


def test_the_shipped_weights_find_held_out_characters(shipped: Perception) -> None:
    errors, overlaps = [], []
    for index in range(20):
        scene = Scene.sample("held-out", index)
        truth = scene.render(random_angles(np.random.default_rng(index)), SIDE, SIDE)
        (pose,) = shipped.detect(truth.picture)
        both = (pose.body[:, 2] > 0) & (truth.pose.body[:, 2] > 0)
        assert both.sum() >= 0.9 * (truth.pose.body[:, 2] > 0).sum()
        errors.append(np.linalg.norm((pose.body - truth.pose.body)[both, :2], axis=1))
        seen, there = shipped.segment(truth.picture) > 0.5, truth.mask > 0.5
        overlaps.append((seen & there).sum() / (seen | there).sum())
    assert np.concatenate(errors).mean() < 3
    assert np.mean(overlaps) > 0.8


def test_small_figures_are_looked_at_twice(shipped: Perception) -> None:
    errors, overlaps = [], []
    for index in range(12):
        scene = replace(Scene.sample("held-out", index), height=0.3)
        truth = scene.render(random_angles(np.random.default_rng(index)), 4 * SIDE, 4 * SIDE)
        (pose,) = shipped.detect(truth.picture)
        both = pose.visible() & truth.pose.visible()
        errors.append(np.linalg.norm(pose.xy - truth.pose.xy, axis=1)[both])
        seen, there = shipped.segment(truth.picture) > 0.5, truth.mask > 0.5
        overlaps.append((seen & there).sum() / (seen | there).sum())
    assert np.median(np.concatenate(errors)) < 2  # 4 in one look
    assert np.mean(overlaps) > 0.87  # 0.8 in one look


def test_the_shipped_weights_count_people(shipped: Perception) -> None:
    wrong = []
    for index in range(60):
        crowd, _, picture = render_sample("held-out", index, SIDE)
        if len(shipped.detect(picture)) != len(crowd):
            wrong.append(index)
    assert len(wrong) <= 2, wrong


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.png")), ids=lambda path: path.stem)
def test_the_examples_show_one_person(shipped: Perception, path: Path) -> None:
    picture = np.asarray(load_picture(path))
    (pose,) = shipped.detect(picture)
    assert (pose.body[:, 2] > 0).sum() >= 14
    assert 0.03 < (shipped.segment(picture) > 0.5).mean() < 0.5
    larger = cv2.resize(picture, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    (again,) = shipped.detect(larger)
    both = (pose.body[:, 2] > 0) & (again.body[:, 2] > 0)
    off = np.linalg.norm((again.body / 3 - pose.body)[both, :2], axis=1)
    assert off.mean() < 1.5


@pytest.mark.parametrize("square", [False, True], ids=["wide", "square"])
def test_two_examples_in_one_picture_are_two_people(shipped: Perception, square: bool) -> None:
    pictures = [np.asarray(load_picture(path)) for path in sorted(EXAMPLES.glob("*.png"))]
    for one, other in pairwise(cv2.resize(picture, (256, 256)) for picture in pictures):
        pair = np.concatenate([one, other], axis=1)
        if square:
            pair = cv2.copyMakeBorder(pair, 128, 128, 0, 0, cv2.BORDER_CONSTANT, value=(255,) * 3)
        assert len(shipped.detect(pair)) == 2


@pytest.mark.parametrize("grain", [1, 4, 16])
@pytest.mark.parametrize("size", [64, 128, 256, 512])
def test_noise_is_nobody(shipped: Perception, size: int, grain: int) -> None:
    rng = np.random.default_rng(size)
    for _ in range(5):
        coarse = rng.integers(0, 256, (size // grain, size // grain, 3), dtype=np.uint8)
        picture = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
        assert shipped.detect(picture) == []
