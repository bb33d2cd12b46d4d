"""The animator on tiny models: its events, what it caches, and that it can be stopped anywhere."""

from __future__ import annotations

import gc
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers.animation import (
    CACHE_BYTES,
    PROMPT,
    T,
    assert_alike,
    fast,
    frames_of,
    picture,
    run,
    undisturbed,
    walk,
)
from helpers.tiny import SIDE, ToldEyes, scene_at_ease, tiny_models, tiny_networks
from PIL import Image

from poseanimate.animator import Animator, Character
from poseanimate.errors import MotionError, NoCharacterError, SettingsError, SeveralCharactersError
from poseanimate.events import Aligned, Done, Event, Frame, Note, Preview, Stage, Step
from poseanimate.media.similarity import psnr_db
from poseanimate.method.denoiser import Denoiser
from poseanimate.method.extras.drafts import draft_step
from poseanimate.method.pacm import SourceEmbeddings
from poseanimate.models.family import Models, to_pixels, to_tensor
from poseanimate.pipeline import stages
from poseanimate.pipeline.cost import CostModel
from poseanimate.pipeline.progress import ProgressTimer
from poseanimate.pocket.body import Angles
from poseanimate.pocket.world.scene import Scene
from poseanimate.poses.motion import load_preset
from poseanimate.poses.pata import Severity
from poseanimate.poses.silhouette import Silhouette
from poseanimate.poses.skeleton import Pose
from poseanimate.settings import MAX_FRAMES, Settings
from poseanimate.storage import stage_cache
from poseanimate.storage.stage_cache import StageCache

MODULES = ("pata", "pacm_source", "pacm_pose", "dcam", "mgdm")


def halved(models: Models) -> Models:
    """In float16, as on a GPU."""
    names = ("unet", "controlnet", "vae", "text_encoder")
    return replace(models, **{name: deepcopy(getattr(models, name)).half() for name in names})


def differ(found: np.ndarray, expected: np.ndarray) -> bool:
    """By more than rounding."""
    return bool(np.abs(found.astype(int) - expected.astype(int)).max() > 1)


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Counts what truly goes through the networks: samples by name, and passes as "passes"."""
    networks, calls, hooks = tiny_networks(), Counter(), []

    def hook(name: str) -> Callable[..., None]:
        def count(module, args) -> None:
            calls[name] += len(args[0])
            calls["passes"] += name == "unet"

        return count

    for name in ("unet", "controlnet"):
        hooks.append(networks[name].register_forward_pre_hook(hook(name)))
    try:
        yield calls
    finally:
        for each in hooks:
            each.remove()


def expected_calls(
    settings: Settings,
    inversion: bool = True,
    source: bool = True,
    poses: int = -1,
    drafts: bool = True,
    turned: bool = True,
) -> dict[str, int]:
    """What a run costs that re-runs those stages, and the second optimisation for `poses` frames (-1: all).

    turned: whether a body turns, as in a walk; from drafts it takes fewer steps else.
    """
    steps, frames = settings.num_inference_steps, settings.frames - 1
    branches = 1 if settings.guidance_scale == 1 else 2
    poses = frames if poses < 0 else poses
    unet = controlnet = gradient = 0
    sampled = steps if turned or settings.start != "draft" else draft_step(steps)
    if inversion:
        unet, controlnet = steps, steps
    if source and settings.pacm_source:
        unet += steps * branches * (settings.inner_steps + 1)
        controlnet += steps * (settings.inner_steps + 1)
        gradient += steps * branches * settings.inner_steps
    watched = settings.dcam and settings.mgdm and settings.attended
    if settings.pacm_pose:
        unet += sampled * branches * settings.pose_steps * poses
        controlnet += sampled * settings.pose_steps * poses
        gradient += sampled * branches * settings.pose_steps * poses
    elif watched:
        unet += sampled * branches * poses
        controlnet += sampled * poses
    generated = frames + settings.follows_source
    unet += sampled * branches * generated
    controlnet += sampled * generated
    if settings.start == "draft" and drafts:
        unet += draft_step(steps) * frames
        controlnet += draft_step(steps) * frames
        if turned:
            unet, controlnet = unet + steps, controlnet + steps  # of the picture without the figure
    return {
        name: count
        for name, count in (("unet", unet), ("controlnet", controlnet), ("gradient", gradient))
        if count
    }


@pytest.fixture(scope="module")
def fresh() -> np.ndarray:
    """Frames of the plain run, without a cache."""
    return undisturbed(fast())


@pytest.fixture
def cache(tmp_path: Path) -> StageCache:
    return StageCache(tmp_path / "cache", CACHE_BYTES)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache folder of one plain run."""
    folder = tmp_path_factory.mktemp("once")
    run(cache=StageCache(folder, CACHE_BYTES))
    return folder


@pytest.fixture
def warm(once: Path, tmp_path: Path) -> StageCache:
    """A cache that has seen the plain run."""
    shutil.copytree(once, tmp_path / "warm")
    return StageCache(tmp_path / "warm", CACHE_BYTES)


@pytest.fixture(autouse=True)
def networks_stay_as_they_are() -> Iterator[None]:
    unet, controlnet = tiny_networks()["unet"], tiny_networks()["controlnet"]
    processors, hints = dict(unet.attn_processors), controlnet.controlnet_cond_embedding
    yield
    assert unet.attn_processors == processors
    assert controlnet.controlnet_cond_embedding is hints


