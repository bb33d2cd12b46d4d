"""The instrument: figures on known inputs, intervals, results that resume, and the report."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from helpers.tiny import scene_at_ease, tiny_models
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from poseanimate.animator import Animator
from poseanimate.cli import main as cli
from poseanimate.errors import MotionError, OutputError, SettingsError
from poseanimate.evaluation.case import measure_clip, measure_run
from poseanimate.evaluation.metrics import appearance, fidelity
from poseanimate.evaluation.metrics.catalogue import DISTANCES, METRICS
from poseanimate.evaluation.metrics.networks import Networks
from poseanimate.evaluation.metrics.perceptual import frechet_distance
from poseanimate.evaluation.plan import Evaluation, plan
from poseanimate.evaluation.protocols import drift
from poseanimate.evaluation.protocols.pocket import Pocket
from poseanimate.evaluation.protocols.samples import write_samples
from poseanimate.evaluation.report.files import write_report
from poseanimate.evaluation.report.plots import draw_course, find_front, standalone_svg
from poseanimate.evaluation.report.summary import (
    compare_rows,
    format_markdown,
    summarise,
    summarise_kinds,
)
from poseanimate.evaluation.rows import MODULES, REFERENCES, ROWS, Row, make_sweep
from poseanimate.evaluation.statistics import Interval, bootstrap, paired
from poseanimate.evaluation.store import CaseResult, Store
from poseanimate.events import Aligned, Done
from poseanimate.media import write_clip
from poseanimate.media.similarity import Picture
from poseanimate.pocket.body import Angles
from poseanimate.pocket.training.data import sample_training_angles
from poseanimate.pocket.world.doll import CLOTH
from poseanimate.pocket.world.motions import loop_frames
from poseanimate.pocket.world.scene import Scene
from poseanimate.poses.motion import load_preset
from poseanimate.poses.skeleton import Pose
from poseanimate.settings import Settings
from poseanimate.storage.atomic import PART_SUFFIX

FEW = Settings(num_inference_steps=2, inner_steps=1, frames=3, guidance_scale=3.0)


def grey(level: int, side: int = 64) -> np.ndarray:
    return np.full((side, side, 3), level, np.uint8)


# Figures ------------------------------------------------------------------------------------------


def test_l1_is_discos() -> None:
    found = fidelity.l1_disco(grey(120, 256), grey(100, 256))
    assert found == pytest.approx(1e4 * 20 / 256**2)  # 3.05E-04, as the paper's tables count


def test_masks_that_agree_have_an_iou_of_one() -> None:
    half = np.zeros((4, 4), bool)
    half[:2] = True
    left = half.T
    assert fidelity.iou(half, half) == 1 and fidelity.iou(half, ~half) == 0
    assert fidelity.iou(half, left) == pytest.approx(4 / 12)
    assert fidelity.iou(np.zeros((2, 2), bool), np.zeros((2, 2), bool)) == 1


def test_the_backgrounds_hard_parts_lie_around_and_behind_the_character() -> None:
    body, source = np.zeros((2, 64, 64), bool)
    body[20:40, 20:40] = source[20:40, 30:60] = True
    parts = fidelity.find_background_parts(body, source)
    outline, disoccluded = parts["psnr_outline"], parts["psnr_disoccluded"]
    assert outline[30, 40] and outline[30, 43] and not outline[30, 44] and not outline[30, 39]
    assert outline[43, 30] and not outline[43, 43]  # round corners: 4 px as the crow flies
    assert (
        disoccluded[30, 44]
        and disoccluded[30, 59]
        and not disoccluded[30, 43]
        and not disoccluded[0, 0]
    )
    assert set(fidelity.find_background_parts(body, body)) == {"psnr_outline"}
    assert fidelity.find_background_parts(np.ones_like(body), source) == {}


def test_garments_are_known_by_their_colours() -> None:
    """In any pose, arms before the shirt, and where pictures are soft, as models make them, and stripes blend."""
    wrong = []
    for index in range(40):
        scene = Scene.sample("validation", index)
        angles = sample_training_angles(np.random.default_rng(index))
        who = scene.doll
        true = scene.render(angles, 128, 128).picture
        dyed = {what: s.render(angles, 128, 128).picture for what, s in scene.dyed().items()}
        for seen in (true, cv2.GaussianBlur(true, (0, 0), 1.0)):
            assert appearance.garments_are_right(seen, true, dyed, who)
            worn = (who.top_colour, who.trim_colour, who.bottom_colour)
            other = [n for n in CLOTH if n not in worn][index % 6]
            for part in ("top_colour", "bottom_colour"):
                request = replace(who, **{part: other})
                wrong.append(appearance.garments_are_right(seen, true, dyed, request))
    assert sum(wrong) <= 0.02 * len(wrong)


def test_garments_that_are_not_to_be_seen_are_not_right() -> None:
    scene = Scene.sample("validation", 0)
    true = scene.render(Angles(), 128, 128).picture
    dyed = {what: s.render(Angles(), 128, 128).picture for what, s in scene.dyed().items()}
    assert appearance.garments_are_right(true, true, dyed, scene.doll)
    hidden = dyed | {"bottom": true}
    assert not appearance.garments_are_right(true, true, hidden, scene.doll)


def test_a_letter_is_right_where_no_other_and_none_is_nearer() -> None:
    scene = next(
        s for s in (Scene.sample("validation", i) for i in range(99)) if s.kinds == ("lettered",)
    )
    others = [s.render(Angles(), 128, 128).picture for s in scene.relettered()]
    true = scene.render(Angles(), 128, 128).picture
    assert appearance.letter_is_right(true, true, others) is True
    assert appearance.letter_is_right(cv2.GaussianBlur(true, (0, 0), 0.8), true, others) is True
    for other in others:
        assert appearance.letter_is_right(other, true, others) is False
    assert appearance.letter_is_right(true, true, [true] * 6) is None


def test_figures_are_told_by_kind_of_character() -> None:
    results = [
        CaseResult(name, "walk", "full", "own", {"psnr": value})
        for name, value in (("a", 10.0), ("b", 20.0), ("c", 40.0), ("d", 60.0))
    ]
    kinds = {"a": ("small", "lettered"), "b": ("small",)}
    found = summarise_kinds(results, lambda name: kinds.get(name, ()))
    means = {kind: summary["full"]["psnr"].mean for kind, summary in found.items()}
    assert means == {"lettered (1)": 10, "small (2)": 15, "others (2)": 50}
    assert list(found)[-1] == "others (2)"


def test_dynamics_tell_a_frozen_clip_from_the_true_one() -> None:
    truth = [grey(level) for level in (0, 10, 0, 10)]
    assert fidelity.dynamics(truth, truth) == 100
    assert fidelity.dynamics([grey(5)] * 4, truth) == 0
    assert fidelity.dynamics([grey(level) for level in (0, 5, 0, 5)], truth) == 50


def test_identity_is_by_the_colours_of_the_parts() -> None:
    scene = Scene.sample("held-out", 3)
    other = replace(scene, doll=Scene.sample("held-out", 8).doll)
    truth, stranger = (s.render(Angles(), 128, 128) for s in (scene, other))
    assert appearance.identity_error(truth.picture, truth.picture, truth.pose) == 0
    noisy = truth.picture.copy()
    noisy[::4, ::4] = 0  # the median of a place doesn't mind specks
    assert appearance.identity_error(noisy, truth.picture, truth.pose) < 5
    assert appearance.identity_error(stranger.picture, truth.picture, truth.pose) > 15
    assert np.isnan(appearance.identity_error(noisy, truth.picture, Pose.absent()))


def test_figures_of_the_truth_itself_are_perfect() -> None:
    animator = Animator(tiny_models(scene_at_ease("validation", 0)))
    case = Pocket("validation", 1, ("walk",)).load_case(
        animator, "validation-0", "walk", Settings(frames=4)
    )
    found = measure_clip(animator.models, case, [t.picture for t in case.truth])
    perceptual = {
        "lpips",
        "lpips_disco",
        "clip_i",
        "frame_consistency",
        "warping_error",
        "warping_error_released",
    }
    masks = [t.mask for t in case.truth]
    lost = {256: (0.5, 0.1), 64: (0.75, 0.2)}
    done = Done((), 12, {}, {}, 31.0, 40.0, lost_attention=lost)
    of_run = measure_run(case, masks, done)
    by_tokens = {"lost_character_256": 50, "lost_background_256": 10}
    by_tokens |= {"lost_character_64": 75, "lost_background_64": 20}
    assert {name: of_run.pop(name) for name in by_tokens} == by_tokens
    assert of_run == {
        "source_psnr": 31.0, "inversion_psnr": 40.0, "frame_mask_iou": 1.0,
        "lost_character": 62.5, "lost_background": 15,
    }  # fmt: skip
    assert measure_run(case, [None] * 3, Done((), 12, {}, {}, None)) == {}
    none = [np.zeros_like(mask) for mask in masks]
    assert measure_run(case, none, done)["frame_mask_iou"] == 0
    too_few_pixels = {"psnr_disoccluded"}  # in a picture of this size
    without_truth = {"motion"}
    costs = {"seconds", "nfe"}
    of_all = {*found, *perceptual, *of_run, *DISTANCES, *too_few_pixels, *without_truth, *costs}
    assert of_all == set(METRICS) and not (too_few_pixels | without_truth) & found.keys()
    assert found["psnr"] == 99 and found["ssim"] == pytest.approx(1) and found["dynamics"] == 100
    assert found["l1"] == found["identity"] == 0
    assert found["background_change"] < 0.1 and found["flicker"] < 0.1  # its shadow moves
    frozen = measure_clip(animator.models, case, [case.source.picture] * 3)
    assert frozen["dynamics"] == frozen["flicker"] == 0 and frozen["psnr"] < 40


# Intervals ----------------------------------------------------------------------------------------


@given(st.dictionaries(st.text(max_size=3), st.lists(st.floats(-1e3, 1e3), min_size=1), min_size=1))
def test_an_interval_holds_its_mean(values: dict[str, list[float]]) -> None:
    found = bootstrap(values)
    assert found.low - 1e-6 <= found.mean <= found.high + 1e-6
    assert found.mean == pytest.approx(np.mean([np.mean(v) for v in values.values()]))


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        drawn = bootstrap({str(i): [x] for i, x in enumerate(rng.normal(5, 2, 24))})
        covered += drawn.low <= 5 <= drawn.high
    assert 175 <= covered <= 199


def test_many_frames_of_one_character_are_not_many_characters() -> None:
    few, many = bootstrap({"a": [1.0], "b": [3.0]}), bootstrap({"a": [1.0] * 99, "b": [3.0] * 99})
    assert few == many and few.high - few.low == 2


def test_what_varies_with_the_character_falls_out_of_a_difference() -> None:
    rng = np.random.default_rng(0)
    numbers = enumerate(rng.normal(20, 5, 12))
    one = {(str(i), motion): float(x) for i, x in numbers for motion in ("walk", "wave")}
    other = {case: value - 1 for case, value in one.items()}
    del other["3", "wave"]  # stopped before it
    found = paired(one | {("alone", "walk"): 0.0}, other)
    assert (found.low, found.mean, found.high) == pytest.approx((1, 1, 1))


def test_what_a_stopped_evaluation_lacks_makes_no_difference() -> None:
    of = {("a", "walk"): 10.0, ("a", "wave"): 30.0, ("b", "walk"): 12.0, ("b", "wave"): 28.0}
    both = [
        CaseResult(*case, row, "own", {"psnr": value + (row == "full")})
        for case, value in of.items()
        for row in ("full", "controlnet")
        if (*case, row) != ("a", "wave", "controlnet")
    ]
    found = compare_rows(both, "full")["controlnet"]["psnr"]
    assert (found.low, found.mean, found.high) == (1, 1, 1)


# Rows ---------------------------------------------------------------------------------------------


def test_every_module_has_a_row_without_it() -> None:
    full = ROWS["full"].settings(Settings())
    assert all(getattr(full, module) for module in MODULES)
    for module, row in {
        "pacm_source": "without-pacm",
        "pacm_pose": "without-pacm-pose",
        "dcam": "without-dcam",
        "mgdm": "without-mgdm",
    }.items():
        assert not getattr(ROWS[row].settings(Settings()), module)
    assert ROWS["driven"].settings(Settings()).pata
    assert not ROWS["driven-without-pata"].settings(Settings()).pata


def test_the_full_method_has_all_modules_whatever_the_preset_leaves_out() -> None:
    bare = Settings().changed(dict.fromkeys(MODULES, False))
    for row, without in (("full", set()), ("without-mgdm", {"mgdm"}), ("driven", set())):
        found = ROWS[row].settings(bare)
        assert {module for module in MODULES if not getattr(found, module)} == without
    assert not any(getattr(ROWS["preset"].settings(bare), module) for module in MODULES)


@pytest.mark.parametrize("family", ["pocket", "sd15"])
@pytest.mark.parametrize("name", ["balanced", "paper", "fast"])
def test_the_fast_row_is_the_familys_preset(name: str, family: str) -> None:
    base, request = Settings.preset(name, family), Settings.preset("fast", family)
    fast = plan("pocket", base, rows="fast", family=family).rows["fast"].settings(base)
    same = {n: getattr(request, n) for n in ("crop", "frames", "pata", "transition_frames")}
    assert fast.changed(same) == request
    assert (fast.frames, fast.crop, fast.pata) == (base.frames, False, False)


def test_motion_tells_a_frozen_clip() -> None:
    assert fidelity.motion([grey(5)] * 3) == 0 and fidelity.motion([grey(5), grey(8), grey(9)]) == 2


def test_a_sweep_is_a_row_for_each_value() -> None:
    rows = make_sweep("inner_steps=1,4")
    assert [row.settings(Settings()).inner_steps for row in rows.values()] == [1, 4]
    assert list(rows) == ["inner_steps=1", "inner_steps=4"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"split": "train"}, "no split 'train'"),
        ({"motions": "walk,fly"}, "no motion 'fly'"),
        ({"captions": "long"}, "no 'long' captions"),
        ({"rows": "full,best"}, "no row 'best'"),
        ({"characters": 0}, "characters is 0"),
        ({"characters": 2, "first": 499}, "from number 499"),
        ({"first": -1}, "from number -1"),
        ({"sweep": "speed=1"}, "no setting 'speed'"),
        ({"sweep": "inner_steps=0"}, "inner_steps is 0"),
    ],
    ids=str,
)
def test_what_can_not_be_measured_gets_a_sentence(change: dict, words: str) -> None:
    request = {"split": "validation", "characters": 1, "motions": "walk"}
    with pytest.raises(SettingsError, match=words):
        plan("pocket", FEW, **request | change)


# Running ------------------------------------------------------------------------------------------


def small(rows: str = "controlnet,full,driven", motions: str = "walk") -> Evaluation:
    return plan("pocket", FEW, split="validation", characters=1, motions=motions, rows=rows)


def test_an_evaluation_resumes_where_it_was_stopped(tmp_path: Path) -> None:
    animator, evaluation = Animator(tiny_models()), small()
    assert evaluation.clips == 6
    running = evaluation.run(animator, evaluation.open_store(tmp_path / "out", "tiny", "1"))
    first = [next(running) for _ in range(3)]
    running.close()
    assert [step.index for step in first] == [1, 2, 3]
    store = evaluation.open_store(tmp_path / "out", "tiny", "1")
    assert [step.index for step in evaluation.run(animator, store)] == [4, 5, 6]
    assert list(evaluation.run(animator, store)) == []
    results = store.load_results()
    assert {r.row for r in results} == {*REFERENCES, "controlnet", "full", "driven"}
    assert all(r.metrics["seconds"] > 0 for r in results if r.row not in REFERENCES)
    more = small(motions="walk,wave")
    assert len(list(more.run(animator, more.open_store(tmp_path / "out", "tiny", "1")))) == 6
    assert not list(tmp_path.rglob(f"*{PART_SUFFIX}"))


def test_a_row_that_means_something_else_now_is_measured_anew(tmp_path: Path) -> None:
    animator, evaluation = Animator(tiny_models()), small("controlnet,full")
    store = evaluation.open_store(tmp_path, "tiny", "1")
    list(evaluation.run(animator, store))
    other = {**evaluation.rows, "controlnet": Row({"start": "random"}, "changed since")}
    changed = replace(evaluation, rows=other)
    assert [step.index for step in changed.run(animator, store)] == [changed.clips]
    assert list(changed.run(animator, store)) == []


def test_processes_share_a_folder_by_characters() -> None:
    one = plan("pocket", FEW, characters=2, motions="walk", rows="full").protocol.list_cases()
    rest = plan(
        "pocket", FEW, characters=1, first=2, motions="walk", rows="full"
    ).protocol.list_cases()
    assert [name for name, _ in (*one, *rest)] == [f"held-out-{i}" for i in range(3)]


def test_brief_captions_say_nothing_of_looks(tmp_path: Path) -> None:
    request = {"split": "validation", "characters": 3, "motions": "walk", "rows": "controlnet"}
    full, brief = (plan("pocket", FEW, **request, captions=c) for c in ("full", "brief"))
    animator = Animator(tiny_models())
    for name, motion in full.protocol.list_cases():
        told, said = (
            e.protocol.load_case(animator, name, motion, FEW).prompt for e in (full, brief)
        )
        kind, place = told.split(" with ")[0], told.split(", ")[-1]
        assert said == f"{kind}, {place}"
    full.open_store(tmp_path, "tiny", "1")
    with pytest.raises(OutputError):
        brief.open_store(tmp_path, "tiny", "1")
    with pytest.raises(SettingsError, match="has no brief captions"):
        plan("tiktok", FEW, data=tmp_path, captions="brief")


def test_rows_that_are_not_asked_for_refuse_nothing() -> None:
    """Some rows don't go with some settings; that is for those to hear who ask for them."""
    random = FEW.changed({"start": "random"})
    assert set(plan("pocket", random, rows="controlnet").rows) == {"controlnet"}
    with pytest.raises(SettingsError, match="background is direct"):
        plan("pocket", random, rows="direct")


