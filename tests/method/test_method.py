"""The method against literal transcriptions of the paper's formulas, and against its own properties."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import math
from collections import Counter
from types import SimpleNamespace

import pytest
import sdxl_random
import torch
from diffusers import ControlNetModel, DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from helpers.tiny import tiny_networks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import mse_loss

from poseanimate.method import dcam, mgdm
from poseanimate.method.attention_maps import CrossAttentionMaps, choose_grid
from poseanimate.method.cross_frame import CrossFrameAttention, FramePass, KeyValueCache
from poseanimate.method.dcam import DualConsistency, Lambdas
from poseanimate.method.ddim import DDIM, invert
from poseanimate.method.denoiser import Denoiser
from poseanimate.method.extras.baselines import CrossFrame, SpatioTemporal
from poseanimate.method.extras.drafts import LEFT, SHARE_OF_STEPS, TOUCHED, Drafts, draft_step
from poseanimate.method.extras.sorted_attention import SORTED_FROM, RegionIndex, sorted_attention
from poseanimate.method.mgdm import LostAttention, decoupled_attention
from poseanimate.method.pacm import (
    PoseOptimisation,
    SourceOptimisation,
    optimise_embeddings,
    pose_aware_inversion,
)
from poseanimate.method.processors import is_self_attention_of_up_blocks
from poseanimate.method.regions import ChunkRegions, character_tokens, layer_grid
from poseanimate.method.sampler import Sampler, SourceRecord
from poseanimate.models.files import POCKET
from poseanimate.pocket.training.nets import build_scheduler

T, GRID, TOKENS = 3, (16, 16), 6
CLOSE = {"atol": 2e-4, "rtol": 1e-3}


def denoiser(guidance_scale: float = 4.0, **options) -> Denoiser:
    networks = tiny_networks()
    generator = torch.Generator().manual_seed(5)
    prompt, null = (torch.randn(1, TOKENS, 16, generator=generator) for _ in range(2))
    return Denoiser(
        networks["unet"], networks["controlnet"], prompt, null, guidance_scale, **options
    )


def drawings(count: int, seed: int = 1) -> Tensor:
    return torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(seed))


def latents(count: int, seed: int = 2) -> Tensor:
    return torch.randn(count, 3, *GRID, generator=torch.Generator().manual_seed(seed))


def finish(steps):
    """Runs a generator to its end and returns its result."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


# --- the schedule: Eqs. 2, 4, 5 ---