# --- events ---


def test_events_come_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "PREVIEW_SHARE", 1)  # however long a preview takes

    def told(event: Event) -> str:
        match event:
            case Stage():
                which = "" if event.frames is None else " of {}-{}".format(*event.frames)
                return f"stage {event.name} {event.steps}{which}"
            case Step():
                return f"{event.stage} {event.index}/{event.total}"
            case Frame() | Preview():
                return f"{type(event).__name__} {event.index}"
        return type(event).__name__

    def chunk(frames: str) -> list[str]:
        pacm = [f"stage pacm_pose 2 of {frames}", "pacm_pose 1/2", "pacm_pose 2/2"]
        return [*pacm, f"stage generation 2 of {frames}"]

    assert [told(event) for event in run(fast(frames=4), motion=walk(3))] == [
        *("stage character 1", "stage alignment 1", "Aligned", "Frame 0"),
        *("stage inversion 2", "inversion 1/2", "inversion 2/2"),
        "stage pacm_source 2",
        *("pacm_source 1/2", "pacm_source 1/2", "pacm_source 2/2", "pacm_source 2/2"),
        *("stage frame_0 2", "frame_0 1/2", "frame_0 2/2"),
        *(*chunk("1-2"), "generation 1/2", "Preview 2", "generation 2/2", "Frame 1", "Frame 2"),
        *(*chunk("3-3"), "generation 1/2", "Preview 3", "generation 2/2", "Frame 3"),
        "Done",
    ]


@pytest.mark.parametrize(
    ("changes", "chunk_size"), [({}, 1), ({"pose_steps": 2}, 2), ({"pacm_pose": False}, 2)]
)
def test_the_time_left_runs_out_with_the_last_step(changes: dict, chunk_size: int) -> None:
    events = run(fast(**changes), chunk_size=chunk_size)
    left = [event.left_s for event in events if isinstance(event, Step)]
    assert all(seconds is not None and seconds >= 0 for seconds in left)
    assert left[0] > 0
    assert left[-1] == pytest.approx(0, abs=1e-6)


def test_the_time_left_knows_what_is_cached(warm: StageCache) -> None:
    left = [event.left_s for event in run(cache=warm) if isinstance(event, Step)]
    assert left[-1] == pytest.approx(0, abs=1e-6)


def test_no_more_than_one_pass_lies_between_two_events() -> None:
    settings = fast(inner_steps=2, pose_steps=2)
    passes = []
    with counted() as calls:
        for event in Animator(tiny_models()).animate(picture(), walk(), settings, PROMPT):
            passes.append((event, calls["passes"]))
    for (_, before), (event, after) in pairwise(passes):
        assert after - before == isinstance(event, Step)


# --- frames and figures ---


def test_frame_0_is_the_source_bit_for_bit() -> None:
    events = run()
    zero = next(event for event in events if isinstance(event, Frame))
    assert zero.index == 0
    assert np.array_equal(zero.picture, scene_at_ease().picture)
    assert np.array_equal(frames_of(events)[0], scene_at_ease().picture)


def test_frame_0_of_a_larger_picture_is_that_picture_resized() -> None:
    large = Image.fromarray(scene_at_ease(side=3 * SIDE).picture)
    small = np.asarray(large.resize((SIDE, SIDE), Image.Resampling.LANCZOS))
    assert np.array_equal(frames_of(run(fast(frames=2), source=large))[0], small)


@pytest.mark.parametrize("count", [2, 4])
def test_there_are_as_many_frames_as_asked_for(count: int) -> None:
    events = run(fast(frames=count), motion=walk(count - 1))
    frames = [event for event in events if isinstance(event, Frame)]
    assert [frame.index for frame in frames] == list(range(count))
    assert frames[0].mask is None
    for frame in frames[1:]:
        assert frame.mask.shape == (SIDE, SIDE) and set(np.unique(frame.mask)) == {0, 1}
    result = frames_of(events)
    assert result.shape == (count, SIDE, SIDE, 3) and result.dtype == np.uint8
    for frame, own in zip(frames, result, strict=True):
        assert np.array_equal(frame.picture, own)
    assert not any(isinstance(event, Note) for event in events)


def test_a_short_motion_gives_fewer_frames_and_says_so() -> None:
    events = run(fast(frames=6), motion=walk(2))
    (note,) = [event for event in events if isinstance(event, Note)]
    assert "3 frames, not 6" in note.text
    assert len(frames_of(events)) == 3


def test_a_clip_of_a_part_of_the_motion_says_so() -> None:
    (note,) = [event for event in run(motion=walk(5)) if isinstance(event, Note)]
    assert note.text.startswith("Shows 2 of 5 poses.")


def test_frames_move_and_depend_on_the_pose(fresh: np.ndarray) -> None:
    assert differ(fresh[1], fresh[2])
    still = replace(walk(), poses=walk().poses[:1] * 4)
    assert differ(frames_of(run(motion=still))[2], fresh[2])