def test_the_adapters_row_is_for_models_that_have_one() -> None:
    assert "ip-adapter" not in plan("pocket", FEW).rows
    assert "ip-adapter" in plan("pocket", FEW, image_prompts=True).rows
    with pytest.raises(SettingsError, match="needs models that have an IP-Adapter"):
        plan("pocket", FEW, rows="full,ip-adapter")


def test_a_folder_holds_one_evaluation(tmp_path: Path) -> None:
    small().open_store(tmp_path, "tiny", "1")
    with pytest.raises(OutputError, match="other settings, models"):
        small().open_store(tmp_path, "pocket", "1")
    with pytest.raises(OutputError, match="other settings, models"):
        small().open_store(tmp_path, "tiny", "2")  # trained on since
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="can't be used"):
        small().open_store(tmp_path / "file", "tiny", "1")
    former = tmp_path / "former"
    former.mkdir()
    (former / "asked.json").write_text("{}")
    with pytest.raises(OutputError, match="earlier version"):
        small().open_store(former, "tiny", "1")
    assert [path.name for path in former.iterdir()] == ["asked.json"]


def test_a_row_counts_the_stages_that_it_took_from_the_cache(tmp_path: Path) -> None:
    store = Store(tmp_path, {})
    clip = (grey(0),)

    def save(row: str, motion: str, seconds: dict[str, float], *cached: str) -> None:
        calls = {stage: round(10 * value) for stage, value in seconds.items()}
        store.save(
            CaseResult("a-1", motion, row, "own", {"psnr": 1.0}, seconds, cached, calls), clip
        )

    save("one", "walk", {"inversion": 4.0, "pacm_pose": 2.0, "generation": 1.0})
    save(
        "two",
        "walk",
        {"inversion": 0.1, "pacm_pose": 0.1, "generation": 3.0},
        "inversion",
        "pacm_pose",
    )
    save("two", "wave", {"inversion": 0.1, "generation": 3.0}, "inversion")
    seconds = {(r.motion, r.row): r.metrics["seconds"] for r in store.load_results()}
    assert seconds == {("walk", "one"): 7.0, ("walk", "two"): 9.0, ("wave", "two"): 7.0}
    calls = {(r.motion, r.row): r.metrics["nfe"] for r in store.load_results()}
    assert calls == {("walk", "one"): 70, ("walk", "two"): 90, ("wave", "two"): 70}
    save("drafted", "walk", {"ground": 2.0, "generation": 1.0})
    save("drafted", "kick", {"ground": 0.1, "generation": 1.0}, "ground")
    of_drafted = [r.metrics["seconds"] for r in store.load_results() if r.row == "drafted"]
    assert of_drafted == [3.0, 3.0]
    save("fast", "walk", {"inversion": 1.0, "generation": 1.0})
    save("fast", "wave", {"generation": 1.0}, "inversion")  # its own, not the others' longer one
    save("some", "walk", {"pacm_source": 2.0, "generation": 1.0}, "inversion")
    save("full", "walk", {"pacm_source": 5.0, "generation": 1.0}, "inversion")
    save("some", "wave", {"generation": 1.0}, "inversion", "pacm_source")
    save("less", "wave", {"generation": 1.0}, "inversion", "pacm_source")
    found = {(r.row, r.motion): r.metrics["seconds"] for r in store.load_results()}
    assert found["fast", "walk"] == found["fast", "wave"] == 2.0
    assert found["some", "walk"] == found["some", "wave"] == 7.0
    assert found["full", "walk"] == found["less", "wave"] == 10.0


