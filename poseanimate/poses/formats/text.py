"""The text of a pose file as JSON values."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from poseanimate.poses.formats.limits import MAX_FRAMES
from poseanimate.poses.formats.remarks import FORMAT_REMEDY, Refused

_MAX_WRAPPINGS = 3  # JSON as a string in JSON


def read_documents(text: str) -> list[Any]:
    """The JSON values in a text: one, or several in a row as in JSON lines; NaN is read as a number.

    A byte order mark is skipped, and JSON that was written as a JSON string is read.

    Raises:
        Refused: it is no JSON, or holds more than 2000 values.
    """
    try:
        text.encode()  # half of a surrogate pair can't be encoded again
        documents = _read_row(text.lstrip("\ufeff"))
        for _ in range(_MAX_WRAPPINGS):
            if len(documents) == 1 and isinstance(documents[0], str):
                documents = _read_row(documents[0].lstrip("\ufeff"))
    except json.JSONDecodeError as error:
        raise _name_fault(error) from error
    except (ValueError, RecursionError) as error:
        raise Refused("it is no valid JSON") from error
    return documents


def _read_row(text: str) -> list[Any]:
    decoder = json.JSONDecoder(parse_constant=_read_constant)
    documents: list[Any] = []
    position = _skip_blanks(text, 0)
    while position < len(text) or not documents:
        if len(documents) == MAX_FRAMES:
            raise Refused(
                f"it has more than {MAX_FRAMES} lines of JSON", "Cut it to a shorter passage."
            )
        value, position = decoder.raw_decode(text, position)
        documents.append(value)
        position = _skip_blanks(text, position)
    return documents


def _skip_blanks(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position


def _read_constant(constant: str) -> float:
    if constant == "NaN":
        return float("nan")
    _refuse_infinity(constant)


def _refuse_infinity(constant: str) -> NoReturn:
    raise Refused(f"it holds {constant} instead of a number")


def _name_fault(error: json.JSONDecodeError) -> Refused:
    """Says what is wrong where people and programs often go wrong."""
    text, at = error.doc, error.pos
    where = f"line {error.lineno}, column {error.colno}"
    if not text.strip():
        return Refused("it is no valid JSON: it is empty")
    if text.startswith(("'", "None", "True", "False", "nan", "array("), at):
        return Refused(
            f"it is no valid JSON but Python's own notation ({where})",
            "Write the file with Python's json.dump instead of print or str.",
        )
    after, before = text[at : at + 1], text[max(at - 100, 0) : at].rstrip()[-1:]
    if after == "," or (before == "," and after in ("]", "}")):
        return Refused(
            f"it is no valid JSON: there is a comma too many ({where})", "Remove the comma."
        )
    if at >= len(text.rstrip()):
        return Refused(
            "it is no valid JSON: it ends in the middle", "Save or download the whole file again."
        )
    return Refused(f"it is no valid JSON ({where})", FORMAT_REMEDY)
