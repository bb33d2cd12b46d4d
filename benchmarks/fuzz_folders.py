"""Several files at once for `fuzz`: still pictures as a motion, folders of pictures and of pose files."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from damage import File, damage_files, damage_json, damage_png, pick
from fuzz_drawings import draw_thickly
from fuzz_reader import Reader, demand, demand_motion, demand_video
from fuzz_seeds import COUNT, SIDE, make_frames, make_people, make_pose_texts, save_picture
from helpers.media import clip_frames
from numpy.random import Generator
from PIL import Image

from poseanimate.events import Returning
from poseanimate.inputs.motion import iter_motion, open_motion
from poseanimate.inputs.stills import MAX_PICTURES, Stills
from poseanimate.media import Frame
from poseanimate.poses.motion import Motion
from poseanimate.poses.skeleton import Pose

_NAMES = (
    *(
        "a\nb.png",
        "\x1b[31m.jpg",
        "\udcff.png",
        "\u202egnp.json",
        "x" * 250 + ".webp",
        ".png",
        "-o.gif",
    ),
    *("9" * 40 + ".png", "\u0663.png", "²3.json", "00001.json", "frame_1_2.png", "walk", "1.PNG."),
    *("deep/1.png", "a/b/c/d/e/f/g/1.json", "1.json/1.json", "1.png/2.png", "__MACOSX/1.json"),
)
_FOLDERS = ("dance", "walk", "x.json", "1.png", "a\nb", "\udcff", ".hidden", "x" * 200, "{0}%s'\"")
_COUNTS, _SHARES = (17, 40, 2001, 10_001), (0.5, 0.47, 0.02, 0.01)
_MANY = 50  # files; more of them are empty
_ENTRIES: tuple[Callable[[Path], Any], ...] = (
    lambda path: path.symlink_to(path),
    lambda path: path.symlink_to("gone"),
    lambda path: path.symlink_to("/dev/zero"),
    Path.mkdir,
    os.mkfifo,
)
_NUMBERS: dict[str, tuple[Any, ...]] = {
    "start_s": (0.5, 1.25, 29.0, -1.0, 1e9, 1e308, float("nan"), float("inf")),
    "end_s": (0.0, 0.5, 2.0, 30.0, 31.0, -1.0, 1e308, float("nan"), float("inf")),
    "stride": (2, 7, 0, -1, 10**6, 10**400),
    "rotate": (90, 180, 270, -90, 45, 10**400),
    "fps": (12.0, 0.0, -1.0, 1e-9, 1e9, float("nan"), float("inf")),
}


@dataclass(frozen=True)
class Given:
    """Files, and how they are asked for.

    entries: names of what is no file in the folder, and its number in _ENTRIES. listed: whether the files are named one
    by one. numbers: of `open_motion`. seed: of the people who are seen in pictures.
    """

    files: list[File]
    entries: list[tuple[str, int]] = field(default_factory=list)
    folder: str = "dance"
    listed: bool = False
    numbers: dict[str, Any] = field(default_factory=dict)
    seed: int = 0


def stills() -> Reader:
    return Reader(partial(_make, seeds=[_pictures()], listed=0.9), _read, max_mb=1200)


def folders() -> Reader:
    frames = [json.dumps(frame) for frame in make_frames()]
    texts = make_pose_texts()
    seeds = [_number(frames, "dance_{:012}_keypoints.json")] * 4
    seeds += [_number([text] * COUNT, "{}.json") for text in texts]
    seeds.append(_number([*frames, *texts], "frame{:03}.jsonl"))
    seeds += [_pictures()] * 4
    return Reader(partial(_make, seeds=seeds, listed=0.1), _read, max_mb=1200)


def _number(texts: Sequence[str], name: str) -> list[File]:
    return [(name.format(number), text.encode()) for number, text in enumerate(texts)]


def _pictures() -> list[File]:
    """Small ones of several kinds and sizes, a drawn skeleton among them."""
    plain = Image.fromarray(clip_frames(1, SIDE, SIDE)[0]).convert("L")  # else much looks drawn
    kinds = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "GIF", "BMP")
    found = [save_picture(plain, kind) for kind in kinds]
    found += [save_picture(plain.resize(size), "PNG") for size in ((64, 96), (150, 70))]
    found.append(save_picture(Image.fromarray(draw_thickly(make_people()[0], 128)), "PNG"))
    return [(f"{number}.png", data) for number, data in enumerate(found)]


@cache
def _animated() -> bytes:
    first, *others = [Image.fromarray(frame) for frame in clip_frames(COUNT, SIDE, SIDE)]
    return save_picture(first, "GIF", save_all=True, append_images=others)


def _make(rng: Generator, seeds: Sequence[Sequence[File]], listed: float) -> Given:
    """A few files of one of the seeds, damaged in half of the cases, with odd names, numbers and entries among them."""
    files = list(pick(rng, seeds))
    if rng.random() < 0.7:
        count = min(int(rng.integers(1, 5)), len(files))
        files = [files[at] for at in sorted(rng.choice(len(files), count, replace=False))]
    if rng.random() < 0.5:
        files = damage_files(rng, files, partial(_damage, others=pick(rng, seeds)))
    for at in range(len(files)):
        if rng.random() < 0.05:
            files[at] = pick(rng, _NAMES), files[at][1]
    if rng.random() < 0.02:
        files.append(("moving.gif", _animated()))
    if rng.random() < 0.02:
        files = _repeat(files, int(rng.choice(_COUNTS, p=_SHARES)))
    entries = []
    while rng.random() < 0.1:
        entries.append((pick(rng, _NAMES), int(rng.integers(len(_ENTRIES)))))
    numbers = {name: pick(rng, values) for name, values in _NUMBERS.items() if rng.random() < 0.06}
    folder = pick(rng, _FOLDERS) if rng.random() < 0.2 else "dance"
    seed = int(rng.integers(2**32))
    return Given(files, entries, folder, rng.random() < listed, numbers, seed)


def _damage(rng: Generator, name: str, content: bytes, others: Sequence[File]) -> bytes:
    other = pick(rng, others)[1]
    if content[:1] not in (b"{", b"["):
        return damage_png(rng, [content, other])
    texts = [each.decode(errors="replace") for each in (content, other)]
    return damage_json(rng, texts).encode("utf-8", "surrogatepass")


def _repeat(files: Sequence[File], count: int) -> list[File]:
    """So many files in all; those of a great many are empty."""
    repeated = []
    for number in range(count):
        name, content = files[number % len(files)]
        repeated.append((f"{number}{Path(name).suffix}", content if count < _MANY else b""))
    return repeated


def _read(given: Given) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, given.folder)
        paths = _lay(folder, given)
        source = open_motion(paths if given.listed else folder, **given.numbers)
        if isinstance(source, Stills):
            _demand_stills(source)
            motion = Returning(iter_motion(source, _MadeUp(given.seed), folder.name))
            demand(sum(1 for _ in motion) == 1 + len(source.pictures), "its steps")
            source = motion.result
        if isinstance(source, Motion):
            demand_motion(source)
        else:
            demand_video(source)


def _lay(folder: Path, given: Given) -> list[Path]:
    """Writes what the file system takes, in folders where a name says so; returns their places."""
    folder.mkdir()
    kinds = [(name, partial(Path.write_bytes, data=content)) for name, content in given.files]
    kinds += [(name, _ENTRIES[number]) for name, number in given.entries]
    paths = []
    for name, make in kinds:
        path = _place(folder, name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            make(path)
        except OSError:  # another has this name, or is in the place of one of its folders
            continue
        paths.append(path)
    return paths


def _place(folder: Path, name: str) -> Path:
    """Where in the folder a name leads."""
    parts = name.replace("\0", "").split("/")
    return folder.joinpath(*(part[:250] for part in parts if part not in ("", ".", "..")))


def _demand_stills(source: Stills) -> None:
    demand_video(source)
    demand(1 <= len(source.pictures) <= MAX_PICTURES, f"{len(source.pictures)} pictures")
    demand(len(source.names) == len(source.pictures), "their names")
    demand(len(source.steps) == len(source.frames), "their steps")
    demand(len({picture.shape for picture in source.pictures}) == 1, "pictures of several sizes")


class _MadeUp:
    """Sees people who are not there: none or some, of any size, at any place, with joints missing."""

    identity = "made up"

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def detect(self, image: Frame) -> list[Pose]:
        count = pick(self._rng, (0, *10 * (1,), 2, 3))
        return [_make_up(self._rng, image.shape[1]) for _ in range(count)]


def _make_up(rng: Generator, width: int) -> Pose:
    body = np.array(pick(rng, _people()).body)
    body[:, :2] *= width * 10 ** rng.uniform(-4, 1) / 512
    body[:, :2] += rng.uniform(-1, 1, 2) * width
    body[rng.random(len(body)) < rng.random()] = 0.0
    return Pose(body)


_people = cache(make_people)
