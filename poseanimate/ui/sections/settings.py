"""Part 3 of the page, quality and length, and what experts set."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import Field, dataclass, fields
from typing import Any, cast

import gradio as gr

from poseanimate.errors import SettingsError
from poseanimate.settings import (
    LAMBDA_TOLERANCE,
    LAMBDAS,
    MAX_TEXT_CHARACTERS,
    NOT_JUDGED,
    Settings,
    is_judged,
    preset_names,
)
from poseanimate.ui import texts
from poseanimate.ui.event_options import CHOSEN, QUIET
from poseanimate.ui.input_cache import ALIGNMENT_SETTINGS, SETTING_NAMES
from poseanimate.ui.server.page_blocks import element_id

FIRST_PRESET = "fast"
MAX_SETTINGS_CHARACTERS = 10_000
SWITCHES = ("pata", "pacm_source", "pacm_pose", "dcam", "mgdm")
LENGTH = ("frames",)
NUMBERS = ("num_inference_steps", "inner_steps", "guidance_scale", "seed")
ADJUSTMENTS = tuple(
    name for name in ALIGNMENT_SETTINGS if name not in (*LENGTH, *NUMBERS, *SWITCHES)
)
SETTING_FIELDS = {each.name: each for each in fields(Settings)}

Control = gr.Checkbox | gr.Number | gr.Radio | gr.Slider | gr.Textbox
Controls = dict[str, Control]


@dataclass(frozen=True)
class Choice:
    """A choice among presets, and what was changed since: in words, and how to go back."""

    preset: gr.Radio
    changed: gr.HTML
    reset: gr.Button


def add_quality(presets: Presets) -> tuple[Choice, Controls]:
    """Part 3: quality and length."""
    with gr.Accordion(texts.CLIP_PART, elem_id="clip-part", elem_classes="pa-part"):
        quality = gr.Radio(
            texts.QUALITIES,
            value=FIRST_PRESET,
            label=texts.QUALITY,
            show_label=False,
            container=False,
            elem_id="quality",
        )
        choice = _add_changed(quality)
        controls = presets.controls(LENGTH)
        if not is_judged(FIRST_PRESET, presets.family):
            gr.HTML(texts.sentence(NOT_JUDGED, "note"), elem_id="not-judged")
    return choice, controls


def _add_changed(preset: gr.Radio) -> Choice:
    with gr.Row(elem_classes="pa-changed", equal_height=True):
        changed = gr.HTML(elem_id=f"{preset.elem_id}-changed")
        reset = gr.Button(
            texts.RESET, size="sm", scale=0, min_width=80, elem_id=f"{preset.elem_id}-reset"
        )
    return Choice(preset, changed, reset)


def add_settings(part: tuple[Choice, Controls], presets: Presets, image_prompts: bool) -> Controls:
    """What experts set; all settings, including the length, in the order of `Settings`.

    Args:
        part: part 3 of the page.
    """
    by_quality, length = part
    quality, controls = by_quality.preset, dict(length)
    names = [
        name
        for name in preset_names(presets.family)
        if image_prompts or not presets.get(name).prompted_by_picture
    ]
    preset = gr.Radio(
        names,
        value=FIRST_PRESET,
        label=texts.SETTINGS_PRESET,
        info=texts.preset_help(presets.family),
        elem_id="preset",
    )
    by_preset = _add_changed(preset)
    with gr.Row(elem_classes="pa-grid pa-wide"):
        controls |= presets.controls(NUMBERS)
    with gr.Group():
        with gr.Row(elem_classes="pa-grid"):
            controls |= presets.controls(LAMBDAS)
        lambdas = [controls[name] for name in LAMBDAS]
        with gr.Row(equal_height=True):
            total = gr.HTML(
                weigh(*(each.value for each in lambdas)),
                elem_id="lambda-sum",
                padding=True,
            )
            fill_up = gr.Button(
                texts.NORMALISE, size="sm", scale=0, min_width=180, elem_id="normalise"
            )
    with gr.Group(), gr.Row(elem_classes="pa-grid"):
        controls |= presets.controls(SWITCHES)
    with gr.Accordion(texts.ADJUST, open=False), gr.Row(elem_classes="pa-grid pa-wide"):
        controls |= presets.controls(ADJUSTMENTS)
    with gr.Accordion(texts.ADVANCED, open=False), gr.Row(elem_classes="pa-grid pa-wide"):
        controls |= presets.controls([name for name in SETTING_FIELDS if name not in controls])
    controls = {name: controls[name] for name in SETTING_FIELDS}
    every: list[Any] = list(controls.values())
    _add_settings_text(every)
    offered = [name for _, name in texts.QUALITIES]
    untouched = [each for name, each in controls.items() if name not in ALIGNMENT_SETTINGS]
    # a radio button that is chosen already can't be chosen again
    chosen = [
        gr.on(
            [preset.input, by_preset.reset.click], presets.preset_values, preset, every, **CHOSEN
        ),
        gr.on(
            [quality.input, by_quality.reset.click],
            presets.quality_values,
            [quality, preset],
            untouched,
            **CHOSEN,
        ),
    ]
    preset.input(lambda name: name if name in offered else None, preset, quality, **CHOSEN)
    quality.input(lambda name: name, quality, preset, **CHOSEN)
    choices, said = [quality, preset, *every], [by_quality.changed, by_preset.changed]
    for event in chosen:  # once their settings are there
        event.then(presets.tell_changed, choices, said, **CHOSEN)
    gr.on([each.change for each in every], presets.tell_changed, choices, said, **CHOSEN)
    gr.on([each.change for each in lambdas], weigh, lambdas, total, **QUIET)
    fill_up.click(normalise, lambdas[:2], lambdas, **QUIET)
    return controls


def _add_settings_text(controls: list[Any]) -> None:
    """All settings as a text, to copy, and to paste others."""
    with gr.Accordion(texts.SETTINGS_TEXT, open=False, elem_id="settings-text") as part:
        text = gr.Textbox(
            label=texts.SETTINGS_TEXT,
            show_label=False,
            info=texts.SETTINGS_TEXT_HELP,
            lines=6,
            max_lines=14,
            max_length=MAX_SETTINGS_CHARACTERS,
            buttons=["copy"],
            elem_id="settings-json",
        )
        with gr.Row():
            now = gr.Button(texts.CURRENT_SETTINGS, size="sm", elem_id="settings-now")
            use = gr.Button(texts.USE_SETTINGS, size="sm", elem_id="settings-use")
        said = gr.HTML(elem_id="settings-said")
    # not on every change: late ones would replace what is pasted
    gr.on([part.expand, now.click], write_settings, controls, text, **CHOSEN)
    use.click(read_settings, text, [*controls, said], **CHOSEN)


def write_settings(*values: Any) -> str:
    """Values of `SETTING_NAMES` as the text of a preset: those that aren't the paper's."""
    usual = Settings()
    given = zip(SETTING_NAMES, values, strict=True)
    return json.dumps({n: v for n, v in given if v != getattr(usual, n)}, indent=2)


def read_settings(text: str) -> list[Any]:
    """Values of `SETTING_NAMES` from such a text, and a sentence; what can't be used changes nothing."""
    try:
        try:
            values = json.loads(text or "")
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            raise SettingsError("These are no settings.", 'Paste a text such as {"frames": 24}.')
        settings = Settings().changed(values)
    except SettingsError as error:
        said = texts.sentence(str(error), "error")
        return [*(gr.skip(),) * len(SETTING_NAMES), said]
    values = [getattr(settings, name) for name in SETTING_NAMES]
    return [*values, texts.sentence(texts.SETTINGS_USED, "good")]