@given(st.integers(2, 60), st.integers(0, 2**16))
@settings(max_examples=30, deadline=None)
def test_a_step_is_eq_4(steps: int, seed: int) -> None:
    ddim = DDIM.from_scheduler(build_scheduler(), steps)
    generator = torch.Generator().manual_seed(seed)
    k = 1 + seed % steps
    z_t, eps = (torch.randn(1, 3, 4, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    a_t, a_prev = ddim.alpha_bar[k], ddim.alpha_bar[k - 1]
    z_0 = (z_t - torch.sqrt(1 - a_t) * eps) / torch.sqrt(a_t)
    expected = torch.sqrt(a_prev) * z_0 + torch.sqrt(1 - a_prev) * eps
    torch.testing.assert_close(ddim.step(z_t, eps, k), expected)
    torch.testing.assert_close(ddim.predict_z0(z_t, eps, k), z_0)


@pytest.mark.parametrize("spacing", ["own", "trailing"])
def test_the_schedule_is_diffusers_own(spacing: str) -> None:
    own = build_scheduler().config
    chosen = own.timestep_spacing if spacing == "own" else spacing
    scheduler = DDIMScheduler.from_config(own, timestep_spacing=chosen)
    scheduler.set_timesteps(10)
    ddim = DDIM.from_scheduler(build_scheduler(), 10, spacing)
    assert (ddim.timestep(10) == 999) == (spacing == "trailing")
    z, eps = latents(1), latents(1, seed=9)
    for k in range(10, 0, -1):
        assert ddim.timestep(k) == int(scheduler.timesteps[10 - k])
        expected = scheduler.step(eps, scheduler.timesteps[10 - k], z).prev_sample
        torch.testing.assert_close(ddim.step(z, eps, k), expected, atol=1e-5, rtol=1e-5)


def test_timesteps_are_as_many_as_asked_for() -> None:
    """Of some T, 61 for one, diffusers gives one more when they trail: -1, which is none."""
    for steps in range(2, 201):
        for spacing in ("own", "trailing"):
            found = DDIM.from_scheduler(build_scheduler(), steps, spacing)
            assert found.steps == steps and len(found.alpha_bar) == steps + 1
            assert found.timestep(1) >= 0 and bool((found.timesteps.diff() > 0).all())
    other = DDIMScheduler.from_config(build_scheduler().config, timestep_spacing="trailing")
    assert DDIM.from_scheduler(other, 10).timestep(10) == 999


def test_inversion_is_undone_by_sampling() -> None:
    ddim = DDIM.from_scheduler(build_scheduler(), 50)
    z_0, eps = latents(1), latents(1, seed=3)
    trajectory = list(invert(ddim, z_0, lambda z, t: eps))
    assert len(trajectory) == 51
    z = trajectory[-1]
    for k in range(50, 0, -1):
        z = ddim.step(z, eps, k)
        torch.testing.assert_close(z, trajectory[k - 1], atol=1e-4, rtol=1e-4)


def test_sampling_undoes_inversion_up_to_an_error_that_falls_with_the_step() -> None:
    """With noise that depends on the latents, the networks' own at guidance 1, it is only nearly undone.

    Over the less noisy half of the schedule: towards its end 1/√ᾱ magnifies what random networks predict.
    """
    eps, z_0 = denoiser(1.0), latents(1)
    pose_cond = eps.embed_poses(drawings(1))

    @torch.no_grad()
    def predict(z: Tensor, timestep: int) -> Tensor:
        return eps.predict(z, timestep, eps.prompt, pose_cond)

    def error(steps: int) -> float:
        """Of z_0, root mean square, relative to how far inversion leads away from it."""
        whole, half = DDIM.from_scheduler(build_scheduler(), steps), steps // 2
        ddim = DDIM(whole.timesteps[:half], whole.alpha_bar[: half + 1])
        *_, z_t = invert(ddim, z_0, predict)
        z = z_t
        for k in range(half, 0, -1):
            z = ddim.step(z, predict(z, ddim.timestep(k)), k)
        return float((z - z_0).norm() / (z_t - z_0).norm())

    coarse, middling, fine = (error(steps) for steps in (10, 50, 200))
    assert coarse < 0.2 and middling < 0.05 and fine < 0.015
    assert coarse > 2 * middling > 4 * fine


def test_inversion_asks_for_the_target_timestep() -> None:
    ddim = DDIM.from_scheduler(build_scheduler(), 5)
    asked: list[int] = []

    def predict(z: Tensor, timestep: int) -> Tensor:
        asked.append(timestep)
        return torch.zeros_like(z)

    list(invert(ddim, latents(1), predict))
    assert asked == [ddim.timestep(k) for k in range(1, 6)]


# --- ε_θ under guidance ---


@pytest.mark.parametrize("role", ["conditional", "unconditional"])
@pytest.mark.parametrize("text", ["optimised", "prompt", "branch"])
@pytest.mark.parametrize("scale", [1.0, 7.5])
def test_guidance_is_the_formula(role: str, text: str, scale: float) -> None:
    eps = denoiser(scale, embedding_role=role, controlnet_text=text)
    z, optimised = (
        latents(1),
        torch.randn(1, TOKENS, 16, generator=torch.Generator().manual_seed(8)),
    )
    drawing = drawings(1)

    def branch(embedding: Tensor) -> Tensor:
        told = {"optimised": optimised, "prompt": eps.prompt, "branch": embedding}[text]
        down, mid = eps.controlnet(z, 500, told, controlnet_cond=drawing, return_dict=False)
        return eps.unet(
            z,
            500,
            embedding,
            down_block_additional_residuals=down,
            mid_block_additional_residual=mid,
        ).sample

    conditional = optimised if role == "conditional" else eps.prompt
    unconditional = eps.null if role == "conditional" else optimised
    expected = branch(unconditional) + scale * (branch(conditional) - branch(unconditional))
    found = eps.predict(z, 500, optimised, eps.embed_poses(drawing))
    torch.testing.assert_close(found, expected, **CLOSE)


# --- PACM: Eq. 6 and Alg. 1 ---


@pytest.mark.parametrize("start", ["previous", "prompt"])
def test_pose_aware_inversion_is_eq_6(start: str) -> None:
    """Transcribed literally: Adam on one embedding per timestep, carried over to the next or begun anew."""
    eps, ddim = denoiser(), DDIM.from_scheduler(build_scheduler(), T)
    pose_cond = eps.embed_poses(drawings(1))
    inverted = latents(T + 1)
    config = SourceOptimisation(inner_steps=2, learning_rate=0.05, tolerance=0.0, start=start)
    found = finish(pose_aware_inversion(eps, ddim, inverted, pose_cond, config))

    z_bar, embedding = inverted[T : T + 1], eps.prompt.clone()
    for i in range(T):
        k = T - i
        embedding = (eps.prompt if start == "prompt" else embedding).detach().clone()
        embedding.requires_grad_(True)
        adam = torch.optim.Adam([embedding], lr=0.05 * (1 - 0.5 * i / T))
        for _ in range(2):
            adam.zero_grad()
            z_prev = ddim.step(z_bar, eps.predict(z_bar, ddim.timestep(k), embedding, pose_cond), k)
            loss = torch.mean((inverted[k - 1 : k] - z_prev) ** 2)
            loss.backward()
            adam.step()
        embedding = embedding.detach()
        torch.testing.assert_close(found.embeddings[k - 1 : k], embedding, **CLOSE)
        z_bar = ddim.step(
            z_bar, eps.predict(z_bar, ddim.timestep(k), embedding, pose_cond), k
        ).detach()
        torch.testing.assert_close(found.trajectory[k - 1 : k], z_bar, **CLOSE)


def test_negative_prompt_inversion_is_guidance_1() -> None:
    """Its unconditional branch is told the prompt; where source and target share it, guidance does nothing."""
    eps = denoiser(7.5)
    told_twice = dataclasses.replace(eps, null=eps.prompt)
    z, pose_cond = latents(2), eps.embed_poses(drawings(2))
    expected = dataclasses.replace(eps, guidance_scale=1.0).predict(z, 500, eps.prompt, pose_cond)
    torch.testing.assert_close(told_twice.predict(z, 500, eps.prompt, pose_cond), expected, **CLOSE)


def test_pose_aware_inversion_reconstructs_better_than_the_prompt() -> None:
    eps, ddim = denoiser(), DDIM.from_scheduler(build_scheduler(), 6)
    pose_cond = eps.embed_poses(drawings(1))
    with torch.no_grad():
        inverted = torch.cat(
            list(
                invert(
                    ddim,
                    latents(1),
                    lambda z, t: denoiser(1.0).predict(z, t, eps.prompt, pose_cond),
                )
            )
        )

    def error(inner_steps: int) -> float:
        config = SourceOptimisation(inner_steps, learning_rate=0.05, tolerance=0.0)
        source = finish(pose_aware_inversion(eps, ddim, inverted, pose_cond, config))
        return float((source.trajectory[0] - inverted[0]).square().mean())

    assert error(8) < 0.8 * error(0)


def test_embedding_optimisation_of_many_frames_is_alg_1_frame_by_frame() -> None:
    eps, ddim = denoiser(), DDIM.from_scheduler(build_scheduler(), T)
    inverted, pose_cond = latents(T + 1), eps.embed_poses(drawings(3))
    source = torch.randn(T, TOKENS, 16, generator=torch.Generator().manual_seed(4))
    eta = 3e-3
    found = finish(
        optimise_embeddings(
            eps,
            ddim,
            inverted,
            source,
            inverted[-1:],
            pose_cond,
            PoseOptimisation(learning_rate=eta),
        )
    )
    assert found.shape == (3, T, TOKENS, 16)
    for i in range(3):
        z_tilde = inverted[T : T + 1]
        for k in range(T, 0, -1):
            embedding = source[k - 1 : k].clone().requires_grad_(True)
            z_prev = ddim.step(
                z_tilde, eps.predict(z_tilde, ddim.timestep(k), embedding, pose_cond[i : i + 1]), k
            )
            torch.nn.functional.mse_loss(z_prev, inverted[k - 1 : k], reduction="sum").backward()
            updated = embedding.detach() - eta * embedding.grad
            torch.testing.assert_close(found[i, k - 1 : k], updated, **CLOSE)
            z_tilde = z_prev.detach()


def test_without_steps_the_source_embeddings_stay() -> None:
    eps, ddim = denoiser(), DDIM.from_scheduler(build_scheduler(), T)
    source = torch.randn(T, TOKENS, 16, generator=torch.Generator().manual_seed(4))
    inverted = latents(T + 1)
    config = PoseOptimisation(steps=0)
    found = finish(
        optimise_embeddings(
            eps, ddim, inverted, source, inverted[-1:], eps.embed_poses(drawings(2)), config
        )
    )
    assert torch.equal(found, source.expand(2, -1, -1, -1))


def test_gradient_steps_start_from_the_sample_of_the_embedding_as_it_was() -> None:
    """Transcribed literally: Alg. 1 samples before it updates, so the first prediction leads to the next timestep."""
    eps, ddim, eta = denoiser(), DDIM.from_scheduler(build_scheduler(), T), 3e-3
    inverted, pose_cond = latents(T + 1), eps.embed_poses(drawings(1))
    source = torch.randn(T, TOKENS, 16, generator=torch.Generator().manual_seed(4))
    config = PoseOptimisation(steps=3, learning_rate=eta)
    inputs = (eps, ddim, inverted, source, inverted[-1:], pose_cond, config)
    found, steps = finish(optimise_embeddings(*inputs)), list(optimise_embeddings(*inputs))

    z_tilde, expected = inverted[T : T + 1], []
    for k in range(T, 0, -1):
        embedding = source[k - 1 : k].clone().requires_grad_(True)
        descent = torch.optim.SGD([embedding], lr=eta)
        with torch.no_grad():
            noise = eps.predict(z_tilde, ddim.timestep(k), embedding, pose_cond)
        for _ in range(3):
            descent.zero_grad()
            again = eps.predict(z_tilde, ddim.timestep(k), embedding, pose_cond)
            z_prev = ddim.step(z_tilde, again, k)
            torch.nn.functional.mse_loss(z_prev, inverted[k - 1 : k], reduction="sum").backward()
            descent.step()
            expected.append((k, ddim.predict_z0(z_tilde, noise, k)))
        torch.testing.assert_close(found[:, k - 1], embedding.detach(), **CLOSE)
        z_tilde = ddim.step(z_tilde, noise, k)
    assert [step.k for step in steps] == [k for k, _ in expected]
    for step, (_, z_0) in zip(steps, expected, strict=True):
        torch.testing.assert_close(step.z_0, z_0, **CLOSE)


# --- DCAM and MGDM: Eqs. 7 to 10 ---


def softmax_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Eq. 7 for one head, (tokens, d)."""
    return torch.softmax(q @ k.T / q.shape[-1] ** 0.5, dim=-1) @ v


def dca_literal(q, k, v, lambdas, masks, form) -> Tensor:
    """Eqs. 8 to 10 frame by frame, head by head; q, k, v (frames, heads, tokens, d), frame 0 first.

    Six masked attentions per frame: three frames, character and background each.
    """
    out = torch.zeros_like(q)
    for i in range(1, len(q)):
        for head in range(q.shape[1]):
            character = background = 0
            for weight, j in ((lambdas.first, 0), (lambdas.prev, i - 1), (lambdas.self, i)):
                m = masks[j].to(q.dtype)[:, None]
                parts = []
                for mask in (m, 1 - m):
                    if form == "hadamard":
                        parts.append(
                            softmax_attention(q[i, head], mask * k[j, head], mask * v[j, head])
                        )
                        continue
                    inside = mask[:, 0] > 0
                    if not inside.any():
                        inside = torch.ones_like(inside)
                    parts.append(
                        softmax_attention(q[i, head], k[j, head][inside], v[j, head][inside])
                    )
                character = character + weight * parts[0]
                background = background + weight * parts[1]
            m_i = masks[i].to(q.dtype)[:, None]
            out[i, head] = m_i * character + (1 - m_i) * background
    return out[1:]


@pytest.fixture(params=[0, 10**9], ids=["sorted", "whole"])
def sorted_from(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens are sorted by region as in large layers, or not, as in small ones."""
    monkeypatch.setattr(dcam, "SORTED_FROM", request.param)


@pytest.mark.usefixtures("sorted_from")
@pytest.mark.parametrize("form", ["region", "hadamard"])
@given(st.integers(0, 2**16), st.sampled_from([0.0, 0.1, 0.4, 1.0]))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_decoupled_attention_is_six_masked_attentions(form: str, seed: int, share: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    frames, heads, d = 4, 2, 5
    q, k, v = (torch.randn(frames, heads, 16, d, generator=generator) for _ in range(3))
    masks = torch.rand(frames, 4, 4, generator=generator) < share
    lambdas = Lambdas(0.5, 0.3, 0.2)
    attention = DualConsistency(lambdas=lambdas, branches=1, mask_form=form)
    first, last = KeyValueCache(), KeyValueCache()
    regions = ChunkRegions(masks[[0, 0, 0]].float(), (4, 4), branches=1)
    alone = attention.attend(FramePass(0, None, None, first, regions), "layer", q[:1], k[:1], v[:1])
    twice = (x[[0, 0]] for x in (q, k, v))
    source = dca_literal(*twice, lambdas, masks[[0, 0]].flatten(1), form)
    torch.testing.assert_close(alone, source, atol=1e-5, rtol=1e-4)
    chunk = torch.cat([masks[:1], masks[:1], masks[1:]]).float()
    regions = ChunkRegions(chunk, (4, 4), branches=1)
    found = attention.attend(
        FramePass(0, first, first, last, regions), "layer", q[1:], k[1:], v[1:]
    )
    expected = dca_literal(q, k, v, lambdas, masks.flatten(1), form)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_what_eq_9_keeps_renormalised_is_the_softmax_over_the_region() -> None:
    """Query by query, so that there is no third form between the two."""
    generator = torch.Generator().manual_seed(3)
    q, k, v = (torch.randn(3, 2, 16, 5, generator=generator) for _ in range(3))
    inside = torch.arange(16).expand(3, -1) % torch.tensor([[2], [3], [5]]) == 0
    literal, kept, region = (
        decoupled_attention(q, k, values, inside, inside, form)
        for values, form in ((v, "hadamard"), (torch.ones_like(v), "hadamard"), (v, "region"))
    )
    assert float(kept.max()) < 0.95  # something is lost
    torch.testing.assert_close(literal / kept, region, atol=1e-5, rtol=1e-4)


def test_lost_attention_is_what_goes_to_masked_out_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transcribed literally, query by query; of the last of two branches, the conditional one."""
    monkeypatch.setattr(mgdm, "MEASURED_QUERIES", 3)
    monkeypatch.setattr(mgdm, "MEASURED_EVERY", 1)
    generator = torch.Generator().manual_seed(4)
    q, k = (torch.randn(4, 2, 9, 5, generator=generator) for _ in range(2))
    queries, keys = torch.arange(36).view(4, 9) % 4 < 2, torch.arange(36).view(4, 9) % 5 < 2
    lost = LostAttention(branches=2)
    lost.add(q, k, queries, keys, 0.7)
    lost.add(q, 2 * k, queries, keys, 0.3)
    seen: dict[bool, list[float]] = {True: [], False: []}
    for frame, i in itertools.product((2, 3), range(0, 9, 3)):
        share = 0.0
        for weight, factor in ((0.7, 1), (0.3, 2)):
            for head in range(2):
                logits = [
                    float(q[frame, head, i] @ (factor * k[frame, head, j])) / 5**0.5
                    for j in range(9)
                ]
                own = [bool(keys[frame, j] == queries[frame, i]) for j in range(9)]
                e = [math.exp(x) if same else 1.0 for x, same in zip(logits, own, strict=True)]
                away = sum(x for x, same in zip(e, own, strict=True) if not same)
                share += weight * away / sum(e) / 2
        seen[bool(queries[frame, i])].append(share)
    assert all(seen.values())
    expected = tuple(sum(shares) / len(shares) for shares in (seen[True], seen[False]))
    assert lost.shares() == {9: pytest.approx(expected, rel=1e-4)}
    assert LostAttention(1).shares() == {}


def test_only_masked_attention_to_the_letter_loses_some() -> None:
    q, halves = torch.randn(2, 2, 16, 5), (torch.arange(16) < 8).view(4, 4).float().expand(4, 4, 4)
    regions = ChunkRegions(halves, (4, 4), branches=1)
    for form, masked in (("hadamard", True), ("region", True), (None, True), ("hadamard", False)):
        attention = DualConsistency(lambdas=Lambdas(), branches=1, mask_form=form)
        first, last = KeyValueCache(), KeyValueCache()
        alone = ChunkRegions(halves[:3], (4, 4), branches=1)
        attention.attend(FramePass(0, None, None, first, alone), "layer", q[:1], q[:1], q[:1])
        assert attention.lost_attention() == {}  # frame 0's own pass doesn't count
        frames = FramePass(0, first, first, last, regions if masked else None)
        attention.attend(frames, "layer", q, q, q)
        assert bool(attention.lost_attention()) == (form == "hadamard" and masked)
        assert all(0 < x < 1 for pair in attention.lost_attention().values() for x in pair)
    assert CrossFrame(branches=1).lost_attention() == {}


@pytest.mark.parametrize("form", ["region", "hadamard"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_sorting_large_layers_changes_nothing(form: str, dtype: torch.dtype) -> None:
    """Frames whose regions differ in size, are empty, or are all, at the size at which it is done."""
    generator = torch.Generator().manual_seed(0)
    tokens = SORTED_FROM
    q, k, v = (torch.randn(4, 2, tokens, 8, generator=generator).to(dtype) for _ in range(3))
    shares = torch.tensor([[0.0], [0.2], [0.7], [1.0]])
    looking, seen = (
        torch.rand(4, tokens, generator=generator) < x for x in (shares, shares.flip(0))
    )
    found = sorted_attention(q, k, v, RegionIndex(looking), RegionIndex(seen), form)
    whole = decoupled_attention(q, k, v, looking, seen, form)
    close = {"atol": 1e-5, "rtol": 1e-4} if dtype == torch.float32 else {"atol": 0.02, "rtol": 0.05}
    torch.testing.assert_close(found, whole, **close)


def test_a_gradient_goes_through_sorted_tokens() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (
        torch.randn(2, 1, 6, 3, generator=generator, dtype=torch.double).requires_grad_()
        for _ in range(3)
    )
    inside = RegionIndex(torch.rand(2, 6, generator=generator) < 0.5)

    def attended(*qkv: Tensor) -> Tensor:
        return sorted_attention(*qkv, inside, inside, "hadamard")

    assert torch.autograd.gradcheck(attended, (q, k, v))


def test_regions_are_the_larger_half_of_a_token() -> None:
    mask = torch.zeros(1, 8, 8)
    mask[:, :4, :5] = 1
    assert character_tokens(mask, (2, 2)).tolist() == [[True, False, False, False]]
    assert character_tokens(mask, (8, 8)).sum() == 20


def test_an_empty_region_sees_everything() -> None:
    q, k, v = (
        torch.randn(1, 1, 4, 3, generator=torch.Generator().manual_seed(s)) for s in range(3)
    )
    nobody, everybody = torch.zeros(1, 4, dtype=torch.bool), torch.ones(1, 4, dtype=torch.bool)
    found = decoupled_attention(q, k, v, everybody, nobody, "region")
    torch.testing.assert_close(found[0, 0], softmax_attention(q[0, 0], k[0, 0], v[0, 0]))


@pytest.mark.parametrize(
    ("grid", "tokens", "expected"),
    [
        ((16, 16), 256, (16, 16)),
        ((16, 16), 64, (8, 8)),
        ((15, 9), 40, (8, 5)),
        ((15, 9), 12, (4, 3)),
    ],
)
def test_a_layers_grid_is_found_from_its_tokens(grid, tokens, expected) -> None:
    assert layer_grid(grid, tokens) == expected


FAMILIES = {
    "tiny": lambda: tiny_networks()["unet"].config,
    "pocket": lambda: UNet2DConditionModel.load_config(POCKET / "unet"),
    "sd15": lambda: {"cross_attention_dim": 768},  # else diffusers' defaults are its
    "sdxl": lambda: sdxl_random.unet(sdxl_random.NARROW).config,
}
LATENTS = ((64, 96), (80, 80), (52, 78), (20, 13), (9, 15), (8, 32))


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_have_the_grid_that_is_taken_for_theirs(family: str) -> None:
    """Latents of any shape pass through both networks; of tensors on "meta", shapes alone are known."""
    inputs: list[tuple[int, int]] = []
    layers: list[tuple[int, tuple[int, int]]] = []
    config = FAMILIES[family]()  # out here: others use these networks too
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(config)
        controlnet = ControlNetModel.from_unet(unet)
        for module in unet.modules():
            if isinstance(module, Transformer2DModel):
                module.register_forward_pre_hook(lambda _, x: inputs.append(tuple(x[0].shape[2:])))
            if isinstance(module, BasicTransformerBlock):
                module.attn1.register_forward_pre_hook(
                    lambda _, x: layers.append((x[0].shape[1], inputs[-1]))
                )
        for grid in LATENTS:
            layers.clear()
            z = torch.zeros(2, unet.config.in_channels, *grid)
            text = torch.zeros(2, TOKENS, unet.config.cross_attention_dim)
            drawing = torch.zeros(2, 3, 8 * grid[0], 8 * grid[1])
            added = {"text_embeds": torch.zeros(2, 1280), "time_ids": torch.zeros(2, 6)}
            down, mid = controlnet(z, 0, text, drawing, added_cond_kwargs=added, return_dict=False)
            eps = unet(
                z, 0, text, None, None, None, None, added, down, mid
            ).sample  # fmt: skip
            assert eps.shape == z.shape
            assert len(set(layers)) > 1
            for tokens, expected in layers:
                assert layer_grid(grid, tokens) == expected


def test_the_layers_are_the_up_blocks_self_attention() -> None:
    names = [
        n for n in tiny_networks()["unet"].attn_processors if is_self_attention_of_up_blocks(n)
    ]
    assert len(names) == 4
    assert all(n.startswith("up_blocks") and ".attn1." in n for n in names)


# --- generation in chunks ---


def generated(
    chunks: list[int],
    lambdas: Lambdas | None = None,
    masks: Tensor | None = None,
    guidance_scale: float = 4.0,
    baseline: type[CrossFrameAttention] | None = None,
) -> Tensor:
    """Frames 1 … N generated in chunks of those sizes, (N, c, h, w)."""
    eps, ddim = denoiser(guidance_scale), DDIM.from_scheduler(build_scheduler(), T)
    count = sum(chunks)
    pose_cond = eps.embed_poses(drawings(count + 1))
    trajectory = latents(T + 1)
    generator = torch.Generator().manual_seed(6)
    embeddings = eps.prompt + 0.3 * torch.randn(count, T, TOKENS, 16, generator=generator)
    attention: CrossFrameAttention | None = None
    if lambdas:
        attention = DualConsistency(lambdas=lambdas, branches=eps.branches)
    elif baseline:
        attention = baseline(branches=eps.branches)
    sampler = Sampler(
        eps, ddim, trajectory[-1:], attention, masks[:1] if masks is not None else None
    )
    source: SourceRecord | None = None
    if sampler.follows_source:
        source = finish(
            sampler.record_source(trajectory, eps.prompt.expand(T, -1, -1), pose_cond[:1])
        )
    frames, at, previous = [], 0, source
    for size in chunks:
        rows = slice(at, at + size)
        own = masks[1:][rows] if masks is not None else None
        chunk = finish(
            sampler.sample_chunk(source, previous, embeddings[rows], pose_cond[1:][rows], own)
        )
        frames.append(chunk.latents)
        previous = chunk.last
        at += size
    return torch.cat(frames)


def sampled(sampler: Sampler, pose_cond: Tensor, source: SourceRecord | None = None) -> Tensor:
    """One chunk under the prompt's embedding, (frames, c, h, w)."""
    embeddings = sampler.denoiser.prompt.expand(len(pose_cond), T, -1, -1)
    latents: Tensor = finish(sampler.sample_chunk(source, source, embeddings, pose_cond)).latents
    return latents


def directly(pose_cond: Tensor, attention: CrossFrameAttention | None = None) -> Tensor:
    """Frames by direct inversion, the first pose the source's; (frames, c, h, w)."""
    eps, ddim, trajectory = denoiser(), DDIM.from_scheduler(build_scheduler(), T), latents(T + 1)
    sampler = Sampler(eps, ddim, trajectory[-1:], attention, hold_background=True)
    recording = sampler.record_source(trajectory, eps.prompt.expand(T, -1, -1), pose_cond[:1])
    return sampled(sampler, pose_cond[1:], finish(recording))


@pytest.mark.parametrize("consistent", [True, False], ids=["DCAM", "plain"])
def test_by_direct_inversion_a_frame_in_the_sources_pose_is_the_source(consistent: bool) -> None:
    attention = DualConsistency(lambdas=Lambdas(), branches=2) if consistent else None
    pose_cond = denoiser().embed_poses(drawings(1))
    frames = directly(pose_cond.expand(3, -1, -1, -1), attention)
    torch.testing.assert_close(frames, latents(T + 1)[:1].expand(2, -1, -1, -1), **CLOSE)


@pytest.mark.parametrize("held", [False, True])
def test_frame_0_attends_plainly_but_for_direct_inversion(held: bool) -> None:
    """Eqs. 8 and 10 are those of frames 1 … N; literally, against the U-Net's own attention."""
    eps, ddim, trajectory = denoiser(), DDIM.from_scheduler(build_scheduler(), T), latents(T + 1)
    pose_cond, mask = eps.embed_poses(drawings(1)), torch.zeros(1, *GRID)
    mask[:, :, :7] = 1
    attention = DualConsistency(lambdas=Lambdas(), branches=2)
    sampler = Sampler(eps, ddim, trajectory[-1:], attention, mask, hold_background=held)
    embeddings = eps.prompt.expand(T, -1, -1)
    record = finish(sampler.record_source(trajectory, embeddings, pose_cond))
    for k in range(T, 0, -1):
        z_t = trajectory[k : k + 1]
        with torch.no_grad():
            plain = ddim.step(z_t, eps.predict(z_t, ddim.timestep(k), eps.prompt, pose_cond), k)
        off = (trajectory[k - 1 : k] - plain - record.deviation[k - 1]).abs().max()
        assert (float(off) > 1e-3) is held


def test_direct_inversion_adds_what_the_source_misses() -> None:
    """Transcribed literally, source and target side by side."""
    eps, ddim, trajectory = denoiser(), DDIM.from_scheduler(build_scheduler(), T), latents(T + 1)
    pose_cond = eps.embed_poses(drawings(2))
    target = trajectory[T : T + 1]
    for k in range(T, 0, -1):
        source, t = trajectory[k : k + 1], ddim.timestep(k)
        sampled = ddim.step(source, eps.predict(source, t, eps.prompt, pose_cond[:1]), k)
        missed_by = trajectory[k - 1 : k] - sampled
        target = ddim.step(target, eps.predict(target, t, eps.prompt, pose_cond[1:]), k) + missed_by
    torch.testing.assert_close(directly(pose_cond), target.detach(), **CLOSE)


@pytest.mark.parametrize("first", range(1, T + 1))
def test_what_starts_at_less_noise_goes_the_last_steps_alone(first: int) -> None:
    """Inverted and sampled, each transcribed literally."""
    eps, whole, z_0 = denoiser(), DDIM.from_scheduler(build_scheduler(), T), latents(1)
    pose_cond, part = eps.embed_poses(drawings(1)), whole.until(first)

    def predict(z: Tensor, timestep: int) -> Tensor:
        with torch.no_grad():
            return eps.predict(z, timestep, eps.prompt, pose_cond)

    *_, z_k = invert(part, z_0, predict)
    inverted = list(invert(whole, z_0, predict))
    torch.testing.assert_close(z_k, inverted[first], atol=0, rtol=0)
    found = finish(
        Sampler(eps, part, z_k).sample_chunk(
            None, None, eps.prompt.expand(1, first, -1, -1), pose_cond
        )
    ).latents
    for k in range(first, 0, -1):
        z_k = whole.step(z_k, predict(z_k, whole.timestep(k)), k)
    torch.testing.assert_close(found, z_k, **CLOSE)


@given(st.integers(1, 1000))
def test_drafts_are_set_in_within_the_schedule(steps: int) -> None:
    assert 1 <= draft_step(steps) <= steps
    assert draft_step(steps) / steps == pytest.approx(
        SHARE_OF_STEPS, abs=max(0.5, 1 - SHARE_OF_STEPS) / steps
    )


def test_uniform_control_weights_are_controlnets_scale() -> None:
    found = []
    for scale, weights in ((1.0, torch.full((1, 1, *GRID), 1.7)), (1.7, None), (1.0, None)):
        eps = denoiser(controlnet_scale=scale)
        sampler = Sampler(eps, DDIM.from_scheduler(build_scheduler(), T), latents(T + 1)[-1:])
        embeddings, pose_cond = eps.prompt.expand(1, T, -1, -1), eps.embed_poses(drawings(1))
        steps = sampler.sample_chunk(None, None, embeddings, pose_cond, control_weights=weights)
        found.append(finish(steps).latents)
    torch.testing.assert_close(found[0], found[1], **CLOSE)
    assert float((found[0] - found[2]).abs().max()) > 1e-3


@torch.no_grad()
def test_control_counts_by_its_mean_at_every_level() -> None:
    """Transcribed literally: ControlNet's residuals weighed pixel by pixel, then through the U-Net."""
    eps, z_t, t = denoiser(guidance_scale=1.0), latents(2), 500
    pose_cond, text = eps.embed_poses(drawings(2)), eps.prompt.expand(2, -1, -1)
    control = 1 + torch.rand(2, 1, *GRID, generator=torch.Generator().manual_seed(9))
    found = eps.predict(z_t, t, eps.prompt, pose_cond, control)

    down, mid = tiny_networks()["controlnet"](
        z_t, t, text, controlnet_cond=drawings(2), return_dict=False
    )
    for residual in (*down, mid):
        side = GRID[1] // residual.shape[-1]
        for y, x in itertools.product(range(residual.shape[-2]), range(residual.shape[-1])):
            patch = control[:, :, y * side : (y + 1) * side, x * side : (x + 1) * side]
            residual[:, :, y, x] *= patch.mean(dim=(2, 3))
    expected = tiny_networks()["unet"](
        z_t, t, text, down_block_additional_residuals=down, mid_block_additional_residual=mid
    ).sample
    torch.testing.assert_close(found, expected, **CLOSE)
    assert float((found - eps.predict(z_t, t, eps.prompt, pose_cond)).abs().max()) > 1e-3


BODIES = (torch.rand(17, 64, 64, generator=torch.Generator().manual_seed(3)) > 0.5).float()


def test_drafts_are_set_in_wherever_a_latent_pixel_touches_what_is_believed() -> None:
    generator = torch.Generator().manual_seed(0)
    belief = (torch.rand(9, 3, 32, 32, generator=generator) > 0.96).float()
    belief[::2, 1] = 0
    drafts = Drafts.of(1, torch.ones(9, 2, 4, 4), belief)
    found = drafts.set_in(torch.zeros(1, 2, 4, 4))
    cases = set()

    def touches(plane: int, i: int, y: int, x: int) -> bool:
        inside = 0 <= y < 4 and 0 <= x < 4
        patch = belief[i, plane, 8 * y : 8 * y + 8, 8 * x : 8 * x + 8]
        return inside and float(patch.mean()) > TOUCHED

    for i, y, x in itertools.product(range(9), range(4), range(4)):
        figure, ground = touches(0, i, y, x), touches(2, i, y, x)
        around = itertools.product((y - 1, y, y + 1), (x - 1, x, x + 1))
        doubtful = any(touches(1, i, *place) for place in around)
        # a limb is the draft's even before a body that turned; the ground beside such a body is not
        assert (found[i, :, y, x] == float(figure or (ground and not doubtful))).all()
        cases.add((figure, doubtful, ground))
    assert len(cases) == 8
    chosen = drafts.frames([2, 0])
    assert torch.equal(chosen.set_in(torch.zeros(1, 2, 4, 4)), found[[2, 0]])


def test_where_the_figure_has_left_frames_start_from_the_ground() -> None:
    generator = torch.Generator().manual_seed(1)
    belief = (torch.rand(3, 3, 32, 32, generator=generator) > 0.5).float()
    start, ground = torch.zeros(1, 2, 4, 4), torch.ones(1, 2, 4, 4)
    drafts = Drafts.of(1, torch.zeros(3, 2, 4, 4), belief, ground)
    found = drafts.begin(start.expand(3, -1, -1, -1))
    for i, y, x in itertools.product(range(3), range(4), range(4)):
        left = belief[i, 2, 8 * y : 8 * y + 8, 8 * x : 8 * x + 8].mean() > LEFT
        assert (found[i, :, y, x] == float(left)).all()
    assert 0 < float(found.mean()) < 1
    assert torch.equal(drafts.frames([2, 0]).begin(start), found[[2, 0]])
    without = Drafts.of(1, torch.zeros(3, 2, 4, 4), belief)
    assert torch.equal(without.begin(start), start)  # frames that start at less noise


@pytest.mark.parametrize("at", range(1, T + 1))
@torch.no_grad()
def test_drafts_are_set_in_on_the_way(at: int) -> None:
    """Transcribed literally, for sampling and for Alg. 1."""
    eps, ddim = denoiser(guidance_scale=1.0), DDIM.from_scheduler(build_scheduler(), T)
    start, pose_cond = latents(1), eps.embed_poses(drawings(2))
    generator = torch.Generator().manual_seed(5)
    believed = torch.rand(2, 1, *GRID, generator=generator) > 0.5
    left = torch.rand(2, 1, *GRID, generator=generator) > 0.5
    latents_k, ground = torch.randn(3, *start.shape[1:], generator=generator).split([2, 1])
    drafts = Drafts(at, latents_k, believed, left, ground)
    z_t, visited = left * ground + ~left * start, []
    for k in range(T, 0, -1):
        if k == at:
            z_t = believed * drafts.latents + ~believed * z_t
        noise = eps.predict(z_t, ddim.timestep(k), eps.prompt, pose_cond)
        visited.append(ddim.predict_z0(z_t, noise, k))
        z_t = ddim.step(z_t, noise, k)
    embeddings = eps.prompt.expand(2, T, -1, -1)
    sampler = Sampler(eps, ddim, start)
    chunk = finish(sampler.sample_chunk(None, None, embeddings, pose_cond, drafts=drafts))
    torch.testing.assert_close(chunk.latents, z_t, **CLOSE)
    config = PoseOptimisation(steps=0)
    inverted = latents(T + 1)
    alone = optimise_embeddings(
        eps, ddim, inverted, embeddings[0], start, pose_cond, config, drafts=drafts
    )
    for step, expected in zip(alone, visited, strict=True):
        torch.testing.assert_close(step.z_0, expected, **CLOSE)


@pytest.mark.parametrize("masks", [None, BODIES], ids=["plain", "decoupled"])
@pytest.mark.parametrize(
    "chunks", [[1] * 16, [3] * 5 + [1], [4, 12]], ids=["by 1", "by 3", "4 and 12"]
)
def test_chunks_of_any_size_give_the_same_frames(chunks: list[int], masks: Tensor | None) -> None:
    whole = generated([16], Lambdas(), masks)
    torch.testing.assert_close(generated(chunks, Lambdas(), masks), whole, **CLOSE)


@pytest.mark.parametrize("baseline", [CrossFrame, SpatioTemporal])
def test_baselines_do_not_depend_on_chunks_either(baseline: type[CrossFrameAttention]) -> None:
    whole = generated([4], baseline=baseline)
    torch.testing.assert_close(generated([1, 3], baseline=baseline), whole, **CLOSE)
    assert float((whole - generated([4])).abs().max()) > 1e-3


@pytest.mark.parametrize("baseline", [CrossFrame, SpatioTemporal])
def test_baselines_are_their_papers_attention(baseline: type[CrossFrameAttention]) -> None:
    generator = torch.Generator().manual_seed(0)
    frames, heads, tokens, d = 4, 2, 16, 5
    q, k, v = (torch.randn(frames, heads, tokens, d, generator=generator) for _ in range(3))
    attention = baseline(branches=1)
    first = previous = KeyValueCache()
    attention.attend(FramePass(0, None, None, first), "layer", q[:1], k[:1], v[:1])
    parts = []
    for i in (slice(1, 3), [3]):
        last = KeyValueCache()
        frames_of_chunk = FramePass(0, first, previous, last)
        parts.append(attention.attend(frames_of_chunk, "layer", q[i], k[i], v[i]))
        previous = last
    found = torch.cat(parts)
    for i, head in itertools.product(range(1, frames), range(heads)):
        k_j, v_j = k[0, head], v[0, head]
        if baseline is SpatioTemporal:
            k_j = torch.cat([k_j, k[i - 1, head]])
            v_j = torch.cat([v_j, v[i - 1, head]])
        expected = softmax_attention(q[i, head], k_j, v_j)
        torch.testing.assert_close(found[i - 1, head], expected, atol=1e-5, rtol=1e-4)


def test_baselines_replace_every_self_attention() -> None:
    names = set(tiny_networks()["unet"].attn_processors)
    for baseline in (CrossFrame, SpatioTemporal):
        assert {n for n in names if baseline.replaces(n)} == {n for n in names if ".attn1." in n}


def test_lambda_of_one_for_itself_is_plain_self_attention() -> None:
    everything = torch.ones(4, 64, 64)
    plain = generated([3])
    torch.testing.assert_close(generated([3], Lambdas(0, 0, 1)), plain, **CLOSE)
    torch.testing.assert_close(generated([3], Lambdas(0, 0, 1), everything), plain, **CLOSE)


def test_each_lambda_matters() -> None:
    alone = generated([3], Lambdas(0, 0, 1))
    for lambdas in (Lambdas(1, 0, 0), Lambdas(0, 1, 0)):
        assert float((generated([3], lambdas) - alone).abs().max()) > 1e-3


def test_without_guidance_one_branch_suffices() -> None:
    eps = denoiser(1.0)
    eps.predict(latents(2), 10, eps.prompt, eps.embed_poses(drawings(2)))
    assert eps.calls == {"unet": 2, "controlnet": 2}
    by_one = generated([1, 1, 1], Lambdas(), None, guidance_scale=1.0)
    torch.testing.assert_close(by_one, generated([3], Lambdas(), None, guidance_scale=1.0), **CLOSE)


def test_the_unet_is_left_as_it_was() -> None:
    unet = tiny_networks()["unet"]
    before = dict(unet.attn_processors)
    steps = denoiser()
    sampler = Sampler(
        steps,
        DDIM.from_scheduler(build_scheduler(), T),
        latents(1),
        DualConsistency(lambdas=Lambdas(), branches=2),
    )
    recording = sampler.record_source(
        latents(T + 1), steps.prompt.expand(T, -1, -1), steps.embed_poses(drawings(1))
    )
    next(recording)
    recording.close()
    assert unet.attn_processors == before


# --- masks from cross-attention ---


def test_maps_are_the_softmax_columns_of_the_characters_tokens() -> None:
    generator = torch.Generator().manual_seed(0)
    q = torch.randn(4, 2, 256, 5, generator=generator)
    k = torch.randn(4, 2, TOKENS, 5, generator=generator)
    maps = CrossAttentionMaps(tokens=(1, 3), frames=2, grid=GRID)
    maps.add(q, k)
    for frame in range(2):
        seen = torch.zeros(256)
        for head in range(2):
            logits = q[2 + frame, head] @ k[2 + frame, head].T / 5**0.5
            seen += torch.softmax(logits, dim=-1)[:, [1, 3]].sum(-1) / 2
        expected = ((seen - seen.min()) / (seen.max() - seen.min())).reshape(16, 16)
        torch.testing.assert_close(maps.maps()[frame], expected, atol=1e-5, rtol=1e-4)


def test_coarse_maps_are_pooled_as_prompt_to_prompt_does() -> None:
    q, k = (torch.randn(2, 2, n, 5, generator=torch.Generator().manual_seed(n)) for n in (64, 6))
    plain, pooled = (CrossAttentionMaps((1,), 2, (8, 8), pooled) for pooled in (False, True))
    for maps in (plain, pooled):
        maps.add(q, k)
    whole = plain.total
    assert whole is not None
    most = torch.stack(
        [
            torch.stack(
                [
                    whole[:, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].amax((1, 2))
                    for x in range(8)
                ],
                dim=-1,
            )
            for y in range(8)
        ],
        dim=1,
    )
    torch.testing.assert_close(pooled.maps(), most / most.amax((1, 2), keepdim=True))


@pytest.mark.parametrize(
    ("kinds", "latents", "resolution", "expected"),
    [
        ("CCCD", (64, 64), 16, (16, 16)),
        ("CCCD", (64, 64), 8, (16, 16)),  # no cross-attention at 8 x 8
        ("CCCDM", (64, 64), 8, (8, 8)),  # but in the middle, as Stable Diffusion 1.5
        ("CCCDM", (64, 64), 16, (16, 16)),
        ("CCCD", (64, 64), 128, (64, 64)),
        ("CCCD", (64, 64), 40, (32, 32)),
        ("CCCD", (64, 96), 16, (16, 24)),
        ("DCC", (33, 64), 16, (9, 16)),
        ("CCC", (16, 16), 16, (16, 16)),
        ("CCC", (16, 16), 4, (4, 4)),
    ],
)
def test_maps_are_of_the_nearest_layers_that_have_them(
    kinds: str, latents: tuple[int, int], resolution: int, expected: tuple[int, int]
) -> None:
    names = {"C": "CrossAttnDownBlock2D", "D": "DownBlock2D"}
    config = SimpleNamespace(
        down_block_types=[names[kind] for kind in kinds.removesuffix("M")],
        mid_block_type="UNetMidBlock2DCrossAttn" if kinds.endswith("M") else None,
    )
    assert choose_grid(SimpleNamespace(config=config), latents, resolution) == expected


def test_watching_changes_nothing() -> None:
    eps, ddim = denoiser(), DDIM.from_scheduler(build_scheduler(), T)
    inverted, pose_cond = latents(T + 1), eps.embed_poses(drawings(2))
    source, config = eps.prompt.expand(T, -1, -1), PoseOptimisation()
    maps = CrossAttentionMaps((1, 2), 2, GRID)
    watched = finish(
        optimise_embeddings(eps, ddim, inverted, source, inverted[-1:], pose_cond, config, maps)
    )
    plain = finish(
        optimise_embeddings(eps, ddim, inverted, source, inverted[-1:], pose_cond, config)
    )
    torch.testing.assert_close(watched, plain, **CLOSE)
    assert maps.maps().shape == (2, 16, 16)
    assert float(maps.maps().min()) == 0 and float(maps.maps().max()) == pytest.approx(1)


# --- relatives ---


def test_with_the_unconditional_embedding_and_no_controlnet_it_is_null_text_inversion() -> None:
    """Its published algorithm (arXiv 2211.09794, Alg. 1 and Sec. 4) transcribed literally, in float64."""
    unet, controlnet = (
        copy.deepcopy(tiny_networks()[name]).double() for name in ("unet", "controlnet")
    )
    steps, inner_steps, w = 50, 2, 7.5
    ddim = DDIM.from_scheduler(build_scheduler(), steps)
    eps = dataclasses.replace(
        denoiser(w, embedding_role="unconditional", controlnet_scale=0.0),
        unet=unet, controlnet=controlnet, calls=Counter(),
    )  # fmt: skip
    generator = torch.Generator().manual_seed(2)
    noise = torch.randn(1, 3, *GRID, generator=generator, dtype=torch.double)
    prompt, null = eps.prompt.double(), eps.null.double()
    with torch.no_grad():
        inverted = torch.cat(list(invert(ddim, noise, lambda z, t: unet(z, t, prompt).sample)))
    eps = dataclasses.replace(eps, prompt=prompt, null=null)
    slack = 2000  # networks with random weights come nowhere near its 1e-5
    config = SourceOptimisation(inner_steps, 1e-2, tolerance=1e-5 * slack)
    pose_cond = eps.embed_poses(drawings(1).double())
    found = finish(pose_aware_inversion(eps, ddim, inverted, pose_cond, config))

    def predicted(z: Tensor, t: int, empty: Tensor) -> Tensor:
        of_null, of_text = unet(z, t, empty).sample, unet(z, t, prompt).sample
        return of_null + w * (of_text - of_null)

    z_bar, empty, stopped = inverted[-1:], null.clone(), 0
    for i, k in enumerate(range(steps, 0, -1)):
        t = ddim.timestep(k)
        a_t, a_prev = (float(ddim.alpha_bar[j]) for j in (k, k - 1))

        def step(z: Tensor, e: Tensor, a_t: float = a_t, a_prev: float = a_prev) -> Tensor:
            z_0 = (z - (1 - a_t) ** 0.5 * e) / a_t**0.5
            return a_prev**0.5 * z_0 + (1 - a_prev) ** 0.5 * e

        empty = empty.detach().clone().requires_grad_(True)
        adam = torch.optim.Adam([empty], lr=1e-2 * (1.0 - i / 100.0))
        for _ in range(inner_steps):
            loss = mse_loss(step(z_bar, predicted(z_bar, t, empty)), inverted[k - 1 : k])
            adam.zero_grad()
            loss.backward()
            adam.step()
            if loss.item() < (1e-5 + i * 2e-5) * slack:
                stopped += 1
                break
        empty = empty.detach()
        with torch.no_grad():
            z_bar = step(z_bar, predicted(z_bar, t, empty))
        assert float((found.embeddings[k - 1] - empty[0]).abs().max()) <= 1e-5
    assert 0 < stopped < steps
    torch.testing.assert_close(found.trajectory[:1], z_bar, atol=1e-5, rtol=1e-5)


# --- half precision, as on a GPU ---


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_networks_optimise_in_float32(dtype: torch.dtype) -> None:
    halves = {
        name: copy.deepcopy(tiny_networks()[name]).to(dtype) for name in ("unet", "controlnet")
    }
    full = denoiser()
    half = dataclasses.replace(full, **halves, calls=Counter())
    ddim, inverted = DDIM.from_scheduler(build_scheduler(), T), latents(T + 1)
    config = SourceOptimisation(inner_steps=2, learning_rate=0.01, tolerance=0.0)
    found, expected = (
        finish(pose_aware_inversion(eps, ddim, inverted, eps.embed_poses(drawings(1)), config))
        for eps in (half, full)
    )
    assert found.embeddings.dtype == found.trajectory.dtype == torch.float32
    moved = (found.embeddings - half.prompt).abs().amax()
    assert float(moved) > 0.005
    torch.testing.assert_close(found.trajectory, expected.trajectory, atol=0.2, rtol=0.1)


def test_what_a_chunk_leaves_behind_is_one_frame() -> None:
    attention = DualConsistency(lambdas=Lambdas(), branches=2)
    first, last = KeyValueCache(), KeyValueCache()
    q, chunk = torch.randn(2, 2, 16, 5), torch.randn(16, 2, 16, 5)
    attention.attend(FramePass(0, None, None, first), "layer", q, q, q)
    attention.attend(FramePass(0, first, first, last), "layer", chunk, chunk, chunk)
    for kept in last.get((0, "layer"), chunk.device):
        assert kept.shape == (2, 2, 16, 5)
        assert kept.untyped_storage().nbytes() == kept.nbytes
