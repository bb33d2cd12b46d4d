"""What each command imports, and that imports between packages point down only (docs/architecture.md)."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from poseanimate.storage.stage_cache import FOLDER_VARIABLE

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "poseanimate"
# from the top down; a module belongs to the longest name that fits
LAYERS = (
    ("__main__",),
    ("cli",),
    ("evaluation", "ui"),
    ("engines",),
    ("animator",),
    ("pipeline",),
    ("inputs",),
    ("models",),
    ("puppet",),
    ("pocket.perception", "pocket.places", "pocket.characters"),
    ("pocket.body",),
    ("events",),
    ("poses",),
    ("media",),
    ("storage",),
    ("settings", "resources", "errors"),
)
MOST_FILES = 10

# --- what commands import ---

LIST_MODULES = """
import atexit, sys
atexit.register(lambda: print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr))
from poseanimate.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
WHO = str(ROOT / "examples" / "characters" / "street-girl.png")
HEAVY = {"torch", "diffusers", "transformers", "gradio", "huggingface_hub", "onnxruntime", "rembg"}


@pytest.mark.parametrize(
    ("command", "absent"),
    [
        (("--help",), HEAVY),
        (("settings",), HEAVY),
        (("motions",), HEAVY),
        (("cache",), HEAVY),
        (("align", WHO, "walk", "-o", "sheet.png", "--models", "pocket"), HEAVY - {"torch"}),
        (("draft", WHO, "walk", "-o", "draft.mp4", "--models", "pocket", "--frames", "2"), HEAVY - {"torch"}),
        pytest.param(
            ("animate", WHO, "walk", "-o", "clip.mp4", "--models", "pocket", "--preset", "fast", "--frames", "2",
             "--set", "num_inference_steps=2"),
            {"gradio", "onnxruntime", "rembg"}, marks=pytest.mark.slow,
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)  # fmt: skip
def test_a_command_imports_only_what_it_needs(
    command: tuple[str, ...], absent: set[str], tmp_path: Path
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LIST_MODULES, *command],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), FOLDER_VARIABLE: str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert not absent & set(ended.stderr.splitlines()[-1].split())


# --- layers ---


def list_imports() -> Iterator[tuple[str, str]]:
    """Importing and imported module, without the package's name; also what is imported in functions or for types."""
    for path in sorted(PACKAGE.rglob("*.py")):
        importer = name_module(path)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [each.name for each in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{importer} has a relative import"
                names = [f"{node.module}.{each.name}" for each in node.names]
            for name in names:
                if name.partition(".")[0] == PACKAGE.name:
                    yield importer, find_module(name)


def name_module(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def find_module(name: str) -> str:
    """The module that an import names, alone or with something in it."""
    parts = name.split(".")[1:]
    while parts:
        path = PACKAGE.joinpath(*parts)
        if path.is_dir() or path.with_suffix(".py").is_file():
            return ".".join(parts)
        parts.pop()
    return "__init__"


def belongs(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def find_layer(module: str) -> int:
    """The number of a module's layer, counted from the top."""
    [layer] = [n for n, names in enumerate(LAYERS) if any(belongs(module, x) for x in names)]
    return layer


def test_imports_point_down_only() -> None:
    # `method`, the pocket family's world and its training have rules of their own below; `__init__` is a list of names
    free = ("method", "pocket.world", "pocket.training", "__init__")
    upwards = [
        f"{importer} imports {imported}"
        for importer, imported in list_imports()
        if not any(belongs(each, name) for each in (importer, imported) for name in free)
        and find_layer(importer) > find_layer(imported)
    ]
    assert not upwards


def test_modules_of_one_layer_import_only_their_own_package() -> None:
    across = [
        f"{importer} imports {imported}"
        for importer, imported in list_imports()
        for names in LAYERS
        for own in names
        if belongs(importer, own)
        and any(belongs(imported, other) for other in names if other != own)
        and names != LAYERS[-1]  # single files
    ]
    assert not across


def test_the_method_imports_nothing_else_of_ours_and_is_imported_by_models_and_above() -> None:
    for importer, imported in list_imports():
        if belongs(importer, "method"):
            assert belongs(imported, "method"), f"{importer} imports {imported}"
        elif belongs(imported, "method") and not belongs(importer, "pocket.training"):
            assert find_layer(importer) <= find_layer("models"), f"{importer} imports {imported}"


def test_the_pocket_world_is_for_evaluation_training_and_new_characters_alone() -> None:
    for importer, imported in list_imports():
        if belongs(imported, "pocket.world") or belongs(imported, "pocket.training"):
            may = ["evaluation", "pocket.training", "pocket.world"]
            may += ["pocket.characters"] if belongs(imported, "pocket.world") else []
            assert any(belongs(importer, each) for each in may), f"{importer} imports {imported}"


def test_the_page_knows_neither_evaluation_nor_the_pocket_family() -> None:
    for importer, imported in list_imports():
        if belongs(importer, "ui"):
            assert not belongs(imported, "evaluation") and not belongs(imported, "pocket")


def test_there_are_few_files_beside_the_packages() -> None:
    files = [path.name for path in PACKAGE.iterdir() if path.is_file()]
    assert len(files) <= MOST_FILES, files
