"""Settings as a text, to copy and to paste; and what was changed since a preset was chosen."""

from __future__ import annotations

import json

import gradio as gr
import pytest

from poseanimate.settings import NOT_JUDGED, Settings, preset_names
from poseanimate.ui import texts
from poseanimate.ui.input_cache import SETTING_NAMES
from poseanimate.ui.sections.settings import (
    Presets,
    add_quality,
    read_settings,
    write_settings,
)

PRESETS = Presets("pocket")


@pytest.mark.parametrize("name", preset_names("pocket"))
def test_what_is_copied_can_be_pasted(name: str) -> None:
    values = PRESETS.preset_values(name)
    *pasted, said = read_settings(write_settings(*values))
    assert pasted == values and texts.SETTINGS_USED in said


def test_the_text_holds_what_is_not_the_papers() -> None:
    assert json.loads(write_settings(*(getattr(Settings(), n) for n in SETTING_NAMES))) == {}
    changed = Settings().changed({"frames": 9, "pata": False})
    text = write_settings(*(getattr(changed, name) for name in SETTING_NAMES))
    assert json.loads(text) == {"frames": 9, "pata": False}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "These are no settings"),
        ("[1]", "These are no settings"),
        ("[" * 9999, "These are no settings"),
        ('{"frame": 9}', "Did you mean frames?"),
        ('{"frames": 1000000}', "frames"),
        ('{"lambda_first": 0.9, "lambda_prev": 0.9}', "1"),
    ],
)
def test_a_text_that_can_not_be_used_changes_nothing_and_gets_a_sentence(
    text: str, says: str
) -> None:
    *values, said = read_settings(text)
    assert values == [gr.skip()] * len(SETTING_NAMES)
    assert says in said and 'role="alert"' in said


def test_what_was_changed_since_a_preset_is_said_in_few_words() -> None:
    def told(quality: str | None = "fast", preset: str = "fast", **changed: object) -> list[str]:
        given = dict(zip(SETTING_NAMES, PRESETS.preset_values(preset), strict=True)) | changed
        return list(PRESETS.tell_changed(quality, preset, *given.values()))

    assert told() == ["", ""]
    by_quality, by_preset = told(frames=9, mirror=True)  # of which quality knows nothing
    assert by_quality == ""
    assert "Changed: Length (frames), Mirror<" in by_preset
    by_quality, by_preset = told(num_inference_steps=7, guidance_scale=None)
    assert "Changed: Steps (T), Prompt strength (w)<" in by_quality and by_quality == by_preset
    many = told("balanced", "fast", **{n: 0 for n in ("pata", "dcam", "mgdm", "lambda_first")})[0]
    assert "and" in many and "more<" in many and texts.WRONG_SUM in many
    assert told(None, "paper") == ["", ""] and told(None, "paper", mgdm=False)[0] != ""


def test_presets_are_those_of_the_models_family() -> None:
    steps = SETTING_NAMES.index("num_inference_steps")
    found = {family: Presets(family).preset_values(None)[steps] for family in ("pocket", "sd15")}
    assert found == {"pocket": 10, "sd15": 20}
    for family, judged in (("pocket", True), ("sd15", False), ("unknown", False)):
        with gr.Blocks() as page:
            add_quality(Presets(family))
        said = [each.value for each in page.blocks.values() if isinstance(each, gr.HTML)]
        assert any(NOT_JUDGED in (text or "") for text in said) is not judged
        assert "paper: the paper's values" in texts.preset_help(family)
        assert ("direct inversion" in texts.preset_help(family)) is judged
