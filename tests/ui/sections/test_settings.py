"""Settings as a text, to copy and to paste."""

from __future__ import annotations

import json

import gradio as gr
import pytest

from poseanimate.settings import Settings, preset_names
from poseanimate.ui import texts
from poseanimate.ui.input_cache import SETTING_NAMES
from poseanimate.ui.sections.settings import preset_values, read_settings, write_settings


@pytest.mark.parametrize("name", preset_names())
def test_what_is_copied_can_be_pasted(name: str) -> None:
    values = preset_values(name)
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
