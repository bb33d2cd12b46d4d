"""What the picture shows, in words, and which of them name the character."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from poseanimate.engines.engine import Engine
from poseanimate.errors import PoseAnimateError
from poseanimate.inputs.prompt import MAX_PROMPT_CHARACTERS, list_words
from poseanimate.inputs.suggest import suggest_prompt
from poseanimate.ui import texts
from poseanimate.ui.event_options import CHOSEN, FOLLOWING, QUIET
from poseanimate.ui.input_cache import InputCache
from poseanimate.ui.sections.character import FIRST_EXAMPLE, CharacterSection
from poseanimate.ui.theme import EXAMPLES, caption

NOUNS = ("person", "girl")  # the first that is a single token is used
MAX_WORDS = 60


@dataclass(frozen=True)
class DescriptionSection:
    """What the picture shows, and which words name the character."""

    prompt: gr.Textbox
    suggestion: gr.Button
    words: gr.CheckboxGroup


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
    """An example brings its picture and description."""
    source.example.input(
        choose_example,
        source.example,
        [source.picture, described.prompt, source.joints],
        **CHOSEN,
    )


def choose_example(name: str | None) -> tuple[str, str, str]:
    """An example's picture, by default the first's, its description, and no joints but those that are found."""
    name = name or FIRST_EXAMPLE
    return str(EXAMPLES / f"{name}.png"), caption(name), ""


class DescriptionHandlers:
    """The handlers of this section."""

    def __init__(self, engine: Engine, inputs: InputCache) -> None:
        self.engine, self.inputs = engine, inputs

    def suggestion(self, picture: str | None, joints: str, prompt: str) -> gr.Button:
        """Suggests a prompt if there is none yet, for a picture of the models' world: of others too little is seen."""
        if (prompt or "").strip():
            return gr.Button(visible=False)
        try:
            character = self.inputs.load_character(picture, joints)
            self.engine.check_paintable(character.picture, "")
        except PoseAnimateError:
            return gr.Button(visible=False)
        known = [noun for noun in NOUNS if self.engine.knows_word(noun)]
        return gr.Button(texts.USE + suggest_prompt(character, (known or NOUNS)[0]), visible=True)

    def words(self, prompt: str, chosen: str) -> dict[str, Any]:
        """A prompt's words, with those selected that name the character."""
        words = list_words(prompt or "")[:MAX_WORDS]
        naming = self.engine.find_character_words(prompt or "", chosen or "")
        return gr.update(choices=words, value=[word for word in words if word in naming])

    def named(self, marked: list[str], prompt: str) -> str:
        """The setting for the selected words; empty if they are the default ones."""
        shown = list_words(prompt or "")[:MAX_WORDS]
        usual = {*self.engine.find_character_words(prompt or "", "")} & {*shown}
        return "" if {*marked} == usual else " ".join(marked)


def connect_description(
    demo: gr.Blocks,
    handlers: DescriptionHandlers,
    source: CharacterSection,
    described: DescriptionSection,
    naming: gr.components.Component,
) -> None:
    """A suggestion follows the picture, the marked words the prompt; a click on one sets `naming`."""
    gr.on(
        [demo.load, *source.placed, described.prompt.change],
        handlers.suggestion,
        [source.picture, source.joints, described.prompt],
        described.suggestion,
        **FOLLOWING,
    )
    marked: list[Any] = [described.prompt, naming]
    gr.on(
        [demo.load, *(each.change for each in marked)],
        handlers.words,
        marked,
        described.words,
        **QUIET,
    )
    described.words.input(handlers.named, [described.words, described.prompt], naming, **CHOSEN)