@dataclass(frozen=True)
class Presets:
    """What presets hold for a family of models."""

    family: str

    def get(self, name: str | None) -> Settings:
        """A preset's settings, by default the first's."""
        return Settings.preset(name or FIRST_PRESET, self.family)

    def preset_values(self, name: str | None) -> list[Any]:
        """A preset's values, by default the first's, in the order of `SETTING_NAMES`."""
        settings = self.get(name)
        return [getattr(settings, each) for each in SETTING_NAMES]

    def quality_values(self, name: str | None, preset: str | None = None) -> list[Any]:
        """The same but for the length and the alignment; of `preset` where there is no quality."""
        settings = self.get(name or preset)
        return [getattr(settings, each) for each in SETTING_NAMES if each not in ALIGNMENT_SETTINGS]

    def tell_changed(
        self, quality: str | None, preset: str | None, *values: Any
    ) -> tuple[str, str]:
        """What was changed since quality and preset were chosen; quality leaves length and alignment alone.

        Args:
            values: of `SETTING_NAMES`.
        """
        given = dict(zip(SETTING_NAMES, values, strict=True))
        by_preset, by_quality = (
            [
                name
                for name, usual in zip(SETTING_NAMES, self.preset_values(of), strict=True)
                if given[name] != usual
            ]
            for of in (preset, quality or preset)
        )
        said = texts.changed([name for name in by_quality if name not in ALIGNMENT_SETTINGS])
        total = sum(given[name] or 0 for name in LAMBDAS)
        if abs(total - 1) > LAMBDA_TOLERANCE:
            said += texts.sentence(texts.WRONG_SUM, "warning")
        return said, texts.changed(by_preset)

    def controls(self, names: Sequence[str]) -> Controls:
        """The components for settings, with the first preset's values."""
        first = self.get(None)
        return {name: control(SETTING_FIELDS[name], getattr(first, name)) for name in names}


def weigh(*lambdas: float) -> str:
    """What λ1, λ2 and λ3 sum to."""
    return texts.lambda_sum(sum(value or 0 for value in lambdas))


def normalise(first: float, prev: float) -> tuple[float, float, float]:
    """λ1 unchanged, λ2 at most what that leaves of 1, and λ3 the rest; in hundredths."""
    first = min(round(first or 0, 2), 1.0)
    prev = min(round(prev or 0, 2), round(1 - first, 2))
    return first, prev, round(1 - first - prev, 2)


def control(about: Field[Any], value: Any) -> Control:
    """The component for a setting, made from its metadata."""
    low, high, choices = (about.metadata[key] for key in ("low", "high", "choices"))
    common: dict[str, Any] = {
        "value": value,
        "label": texts.label(about.name),
        "info": None if about.name in texts.SELF_EXPLAINING else about.metadata["help"],
        "min_width": 0,
        "elem_id": element_id(about.name),
    }
    if isinstance(about.default, bool):
        return gr.Checkbox(**common)
    if choices:
        return gr.Radio(list(choices), **common)
    if isinstance(about.default, str):
        return gr.Textbox(max_length=MAX_TEXT_CHARACTERS, **common)
    whole = isinstance(about.default, int)
    default = float(cast(float, about.default))
    step = 1 if whole else 0.01 if high <= 2 else 0.1
    if high > 1000 or abs(round(default / step) * step - default) > 1e-9 or 0 < low < step:
        return gr.Number(minimum=low, maximum=high, precision=0 if whole else None, **common)
    return gr.Slider(low, high, step=step, buttons=[], **common)
