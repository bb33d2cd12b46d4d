"""Loading model families, and the border between pictures and latents."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderDC, AutoencoderKL, AutoencoderTiny
from helpers.tiny import SIDE, scene_at_ease, tiny_models, tiny_networks

from poseanimate.animator import Animator, Character
from poseanimate.errors import ModelsError
from poseanimate.models.family import Models, to_pixels, to_tensor
from poseanimate.models.files import POCKET
from poseanimate.models.loading import load_models
from poseanimate.pipeline.cost import CostModel
from poseanimate.pocket.perception import PerceptionNet
from poseanimate.poses.motion import load_preset
from poseanimate.settings import Settings

MB = 1_000_000
CLASSES = {
    "vae": ["diffusers", "AutoencoderKL"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "controlnet": ["diffusers", "ControlNetModel"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "scheduler": ["diffusers", "DDIMScheduler"],
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny networks as the hub lays a pipeline out, with eyes beside them."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    for name, part in tiny_networks().items():
        part.save_pretrained(folder / name)
    torch.manual_seed(0)
    PerceptionNet((8, 8, 8, 8)).save(folder / "perception")
    index = {"_class_name": "StableDiffusionControlNetPipeline", **CLASSES}
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    shutil.copytree(saved, tmp_path / "copy")
    return tmp_path / "copy"


def refused(name: Path | str) -> ModelsError:
    with pytest.raises(ModelsError) as caught:
        load_models(str(name), "cpu")
    assert caught.value.message.endswith(".") and caught.value.remedy.endswith(".")
    return caught.value


# --- folders ---


def test_a_folder_in_the_hubs_layout_is_loaded(saved: Path) -> None:
    models = load_models(str(saved), "cpu")
    assert isinstance(models.vae, AutoencoderKL)
    assert models.name == "tiny"
    assert models.side == SIDE
    assert models.factor == 4
    assert models.device == torch.device("cpu")
    for name in ("unet", "controlnet", "vae", "text_encoder"):
        network = getattr(models, name)
        assert not network.training
        assert not any(weight.requires_grad for weight in network.parameters())
        own = tiny_networks()[name].state_dict()
        for key, weight in network.state_dict().items():
            torch.testing.assert_close(weight, own[key], atol=0, rtol=0)
    picture = scene_at_ease().picture
    assert models.detector is models.segmenter
    assert models.segmenter.segment(picture).shape == picture.shape[:2]
    assert torch.equal(models.embed("a girl"), tiny_models().embed("a girl"))


@pytest.mark.parametrize("precision", ["half", "full"])
def test_without_weights_all_is_known_that_needs_no_run(saved: Path, precision: str) -> None:
    whole = load_models(str(saved), "cpu", precision=precision)
    models = load_models(str(saved), "cpu", precision=precision, weights=False)
    for name in ("unet", "controlnet", "text_encoder"):
        shapes = {
            key: (each.shape, each.dtype) for key, each in getattr(whole, name).state_dict().items()
        }
        bare = getattr(models, name)
        assert {key: (each.shape, each.dtype) for key, each in bare.state_dict().items()} == shapes
        assert all(weight.is_meta for weight in bare.parameters()), "it takes no memory"
    assert (models.identity, models.device) == (whole.identity, torch.device("cpu"))
    rendered = scene_at_ease()
    job = Character(rendered.picture, rendered.pose, rendered.mask), load_preset("walk"), Settings()
    known = CostModel(1.0, 10, 1.0)
    told = []
    for each in (whole, models):
        animator = Animator(each)
        animator.cost_model = known
        told.append(animator.forecast(*job, "a girl"))
    assert told[0] == told[1] and told[0] is not None
    if precision == "full":  # the autoencoder is there, which evaluations need
        picture = to_tensor(rendered.picture[None], models.device)
        assert torch.equal(
            models.decode(models.encode(picture)), whole.decode(whole.encode(picture))
        )


def test_the_pocket_family_is_loaded_by_the_same_loader() -> None:
    models = load_models("pocket", "cpu")
    assert isinstance(models.vae, AutoencoderDC)
    assert (models.name, models.side, models.factor, models.scale) == ("pocket", 128, 8, 2)
    picture = scene_at_ease("held-out", 1, 128).picture
    z = models.encode(to_tensor(picture[None], models.device))
    assert z.shape == (1, models.unet.config.in_channels, 16, 16)
    assert models.decode(z).shape == (1, 3, 256, 256) and models.painted_side == 256
    assert 0.6 < float(z.std()) < 1.6
    assert "on the beach" in models.places  # what isn't the place is the character


def test_the_pocket_weights_are_small_and_safe() -> None:
    files = [path for path in POCKET.rglob("*") if path.is_file()]
    assert max(path.stat().st_size for path in files) < 9 * MB
    assert sum(path.stat().st_size for path in files) < 40 * MB
    assert {path.suffix for path in files} <= {".safetensors", ".json", ".txt", ".md"}
    for path in files:
        if path.suffix == ".json":
            assert "_name_or_path" not in json.loads(path.read_text())


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    for name in (tmp_path, tmp_path / "nothing", "", "Pocket"):
        error = refused(name)
        assert "model_index.json" in error.message
        assert "pocket" in error.remedy


@pytest.mark.parametrize("part", sorted(CLASSES.keys() - {"controlnet"}))
def test_a_missing_part_is_named(folder: Path, part: str) -> None:
    shutil.rmtree(folder / part)
    assert f"{part}/ is missing" in refused(folder).message


@pytest.mark.parametrize("part", ["unet", "vae", "controlnet", "text_encoder", "perception"])
@pytest.mark.parametrize("damage", ["garbage", "cut", "gone"])
def test_damaged_weights_are_refused(folder: Path, part: str, damage: str) -> None:
    (weights,) = (folder / part).glob("*.safetensors")
    if damage == "garbage":
        weights.write_bytes(b"\xff" * 1000)
    elif damage == "cut":
        weights.write_bytes(weights.read_bytes()[:-100])
    else:
        weights.unlink()
    gone = damage == "gone" and part != "perception"
    words = f"{part}/ holds no safetensors" if gone else "can't be loaded"
    assert words in refused(folder).message


def test_weights_of_another_shape_are_refused(folder: Path) -> None:
    config = folder / "unet" / "config.json"
    config.write_text(
        config.read_text().replace('"cross_attention_dim": 16', '"cross_attention_dim": 24')
    )
    assert "can't be loaded" in refused(folder).message


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"vae": null}', '{"vae": []}', '{"vae": "AutoencoderKL"}']
)
def test_a_broken_index_is_refused(folder: Path, text: str) -> None:
    (folder / "model_index.json").write_text(text)
    assert "can't be loaded" in refused(folder).message


def test_an_unknown_autoencoder_is_named(folder: Path) -> None:
    (folder / "vae" / "config.json").write_text('{"_class_name": "VQModel"}')
    assert "VQModel" in refused(folder).message


def test_pickled_weights_are_never_read(folder: Path) -> None:
    (weights,) = (folder / "unet").glob("*.safetensors")
    weights.unlink()
    torch.save(
        tiny_networks()["unet"].state_dict(), folder / "unet" / "diffusion_pytorch_model.bin"
    )
    refused(folder)


# --- identity ---


def test_identity_is_that_of_the_contents(saved: Path, folder: Path) -> None:
    own = load_models(str(saved), "cpu").identity
    (folder / "README.md").write_text("words")
    assert load_models(str(folder), "cpu").identity == own
    (weights,) = (folder / "unet").glob("*.safetensors")
    data = bytearray(weights.read_bytes())
    data[-4] ^= 1  # the lowest bit of the last weight
    weights.write_bytes(data)
    assert load_models(str(folder), "cpu").identity != own


def test_identity_sees_the_middle_of_a_shard(folder: Path) -> None:
    shard = folder / "unet" / "other.safetensors"
    found = []
    for byte in (0, 1):
        data = bytearray(9 * MB)
        data[4 * MB] = byte
        shard.write_bytes(data)
        found.append(load_models(str(folder), "cpu").identity)
    assert found[0] != found[1]


# --- latents ---


def kl(**options) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8, 8, 8), latent_channels=3, norm_num_groups=4, layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
        **options,
    )  # fmt: skip


def dc(**options) -> AutoencoderDC:
    return AutoencoderDC(
        latent_channels=5, encoder_block_types="ResBlock", decoder_block_types="ResBlock",
        encoder_block_out_channels=(8, 8, 16), decoder_block_out_channels=(8, 8, 16),
        encoder_layers_per_block=(0, 1, 1), decoder_layers_per_block=(0, 1, 1),
        encoder_qkv_multiscales=((), (), ()), decoder_qkv_multiscales=((), (), ()),
        downsample_block_type="pixel_unshuffle", upsample_block_type="pixel_shuffle",
        encoder_out_shortcut=False, decoder_in_shortcut=False, **options,
    )  # fmt: skip


def small(**options) -> AutoencoderTiny:
    return AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8), decoder_block_out_channels=(8, 8, 8),
        num_encoder_blocks=(1, 1, 1), num_decoder_blocks=(1, 1, 1), latent_channels=4, **options,
    )  # fmt: skip


def models_with(vae) -> Models:
    return replace(tiny_models(), vae=vae.eval().requires_grad_(False))


@pytest.mark.parametrize(("build", "channels"), [(kl, 3), (dc, 5), (small, 4)])
def test_latents_are_scaled_as_the_autoencoder_says(build, channels: int) -> None:
    torch.manual_seed(0)
    vae = build(scaling_factor=0.25)
    models = models_with(vae)
    assert models.factor == 4
    pictures = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(1))
    encoded = vae.encode(pictures * 2 - 1)
    plain = {
        kl: lambda: encoded.latent_dist.mode(),
        dc: lambda: encoded.latent,
        small: lambda: encoded.latents,
    }[build]()
    z = models.encode(pictures)
    assert z.shape == (2, channels, 8, 12)
    torch.testing.assert_close(z, 0.25 * plain)
    again = models.decode(z)
    assert again.shape == pictures.shape
    assert float(again.min()) >= 0 and float(again.max()) <= 1
    expected = (vae.decode(plain).sample / 2 + 0.5).clamp(0, 1)
    torch.testing.assert_close(again, expected, atol=1e-5, rtol=1e-4)


def test_a_shift_of_the_latents_is_undone() -> None:
    torch.manual_seed(0)
    vae = kl(scaling_factor=0.5, shift_factor=0.3)
    models = models_with(vae)
    pictures = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    plain = vae.encode(pictures * 2 - 1).latent_dist.mode()
    torch.testing.assert_close(models.encode(pictures), (plain - 0.3) * 0.5)
    expected = (vae.decode(plain).sample / 2 + 0.5).clamp(0, 1)
    torch.testing.assert_close(models.decode((plain - 0.3) * 0.5), expected, atol=1e-5, rtol=1e-4)


def test_encoding_is_the_same_every_time() -> None:
    models = tiny_models()
    picture = to_tensor(scene_at_ease().picture[None], models.device)
    assert torch.equal(models.encode(picture), models.encode(picture))


def test_pixels_survive_the_border() -> None:
    every = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    tensor = to_tensor(every, torch.device("cpu"))
    assert tensor.shape == (1, 3, 16, 16)
    assert (float(tensor.min()), float(tensor.max())) == (0.0, 1.0)
    assert np.array_equal(to_pixels(tensor), every)
    read_only = np.broadcast_to(every, every.shape)
    assert torch.equal(to_tensor(read_only, torch.device("cpu")), tensor)


# --- words ---


def tokens_at(models: Models, text: str, positions: tuple[int, ...]) -> list[str]:
    ids = models.tokenizer(text).input_ids
    return models.tokenizer.convert_ids_to_tokens([ids[position] for position in positions])


def test_words_are_found_in_the_prompts_tokens() -> None:
    models = tiny_models()
    text = "a girl with red hair, in a red skirt"
    assert models.token_positions(text, ["girl"]) == (2,)
    assert models.token_positions(text, ["hair", "girl"]) == (2, 5)
    found = models.token_positions(text, ["red"])
    assert tokens_at(models, text, found) == ["red</w>", "red</w>"]
    assert models.token_positions(text, ["boy"]) == ()
    assert models.token_positions(text, []) == ()


def test_a_word_of_several_tokens_is_found_whole() -> None:
    models = tiny_models()
    text = "the wizard and the girl"
    found = models.token_positions(text, ["wizard"])
    assert len(found) > 1
    assert found == tuple(range(found[0], found[-1] + 1))
    assert "".join(tokens_at(models, text, found)).removesuffix("</w>") == "wizard"
    both = models.token_positions(text, ["wizard", "girl"])
    assert both[:-1] == found
    assert tokens_at(models, text, both[-1:]) == ["girl</w>"]


def test_a_word_beyond_the_prompts_end_is_not_found() -> None:
    models = tiny_models()
    long = "in the park " * 20
    assert models.token_positions(f"{long} girl", ["girl"]) == ()
    assert max(models.token_positions(long, ["park"])) < models.tokenizer.model_max_length
    assert models.embed(long).shape == models.embed("").shape


def test_embeddings_tell_prompts_apart() -> None:
    models = tiny_models()
    assert models.embed("a girl").shape == (1, models.tokenizer.model_max_length, 16)
    assert not torch.equal(models.embed("a girl"), models.embed("a boy"))
