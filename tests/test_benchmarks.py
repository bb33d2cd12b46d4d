"""The benchmarks measure what they say: their rivals are the real ones, their counts are right."""

from __future__ import annotations

import gzip
import json
import math
import subprocess
import sys
from collections import Counter
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import gpu
import pytest
import sd15_random
import torch
import watch
from diffusers import ControlNetModel
from helpers.tiny import tiny_models
from literal import SixAttentions
from nulltext import NullTextInversion
from plain import PlainControlNet
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from poseanimate.method.cross_frame import AttendedFrame
from poseanimate.method.dcam import DualConsistency, Lambdas
from poseanimate.method.ddim import DDIM, invert
from poseanimate.method.denoiser import Denoiser
from poseanimate.method.regions import ChunkRegions
from poseanimate.method.sampler import Sampler
from poseanimate.models.family import Models

T, GRID = 4, (16, 16)
CPU = torch.device("cpu")
CLOSE = {"atol": 2e-4, "rtol": 1e-3}


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def drawings(count: int) -> Tensor:
    return torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def models() -> Models:
    return tiny_models()


def ddim_of(models: Models, steps: int = T) -> DDIM:
    return DDIM.from_scheduler(models.scheduler, steps)


# --- null-text inversion ---


@pytest.fixture(scope="module")
def inverted(models: Models) -> Tensor:
    """Z_0 … Z_T of a random latent, at guidance 1."""
    own = denoiser(models, 1.0)
    pose_cond = own.embed_poses(drawings(1))

    @torch.no_grad()
    def predict(z: Tensor, timestep: int) -> Tensor:
        return own.predict(z, timestep, own.prompt, pose_cond)

    return torch.cat(list(invert(ddim_of(models), noise(1, 3, *GRID), predict)))


def denoiser(models: Models, guidance_scale: float, text: str = "a girl") -> Denoiser:
    embedded = models.embed(text), models.embed("")
    return Denoiser(models.unet, models.controlnet, *embedded, guidance_scale)


def null_text(models: Models, guidance_scale: float = 4.0) -> NullTextInversion:
    return NullTextInversion(
        models, models.embed("a girl"), models.embed(""), drawings(1), guidance_scale
    )


def test_null_text_inversion_comes_closer_to_the_source(models: Models, inverted: Tensor) -> None:
    ddim = ddim_of(models)
    errors = [
        float((null_text(models).run(ddim, inverted, n).z_0 - inverted[:1]).square().mean())
        for n in (0, 2, 6)
    ]
    assert errors[0] > errors[1] > errors[2]
    found = null_text(models).run(ddim, inverted, 6)
    assert len(found.losses) == T
    falling = [own for own in found.losses if len(own) > 1]
    assert falling and all(own[-1] < own[0] for own in falling)
    assert found.embeddings.shape == (T, *models.embed("").shape[1:])


def test_null_text_inversion_calls_each_branch_by_itself(models: Models, inverted: Tensor) -> None:
    """Per timestep the conditional branch once, n times the other with a gradient, then both."""
    rival = null_text(models)
    found = rival.run(ddim_of(models), inverted, 3)
    inner = sum(map(len, found.losses))
    assert rival.calls["gradient"] == inner
    assert rival.calls["unet"] == rival.calls["controlnet"] == 3 * T + inner


def test_null_text_inversion_stops_early_where_the_loss_is_small(models: Models) -> None:
    """At guidance 1 the null text changes nothing, so an own trajectory is met at once: one inner step each."""
    ddim, rival = ddim_of(models), null_text(models, guidance_scale=1.0)
    z = noise(1, 3, *GRID, seed=3)
    own = [z]
    with torch.no_grad():
        for k in range(T, 0, -1):
            z = ddim.step(z, rival._predict(z, ddim.timestep(k), rival.text), k)
            own.append(z)
    rival.calls.clear()
    found = rival.run(ddim, torch.cat(own[::-1]), 5)
    assert [len(losses) for losses in found.losses] == [1] * T
    assert rival.calls == Counter(unet=4 * T, controlnet=4 * T, gradient=T)
    torch.testing.assert_close(found.z_0, z, **CLOSE)


