"""Stable Diffusion XL without its weights: its exact structure with fewer channels, random weights, the real loader."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sd15_random
import sdxl_random
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionXLControlNetPipeline,
    StableDiffusionXLPipeline,
)
from helpers.hub import Hub, served
from PIL import Image
from torch import Tensor

from poseanimate.animator import Animator
from poseanimate.errors import ModelsError
from poseanimate.events import Done
from poseanimate.method.ddim import DDIM
from poseanimate.method.denoiser import Denoiser
from poseanimate.method.pacm import PoseOptimisation, optimise_embeddings
from poseanimate.models import input_models, loading
from poseanimate.models.family import Models
from poseanimate.models.files import SDXL, SDXL_CONTROLNET, SDXL_VAE, find_family
from poseanimate.models.hub import Repository
from poseanimate.models.input_models import load_input_models
from poseanimate.models.loading import load_models
from poseanimate.pipeline.memory import frame_bytes
from poseanimate.poses.motion import load_preset
from poseanimate.settings import Settings

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"
PROMPT = "a boy in the street"
SIDE = 256
GRID = (SIDE // 8, SIDE // 8)
CLOSE = {"atol": 2e-4, "rtol": 1e-3}
VAE = Repository.parse(SDXL_VAE)
assert VAE is not None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = sdxl_random.write(tmp_path_factory.mktemp("sdxl"), sdxl_random.NARROW)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def models(folder: Path) -> Models:
    return load_models(str(folder), "cpu")


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def denoiser(models: Models, **choice: Any) -> Denoiser:
    empty, told = (models.added(text, SIDE, SIDE) for text in ("", PROMPT))
    added = {name: torch.cat([empty[name], told[name]]) for name in told}
    return Denoiser(
        models.unet, models.controlnet, models.embed(PROMPT), models.embed(""), added=added,
        **{"guidance_scale": 5.0} | choice,
    )  # fmt: skip


# --- what is loaded ---


def test_the_full_networks_are_the_published_ones() -> None:
    """By their numbers of parameters; nothing takes memory."""
    with torch.device("meta"):
        networks = sdxl_random.build(sdxl_random.Size())
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in networks.items()}
    assert counts == {
        "unet": 2_567_463_684,
        "controlnet": 1_251_014_160,
        "vae": 83_653_863,
        "text_encoder": 123_060_480,
        "text_encoder_2": 694_659_840,
    }


def test_a_folder_is_of_the_family(models: Models, folder: Path) -> None:
    assert models.family == "sdxl" and models.side == SIDE and models.factor == 8
    assert models.thick_skeletons and models.zero_when_empty
    assert find_family(str(folder)) == find_family("sdxl") == "sdxl"
    assert models.ip_adapter is None
    light = load_models(str(folder), "cpu", weights=False)
    assert light.identity == models.identity
    assert light.text_encoder_2 is not None and light.text_encoder_2.device.type == "meta"
    assert models.unread(PROMPT) == ""


@pytest.mark.parametrize("part", ["tokenizer_2", "text_encoder_2"])
def test_a_part_that_is_missing_is_named(folder: Path, tmp_path: Path, part: str) -> None:
    for other in folder.iterdir():
        if other.name != part:
            (tmp_path / other.name).symlink_to(other)
    with pytest.raises(ModelsError, match=f"{part}/ is missing"):
        load_models(str(tmp_path), "cpu")


def test_networks_of_another_width_are_refused(folder: Path, tmp_path: Path) -> None:
    for other in folder.iterdir():
        (tmp_path / other.name).symlink_to(other)
    (tmp_path / "text_encoder").unlink()
    (tmp_path / "text_encoder").symlink_to(folder / "text_encoder_2")
    with pytest.raises(ModelsError, match="takes text of 2048 channels"):
        load_models(str(tmp_path), "cpu")


def test_lora_are_not_for_it(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"lora_unet_mid.lora_down.weight": torch.zeros(1, 1)}, tmp_path / "a.safetensors")
    with pytest.raises(ModelsError, match="not for XL"):
        load_models(str(folder), "cpu", lora=str(tmp_path / "a.safetensors"))


def test_the_hub_gives_the_autoencoder_for_half_precision(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (loading, input_models):
        monkeypatch.setattr(module, "load_eyes", lambda *_: ("finds", "cuts", None))
    assert VAE is not None
    home = tmp_path / "hub"
    for repository in (SDXL, SDXL_CONTROLNET, VAE):
        (home / repository.id).mkdir(parents=True)
    for part in folder.iterdir():
        if part.name != "controlnet":
            copy = home / SDXL.id / part.name
            if part.is_dir():
                shutil.copytree(part, copy, copy_function=os.link)
            else:
                os.link(part, copy)
    for path in (folder / "controlnet").iterdir():
        os.link(path, home / SDXL_CONTROLNET.id / path.name)
    torch.manual_seed(9)
    config = AutoencoderKL.load_config(folder / "vae")
    other = AutoencoderKL.from_config(config)
    other.save_pretrained(home / VAE.id)
    with served(home, tmp_path / "cache", monkeypatch) as hub:
        assert isinstance(hub, Hub)
        looking = load_input_models("sdxl", "cpu")
        assert not any(name.endswith(".safetensors") for name in hub.asked)
        models = load_models("sdxl", "cpu")
        assert (looking.side, looking.factor) == (models.side, models.factor)
        assert not any("vae" in name for name in hub.asked if name.startswith(SDXL.id))
        hub.requests = 0
        assert load_models("sdxl", "cpu").identity == models.identity
        assert hub.requests == 0
    assert models.name == "sdxl" and models.family == "sdxl"
    assert torch.equal(models.vae.encoder.conv_in.weight, other.encoder.conv_in.weight)


class Attention(torch.autograd.Function):
    """Keeps for its gradient what fused attention keeps, and computes nothing."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out = torch.empty_like(q)
        ctx.save_for_backward(q, k, v, out)
        return out