def test_characters_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    store = Store(tmp_path, {})
    for number in (10, 9, 1):
        store.save(CaseResult(f"held-out-{number}", "walk", "full", "own", {}), (grey(0),))
    assert [r.character for r in store.load_results()] == [
        "held-out-1",
        "held-out-9",
        "held-out-10",
    ]


# Folders ------------------------------------------------------------------------------------------


def picture_file(path: Path, picture: Picture | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(scene_at_ease().picture if picture is None else picture).save(path)


def results_of(evaluation: Evaluation, folder: Path) -> dict[str, CaseResult]:
    """By row, after a whole run and its report."""
    store = evaluation.open_store(folder / "out", "tiny", "1")
    list(evaluation.run(Animator(tiny_models()), store))
    assert evaluation.write_report(store)[0].stat().st_size > 0
    return {result.row: result for result in store.load_results()}


def test_in_the_wild_every_picture_makes_every_motion(tmp_path: Path) -> None:
    picture_file(tmp_path / "wild" / "girl.PNG")
    (tmp_path / "wild" / "girl.txt").write_text("a girl\nin a park")
    (tmp_path / "wild" / "motions").mkdir()
    (tmp_path / "wild" / "motions" / "mine.json").write_text(load_preset("wave").to_json())
    request = {"data": tmp_path / "wild", "rows": "controlnet,driven", "motions": "mine,walk"}
    evaluation = plan("in-the-wild", FEW, **request)
    assert evaluation.protocol.list_cases() == (("girl", "mine"), ("girl", "walk"))
    found = results_of(evaluation, tmp_path)
    assert set(found) == {"source-copy", "controlnet", "driven"}
    for result in found.values():
        assert {"pck", "joint_error", "background_change", "flicker"} <= set(result.metrics)
        assert "psnr" not in result.metrics  # nobody knows the truth
    store = evaluation.open_store(tmp_path / "out", "tiny", "1")
    assert list(evaluation.run(Animator(tiny_models()), store)) == []
    (tmp_path / "wild" / "motions" / "mine.json").write_text(load_preset("squat").to_json())
    again = evaluation.run(Animator(tiny_models()), store)
    assert len(list(again)) == 3, "the motion is another one"
    case = evaluation.protocol.load_case(
        Animator(tiny_models()), "girl", "mine", Settings(frames=5)
    )
    assert case.prompt == "a girl in a park" and len(case.own.poses) == 4


@pytest.mark.parametrize("protocol", ["tiktok", "ted-talks"])
@pytest.mark.parametrize("inner", ["", "images"])
def test_a_datasets_first_frames_move_as_the_rest_does(
    protocol: str, inner: str, tmp_path: Path
) -> None:
    picture = scene_at_ease().picture
    for i in range(4):
        picture_file(tmp_path / "data" / "00335" / inner / f"{i:04}.png", picture - np.uint8(2 * i))
    found = results_of(plan(protocol, FEW, data=tmp_path / "data", rows="controlnet"), tmp_path)
    assert set(found) == {"vae-bound", "source-copy", "controlnet"}
    assert all({"psnr", "l1", "pck"} <= set(result.metrics) for result in found.values())
    strip = cv2.imread(str(next((tmp_path / "out" / "clips").glob("*.png"))))
    assert strip.shape[1] == (FEW.frames - 1) * strip.shape[0]


def external(folder: Path, truth: bool = True) -> Evaluation:
    """One system gives the truth, the other a darker clip as a video."""
    shown = [scene_at_ease().picture - np.uint8(i) for i in range(3)]
    picture_file(folder / "source" / "girl.png")
    for home in ("perfect", *(["truth"] if truth else [])):
        for i, picture in enumerate(shown):
            picture_file(folder / home / "girl" / f"{i}.png", picture)
    (folder / "dark").mkdir()
    write_clip([picture // 2 for picture in shown], folder / "dark" / "girl.gif", 10)
    return plan("external", FEW, data=folder)


def test_clips_of_other_systems_are_measured_by_the_same_code(tmp_path: Path) -> None:
    found = results_of(external(tmp_path / "data"), tmp_path)
    assert set(found) == {"source-copy", "perfect", "dark"}
    assert found["perfect"].metrics["psnr"] == 99 > 20 > found["dark"].metrics["psnr"]
    assert not any(result.seconds for result in found.values())


def test_without_the_truth_no_figure_pretends_to_know_it(tmp_path: Path) -> None:
    found = results_of(external(tmp_path / "data", truth=False), tmp_path)
    assert set(found["dark"].metrics) == {"background_change", "flicker", "motion"}
    assert (
        found["dark"].metrics["background_change"] > found["perfect"].metrics["background_change"]
    )


def test_a_clip_of_another_length_is_refused(tmp_path: Path) -> None:
    evaluation = external(tmp_path / "data")
    (tmp_path / "data" / "perfect" / "girl" / "2.png").unlink()
    with pytest.raises(MotionError, match="perfect's clip of girl has 2 frames"):
        results_of(evaluation, tmp_path)


def test_systems_are_rows_that_can_be_chosen(tmp_path: Path) -> None:
    assert set(external(tmp_path).rows) == {"perfect", "dark"}
    assert set(plan("external", FEW, data=tmp_path, rows="dark").rows) == {"dark"}
    with pytest.raises(SettingsError, match="no row 'full'"):
        plan("external", FEW, data=tmp_path, rows="full")
    (tmp_path / "dark").rename(tmp_path / "ip-adapter")
    assert set(plan("external", FEW, data=tmp_path, rows="ip-adapter").rows) == {"ip-adapter"}
    with pytest.raises(SettingsError, match="no settings to sweep"):
        plan("external", FEW, data=tmp_path, sweep="lambda_first=0.3,0.7")


def test_somebody_must_have_made_clips(tmp_path: Path) -> None:
    picture_file(tmp_path / "source" / "girl.png")
    with pytest.raises(SettingsError, match="no systems"):
        plan("external", FEW, data=tmp_path)


@pytest.mark.parametrize("protocol", ["in-the-wild", "tiktok", "ted-talks", "external"])
def test_folders_that_can_not_be_used_get_a_sentence(protocol: str, tmp_path: Path) -> None:
    for data, words in (
        (None, "needs pictures"),
        (tmp_path / "none", "no folder"),
        (tmp_path, "nothing to evaluate|no folder"),
    ):
        with pytest.raises(SettingsError, match=words):
            plan(protocol, FEW, data=data)


# The report ---------------------------------------------------------------------------------------


def test_the_report_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    evaluation = small("controlnet,full,without-mgdm")
    store = evaluation.open_store(tmp_path, "tiny<script>", "1")
    list(evaluation.run(Animator(tiny_models()), store))
    page, table = evaluation.write_report(store)
    text = page.read_text(encoding="utf-8")
    assert "missing: CLIP was not asked for" in text and "CLIP-I" not in text
    assert "missing: I3D (FVD) was not asked for" in text
    assert not re.search(r"(src|href)=['\"](?!data:)", text) and "http" not in text
    assert "<script>" not in text and "tiny&lt;script&gt;" in text
    for row in (*REFERENCES, "controlnet", "full", "without-mgdm"):
        assert f"<td>{row}</td>" in text and f"| {row} |" in table
    changed = "pacm_source=True, pacm_pose=True, dcam=True, mgdm=False"
    assert f"without the decoupling of character and background ({changed})" in text
    assert text.count("data:image/png") == 3 * 6
    sheets = sorted(path.name for path in (tmp_path / "sheets").iterdir())
    assert len(sheets) == 3 * 6 and "median-without-mgdm.png" in sheets
    height, width = 64, 64 * (FEW.frames - 1)
    made, bound = (
        cv2.imread(str(tmp_path / "sheets" / f"best-{row}.png")) for row in ("full", "vae-bound")
    )
    assert made.shape == (2 * height, width, 3) and np.array_equal(made[height:], bound)
    for path in (tmp_path / "plots").iterdir():
        root = ElementTree.parse(path).getroot()
        assert root.tag.endswith("svg") and root.get("viewBox")
    assert {"psnr.svg", "trade.svg"} <= {path.name for path in (tmp_path / "plots").iterdir()}
    summary = json.loads((tmp_path / "summary.json").read_text())
    own = {r.row: r for r in store.load_results()}
    kinds = json.loads((tmp_path / "kinds.json").read_text())
    (kind, *others) = Scene.sample("validation", 0).kinds
    assert kind == "lettered" and not others
    assert kinds == {"lettered (1)": summary}
    assert "full by kind of character" in text and "<td>lettered (1)</td>" in text
    assert all(0 <= own[row].metrics["letter"] <= 100 for row in own)
    assert summary["full"]["psnr"]["mean"] == pytest.approx(own["full"].metrics["psnr"])
    with (tmp_path / "results.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 6 and {line["row"] for line in lines} == set(own)
    assert float(lines[0]["psnr"]) == own[lines[0]["row"]].metrics["psnr"]


def test_frechet_distances_are_of_a_rows_clips_together(tmp_path: Path) -> None:
    """Inception is stood in for by a network whose features are the frames' mean colours."""
    networks = Networks(inception=lambda frames: frames.mean(dim=(2, 3)))
    evaluation = replace(small("controlnet,full", "walk,wave"), networks=networks)
    store = evaluation.open_store(tmp_path, "tiny", "1")
    list(evaluation.run(Animator(tiny_models()), store))
    page, table = evaluation.write_report(store)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert 0 <= summary["vae-bound"]["fid"]["mean"] < summary["controlnet"]["fid"]["mean"]
    own = [r for r in store.load_results() if r.row == "full"]
    made = np.concatenate([store.load_features(r)["fid"] for r in own])
    true = np.concatenate([store.load_features(replace(r, row="truth"))["fid"] for r in own])
    assert len(made) == len(true) == 4
    assert summary["full"]["fid"]["mean"] == pytest.approx(frechet_distance(made, true))
    assert "windows of 16 frames" not in page.read_text()  # their networks were not asked for
    assert set(summary["full"]["fid"]) == {"mean"}
    assert "FID ↓" in table and "FVD" not in table


def test_distances_of_too_few_frames_are_said_to_be_missing(tmp_path: Path) -> None:
    seen = Networks(
        inception=lambda frames: frames.mean(dim=(2, 3)),
        resnet3d=lambda windows: windows.mean(dim=(1, 3, 4)),
    )
    evaluation = replace(small("controlnet"), networks=seen)
    store = evaluation.open_store(tmp_path, "tiny", "1")
    list(evaluation.run(Animator(tiny_models()), store))
    page, _ = evaluation.write_report(store)
    text = page.read_text()
    assert "missing: FID-VID needs the truth of two windows of 16 frames at least" in text
    assert "missing: I3D (FVD) was not asked for" in text
    assert "FID needs" not in text and "FVD needs" not in text


def test_sheets_of_earlier_rows_go_and_no_row_becomes_a_path(tmp_path: Path) -> None:
    store = Store(tmp_path, {})
    (tmp_path / "sheets").mkdir()
    (tmp_path / "sheets" / "best-gone.png").touch()
    names = ("words=../a b", "words=../a_b", "x" * 300)
    for name in names:
        store.save(CaseResult("a-1", "walk", name, "own", {"psnr": 1.0}), (grey(0),))
    write_report(store, {name: Row({}, "") for name in names})
    found = {path.name for path in (tmp_path / "sheets").iterdir()}
    assert len(found) == 3 * 3 and "best-gone.png" not in found


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=3), st.tuples(st.floats(0, 100), st.floats(0, 50)), min_size=1
    )
)
def test_nothing_is_both_cheaper_and_better_than_the_front(points: dict) -> None:
    summary = {
        row: {"seconds": Interval(s, s, s), "psnr": Interval(p, p, p)}
        for row, (s, p) in points.items()
    }
    kept = find_front(
        summary | {"source-copy": {"seconds": Interval(0, 0, 0), "psnr": Interval(99, 99, 99)}}
    )
    assert kept and "source-copy" not in kept
    for row, (s, p) in points.items():
        better = [r for r in kept if points[r][0] <= s and points[r][1] >= p]
        assert better, f"{row} is beaten by none of the front"
        if row in kept:
            assert all(points[r] == (s, p) for r in better)


def test_what_was_not_measured_is_a_dash_and_no_number() -> None:
    table = format_markdown(
        summarise(
            [
                CaseResult("a", "walk", "full", "own", {"psnr": 20.0, "source_psnr": 30.0}),
                CaseResult("a", "walk", "source-copy", "own", {"psnr": 10.0}),
            ]
        )
    )
    assert table.splitlines()[-1] == "| source-copy | 10.0 | - |"


def test_samples_are_drawn_above_the_truth(tmp_path: Path) -> None:
    steps = write_samples(tiny_models(), "validation", 0, 1, tmp_path / "new")
    assert [step.index for step in steps] == [1]
    told = (tmp_path / "new" / "samples.md").read_text()
    assert "1 plain samples" in told and re.search(r"both right \d \(.* of 1.*\)", told)
    assert "Shirts' letters are right on" in told  # scene 0 has one
    assert (tmp_path / "new" / "samples.png").stat().st_size > 0
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="can't be written"):
        list(write_samples(tiny_models(), "validation", 3, 1, tmp_path / "file"))


