"""Makes every table and picture of the docs anew that the models' weights decide, one after the other.

`python docs/generate/all.py [NAME …]` goes on where it was stopped: evaluations keep their results in build/docs,
which is to be deleted where the code has changed. All of it takes two CPU cores hours; names choose some. Each table
says when, at which commit and of which weights it is.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from tables import COMMIT, find_commit, write_tables

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = REPOSITORY / "build" / "docs"
GENERATE = Path(__file__).parent
EVALUATE = [sys.executable, "-m", "poseanimate", "evaluate"]
EVALUATIONS = {  # the options of `evaluate pocket` whose results a table of docs/results.md shows
    "modules": "--characters 24 --frames 9 --rows controlnet,cross-frame,cross-frame-plus,spatio-temporal,full,"
    "paper-only,without-pacm,without-dcam,without-mgdm",
    "brief": "--characters 12 --motions walk,jumping-jacks --captions brief --frames 9 --rows "
    "controlnet,cross-frame,spatio-temporal,controlnet-plus,cross-frame-plus,spatio-temporal-plus,full,without-pacm,"
    "without-dcam,without-mgdm",
    "pata": "--characters 8 --frames 9 --rows driven,driven-without-pata",
    "drafts": "--characters 12 --frames 9 --preset fast --rows crop,without-drafts,draft-masks,draft-start,drafted",
    "faster": "--characters 3 --frames 9 --rows preset,full,fast,without-emphasis,without-direct,paper-only,direct,"
    "negative-prompt,cross-frame-plus,cross-frame-direct,cross-frame,controlnet",
}
SCRIPTS = {  # what draws pictures by itself
    "samples": [
        *EVALUATE,
        "samples",
        "--models",
        "pocket",
        "--characters",
        "100",
        "-o",
        "docs/results",
    ],
    "about": [sys.executable, str(GENERATE / "about.py")],
    "ready-made": [sys.executable, str(GENERATE / "ready_made.py")],
    "contact-sheets": [sys.executable, str(GENERATE / "contact_sheets.py")],
    "draft": [sys.executable, str(GENERATE / "draft.py")],
    "screenshots": [sys.executable, str(GENERATE / "screenshots.py")],
    "film": [sys.executable, str(GENERATE / "film.py")],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    names = [*SCRIPTS, *EVALUATIONS]
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    chosen = parser.parse_args().names or names
    if unknown := set(chosen) - set(names):
        parser.error(f"there is nothing called {', '.join(unknown)}")
    for name in chosen:
        print(f"== {name}", flush=True)
        if name in SCRIPTS:
            subprocess.run(SCRIPTS[name], cwd=REPOSITORY, check=True)
            continue
        folder = BUILD / name
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / COMMIT).exists():  # results are of the code that began them
            (folder / COMMIT).write_text(find_commit())
        chosen = ["pocket", "--models", "pocket", "-o", str(folder)]
        command = [*EVALUATE, *chosen, *EVALUATIONS[name].split()]
        subprocess.run(command, cwd=REPOSITORY, check=True)
        write_tables(name, folder)


if __name__ == "__main__":
    main()
