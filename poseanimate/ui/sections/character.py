"""Part 1 of the page: the character."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from poseanimate.engines.engine import Engine
from poseanimate.errors import (
    NoCharacterError,
    PictureError,
    PoseAnimateError,
    SeveralCharactersError,
)
from poseanimate.poses.motion import preset_names
from poseanimate.poses.skeleton import Pose
from poseanimate.ui import texts
from poseanimate.ui.event_options import BESIDE, FOLLOWING, QUEUED, QUIET
from poseanimate.ui.input_cache import InputCache
from poseanimate.ui.outputs import Outputs
from poseanimate.ui.theme import EXAMPLES, caption, example_names
from poseanimate.ui.widgets.joints import editor, make_content
from poseanimate.ui.widgets.own_picture import OPEN_WEBCAM, make_thumbnail, own_picture
from poseanimate.ui.widgets.player import NOTHING

FIRST_EXAMPLE = "room-boy"
SEEDS = 2**31
# what the tile tells of is the picture that the handler gets
TOLD = "(picture, prompt, given, told) => [JSON.parse(told), prompt, given, '']"

# how many pictures were given that are no examples; the prompt that came with the last
Given = tuple[int, str]


@dataclass(frozen=True)
class CharacterSection:
    """Part 1: the character.

    given: a `Given`, which changes with every picture of one's own, and with every surprise.
    """

    example: gr.Radio
    own: gr.HTML
    surprise: gr.Button
    picture: gr.File
    joints: gr.HTML
    message: gr.HTML
    given: gr.State

    @property
    def chosen(self) -> list[Any]:
        """The events of a character chosen by hand."""
        return [self.example.input, self.given.change]

    @property
    def placed(self) -> list[Any]:
        """The events of another character, or of the same in another pose."""
        return [self.picture.change, self.joints.change]


def add_character() -> CharacterSection:
    """Part 1: the picture, what was found in it, and its joints."""
    examples = example_names()
    first = FIRST_EXAMPLE if FIRST_EXAMPLE in examples else None
    with gr.Accordion(texts.CHARACTER, elem_id="character", elem_classes="pa-part"):
        with gr.Row(elem_id="characters"):
            own = own_picture()
            example = gr.Radio(
                [(name.replace("-", " "), name) for name in examples],
                value=first,
                label=texts.EXAMPLE,
                show_label=False,
                container=False,
                elem_id="example",
                elem_classes="pa-tiles",
            )
        with gr.Row(elem_id="ways"):
            webcam = gr.Button(texts.WEBCAM, size="sm", elem_id="webcam")
            gr.HTML(texts.OTHER_WAYS)
            surprise = gr.Button(texts.SURPRISE, size="sm", elem_id="surprise")
        webcam.click(None, js=OPEN_WEBCAM)
        # no types: what is none is refused with a sentence
        picture = gr.File(
            value=first and str(EXAMPLES / f"{first}.png"),
            label=texts.PICTURE,
            visible="hidden",
            elem_id="picture",
        )
        with gr.Row(elem_id="found"):
            message = gr.HTML(elem_id="found-text")
            joints = editor()
    return CharacterSection(example, own, surprise, picture, joints, message, gr.State((0, "")))


class CharacterHandlers:
    """The handlers of this section."""

    def __init__(self, engine: Engine, inputs: InputCache, chance: Random | None = None) -> None:
        self.engine, self.inputs = engine, inputs
        self.chance = chance or Random()

    def take(self, picture: str | None, prompt: str, given: Given, _: str = "") -> Outputs:
        """A picture that was given: it is the character's, or else the tile says why it isn't, and nothing changes.

        Returns:
            Values of tile, picture, example, prompt, joints, given.
        """
        try:
            self.inputs.see(self.inputs.require_path(picture))
        except PoseAnimateError as error:
            return gr.update(value="", refused=f"{error} {texts.KEPT}"), *(gr.skip(),) * 5
        number, former = given
        others = {former, *map(caption, example_names())}
        kept = "" if prompt in others else gr.skip()
        return "", picture, None, kept, "", (number + 1, "")

    def surprise(self, example: str | None, motion: str | None, given: Given) -> Iterator[Outputs]:
        """Another character in another motion, by chance: a new one of the models' own world, else an example.

        Returns:
            Values of where the motion comes from, of the preset, of picture, example, prompt, joints, given.
        """
        moves = texts.FROM_PRESET, self._another(preset_names(), motion)
        drawn = self.engine.draw_character(self.chance.randrange(SEEDS))
        if drawn is None:
            name = self._another(example_names(), example)
            path, prompt = EXAMPLES / f"{name}.png", caption(name)
            yield *moves, str(path), name, prompt, "", (given[0] + 1, prompt)
            return
        pixels, prompt = drawn
        with TemporaryDirectory(prefix="poseanimate-") as folder:
            path = Path(folder, "surprise.png")
            Image.fromarray(pixels).save(path)
            yield *moves, str(path), None, prompt, "", (given[0] + 1, prompt)

    def _another(self, names: list[str], than: str | None) -> str:
        return self.chance.choice([name for name in names if name != than])

    def look(
        self, picture: str | None, joints: str = ""
    ) -> tuple[dict[str, Any], str, dict[str, Any]]:
        """What the joint editor shows, a message about it, and what the tile of one's own picture shows."""
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
            count = int(character.pose.visible().sum())
            message = texts.character_found(
                count,
                bool(joints),
                character.outlined,
                is_foreign(self.engine, seen.on_canvas),
            )
        shown = NOTHING if seen is None else make_content(seen.shown, people, mask)
        small = "" if seen is None else make_thumbnail(seen.shown)
        return (
            gr.update(content=shown),
            message,
            gr.update(path=picture, thumbnail=small, refused=""),
        )


def is_foreign(engine: Engine, pixels: NDArray[np.uint8]) -> bool:
    """Whether the models don't paint such pictures."""
    try:
        engine.check_paintable(pixels, "")
    except PictureError:
        return True
    return False


def connect_character(
    demo: gr.Blocks,
    handlers: CharacterHandlers,
    source: CharacterSection,
    prompt: gr.Textbox,
    motion: list[Any],
) -> None:
    """One's own picture and surprises; what is found in the picture follows it.

    Args:
        motion: where the motion comes from, and the preset.
    """
    put = [source.picture, source.example, prompt, source.joints, source.given]
    source.own.upload(
        handlers.take,
        [source.picture, prompt, source.given, source.own],
        [source.own, *put],
        js=TOLD,
        trigger_mode="multiple",
        **BESIDE,
    ).failure(lambda: "", None, source.own, **QUIET)
    source.surprise.click(
        handlers.surprise, [source.example, motion[1], source.given], [*motion, *put], **QUEUED
    )
    gr.on(
        [demo.load, *source.placed],
        handlers.look,
        [source.picture, source.joints],
        [source.joints, source.message, source.own],
        **FOLLOWING,
    )
