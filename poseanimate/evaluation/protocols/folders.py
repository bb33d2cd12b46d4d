"""Protocols that read a folder: in-the-wild, the datasets of Table 2, and clips of other systems.

A clip is a video file or a folder of frames, in the order of their names; a frame of a picture dataset may lie in its
`images`. A text file beside a picture or clip is its prompt.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from PIL import Image

from poseanimate.animator import Animator
from poseanimate.errors import MotionError, PictureError, SettingsError
from poseanimate.evaluation.case import EvaluationCase, Truth
from poseanimate.evaluation.protocols.protocol import Protocol
from poseanimate.evaluation.rows import SOURCE_COPY, VAE_BOUND, Row
from poseanimate.inputs.motion import read_motion
from poseanimate.media import VIDEO_SUFFIXES, load_picture, read_video
from poseanimate.media.similarity import Picture
from poseanimate.poses.motion import Motion
from poseanimate.poses.motion import preset_names as motion_names
from poseanimate.poses.skeleton import Pose
from poseanimate.settings import MAX_FRAMES, Settings
from poseanimate.storage.stage_cache import content_key

PICTURES = (".png", ".jpg", ".jpeg", ".webp")
VIDEOS = (*VIDEO_SUFFIXES, ".gif")
MOTIONS = (*VIDEOS, ".json")
DATASET_FPS = 30.0
SOURCES, TRUTHS = "source", "truth"  # folders of protocol `external`; every other one is a system's


@dataclass(frozen=True)
class _Folder(Protocol):
    folder: Path

    def request(self) -> dict[str, Any]:
        return super().request() | {"folder": self.folder.name}

    def digest(self, character: str, motion: str, row: str) -> str:
        digest = hashlib.sha256()
        for path in self._list_files(character, motion, row):
            for file in sorted(path.rglob("*")) if path.is_dir() else (path,):
                if file.is_file():
                    digest.update(content_key(file.name, file.read_bytes()).encode())
        return digest.hexdigest()

    @abstractmethod
    def _list_files(self, character: str, motion: str, row: str) -> list[Path]:
        """Files and folders that a result depends on; some may be missing."""


@dataclass(frozen=True)
class InTheWild(_Folder):
    """Every picture of a folder in every motion: presets, or files in its `motions`."""

    motions: tuple[str, ...]
    name = "in-the-wild"
    references = (SOURCE_COPY,)
    has_drivers = True

    def list_cases(self) -> tuple[tuple[str, str], ...]:
        return tuple(product(_list_names(self.folder, PICTURES), self.motions))

    def _list_files(self, character: str, motion: str, row: str) -> list[Path]:
        picture = _find_entry(self.folder, character, PICTURES)
        driver = _find_entry(self.folder / "motions", motion, MOTIONS, required=False)
        return [picture, _prompt_of(picture), *([driver] if driver else [])]

    def load_case(
        self, animator: Animator, character: str, motion: str, settings: Settings
    ) -> EvaluationCase:
        picture = _find_entry(self.folder, character, PICTURES)
        source = animator.character(load_picture(picture))
        driver = _read_driver(animator, self.folder / "motions", motion)
        alignment = animator.align(
            source, driver, replace(settings, pata=True, transition_frames=0)
        )
        for error in alignment.errors:
            raise MotionError(f"{character} in {motion}: {error.message}", error.remedy)
        height, width = source.picture.shape[:2]
        own = Motion(alignment.poses[1:], width, height, driver.fps, motion)
        return EvaluationCase(motion, _read_prompt(picture), source, own, driver)


@dataclass(frozen=True)
class Videos(_Folder):
    """The protocol of TikTok and TED-talks: the first frame of a video is animated with the motion of the rest."""

    name: str
    references = (VAE_BOUND, SOURCE_COPY)

    def list_cases(self) -> tuple[tuple[str, str], ...]:
        return tuple((clip, "itself") for clip in _list_names(self.folder, VIDEOS, folders=True))

    def _list_files(self, character: str, motion: str, row: str) -> list[Path]:
        path = _find_entry(self.folder, character, VIDEOS, folders=True)
        return [path, _prompt_of(path)]

    def load_case(
        self, animator: Animator, character: str, motion: str, settings: Settings
    ) -> EvaluationCase:
        path = _find_entry(self.folder, character, VIDEOS, folders=True)
        shown = _load_frames(animator, path, settings.frames)
        if len(shown) < 2:
            raise MotionError(f"{character} has a single frame.", "Give clips of two and more.")
        source = animator.character(Image.fromarray(shown[0]))
        truth = tuple(_find_truth(animator, picture) for picture in shown[1:])
        return EvaluationCase(
            motion, _read_prompt(path), source, _make_motion(truth, motion), None, truth
        )


@dataclass(frozen=True)
class External(_Folder):
    """Clips of other systems: SYSTEM/NAME beside source/NAME.png and, where known, truth/NAME.

    A clip has one frame for each true frame; neither includes the source.
    """

    name = "external"
    references = (SOURCE_COPY,)

    @property
    def systems(self) -> tuple[str, ...]:
        return tuple(
            n for n in _list_names(self.folder, (), folders=True) if n not in (SOURCES, TRUTHS)
        )

    def list_cases(self) -> tuple[tuple[str, str], ...]:
        return tuple((name, "itself") for name in _list_names(self.folder / SOURCES, PICTURES))

    def select_rows(self, known: dict[str, Row]) -> dict[str, Row]:
        if not self.systems:
            raise SettingsError(
                f"In {self.folder} are no systems.",
                f"Give each a folder beside {SOURCES} and {TRUTHS}, with its clips.",
            )
        return {system: Row({}, f"clips of {system}") for system in self.systems}

    def _list_files(self, character: str, motion: str, row: str) -> list[Path]:
        picture = _find_entry(self.folder / SOURCES, character, PICTURES)
        found = [picture, _prompt_of(picture)]
        for folder in (TRUTHS, *([row] if row in self.systems else [])):
            clip = _find_entry(self.folder / folder, character, VIDEOS, True, required=False)
            found += [clip] if clip else []
        return found

    def load_case(
        self, animator: Animator, character: str, motion: str, settings: Settings
    ) -> EvaluationCase:
        picture = _find_entry(self.folder / SOURCES, character, PICTURES)
        source = animator.character(load_picture(picture))
        path = _find_entry(self.folder / TRUTHS, character, VIDEOS, folders=True, required=False)
        if path is not None:
            truth = tuple(_find_truth(animator, each) for each in _load_frames(animator, path))
            return EvaluationCase(
                motion, _read_prompt(picture), source, _make_motion(truth, motion), None, truth
            )
        first = self._clip(animator, self.systems[0], character)
        height, width = source.picture.shape[:2]
        unknown = Motion((Pose.absent(),) * len(first), width, height, DATASET_FPS, motion)
        return EvaluationCase(motion, _read_prompt(picture), source, unknown)

    def load_clip(
        self, animator: Animator, case: EvaluationCase, character: str, row: str
    ) -> tuple[Picture, ...]:
        clip = self._clip(animator, row, character)
        frames, (height, width) = len(case.own.poses), case.source.picture.shape[:2]
        if len(clip) != frames or clip[0].shape[:2] != (height, width):
            raise MotionError(
                f"{row}'s clip of {character} has {len(clip)} frames of {clip[0].shape[1]}x{clip[0].shape[0]}, but "
                f"{frames} of {width}x{height} are to be compared.",
                "Give one frame for each true one, in the source's shape, and not the source itself.",
            )
        return clip

    def _clip(self, animator: Animator, system: str, name: str) -> tuple[Picture, ...]:
        return _load_frames(animator, _find_entry(self.folder / system, name, VIDEOS, folders=True))


def list_motions(folder: Path) -> tuple[str, ...]:
    """Motions for `InTheWild`: the folder's own, then the presets."""
    own = folder / "motions"
    return (*(_list_names(own, MOTIONS) if own.is_dir() else ()), *motion_names())


