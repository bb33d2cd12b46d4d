"""README and docs: links lead somewhere, table cells stay short, README's lines of Python animate a picture."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
README = REPOSITORY / "README.md"
PAGES = [README, *sorted((REPOSITORY / "docs").rglob("*.md"))]
MAX_README_LINES, MAX_CELL_WORDS = 120, 40
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def prose(page: Path) -> str:
    """A page without its code blocks."""
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for link in LINK.findall(prose(page)):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"{link}: there is no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_table_cells_are_short(page: Path) -> None:
    for line in prose(page).splitlines():
        if line.startswith("|"):
            assert max(len(cell.split()) for cell in line.split("|")) <= MAX_CELL_WORDS, line


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= MAX_README_LINES


@pytest.mark.slow
def test_the_python_of_the_readme_animates_a_picture(tmp_path: Path) -> None:
    [code] = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.M | re.S)
    code = code.replace('"examples/', f'"{REPOSITORY}/examples/').replace(
        'preset("fast", models.family)',
        'preset("fast", models.family).changed({"frames": 2, "num_inference_steps": 2})',
    )
    run = [sys.executable, "-c", code]
    printed = subprocess.run(run, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert printed.split()[-1] == "Done"
    assert (tmp_path / "clip.mp4").stat().st_size > 0


@pytest.mark.parametrize("page", ["architecture.md", "method.md"])
def test_names_stand_in_the_files_that_tables_name(page: str) -> None:
    for line in prose(REPOSITORY / "docs" / page).splitlines():
        row = re.match(r"\|.*\| `([\w/]+\.py)` \|(.*)\|$", line)
        if row is None:
            continue
        for name in re.findall(r"`([\w.]+)`", row[2]):
            assert name in defined(REPOSITORY / "poseanimate" / row[1]), f"{row[1]} has no {name}"


def defined(file: Path) -> set[str]:
    """Functions, classes, and what classes define, as Class.name; fields by their names alone, too."""
    names = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        for inner in node.body if isinstance(node, ast.ClassDef) else ():
            if isinstance(inner, ast.FunctionDef):
                names.add(f"{node.name}.{inner.name}")
            elif isinstance(inner, ast.AnnAssign) and isinstance(inner.target, ast.Name):
                names.add(inner.target.id)
    return names
