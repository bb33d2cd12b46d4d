"""The page's parts: each adds its components and connects the events within it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import Field, dataclass, fields
from typing import Any, cast

import gradio as gr

from poseanimate.inputs.prompt import MAX_PROMPT_CHARACTERS
from poseanimate.media import ANIMATION_SUFFIXES, PICTURE_SUFFIXES, VIDEO_SUFFIXES
from poseanimate.poses.motion import preset_names as motion_names
from poseanimate.settings import MAX_TEXT_CHARACTERS, Settings, preset_names
from poseanimate.ui import texts
from poseanimate.ui.compare import MAX_VALUES_CHARACTERS, SWEPT
from poseanimate.ui.input_cache import MOTION_NAMES
from poseanimate.ui.joints import editor
from poseanimate.ui.page_blocks import element_id
from poseanimate.ui.player import player
from poseanimate.ui.previews import ALIGNMENT_SETTINGS, FIXABLE, PreviewHandlers
from poseanimate.ui.theme import EXAMPLES, caption, example_names, ready_made_url

FIRST_PRESET = "fast"
FIRST_EXAMPLE = "room-boy"
FIRST_MOTION = "dance-sway"
POSE_SUFFIXES = (".json", ".jsonl", ".zip", ".bvh")
MOTION_TYPES = sorted({*VIDEO_SUFFIXES, *ANIMATION_SUFFIXES, *PICTURE_SUFFIXES, *POSE_SUFFIXES})

LAMBDAS = ("lambda_first", "lambda_prev", "lambda_self")
SWITCHES = ("pata", "pacm_source", "pacm_pose", "dcam", "mgdm")
LENGTH = ("frames",)
NUMBERS = ("num_inference_steps", "inner_steps", "guidance_scale", "seed")
ADJUSTMENTS = tuple(
    name for name in ALIGNMENT_SETTINGS if name not in (*LENGTH, *NUMBERS, *SWITCHES)
)
SETTING_FIELDS = {each.name: each for each in fields(Settings)}

QUIET: dict[str, Any] = {  # events that answer at once
    "queue": False,
    "show_progress": "hidden",
    "api_visibility": "private",
}
CHOSEN: dict[str, Any] = {**QUIET, "trigger_mode": "always_last"}  # by hand, perhaps quickly
BESIDE: dict[str, Any] = {  # events without diffusion models, which don't wait for runs
    "concurrency_limit": 1,
    "concurrency_id": "poses",
    "show_progress": "hidden",
    "api_visibility": "private",
}

Control = gr.Checkbox | gr.Number | gr.Radio | gr.Slider | gr.Textbox
Controls = dict[str, Control]


@dataclass(frozen=True)
class CharacterSection:
    """Part 1: the character."""

    example: gr.Radio
    picture: gr.File
    joints: gr.HTML
    message: gr.HTML
    fix: gr.Accordion


@dataclass(frozen=True)
class DescriptionSection:
    """What the picture shows, and which words name the character."""

    prompt: gr.Textbox
    suggestion: gr.Button
    words: gr.CheckboxGroup


@dataclass(frozen=True)
class MotionSection:
    """Part 2: the motion."""

    chosen: list[gr.components.Component]  # as MOTION_NAMES
    timeline: gr.HTML


@dataclass(frozen=True)
class AlignmentSection:
    """The stage's draft: the motion aligned to the character."""

    view: gr.Radio
    outputs: list[gr.components.Component]  # as ALIGNMENT_OUTPUTS
    buttons: dict[str, gr.Button]
    download: gr.Button


@dataclass(frozen=True)
class RunSection:
    """What begins and ends a run, and how far it is."""

    generate: gr.Button
    stop: gr.Button
    bar: gr.HTML
    forecast: gr.HTML


@dataclass(frozen=True)
class StageSection:
    """What is looked at: clips and drafts.

    notes: sentences about a run. figures, review: its numbers.
    """

    tabs: gr.Tabs
    ready: gr.HTML
    clip: gr.Video
    contact_sheet: gr.Image
    frames: gr.HTML
    notes: gr.HTML
    files: gr.File
    figures: gr.HTML
    review: gr.HTML

    def outputs(self, run: RunSection) -> list[Any]:
        """As RESULT_OUTPUTS."""
        shown = [self.ready, self.contact_sheet, self.clip, self.notes, self.figures]
        return [run.bar, self.tabs, *shown, *self.packed, run.generate, run.stop]

    @property
    def restored(self) -> list[Any]:
        """The end of RESTORE_OUTPUTS."""
        return [self.tabs, self.ready, self.clip]

    @property
    def packed(self) -> list[gr.components.Component]:
        """As PACK_OUTPUTS, filled after a run."""
        return [self.frames, self.review, self.files]


