"""The page: components, their order, and which event runs which handler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import Any, cast

import gradio as gr

from poseanimate.animator import Animator
from poseanimate.bundle import MAX_PROMPT_CHARACTERS
from poseanimate.media import VideoLimits
from poseanimate.poses.motion import PRESETS_FOLDER
from poseanimate.poses.motion import preset_names as motion_names
from poseanimate.settings import Settings, preset_names
from poseanimate.ui import texts
from poseanimate.ui.compare import MAX_VALUES_CHARACTERS, SWEPT, Comparison
from poseanimate.ui.handlers import ALIGNMENT_SETTINGS, Handlers, named
from poseanimate.ui.joints import editor

STYLE = Path(__file__).with_name("style.css")
EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "characters"
FIRST_PRESET = "fast"
FIRST_MOTION = "walk"
PICTURE_TYPES = [".png", ".jpg", ".jpeg", ".webp"]
MOTION_TYPES = [".mp4", ".webm", ".mov", ".gif", ".json"]
CACHE_SWEEP_S, CACHE_AGE_S = 1800, 3600

LAMBDAS = ("lambda_first", "lambda_prev", "lambda_self")
SWITCHES = ("pata", "pacm_source", "pacm_pose", "dcam", "mgdm")
NUMBERS = ("frames", "num_inference_steps", "inner_steps", "guidance_scale", "seed")

QUIET: dict[str, Any] = {  # of what answers at once
    "queue": False,
    "show_progress": "hidden",
    "api_visibility": "private",
}
BESIDE: dict[str, Any] = {  # of what needs no diffusion model, and so must not wait for runs
    "concurrency_limit": 1,
    "concurrency_id": "poses",
    "show_progress": "hidden",
    "api_visibility": "private",
}

Control = gr.Checkbox | gr.Number | gr.Radio | gr.Slider | gr.Textbox
Controls = dict[str, Control]


@dataclass(frozen=True)
class Inputs:
    """The components that a run reads, by part of the page."""

    picture: gr.File
    joints: gr.HTML
    prompt: gr.Textbox
    motion: list[Control | gr.File]
    settings: Controls

    @property
    def all(self) -> list[gr.components.Component]:
        """In the order of the handlers' parameters."""
        return [self.picture, self.joints, self.prompt, *self.motion, *self.settings.values()]


def create_demo(animator: Animator) -> gr.Blocks:
    """The page for an animator; see `serve` for how to launch it."""
    gr.set_static_paths([str(PRESETS_FOLDER), str(EXAMPLES)])
    handlers = Handlers(animator)
    with gr.Blocks(
        title=texts.TITLE,
        analytics_enabled=False,
        fill_width=True,
        delete_cache=(CACHE_SWEEP_S, CACHE_AGE_S),
    ) as demo:
        gr.Markdown(texts.INTRO, elem_id="intro")
        with gr.Accordion(texts.RESTORE, open=False, elem_id="restore"):
            bundle = gr.File(label=texts.BUNDLE, file_types=[".zip"], height=110, elem_id="bundle")
            restored = gr.HTML(elem_id="restored")
        with gr.Row(elem_id="columns"):
            with gr.Column(min_width=340):
                example, picture, joints, prompt, said = _character()
                motion = _motion()
                gr.Markdown(texts.ALIGNMENT)
                fitted = [
                    gr.Image(
                        label=texts.ALIGNED,
                        alt_text=texts.ALIGNED_ALT,
                        interactive=False,
                        buttons=["fullscreen"],
                        height=320,
                        elem_id="alignment",
                    ),
                    gr.HTML(elem_id="verdicts"),
                ]
            with gr.Column(min_width=340):
                settings = _settings(handlers)
                inputs = Inputs(picture, joints, prompt, motion, settings)
                clip, forecast = _result(handlers, inputs)
        _before_the_run(demo, handlers, inputs, said, fitted, forecast)
        bundle.upload(
            handlers.restore,
            bundle,
            [restored, example, picture, joints, prompt, *motion, clip, *settings.values()],
            **BESIDE,
        )
        demo.unload(handlers.leave)
    demo.queue(max_size=8, default_concurrency_limit=1, api_open=False)
    return demo


