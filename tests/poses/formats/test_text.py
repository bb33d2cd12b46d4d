"""The text of pose files: one JSON value or several, and the faults that people and programs make."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseanimate.poses.formats import text as text_module
from poseanimate.poses.formats.remarks import Refused
from poseanimate.poses.formats.text import read_documents

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_infinity=False, allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@given(st.lists(values, min_size=1, max_size=4), st.sampled_from(["\n", "\r\n\n", " "]))
def test_values_in_a_row_are_read_one_by_one(documents: list[Any], between: str) -> None:
    text = between.join(map(json.dumps, documents))
    assert read_documents("\ufeff" + between + text + between) == documents


@given(values, st.integers(1, 3))
def test_json_in_a_json_string_is_read(value: Any, wrappings: int) -> None:
    text = json.dumps(value)
    for _ in range(wrappings):
        text = json.dumps(text)
    assert read_documents(text) == [value]


@settings(max_examples=300)
@given(st.text(alphabet="[]{}\",:'\\ -.0123456789eNaInfultr\n", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert read_documents(text)
    except Refused as refusal:
        assert refusal.remedy.endswith(".")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("[{'people': []}]", "Python's own notation .line 1, column 3."),
        ('[{"people": None}]', "Python's own notation"),
        ('{"people": [],}', "comma too many"),
        ("[1, 2,\n]", "comma too many"),
        ("[1, 2", "ends in the middle"),
        ("[1 2]", "line 1, column 4"),
        ("[Infinity]", "Infinity"),
        ("[-Infinity]", "-Infinity"),
    ],
)
def test_a_fault_is_named(text: str, words: str) -> None:
    with pytest.raises(Refused, match=words):
        read_documents(text)


def test_nan_is_a_number() -> None:
    [[value]] = read_documents("[NaN]")
    assert value != value


def test_too_many_lines_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_module, "MAX_FRAMES", 3)
    assert len(read_documents("{}\n" * 3)) == 3
    with pytest.raises(Refused, match="more than 3 lines"):
        read_documents("{}\n" * 4)
