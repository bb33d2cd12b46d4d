"""The page's theme and style sheet, with the examples' pictures on their tiles."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from poseanimate.poses.motion import PRESETS_FOLDER
from poseanimate.poses.motion import preset_names as motion_names
from poseanimate.resources import resource_folder

STYLE = Path(__file__).with_name("style.css")
SCRIPT = Path(__file__).with_name("page.js")
EXAMPLES = resource_folder("examples") / "characters"
CLIPS = resource_folder("examples") / "clips"


def example_names() -> list[str]:
    """Names of the example characters, in alphabetical order."""
    return sorted(path.stem for path in EXAMPLES.glob("*.png"))


def example_picture(name: str) -> Path:
    """Where an example's picture is."""
    return EXAMPLES / f"{name}.png"


def caption(name: str | None) -> str:
    """An example's prompt; empty if it has none."""
    path = EXAMPLES / f"{name}.txt"
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


def ready_made(character: str, motion: str) -> Path:
    """Where the clip of an example in a preset motion is, if it was made; `docs/generate/ready_made.py` makes them."""
    return CLIPS / f"{character}_{motion}.mp4"


def ready_made_url(character: str | None, motion: str | None) -> str | None:
    """Its address on the page; None if there is none."""
    if character not in example_names() or motion not in motion_names():
        return None
    path = ready_made(character, motion)
    return f"gradio_api/file={path}" if path.is_file() else None


def style() -> str:
    """The style sheet, with an example's picture or a preset's moving thumbnail on its tile."""
    pictures = [("example", name, EXAMPLES / f"{name}.png") for name in example_names()]
    pictures += [("motion", name, PRESETS_FOLDER / f"{name}.gif") for name in motion_names()]
    rule = '\n#{} label:has(input[value="{}"])::before {{ background-image: url("{}"); }}'
    tiles = (rule.format(group, name, f"gradio_api/file={path}") for group, name, path in pictures)
    return STYLE.read_text(encoding="utf-8") + "".join(tiles)


def script() -> str:
    """What the whole page does in the browser."""
    return SCRIPT.read_text(encoding="utf-8")


def theme() -> gr.themes.Base:
    """System fonts, so that the page loads none from elsewhere; colours with the contrast of WCAG 2.2 AA."""
    colours = {
        "body_text_color_subdued": "*neutral_600",
        "body_text_color_subdued_dark": "*neutral_400",
        "block_info_text_color": "*neutral_600",
        "block_info_text_color_dark": "*neutral_400",
        "link_text_color_dark": "*secondary_400",
        "checkbox_border_color": "*neutral_500",
        "checkbox_border_color_dark": "*neutral_400",
        "button_primary_background_fill": "*primary_600",
        "button_primary_background_fill_hover": "*primary_700",
        "button_cancel_background_fill": "#b91c1c",
        "button_cancel_background_fill_hover": "#991b1b",
    }
    return gr.themes.Default(
        primary_hue=gr.themes.colors.indigo,
        neutral_hue=gr.themes.colors.slate,
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    ).set(**colours)
