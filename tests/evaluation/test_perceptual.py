"""Figures that look through a network: their formulas on inputs whose answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_fid import inception as fid
from safetensors.torch import load_file, save_file
from torch import Tensor
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
from torchvision.models import alexnet, inception_v3, vgg16
from torchvision.models.optical_flow import raft_large
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

from poseanimate.errors import ModelsError
from poseanimate.evaluation.metrics import loaders
from poseanimate.evaluation.metrics.loaders import load_networks
from poseanimate.evaluation.metrics.networks import Missing, Networks
from poseanimate.evaluation.metrics.perceptual import (
    clip_i,
    frame_consistency,
    frechet_distance,
    lpips,
    occluded,
    warp,
    warping_error,
    windows,
)
from poseanimate.evaluation.metrics.video_networks import InceptionI3d, ResNet3d, SamePadding


def mean_colour(frames: Tensor) -> Tensor:
    """A stand-in for CLIP."""
    return frames.mean(dim=(2, 3))


def coloured(*colours: tuple[float, float, float]) -> Tensor:
    return torch.tensor(colours)[:, :, None, None].expand(-1, -1, 8, 8)


def smooth(height: int = 64, width: int = 64, shift: float = 0.0) -> Tensor:
    x = torch.arange(width, dtype=torch.float32) - shift
    wave = 0.5 + 0.4 * torch.sin(x / 9)
    return wave.expand(1, 3, height, width).clone()


def constant_flow(dx: float, seen: list[Tensor] | None = None):
    """Knows that every picture is the one before it, moved by dx pixels of the halved frames."""

    def flow(one: Tensor, other: Tensor) -> Tensor:
        if seen is not None:
            seen.append(one)
        forward = len(seen) % 2 == 1 if seen is not None else True
        field = torch.zeros(1, 2, *one.shape[2:])
        field[:, 0] = dx if forward else -dx
        return field

    return flow


def test_clip_i_and_frame_consistency_are_cosines() -> None:
    red, green = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)
    frames = coloured(red, green, red)
    assert clip_i(mean_colour, frames, coloured(red)) == pytest.approx(2 / 3)
    assert frame_consistency(mean_colour, frames) == pytest.approx(0, abs=1e-6)
    assert frame_consistency(mean_colour, coloured(red, red)) == pytest.approx(100)


def test_a_shift_that_the_flow_knows_warps_away() -> None:
    frames = torch.cat([smooth(), smooth(shift=4), smooth(shift=8)])  # 2 px at half the size
    known = warping_error(constant_flow(2.0, []), frames)
    ignored = warping_error(constant_flow(0.0, []), frames)
    assert known < 2e-3 < 0.05 * ignored
    assert warping_error(constant_flow(0.0, []), frames[:1].expand(3, -1, -1, -1)) == 0


def test_the_error_is_summed_over_channels() -> None:
    frames = torch.stack([torch.full((3, 16, 16), value) for value in (0.2, 0.5)])
    assert warping_error(constant_flow(0.0, []), frames) == pytest.approx(3 * 0.3**2)


def test_the_release_shows_the_flow_network_nearly_black_pictures() -> None:
    for released, lowest, highest in ((True, -1, -1 + 2 / 255), (False, -0.9, 0.9)):
        seen: list[Tensor] = []
        warping_error(constant_flow(0.0, seen), torch.cat([smooth(), smooth()]), released)
        low, high = float(seen[0].min()), float(seen[0].max())
        assert lowest <= low < high <= highest and (high - low < 0.01) == released


def test_sides_are_padded_for_the_flow_network() -> None:
    seen: list[Tensor] = []
    warping_error(constant_flow(0.0, seen), torch.rand(2, 3, 50, 70))
    assert all(side % 8 == 0 for side in seen[0].shape[2:])


def test_warping_samples_where_the_flow_points() -> None:
    generator = torch.Generator().manual_seed(0)
    picture, flow = (torch.rand(1, c, 6, 7, generator=generator) for c in (2, 2))
    flow = flow * 3 - 1.5
    found = warp(picture, flow)
    for y in range(6):
        for x in range(7):
            px, py = x + float(flow[0, 0, y, x]), y + float(flow[0, 1, y, x])
            x0, y0 = int(np.floor(px)), int(np.floor(py))
            expected = torch.zeros(2)
            for cx, cy in ((x0, y0), (x0 + 1, y0), (x0, y0 + 1), (x0 + 1, y0 + 1)):
                if 0 <= cx < 7 and 0 <= cy < 6:
                    expected += (1 - abs(px - cx)) * (1 - abs(py - cy)) * picture[0, :, cy, cx]
            torch.testing.assert_close(found[0, :, y, x], expected, atol=1e-4, rtol=1e-4)


def test_what_comes_back_elsewhere_is_occluded() -> None:
    there = torch.zeros(1, 2, 8, 8)
    assert not occluded(there, there).any()
    assert occluded(there + 5, there + 5).all()  # forth and forth again
    moving = there.clone()
    moving[:, :, :, 4:] = 1.0
    edge = occluded(moving, -moving)
    assert edge[0, :, 3].all() and not edge[0, :, :3].any()


def test_frechet_distance_of_known_gaussians() -> None:
    rng = np.random.default_rng(0)
    one, other = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 1.0])
    x = rng.normal(size=(200_000, 3)) * one
    y = rng.normal(size=(200_000, 3)) * other + [1, 0, 2]
    expected = 1 + 4 + ((one - other) ** 2).sum()
    assert frechet_distance(x, y) == pytest.approx(expected, rel=0.02)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match="two features"):
        frechet_distance(x[:1], y)


@given(st.integers(2, 9), st.integers(2, 9), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_frechet_distance_is_its_formula_with_the_covariances_root(
    n: int, m: int, seed: int
) -> None:
    """Also where there are fewer features than dimensions, and covariances have no full rank."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, 4)), 1 + 2 * rng.normal(size=(m, 4))
    s_1, s_2 = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = np.sqrt(np.linalg.eigvals(s_1 @ s_2).astype(complex)).real.sum()
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(s_1 + s_2) - 2 * root
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_windows_begin_at_every_frame() -> None:
    frames = torch.arange(18.0)[:, None, None, None].expand(-1, 3, 2, 2)
    found = windows(frames)
    assert found.shape == (3, 16, 3, 2, 2)
    assert found[2, :, 0, 0, 0].tolist() == list(range(2, 18))
    with pytest.raises(ValueError, match="15 frames"):
        windows(frames[:15])


