"""The package as people install it: built, put into an environment of its own and used from another folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import httpx
import pytest
from helpers.served import TIMEOUT_S, free_port, listens, started
from PIL import Image

import poseanimate
from poseanimate.poses.motion import preset_names

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[1]
DATA = ("presets", "examples")
BUILD = ("pyproject.toml", "setup.py", "requirements.txt", "LICENSE")
PIP = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--disable-pip-version-check")


def run(*command: str | Path, folder: Path) -> str:
    """Runs a command that must succeed, as in a shell without the checkout on its paths."""
    ran = subprocess.run(
        command,
        cwd=folder,
        env=surroundings(folder),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def surroundings(folder: Path) -> dict[str, str]:
    own = ("PYTHON", "POSEANIMATE_", "GRADIO_SERVER_")
    others = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    return others | {"POSEANIMATE_CACHE": str(folder / "cache")}


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a build reads, in a folder of its own: setuptools leaves files where it builds."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("poseanimate", *DATA):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / name, folder / name, ignore=ignored)
    for name in BUILD:
        shutil.copy(REPOSITORY / name, folder)
    return folder


@pytest.fixture(scope="module")
def contents(source: Path) -> set[str]:
    """The files of the installed package."""
    shipped = {f"poseanimate/{name}" for name in files(source / "poseanimate")}
    for name in DATA:
        shipped |= {f"poseanimate/{name}/{file}" for file in files(source / name)}
    return shipped


@pytest.fixture(scope="module")
def environment(source: Path, contents: set[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment after `pip install .`; its dependencies are those of this one.

    They come through a .pth file: Python reads none of the .pth files there, so this environment's editable install
    isn't seen.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    [packages] = folder.glob("lib/python*/site-packages")
    present = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    (packages / "present.pth").write_text("\n".join(present))
    run(folder / "bin" / "python", "-m", "pip", "install", *PIP, source, folder=folder)
    return folder


def test_a_source_distribution_builds_a_wheel_of_all_files(
    source: Path, contents: set[str], tmp_path: Path
) -> None:
    build = f"from setuptools import build_meta; print(build_meta.build_sdist({str(tmp_path)!r}))"
    name = run(sys.executable, "-c", build, folder=source).split()[-1]
    run(sys.executable, "-m", "pip", "wheel", *PIP, tmp_path / name, folder=tmp_path)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == contents


def test_the_installed_code_is_that_of_the_package(
    environment: Path, contents: set[str], tmp_path: Path
) -> None:
    ask = "import poseanimate; print(poseanimate.__file__)"
    place = Path(run(environment / "bin" / "python", "-c", ask, folder=tmp_path).strip())
    assert place.is_relative_to(environment)
    installed = {name for name in files(place.parent) if "__pycache__" not in name}
    assert {f"poseanimate/{name}" for name in installed} == contents


def test_the_metadata_has_the_version(environment: Path, tmp_path: Path) -> None:
    ask = "from importlib.metadata import version; print(version('poseanimate'))"
    said = run(environment / "bin" / "python", "-c", ask, folder=tmp_path)
    assert said.strip() == poseanimate.__version__
    said = run(environment / "bin" / "poseanimate", "--version", folder=tmp_path)
    assert said.strip() == f"poseanimate {poseanimate.__version__}"


def test_the_command_lists_motions_and_aligns_one(environment: Path, tmp_path: Path) -> None:
    command = environment / "bin" / "poseanimate"
    listed = run(command, "motions", folder=tmp_path).splitlines()[1:]
    assert [line.split()[0] for line in listed] == preset_names()
    [example] = environment.glob(
        "lib/*/site-packages/poseanimate/examples/characters/park-girl.png"
    )
    run(command, "align", example, "walk", "-o", "out.png", folder=tmp_path)
    with Image.open(tmp_path / "out.png") as sheet:
        assert sheet.width > sheet.height > 100


def test_the_page_has_its_style_scripts_and_pictures(environment: Path, tmp_path: Path) -> None:
    port = free_port()
    command = [str(environment / "bin" / "poseanimate"), "serve", "--port", str(port)]
    said = tmp_path / "said.txt"
    with (
        started(command, tmp_path, surroundings(tmp_path), said, lambda: listens(port)),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        assert client.get("/").status_code == 200
        config = client.get("/config").json()
        [package] = environment.glob("lib/*/site-packages/poseanimate")
        assert (package / "ui" / "style.css").read_text() in config["css"]
        scripts = [part["props"].get("js_on_load") for part in config["components"]]
        scripts.append(config["js"])
        for script in (package / "ui").rglob("*.js"):
            assert script.read_text() in scripts, script.name
        for picture in ("examples/characters/park-girl.png", "presets/motions/walk.gif"):
            assert f"gradio_api/file={package / picture}" in config["css"]
            answer = client.get(f"/gradio_api/file={package / picture}")
            assert answer.content == (package / picture).read_bytes()
        clip = package / "examples" / "clips" / "room-boy_dance-sway.mp4"
        assert client.get(f"/gradio_api/file={clip}").content == clip.read_bytes()
    assert "Traceback" not in said.read_text()