def serve(demo: gr.Blocks, **more: Any) -> Any:
    """Launches the page with its looks and with everything closed that it doesn't need.

    Args:
        more: of Gradio's own `launch`: host, port, share, auth. Where host and port aren't given they are
            GRADIO_SERVER_NAME (127.0.0.1) and GRADIO_SERVER_PORT (7860 on).
    """
    return demo.launch(
        theme=_theme(),
        css=STYLE.read_text() + _tiles(),
        max_file_size=VideoLimits().max_bytes,
        allowed_paths=[],
        show_error=False,
        run_history=False,
        enable_monitoring=False,
        footer_links=["api", "gradio"],
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        **more,
    )


def _character() -> tuple[gr.Radio, gr.File, gr.HTML, gr.Textbox, gr.HTML]:
    examples = example_names()
    gr.Markdown(texts.CHARACTER)
    example = gr.Radio(
        [(name.replace("-", " "), name) for name in examples],
        value=examples[0] if examples else None,
        label=texts.EXAMPLE,
        elem_id="example",
        elem_classes="pa-tiles",
    )
    with gr.Row():
        with gr.Column(min_width=220):
            picture = gr.File(
                value=str(EXAMPLES / f"{examples[0]}.png") if examples else None,
                label=texts.PICTURE,
                file_types=PICTURE_TYPES,
                height=150,
                elem_id="picture",
            )
            prompt = gr.Textbox(
                value=caption(examples[0]) if examples else "",
                label=texts.PROMPT,
                info=texts.PROMPT_HELP,
                lines=3,
                max_length=MAX_PROMPT_CHARACTERS,
                elem_id="prompt",
            )
        with gr.Column(min_width=220):
            joints = editor()
            said = gr.HTML(elem_id="found-text")
    example.input(
        lambda name: (str(EXAMPLES / f"{name}.png"), caption(name), ""),
        example,
        [picture, prompt, joints],
        **QUIET,
    )
    picture.upload(
        lambda said: (None, "" if said in map(caption, examples) else gr.skip(), ""),
        prompt,
        [example, prompt, joints],
        **QUIET,
    )
    picture.clear(lambda: "", None, joints, **QUIET)
    return example, picture, joints, prompt, said


def _motion() -> list[Control | gr.File]:
    gr.Markdown(texts.MOTION)
    source = gr.Radio(
        texts.MOTION_CHOICES,
        value=texts.FROM_PRESET,
        label=texts.MOTION_FROM,
        elem_id="motion-from",
    )
    names = motion_names()
    preset = gr.Radio(
        [(name.replace("-", " "), name) for name in names],
        value=FIRST_MOTION if FIRST_MOTION in names else None,
        label=texts.PRESET_MOTION,
        elem_id="motion",
        elem_classes="pa-tiles",
    )
    with gr.Group(visible=False) as upload:
        file = gr.File(
            label=texts.MOTION_FILE, file_types=MOTION_TYPES, height=150, elem_id="motion-file"
        )
        with gr.Row():
            start = gr.Number(0, minimum=0, label=texts.START, min_width=90)
            end = gr.Number(None, minimum=0, label=texts.END, min_width=90)
            stride = gr.Number(1, minimum=1, precision=0, label=texts.STRIDE, min_width=90)
    source.change(
        lambda chosen: (
            gr.Radio(visible=chosen == texts.FROM_PRESET),
            gr.Group(visible=chosen == texts.FROM_FILE),
        ),
        source,
        [preset, upload],
        **QUIET,
    )
    return [source, preset, file, start, end, stride]


