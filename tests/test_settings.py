"""Settings: what they take, what they refuse and in which words; presets."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseanimate import settings as settings_module
from poseanimate.errors import SettingsError
from poseanimate.settings import FAMILIES, Settings, allowed, is_judged, preset_names

SETTINGS = {each.name: each for each in fields(Settings)}
RANGED = sorted(name for name, each in SETTINGS.items() if each.metadata["low"] is not None)
CHOSEN = sorted(name for name, each in SETTINGS.items() if each.metadata["choices"])
LAMBDAS = ("lambda_first", "lambda_prev", "lambda_self")
BASELINES = [
    "baseline-controlnet",
    "baseline-cross-frame",
    "baseline-ip-adapter",
    "baseline-spatio-temporal",
]
shares = st.floats(0, 1)


def lambdas(settings: Settings) -> tuple[float, ...]:
    return tuple(getattr(settings, name) for name in LAMBDAS)


# Values -------------------------------------------------------------------------------------------


def test_every_default_is_allowed_and_every_setting_says_what_it_is() -> None:
    assert asdict(Settings()) == {name: each.default for name, each in SETTINGS.items()}
    assert all(each.metadata["help"] and allowed(each) for each in SETTINGS.values())


@pytest.mark.parametrize("name", RANGED)
def test_both_ends_of_a_range_are_inside_and_what_is_beyond_is_named(name: str) -> None:
    low, high = SETTINGS[name].metadata["low"], SETTINGS[name].metadata["high"]
    for end in (low, high):
        assert getattr(Settings().changed({name: end}), name) == end
    for beyond in (low - 1, high + 1):
        with pytest.raises(SettingsError) as caught:
            Settings().changed({name: beyond})
        assert name in caught.value.message
        assert f"{beyond:.10g}" in caught.value.message
        assert f"between {low:.10g} and {high:.10g}" in caught.value.message
        assert SETTINGS[name].metadata["help"] in caught.value.remedy


@pytest.mark.parametrize("name", CHOSEN)
def test_a_choice_takes_each_of_its_words_and_no_other(name: str) -> None:
    for word in SETTINGS[name].metadata["choices"]:
        assert getattr(Settings().changed({name: word}), name) == word
    with pytest.raises(SettingsError, match="must be one of"):
        Settings().changed({name: "other"})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("frames", "24", 24),
        ("frames", "24.0", 24),
        ("frames", 24.0, 24),
        ("guidance_scale", "7.5", 7.5),
        ("guidance_scale", 7, 7.0),
        ("source_learning_rate", "1e-3", 1e-3),
        ("dcam", "off", False),
        ("dcam", "True", True),
        ("dcam", "0", False),
        ("dcam", 1, True),
        ("character_words", "iron man", "iron man"),
        ("character_words", "", ""),
    ],
)
def test_texts_and_numbers_become_values_of_the_settings_type(
    name: str, text: Any, value: Any
) -> None:
    result = getattr(Settings().changed({name: text}), name)
    assert result == value
    assert type(result) is type(SETTINGS[name].default)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("frames", "many", "'many', but must be a whole number"),
        ("frames", "2.5", "'2.5', but must be a whole number"),
        ("frames", True, "True, but must be a whole number"),
        ("frames", None, "None, but must be a whole number"),
        ("frames", 10**400, "must be a whole number"),
        ("guidance_scale", "nan", "'nan', but must be a number"),
        ("guidance_scale", float("inf"), "inf, but must be a number"),
        ("guidance_scale", {"a": 1}, "must be a number"),
        ("dcam", "perhaps", "'perhaps', but must be true or false"),
        ("dcam", 2, "2, but must be true or false"),
        ("dcam", [True], "must be true or false"),
        ("character_words", 3, "3, but must be text"),
        ("start", None, "None, but must be text"),
        ("character_words", "a" * 201, "text of at most 200 characters"),
        ("character_words", "\ud800", "text of at most 200 characters"),
    ],
)
def test_values_of_another_kind_are_refused(name: str, value: Any, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings().changed({name: value})
    assert words in caught.value.message
    with pytest.raises(SettingsError):
        Settings(**{name: value})


def test_an_unknown_setting_is_named_and_the_known_ones_are_listed() -> None:
    with pytest.raises(SettingsError, match="'lamda_first'") as caught:
        Settings().changed({"lamda_first": 0.6})
    assert all(name in caught.value.remedy for name in SETTINGS)
    assert caught.value.remedy.startswith("Did you mean lambda_first?")


@given(st.sampled_from(sorted(SETTINGS)), st.text(max_size=20) | st.floats() | st.integers())
def test_any_value_is_taken_or_refused_with_a_remedy(name: str, value: Any) -> None:
    try:
        settings = Settings().changed({name: value})
    except SettingsError as error:
        assert error.message
        assert error.remedy
    else:
        assert Settings(**asdict(settings)) == settings


# λ ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_values", "expected"),
    [
        ({"lambda_first": "0.6"}, (0.6, 0.2, 0.2)),
        ({"lambda_first": 1}, (1, 0, 0)),
        ({"lambda_self": 0.575}, (0.35, 0.075, 0.575)),
        ({"lambda_first": 0.5, "lambda_prev": 0.2}, (0.5, 0.2, 0.3)),
        ({"lambda_first": 0.2, "lambda_prev": 0.3, "lambda_self": 0.5}, (0.2, 0.3, 0.5)),
        ({"seed": 1}, (0.7, 0.15, 0.15)),
    ],
)
def test_lambdas_that_are_not_given_share_the_rest(
    given_values: dict[str, Any], expected: tuple[float, ...]
) -> None:
    assert lambdas(Settings().changed(given_values)) == pytest.approx(expected, abs=1e-12)


def test_lambdas_that_were_nothing_share_the_rest_equally() -> None:
    first_alone = Settings().changed({"lambda_first": 1})
    assert lambdas(first_alone.changed({"lambda_first": 0.4})) == pytest.approx((0.4, 0.3, 0.3))


@given(shares, shares)
def test_the_rest_keeps_the_old_proportion(first: float, then: float) -> None:
    before = Settings().changed({"lambda_prev": 0.2, "lambda_self": 0.1})
    after = before.changed({"lambda_first": first}).changed({"lambda_self": then})
    assert sum(lambdas(after)) == pytest.approx(1, abs=1e-6)
    changed = before.changed({"lambda_first": first})
    assert changed.lambda_prev == pytest.approx(2 * changed.lambda_self, abs=1e-8)


@pytest.mark.parametrize(
    ("values", "total"),
    [
        ({"lambda_first": 0.7, "lambda_prev": 0.2, "lambda_self": 0.2}, "1.1"),
        ({"lambda_first": 0.1, "lambda_prev": 0.1, "lambda_self": 0.1}, "0.3"),
        ({"lambda_first": 0.7, "lambda_prev": 0.7}, "1.4"),
        ({"lambda_first": 0.7, "lambda_prev": 0.2, "lambda_self": 0.2, "dcam": False}, "1.1"),
    ],
)
def test_lambdas_that_do_not_sum_to_one_are_refused(values: dict[str, Any], total: str) -> None:
    with pytest.raises(SettingsError, match=f"is {total}, but must be 1"):
        Settings().changed(values)


# Presets ------------------------------------------------------------------------------------------


def test_the_presets_are_there_and_hold_deviations_alone() -> None:
    assert preset_names() == ["balanced", *BASELINES, "fast", "few-step", "paper"]
    defaults = asdict(Settings())
    for name in preset_names():
        common = json.loads((settings_module.PRESETS / f"{name}.json").read_text())
        overlays, judged = common.pop("families"), common.pop("judged")
        # sdxl has sd15's
        assert set(overlays) == {"sd15"} | ({"pocket"} if name != "few-step" else set())
        # the pocket models have no IP-Adapter; nobody has looked at baselines since they tell each branch's text
        assert judged == ([] if name in (*BASELINES, "few-step") else ["pocket"])
        for values in (common, *overlays.values()):
            assert all(values[setting] != defaults[setting] for setting in values), name
            assert values is common or not set(values) & set(common)
    assert Settings.preset("paper", "pocket") == Settings()


def test_each_family_has_values_of_its_own_and_unknown_ones_have_sd15s() -> None:
    """Those of sd15 are expected to be good; nobody has looked yet."""
    expected = {"paper": (7.5, 50), "balanced": (4.5, 30), "fast": (3.0, 20)}
    for name, (w, steps) in expected.items():
        sd15, pocket = (Settings.preset(name, family) for family in ("sd15", "pocket"))
        assert (sd15.guidance_scale, sd15.num_inference_steps) == (w, steps)
        assert sd15.pacm_source and sd15.pacm_pose == (name == "paper")
        assert (sd15.inner_steps, sd15.source_learning_rate) == (5, 1e-2)
        assert sd15.controlnet_emphasis == 1 and sd15.background == "sampled"
        assert (sd15.crop, sd15.frames) == (pocket.crop, pocket.frames)
        assert Settings.preset(name, "unknown") == sd15
        assert is_judged(name, "pocket")
        assert not is_judged(name, "sd15") and not is_judged(name, "unknown")


def test_a_preset_may_be_for_some_families_alone() -> None:
    """LoRA for few steps keep guidance (Hyper-SD's "CFG" ones take 5 to 8) and start at the noisiest timestep."""
    few = Settings.preset("few-step", "sd15")
    assert few.num_inference_steps == 8 and few.timestep_spacing == "trailing"
    assert 5 <= few.guidance_scale <= 8
    assert preset_names("sd15") == preset_names("unknown") == preset_names()
    assert preset_names("pocket") == [each for each in preset_names() if each != "few-step"]
    with pytest.raises(SettingsError, match="'few-step' is for the models sd15") as caught:
        Settings.preset("few-step", "pocket")
    assert "few-step" not in caught.value.remedy and "balanced" in caught.value.remedy


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", BASELINES)
def test_baselines_have_none_of_the_papers_modules(name: str, family: str) -> None:
    baseline = Settings.preset(name, family)
    modules = ("pacm_source", "pacm_pose", "dcam", "mgdm")
    assert not any(getattr(baseline, module) for module in modules)
    assert baseline.follows_source == (name != "baseline-controlnet")
    assert baseline.prompted_by_picture == (name == "baseline-ip-adapter")
    tuned = ("num_inference_steps", "guidance_scale", "crop", "frames")
    balanced = Settings.preset("balanced", family)
    assert all(getattr(baseline, each) == getattr(balanced, each) for each in tuned)
    assert baseline.controlnet_text == "branch"  # as peers have it
    assert baseline.frame_masks == "skeleton" and baseline.start != "draft"  # drafts are ours
    others = {"baseline": "none", "start": "inverted", **dict.fromkeys(modules, True)}
    others |= {
        each: getattr(Settings(), each) for each in (*tuned, "frame_masks", "controlnet_text")
    }
    assert baseline.changed(others) == Settings()


def test_without_arguments_they_are_the_papers() -> None:
    paper = Settings()
    assert paper.num_inference_steps == 50
    assert paper.guidance_scale == 7.5
    assert paper.inner_steps == 5
    assert paper.frames == 1 + 16  # x_0 is the source
    assert lambdas(paper) == (0.7, 0.15, 0.15)
    assert all((paper.pata, paper.pacm_source, paper.pacm_pose, paper.dcam, paper.mgdm))
    assert (paper.frame_masks, paper.mask_form) == ("attention", "hadamard")
    assert (paper.background, paper.controlnet_emphasis) == ("sampled", 1)
    assert not paper.crop


def test_there_are_no_more_settings_than_people_can_read() -> None:
    assert len(SETTINGS) <= 40


def test_ip_adapter_takes_the_place_of_the_cross_attention_that_is_recorded() -> None:
    off = {"baseline": "ip_adapter", "dcam": False, "pacm_source": False}
    with pytest.raises(SettingsError, match="IP-Adapter takes the place"):
        Settings().changed(off)
    assert Settings().changed(off | {"pacm_pose": False}).prompted_by_picture
    assert not Settings().changed({"baseline": "ip_adapter"}).prompted_by_picture  # DCAM goes first


def test_an_unknown_preset_is_named_and_the_known_ones_are_listed() -> None:
    with pytest.raises(SettingsError, match="'slow'") as caught:
        Settings.preset("slow", "pocket")
    assert ", ".join(preset_names()) in caught.value.remedy


@pytest.mark.parametrize("name", ["../settings/fast", "fast.json", ""])
def test_a_preset_is_a_name_not_a_path(name: str) -> None:
    with pytest.raises(SettingsError, match="no preset"):
        Settings.preset(name, "pocket")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "can't be read"),
        ("[1, 2]", "not an object"),
        ('"fast"', "not an object"),
        ('{"families": ["pocket"]}', "not an object"),
        ('{"families": {"pocket": 1}}', "not an object"),
        ('{"families": {"pocket": {"speed": 1}}}', "no setting 'speed'"),
        ('{"dcam": {"lambda_first": 0.6}}', "must be true or false"),
        ('{"frames": [16]}', "must be a whole number"),
        ('{"frames": NaN}', "must be a whole number"),
        ('{"speed": 1}', "no setting 'speed'"),
        ("\udcff", "can't be read"),
    ],
)
def test_a_damaged_preset_is_refused(
    content: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.json").write_text(content, encoding="utf-8", errors="surrogateescape")
    monkeypatch.setattr(settings_module, "PRESETS", tmp_path)
    with pytest.raises(SettingsError, match=words):
        Settings.preset("mine", "pocket")


def test_settings_come_back_from_a_preset_that_holds_them_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = Settings().changed({"frames": 9, "lambda_first": 0.5, "mgdm": False, "start": "random"})
    (tmp_path / "mine.json").write_text(json.dumps(asdict(mine)))
    monkeypatch.setattr(settings_module, "PRESETS", tmp_path)
    assert Settings.preset("mine", "pocket") == Settings.preset("mine", "sd15") == mine
    assert is_judged("mine", "sd15")  # it claims nothing
    (tmp_path / "mine.json").write_text('{"judged": "pocket"}')
    with pytest.raises(SettingsError, match="judged on"):
        is_judged("mine", "pocket")
    (tmp_path / "mine.json").write_text('{"families": {"sd15": {"frames": 9}}}')
    assert Settings.preset("mine", "sd15").frames == Settings.preset("mine", "unknown").frames == 9
    assert preset_names("sd15") == ["mine"] and preset_names("pocket") == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"background": "direct", "start": "random"}, "start is random"),
    ],
    ids=str,
)
def test_a_background_needs_what_it_follows(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Settings(**changes)


def test_without_guidance_no_unconditional_branch_can_be_optimised() -> None:
    values = {"guidance_scale": 1, "embedding_role": "unconditional"}
    with pytest.raises(SettingsError, match="no unconditional branch"):
        Settings().changed(values)
    off = {"pacm_source": False, "pacm_pose": False}
    assert Settings().changed(values | off).embedding_role == "unconditional"