# --- plain ControlNet ---


@pytest.mark.parametrize("guidance_scale", [1.0, 4.0, 7.5])
def test_the_pipeline_samples_what_our_sampler_does_without_attention(
    models: Models, guidance_scale: float
) -> None:
    """diffusers' own: the baselines are what a peer would run."""
    frames, start = 3, noise(1, 3, *GRID, seed=2)
    own, ddim = denoiser(models, guidance_scale, "a girl"), ddim_of(models)
    own = replace(own, controlnet_text="branch")
    embeddings = own.prompt[:, None].expand(frames, T, -1, -1)
    with torch.no_grad():
        pose_cond = own.embed_poses(drawings(frames))
        *_, last = Sampler(own, ddim, start).sample_chunk(None, None, embeddings, pose_cond)
    plain = PlainControlNet.of(models).sample(
        own.prompt, own.null, drawings(frames), start, T, guidance_scale, chunk_size=2
    )
    torch.testing.assert_close(plain, last.z_0, **CLOSE)


# --- the literal loop ---


def test_six_attentions_are_dc_attention() -> None:
    masks = torch.zeros(3, 64, 64)
    for i, mask in enumerate(masks):
        mask[8:50, 10 + 8 * i : 40 + 8 * i] = 1
    q, *kv = (noise(1, 2, 256, 8, seed=i) for i in range(7))
    regions = ChunkRegions(masks, GRID, branches=1).at(256)
    frames = [AttendedFrame(kv[i], kv[i + 1], regions[i // 2]) for i in (0, 2, 4)]
    found = [
        kind(branches=1, lambdas=Lambdas()).combine(q, *frames)
        for kind in (SixAttentions, DualConsistency)
    ]
    torch.testing.assert_close(*found, **CLOSE)


# --- half precision, as on a GPU ---


def test_the_rivals_run_in_half_precision(models: Models, inverted: Tensor) -> None:
    networks = {name: getattr(models, name) for name in ("unet", "controlnet", "text_encoder")}
    halved = replace(models, **{name: deepcopy(net).half() for name, net in networks.items()})
    ddim = ddim_of(halved, 2)
    rival = null_text(halved)
    assert rival.run(ddim, inverted[:3], 1).z_0.isfinite().all()
    assert rival.calls["gradient"] == 2
    plain = PlainControlNet.of(halved).sample(
        rival.text, rival.null, drawings(2), inverted[-1:], 2, 4.0
    )
    assert plain.dtype == torch.float16 and plain.isfinite().all()


# --- counting ---


def test_attention_counts_as_its_matrix_products() -> None:
    q = torch.rand(2, 3, 20, 8, requires_grad=True)
    forward = 2 * (2 * 2 * 3 * 20 * 20 * 8)  # two products, two operations each
    with watch.flop() as reading:
        scaled_dot_product_attention(q.detach(), q.detach(), q.detach())
    assert reading.value == forward
    with watch.flop() as reading:
        scaled_dot_product_attention(q, q.detach(), q.detach()).sum().backward()
    assert forward < reading.value < 3 * forward


def test_memory_at_the_peak_is_noticed() -> None:
    """In a process of its own: where the kernel can't reset a peak, an earlier and higher one hides it."""
    code = (
        "import torch, watch\n"
        "cpu = torch.device('cpu')\n"
        "with watch.peak_memory(cpu) as before:\n    pass\n"
        "with watch.peak_memory(cpu) as peak:\n    torch.ones(64 << 20, dtype=torch.uint8)\n"
        "print(int(peak.value - before.value))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(watch.__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) > 48 << 20


# --- Stable Diffusion 1.5 with random weights ---


def test_random_weights_reach_the_zero_convolutions(models: Models) -> None:
    controlnet = ControlNetModel.from_config(models.controlnet.config).half()
    sd15_random.randomise(controlnet, torch.Generator().manual_seed(0))
    zero = [*controlnet.controlnet_down_blocks, controlnet.controlnet_mid_block]
    assert all(layer.weight.abs().max() > 0 for layer in zero)
    assert all(weight.isfinite().all() for weight in controlnet.parameters())


def test_a_vocabulary_is_read_or_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / sd15_random.VOCABULARY_FILE
    file.write_bytes(gzip.compress(b"#version\nb o\nbo y</w>"))
    assert list(sd15_random.merges(file)) == [("b", "o"), ("bo", "y</w>")]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        list(sd15_random.merges(tmp_path / "nowhere.gz"))
    monkeypatch.setattr(sd15_random, "find_spec", lambda _: None)
    sd15_random.write_tokenizer(tmp_path / "tokenizer")
    assert "single bytes" in capsys.readouterr().err
    words = json.loads((tmp_path / "tokenizer" / "vocab.json").read_text())
    assert len(words) == sd15_random.VOCABULARY
    assert words["<|endoftext|>"] == sd15_random.VOCABULARY - 1


# --- the command ---

QUICK = ["--frames", "3", "--steps", "3", "--inner-steps", "1", "--repetitions", "1",
         "--literal-frames", "1", "--side", "64", "--device", "cpu"]  # fmt: skip


@pytest.mark.slow
def test_the_command_gives_finite_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    parts = "engine,regenerate,chunked,literal,nulltext"
    assert gpu.main([*QUICK, "--parts", parts, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    ratios = figures["ratios"]
    assert set(ratios) == set(gpu.RATIOS)
    reached = figures["nulltext"]["at_equal_quality"] is not None
    for name, ratio in ratios.items():
        if name == "memory_n_over_16" or (name == "nulltext_over_pacm1" and not reached):
            assert ratio is None and figures["reasons"][name]
        else:
            assert math.isfinite(ratio) and ratio > 0 and name not in figures["reasons"]
    engine = figures["engine"]
    assert math.isclose(engine["total_s"], sum(engine["seconds"].values()))
    # T = 3, n = 1, N = 2: gradients cost more than sampling alone
    tflop = engine["tflop"]
    assert tflop["frame_0"] < tflop["generation"] < tflop["pacm_pose"]
    assert tflop["inversion"] < tflop["frame_0"] < tflop["pacm_source"]
    assert figures["about"]["frames"] == 3 and figures["failed"] == {}


@pytest.mark.slow
def test_the_command_names_top_operators_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main([*QUICK, "--parts", "profile"]) == 0
    told = capsys.readouterr().out
    assert "Operators of one generation step" in told
    assert "Operators of one pose-optimisation step" in told
    assert "convolution" in told and "(not measured)" in told


def test_a_part_that_fails_leaves_the_others_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_memory(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(gpu.Benchmark, "memory", out_of_memory)
    monkeypatch.setattr(gpu.Benchmark, "profile", lambda _: {})
    assert gpu.main([*QUICK, "--parts", "memory,profile", "--json"]) == 1
    figures = json.loads(capsys.readouterr().out)
    assert "out of memory" in figures["failed"]["memory"]
    assert "RuntimeError" in figures["reasons"]["memory_n_over_16"]
    assert figures["profile"] == {}


@pytest.mark.slow
def test_each_clips_memory_is_measured_by_the_command_itself(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other process's command line, run in this one."""

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess:
        assert command[:2] == [sys.executable, gpu.__file__]
        assert gpu.main(command[2:]) == 0
        return subprocess.CompletedProcess(command, 0, capsys.readouterr().out)

    monkeypatch.setattr(subprocess, "run", run)
    given = ["--memory-frames", "2,3", "--memory-steps", "2"]
    assert gpu.main([*QUICK, *given, "--parts", "memory", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    clips = figures["memory"]["clips"]
    assert [clip["frames"] for clip in clips.values()] == [2, 3]
    assert all(clip["peak_bytes"] > 0 < clip["loaded_bytes"] for clip in clips.values())
    assert 0.5 < figures["ratios"]["memory_n_over_16"] < 2


def test_an_unknown_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        gpu.main(["--parts", "speed"])
    assert "there is no part 'speed'" in capsys.readouterr().err