def test_done_tells_what_the_run_cost() -> None:
    with counted() as calls:
        events = run()
    done = events[-1]
    assert isinstance(done, Done)
    assert done.model_calls == expected_calls(fast())
    assert sum(done.stage_calls.values()) == sum(done.model_calls.values())
    assert done.stage_calls["inversion"] == 2 * T  # U-Net and ControlNet
    assert {name: calls[name] for name in ("unet", "controlnet")} == {
        name: done.model_calls[name] for name in ("unet", "controlnet")
    }
    looked = {"character", "alignment"}
    worked = {"inversion", "pacm_source", "frame_0", "pacm_pose", "generation"}
    worked |= {"previews", "decoding"}
    assert set(done.seconds) == looked | worked
    assert all(seconds > 0 for seconds in done.seconds.values())
    assert done.fps == walk().fps
    assert done.cached_stages == ()


def test_a_run_in_half_precision_gives_nearly_the_same_clip() -> None:
    """In float16, which overflows and underflows where bfloat16 doesn't; optimisations included."""
    found, expected = frames_of(run(models=halved(tiny_models()))), undisturbed(fast())
    off = np.abs(found.astype(int) - expected.astype(int))
    assert off.mean() < 2 and differ(found, expected)


def test_previews_have_a_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def count(share: float) -> int:
        monkeypatch.setattr(stages, "PREVIEW_SHARE", share)
        return sum(isinstance(event, Preview) for event in run(fast(), chunk_size=1))

    assert count(0) == 1, "the first is always shown"
    assert count(1) > 1

    clock = ProgressTimer(10, {}, worked_s=100.0)
    assert clock.affords("previews", 0.02)
    clock.seconds["previews"] = 2.5
    assert not clock.affords("previews", 0.02) and clock.affords("previews", 0.03)


def test_the_sources_psnr_is_that_of_its_reconstruction(monkeypatch: pytest.MonkeyPatch) -> None:
    def off_by_a_half(denoiser, ddim, inverted, hint, how):
        yield from ()
        return SourceEmbeddings(denoiser.initial.expand(ddim.steps, -1, -1), inverted + 0.5)

    monkeypatch.setattr(stages, "pose_aware_inversion", off_by_a_half)
    models, source = tiny_models(), scene_at_ease().picture
    z_0 = models.encode(to_tensor(source[None], models.device))
    again = to_pixels(models.decode(z_0 + 0.5))[0]
    done = run()[-1]
    assert done.source_psnr_db == pytest.approx(psnr_db(again, source), abs=1e-3)
    encoded = to_pixels(models.decode(z_0))[0]
    assert done.inversion_psnr_db == pytest.approx(psnr_db(again, encoded), abs=1e-3)
    assert run(fast(pacm_source=False))[-1].source_psnr_db is None  # nothing is reconstructed
    assert psnr_db(source, source) == 99.0
    assert psnr_db(source, np.bitwise_xor(source, 1)) == pytest.approx(48.1308, abs=1e-3)


def test_previews_show_frames_to_come() -> None:
    finished = -1
    for event in run(fast(frames=4, num_inference_steps=5, pacm_source=False)):
        if isinstance(event, Frame):
            finished = event.index
        if isinstance(event, Preview):
            assert event.index > finished
            assert event.picture.shape == (SIDE, SIDE, 3) and event.picture.dtype == np.uint8
    assert finished == 3


@pytest.mark.parametrize("mode", ["RGBA", "L", "P", "1"])
def test_a_picture_of_any_mode_becomes_rgb(mode: str) -> None:
    character = Animator(tiny_models()).character(picture().convert(mode))
    assert character.picture.shape == (SIDE, SIDE, 3) and character.picture.dtype == np.uint8
    expected = picture().convert(mode).convert("RGB")
    assert np.array_equal(character.picture, np.asarray(expected))


def test_a_known_character_need_not_be_looked_for(fresh: np.ndarray) -> None:
    character = Animator(tiny_models()).character(picture())
    blind = replace(tiny_models(), detector=ToldEyes((), np.zeros((SIDE, SIDE), np.float32)))
    *_, done = Animator(blind).animate(character, walk(), fast(), PROMPT)
    assert_alike(np.stack(done.frames), fresh)


# --- what is cached ---


def test_a_second_run_generates_alone_and_gives_the_same(
    cache: StageCache, fresh: np.ndarray
) -> None:
    first = run(cache=cache)
    with counted() as calls:
        second = run(cache=cache)
    assert_alike(frames_of(first), fresh)
    assert_alike(frames_of(second), fresh)
    assert np.array_equal(frames_of(second), frames_of(run(cache=cache)))
    assert second[-1].model_calls == expected_calls(fast(), *ALONE)
    assert calls["unet"] == second[-1].model_calls["unet"]
    assert second[-1].cached_stages == ("inversion", "pacm_source", "pacm_pose")
    stages = {e.name: (e.steps, e.cached) for e in second if isinstance(e, Stage)}
    for name in ("inversion", "pacm_source", "pacm_pose"):
        assert stages[name] == (0, True)
    assert stages["generation"] == (T, False)


ALONE, OPTIMISED, EVERYTHING = (False, False, 0), (False, False, -1), (True, True, -1)


