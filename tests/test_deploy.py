"""Deployment: the front matter of README.md, which Spaces read, the Dockerfile and .dockerignore."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from string import Template
from typing import Any

import pytest
import yaml
from docker.utils import exclude_paths
from helpers.served import OTHER_ADDRESS, TIMEOUT_S, answer, free_port, listens, started
from helpers.tiny import tiny_networks
from huggingface_hub import SpaceCard, SpaceHardware, constants
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from PIL import Image

from poseanimate.models import files as sources
from poseanimate.models import loading
from poseanimate.models.hub import Repository
from poseanimate.pocket.training.nets import build_tokenizer

REPOSITORY = Path(__file__).resolve().parents[1]
# https://huggingface.co/docs/hub/spaces-config-reference
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
SHORT_DESCRIPTION_MAX = 60


def pinned(package: str) -> str:
    """The version in constraints.txt."""
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    [version] = [line.partition("==")[2] for line in lines if line.startswith(f"{package}==")]
    return version


# --- the Space ---


@pytest.fixture(scope="module")
def space() -> dict[str, Any]:
    return SpaceCard.load(REPOSITORY / "README.md").data.to_dict()


def test_the_space_runs_what_is_tested(space: dict[str, Any]) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert space["sdk"] == "gradio"
    assert space["sdk_version"] == pinned("gradio")
    assert space["python_version"] in SpecifierSet(project["requires-python"])
    assert (REPOSITORY / space["app_file"]).is_file()
    assert SpaceHardware(space["suggested_hardware"]) is SpaceHardware.CPU_BASIC
    assert re.fullmatch(r"\d+[mh]", space["startup_duration_timeout"])
    assert space["pinned"] is False


def test_the_space_names_every_repository_that_is_fetched(space: dict[str, Any]) -> None:
    fetched = [value.id for value in vars(sources).values() if isinstance(value, Repository)]
    fetched.append(sources.SDXL_VAE.partition("@")[0])
    assert len(fetched) == 8
    assert sorted(space["models"]) == sorted(fetched)


def test_a_space_of_sd15_preloads_what_an_image_of_it_holds(steps: list[tuple[str, str]]) -> None:
    text = (REPOSITORY / "docs" / "serving.md").read_text()
    blocks = [block.partition("```")[0] for block in text.split("```yaml\n")[1:]]
    [lines] = [
        known["preload_from_hub"]
        for known in map(yaml.safe_load, blocks)
        if "preload_from_hub" in known
    ]
    told = {
        (repo, tuple(names.split(",")), commit) for repo, names, commit in map(str.split, lines)
    }
    [step] = [rest for rest in of(steps, "RUN") if "hf download" in rest]
    fetched = re.findall(r"hf download --revision (\w+) (\S+)((?: +[\w./]+)+)", step)
    assert told == {(repo, tuple(names.split()), commit) for commit, repo, names in fetched}


def test_zero_gpus_versions_of_torch_are_allowed() -> None:
    """Its documentation names 2.8 to 2.11."""
    lines = (REPOSITORY / "requirements.txt").read_text().splitlines()
    torch, vision = (
        Requirement(line.partition("#")[0]).specifier
        for line in lines
        if line.startswith(("torch>", "torchvision>"))
    )
    for minor in range(8, 12):
        assert f"2.{minor}.0" in torch and f"0.{minor + 15}.0" in vision


def test_the_space_looks_as_the_hub_allows(space: dict[str, Any]) -> None:
    assert {space["colorFrom"], space["colorTo"]} <= COLOURS
    assert len(space["emoji"]) == 1 and ord(space["emoji"]) > 0x1F000
    assert len(space["short_description"]) <= SHORT_DESCRIPTION_MAX
    assert space["license"] == "mit"
    assert len(space["tags"]) == len(set(space["tags"])) > 0


def test_the_thumbnail_is_a_picture_of_the_repository(space: dict[str, Any]) -> None:
    place = re.fullmatch(
        r"https://huggingface\.co/spaces/[\w-]+/[\w-]+/resolve/main/(.+)", space["thumbnail"]
    )
    assert place
    with Image.open(REPOSITORY / place[1]) as picture:
        assert picture.width >= 1000


# --- the Dockerfile ---


@pytest.fixture(scope="module")
def steps() -> list[tuple[str, str]]:
    """Instructions and their arguments, without comments and with continued lines joined."""
    lines = (REPOSITORY / "Dockerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if line and not line.startswith("#"))
    return [tuple(line.split(maxsplit=1)) for line in text.replace("\\\n", " ").splitlines()]


def of(steps: list[tuple[str, str]], name: str) -> list[str]:
    return [rest for instruction, rest in steps if instruction == name]


def variables(steps: list[tuple[str, str]], home: Path) -> dict[str, str]:
    """The variables that ENV sets in an image with the default models, for another home folder."""
    known = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    known |= dict(rest.split("=") for rest in of(steps, "ARG") if "=" in rest)
    pairs = [pair.partition("=") for rest in of(steps, "ENV") for pair in shlex.split(rest)]
    return {
        name: Template(value).substitute(known).replace("/home/user", str(home))
        for name, _, value in pairs
    }


def exec_form(text: str) -> list[str]:
    """The command at the end of HEALTHCHECK or CMD."""
    return json.loads(text[text.index("[") :])


def test_the_linter_finds_nothing_in_the_dockerfile() -> None:
    linter = Path(sysconfig.get_path("scripts")) / "hadolint"
    linted = subprocess.run(
        [linter, REPOSITORY / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (linted.returncode, linted.stdout, linted.stderr) == (0, "", "")


def test_the_image_is_what_spaces_and_gradio_expect(
    steps: list[tuple[str, str]], space: dict[str, Any]
) -> None:
    minor = space["python_version"].rpartition(".")[0]  # ZeroGPU wants all three numbers
    assert of(steps, "FROM") == [f"python:{minor}-slim"]
    assert "--uid 1000" in of(steps, "RUN")[0]
    assert of(steps, "USER") == ["1000"]
    assert of(steps, "EXPOSE") == ["7860"]
    assert variables(steps, Path("/home/user"))["GRADIO_SERVER_PORT"] == "7860"


def test_a_change_of_the_source_comes_after_packages_and_weights(
    steps: list[tuple[str, str]],
) -> None:
    work = [rest for step, rest in steps if step in ("RUN", "COPY")]
    _, files, install, fetch, source, eyes = work
    assert files == "--chown=1000:1000 requirements.txt constraints.txt ./"
    assert install.endswith("-r requirements.txt -c constraints.txt")
    assert "hf download" in fetch
    assert source == "--chown=1000:1000 . ."
    assert eyes == "python -m poseanimate.models.blazepose.files"  # its pin is in the source


def test_requirements_and_extras_allow_what_is_pinned() -> None:
    lines = (REPOSITORY / "requirements.txt").read_text().splitlines()
    texts = [line.partition("#")[0] for line in lines if not line.startswith("#")]
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    for extra in project["optional-dependencies"].values():
        texts += [text for text in extra if not text.startswith("poseanimate")]
    ranges = [Requirement(text) for text in texts]
    assert len(ranges) > 20
    for each in ranges:
        assert pinned(each.name) in each.specifier, each.name


# --- weights in layers ---


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny networks in files named as in the hub's repositories."""
    folder = tmp_path_factory.mktemp("hub")
    base, annotators = folder / sources.SD15.id, folder / sources.OPENPOSE.id
    for name, part in tiny_networks().items():
        home = folder / sources.SD15_CONTROLNET.id if name == "controlnet" else base / name
        networks = name not in sources.WITHOUT_WEIGHTS
        part.save_pretrained(home, **({"variant": "fp16"} if networks else {}))
    (base / "tokenizer" / "tokenizer.json").unlink()
    build_tokenizer(base / "tokenizer")
    (base / "tokenizer" / "special_tokens_map.json").write_text("{}")
    index = {"_class_name": "StableDiffusionPipeline", "vae": ["diffusers", "AutoencoderKL"]}
    (base / "model_index.json").write_text(json.dumps(index))
    annotators.mkdir(parents=True)
    for name in ("body_pose_model.pth", "hand_pose_model.pth", "facenet.pth"):
        (annotators / name).touch()
    return folder