@pytest.mark.parametrize("family", ["sd15", "sdxl"])
def test_what_a_gradient_keeps_is_what_is_planned_with(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted on the published networks without memory, for a frame with guidance; a tenth more is planned at most."""
    attend = lambda q, k, v, *_, **__: Attention.apply(q, k, v)  # noqa: E731
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", attend)
    kept: dict[int, Tensor] = {}
    with torch.device("meta"):
        if family == "sd15":
            unet, controlnet, side = sd15_random.unet(), sd15_random.controlnet(), 512
        else:
            networks = sdxl_random.build(sdxl_random.Size())
            unet, controlnet, side = networks["unet"], networks["controlnet"], 1024
        weights = {
            weight.untyped_storage()._cdata
            for network in (unet, controlnet)
            for weight in network.requires_grad_(False).state_dict().values()
        }

        def pack(tensor: Tensor) -> Tensor:
            if tensor.untyped_storage()._cdata not in weights:
                kept[tensor.untyped_storage()._cdata] = tensor
            return tensor

        z, t = torch.zeros(2, 4, side // 8, side // 8), torch.ones(1)
        text = torch.zeros(2, 77, unet.config.cross_attention_dim, requires_grad=True)
        added = {"text_embeds": torch.zeros(2, 1280), "time_ids": torch.zeros(2, 6)}
        half = {name: value[:1] for name, value in added.items()}
        drawing = torch.zeros(1, 3, side, side)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            down, mid = controlnet(
                z[:1], t, text[:1], drawing, added_cond_kwargs=half, return_dict=False
            )
            unet(
                z, t, text, added_cond_kwargs=added,
                down_block_additional_residuals=[r.repeat(2, 1, 1, 1) for r in down],
                mid_block_additional_residual=mid.repeat(2, 1, 1, 1),
            )  # fmt: skip
    counted = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    assert counted <= frame_bytes(unet, side**2) <= 1.1 * counted


# --- diffusers' own pipelines are the reference ---


@pytest.mark.parametrize("text", [PROMPT, ""])
def test_texts_are_encoded_as_diffusers_does(models: Models, text: str) -> None:
    pipeline = StableDiffusionXLPipeline(
        None, models.text_encoder, models.text_encoder_2, models.tokenizer, models.tokenizer_2,
        models.unet, DDIMScheduler.from_config(models.scheduler.config),
    )  # fmt: skip
    with torch.no_grad():
        positive, negative, pooled, pooled_negative = pipeline.encode_prompt(
            PROMPT, negative_prompt=text or None, device=torch.device("cpu")
        )
    if text:
        negative, pooled_negative = positive, pooled
    assert torch.equal(models.embed(text), negative)
    assert torch.equal(models.added(text, 8, 16)["text_embeds"], pooled_negative)
    sizes = pipeline._get_add_time_ids((8, 16), (0, 0), (8, 16), torch.float32, 1280)
    assert torch.equal(models.added(text, 8, 16)["time_ids"], sizes)


@pytest.mark.parametrize("guidance_scale", [1.0, 5.0])
def test_plain_sampling_is_diffusers_own(models: Models, guidance_scale: float) -> None:
    steps, z = 2, noise(1, 4, *GRID)
    drawing = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    pipeline = StableDiffusionXLControlNetPipeline(
        None, models.text_encoder, models.text_encoder_2, models.tokenizer, models.tokenizer_2,
        models.unet, models.controlnet, DDIMScheduler.from_config(models.scheduler.config),
        feature_extractor=None,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    expected = pipeline(
        PROMPT, image=drawing, latents=z, num_inference_steps=steps, height=SIDE, width=SIDE,
        guidance_scale=guidance_scale, output_type="latent",
    ).images  # fmt: skip
    eps = denoiser(models, guidance_scale=guidance_scale, controlnet_text="branch")
    ddim = DDIM.from_scheduler(models.scheduler, steps)
    with torch.no_grad():
        pose_cond = eps.embed_poses(drawing)
        for k in range(steps, 0, -1):
            z = ddim.step(z, eps.predict(z, ddim.timestep(k), eps.prompt, pose_cond), k)
    torch.testing.assert_close(z, expected, **CLOSE)


# --- the method ---


@pytest.mark.parametrize("role", ["conditional", "unconditional"])
def test_the_second_optimisation_is_alg_1(models: Models, role: str) -> None:
    """Transcribed literally, with the networks called as diffusers' documentation has it."""
    ddim, w, eta = DDIM.from_scheduler(models.scheduler, 2), 5.0, 1e-2
    eps = denoiser(models, embedding_role=role)
    drawing = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    inverted, source = noise(3, 4, *GRID), eps.initial + noise(2, 77, 2048, seed=2) / 50
    config = PoseOptimisation(learning_rate=eta)
    with torch.no_grad():
        pose_cond = eps.embed_poses(drawing)
    steps = optimise_embeddings(eps, ddim, inverted, source, inverted[-1:], pose_cond, config)
    while True:
        try:
            next(steps)
        except StopIteration as ended:
            found = ended.value
            break

    empty, told = (models.added(text, SIDE, SIDE) for text in ("", PROMPT))
    null, prompt = models.embed(""), models.embed(PROMPT)
    own = told if role == "conditional" else empty
    for i in range(2):
        z = inverted[2:]
        for k in (2, 1):
            embedding = source[k - 1 : k].clone().requires_grad_(True)
            t = ddim.timestep(k)
            residuals = models.controlnet(
                z, t, embedding, drawing[i : i + 1], added_cond_kwargs=own, return_dict=False
            )
            branches = []
            for text, added in (
                (null if role == "conditional" else embedding, empty),
                (embedding if role == "conditional" else prompt, told),
            ):
                branches.append(
                    models.unet(
                        z, t, text, added_cond_kwargs=added,
                        down_block_additional_residuals=residuals[0],
                        mid_block_additional_residual=residuals[1],
                    ).sample
                )  # fmt: skip
            z_prev = ddim.step(z, branches[0] + w * (branches[1] - branches[0]), k)
            loss = (z_prev - inverted[k - 1 : k]).square().sum()
            (gradient,) = torch.autograd.grad(loss, embedding)
            expected = embedding.detach() - eta * gradient
            torch.testing.assert_close(found[i, k - 1 : k], expected, **CLOSE)
            assert float((expected - source[k - 1 : k]).abs().max()) > 1e-5
            z = z_prev.detach()


def test_every_stage_runs(models: Models) -> None:
    """The paper's settings but for T: both optimisations, DCAM, MGDM. Random attention alone finds no character."""
    settings = replace(
        Settings.preset("paper", "sdxl"),
        num_inference_steps=2,
        frames=3,
        inner_steps=1,
        frame_masks="both",
    )
    animator = Animator(models, chunk_size=2)
    picture = Image.open(EXAMPLES / "characters" / "street-boy.png")
    with torch.no_grad():
        *_, done = animator.animate(picture, load_preset("walk"), settings, PROMPT)
    assert isinstance(done, Done) and len(done.frames) == 3
    assert all(frame.shape == done.frames[0].shape for frame in done.frames)
    assert not np.array_equal(done.frames[1], done.frames[2])
    assert set(done.stage_calls) == {
        "inversion",
        "pacm_source",
        "frame_0",
        "pacm_pose",
        "generation",
    }
    assert done.lost_attention  # MGDM took part


def test_presets_are_sd15s() -> None:
    for name in ("paper", "balanced", "fast"):
        assert asdict(Settings.preset(name, "sdxl")) == asdict(Settings.preset(name, "sd15"))


def test_the_index_says_what_the_empty_prompt_is(folder: Path, tmp_path: Path) -> None:
    for other in folder.iterdir():
        if other.name != "model_index.json":
            (tmp_path / other.name).symlink_to(other)
    about = json.loads((folder / "model_index.json").read_text())
    about["force_zeros_for_empty_prompt"] = False
    (tmp_path / "model_index.json").write_text(json.dumps(about))
    models = load_models(str(tmp_path), "cpu")
    assert not models.zero_when_empty and float(models.embed("").abs().max()) > 0