def _read_driver(animator: Animator, folder: Path, name: str) -> Motion:
    path = _find_entry(folder, name, MOTIONS, required=False)
    return read_motion(path or name, animator.models.detector)


def _list_names(folder: Path, suffixes: tuple[str, ...], folders: bool = False) -> tuple[str, ...]:
    """Names without suffixes, sorted.

    Raises:
        SettingsError: there is no such folder, or nothing of the kind in it.
    """
    wanted = ", ".join([*(["folders"] if folders else []), *suffixes])
    if not folder.is_dir():
        raise SettingsError(f"There is no folder {folder}.", f"Give --data a folder with {wanted}.")
    found = [
        e for e in folder.iterdir() if e.suffix.lower() in suffixes or (folders and e.is_dir())
    ]
    if not found:
        raise SettingsError(f"In {folder} is nothing to evaluate.", f"It must hold {wanted}.")
    return tuple(sorted({e.name if e.is_dir() else e.stem for e in found}))


def _find_entry(
    folder: Path, name: str, suffixes: tuple[str, ...], folders: bool = False, required: bool = True
) -> Any:
    """The folder's entry with a name; None if it is missing and not required."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_file() and path.stem == name and path.suffix.lower() in suffixes:
            return path
        if folders and path.is_dir() and path.name == name:
            return path
    if required:
        raise SettingsError(f"There is no {name} in {folder}.", "Every clip needs one there.")
    return None


def _load_frames(animator: Animator, clip: Path, most: int = MAX_FRAMES) -> tuple[Picture, ...]:
    """Loads the first frames of a clip at the models' size.

    Raises:
        PictureError, VideoError: they can't be read.
    """
    if clip.is_file():
        frames = read_video(clip).frames[:most]
        return tuple(animator.fit_picture(Image.fromarray(frame)) for frame in frames)
    folder = clip / "images" if (clip / "images").is_dir() else clip
    files = sorted(e for e in folder.iterdir() if e.suffix.lower() in PICTURES)[:most]
    if not files:
        raise PictureError(f"There are no frames in {folder}.", f"Give {', '.join(PICTURES)}.")
    return tuple(animator.fit_picture(load_picture(file)) for file in files)


def _prompt_of(path: Path) -> Path:
    return path.with_suffix(".txt")


def _read_prompt(path: Path) -> str:
    text = _prompt_of(path)
    return " ".join(text.read_text(encoding="utf-8").split()) if text.is_file() else ""


def _find_truth(animator: Animator, picture: Picture) -> Truth:
    """A true frame with its detected pose and mask."""
    people = animator.models.detector.detect(picture)
    mask = animator.models.segmenter.segment(picture)
    return Truth(picture, mask, people[0] if people else Pose.absent())


def _make_motion(truth: tuple[Truth, ...], name: str) -> Motion:
    height, width = truth[0].picture.shape[:2]
    return Motion(tuple(t.pose for t in truth), width, height, DATASET_FPS, name)
