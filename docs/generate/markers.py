"""Sections of a Markdown page that a script writes, each between two comments; the rest of the page is left alone."""

from __future__ import annotations

from collections.abc import Iterable

BEGIN = "<!-- written by docs/generate/{}.py: {} -->\n"
END = "<!-- end: {} -->\n"


def replace_section(page: str, script: str, name: str, lines: Iterable[str]) -> str:
    """The page with these lines in the section `name` of a script.

    Raises:
        SystemExit: the page has no such section.
    """
    begin, end = BEGIN.format(script, name), END.format(name)
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"The page has no section {name} of docs/generate/{script}.py.")
    return before + begin + "\n".join(lines) + "\n" + end + after