@dataclass(frozen=True)
class SharingSection:
    """A link to a clip or a draft."""

    token: gr.State
    id: gr.Textbox
    share: gr.Button
    unshare: gr.Button
    link: gr.Textbox
    message: gr.HTML

    @property
    def outputs(self) -> list[gr.components.Component]:
        """As SHARING_OUTPUTS."""
        return [self.token, self.id, self.link, self.unshare, self.message]


@dataclass(frozen=True)
class ComparisonSection:
    """The stage's comparison: variants of one job."""

    choice: list[gr.components.Component]  # kind, setting, values
    compare: gr.Button
    grid: gr.Video


def add_character() -> CharacterSection:
    """Part 1: the picture, what was found in it, and its joints."""
    examples = example_names()
    with gr.Accordion(texts.CHARACTER, elem_id="character", elem_classes="pa-part"):
        example = gr.Radio(
            [(name.replace("-", " "), name) for name in examples],
            value=FIRST_EXAMPLE if FIRST_EXAMPLE in examples else None,
            label=texts.EXAMPLE,
            show_label=False,
            container=False,
            elem_id="example",
            elem_classes="pa-tiles",
        )
        picture = gr.File(
            value=str(EXAMPLES / f"{FIRST_EXAMPLE}.png") if FIRST_EXAMPLE in examples else None,
            label=texts.PICTURE,
            file_types=list(PICTURE_SUFFIXES),
            height=96,
            elem_id="picture",
        )
        message = gr.HTML(elem_id="found-text")
        with gr.Accordion(texts.FIX_POSE, open=False, elem_id="fix-pose") as fix:
            joints = editor()
    return CharacterSection(example, picture, joints, message, fix)


def add_description() -> DescriptionSection:
    """What the picture shows, in words."""
    prompt = gr.Textbox(
        value=caption(FIRST_EXAMPLE),
        label=texts.PROMPT,
        info=texts.PROMPT_HELP,
        lines=3,
        max_length=MAX_PROMPT_CHARACTERS,
        elem_id="prompt",
    )
    suggestion = gr.Button(texts.USE, size="sm", visible=False, elem_id="suggestion")
    words = gr.CheckboxGroup(
        [],
        label=texts.WORDS,
        info=texts.WORDS_HELP,
        elem_id="words",
        elem_classes="pa-chips",
    )
    suggestion.click(lambda label: label.removeprefix(texts.USE), suggestion, prompt, **QUIET)
    return DescriptionSection(prompt, suggestion, words)


def connect_examples(source: CharacterSection, described: DescriptionSection) -> None:
    """An example brings its picture and description; an upload takes the example's away."""
    example, picture, joints, prompt = (
        source.example,
        source.picture,
        source.joints,
        described.prompt,
    )
    captions = [caption(name) for name in example_names()]
    example.input(
        lambda name: (str(EXAMPLES / f"{name}.png"), caption(name), ""),
        example,
        [picture, prompt, joints],
        **CHOSEN,
    )
    picture.upload(
        lambda prompt: (None, "" if prompt in captions else gr.skip(), ""),
        prompt,
        [example, prompt, joints],
        **QUIET,
    )
    picture.clear(lambda: (None, ""), None, [example, joints], **QUIET)


def add_motion() -> tuple[MotionSection, tuple[gr.HTML, dict[str, gr.Button]]]:
    """Part 2: the motion, and what is said of it."""
    with gr.Accordion(texts.MOTION, elem_id="motion-part", elem_classes="pa-part"):
        motion = _add_motion()
        return motion, add_findings()


