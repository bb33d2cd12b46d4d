"""Part 1 of the page: the character."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from poseanimate.engines.engine import Engine
from poseanimate.errors import (
    NoCharacterError,
    PictureError,
    PoseAnimateError,
    SeveralCharactersError,
)
from poseanimate.media import PICTURE_SUFFIXES
from poseanimate.poses.skeleton import Pose
from poseanimate.ui import texts
from poseanimate.ui.event_options import FOLLOWING
from poseanimate.ui.input_cache import InputCache
from poseanimate.ui.theme import EXAMPLES, example_names
from poseanimate.ui.widgets.joints import editor, make_content
from poseanimate.ui.widgets.player import NOTHING

FIRST_EXAMPLE = "room-boy"


@dataclass(frozen=True)
class CharacterSection:
    """Part 1: the character."""

    example: gr.Radio
    picture: gr.File
    joints: gr.HTML
    message: gr.HTML
    fix: gr.Accordion

    @property
    def placed(self) -> list[Any]:
        """The events of another character, or of the same in another pose."""
        return [self.picture.change, self.joints.change]


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


class CharacterHandlers:
    """The handlers of this section."""

    def __init__(self, engine: Engine, inputs: InputCache) -> None:
        self.engine, self.inputs = engine, inputs

    def look(self, picture: str | None, joints: str = "") -> tuple[dict[str, Any], str]:
        """What the joint editor shows, and a message about it."""
        people: list[Pose] = []
        mask, seen = None, None
        try:
            seen = self.inputs.see(self.inputs.require_path(picture))
            people = seen.people
            character = self.inputs.load_shown(picture, joints)
        except NoCharacterError as error:
            message = texts.sentence(f"{error.message} {texts.PLACE_ONE}", "error")
        except SeveralCharactersError as error:
            message = texts.sentence(f"{error.message} {texts.CHOOSE_ONE}", "warning")
        except PoseAnimateError as error:
            message = texts.sentence(str(error), "error" if picture else "plain")
        else:
            mask = character.mask
            height, width = seen.on_canvas.shape[:2]
            count = int(character.pose.visible().sum())
            message = texts.character_found(
                count,
                bool(joints),
                character.outlined,
                seen.size,
                (width, height),
                warn_foreign(self.engine, seen.on_canvas),
            )
        shown = NOTHING if seen is None else make_content(seen.shown, people, mask)
        return gr.update(content=shown), message


def warn_foreign(engine: Engine, pixels: NDArray[np.uint8]) -> str:
    """A warning where the models don't paint such pictures; else empty."""
    try:
        engine.check_paintable(pixels, texts.ALIGNED_ANYWAY)
    except PictureError as error:
        return str(error)
    return ""


def connect_character(
    demo: gr.Blocks, handlers: CharacterHandlers, source: CharacterSection
) -> None:
    """What is found in the picture follows it."""
    # what was sent while the editor had not been opened is lost
    gr.on(
        [demo.load, source.fix.expand, *source.placed],
        handlers.look,
        [source.picture, source.joints],
        [source.joints, source.message],
        **FOLLOWING,
    )