@given(st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=20, deadline=None)
def test_lpips_is_the_mean_distance_of_what_the_network_expects(one: float, other: float) -> None:
    def distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a - b).abs().mean(dim=(1, 2, 3))

    frames = torch.tensor([one, other]).view(2, 1, 1, 1).expand(2, 3, 4, 4)
    expected = abs(one - other)  # twice the difference, of one frame in two
    assert lpips(distance, frames, frames[:1]) == pytest.approx(expected, abs=1e-5)
    assert lpips(distance, frames, frames[:1], released=True) == pytest.approx(
        expected / 2, abs=1e-5
    )
    assert lpips(distance, frames, frames) == 0


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["alex", "vgg"])
def test_lpips_is_torchmetrics_own(
    backbone: str, folder: Path, loaded: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The public metric, its backbone given the same weights where it would fetch them."""
    file, make = {"alex": ("alexnet", alexnet), "vgg": ("vgg16", vgg16)}[backbone]
    kept = make(weights=None)
    kept.load_state_dict(load_file(folder / f"{file}.safetensors"), strict=False)
    monkeypatch.setattr(torchvision.models, file, lambda **_: kept)
    metric = LearnedPerceptualImagePatchSimilarity(net_type=backbone, normalize=True)
    one, other = (
        torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(i)) for i in (1, 2)
    )
    ours = getattr(loaded, backbone)
    assert lpips(ours, one, other) == pytest.approx(float(metric(one, other)), rel=1e-4)


# The networks -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real classes with random weights, in the layout that the loader reads."""
    torch.manual_seed(0)
    home = tmp_path_factory.mktemp("networks")
    small = CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        image_size=32, patch_size=8, projection_dim=16,
    )  # fmt: skip
    CLIPVisionModelWithProjection(small).save_pretrained(home / "clip")
    size = {"height": 32, "width": 32}
    CLIPImageProcessor(size=size, crop_size=size).save_pretrained(home / "clip")
    save_file(raft_large(weights=None).state_dict(), home / "raft_large.safetensors")
    save_file(
        alexnet(weights=None).features.state_dict(prefix="features."), home / "alexnet.safetensors"
    )
    save_file(
        vgg16(weights=None).features.state_dict(prefix="features."), home / "vgg16.safetensors"
    )
    save_file(
        inception_v3(
            weights=None, num_classes=1008, aux_logits=False, init_weights=False
        ).state_dict(),
        home / "inception.safetensors",
    )
    save_file(InceptionI3d().state_dict(), home / "i3d.safetensors")
    classifier = {"fc.weight": torch.zeros(400, 2048), "fc.bias": torch.zeros(400)}
    save_file(ResNet3d().state_dict() | classifier, home / "resnet3d.safetensors")
    return home


@pytest.fixture(scope="module")
def loaded(folder: Path) -> Networks:
    return load_networks(folder)


@pytest.mark.slow
def test_networks_load_from_a_folder(loaded: Networks) -> None:
    assert not isinstance(loaded.clip, Missing) and not isinstance(loaded.raft, Missing)
    frames = torch.rand(3, 3, 40, 56, generator=torch.Generator().manual_seed(1))
    embeddings = loaded.clip(frames)
    assert embeddings.shape == (3, 16)
    assert clip_i(loaded.clip, frames[:1], frames[:1]) == pytest.approx(1, abs=1e-5)
    one, other = (2 * torch.rand(1, 3, 64, 80) - 1 for _ in range(2))
    assert loaded.raft(one, other).shape == (1, 2, 64, 80)