@pytest.mark.parametrize(
    ("changes", "again"),
    [
        ({"lambda_first": 0.4}, ALONE),
        ({"mgdm": False}, ALONE),
        ({"dcam": False}, ALONE),
        ({"mask_form": "region"}, ALONE),
        ({"mask_threshold": 0.3}, ALONE),
        ({"mask_widening": 1}, ALONE),
        ({"mask_resolution": 8}, OPTIMISED),
        ({"controlnet_emphasis": 2.0}, ALONE),
        ({"seed": 5}, ALONE),
        ({"pose_learning_rate": 1e-3}, OPTIMISED),
        ({"pose_steps": 2}, OPTIMISED),
        ({"start": "random"}, OPTIMISED),
        ({"start": "draft"}, OPTIMISED),
        ({"inner_steps": 2}, (False, True, -1)),
        ({"guidance_scale": 1.0}, (False, True, -1)),
        ({"embedding_role": "unconditional"}, (False, True, -1)),
        ({"num_inference_steps": 3}, EVERYTHING),
        ({"timestep_spacing": "trailing"}, EVERYTHING),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, dict) else "",
)
def test_a_changed_setting_runs_again_what_it_touches(
    warm: StageCache, changes: dict, again: tuple
) -> None:
    changed = fast(**changes)
    with counted() as calls:
        events = run(changed, warm)
    expected = expected_calls(changed, *again)
    assert events[-1].model_calls == expected
    assert {name: calls[name] for name in expected if name != "gradient"} == {
        name: count for name, count in expected.items() if name != "gradient"
    }
    if again != EVERYTHING:
        assert_alike(frames_of(events), undisturbed(changed))


@pytest.mark.parametrize("off", ["dcam", "mgdm"])
def test_a_switch_turned_on_generates_alone(cache: StageCache, off: str) -> None:
    run(fast(**{off: False}), cache)
    assert run(cache=cache)[-1].model_calls == expected_calls(fast(), *ALONE)


def test_another_prompt_picture_or_model_runs_everything_again(warm: StageCache) -> None:
    touched = scene_at_ease().picture.copy()
    touched[0, 0, 0] ^= 1
    others = (
        {"prompt": "a boy in the park"},
        {"source": Image.fromarray(touched)},
        {"models": replace(tiny_models(), identity="tiny-1")},
    )
    for other in others:
        done = run(cache=warm, **other)[-1]
        assert done.model_calls == expected_calls(fast()), other
        assert done.cached_stages == ()


def test_a_changed_pose_of_one_frame_optimises_that_frame_alone(cache: StageCache) -> None:
    settings = fast(pata=False, frames=5)
    run(settings, cache)
    poses = list(walk().poses)
    poses[1] = poses[1].shifted(6, 0)
    events = run(settings, cache, motion=replace(walk(), poses=tuple(poses)))
    assert events[-1].model_calls == expected_calls(settings, False, False, 1)
    assert [e.cached for e in events if isinstance(e, Stage) and e.name == "pacm_pose"] == [
        False,
        True,
    ]
    whole = frames_of(run(settings, motion=replace(walk(), poses=tuple(poses))))
    # optimised alone or among others: sums in another order
    assert_alike(frames_of(events), whole)


@pytest.mark.parametrize("name", ["walk", "wave"])
def test_drafts_are_inverted_once_and_save_steps_where_nobody_turns(
    cache: StageCache, name: str
) -> None:
    drafted = fast(start="draft", pacm_pose=False, frame_masks="draft")
    motion, turned = load_preset(name), name == "walk"
    first = run(drafted, cache, motion=motion)
    assert first[-1].model_calls == expected_calls(drafted, turned=turned)
    second = run(drafted, cache, motion=motion)
    assert second[-1].model_calls == expected_calls(drafted, *ALONE, drafts=False, turned=turned)
    assert "drafts" in second[-1].cached_stages
    assert np.array_equal(frames_of(first), frames_of(second))
    longer = run(replace(drafted, frames=4), cache, motion=motion)
    begun = [e for e in longer if isinstance(e, Stage) and e.name == "drafts"]
    assert [(e.cached, e.frames) for e in begun] == [(True, (1, 2)), (False, (3, 3))]
    assert "drafts" not in longer[-1].cached_stages, "one was inverted"
    inverted = (
        longer[-1].model_calls["unet"]
        - expected_calls(replace(drafted, frames=4), *ALONE, drafts=False, turned=turned)["unet"]
    )
    assert inverted == draft_step(T) < T  # of one frame
    totals = {e.name: e.steps for e in first if isinstance(e, Stage) and e.steps > 1}
    assert totals["inversion"] == totals["pacm_source"] == T
    steps = [e.index for e in first if isinstance(e, Step) and e.stage == "generation"]
    assert max(steps) == (T if turned else draft_step(T))


def test_a_longer_clip_optimises_the_new_frames_alone(warm: StageCache) -> None:
    longer = fast(frames=4)
    assert run(longer, warm)[-1].model_calls == expected_calls(longer, False, False, 1)


