"""When a device fails: memory that runs out, numbers that are none, a job that is killed. The next job always runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from weakref import WeakSet

import numpy as np
import pytest
import sd15_random
import torch
from helpers.animation import CACHE_BYTES, assert_alike, fast, frames_of, run, undisturbed
from helpers.served import TIMEOUT_S
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from poseanimate.errors import DeviceError
from poseanimate.events import Frame, Note
from poseanimate.method.cross_frame import KeyValueCache
from poseanimate.method.denoiser import Denoiser
from poseanimate.method.sampler import Sampler
from poseanimate.models.family import Models
from poseanimate.models.loading import load_models
from poseanimate.pipeline import memory
from poseanimate.pipeline import run as stages
from poseanimate.pipeline.build import build_sampler
from poseanimate.pipeline.memory import choose_chunk_size, is_out_of_memory
from poseanimate.storage.stage_cache import FOLDER_VARIABLE, StageCache

EXAMPLES = Path(__file__).parents[1] / "examples"
FRAMES = 6
OUT_OF_MEMORY = {
    "of a GPU": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    "of a GPU's driver": torch.AcceleratorError(
        "CUDA error: out of memory\nCUDA kernel errors might …"
    ),
    "of a GPU's library": RuntimeError(
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"
    ),
    "of the machine": RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to …"),
    "of Python": MemoryError(),
}


def failing(monkeypatch: pytest.MonkeyPatch, fails: Callable[[int, int], Exception | None]) -> None:
    """Passes through the networks raise what `fails` says of how many frames they have and which pass it is."""
    passes, whole = 0, Denoiser.predict

    def predict(self: Denoiser, z_t: Tensor, *rest: object) -> Tensor:
        nonlocal passes
        passes += 1
        error = fails(len(z_t), passes)
        if error is not None:
            raise error
        return whole(self, z_t, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Denoiser, "predict", predict)


# --- memory runs out ---


@pytest.mark.parametrize(
    ("kind", "most", "told"),
    [(kind, 1, ["2 frames are", "1 frame is"]) for kind in OUT_OF_MEMORY]
    + [("of a GPU", 2, ["2 frames are"])],
)
def test_a_chunk_that_does_not_fit_is_halved(
    monkeypatch: pytest.MonkeyPatch, kind: str, most: int, told: list[str]
) -> None:
    settings = fast(frames=FRAMES)
    expected = undisturbed(settings, 4)
    failing(monkeypatch, lambda frames, _: OUT_OF_MEMORY[kind] if frames > most else None)
    events = run(settings, chunk_size=4)
    notes = [e.text for e in events if isinstance(e, Note) and "Memory ran out" in e.text]
    assert [words in note for words, note in zip(told, notes, strict=True)] == [True] * len(told)
    assert [e.index for e in events if isinstance(e, Frame)] == list(range(FRAMES))
    assert_alike(frames_of(events), expected)


@pytest.mark.parametrize(
    "after", [8, 10, 11, 12]
)  # in a chunk's two steps of Alg. 1 or of generation
def test_wherever_a_chunk_fails_it_is_done_again_from_its_start(
    monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """What a failed chunk's last frame left behind at the timesteps that it got through doesn't count."""
    lambdas = {"lambda_first": 0.0, "lambda_prev": 1.0, "lambda_self": 0.0}
    settings = fast(frames=FRAMES, pacm_source=False, guidance_scale=8.0, **lambdas)
    expected = undisturbed(settings, 3)
    failed = []

    def fails(frames: int, passes: int) -> Exception | None:
        if passes >= after and frames > 1 and not failed:
            failed.append(passes)
            return OUT_OF_MEMORY["of a GPU"]
        return None

    with pytest.MonkeyPatch.context() as patch:
        failing(patch, fails)
        events = run(settings, chunk_size=3)
    assert failed
    assert_alike(frames_of(events), expected)


def test_what_does_not_fit_at_all_gets_a_sentence_and_the_next_job_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cache = StageCache(tmp_path, CACHE_BYTES)
    expected = undisturbed(fast())
    with pytest.MonkeyPatch.context() as patch:
        failing(patch, lambda *_: OUT_OF_MEMORY["of a GPU"])
        with pytest.raises(DeviceError, match="Memory ran out, even for one frame"):
            run(fast(), cache)
    assert_alike(frames_of(run(fast(), cache)), expected)


def test_other_errors_are_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, lambda *_: RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        run(fast())
    assert not is_out_of_memory(ValueError("can't allocate memory"))


@given(st.integers(1, 80), st.integers(10**6, 10**10), st.sampled_from(["cpu", "cuda"]))
def test_more_memory_never_means_a_smaller_chunk(gigabytes: int, frame: int, device: str) -> None:
    free = gigabytes * 10**9
    frames = choose_chunk_size(None, device, free, frame)
    assert 1 <= frames <= memory.MAX_CHUNK[device]
    assert frames <= choose_chunk_size(None, device, 2 * free, frame)
    assert frames >= choose_chunk_size(None, device, free, 2 * frame)
    assert choose_chunk_size(3, device, free, frame) == 3


def test_cards_of_12_24_and_80_gb() -> None:
    """With Stable Diffusion 1.5 loaded in half precision (3 GB) at 512 x 512."""
    with torch.device("meta"):
        frame = memory.frame_bytes(sd15_random.unet().half(), 512**2)
    sizes = [choose_chunk_size(None, "cuda", (size - 3) * 10**9, frame) for size in (12, 24, 80)]
    assert sizes == [3, 7, 16]


def test_what_a_frames_gradient_keeps_is_not_underestimated() -> None:
    models = load_models("pocket", "cpu")
    eps = Denoiser(models.unet, models.controlnet, models.embed("a girl"), models.embed(""), 3.0)
    own = {
        weight.untyped_storage().data_ptr()
        for network in (models.unet, models.controlnet)
        for weight in network.parameters()
    }
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    pose_cond = eps.embed_poses(torch.rand(1, 3, 128, 128)).detach()
    embedding = eps.prompt.clone().requires_grad_(True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        eps.predict(
            torch.randn(1, models.unet.config.in_channels, 16, 16), 500, embedding, pose_cond
        )
    bound = memory.frame_bytes(models.unet, 128**2)
    assert bound / 4 < sum(kept.values()) < bound


@pytest.mark.parametrize(("room", "elsewhere"), [(0, True), (10**9, False)])
def test_keys_and_values_without_room_are_kept_in_main_memory(
    monkeypatch: pytest.MonkeyPatch, room: int, elsewhere: bool
) -> None:
    settings = fast(frames=FRAMES)
    expected = undisturbed(settings)
    caches: list[KeyValueCache] = []
    make_room, another = Sampler._make_room, KeyValueCache.another

    def watched_room(self: Sampler, keys_values: KeyValueCache) -> None:
        caches[:] = [keys_values]
        make_room(replace(self, device_budget_bytes=room), keys_values)

    def watched_another(self: KeyValueCache) -> KeyValueCache:
        caches.append(another(self))
        return caches[-1]

    monkeypatch.setattr(Sampler, "_make_room", watched_room)
    monkeypatch.setattr(KeyValueCache, "another", watched_another)
    assert np.array_equal(frames_of(run(settings)), expected)
    assert len(caches) > 1
    for cache in caches:
        assert cache.offloaded is elsewhere
        tensors = [x for pair in cache._kept.values() for x in pair]
        pages = {x.untyped_storage().data_ptr(): x.untyped_storage().nbytes() for x in tensors}
        assert sum(pages.values()) == sum(x.nbytes for x in tensors)
        if elsewhere:
            assert len(pages) == settings.num_inference_steps


@pytest.mark.parametrize(("budget", "pinned"), [(10**9, True), (0, False)])
def test_main_memory_is_pinned_only_where_there_is_plenty(
    monkeypatch: pytest.MonkeyPatch, budget: int, pinned: bool
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(KeyValueCache, "offload", lambda _, pinned: asked.append(pinned))

    def build(*given: object) -> Sampler:
        sampler = build_sampler(*given)  # type: ignore[arg-type]
        return replace(sampler, device_budget_bytes=0, pinned_budget_bytes=budget)

    monkeypatch.setattr(stages, "build_sampler", build)
    run(fast(frames=2))
    assert asked == [pinned]


def test_what_an_unfinished_chunk_kept_is_gone_before_it_is_done_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alive: list[int] = []
    caches: WeakSet[KeyValueCache] = WeakSet()
    another, released = KeyValueCache.another, stages.release

    def watched_another(self: KeyValueCache) -> KeyValueCache:
        made = another(self)
        caches.add(made)
        return made

    def release(device: torch.device) -> None:
        released(device)
        alive.append(len(caches))

    monkeypatch.setattr(KeyValueCache, "another", watched_another)
    monkeypatch.setattr(stages, "release", release)
    failed: list[int] = []

    def fails(frames: int, passes: int) -> Exception | None:
        if failed or not any(cache._kept for cache in caches):
            return None
        failed.append(passes)
        return MemoryError()  # not the one above, which would hold on to what failed

    failing(monkeypatch, fails)
    run(fast(frames=FRAMES, pacm_source=False, pacm_pose=False), chunk_size=4)
    assert failed and alive == [0]


# --- no numbers, a lost device ---


@pytest.mark.parametrize("after", [0, 3, 7, 11])
def test_results_that_are_no_numbers_get_a_sentence_and_are_not_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, after: int
) -> None:
    cache = StageCache(tmp_path, CACHE_BYTES)
    expected = undisturbed(fast())
    passes, whole = 0, Denoiser.predict

    def predict(self: Denoiser, *given: object) -> Tensor:
        nonlocal passes
        passes += 1
        eps = whole(self, *given)  # type: ignore[arg-type]
        return eps * torch.nan if passes > after else eps

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Denoiser, "predict", predict)
        with pytest.raises(DeviceError, match="no numbers") as caught:
            run(fast(), cache)
    assert "--precision full" in caught.value.remedy
    for entry in cache.entries():
        kept = cache.get(entry.key)
        assert kept is not None and all(np.isfinite(array).all() for array in kept.values())
    assert_alike(frames_of(run(fast(), cache)), expected)


def test_an_autoencoder_that_gives_no_numbers_gets_the_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As Stable Diffusion's own may in half precision: a picture of them would be black."""
    whole = Models.decode
    monkeypatch.setattr(Models, "decode", lambda *given: whole(*given) * torch.nan)
    with pytest.raises(DeviceError, match="no numbers"):
        run(fast())