def _settings(handlers: Handlers) -> Controls:
    gr.Markdown(texts.SETTINGS)
    first = Settings.preset(FIRST_PRESET)
    knobs = {each.name: each for each in fields(Settings)}
    controls: Controls = {}

    def add(names: Sequence[str]) -> None:
        for name in names:
            controls[name] = control(knobs[name], getattr(first, name))

    adapter = handlers.animator.models.ip_adapter
    names = [name for name in preset_names() if adapter or not Settings.preset(name).image_prompt]
    preset = gr.Radio(
        names,
        value=FIRST_PRESET,
        label=texts.SETTINGS_PRESET,
        info=texts.PRESET_HELP,
        elem_id="preset",
    )
    with gr.Row(elem_classes="pa-grid pa-wide"):
        add(NUMBERS)
    with gr.Group():
        with gr.Row(elem_classes="pa-grid"):
            add(LAMBDAS)
        with gr.Row(equal_height=True):
            total = gr.HTML(
                handlers.weigh(*(getattr(first, name) for name in LAMBDAS)),
                elem_id="lambda-sum",
                padding=True,
            )
            normalise = gr.Button(
                texts.NORMALISE, size="sm", scale=0, min_width=180, elem_id="normalise"
            )
    with gr.Group(), gr.Row(elem_classes="pa-grid"):
        add(SWITCHES)
    with gr.Accordion(texts.ADVANCED, open=False), gr.Row(elem_classes="pa-grid pa-wide"):
        add([name for name in knobs if name not in controls])
    controls = {name: controls[name] for name in knobs}
    lambdas = [controls[name] for name in LAMBDAS]
    preset.input(handlers.preset, preset, list(controls.values()), **QUIET)
    gr.on([each.change for each in lambdas], handlers.weigh, lambdas, total, **QUIET)
    normalise.click(handlers.normalise, lambdas[:2], lambdas, **QUIET)
    return controls


def control(about: Field[Any], value: Any) -> Control:
    """The component for a setting, from what the setting says about itself."""
    low, high, choices = (about.metadata[key] for key in ("low", "high", "choices"))
    common: dict[str, Any] = {
        "value": value,
        "label": texts.label(about.name),
        "info": None if about.name in texts.SELF_EXPLAINING else about.metadata["help"],
        "min_width": 0,
        "elem_id": f"setting-{about.name.replace('_', '-')}",
    }
    if isinstance(about.default, bool):
        return gr.Checkbox(**common)
    if choices:
        return gr.Radio(list(choices), **common)
    if isinstance(about.default, str):
        return gr.Textbox(max_length=200, **common)
    whole = isinstance(about.default, int)
    default = float(cast(float, about.default))
    step = 1 if whole else 0.01 if high <= 2 else 0.1
    if high > 1000 or abs(round(default / step) * step - default) > 1e-9 or 0 < low < step:
        return gr.Number(minimum=low, maximum=high, precision=0 if whole else None, **common)
    return gr.Slider(low, high, step=step, buttons=[], **common)


def _result(handlers: Handlers, inputs: Inputs) -> tuple[gr.Video, gr.HTML]:
    gr.Markdown(texts.RESULT)
    with gr.Row(elem_id="run"):
        generate = gr.Button(texts.GENERATE, variant="primary", elem_id="generate", scale=3)
        stop = gr.Button(
            texts.STOP, variant="stop", interactive=False, elem_id="stop", scale=1, min_width=100
        )
    forecast = gr.HTML(elem_id="forecast")
    bar = gr.HTML(texts.sentence(texts.IDLE), elem_id="bar")
    with gr.Row():
        with gr.Column(min_width=280):
            clip = gr.Video(
                label=texts.CLIP,
                interactive=False,
                autoplay=True,
                loop=True,
                buttons=["download"],
                elem_id="clip",
            )
            made = gr.File(
                label=texts.DOWNLOADS,
                file_count="multiple",
                interactive=False,
                visible=False,
                elem_id="downloads",
            )
        with gr.Column(min_width=280):
            sheet = gr.Image(
                label=texts.SHEET,
                alt_text=texts.SHEET_ALT,
                interactive=False,
                format="jpeg",
                buttons=["fullscreen", "download"],
                elem_id="sheet",
            )
    report = gr.HTML(elem_id="report")
    outputs = [bar, sheet, clip, made, report, generate, stop]  # as RESULT_OUTPUTS
    aside: dict[str, Any] = {"outputs": outputs, **QUIET}
    generate.click(handlers.begin, None, **aside)
    run = generate.click(
        named(handlers.animate),
        inputs.all,
        outputs,
        concurrency_limit=1,
        concurrency_id="diffusion",
        show_progress="minimal",
        show_progress_on=bar,
        api_name="animate",
    )
    run.failure(handlers.failed, None, **aside)
    run.then(handlers.pack, None, made, **BESIDE)
    run.then(
        handlers.forecast,
        inputs.all,
        forecast,
        **BESIDE,
    )
    stop.click(handlers.stop, None, **aside)
    _comparison(handlers, inputs, bar, generate, stop)
    return clip, forecast


