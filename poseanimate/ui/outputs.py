"""What handlers answer: a value for each of their outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

Outputs = tuple[Any, ...]


def in_order(names: Sequence[str], changed: dict[str, Any]) -> Outputs:
    """Values of named outputs, in the order of their components; without a new value one stays as it is."""
    assert changed.keys() <= {*names}, changed.keys() - {*names}
    return tuple(changed.get(name, gr.skip()) for name in names)


def skips(value: Any) -> bool:
    """Whether an output stays as it is."""
    return isinstance(value, dict) and value == gr.skip()


def session_of(request: gr.Request) -> str:
    """The page that asks."""
    return str(request.session_hash)
