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
    store = Store(tmp_path / "brief", {"models": "pocket", "identity": "0123456789"})
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
    assert kept["rows"]["full"]["psnr"]["mean"] == 26.5
    made = kept["made"]
    assert made["models"] == "pocket 01234567" and re.fullmatch(
        r"[0-9a-f]{8,}(-dirty)?", made["commit"]
    )
    assert (
        once.count(f"*Made on {made['on']}, commit {made['commit']}, models pocket 01234567.*") == 2
    )
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


def test_one_command_makes_every_table_that_the_page_has(
    tables: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    everything = importlib.import_module("all")
    assert everything.EVALUATIONS.keys() == tables.TABLES.keys()
    for options in everything.EVALUATIONS.values():
        (rows,) = re.findall(r"--rows (\S+)$", options)
        assert set(rows.split(",")) <= set(tables.ROWS)
    for command in everything.SCRIPTS.values():
        script = Path(command[-1])
        assert script.parent != SCRIPTS or script.is_file()
    monkeypatch.setattr(everything, "BUILD", tables.PICTURES / "build")
    run: list[list[object]] = []
    monkeypatch.setattr(everything, "find_commit", lambda: "01234567")
    monkeypatch.setattr(everything.subprocess, "run", lambda given, **_: run.append(given))
    monkeypatch.setattr(everything, "write_tables", lambda *given: run.append(list(given)))
    monkeypatch.setattr(sys, "argv", ["all", "brief", "about"])
    everything.main()
    assert run[0][3:5] == ["evaluate", "pocket"] and "brief" in run[0]
    assert (everything.BUILD / "brief" / "commit").read_text()
    assert run[1] == ["brief", everything.BUILD / "brief"]
    assert str(run[2][-1]).endswith("about.py")
    monkeypatch.setattr(sys, "argv", ["all", "everything"])
    with pytest.raises(SystemExit):
        everything.main()
    assert "nothing called everything" in capsys.readouterr().err


@pytest.mark.parametrize("page", ["results.md", "long-clips.md"])
def test_every_section_names_a_script_that_is_there(page: str) -> None:
    text = (SCRIPTS.parent / page).read_text()
    begun = re.findall(r"<!-- written by docs/generate/(\w+)\.py: (.+?) -->", text)
    assert begun and [name for _, name in begun] == re.findall(r"<!-- end: (.+?) -->", text)
    assert all((SCRIPTS / f"{script}.py").is_file() for script, _ in begun)
    assert "<!-- what " not in text