@pytest.mark.slow
def test_what_is_there_is_measured_and_nothing_else(loaded: Networks) -> None:
    rng = np.random.default_rng(0)
    source, *clip = (rng.integers(0, 255, (64, 64, 3), np.uint8) for _ in range(3))
    assert loaded.missing == () and len(loaded.measure(clip, source)) == 5
    assert len(loaded.measure(clip, source, clip)) == 6
    frozen = loaded.measure([source, source], source, clip)
    assert frozen["lpips"] == 0 < frozen["lpips_disco"]
    assert frozen["clip_i"] == pytest.approx(1) and frozen["frame_consistency"] == pytest.approx(
        100
    )
    assert (
        Networks().measure(clip, source) == {}
        and len(Networks().missing) == len(Networks().reasons) == 7
    )
    half = Networks(clip=loaded.clip)
    assert set(half.measure(clip, source)) == {"clip_i", "frame_consistency"}


def test_what_can_not_be_had_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "raft_large.safetensors").write_bytes(b"no weights")
    loaded = load_networks(tmp_path)
    assert isinstance(loaded.clip, Missing) and "no folder clip" in str(loaded.clip)
    assert isinstance(loaded.raft, Missing) and "RAFT can't be loaded" in str(loaded.raft)
    assert isinstance(loaded.alex, Missing) and "LPIPS can't be loaded" in str(loaded.alex)
    assert isinstance(loaded.vgg, Missing) and "LPIPS (VGG) can't" in str(loaded.vgg)
    assert isinstance(loaded.i3d, Missing) and "I3D (FVD) can't" in str(loaded.i3d)

    def refuse(*args, **kwargs):
        raise OSError("the hub can't be reached")

    monkeypatch.setattr(loaders.CLIPVisionModelWithProjection, "from_pretrained", refuse)
    for weights in (loaders.Raft_Large_Weights, loaders.AlexNet_Weights, loaders.VGG16_Weights):
        monkeypatch.setattr(weights, "get_state_dict", refuse, raising=False)
    monkeypatch.setattr(loaders, "load_state_dict_from_url", refuse)
    loaded = load_networks(None)
    for found in (loaded.clip, loaded.raft, loaded.alex, loaded.vgg, loaded.inception):
        assert isinstance(found, Missing) and "hub can't be reached" in found.reason
    for found in (loaded.resnet3d, loaded.i3d):
        assert isinstance(found, Missing) and "pickle" in found.reason


def test_networks_without_their_extra_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        loaders, "find_spec", lambda name: None if name == "torchmetrics" else object()
    )
    with pytest.raises(ModelsError, match=r"poseanimate\[evaluate\]"):
        load_networks(None)


def test_networks_have_the_size_of_the_published_ones() -> None:
    """I3D's weights are 12 697 264 numbers (50.9 MB with its statistics), a 3D-ResNet-50's 46.2 million."""
    i3d, resnet = (sum(p.numel() for p in net.parameters()) for net in (InceptionI3d(), ResNet3d()))
    assert (i3d, resnet) == (12_697_264, 46_198_976)


@pytest.mark.parametrize("side", [7, 8, 9, 16])
@pytest.mark.parametrize("kernel, stride", [(7, 2), (3, 1), (3, 2), (2, 2), (1, 2)])
def test_same_padding_gives_a_place_for_every_stride_begun(
    side: int, kernel: int, stride: int
) -> None:
    padding = SamePadding((kernel,) * 3, (stride,) * 3)
    padded = padding(torch.ones(1, 1, side, side, side))
    assert (padded.shape[-1] - kernel) // stride + 1 == -(-side // stride)
    assert padded.sum() == side**3
    first = int(padded[0, 0, :, padded.shape[3] // 2, padded.shape[4] // 2].argmax())
    assert first == max(padded.shape[-1] - side, 0) // 2


@pytest.mark.slow
def test_inception_is_fids(folder: Path, loaded: Networks, monkeypatch: pytest.MonkeyPatch) -> None:
    """pytorch-fid's own network, given the same weights where it would fetch them."""
    weights = load_file(folder / "inception.safetensors")
    monkeypatch.setattr(fid, "load_state_dict_from_url", lambda *_, **__: weights)
    theirs = fid.InceptionV3().eval()
    frames = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = theirs(frames)[0].flatten(1)
    ours = loaded.inception(frames)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)
    assert expected.std() > 0


@pytest.mark.slow
def test_features_are_of_frames_and_of_windows(loaded: Networks) -> None:
    rng = np.random.default_rng(0)
    clip = [rng.integers(0, 255, (32, 32, 3), np.uint8) for _ in range(17)]
    found = loaded.extract_features(clip)
    shapes = {name: own.shape for name, own in found.items()}
    assert shapes == {"fid": (17, 2048), "fid_vid": (2, 2048), "fvd": (2, 400)}
    assert all(np.isfinite(own).all() and own.std() > 0 for own in found.values())
    assert set(loaded.extract_features(clip[:15])) == {"fid"}
    assert Networks().extract_features(clip) == {}
    assert set(loaded.digests) >= {
        "i3d.safetensors", "clip/model.safetensors", "clip/preprocessor_config.json",
    }  # fmt: skip
    assert all(len(digest) == 64 for digest in loaded.digests.values())
