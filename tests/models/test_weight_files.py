"""Weights that come as one file: which are taken, and what is said of all others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from poseanimate.errors import ModelsError
from poseanimate.models.files import find_family
from poseanimate.models.weight_files import (
    find_checkpoint,
    find_weight_file,
    is_weight_file,
    make_absolute,
    parse_loras,
)

ONE = np.zeros((1, 1), np.float32)
UNET = {"model.diffusion_model.input_blocks.0.0.weight": np.zeros((8, 4, 3, 3), np.float32)}
TEXT = {"cond_stage_model.transformer.text_model.final_layer_norm.bias": ONE}
VAE = {"first_stage_model.quant_conv.bias": ONE}
LORA = {"lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": ONE}


def write(path: Path, *parts: dict[str, np.ndarray]) -> Path:
    save_file({key: value for part in parts for key, value in part.items()}, path)
    return path


def refused(call: object, *given: object) -> ModelsError:
    with pytest.raises(ModelsError) as caught:
        call(*given)  # type: ignore[operator]
    assert caught.value.message.endswith(".") and caught.value.remedy.endswith(".")
    return caught.value


def test_what_names_a_file_of_weights(tmp_path: Path) -> None:
    for name in ("a.safetensors", "A.SafeTensors", "b/c.ckpt", "owner/name/file.safetensors"):
        assert is_weight_file(name)
    (tmp_path / "folder.safetensors").mkdir()
    for name in ("pocket", "owner/name", str(tmp_path), str(tmp_path / "folder.safetensors")):
        assert not is_weight_file(name)
    assert find_family("fine-tune.safetensors") == "sd15"


def test_a_checkpoint_tells_what_it_holds(tmp_path: Path) -> None:
    found = find_checkpoint(str(write(tmp_path / "a.safetensors", UNET, TEXT, VAE)), True)
    assert found.parts == ("unet", "vae", "text_encoder") and found.channels == 4
    path = write(tmp_path / "b.safetensors", UNET, TEXT)
    assert find_checkpoint(str(path), False).parts == ("unet", "text_encoder")
    error = refused(find_checkpoint, str(path), True)
    assert "holds no autoencoder" in error.message and "--vae" in error.remedy


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        ("conditioner.embedders.0.transformer.text_model.final_layer_norm.bias", "Diffusion XL"),
        ("cond_stage_model.model.ln_final.bias", "Stable Diffusion 2"),
        ("model.diffusion_model.joint_blocks.0.context_block.attn.proj.bias", "Diffusion 3"),
        ("model.diffusion_model.double_blocks.0.img_attn.proj.bias", "Flux"),
        ("lora_unet_mid_block_attentions_0_proj_in.lora_down.weight", "is a LoRA"),
        ("first_stage_model.quant_conv.bias", "holds no U-Net"),
        ("nothing.at.all", "holds no U-Net"),
        ("model.diffusion_model.out.2.bias", "holds no autoencoder"),
        ("v_pred", "predicts v"),
    ],
)
def test_other_files_are_refused_by_what_they_are(tmp_path: Path, tensor: str, words: str) -> None:
    path = write(tmp_path / "other.safetensors", {tensor: ONE})
    assert words in refused(find_checkpoint, str(path), True).message


def test_a_checkpoint_without_its_first_layer_is_incomplete(tmp_path: Path) -> None:
    path = write(
        tmp_path / "part.safetensors", TEXT, VAE, {"model.diffusion_model.out.2.bias": ONE}
    )
    assert "lacks model.diffusion_model.input" in refused(find_checkpoint, str(path), True).message


def test_pickled_missing_and_damaged_files_are_told(tmp_path: Path) -> None:
    (tmp_path / "old.ckpt").write_bytes(b"anything")
    error = refused(find_weight_file, str(tmp_path / "old.ckpt"))
    assert "could run any code" in error.message and ".safetensors" in error.remedy
    assert "There is no file" in refused(find_weight_file, "nowhere.safetensors").message
    assert "There is no file" in refused(find_weight_file, "a/../b/c.safetensors").message
    whole = write(tmp_path / "cut.safetensors", UNET, TEXT, VAE).read_bytes()
    for size in (0, 4, 40, len(whole) - 1):
        (tmp_path / "cut.safetensors").write_bytes(whole[:size])
        error = refused(find_checkpoint, str(tmp_path / "cut.safetensors"), True)
        assert "can't be read as safetensors" in error.message and "again" in error.remedy


def test_several_lora_have_weights(tmp_path: Path) -> None:
    a, b = (write(tmp_path / f"{name}.safetensors", LORA) for name in "ab")
    assert parse_loras("") == parse_loras(" , ") == ()
    found = parse_loras(f"{a}:0.5, {b},{a}:-1")
    assert [(lora.path, lora.weight) for lora in found] == [(a, 0.5), (b, 1.0), (a, -1.0)]
    assert make_absolute(f"{a}:0.5, {b}") == f"{a}:0.5,{b}:1.0"
    assert "are too many" in refused(parse_loras, ",".join([str(a)] * 9)).message


def test_a_lora_with_other_parts_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "more.safetensors", LORA, {"bundle_emb.style.string_to_param.*": ONE})
    assert "also holds 'bundle_emb.style" in refused(parse_loras, str(path)).message


def test_lora_need_a_package_that_may_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("poseanimate.models.weight_files.find_spec", lambda _: None)
    error = refused(parse_loras, str(write(tmp_path / "a.safetensors", LORA)))
    assert error.message == "LoRA need the package peft." and "pip install" in error.remedy
    assert parse_loras(" ,") == ()


@pytest.mark.parametrize("weight", ["", "much", "nan", "inf", "5", "-4.1", "0.5:0.5"])
def test_a_weight_that_is_none_is_told(tmp_path: Path, weight: str) -> None:
    path = write(tmp_path / "a.safetensors", LORA)
    refused(parse_loras, f"{path}:{weight}")


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        ("lora_unet_mid_block.hada_w1_a", "a LoHa"),
        ("lora_unet_mid_block.lokr_w1", "a LoKr"),
        ("lora_unet_mid_block.dora_scale", "a DoRA"),
        ("lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight", "Diffusion XL"),
        ("model.diffusion_model.out.2.bias", "is no LoRA"),
    ],
)
def test_what_is_no_ordinary_lora_is_refused(tmp_path: Path, tensor: str, words: str) -> None:
    path = write(tmp_path / "other.safetensors", {tensor: ONE})
    assert words in refused(parse_loras, str(path)).message