def _add_motion() -> MotionSection:
    source = gr.Radio(
        texts.MOTION_CHOICES,
        value=texts.FROM_PRESET,
        label=texts.MOTION_FROM,
        show_label=False,
        container=False,
        elem_id="motion-from",
    )
    names = motion_names()
    preset = gr.Radio(
        [(name.replace("-", " "), name) for name in names],
        value=FIRST_MOTION if FIRST_MOTION in names else None,
        label=texts.PRESET_MOTION,
        show_label=False,
        container=False,
        elem_id="motion",
        elem_classes="pa-tiles",
    )
    with gr.Group(visible=False) as upload:
        file = gr.File(
            label=texts.MOTION_FILE,
            file_types=MOTION_TYPES,
            file_count="multiple",
            allow_reordering=True,
            height=150,
            elem_id="motion-file",
        )
        with gr.Row(elem_classes="pa-grid"):
            start = gr.Number(0, minimum=0, label=texts.START, min_width=90)
            end = gr.Number(None, minimum=0, label=texts.END, min_width=90)
            stride = gr.Number(1, minimum=1, precision=0, label=texts.STRIDE, min_width=90)
            rotate = gr.Dropdown(texts.ROTATIONS, value=0, label=texts.ROTATE, min_width=90)
            fps = gr.Number(None, minimum=0, label=texts.FPS, min_width=90)
        with gr.Row(elem_classes="pa-grid pa-wide"):
            repaired = gr.Checkbox(label=texts.REPAIR, info=texts.REPAIR_HELP, min_width=90)
            sound = gr.Checkbox(True, label=texts.SOUND, info=texts.SOUND_HELP, min_width=90)
    source.change(
        lambda chosen: (
            gr.Radio(visible=chosen == texts.FROM_PRESET),
            gr.Group(visible=chosen == texts.FROM_FILE),
        ),
        source,
        [preset, upload],
        **QUIET,
    )
    timeline = player("timeline", texts.TIMELINE)
    timeline.change(PreviewHandlers.trim, timeline, [start, end], **QUIET)
    chosen = [source, preset, file, start, end, stride, rotate, repaired, fps, sound]
    return MotionSection(chosen, timeline)


def add_alignment(findings: gr.HTML, buttons: dict[str, gr.Button]) -> AlignmentSection:
    """The stage's draft.

    Args:
        findings, buttons: what is said of the motion, and its remedies, wherever they are.
    """
    view = gr.Radio(
        texts.ALIGNMENT_VIEWS,
        value=texts.DRAFT,
        label=texts.ALIGNMENT_VIEW,
        show_label=False,
        container=False,
        elem_id="alignment-view",
    )
    picture = gr.Image(
        label=texts.ALIGNED,
        alt_text=texts.ALIGNED_ALT,
        interactive=False,
        buttons=["fullscreen"],
        elem_id="alignment",
    )
    fixes = gr.State({})
    download = gr.Button(texts.DRAFT_DOWNLOAD, size="sm", elem_id="draft-download")
    files = gr.File(
        label=texts.DRAFT_FILES,
        file_count="multiple",
        interactive=False,
        visible="hidden",  # as the clip's
        elem_id="draft-files",
    )
    outputs = [picture, findings, fixes, *buttons.values(), files]
    return AlignmentSection(view, outputs, buttons, download)


def add_findings() -> tuple[gr.HTML, dict[str, gr.Button]]:
    """What is said of the motion, and a button for each remedy."""
    findings = gr.HTML(elem_id="findings")
    with gr.Row(elem_id="fixes"):
        buttons = {
            name: gr.Button(texts.fix(name, None), size="sm", visible=False, elem_id=f"fix-{name}")
            for name in FIXABLE
        }
    return findings, buttons


def add_quality() -> tuple[gr.Radio, Controls]:
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
        controls = _controls(LENGTH)
    return quality, controls


def add_settings(
    previews: PreviewHandlers, quality: gr.Radio, length: Controls, image_prompts: bool
) -> Controls:
    """What experts set; all settings, including the length, in the order of `Settings`."""
    controls = dict(length)
    names = [
        name
        for name in preset_names()
        if image_prompts or not Settings.preset(name).prompted_by_picture
    ]
    preset = gr.Radio(
        names,
        value=FIRST_PRESET,
        label=texts.SETTINGS_PRESET,
        info=texts.PRESET_HELP,
        elem_id="preset",
    )
    with gr.Row(elem_classes="pa-grid pa-wide"):
        controls |= _controls(NUMBERS)
    with gr.Group():
        with gr.Row(elem_classes="pa-grid"):
            controls |= _controls(LAMBDAS)
        lambdas = [controls[name] for name in LAMBDAS]
        with gr.Row(equal_height=True):
            total = gr.HTML(
                previews.weigh(*(each.value for each in lambdas)),
                elem_id="lambda-sum",
                padding=True,
            )
            normalise = gr.Button(
                texts.NORMALISE, size="sm", scale=0, min_width=180, elem_id="normalise"
            )
    with gr.Group(), gr.Row(elem_classes="pa-grid"):
        controls |= _controls(SWITCHES)
    with gr.Accordion(texts.ADJUST, open=False), gr.Row(elem_classes="pa-grid pa-wide"):
        controls |= _controls(ADJUSTMENTS)
    with gr.Accordion(texts.ADVANCED, open=False), gr.Row(elem_classes="pa-grid pa-wide"):
        controls |= _controls([name for name in SETTING_FIELDS if name not in controls])
    controls = {name: controls[name] for name in SETTING_FIELDS}
    offered = [name for _, name in texts.QUALITIES]
    preset.input(previews.preset, preset, list(controls.values()), **CHOSEN)
    preset.input(lambda name: name if name in offered else None, preset, quality, **CHOSEN)
    untouched = [each for name, each in controls.items() if name not in ALIGNMENT_SETTINGS]
    quality.input(previews.quality, quality, untouched, **CHOSEN)
    quality.input(lambda name: name, quality, preset, **CHOSEN)
    gr.on([each.change for each in lambdas], previews.weigh, lambdas, total, **QUIET)
    normalise.click(previews.normalise, lambdas[:2], lambdas, **QUIET)
    return controls