def test_a_lost_device_gets_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = torch.AcceleratorError("CUDA error: unspecified launch failure\nmore about it")
    failing(monkeypatch, lambda *_: lost)
    with pytest.raises(DeviceError, match=r"has failed \(CUDA error: unspecified launch failure\)"):
        run(fast())


# --- a killed job ---


@pytest.mark.slow
def test_a_killed_jobs_finished_stages_serve_the_next(tmp_path: Path) -> None:
    """Killed outright while it works, as by a machine that runs out of memory."""
    command = [
        sys.executable, "-m", "poseanimate", "animate", str(EXAMPLES / "characters" / "park-girl.png"), "squat",
        "-o", str(tmp_path / "clip.mp4"), "--frames", "4", "--json", "--models", "pocket", "--preset", "fast",
    ]  # fmt: skip
    cache = tmp_path / "cache"
    variables = os.environ | {FOLDER_VARIABLE: str(cache)}
    with subprocess.Popen(
        command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as job:
        give_up_s = time.monotonic() + TIMEOUT_S
        while not (cache.is_dir() and StageCache(cache, 10**9).entries()):
            assert job.poll() is None and time.monotonic() < give_up_s
            time.sleep(0.02)
        job.send_signal(signal.SIGKILL)
    assert job.returncode == -signal.SIGKILL and not (tmp_path / "clip.mp4").exists()
    for entry in StageCache(cache, 10**9).entries():
        assert StageCache(cache, 10**9).get(entry.key) is not None
    done = subprocess.run(command, env=variables, check=True, capture_output=True, text=True)
    assert '"cached_stages": ["inversion"' in done.stdout.splitlines()[-1]
    assert (tmp_path / "clip.mp4").stat().st_size > 1000