def test_a_repeated_pose_of_another_chunk_is_found_again(cache: StageCache) -> None:
    settings = fast(pata=False, frames=5)
    twice = replace(walk(), poses=walk().poses[:2] * 2)
    assert run(settings, cache, motion=twice)[-1].model_calls == expected_calls(settings, poses=2)


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty"])
def test_a_damaged_entry_is_made_anew(warm: StageCache, fresh: np.ndarray, damage: str) -> None:
    entries = sorted(warm.folder.iterdir())
    assert len(entries) == 4
    for path in entries:
        data = bytearray(path.read_bytes())
        data[-3] ^= 0x40
        path.write_bytes({"flipped": data, "cut": data[: len(data) // 2], "empty": b""}[damage])
    events = run(cache=warm)
    assert events[-1].model_calls == expected_calls(fast())
    assert_alike(frames_of(events), fresh)
    assert sorted(warm.folder.iterdir()) == entries


def test_a_cache_too_small_for_anything_still_works(tmp_path: Path, fresh: np.ndarray) -> None:
    assert_alike(frames_of(run(cache=StageCache(tmp_path, 10))), fresh)


# --- stopping ---


@dataclass(frozen=True)
class At:
    """The count-th event of a kind (and stage)."""

    kind: type
    stage: str = ""
    count: int = 1

    def __str__(self) -> str:
        return f"{self.kind.__name__} {self.stage} {self.count}"


STOPS = [
    At(Stage, "character"),
    At(Aligned),
    At(Frame),
    At(Stage, "inversion"),
    At(Step, "inversion"),
    At(Step, "pacm_source"),
    At(Step, "frame_0"),
    At(Stage, "pacm_pose"),
    At(Step, "pacm_pose"),
    At(Step, "generation"),
    At(Preview),
    At(Frame, count=2),
    At(Done),
]


@pytest.mark.parametrize("stop", STOPS, ids=str)
def test_closing_stops_at_once_and_leaves_nothing_behind(
    cache: StageCache, fresh: np.ndarray, stop: At
) -> None:
    unet, controlnet = tiny_networks()["unet"], tiny_networks()["controlnet"]
    processors, hints = dict(unet.attn_processors), controlnet.controlnet_cond_embedding
    with counted() as calls:
        events = Animator(tiny_models(), cache).animate(picture(), walk(), fast(), PROMPT)
        seen = 0
        for event in events:
            name = getattr(event, "name", getattr(event, "stage", ""))
            seen += isinstance(event, stop.kind) and name == stop.stage
            if seen == stop.count:
                break
        assert seen == stop.count
        before = Counter(calls)
        events.close()
        assert calls == before
    assert next(events, None) is None
    assert unet.attn_processors == processors
    assert controlnet.controlnet_cond_embedding is hints
    assert all(path.suffix == ".safetensors" for path in cache.folder.iterdir())
    assert_alike(frames_of(run(cache=cache)), fresh)


def test_what_was_finished_before_the_stop_is_kept(cache: StageCache) -> None:
    settings = fast()
    animator = Animator(tiny_models(), cache, chunk_size=1)
    with closing(animator.animate(picture(), walk(), settings, PROMPT)) as events:
        next(event for event in events if isinstance(event, Frame) and event.index == 1)
    done = run(settings, cache, chunk_size=1)[-1]
    assert done.model_calls == expected_calls(settings, False, False, 1)


@pytest.mark.parametrize("after", [3, 8, 10])
def test_a_network_that_fails_leaves_nothing_behind(
    cache: StageCache, fresh: np.ndarray, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    unet, left = tiny_networks()["unet"], [after]
    attention = unet.up_blocks[-1].attentions[-1]
    forward = attention.forward

    def fails(*args, **kwargs):
        left[0] -= 1
        if left[0] == 0:
            raise ZeroDivisionError("a fault within")
        return forward(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(attention, "forward", fails)
        with pytest.raises(ZeroDivisionError):
            run(cache=cache)
    assert_alike(frames_of(run(cache=cache)), fresh)


# --- settings ---


# every pair of modules in all four states
SWITCHES = [
    (),
    ("pata", "pacm_source", "pacm_pose"),
    ("pata", "pacm_source", "dcam"),
    ("pata", "pacm_pose", "mgdm"),
    ("pacm_source", "dcam", "mgdm"),
    ("pacm_pose", "dcam", "mgdm"),
    MODULES,
]


@pytest.mark.parametrize("on", SWITCHES, ids=lambda on: "+".join(on) or "none")
def test_every_module_can_be_switched(on: tuple[str, ...], fresh: np.ndarray) -> None:
    settings = fast(**{name: name in on for name in MODULES})
    events = run(settings)
    assert events[-1].model_calls == expected_calls(settings)
    frames = frames_of(events)
    assert frames.shape == fresh.shape
    assert np.array_equal(frames[0], fresh[0])
    assert differ(frames, fresh) == (on != MODULES)


def test_direct_inversion_needs_frame_0_even_without_attention_to_it() -> None:
    settings = fast(background="direct", dcam=False, mgdm=False)
    events = run(settings)
    assert events[-1].model_calls == expected_calls(settings)
    assert any(isinstance(event, Stage) and event.name == "frame_0" for event in events)


@pytest.mark.parametrize("off", [{"mgdm": False}, {"dcam": False}], ids=str)
def test_a_held_background_has_masks_without_mgdm_too(off: dict) -> None:
    held, free = (run(fast(background=how, **off)) for how in ("direct", "sampled"))
    masks = {
        how: [event.mask for event in events if isinstance(event, Frame) and event.index]
        for how, events in (("held", held), ("free", free))
    }
    assert all(0 < mask.mean() < 1 for mask in masks["held"])
    assert masks["free"] == [None, None]
    assert differ(frames_of(held), frames_of(free))


def test_emphasis_is_where_the_character_is_new(monkeypatch) -> None:
    """Transcribed literally; nowhere in its own pose, and in others with MGDM off as well."""
    given, predict = [], Denoiser.predict

    def watched(self, z_t, timestep, embedding, pose_cond, control_weights=None):
        given.append(control_weights)
        return predict(self, z_t, timestep, embedding, pose_cond, control_weights)

    monkeypatch.setattr(Denoiser, "predict", watched)
    character = Animator(tiny_models()).character(picture())
    still = replace(walk(), poses=(character.pose,) * 3, width=SIDE, height=SIDE)
    few = fast(mgdm=False, pata=False, frame_masks="skeleton")
    silhouette = Silhouette.fit(character.pose, character.mask)
    for motion, anew in ((still, False), (walk(), True)):
        plain = run(few, motion=motion, chunk_size=1)
        assert all(weights is None for weights in given)
        given.clear()
        stressed = run(few.changed({"controlnet_emphasis": 3.0}), motion=motion, chunk_size=1)
        assert differ(frames_of(plain), frames_of(stressed)) == anew

        source = next(e.alignment.poses[0] for e in stressed if isinstance(e, Aligned))
        before = np.maximum(silhouette.draw(source, SIDE, SIDE), character.mask)
        masks = [e.mask for e in stressed if isinstance(e, Frame) and e.index]
        steps = [weights.numpy()[0, 0] for weights in given if weights is not None]
        assert len(steps) == len(masks) * T
        for i, mask in enumerate(masks):
            new = np.clip(mask - before, 0, 1)
            assert new.any() == anew
            n = SIDE // len(steps[0])
            shares = new.reshape(SIDE // n, n, SIDE // n, n).mean(axis=(1, 3))
            for weights in steps[i * T : (i + 1) * T]:
                np.testing.assert_allclose(weights, 1 + 2 * shares**2, rtol=1e-6)
        given.clear()


def test_the_switches_cover_every_pair() -> None:
    for one, other in ((a, b) for i, a in enumerate(MODULES) for b in MODULES[:i]):
        assert len({(one in on, other in on) for on in SWITCHES}) == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"embedding_role": "unconditional"},
        {"controlnet_text": "prompt"},
        {"timestep_spacing": "trailing"},
        {"controlnet_emphasis": 3.0},
        {"guidance_scale": 1.0},
        {"mask_form": "region"},
        {"frame_masks": "attention"},
        {"frame_masks": "skeleton"},
        {"frame_masks": "draft"},
        {"start": "draft"},
        {"mask_threshold": 0.2},
        {"mask_resolution": 8},
        {"mask_widening": 2},
        {"controlnet_text": "branch"},
        {"pose_steps": 3, "pose_learning_rate": 0.1},
        {"pose_learning_rate": 0.2},
        {"background": "direct"},
        {"retarget_limbs": False},
        {"transition_frames": 2},
        {"lambda_first": 0.0, "lambda_prev": 0.0, "lambda_self": 1.0},
    ],
    ids=str,
)
def test_settings_reach_the_frames(changes: dict, warm: StageCache, fresh: np.ndarray) -> None:
    assert differ(frames_of(run(fast(**changes), warm)), fresh)


def test_what_a_timestep_starts_from_reaches_the_frames() -> None:
    """At a rate at which what is handed on has moved far enough to show."""
    started = [
        frames_of(run(fast(source_learning_rate=1.0, source_start=start)))
        for start in ("previous", "prompt")
    ]
    assert differ(*started)


def test_baselines_reach_the_frames(warm: StageCache) -> None:
    kinds = ("none", "cross_frame", "spatio_temporal")
    off = dict.fromkeys(("pacm_source", "pacm_pose", "dcam", "mgdm"), False)
    clips = []
    for kind in kinds:
        baseline = fast(baseline=kind, start="random", guidance_scale=12.0, **off)
        clips.append(run(baseline, warm))
        assert clips[-1][-1].model_calls == expected_calls(baseline, False, False, 0)
    frames = [frames_of(clip) for clip in clips]
    assert differ(frames[0], frames[1]) and differ(frames[1], frames[2])
    with_dcam = frames_of(run(fast(baseline="cross_frame"), warm))
    assert_alike(with_dcam, frames_of(run(fast(), warm)))  # DCAM goes first


def test_only_a_random_start_depends_on_the_seed(warm: StageCache, fresh: np.ndarray) -> None:
    assert_alike(frames_of(run(fast(seed=3), warm)), fresh)
    one, other = (frames_of(run(fast(start="random", seed=seed), warm)) for seed in (3, 4))
    assert differ(one, other)
    assert_alike(one, frames_of(run(fast(start="random", seed=3))))


@pytest.mark.parametrize(
    "changes",
    [
        {"pacm_pose": False, "frame_masks": "skeleton"},
        {"start": "draft", "frame_masks": "draft", "background": "direct"},
        {},
    ],
    ids=str,
)
def test_chunks_of_any_size_give_the_same_frames(changes: dict) -> None:
    same = {"frames": 5, "pacm_source": False, **changes}
    whole = undisturbed(fast(**same), 4)
    for size in (1, 3):
        assert_alike(frames_of(run(fast(**same), chunk_size=size)), whole)


# --- what comes in ---


@dataclass(frozen=True)
class Looking:
    """Sees a scene's character wherever the picture is resized to."""

    pose: Pose
    mask: np.ndarray
    identity: str = "looking"

    def detect(self, image: np.ndarray) -> list[Pose]:
        height, width = image.shape[:2]
        return [self.pose.scaled(width / self.mask.shape[1], height / self.mask.shape[0])]

    def segment(self, image: np.ndarray) -> np.ndarray:
        return cv2.resize(self.mask, image.shape[1::-1])


@pytest.mark.parametrize(
    ("width", "height", "max_side"),
    [
        *((160, 90, None), (70, 120, None), (64, 96, None), (256, 64, None)),
        *((64, 96, 80), (96, 64, 80), (80, 80, 80), (57, 103, 80)),
    ],
)
def test_clips_of_any_shape(width: int, height: int, max_side: int | None) -> None:
    """They keep the picture's aspect, and their frames don't depend on chunks."""
    rendered = Scene.sample("train", 3).render(Angles(), width, height)
    eyes = Looking(rendered.pose, rendered.mask)
    models = replace(tiny_models(), detector=eyes, segmenter=eyes)
    source, settings = Image.fromarray(rendered.picture), fast(frames=4, pacm_source=False)

    def animated(chunk_size: int) -> list[Event]:
        animator = Animator(models, max_side=max_side, chunk_size=chunk_size)
        return list(animator.animate(source, walk(), settings, PROMPT))

    events = animated(3)
    frames = frames_of(events)
    found = frames.shape[2], frames.shape[1]
    assert all(side % models.factor == 0 for side in found)
    assert found[0] / found[1] == pytest.approx(width / height, rel=0.1)
    area = SIDE**2 if max_side is None else width * height
    assert found[0] * found[1] == pytest.approx(area, rel=0.15)
    masks = [event.mask for event in events if isinstance(event, Frame) and event.index]
    assert all(m.shape == frames.shape[1:3] and 0 < m.mean() < 1 for m in masks)
    assert_alike(frames_of(animated(1)), frames)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        *(((512, 768), (512, 768)), ((768, 512), (768, 512)), ((640, 640), (640, 640))),
        *(((4000, 3000), (736, 552)), ((2000, 500), (1280, 320)), ((300, 300), (512, 512))),
    ],
)
def test_larger_pictures_keep_their_size_up_to_a_limit(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    models, picture = replace(tiny_models(), side=512), Image.new("RGB", size)
    height, width = Animator(models, max_side=640).fit_picture(picture).shape[:2]
    assert (width, height) == expected
    height, width = Animator(models).fit_picture(picture).shape[:2]
    assert width * height == pytest.approx(512**2, rel=0.02)


def test_a_forecast_knows_how_large_frames_are() -> None:
    animator = Animator(tiny_models(), max_side=2 * SIDE)
    animator.cost_model = CostModel(0.5, 1000, 100.0)
    plain, large = animator.character(picture()), scene_at_ease(side=2 * SIDE)
    told = [
        animator.forecast(character, walk(), fast(), PROMPT)
        for character in (plain, Character(large.picture, large.pose, large.mask))
    ]
    assert [each.size for each in told] == [(SIDE, SIDE), (2 * SIDE, 2 * SIDE)]
    assert told[1].seconds == pytest.approx(4 * told[0].seconds)
    assert told[1].memory_bytes - 1000 == 4 * (told[0].memory_bytes - 1000)


def test_a_stopped_run_teaches_nothing_that_a_whole_one_has() -> None:
    animator = Animator(tiny_models())
    for until, learns in ((Step, True), (Done, True), (Step, False)):
        before = animator.cost_model
        events = animator.animate(picture(), walk(), fast(), PROMPT)
        for event in events:
            if isinstance(event, until):
                break
        events.close()  # type: ignore[attr-defined]
        assert (animator.cost_model != before) is learns


def test_where_results_are_kept_is_not_told(
    cache: StageCache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stage_cache, "write_bytes_atomically", full)
    notes = [event.text for event in run(cache=cache) if isinstance(event, Note)]
    assert any("can't be kept" in each for each in notes)
    assert not any(str(cache.folder) in each for each in notes) and str(cache.folder) in caplog.text


@pytest.mark.parametrize("side", [0, SIDE - 1, 2 * SIDE + 1])
def test_a_largest_side_that_the_models_cannot_do_is_refused(side: int) -> None:
    with pytest.raises(SettingsError, match=f"{side} pixels") as caught:
        Animator(tiny_models(), max_side=side)
    assert f"{SIDE} to {2 * SIDE}" in caught.value.remedy


@pytest.mark.slow
def test_240_frames_keep_no_more_than_a_few() -> None:
    """Neither keys and values of frames gone by nor anything else but the finished pictures."""
    settings = fast(frames=MAX_FRAMES, loop=True, guidance_scale=1.0)
    settings = replace(settings, pacm_source=False, pacm_pose=False, frame_masks="skeleton")
    indices, kept = [], {}
    animator = Animator(tiny_models(), chunk_size=8)
    for event in animator.animate(picture(), walk(), settings, PROMPT):
        if isinstance(event, Frame):
            indices.append(event.index)
            if event.index in (17, 121, 225):  # the first of their chunks
                kept[event.index] = _kept()
    assert indices == list(range(MAX_FRAMES))
    assert event.fps == walk().fps
    frames = np.stack(event.frames)
    assert frames.shape == (MAX_FRAMES, SIDE, SIDE, 3) and frames.dtype == np.uint8
    assert kept[17] == kept[121] == kept[225]


def _kept() -> tuple[int, int]:
    """How many tensors there are, finished pictures aside, and the bytes that they keep."""
    gc.collect()
    tensors = [each for each in gc.get_objects() if issubclass(type(each), torch.Tensor)]
    storages = [each.untyped_storage() for each in tensors if each.dtype != torch.uint8]
    return len(storages), sum({each.data_ptr(): each.nbytes() for each in storages}.values())


@pytest.mark.parametrize(("people", "error"), [(0, NoCharacterError), (2, SeveralCharactersError)])
def test_a_picture_needs_exactly_one_person(people: int, error: type[Exception]) -> None:
    rendered = scene_at_ease()
    eyes = ToldEyes((rendered.pose,) * people, rendered.mask)
    models = replace(tiny_models(), detector=eyes, segmenter=eyes)
    with counted() as calls, pytest.raises(error, match="picture"):
        run(models=models)
    assert not calls


@pytest.mark.parametrize("pata", [True, False])
def test_a_motion_without_anybody_is_refused_before_any_work(pata: bool) -> None:
    nobody = replace(walk(), poses=(Pose.absent(),) * 4)
    seen = []
    with counted() as calls, pytest.raises(MotionError) as caught:
        for event in Animator(tiny_models()).animate(picture(), nobody, fast(pata=pata), PROMPT):
            seen.append(event)
    assert not calls
    assert isinstance(seen[-1], Aligned)
    assert caught.value.remedy


def test_findings_speak_of_what_the_clip_shows() -> None:
    animator = Animator(tiny_models())
    character = animator.character(picture())
    leaving = replace(walk(), poses=(*walk().poses[:3], *[Pose.absent()] * 20))
    findings = animator.align(character, leaving, fast(frames=4)).findings
    assert [v.severity for v in findings] == [Severity.NOTE]
    (finding,) = animator.align(character, leaving, fast(frames=24, transition_frames=0)).findings
    assert "20 of the motion's 23 frames" in finding.message
    arriving = replace(leaving, poses=leaving.poses[::-1])
    for pata in (True, False):
        late = fast(frames=24, transition_frames=0, pata=pata)
        nobody, start = animator.align(character, arriving, replace(late, frames=21)).findings
        assert nobody.severity is Severity.ERROR and "in the 20 frames" in nobody.message
        assert start.fix == {"start_s": round(20 / arriving.fps, 2)}
        assert not animator.align(character, arriving, late).errors


def test_a_longer_clip_begins_as_the_shorter_one() -> None:
    animator = Animator(tiny_models())
    character = animator.character(picture())
    short, long = (animator.align(character, walk(), fast(frames=n)).poses for n in (3, 5))
    assert len(short) == 3 and len(long) == 5
    for one, other in zip(short, long, strict=False):
        assert np.array_equal(one.body, other.body)


@pytest.mark.parametrize("prompt", ["", "?!"])
def test_a_prompt_without_a_character_is_remarked_on(prompt: str) -> None:
    events = run(prompt=prompt, motion=walk(2))
    (note,) = [event for event in events if isinstance(event, Note)]
    assert "skeleton" in note.text
    assert len(frames_of(events)) == 3


@pytest.mark.parametrize("changes", [{"frame_masks": "skeleton"}, {"mgdm": False}, {"dcam": False}])
def test_without_frame_masks_of_attention_a_prompt_needs_no_character(changes: dict) -> None:
    events = run(fast(pacm_source=False, **changes), prompt="", motion=walk(2))
    assert not any(isinstance(event, Note) for event in events)


def test_guidance_without_a_prompt_is_remarked_on() -> None:
    plain = fast(pacm_source=False, pacm_pose=False, frame_masks="skeleton")
    for settings, prompt, expected in (
        (plain, " ", True),
        (plain, "a girl", False),
        (plain.changed({"guidance_scale": 1.0}), "", False),
        (plain.changed({"pacm_source": True}), "", False),
    ):
        events = run(settings, prompt=prompt, motion=walk(2))
        notes = [event.text for event in events if isinstance(event, Note)]
        assert any("guidance does nothing" in text for text in notes) is expected


def test_the_characters_words_may_be_chosen() -> None:
    events = run(fast(character_words="girl"), prompt="in the park, a girl", motion=walk(2))
    assert not any(isinstance(event, Note) for event in events)


def test_aligning_touches_no_network() -> None:
    animator = Animator(tiny_models())
    with counted() as calls:
        character = animator.character(picture())
        alignment = animator.align(character, walk(), fast())
    assert not calls
    assert len(alignment.poses) == 3
    assert alignment.poses[0].equals(character.pose)
    assert character.mask.shape == character.picture.shape[:2]


def test_without_pata_the_motions_own_poses_are_followed() -> None:
    animator = Animator(tiny_models())
    character = animator.character(picture())
    alignment = animator.align(character, walk(), fast(pata=False))
    factor = SIDE / walk().width, SIDE / walk().height
    for found, own in zip(alignment.poses[1:], walk().poses, strict=False):
        assert found.equals(own.scaled(*factor))
    assert alignment.transition == 0


@pytest.mark.parametrize("pata", [True, False])
def test_a_short_motion_is_repeated_where_that_is_asked_for(pata: bool) -> None:
    animator = Animator(tiny_models())
    character = animator.character(picture())
    once = animator.align(character, walk(4), fast(frames=20, pata=pata, smooth=False))
    again = animator.align(character, walk(4), fast(frames=20, pata=pata, smooth=False, loop=True))
    assert len(again.poses) == 20
    assert [v.code.value for v in once.findings] == ["shorter_than_asked"]
    assert again.findings == ()
    first = 1 + once.transition
    for i, pose in enumerate(again.poses[first:]):
        assert pose.equals(once.poses[first + i % 4])
