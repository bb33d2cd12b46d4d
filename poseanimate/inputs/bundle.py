"""A job in one file, to make its clip again or to go on from it: picture, poses, settings, prompt, clip.

Notable: a bundle comes from a stranger. Names, counts and sizes are checked before a byte is unpacked, nothing is
unpacked to disk, and every part goes through the reader that checks its kind elsewhere.
"""

from __future__ import annotations

import io
import json
import platform
import zipfile
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from poseanimate.errors import BundleError, MotionError
from poseanimate.inputs.older_bundles import migrate_settings
from poseanimate.inputs.prompt import MAX_PROMPT_CHARACTERS
from poseanimate.media import load_picture
from poseanimate.poses.keypoints import read_people
from poseanimate.poses.motion import Motion
from poseanimate.settings import Settings, is_text
from poseanimate.storage.zips import ZIP_ERRORS, ZIP_METHODS

FORMAT = 3
MAX_BYTES = 80_000_000  # of the file, and of all that is in it
JOB, PICTURE, MOTION, CLIP = "job.json", "picture.png", "motion.json", "clip.mp4"
NEEDED = (JOB, PICTURE, MOTION)
LIMITS = {JOB: 200_000, PICTURE: 20_000_000, MOTION: 32_000_000, CLIP: 60_000_000}
LIBRARIES = ("torch", "diffusers", "numpy")
WHEN = (1980, 1, 1, 0, 0, 0)  # equal jobs make equal files


@dataclass(frozen=True, eq=False)
class Bundle:
    """What a clip was made of.

    picture: the source, (H, W, 3) uint8, on the clip's canvas.
    motion: as it was found, before PATA.
    joints: OpenPose keypoints of the picture, the character first; empty where they are found in it.
    models: the identity of the models that made the clip (`Models.identity`); others make another clip.
    clip: the clip itself, MP4; empty where there is none. draft: whether it is a draft.
    lost: what an older bundle asked for that no longer exists, as "name=value"; a new clip will differ.
    """

    picture: NDArray[np.uint8]
    motion: Motion
    settings: Settings
    prompt: str
    models: str = ""
    joints: str = ""
    clip: bytes = b""
    lost: tuple[str, ...] = ()
    draft: bool = False

    def to_bytes(self) -> bytes:
        """The bundle as a ZIP file; equal jobs give equal bytes."""
        picture = io.BytesIO()
        Image.fromarray(self.picture).save(picture, "PNG")
        job = {
            "format": FORMAT,
            "prompt": self.prompt,
            "joints": self.joints,
            "models": self.models,
            "motion_name": self.motion.name,
            "settings": asdict(self.settings),
            "versions": {"python": platform.python_version()}
            | {name: version(name) for name in LIBRARIES},
        }
        if self.draft:
            job["draft"] = True
        parts = {
            JOB: json.dumps(job, indent=1, ensure_ascii=False).encode(),
            PICTURE: picture.getvalue(),
            MOTION: self.motion.to_json().encode(),
        }
        if self.clip:
            parts[CLIP] = self.clip
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as archive:
            for name, data in parts.items():
                about = zipfile.ZipInfo(name, WHEN)
                small = name.endswith(".json")
                about.compress_type = zipfile.ZIP_DEFLATED if small else zipfile.ZIP_STORED
                archive.writestr(about, data)
        return made.getvalue()

    @staticmethod
    def from_bytes(data: bytes) -> Bundle:
        """Reads a bundle.

        Raises:
            BundleError: too large, no bundle, damaged, of a newer format, or with parts that can't be.
            PictureError, MotionError, SettingsError: what is wrong with that part.
        """
        parts = _parts(data)
        job = _job(parts[JOB])
        settings = job.get("settings")
        if not isinstance(settings, dict):
            _wrong("its settings are no object of names and values")
        prompt, models, name = (_text(job, key) for key in ("prompt", "models", "motion_name"))
        joints = _text(job, "joints", LIMITS[JOB])
        picture = np.asarray(load_picture(parts[PICTURE]))
        if joints:
            read_people(joints, picture.shape[1], picture.shape[0])
        try:
            motion = Motion.from_json(parts[MOTION].decode("utf-8"), name[:80] or "motion")
        except UnicodeDecodeError as error:
            raise MotionError("The bundle's motion is no text.", _REMEDY) from error
        settings, lost = migrate_settings(settings, job["format"])
        known = Settings().changed(settings)
        clip, draft = parts.get(CLIP, b""), job.get("draft") is True
        return Bundle(picture, motion, known, prompt, models, joints, clip, lost, draft)


_REMEDY = "Download the bundle again from the page that made it."


def _wrong(what: str, remedy: str = _REMEDY) -> NoReturn:
    raise BundleError(f"The bundle can't be used: {what}.", remedy)


def _parts(data: bytes) -> dict[str, bytes]:
    """What a bundle holds, each part within its limit."""
    if len(data) > MAX_BYTES:
        _wrong(
            f"it has {len(data) / 1e6:.0f} MB, and {MAX_BYTES / 1e6:.0f} are possible",
            "Make a shorter clip.",
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _unpacked(archive)
    except ZIP_ERRORS as error:
        raise BundleError(
            "The bundle can't be used: it is damaged, or no ZIP file.", _REMEDY
        ) from error


def _unpacked(archive: zipfile.ZipFile) -> dict[str, bytes]:
    found = archive.infolist()
    names = [each.filename for each in found]
    if len(set(names)) < len(names) or not set(names) <= set(LIMITS):
        _wrong(f"it holds something else than {', '.join(LIMITS)}")
    if missing := [name for name in NEEDED if name not in names]:
        _wrong(f"{missing[0]} is missing")
    parts = {}
    for each in found:
        allowed = LIMITS[each.filename]
        if each.flag_bits & 1:
            _wrong(f"{each.filename} is encrypted")
        if each.compress_type not in ZIP_METHODS:
            _wrong(f"{each.filename} is compressed in an unusual way")
        with archive.open(each) as part:  # read no further, whatever the header says
            data = part.read(allowed + 1)
        if each.file_size > allowed or len(data) > allowed:
            _wrong(f"{each.filename} is larger than {allowed / 1e6:g} MB")
        parts[each.filename] = data
    if sum(map(len, parts.values())) > MAX_BYTES:
        _wrong(f"it unpacks to more than {MAX_BYTES / 1e6:.0f} MB")
    return parts


def _job(data: bytes) -> dict[str, Any]:
    def refuse(constant: str) -> NoReturn:
        _wrong(f"it holds {constant} instead of a number")

    try:
        job = json.loads(data.decode("utf-8"), parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"The bundle can't be used: {JOB} is no valid JSON.", _REMEDY) from error
    if not isinstance(job, dict) or not isinstance(job.get("format"), int):
        _wrong(f"{JOB} doesn't say its format")
    if not 1 <= job["format"] <= FORMAT:
        _wrong(
            f"it has format {job['format']}, and this program reads 1 to {FORMAT}",
            "Use the version of the program that made it.",
        )
    return job


def _text(job: dict[str, Any], key: str, most: int = MAX_PROMPT_CHARACTERS) -> str:
    text = job.get(key, "")
    if not isinstance(text, str) or len(text) > most or not is_text(text):
        _wrong(f"{key!r} is no text of at most {most} characters")
    return text
