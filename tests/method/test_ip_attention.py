"""IP-Adapter's decoupled cross-attention, of the baseline IP+CtrlN, against diffusers' own."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.tiny import scene_at_ease, tiny_models, tiny_networks
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from poseanimate.animator import Animator
from poseanimate.errors import ModelsError
from poseanimate.events import Done
from poseanimate.method.processors import is_cross_attention
from poseanimate.models.ip_adapter import ENCODER, WEIGHTS, IPAdapter
from poseanimate.pipeline import build
from poseanimate.poses.motion import load_preset
from poseanimate.settings import Settings

IMAGE_DIM = 8


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    """Random ones under the published names."""
    unet = tiny_networks()["unet"]
    generator = torch.Generator().manual_seed(5)
    text_dim = unet.config.cross_attention_dim
    made = {
        "image_proj.proj.weight": torch.randn(4 * text_dim, IMAGE_DIM, generator=generator),
        "image_proj.proj.bias": torch.randn(4 * text_dim, generator=generator),
        "image_proj.norm.weight": torch.randn(text_dim, generator=generator),
        "image_proj.norm.bias": torch.randn(text_dim, generator=generator),
    }
    layers = [name for name in unet.attn_processors if is_cross_attention(name)]
    for i, name in enumerate(layers):
        channels = unet.get_submodule(name.removesuffix(".processor")).to_k.out_features
        for which in ("k", "v"):
            made[f"ip_adapter.{2 * i + 1}.to_{which}_ip.weight"] = torch.randn(
                channels, text_dim, generator=generator
            )
    return made


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory, weights: dict[str, Tensor]) -> IPAdapter:
    torch.manual_seed(0)
    home = tmp_path_factory.mktemp("ip_adapter")
    small = CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        image_size=32, patch_size=8, projection_dim=IMAGE_DIM,
    )  # fmt: skip
    CLIPVisionModelWithProjection(small).save_pretrained(home / ENCODER)
    save_file(weights, home / WEIGHTS)
    return IPAdapter(home)


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (64, 64, 3), np.uint8)


@pytest.mark.parametrize("branches", [1, 2])
def test_the_picture_is_seen_as_diffusers_lets_it_be_seen(
    branches: int, adapter: IPAdapter, weights: dict[str, Tensor]
) -> None:
    unet = tiny_networks()["unet"]
    frames, grid = 2, unet.config.sample_size
    z = torch.randn(branches * frames, 3, grid, grid, generator=torch.Generator().manual_seed(1))
    text = torch.randn(branches * frames, 7, 16, generator=torch.Generator().manual_seed(2))
    prompt = adapter.prompt(unet, picture(), 0.7)
    with torch.no_grad(), prompt.installed(unet, branches):
        ours = unet(z, 500, text).sample

    state: dict[str, dict[str, Tensor]] = {"image_proj": {}, "ip_adapter": {}}
    for name, value in weights.items():
        part, _, rest = name.partition(".")
        state[part][rest] = value
    theirs = deepcopy(unet)
    theirs._load_ip_adapter_weights([state], low_cpu_mem_usage=False)
    for name, processor in theirs.attn_processors.items():
        if is_cross_attention(name):
            processor.scale = [0.7]
    _, encoder, processor = adapter._parts
    with torch.no_grad():
        seen = encoder(**processor(picture(), return_tensors="pt")).image_embeds
        embeds = torch.cat([torch.zeros_like(seen), seen])[-branches:]
        embeds = embeds.repeat_interleave(frames, 0)[:, None]
        expected = theirs(z, 500, text, added_cond_kwargs={"image_embeds": [embeds]}).sample
        plain = unet(z, 500, text).sample
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(ours, plain, atol=1e-2)


def test_nothing_stays_installed_and_no_weight_shows_no_picture(adapter: IPAdapter) -> None:
    unet = tiny_networks()["unet"]
    z, text = torch.randn(1, 3, 16, 16), torch.randn(1, 7, 16)
    before = dict(unet.attn_processors)
    with torch.no_grad():
        with adapter.prompt(unet, picture(), 0.0).installed(unet, 1):
            unseen = unet(z, 500, text).sample
        assert unet.attn_processors == before
        torch.testing.assert_close(unseen, unet(z, 500, text).sample)


def test_the_baseline_animates_what_the_picture_shows(
    adapter: IPAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = replace(tiny_models(), ip_adapter=adapter)
    small = {"num_inference_steps": 2, "frames": 3, "transition_frames": 0, "crop": False}
    # attention to frame 0 is off: nothing but the prompt can carry the picture into a clip that starts from noise
    monkeypatch.setattr(build, "build_attention", lambda *_: None)
    baseline = Settings.preset("baseline-ip-adapter", "pocket").changed(small)
    unseen = baseline.changed({"baseline": "none"})

    def clip(settings: Settings, shown: int = 0) -> np.ndarray:
        rendered = scene_at_ease()
        seen = rendered.picture.copy()
        seen[:8] += np.uint8(shown)
        events = Animator(models).animate(Image.fromarray(seen), load_preset("wave"), settings)
        done = [event for event in events if isinstance(event, Done)]
        return np.stack(done[0].frames[1:]).astype(int)

    own = clip(baseline)
    assert np.array_equal(own, clip(baseline))
    assert np.abs(own - clip(unseen)).max() > 0
    assert np.array_equal(clip(unseen), clip(unseen, shown=90))
    assert np.abs(own - clip(baseline, shown=90)).max() > 0


def test_families_without_an_adapter_say_so() -> None:
    with pytest.raises(ModelsError, match="no IP-Adapter"):
        tiny_models().image_prompt(picture(), 1.0)


def test_an_adapter_that_can_not_be_had_gets_a_sentence(
    adapter: IPAdapter, tmp_path: Path, weights: dict[str, Tensor]
) -> None:
    unet = tiny_networks()["unet"]
    with pytest.raises(ModelsError, match="can't be used") as caught:
        IPAdapter(tmp_path).prompt(unet, picture(), 1.0)
    assert "another baseline" in caught.value.remedy
    fewer = {name: value for name, value in weights.items() if ".3." not in name}
    (tmp_path / ENCODER).symlink_to(Path(adapter.source) / ENCODER)
    save_file(fewer, tmp_path / WEIGHTS)
    with pytest.raises(ModelsError, match="can't be used"):
        IPAdapter(tmp_path).prompt(unet, picture(), 1.0)
    (tmp_path / WEIGHTS).write_bytes(b"no weights")
    with pytest.raises(ModelsError, match="can't be used"):
        IPAdapter(tmp_path).prompt(unet, picture(), 1.0)