def test_the_command_refuses_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    told = ["evaluate", "pocket", "--rows", "best", "-o", str(tmp_path / "out")]
    assert cli.main(told) == 2
    assert "There is no row 'best'" in capsys.readouterr().err
    assert cli.main(["evaluate", "samples", "--captions", "brief", "-o", str(tmp_path)]) == 2
    assert "Samples are made from full captions." in capsys.readouterr().err
    assert cli.main(["evaluate", "samples", "--engines", "ray", "-o", str(tmp_path)]) == 2
    assert "Samples are made in this process." in capsys.readouterr().err
    told = ["evaluate", "pocket", "--networks", str(tmp_path / "typo"), "-o", str(tmp_path / "out")]
    assert cli.main(told) == 2
    assert "There is no folder of networks" in capsys.readouterr().err
    told = ["evaluate", "in-the-wild", "--first", "2", "-o", str(tmp_path / "out")]
    assert cli.main(told) == 2
    assert "protocol in-the-wild runs all of its cases" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# Long clips ---------------------------------------------------------------------------------------


def test_a_slope_is_what_a_figure_rises_by_from_loop_to_loop() -> None:
    period, rise = 6, 0.3
    phases = np.random.default_rng(0).normal(30, 5, period)
    loops = [phases + rise * number for number in range(4)]
    values = [*np.concatenate(loops), 99.0]  # the first frame of a loop that is not whole
    assert drift.fit_slope(values, period) == pytest.approx(rise * drift.SLOPE_FRAMES / period)
    assert drift.subtract_first_loop(values, period) == pytest.approx(3 * rise)
    assert drift.fit_slope([*phases, *phases], period) == pytest.approx(0)