def _comparison(
    handlers: Handlers, inputs: Inputs, bar: gr.HTML, generate: gr.Button, stop: gr.Button
) -> None:
    comparison = Comparison(handlers)
    gr.Markdown(texts.COMPARISON)
    gr.Markdown(texts.COMPARISON_HELP)
    kind = gr.Radio(
        texts.COMPARISON_KINDS,
        value=texts.BY_MODULES,
        show_label=False,
        container=False,
        elem_id="compare-kind",
    )
    with gr.Row(visible=False) as chosen:
        name = gr.Dropdown(
            [(texts.label(each), each) for each in SWEPT],
            value="lambda_first",
            label=texts.SWEPT,
            elem_id="compare-setting",
        )
        several = gr.Textbox(
            "0.3, 0.7, 1",
            label=texts.SWEPT_VALUES,
            max_length=MAX_VALUES_CHARACTERS,
            elem_id="compare-values",
        )
    compare = gr.Button(texts.COMPARE, elem_id="compare")
    grid = gr.Video(
        label=texts.GRID,
        interactive=False,
        autoplay=True,
        loop=True,
        buttons=["download"],
        elem_id="grid",
    )
    outputs = [bar, grid, generate, compare, stop]  # as COMPARED
    kind.change(lambda of: gr.Row(visible=of == texts.BY_VALUES), kind, chosen, **QUIET)
    compare.click(comparison.begin, None, outputs, **QUIET)
    run = compare.click(
        comparison.compare,
        [
            kind,
            name,
            several,
            *inputs.all,
        ],
        outputs,
        concurrency_limit=1,
        concurrency_id="diffusion",
        show_progress="hidden",
        api_visibility="private",
    )
    run.failure(comparison.failed, None, outputs, **QUIET)


def _before_the_run(
    demo: gr.Blocks,
    handlers: Handlers,
    inputs: Inputs,
    said: gr.HTML,
    fitted: list[gr.components.Component],
    forecast: gr.HTML,
) -> None:
    """Joints, alignment and forecast follow their inputs; they have a queue of their own."""
    common: dict[str, Any] = {**BESIDE, "trigger_mode": "always_last"}
    source = [inputs.picture, inputs.joints]
    placed = [inputs.picture.change, inputs.joints.change]
    gr.on([demo.load, *placed], handlers.look, source, [inputs.joints, said], **common)
    aligned_by = [inputs.settings[name] for name in ALIGNMENT_SETTINGS]
    reads = [*inputs.motion, *aligned_by]
    fit = gr.on(
        [demo.load, *placed, *(each.change for each in reads)],
        handlers.fit,
        [*source, *reads],
        fitted,
        **common,
    )
    others = [each for name, each in inputs.settings.items() if name not in ALIGNMENT_SETTINGS]
    forecasts: list[Any] = [handlers.forecast, inputs.all, forecast]
    fit.then(*forecasts, **BESIDE)
    gr.on([inputs.prompt.change, *(each.change for each in others)], *forecasts, **common)


def example_names() -> list[str]:
    """Characters that can be picked, in alphabetical order."""
    return sorted(path.stem for path in EXAMPLES.glob("*.png"))


def caption(name: str | None) -> str:
    """The prompt that belongs to an example; empty where it has none."""
    path = EXAMPLES / f"{name}.txt"
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


def _tiles() -> str:
    """CSS that puts an example's picture or a preset's moving thumbnail on its tile."""
    pictures = [("example", name, EXAMPLES / f"{name}.png") for name in example_names()]
    pictures += [("motion", name, PRESETS_FOLDER / f"{name}.gif") for name in motion_names()]
    rule = '\n#{} label:has(input[value="{}"])::before {{ background-image: url("{}"); }}'
    return "".join(
        rule.format(group, name, f"gradio_api/file={path}") for group, name, path in pictures
    )


def _theme() -> gr.themes.Base:
    fonts = ["system-ui", "sans-serif"]
    return gr.themes.Default(
        primary_hue=gr.themes.colors.indigo,
        neutral_hue=gr.themes.colors.slate,
        font=fonts,
        font_mono=["ui-monospace", "monospace"],
    )
