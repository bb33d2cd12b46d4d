"""docs/generate/tables.py: what it writes into docs/results.md, and what it leaves alone."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import numpy as np
import pytest

from poseanimate.evaluation.store import CaseResult, Store

SCRIPTS = Path(__file__).parents[2] / "docs" / "generate"
PSNR = {"vae-bound": (31.0, 33.0), "controlnet": (24.0, 26.0), "full": (25.0, 28.0)}
SVG = "{http://www.w3.org/2000/svg}"
SAID = "What people wrote.\n\n{}And under it.\n"


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(SCRIPTS)
    module = importlib.import_module("tables")
    monkeypatch.setattr(module, "PAGE", tmp_path / "results.md")
    monkeypatch.setattr(module, "PICTURES", tmp_path)
    monkeypatch.setattr(sys, "argv", ["tables", "brief", str(tmp_path / "brief")])
    store = Store(tmp_path / "brief", {})
    for row, values in PSNR.items():
        for number, psnr in enumerate(values):
            seconds = {} if row == "vae-bound" else {"generation": 1.0 + len(row)}
            own = CaseResult(f"held-out-{number}", "walk", row, "own", {"psnr": psnr}, seconds)
            store.save(own, (np.zeros((8, 8, 3), np.uint8),))
    return module


def page(tables: ModuleType, *names: str) -> str:
    markers = importlib.import_module("markers")
    marks = "".join(
        markers.BEGIN.format("tables", n) + "old\n" + markers.END.format(n) for n in names
    )
    return SAID.format(marks)


def test_tables_are_written_between_their_marks(tables: ModuleType) -> None:
    tables.PAGE.write_text(page(tables, "brief", "brief leads"))
    tables.main()
    once = tables.PAGE.read_text()
    assert once.startswith("What people wrote.") and once.endswith("And under it.\n")
    assert "old" not in once
    rows = [line for line in once.splitlines() if line.startswith("|")]
    assert "| **PoseAnimate**, all modules (`full`) | 26.5 ± 1.5 |" in "\n".join(rows)
    # the characters' own differences are 1 and 2 dB
    assert any(row.startswith("| `controlnet` | +1.50 (+1.00 to +2.00) |") for row in rows)
    kept = json.loads((tables.PICTURES / "brief.json").read_text())
    assert kept["full"]["psnr"]["mean"] == 26.5
    tables.main()
    assert tables.PAGE.read_text() == once


def test_the_plot_is_a_picture_of_its_own(
    tables: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["tables", "faster", str(tables.PICTURES / "brief")])
    monkeypatch.setitem(tables.TABLES, "faster", {"faster": tables.write_means("psnr", "seconds")})
    tables.PAGE.write_text(page(tables, "faster"))
    tables.main()
    plot = ElementTree.parse(tables.PICTURES / "trade.svg").getroot()
    assert plot.tag == f"{SVG}svg"
    assert {"controlnet", "full"} <= {text.text for text in plot.iter(f"{SVG}text")}


def test_a_page_without_the_marks_is_left_alone(tables: ModuleType) -> None:
    told = page(tables, "brief")
    tables.PAGE.write_text(told)
    with pytest.raises(SystemExit, match="no section brief leads"):
        tables.main()
    assert tables.PAGE.read_text() == told
    assert not (tables.PICTURES / "brief.json").exists()


def test_leads_want_the_row_that_leads(tables: ModuleType) -> None:
    told = page(tables, "brief", "brief leads")
    tables.PAGE.write_text(told)
    for path in (tables.PICTURES / "brief" / "results").iterdir():
        if json.loads(path.read_text())["row"] == "full":
            path.unlink()
    with pytest.raises(SystemExit, match="no row full"):
        tables.main()
    assert tables.PAGE.read_text() == told


@pytest.mark.parametrize("page", ["results.md", "long-clips.md"])
def test_every_section_names_a_script_that_is_there(page: str) -> None:
    text = (SCRIPTS.parent / page).read_text()
    begun = re.findall(r"<!-- written by docs/generate/(\w+)\.py: (.+?) -->", text)
    assert begun and [name for _, name in begun] == re.findall(r"<!-- end: (.+?) -->", text)
    assert all((SCRIPTS / f"{script}.py").is_file() for script, _ in begun)
    assert "<!-- what " not in text