def test_the_truth_again_and_again_does_not_drift() -> None:
    loop = drift.Loop.load(Animator(tiny_models()), "held-out", 0, "walk")
    assert len(loop.truth) == loop_frames("walk")
    true = [t.picture for t in loop.truth]
    figures = loop.measure(true * 2)
    assert set(figures) == set(drift.HEADINGS)
    assert set(figures["psnr"]) == {99.0} and set(figures["identity"]) == {0.0}
    assert figures["step"][: len(true)] == figures["step"][len(true) :]
    assert set(loop.compare_loops(true * 2)) == {0.0}
    paler = [np.asarray(picture // 2 + 100, np.uint8) for picture in true]
    assert min(loop.compare_loops([*true, *paler])) > 5
    assert loop.count_remembered(true * 2) == 0
    assert loop.count_remembered([*true, *true[:2], *paler[2:3], *true[3:]]) == 3
    assert drift.fit_slope(loop.measure([*true, *paler])["psnr"], len(true)) < 0


def test_a_looping_clip_follows_the_true_poses_again_and_again() -> None:
    animator = Animator(tiny_models())
    loop = drift.Loop.load(animator, "held-out", 0, "walk")
    events = loop.animate(animator, replace(FEW, frames=40))
    aligned = next(event for event in events if isinstance(event, Aligned))
    events.close()
    poses = aligned.alignment.poses
    assert len(poses) == 40
    assert all(pose.equals(loop.truth[i % 16].pose) for i, pose in enumerate(poses[1:]))


def test_a_course_is_drawn_whole() -> None:
    drawn = standalone_svg(draw_course({"a<b": [3.0, 1.0, 2.0], "c": [2.0, 2.0]}, "PSNR", "frame"))
    root = ElementTree.fromstring(drawn)
    lines = [each.get("points").split() for each in root.iter() if each.tag.endswith("polyline")]
    assert [len(points) for points in lines] == [3, 2]
    heights = [float(point.partition(",")[2]) for point in lines[0]]
    assert heights[0] < heights[2] < heights[1], "up is more"
    assert "a<b" in [each.text for each in root.iter()]