def fetch(steps: list[tuple[str, str]], family: str, folder: Path) -> tuple[int, list[list[str]]]:
    """Runs the step that downloads weights, with programs that only record their arguments."""
    for program in ("hf", "python"):
        path = folder / program
        path.write_text('#!/bin/sh\nprintf "%s\\n" "${0##*/} $*" >> "$NOTES"\n')
        path.chmod(0o755)
    notes = folder / "notes.txt"
    notes.touch()
    [step] = [rest for rest in of(steps, "RUN") if "hf download" in rest]
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "MODELS": family, "NOTES": str(notes)}
    ran = subprocess.run(["/bin/sh", "-c", step], env=environment, check=False, capture_output=True)
    return ran.returncode, [line.split() for line in notes.read_text().splitlines()]


def test_only_families_that_exist_are_put_into_an_image(
    steps: list[tuple[str, str]], tmp_path: Path
) -> None:
    assert fetch(steps, "pocket", tmp_path) == (0, [])
    assert fetch(steps, "sd51", tmp_path) == (1, [])


@pytest.mark.slow
def test_the_files_in_an_image_of_sd15_are_all_that_it_loads(
    steps: list[tuple[str, str]], hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, asked = fetch(steps, "sd15", tmp_path)
    assert status == 0
    for program, verb, option, revision, repository, *files in asked:
        assert (program, verb, option) == ("hf", "download", "--revision")
        put_into_cache(tmp_path / "cache", hub, repository, revision, files)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    loading.load_models("sd15", "cpu")


def put_into_cache(
    cache: Path, hub: Path, repository: str, revision: str, files: list[str]
) -> None:
    """Copies files to the places where the hub's client looks for them."""
    for file in files:
        kept = cache / f"models--{repository.replace('/', '--')}" / "snapshots" / revision / file
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(hub / repository / file, kept)


# --- the container ---


@pytest.mark.slow
def test_the_context_alone_serves_the_page_as_the_image_does(
    steps: list[tuple[str, str]], tmp_path: Path
) -> None:
    """The copied files, ENV, CMD, HEALTHCHECK and STOPSIGNAL."""
    context, home = tmp_path / "app", tmp_path / "home"
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    sent = exclude_paths(str(REPOSITORY), ignored)
    for file in sent - {"Dockerfile", ".dockerignore"}:  # read by the builder, not copied
        if (REPOSITORY / file).is_file():
            (context / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / file, context / file)
    assert {path.name for path in context.iterdir()} == {
        *("app.py", "poseanimate", "presets", "examples"),
        *("requirements.txt", "constraints.txt", "LICENSE"),
    }
    home.mkdir()
    port, said = free_port(), tmp_path / "said.txt"
    environment = variables(steps, home) | {"GRADIO_SERVER_PORT": str(port)}
    [check], [command], [stop] = (of(steps, step) for step in ("HEALTHCHECK", "CMD", "STOPSIGNAL"))

    def healthy() -> bool:
        asked = [*exec_form(check)]
        return not subprocess.run(
            asked, env=environment, capture_output=True, check=False
        ).returncode

    with socket.create_server(("127.0.0.1", 0)) as outside:
        proxy = f"http://127.0.0.1:{outside.getsockname()[1]}"
        through = {"https_proxy": proxy, "HTTPS_PROXY": proxy}
        with started(exec_form(command), context, environment | through, said, healthy) as process:
            status, page = answer(port)
            assert listens(port, OTHER_ADDRESS)
            outside.setblocking(False)
            with pytest.raises(BlockingIOError):  # no connection: it asks nothing of other machines
                outside.accept()
            process.send_signal(signal.Signals[stop])
            assert process.wait(TIMEOUT_S) == 0
    assert status == 200 and "PoseAnimate" in page
    assert "Traceback" not in said.read_text()
