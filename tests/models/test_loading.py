"""Fetching and choosing models: the real hub client against a hub on this machine, networks of the real classes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.dwpose import no_boxes, save_detector, save_points
from helpers.hub import NEWEST, Hub, served
from helpers.ldm import save_checkpoint
from helpers.lora import RANK, lora_change, save_lora
from helpers.tiny import scene_at_ease, tiny_networks
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from poseanimate.errors import ModelsError
from poseanimate.models import files, input_models, loading
from poseanimate.models.dwpose import FILES
from poseanimate.models.eyes import Eyes
from poseanimate.models.files import POCKET, SD15, SD15_CONTROLNET, find_family, find_files
from poseanimate.models.hub import Repository, fetch, network_files, weights_variant
from poseanimate.models.input_models import load_eyes, load_input_models
from poseanimate.models.loading import load_models
from poseanimate.pocket.perception import PerceptionNet

SHARED = ("tokenizer", "scheduler")
OTHER = "someone/fine-tune"
MERGED = "someone/merged"


def save(network: object, home: Path, variant: str | None) -> None:
    options = {} if home.name in SHARED or variant is None else {"variant": variant}
    network.save_pretrained(home, **options)  # type: ignore[attr-defined]


def pipeline(home: Path, variant: str | None = None, seed: int = 0) -> Path:
    """A Stable Diffusion of tiny networks in the hub's layout, without a ControlNet, with eyes."""
    for name, part in tiny_networks(seed).items():
        if name != "controlnet":
            save(part, home / name, variant)
    torch.manual_seed(0)
    PerceptionNet((8, 8, 8, 8)).save(home / "perception")
    index = {  # as published
        "_class_name": "StableDiffusionPipeline",
        "feature_extractor": ["transformers", "CLIPImageProcessor"],
        "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
        "scheduler": ["diffusers", "PNDMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (home / "model_index.json").write_text(json.dumps(index))
    return home


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the hub offers: Stable Diffusion and its ControlNet in both variants, a fine-tune in one."""
    folder = tmp_path_factory.mktemp("hub")
    for variant in (None, "fp16"):
        pipeline(folder / SD15.id, variant)
        save(tiny_networks()["controlnet"], folder / SD15_CONTROLNET.id, variant)
    pickled = {
        folder / SD15.id / "unet" / "diffusion_pytorch_model.bin",
        folder / SD15.id / "unet" / "diffusion_pytorch_model.non_ema.safetensors",
        folder / SD15.id / "v1-5-pruned.ckpt",
    }
    for file in pickled:
        file.write_bytes(b"large")
    pipeline(folder / OTHER, seed=1)
    (folder / MERGED).mkdir()
    save_checkpoint(tiny_networks(2), folder / MERGED / "merged-v1.safetensors")
    save_lora(tiny_networks(), folder / MERGED / "style.safetensors")
    return folder


@pytest.fixture
def hub(repositories: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    for module in (loading, input_models):
        monkeypatch.setattr(module, "load_eyes", lambda *_: ("finds", "cuts", None))
    with served(repositories, tmp_path / "cache", monkeypatch) as hub:
        yield hub


def refused(name: str, **choice: str) -> ModelsError:
    with pytest.raises(ModelsError) as caught:
        load_models(name, "cpu", **choice)
    assert caught.value.message.endswith(".") and caught.value.remedy.endswith(".")
    return caught.value


# --- what is fetched ---


def test_stable_diffusion_is_fetched_at_half_the_bytes_and_only_once(hub: Hub) -> None:
    told: list[str] = []
    models = load_models("sd15", "cpu", on_message=told.append)
    assert models.name == "sd15" and (models.detector, models.segmenter) == ("finds", "cuts")
    assert len(told) == 3 and all("Fetching" in words and "MB of" in words for words in told[:2])
    assert told[2].startswith("sd15 runs on the CPU")
    weights = [name for name in hub.asked if name.endswith((".safetensors", ".bin", ".ckpt"))]
    assert len(weights) == 4 and all(".fp16.safetensors" in name for name in weights)
    assert not any("perception" in name for name in hub.asked)
    own = tiny_networks()["unet"].state_dict()
    for key, weight in models.unet.state_dict().items():
        torch.testing.assert_close(weight, own[key], atol=0, rtol=0)
    hub.asked.clear()
    again = load_models("sd15", "cpu", on_message=told.append)
    assert hub.asked == [] and len(told) == 4 and told[3] == told[2]
    assert again.identity == models.identity


def test_the_family_is_known_before_anything_is_loaded(hub: Hub, tmp_path: Path) -> None:
    for name in ("pocket", "sd15", "sdxl"):
        assert find_family(name) == name and hub.asked == []
    assert find_family(str(POCKET)) == "pocket"
    assert find_family(OTHER) == "unknown"  # of its own widths
    assert {name.rpartition(".")[2] for name in hub.asked} == {"json"}
    for number, (config, family) in enumerate(
        (
            ('{"in_channels": 4, "cross_attention_dim": 768}', "sd15"),
            ('{"in_channels": 4, "cross_attention_dim": 1024}', "unknown"),
            ('{"in_channels": 4, "cross_attention_dim": 2048}', "unknown"),
            (
                '{"in_channels": 4, "cross_attention_dim": 2048, "addition_embed_type": "text_time"}',
                "sdxl",
            ),
            ("[", "unknown"),
        )
    ):
        folder = tmp_path / str(number)
        (folder / "unet").mkdir(parents=True)
        (folder / "unet" / "config.json").write_text(config)
        assert find_family(str(folder)) == family
    assert find_family(str(tmp_path)) == "unknown"


def test_pinned_commits_are_what_is_asked_for(hub: Hub, tmp_path: Path) -> None:
    load_models("sd15", "cpu")
    for repository in (SD15, SD15_CONTROLNET):
        assert repository.revision is not None and len(repository.revision) == 40
        kept = tmp_path / "cache" / f"models--{repository.id.replace('/', '--')}" / "snapshots"
        assert [path.name for path in kept.iterdir()] == [repository.revision]


def test_a_fine_tune_is_named_by_owner_and_name_and_takes_the_ordinary_controlnet(
    hub: Hub, tmp_path: Path
) -> None:
    models = load_models(OTHER, "cpu")
    assert models.name == OTHER and models.family == "unknown"  # of its own widths
    weights = tiny_networks(1)["unet"].state_dict()
    for key, weight in models.unet.state_dict().items():
        torch.testing.assert_close(weight, weights[key], atol=0, rtol=0)
    assert any(SD15_CONTROLNET.id in name for name in hub.asked)
    for name, expected in ((OTHER, files.IP_ADAPTER), ("sd15", files.IP_ADAPTER), ("pocket", None)):
        assert find_files(name).ip_adapter == expected
    kept = tmp_path / "cache" / "models--someone--fine-tune" / "snapshots"
    assert [path.name for path in kept.iterdir()] == [NEWEST]
    load_models(f"{OTHER}@{'1' * 40}", "cpu")
    assert {path.name for path in kept.iterdir()} == {NEWEST, "1" * 40}


def test_autoencoder_and_controlnet_may_be_others(hub: Hub, tmp_path: Path) -> None:
    plain = load_models("sd15", "cpu")
    other = tiny_networks(5)
    other["vae"].save_pretrained(tmp_path / "vae")
    other["controlnet"].save_pretrained(tmp_path / "family" / "controlnet")
    models = load_models(
        "sd15", "cpu", vae=str(tmp_path / "vae"), controlnet=str(tmp_path / "family")
    )
    for name in ("vae", "controlnet"):
        network = getattr(models, name)
        for key, weight in network.state_dict().items():
            torch.testing.assert_close(weight, other[name].state_dict()[key], atol=0, rtol=0)
    assert models.identity != plain.identity
    from_hub = load_models("sd15", "cpu", vae=OTHER)
    weights = tiny_networks(1)["vae"].state_dict()
    assert torch.equal(from_hub.vae.encoder.conv_in.weight, weights["encoder.conv_in.weight"])
    assert len({plain.identity, models.identity, from_hub.identity}) == 3
    assert "neither a folder nor" in refused("sd15", vae="nowhere").message


def test_to_look_at_pictures_only_the_sizes_are_fetched(hub: Hub) -> None:
    looking = load_input_models("sd15", "cpu")
    assert sorted(name.rpartition("/")[2] for name in hub.asked) == [
        "config.json", "config.json", "model_index.json",
    ]  # fmt: skip
    whole = load_models("sd15", "cpu")
    assert (looking.side, looking.factor) == (whole.side, whole.factor)
    assert (looking.detector, looking.segmenter) == ("finds", "cuts")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["unet/config.json", "unet/diffusion_pytorch_model.safetensors"], 2),
        (["unet/config.json", "unet/diffusion_pytorch_model.bin"], 1),
        (["unet/diffusion_pytorch_model.non_ema.safetensors", "unet/model.safetensors"], 1),
        (["vae/config.json", "config.json", "unet/deeper/config.json"], 0),
        ([f"unet/diffusion_pytorch_model-0000{i}-of-00002.safetensors" for i in (1, 2)], 2),
        ([f"unet/model.fp16-0000{i}-of-00002.safetensors" for i in (1, 2)], 2),
    ],
)
def test_the_files_of_a_network(names: list[str], expected: int) -> None:
    assert len(network_files(names, "unet")) == expected


def test_fp16_is_taken_where_there_is_one() -> None:
    names = ["model.safetensors", "model.fp16.safetensors", "model.fp16.bin", "config.json"]
    assert set(network_files(names, "")) == {"model.fp16.safetensors", "config.json"}
    assert weights_variant(names) == "fp16"
    assert weights_variant(["model.safetensors", "model.fp16.bin"]) is None


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("owner/name", Repository("owner/name")),
        ("owner/name@main", Repository("owner/name", "main")),
        ("owner/na.me_1@refs/pr/2", Repository("owner/na.me_1", "refs/pr/2")),
        *(
            (text, None)
            for text in ("name", "", "/a/b", "a/b/c", "a/b@", "a b/c", "../x/y", "a/b\n")
        ),
    ],
)
def test_what_names_a_repository(text: str, meant: Repository | None) -> None:
    assert Repository.parse(text) == meant


# --- checkpoints of one file, and LoRA ---


@pytest.mark.parametrize("from_hub", [True, False])
def test_a_checkpoint_of_one_file_is_a_family(hub: Hub, repositories: Path, from_hub: bool) -> None:
    name = f"{MERGED}/merged-v1.safetensors"
    told: list[str] = []
    models = load_models(
        name if from_hub else str(repositories / name), "cpu", on_message=told.append
    )
    assert models.name == "merged-v1"
    own, others = tiny_networks(2), tiny_networks()
    for part in ("unet", "vae", "text_encoder", "controlnet"):
        network = getattr(models, part)
        expected = (others if part == "controlnet" else own)[part].state_dict()
        assert network.state_dict().keys() == expected.keys()
        for key, weight in network.state_dict().items():
            torch.testing.assert_close(weight, expected[key], atol=0, rtol=0)
        assert not network.training and not any(p.requires_grad for p in network.parameters())
    asked = {name.removeprefix(f"{SD15.id}/") for name in hub.asked if name.startswith(SD15.id)}
    assert asked >= {"unet/config.json", "tokenizer/tokenizer.json"}
    assert not any(name.endswith(".safetensors") for name in asked)  # sd15's own weights
    assert any(f"{MERGED}/" in name for name in hub.asked) == from_hub
    hub.asked.clear()
    again = load_models(str(repositories / name), "cpu", precision="half")
    assert hub.asked == [] and again.unet.dtype == again.vae.dtype == torch.float16
    assert again.identity != models.identity


def test_the_parts_of_a_checkpoint_are_known_without_its_weights(
    hub: Hub, repositories: Path
) -> None:
    name = str(repositories / MERGED / "merged-v1.safetensors")
    whole, light = load_models(name, "cpu"), load_models(name, "cpu", weights=False)
    assert light.unet.device.type == light.text_encoder.device.type == "meta"
    for key, weight in light.vae.state_dict().items():
        torch.testing.assert_close(weight, whole.vae.state_dict()[key], atol=0, rtol=0)
    assert light.identity == whole.identity
    looking = load_input_models(name, "cpu")
    assert (looking.side, looking.factor) == (whole.side, whole.factor)


def test_a_checkpoint_without_an_autoencoder_takes_another(hub: Hub, tmp_path: Path) -> None:
    name = str(save_checkpoint(tiny_networks(2), tmp_path / "pruned.safetensors", vae=False))
    assert "holds no autoencoder" in refused(name).message
    models = load_models(name, "cpu", vae=OTHER)
    expected = tiny_networks(1)["vae"].state_dict()
    for key, weight in models.vae.state_dict().items():
        torch.testing.assert_close(weight, expected[key], atol=0, rtol=0)


def test_a_checkpoint_that_lacks_tensors_is_refused(
    hub: Hub, repositories: Path, tmp_path: Path
) -> None:
    whole = load_file(repositories / MERGED / "merged-v1.safetensors")
    text = "cond_stage_model.transformer.text_model."
    whole[f"{text}embeddings.position_ids"] = torch.arange(4)  # which published ones have, too
    path = tmp_path / "cut.safetensors"
    for part, left_out in (
        ("unet", "model.diffusion_model.out.2.bias"),
        ("vae", "first_stage_model.decoder.conv_out.bias"),
        ("text_encoder", f"{text}final_layer_norm.bias"),
    ):
        save_file({key: tensor for key, tensor in whole.items() if key != left_out}, path)
        assert f"lacks 1 tensors of the {part}" in refused(str(path)).message
    save_file(whole, path)
    load_models(str(path), "cpu")


def test_a_checkpoint_may_have_older_names(hub: Hub, repositories: Path, tmp_path: Path) -> None:
    """Those of transformers before 4.31, without "text_model"."""
    whole = load_file(repositories / MERGED / "merged-v1.safetensors")
    older = {
        key.replace(".transformer.text_model.", ".transformer."): t for key, t in whole.items()
    }
    save_file(older, tmp_path / "older.safetensors")
    models = load_models(str(tmp_path / "older.safetensors"), "cpu")
    expected = tiny_networks(2)["text_encoder"].state_dict()
    for key, weight in models.text_encoder.state_dict().items():
        torch.testing.assert_close(weight, expected[key], atol=0, rtol=0)


def test_a_checkpoint_is_the_same_whatever_else_is_cached(hub: Hub, repositories: Path) -> None:
    name = str(repositories / MERGED / "merged-v1.safetensors")
    before = load_models(name, "cpu")
    plain = load_models("sd15", "cpu")  # now its weights lie in the same folders
    assert load_models(name, "cpu").identity == before.identity
    other = load_models(name, "cpu", vae=f"{SD15.id}@{SD15.revision}")
    for key, weight in other.vae.state_dict().items():
        torch.testing.assert_close(weight, plain.vae.state_dict()[key], atol=0, rtol=0)
    assert other.identity != before.identity


def test_to_look_at_pictures_no_checkpoint_is_fetched(hub: Hub) -> None:
    assert load_input_models(f"{MERGED}/merged-v1.safetensors", "cpu").factor == 4
    assert not any(name.startswith(MERGED) for name in hub.asked)


def test_what_diffusers_trainers_say_of_alphas_counts(hub: Hub, tmp_path: Path) -> None:
    """Their files keep it in the header."""
    plain = load_models("sd15", "cpu")
    path = save_lora(tiny_networks(), tmp_path / "own.safetensors", "diffusers")
    full = load_models("sd15", "cpu", lora=str(path))
    about = {"r": RANK, "lora_alpha": RANK / 2, "target_modules": ["to_q", "to_k"]}
    said = {
        f"{part}.{key}": value for part in ("unet", "text_encoder") for key, value in about.items()
    }
    said["text_encoder.target_modules"] = ["q_proj"]
    tensors = {
        key: tensor
        for key, tensor in load_file(path).items()
        if (".to_q." in key or ".to_k." in key or ".q_proj." in key)
    }
    save_file(tensors, path, {"lora_adapter_metadata": json.dumps(said)})
    half = load_models("sd15", "cpu", lora=str(path))
    changed = 0
    for part, ends in (("unet", ("to_q.weight", "to_k.weight")), ("text_encoder", "q_proj.weight")):
        before, after = (getattr(models, part).state_dict() for models in (plain, half))
        whole = getattr(full, part).state_dict()
        for key, weight in after.items():
            expected = (before[key] + whole[key]) / 2 if key.endswith(ends) else before[key]
            changed += key.endswith(ends)
            torch.testing.assert_close(weight, expected, atol=1e-6, rtol=1e-5)
    assert changed == len(tensors) // 2


def test_lora_are_added_to_the_weights(hub: Hub, repositories: Path) -> None:
    """Every layer with a rank and an alpha of its own, as resized ones have."""
    plain = load_models("sd15", "cpu")
    file = repositories / MERGED / "style.safetensors"
    models = load_models("sd15", "cpu", lora=f"{file}:0.5, {MERGED}/style.safetensors:-0.25")
    changed = 0
    for part in ("unet", "text_encoder"):
        before = getattr(plain, part).state_dict()
        after = getattr(models, part).state_dict()
        assert before.keys() == after.keys()
        for key, weight in after.items():
            change = lora_change(file, part, key)
            expected = before[key] if change is None else before[key] + (0.5 - 0.25) * change
            changed += change is not None
            torch.testing.assert_close(weight, expected, atol=1e-6, rtol=1e-5)
    assert changed == len(load_file(file)) // 3  # down, up and alpha
    again = load_models("sd15", "cpu", lora=f"{file}:0.6")
    assert len({plain.identity, models.identity, again.identity}) == 3
    light = load_models("sd15", "cpu", lora=f"{file}:0.6", weights=False)
    assert light.identity == again.identity


def test_a_lora_for_other_networks_is_refused(hub: Hub, repositories: Path, tmp_path: Path) -> None:
    whole = load_file(repositories / MERGED / "style.safetensors")
    wide = {
        key: torch.cat([tensor] * 2, -1) if "lora_down" in key else tensor
        for key, tensor in whole.items()
    }
    elsewhere = {key.replace("down_blocks_0", "down_blocks_7"): t for key, t in whole.items()}
    for tensors in (wide, elsewhere):
        save_file(tensors, tmp_path / "other.safetensors")
        error = refused("sd15", lora=str(tmp_path / "other.safetensors"))
        assert "can't be added to these models" in error.message


# --- when it can't be ---


def test_without_the_hub_what_was_fetched_is_used(
    repositories: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "load_eyes", lambda *_: ("finds", "cuts", None))
    with served(repositories, tmp_path / "cache", monkeypatch):
        models = load_models("sd15", "cpu")
    assert load_models("sd15", "cpu").identity == models.identity  # its server is gone
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert load_models("sd15", "cpu").identity == models.identity
    assert "can't be reached" in refused(OTHER).message


def test_a_fixed_commit_that_is_whole_needs_no_hub(hub: Hub) -> None:
    load_models("sd15", "cpu")
    hub.requests = 0
    load_models("sd15", "cpu")
    assert hub.requests == 0
    load_models(OTHER, "cpu")  # its newest revision must be asked for
    assert hub.requests > 0


def test_a_repository_that_is_gone_or_gated_since_is_used_as_fetched(hub: Hub) -> None:
    models = load_models(OTHER, "cpu")
    hub.gone.add(OTHER)
    assert load_models(OTHER, "cpu").identity == models.identity
    hub.gone.clear()
    hub.gated.add(OTHER)
    assert load_models(OTHER, "cpu").identity == models.identity


@pytest.mark.parametrize(
    ("status", "message", "words"),
    [
        (401, "Invalid credentials in Authorization header", "doesn't accept the token"),
        (429, "", "too many requests"),
        (503, "", "503 Service Unavailable"),
    ],
)
def test_what_the_hub_answers_is_told(hub: Hub, status: int, message: str, words: str) -> None:
    hub.refuses = status, {"X-Error-Message": message} if message else {}
    assert words in refused("sd15").message


def test_a_part_that_is_missing_is_named(
    repositories: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "load_eyes", lambda *_: ("finds", "cuts", None))
    with served(repositories, tmp_path / "cache", monkeypatch) as hub:
        load_models("sd15", "cpu")
        (weights,) = (tmp_path / "cache").rglob("unet/diffusion_pytorch_model.fp16.safetensors")
        weights.resolve().unlink()
        weights.unlink()
    error = refused("sd15")
    assert "unet/ holds no safetensors" in error.message and "go on fetching" in error.remedy
    with served(repositories, tmp_path / "cache", monkeypatch) as hub:
        load_models("sd15", "cpu")
        assert [name for name in hub.asked if "unet" not in name] == []
        assert any(name.endswith(weights.name) for name in hub.asked)


def test_a_gated_repository_says_what_to_do(hub: Hub) -> None:
    hub.gated.add(OTHER)
    error = refused(OTHER)
    assert "gated" in error.message and "HF_TOKEN" in error.remedy


def test_unknown_names_and_revisions_are_told(hub: Hub) -> None:
    assert "has no no-one/nothing" in refused("no-one/nothing").message
    assert "no revision 'v9'" in refused(f"{OTHER}@v9").message


def test_a_full_disk_is_told(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("huggingface_hub.snapshot_download", full)
    with pytest.raises(ModelsError, match="the disk is full"):
        fetch(SD15, list)


@pytest.mark.parametrize(
    "pipeline_class",
    ["StableDiffusionXLImg2ImgPipeline", "FluxPipeline", "StableDiffusion3Pipeline"],
)
def test_other_kinds_of_models_are_refused(tmp_path: Path, pipeline_class: str, hub: Hub) -> None:
    folder = pipeline(tmp_path / "other")
    (folder / "model_index.json").write_text(json.dumps({"_class_name": pipeline_class}))
    assert pipeline_class in refused(str(folder)).message


@pytest.mark.parametrize(
    ("part", "key", "value", "words"),
    [
        ("scheduler", "prediction_type", "v_prediction", "predict 'v_prediction'"),
        ("text_encoder", "hidden_size", 32, "text"),
    ],
)
def test_models_that_do_not_fit_are_refused(
    tmp_path: Path, hub: Hub, part: str, key: str, value: object, words: str
) -> None:
    folder = pipeline(tmp_path / "other")
    name = "scheduler_config.json" if part == "scheduler" else "config.json"
    config = json.loads((folder / part / name).read_text())
    config[key] = value
    (folder / part / name).write_text(json.dumps(config))
    if part == "text_encoder":
        from transformers import CLIPTextConfig, CLIPTextModel

        shutil.rmtree(folder / part)
        CLIPTextModel(CLIPTextConfig(**(config | {"intermediate_size": 32}))).save_pretrained(
            folder / part
        )
    assert words in refused(str(folder)).message


def test_weights_that_lack_tensors_are_refused(tmp_path: Path, hub: Hub) -> None:
    """As a checkpoint in another library's names does; random numbers would take their place."""
    folder = pipeline(tmp_path / "other")
    for part, file in (("unet", "diffusion_pytorch_model"), ("text_encoder", "model")):
        path = folder / part / f"{file}.safetensors"
        whole = load_file(path)
        lost = next(key for key in whole if key.endswith(("to_q.weight", "q_proj.weight")))
        save_file({key: value for key, value in whole.items() if key != lost}, path)
        message = refused(str(folder)).message
        assert "lack 1 of its tensors" in message and lost.rpartition("layers")[2] in message
        save_file(whole, path, {"format": "pt"})
    load_models(str(folder), "cpu")


def test_an_autoencoder_with_the_old_names_of_attention_is_read(tmp_path: Path, hub: Hub) -> None:
    """The published one of Stable Diffusion 1.5 has them."""
    folder = pipeline(tmp_path / "other")
    path = folder / "vae" / "diffusion_pytorch_model.safetensors"
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    weights = load_file(path)
    renamed = {}
    for key, value in weights.items():
        for now, before in old.items():
            key = key.replace(f".attentions.0.{now}.", f".attentions.0.{before}.")
        renamed[key] = value
    assert set(renamed) != set(weights)
    save_file(renamed, path)
    loaded = load_models(str(folder), "cpu").vae.state_dict()
    for key, value in weights.items():
        torch.testing.assert_close(loaded[key], value, atol=0, rtol=0)


@pytest.mark.parametrize("lost", ["tokenizer.json", "vocab.json"])
def test_a_tokenizer_without_its_words_is_refused(tmp_path: Path, hub: Hub, lost: str) -> None:
    folder = pipeline(tmp_path / "other")
    tokenizer = folder / "tokenizer"
    for path in tokenizer.iterdir():
        if path.name != "tokenizer_config.json":
            path.unlink()
    if lost == "vocab.json":
        (tokenizer / "merges.txt").write_text("#version: 0.2\n")
    assert "holds no vocabulary" in refused(str(folder)).message


def test_a_config_that_makes_no_sense_is_refused(tmp_path: Path, hub: Hub) -> None:
    folder = pipeline(tmp_path / "other")
    path = folder / "unet" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sample_size": [16, 16]}))
    assert "can't be loaded" in refused(str(folder)).message


def test_half_precision_is_float16_and_has_a_name_of_its_own(tmp_path: Path, hub: Hub) -> None:
    folder = str(pipeline(tmp_path / "other"))
    half, full = (load_models(folder, "cpu", precision=which) for which in ("half", "full"))
    for models, dtype in ((half, torch.float16), (full, torch.float32)):
        networks = (models.unet, models.controlnet, models.vae, models.text_encoder)
        assert {p.dtype for network in networks for p in network.parameters()} == {dtype}
    assert half.identity != full.identity
    assert "'quarter'" in refused(folder, precision="quarter").message


def test_an_inpainting_models_unet_is_refused(tmp_path: Path, hub: Hub) -> None:
    from diffusers import UNet2DConditionModel

    folder = pipeline(tmp_path / "other")
    config = dict(tiny_networks()["unet"].config) | {"in_channels": 9}
    UNet2DConditionModel.from_config(config).save_pretrained(folder / "unet")
    assert "9 channels" in refused(str(folder)).message


# --- eyes ---


def test_eyes_are_auto_unless_others_are_named(
    repositories: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[object, ...]] = []

    class Openpose:
        @staticmethod
        def load(source: str, device: str, hands: bool, face: bool) -> str:
            made.append((sorted(path.name for path in Path(source).iterdir()), device, hands, face))
            return "openpose"

    monkeypatch.setattr(input_models, "OpenPoseDetector", Openpose)
    monkeypatch.setattr(input_models, "RembgSegmenter", lambda name: f"rembg {name}")
    annotators = tmp_path / "hub" / files.OPENPOSE.id
    annotators.mkdir(parents=True)
    for name in (*files.OPENPOSE_FILES, "ZoeD_M12_N.pt"):
        (annotators / name).write_bytes(b"weights")
    (tmp_path / "hub" / files.DWPOSE.id).mkdir(parents=True)
    save_detector(tmp_path / "hub" / files.DWPOSE.id / FILES[0], no_boxes())
    save_points(tmp_path / "hub" / files.DWPOSE.id / FILES[1])
    save(tiny_networks()["controlnet"], tmp_path / "hub" / SD15_CONTROLNET.id, None)
    folder = pipeline(tmp_path / "family")
    with served(tmp_path / "hub", tmp_path / "cache", monkeypatch):
        own = load_models(str(folder), "cpu")
        assert isinstance(own.detector, Eyes) and own.detector is own.segmenter and made == []
        assert own.segmenter.segment(scene_at_ease().picture).shape == (64, 64)
        mixed = load_models(str(folder), "cpu", detector="openpose-whole")
        assert mixed.detector == "openpose" and isinstance(mixed.segmenter, Eyes)
        names = sorted(files.OPENPOSE_FILES)
        assert made == [(names, "cpu", True, True)]
        mixed = load_models(str(folder), "cpu", segmenter="isnet-anime")
        assert isinstance(mixed.detector, Eyes) and mixed.segmenter == "rembg isnet-anime"
        shutil.rmtree(folder / "perception")
        plain = load_models(str(folder), "cpu", "cpu")
        assert isinstance(plain.detector, Eyes) and plain.segmenter is plain.detector
        assert load_models(str(folder), "cpu", "cpu", detector="openpose").detector == "openpose"
        assert made[-1] == (names, "cpu", False, False)
        for name, parts in (("dwpose", "hands=False"), ("dwpose-whole", "hands=True")):
            assert parts in load_models(str(folder), "cpu", detector=name).detector.identity
        error = refused(str(folder), detector="kinect")
        assert "'kinect'" in error.message and "openpose-whole" in error.remedy
    assert "'scissors'" in refused("pocket", segmenter="scissors").message


def test_dwpose_finds_poses_for_stable_diffusion_where_it_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, told = tmp_path / "hub" / files.DWPOSE.id, []
    home.mkdir(parents=True)
    save_detector(home / FILES[0], no_boxes())
    save_points(home / FILES[1])
    choose = input_models._default_detector
    with served(tmp_path / "hub", tmp_path / "cache", monkeypatch) as hub:
        assert choose("sd15", told.append) == "auto" and told == [] and hub.requests == 0
        fetch(files.DWPOSE, input_models._choose_dwpose)
        hub.requests = 0
        assert choose("sd15", told.append) == choose("sdxl", told.append) == "dwpose"
        assert choose("pocket", print) == choose("unknown", print) == "auto" and hub.requests == 0
        (sentence,) = set(told)
        assert "--detector auto" in sentence
        own = replace(find_files("pocket"), family="sd15")
        finds, cuts, _ = load_eyes(own, "cpu", "", "", print)
        assert finds.identity.startswith("dwpose") and isinstance(cuts, Eyes)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("lllyasviel/control_v11p_sd15_canny", "canny"),
        ("lllyasviel/control_v11f1p_sd15_depth", "depth"),
        ("lllyasviel/sd-controlnet-hed", "hed"),
        ("diffusers/controlnet-depth-sdxl-1.0@main", "depth"),
        ("xinsir/controlnet-union-sdxl-1.0", "union"),
    ],
)
def test_controlnets_for_other_things_are_refused(hub: Hub, name: str, kind: str) -> None:
    assert f"is a ControlNet for {kind}" in refused("sd15", controlnet=name).message
    for pose in ("control_v11p_sd15_openpose", "controlnet-openpose-sdxl-1.0", "my-segue"):
        assert not files._OTHER_CONTROLNET.search(pose)


@pytest.mark.parametrize(("gpu", "family"), [(True, "sd15"), (False, "pocket")])
def test_the_default_family_follows_the_machine(
    monkeypatch: pytest.MonkeyPatch, gpu: bool, family: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert files.default_models() == family
