"""A prompt is suggested from the colours of clothes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from poseanimate.inputs.character import Character
from poseanimate.inputs.suggest import COLOURS, suggest_prompt
from poseanimate.pocket.body import Angles
from poseanimate.pocket.world.scene import Scene
from poseanimate.poses.skeleton import Pose


def plain_scenes(count: int) -> list[Scene]:
    """Scenes whose people wear trousers, and shirts of one colour."""
    found = (Scene.sample("validation", i) for i in range(200))
    fitting = [
        s for s in found
        if s.doll.top_pattern == "plain" and s.doll.bottom_style == "trousers"
    ]  # fmt: skip
    return fitting[:count]


@pytest.mark.parametrize("scene", plain_scenes(12))
def test_clothes_are_named_by_their_colours(scene: Scene) -> None:
    seen = scene.render(Angles(), 128, 128)
    said = suggest_prompt(Character(seen.picture, seen.pose, seen.mask))
    assert f"{scene.doll.top_colour} shirt" in said
    assert f"{scene.doll.bottom_colour} trousers" in said


@pytest.mark.parametrize("name", COLOURS)
def test_every_colour_is_called_by_its_name(name: str) -> None:
    seen = Scene.sample("validation", 0).render(Angles(), 128, 128)
    painted = np.full_like(seen.picture, COLOURS[name])
    said = suggest_prompt(Character(painted, seen.pose, seen.mask))
    article = "an" if name[0] in "aeiou" else "a"
    assert said == f"a person in {article} {name} shirt, {name} trousers and {name} shoes"


def test_what_is_not_seen_is_not_named() -> None:
    seen = Scene.sample("validation", 0).render(Angles(), 128, 128)
    character = Character(np.full_like(seen.picture, COLOURS["red"]), seen.pose, seen.mask)

    def without(*joints: int) -> str:
        body = seen.pose.body.copy()
        body[list(joints)] = 0
        return suggest_prompt(replace(character, pose=Pose(body)), "girl")

    assert without(9, 10, 12, 13) == "a girl in a red shirt"
    assert without(10, 13) == "a girl in a red shirt and red trousers"
    assert without(*range(1, 18)) == "a girl"