def connect_fixes(fit: AlignmentSection, controls: Controls, motion: MotionSection) -> None:
    """A click on a finding's fix changes the setting, or the choice of motion, that it names."""

    def fix_for(name: str) -> Callable[[dict[str, Any]], Any]:
        return lambda fixes: fixes.get(name, gr.skip())

    fixes = fit.outputs[2]
    fixable = {**controls, **dict(zip(MOTION_NAMES, motion.chosen, strict=True))}
    for name, button in fit.buttons.items():
        button.click(fix_for(name), fixes, fixable[name], **QUIET)


def add_run() -> RunSection:
    """What begins and ends a run, and how far it is; always in sight."""
    with gr.Group(elem_id="run"):
        bar = gr.HTML(elem_id="bar")
        forecast = gr.HTML(elem_id="forecast")
        with gr.Row(elem_id="buttons"):
            generate = gr.Button(texts.GENERATE, variant="primary", elem_id="generate", scale=3)
            stop = gr.Button(
                texts.STOP,
                variant="stop",
                interactive=False,
                elem_id="stop",
                scale=1,
                min_width=90,
            )
    return RunSection(generate, stop, bar, forecast)


def add_clip() -> tuple[gr.HTML, gr.Video, gr.Image]:
    """The stage's clip: a ready-made one, the one that was made, or its frames while they are drawn."""
    ready = gr.HTML(
        texts.ready_made(ready_made_url(FIRST_EXAMPLE, FIRST_MOTION)), elem_id="ready-made"
    )
    clip = gr.Video(
        label=texts.CLIP,
        show_label=False,
        interactive=False,
        autoplay=True,
        loop=True,
        visible="hidden",
        # the community button can work on a Space alone
        buttons=["download", "share"] if gr.utils.get_space() else ["download"],
        elem_id="clip",
    )
    contact_sheet = gr.Image(
        label=texts.CONTACT_SHEET,
        show_label=False,
        alt_text=texts.CONTACT_SHEET_ALT,
        interactive=False,
        format="jpeg",
        visible="hidden",
        buttons=["fullscreen", "download"],
        elem_id="contact-sheet",
    )
    return ready, clip, contact_sheet


def add_downloads() -> gr.File:
    """The clip's files, in their place from the start."""
    with gr.Accordion(texts.DOWNLOADS, open=False, elem_id="taking"):
        return gr.File(
            label=texts.DOWNLOADS_HELP,
            file_count="multiple",
            interactive=False,
            elem_id="downloads",
        )


def add_sharing(
    title: str = texts.SHARE, about: str = texts.SHARE_HELP, of: str = ""
) -> SharingSection:
    """A button that makes a link, and one that takes it back.

    Args:
        of: what is shared, where it isn't the clip: a prefix of the elements' names.
    """
    token = gr.State(None)
    with gr.Accordion(title, open=False, elem_id=f"{of}sharing"):
        gr.Markdown(about)
        with gr.Row(equal_height=True):
            share = gr.Button(title, elem_id=f"{of}share")
            unshare = gr.Button(texts.UNSHARE, visible=False, elem_id=f"{of}unshare")
        id = gr.Textbox(visible=False)
        link = gr.Textbox(
            label=texts.SHARE_LINK,
            interactive=False,
            visible=False,
            buttons=["copy"],
            elem_id=f"{of}share-link",
        )
        message = gr.HTML(elem_id=f"{of}share-said")
    return SharingSection(token, id, share, unshare, link, message)


def add_comparison() -> ComparisonSection:
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
        visible="hidden",
        elem_id="grid",
    )
    kind.change(lambda of: gr.Row(visible=of == texts.BY_VALUES), kind, chosen, **QUIET)
    return ComparisonSection([kind, name, several], compare, grid)


def _controls(names: Sequence[str]) -> Controls:
    first = Settings.preset(FIRST_PRESET)
    return {name: control(SETTING_FIELDS[name], getattr(first, name)) for name in names}


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
