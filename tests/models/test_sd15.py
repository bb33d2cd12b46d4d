"""Stable Diffusion 1.5 without its weights: the exact networks, random weights, the hub's layout, the real loader."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import sd15_random
import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from PIL import Image
from transformers import CLIPTextModel

from poseanimate.cli import main as cli
from poseanimate.events import Returning
from poseanimate.inputs.prompt import find_character_words
from poseanimate.media import read_video
from poseanimate.method.attention_maps import CrossAttentionMaps
from poseanimate.method.cross_frame import FramePass, KeyValueCache
from poseanimate.method.dcam import DualConsistency, Lambdas
from poseanimate.method.ddim import DDIM
from poseanimate.method.denoiser import Denoiser
from poseanimate.method.pacm import PoseOptimisation, optimise_embeddings
from poseanimate.method.processors import is_cross_attention, is_self_attention_of_up_blocks
from poseanimate.method.regions import ChunkRegions
from poseanimate.method.sampler import Sampler
from poseanimate.models import loading
from poseanimate.models.family import Models
from poseanimate.models.loading import load_models

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"
SIDE = 128
GRID = (SIDE // 8, SIDE // 8)
CLOSE = {"atol": 1e-4, "rtol": 1e-3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = sd15_random.write(tmp_path_factory.mktemp("sd15"), SIDE)
    yield folder
    shutil.rmtree(folder)  # 2.9 GB


@pytest.fixture(scope="module")
def models(folder: Path) -> Models:
    return load_models(str(folder), "cpu")


def denoiser(models: Models, guidance_scale: float = 7.5) -> Denoiser:
    return Denoiser(
        models.unet, models.controlnet,
        models.embed("a boy in the street"), models.embed(""), guidance_scale,
    )  # fmt: skip


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# --- the networks ---


def test_the_networks_are_those_of_stable_diffusion() -> None:
    """Parameters as published: 860 M, 361 M, 84 M, 123 M."""
    with torch.device("meta"):
        count = {
            name: sum(weight.numel() for weight in build().parameters())
            for name, build in sd15_random.NETWORKS.items()
        }
    assert count == {
        "unet": 859_520_964,
        "controlnet": 361_279_120,
        "vae": 83_653_863,
        "text_encoder": 123_060_480,
    }


def test_the_loader_reads_the_hubs_layout(models: Models, folder: Path) -> None:
    assert (folder / "unet" / "diffusion_pytorch_model.fp16.safetensors").is_file()
    assert isinstance(models.unet, UNet2DConditionModel)
    assert isinstance(models.controlnet, ControlNetModel)
    assert isinstance(models.vae, AutoencoderKL)
    assert isinstance(models.text_encoder, CLIPTextModel)
    assert (models.side, models.factor, models.family) == (SIDE, 8, "sd15")
    assert {models.unet.dtype, models.vae.dtype, models.text_encoder.dtype} == {torch.float32}
    config = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    ddim = DDIM.from_scheduler(models.scheduler, 50)
    assert config["_class_name"] == "PNDMScheduler"
    assert (
        ddim.timestep(50) == 981 and ddim.timestep(1) == 1
    )  # of diffusers' DDIM with an offset of 1


def test_dc_attention_is_in_the_up_blocks_self_attention_alone(models: Models) -> None:
    names = [n for n in models.unet.attn_processors if is_self_attention_of_up_blocks(n)]
    assert names == [
        f"up_blocks.{block}.attentions.{i}.transformer_blocks.0.attn1.processor"
        for block in (1, 2, 3)
        for i in (0, 1, 2)
    ]
    assert len(models.unet.attn_processors) == 32
    assert sum(map(is_cross_attention, models.unet.attn_processors)) == 16
    attention = DualConsistency(branches=1, lambdas=Lambdas())
    before = dict(models.unet.attn_processors)
    with attention.installed(models.unet, FramePass(981, None, None, KeyValueCache())):
        changed = [n for n, own in models.unet.attn_processors.items() if own is not before[n]]
    assert changed == names
    assert models.unet.attn_processors == before


def test_pictures_and_latents_have_the_published_shapes(models: Models) -> None:
    picture = torch.rand(1, 3, 192, 128, generator=torch.Generator().manual_seed(0))
    z = models.encode(picture)
    assert z.shape == (1, 4, 24, 16)
    assert models.decode(z).shape == (1, 3, 192, 128)
    assert models.embed("a girl").shape == (1, 77, 768)


# --- the method on them ---


def test_chunks_give_what_all_frames_at_once_give(models: Models) -> None:
    """Keys and values of frames 0 and i - 1 left behind at 9 layers, with masks, guidance and two steps."""
    steps, frames = 2, 2
    ddim = DDIM.from_scheduler(models.scheduler, steps)
    trajectory = noise(steps + 1, 4, *GRID)
    masks = torch.zeros(frames + 1, SIDE, SIDE)
    for i, mask in enumerate(masks):
        mask[20:110, 30 + 15 * i : 70 + 15 * i] = 1
    found = []
    for sizes in ([1, 1], [2]):
        eps = denoiser(models)
        drawings = torch.rand(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
        pose_cond = eps.embed_poses(drawings)
        attention = DualConsistency(branches=2, lambdas=Lambdas())
        sampler = Sampler(eps, ddim, trajectory[-1:], attention, masks[:1])
        embeddings = eps.prompt.expand(steps, -1, -1)
        recording = Returning(sampler.record_source(trajectory, embeddings, pose_cond[:1]))
        assert len(list(recording)) == steps
        source = previous = recording.result
        at, clip = 1, []
        for size in sizes:
            own = embeddings.expand(size, -1, -1, -1)
            rows = slice(at, at + size)
            sampling = Returning(
                sampler.sample_chunk(source, previous, own, pose_cond[rows], masks[rows])
            )
            assert len(list(sampling)) == steps
            clip.append(sampling.result.latents)
            previous = sampling.result.last
            at += size
        found.append(torch.cat(clip))
        for record in (source, previous):
            assert len(record.keys_values._kept) == 9 * steps
    assert found[0].shape == (frames, 4, *GRID)
    torch.testing.assert_close(*found, **CLOSE)


def test_one_step_of_the_second_optimisation(models: Models) -> None:
    """Alg. 1 by the real networks: the gradient reaches every token, and a small step along it lowers the loss."""
    ddim = DDIM.from_scheduler(models.scheduler, 2)
    eps = denoiser(models)
    drawing = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    pose_cond = eps.embed_poses(drawing)
    inverted, source = noise(3, 4, *GRID), eps.prompt.expand(2, -1, -1)
    maps = CrossAttentionMaps((2,), 1, GRID)
    steps = optimise_embeddings(
        eps, ddim, inverted, source, inverted[-1:], pose_cond, PoseOptimisation(), maps
    )
    next(steps)
    seen = maps.maps()
    assert seen.shape == (1, *GRID) and float(seen.min()) == 0 and float(seen.max()) == 1

    def loss(embedding: torch.Tensor) -> torch.Tensor:
        z = ddim.step(
            inverted[-1:], eps.predict(inverted[-1:], ddim.timestep(2), embedding, pose_cond), 2
        )
        return (z - inverted[1:2]).square().mean()

    embedding = source[1:].clone().requires_grad_(True)
    before = loss(embedding)
    (gradient,) = torch.autograd.grad(before, embedding)
    assert gradient.shape == (1, 77, 768) and gradient.isfinite().all()
    assert (gradient.abs().amax(-1) > 0).all()
    step = 0.01 * gradient / gradient.norm()
    with torch.no_grad():
        after = loss(embedding - step)
    assert float(after) < float(before.detach())
    assert not any(weight.requires_grad for weight in models.unet.parameters())


def test_a_step_at_512_px(models: Models) -> None:
    eps = denoiser(models)
    grid = (64, 64)
    mask = torch.zeros(3, 512, 512)
    mask[:, 100:400, 200:320] = 1
    attention, kept = DualConsistency(branches=2, lambdas=Lambdas()), KeyValueCache()
    own = FramePass(981, None, None, kept, ChunkRegions(mask, grid, branches=2))
    with torch.no_grad(), attention.installed(models.unet, own):
        drawing = torch.rand(1, 3, 512, 512, generator=torch.Generator().manual_seed(1))
        predicted = eps.predict(noise(1, 4, *grid), 981, eps.prompt, eps.embed_poses(drawing))
    assert predicted.shape == (1, 4, *grid) and predicted.isfinite().all()
    numbers = kept.nbytes / 4 / 2  # single precision, by guidance branch
    assert 2 * numbers == pytest.approx(27.5e6, rel=0.01)  # bytes in half precision


# --- the tokenizer ---


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("a photo of a cat", [49406, 320, 1125, 539, 320, 2368, 49407]),
        ("", [49406, 49407]),
    ],
)
def test_the_tokenizer_is_clips(models: Models, text: str, ids: list[int]) -> None:
    assert models.tokenizer(text).input_ids == ids


@pytest.mark.parametrize(
    ("prompt", "chosen", "tokens"),
    [
        ("a skateboarder on the road", "", ["skate", "boarder</w>"]),
        ("A Skateboarder, on the road!", "", ["skate", "boarder</w>"]),
        ("a photo of an iron man on the road", "", ["iron</w>", "man</w>"]),
        ("a girl in a red T-shirt", "t-shirt", ["t</w>", "-</w>", "shirt</w>"]),
        ("the king's daughter (smiling)", "", ["king</w>", "'s</w>", "daughter</w>"]),
        ("a hobbit", "", ["hobbit</w>"]),
        ("two people, a man and a woman", "man", ["man</w>"]),  # not within "woman"
        ("a girl, a girl", "girl", ["girl</w>", "girl</w>"]),
        ("a boy with a dog", "cat", []),
    ],
)
def test_the_characters_words_are_found_in_its_tokens(
    models: Models, prompt: str, chosen: str, tokens: list[str]
) -> None:
    found = models.token_positions(prompt, find_character_words(prompt, chosen))
    ids = models.tokenizer(prompt).input_ids
    assert models.tokenizer.convert_ids_to_tokens([ids[i] for i in found]) == tokens


def test_a_prompt_ends_after_75_tokens_and_says_so(models: Models) -> None:
    words = ["red"] * 74
    assert models.unread(" ".join([*words, "girl"])) == ""
    assert models.unread(" ".join([*words, "girl", "boy", "dog"])) == "boy dog"
    assert models.token_positions(" ".join([*words, "girl"]), ["girl"]) == (75,)
    assert models.token_positions(" ".join([*words, "red", "girl"]), ["girl"]) == ()
    assert models.embed(" ".join(words * 3)).shape == (1, 77, 768)


# --- the whole way ---


def test_the_command_line_animates_a_photo_with_a_video(
    models: Models, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    """Every stage on the real classes; the eyes are the pocket models', for random ones see nothing."""
    photo = Image.open(EXAMPLES / "characters" / "street-boy.png").convert("RGB")
    photo.resize((300, 300)).save(tmp_path / "photo.jpg")
    # loaded above, from the same folder
    monkeypatch.setattr(loading, "load_models", lambda name, *_, **__: {str(folder): models}[name])
    arguments = [
        "animate", str(tmp_path / "photo.jpg"),
        str(EXAMPLES / "videos" / "street-boy-dance-disco.mp4"),
        "--end", "0.4", "-o", str(tmp_path / "clip.mp4"), "--models", str(folder), "--device", "cpu",
        "--prompt", "a boy in the street", "--no-cache", "--json", "--enlarge", "1", "--preset", "paper",
        "--frames", "2", "--set", "num_inference_steps=2", "inner_steps=1", "transition_frames=0",
    ]  # fmt: skip
    assert cli.main(arguments) == 0
    done = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert done["frames"] == 2
    stages = {"inversion", "pacm_source", "frame_0", "pacm_pose", "generation", "decoding"}
    assert stages <= set(done["seconds"])
    # T = 2, n = 1: inversion 2; Eq. 6 2 (1 + n) guided; frame 0 2 guided; Alg. 1 2 guided; the frame 2 guided
    assert done["model_calls"] == {"controlnet": 12, "unet": 22, "gradient": 8}
    frames = read_video(tmp_path / "clip.mp4").frames
    assert [frame.shape for frame in frames] == 2 * [(SIDE, SIDE, 3)]
    assert np.std(frames[1]) > 1
