"""What `fuzz` asks: each reader of what people bring, seeds of its files, and what a result must be."""

from __future__ import annotations

import io
import json
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
from damage import damage_bytes, damage_json, damage_png, damage_text, damage_zip, pack, pick
from helpers.bvh import bvh, skeleton_text
from helpers.media import clip_frames, ffmpeg
from numpy.random import Generator
from PIL import Image
from pillow_heif import from_pillow

from poseanimate.inputs.bundle import PICTURE, Bundle
from poseanimate.inputs.pose_files import read_pose_archive, read_pose_source
from poseanimate.media import (
    PictureLimits,
    Sound,
    Video,
    VideoLimits,
    is_still,
    load_picture,
    read_sound,
    read_video,
    streams,
)
from poseanimate.media.sounds import RATE_HZ
from poseanimate.models.wheel import Member, Wheel, _read_members
from poseanimate.poses.drawn import DrawnSkeletons, is_drawn
from poseanimate.poses.formats.orders import BETWEEN_SHOULDERS, ORDERS
from poseanimate.poses.keypoints import people_json, read_people
from poseanimate.poses.mocap import read_bvh
from poseanimate.poses.motion import Motion, load_preset
from poseanimate.poses.skeleton import COLOURS, Pose, draw_pose
from poseanimate.settings import Settings

SIDE = 64
COUNT = 3  # frames


@dataclass(frozen=True)
class Reader:
    """make: an input, by a generator of random numbers. read: reads it, and demands what a result must be."""

    make: Callable[[Generator], Any]
    read: Callable[[Any], None]
    max_mb: int = 400  # of memory, with the program itself


class WrongResultError(Exception):
    """A reader's result is outside its limits."""


def demand(condition: bool, what: str) -> None:
    if not condition:
        raise WrongResultError(what)


# --- media ---


def pictures() -> Reader:
    image = Image.fromarray(clip_frames(1, SIDE, SIDE)[0])
    exif = Image.Exif()
    exif[0x0112] = 6
    more = {"exif": exif.tobytes()}
    seeds = [_saved(image, kind, **more) for kind in ("PNG", "JPEG", "WEBP", "AVIF", "TIFF")]
    seeds += [_saved(image.convert(mode), "PNG") for mode in ("P", "LA", "I;16")]
    seeds += [_saved(image.convert("CMYK"), "JPEG"), _saved(image, "JPEG", progressive=True)]
    seeds += [_saved(image, "TIFF", compression=how) for how in ("tiff_lzw", "jpeg")]
    seeds += [_saved(image, "GIF"), _saved(image, "BMP"), _saved(image.quantize(16), "BMP")]
    heif = io.BytesIO()
    from_pillow(image).save(heif)
    seeds.append(heif.getvalue())
    limits = PictureLimits()

    def read(data: bytes) -> None:
        found = load_picture(data)
        demand(found.mode == "RGB", f"mode {found.mode}")
        demand(found.width * found.height <= limits.max_kept_pixels, f"size {found.size}")
        demand(len(found.tobytes()) == 3 * found.width * found.height, "pixels are missing")

    # 64 megapixels may take up to 950 MB
    return Reader(partial(damage_png, seeds=seeds), read, max_mb=1200)


def animations() -> Reader:
    first, *others = [Image.fromarray(frame) for frame in clip_frames(COUNT, SIDE, SIDE)]
    more = {"save_all": True, "append_images": others, "duration": 100, "loop": 0}
    seeds = [_saved(first, kind, **more) for kind in ("GIF", "WEBP", "PNG")]
    seeds.append(_saved(first, "GIF", **more, disposal=2, transparency=0))
    seeds.append(_saved(first.convert("RGBA"), "WEBP", **more, lossless=True))

    def read(path: Path) -> None:
        is_still(path)
        _demand_video(read_video(path))

    # 600 frames of a megapixel are 1.9 GB
    return Reader(partial(damage_png, seeds=seeds), partial(_with_file, read), max_mb=2500)


def videos() -> Reader:
    kinds: list[tuple[str, Sequence[str]]] = [
        ("mp4", ("-c:v", "libx264")),
        ("mov", ("-c:v", "mjpeg")),
        ("webm", ("-c:v", "libvpx")),
        ("mkv", ("-c:v", "libx264", "-metadata", "title=a dance")),
        ("avi", ("-c:v", "mpeg4")),
        ("ts", ("-c:v", "libx264")),
    ]
    seeds = [_video(suffix, *arguments) for suffix, arguments in kinds]

    def read(path: Path) -> None:
        _demand_video(read_video(path))

    return Reader(partial(damage_bytes, seeds=seeds), partial(_with_file, read), max_mb=2500)


def headers() -> Reader:
    """What ffmpeg says of a file, which names and words inside of the file can change."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.mkv")
        path.write_bytes(_video("mkv", "-f", "lavfi", "-i", "sine=d=0.3", "-c:v", "libx264"))
        text = streams._describe(path, "matroska")
    seeds = [text, text.replace("SAR 1:1", "SAR 3:2"), text.replace("Duration: ", "Duration: N/A ")]
    seeds.append(text.replace("bt709", "smpte2084") + "    Display Matrix: rotation of -90.00\n")

    def read(description: str) -> None:
        with patch.object(streams, "_describe", return_value=description):
            found = streams.read_header(Path(), "matroska")
        demand(found.width > 0 and found.height > 0, f"size {found.width}x{found.height}")
        demand(0.1 <= found.fps <= 240, f"rate {found.fps}")
        demand(found.duration_s is None or math.isfinite(found.duration_s), "its end is infinite")

    return Reader(partial(damage_text, seeds=seeds), read)


def sounds() -> Reader:
    tone = ("-f", "lavfi", "-i", "sine=d=0.3")
    kinds = (("mp4", "aac"), ("webm", "libopus"), ("avi", "libmp3lame"), ("mov", "pcm_s16le"))
    seeds = [_video(suffix, *tone, "-c:a", codec) for suffix, codec in kinds]
    most = VideoLimits().max_seconds * RATE_HZ

    def read(path: Path) -> None:
        found = read_sound(path)
        demand(found is None or isinstance(found, Sound), f"a {type(found).__name__}")
        demand(found is None or 0 < len(found.samples) <= most, "its length")

    return Reader(partial(damage_bytes, seeds=seeds), partial(_with_file, read))


def _saved(image: Image.Image, kind: str, **more: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **more)
    return buffer.getvalue()


def _video(suffix: str, *arguments: object) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        source, path = Path(folder, "frames.png"), Path(folder, f"v.{suffix}")
        _, *others = pages = [Image.fromarray(frame) for frame in clip_frames(COUNT, SIDE, SIDE)]
        pages[0].save(source, save_all=True, append_images=others, duration=100)
        ffmpeg("-f", "apng", "-i", source, *arguments, "-pix_fmt", "yuv420p", path)
        return path.read_bytes()


def _with_file(read: Callable[[Path], None], data: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        read(Path(file.name))


def _demand_video(video: Video) -> None:
    limits = VideoLimits()
    demand(1 <= len(video.frames) <= limits.max_frames, f"{len(video.frames)} frames")
    demand(math.isfinite(video.fps) and 0 < video.fps <= 240, f"rate {video.fps}")
    shapes = {frame.shape for frame in video.frames}
    height, width, channels = shapes.pop()
    demand(not shapes and channels == 3, "frames of several shapes")
    demand(min(width, height) > 0 and max(width, height) <= limits.max_side_px, "their size")


# --- poses ---


def poses() -> Reader:
    def read(path: Path) -> None:
        _demand_motion(read_pose_source(path))

    def make(rng: Generator) -> bytes:
        return damage_json(rng, seeds).encode("utf-8", "surrogatepass")

    seeds = pose_texts()
    return Reader(make, partial(_with_file, read))


def zips() -> Reader:
    frames = _frames()
    named = [(f"dance_{i:012}_keypoints.json", json.dumps(f)) for i, f in enumerate(frames)]
    files = [(name, text.encode()) for name, text in named]
    inside = [(f"folder/{name}", content) for name, content in files]
    seeds = [pack(files), pack([*inside, ("__MACOSX/x", b""), ("notes.txt", b"mine")])]
    texts = pose_texts()

    def damage(rng: Generator, name: str, content: bytes) -> bytes:
        return damage_json(rng, [content.decode(), pick(rng, texts)]).encode(errors="replace")

    def read(data: bytes) -> None:
        _demand_motion(read_pose_archive(data, "dance.zip"))

    return Reader(partial(damage_zip, seeds=seeds, damage=damage), read)


def recordings() -> Reader:
    frames = [{"Hips Yrotation": 30.0 * i, "LeftArm Zrotation": 20.0} for i in range(COUNT)]
    seeds = [bvh(skeleton_text(), *frames), bvh(skeleton_text(collars=False, z_up=True), *frames)]

    def read(text: str) -> None:
        _demand_motion(read_bvh(text, "dance.bvh"))

    return Reader(partial(damage_text, seeds=seeds), read)


def joints() -> Reader:
    seeds = [people_json(_people()[:2], SIDE, SIDE), *(json.dumps(f) for f in _frames())]

    def read(text: str) -> None:
        found = read_people(text, SIDE, 2 * SIDE)
        demand(0 < len(found) <= 100, f"{len(found)} people")
        _demand_poses(found)

    return Reader(partial(damage_json, seeds=seeds), read)


def drawings() -> Reader:
    seeds = [_thick_drawing(pose) for pose in _people()]
    seeds.append(np.maximum(seeds[0], np.roll(seeds[1], 40, axis=1)))
    colours = np.array(COLOURS)

    def make(rng: Generator) -> np.ndarray:
        """A drawing or nothing; dots, lines and bars in the palette's colours over it; noise."""
        picture = np.array(pick(rng, (*seeds, np.zeros_like(seeds[0]))))
        if rng.random() < 0.3:
            height, width = (int(side) for side in rng.integers(8, picture.shape[:2]))
            picture = np.ascontiguousarray(picture[:height, :width])
        size = int(rng.integers(1, 4))
        for _ in range(int(rng.geometric(0.1))):
            colour = pick(rng, colours).tolist()
            x, y, x2, y2 = (int(value) for value in rng.integers(-9, 130, 4))
            roll = rng.random()
            if roll < 0.5:
                cv2.circle(picture, (x, y), size, colour, -1)
            elif roll < 0.9:
                dim = [0.6 * each for each in colour]
                cv2.line(picture, (x, y), (x2, y2), dim, size)
            else:
                cv2.rectangle(picture, (x, y), (x + 3 * size, y2), colour, -1)
        if rng.random() < 0.2:
            noise = rng.normal(0, rng.integers(1, 60), picture.shape)
            picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
        return picture

    def read(picture: np.ndarray) -> None:
        found = DrawnSkeletons().detect(picture)
        demand(len(found) <= 6, f"{len(found)} people")
        _demand_poses(found)
        demand(isinstance(is_drawn([picture]), bool), "neither drawn nor not")

    return Reader(make, read)


def _thick_drawing(pose: Pose) -> np.ndarray:
    """(128, 96, 3): the pose drawn to fill the picture, with dots that are large enough to be found."""
    xy = pose.xy[pose.visible()]
    pose = pose.shifted(*-xy.min(axis=0)).scaled(*(360, 480) / np.ptp(xy, axis=0)).shifted(12, 16)
    drawing = cv2.dilate(draw_pose(pose, 384, 512), np.ones((9, 9)))
    return cv2.resize(drawing, (96, 128), interpolation=cv2.INTER_AREA)


def pose_texts() -> list[str]:
    """The same people in the layouts of several tools."""
    frames, people = _frames(), _people()
    coco = [_listed(pose, 17) for pose in people]
    flat = [
        {"image_id": f"{i}.jpg", "keypoints": each.ravel().tolist(), "idx": [1]}
        for i, each in enumerate(coco)
    ]
    instances = [
        {"frame_id": 3 * i, "instances": [{"keypoints": each[:, :2].tolist(), "keypoint_scores": [0.9] * 17}]}
        for i, each in enumerate(coco)
    ]  # fmt: skip
    columns = dict(zip(("x", "y", "visible"), coco[0].T.tolist(), strict=True))
    landmarks = [
        {"x": x / 600, "y": y / 600, "z": 0.1, "visibility": c}
        for x, y, c in _listed(people[0], 33).tolist()
    ]
    named = {name: {"x": 10 * i, "y": 50} for i, name in enumerate(("LeftHip", "RightHip", "Nose"))}
    documents: list[Any] = [
        {"fps": 12, "frames": frames},
        frames,
        flat,
        {"meta_info": {"dataset_name": "coco"}, "instance_info": instances},
        {"annotations": flat},
        [{"landmarks": landmarks, "width": 600, "height": 600}],
        [{"name": "person", "box": {"x1": 0}, "keypoints": columns}],
        {"frame_0001": {"person_0": named}},
        json.dumps(frames),
    ]
    return [json.dumps(document) for document in documents]


def _people() -> list[Pose]:
    """The first one has hands and a face."""
    preset = load_preset("wave")
    plain = [replace(pose) for pose in preset.poses[:COUNT]]
    hand, face = (np.full((count, 3), (40.0, 50.0, 0.9)) for count in (21, 70))
    return [replace(plain[0], left_hand=hand, face=face), *plain[1:]]


def _frames() -> list[dict[str, Any]]:
    """As OpenPose writes them."""
    frames = []
    for pose in _people():
        frame = json.loads(people_json([pose], 512, 512))
        del frame["units"]
        frames.append(frame)
    return frames


def _listed(pose: Pose, count: int) -> np.ndarray:
    points = np.full((count, 3), 1.0)
    for joint, place in enumerate(ORDERS[count][0].joints):
        if place != BETWEEN_SHOULDERS:
            points[place] = pose.body[joint]
    return points


def _demand_motion(motion: Motion) -> None:
    demand(1 <= len(motion.poses) <= 2000, f"{len(motion.poses)} poses")
    demand(0.1 <= motion.fps <= 240, f"rate {motion.fps}")
    demand(all(note.endswith(".") for note in motion.notes), f"notes {motion.notes}")
    _demand_poses(motion.poses)


def _demand_poses(poses: Sequence[Pose]) -> None:
    for pose in poses:
        parts = [pose.body, pose.left_hand, pose.right_hand, pose.face]
        demand(all(np.isfinite(p).all() for p in parts if p is not None), "not finite")


# --- archives with several kinds in them ---


def bundles() -> Reader:
    walk = load_preset("walk")
    motion = replace(walk, poses=walk.poses[:COUNT])
    pixels, text = (
        np.array(clip_frames(1, SIDE, SIDE)[0]),
        people_json(motion.poses[:1], SIDE, SIDE),
    )
    whole = Bundle(pixels, motion, Settings(frames=7), "a girl", "models", text, b"clip")
    older = whole.to_bytes().replace(b'"format": 2', b'"format": 1')
    seeds = [whole.to_bytes(), older]

    def damage(rng: Generator, name: str, content: bytes) -> bytes:
        if name == PICTURE:
            return damage_png(rng, [content])
        if not name.endswith(".json"):
            return damage_bytes(rng, [content])
        text = content.decode("utf-8", "replace")
        return damage_json(rng, [text]).encode("utf-8", "surrogatepass")

    def read(data: bytes) -> None:
        found = Bundle.from_bytes(data)
        _demand_motion(found.motion)
        demand(found.picture.ndim == 3 and found.picture.shape[2] == 3, "the picture's shape")

    return Reader(partial(damage_zip, seeds=seeds, damage=damage), read, max_mb=1200)


def wheels() -> Reader:
    files = [("tiny/net.tflite", b"a network" * 100), ("tiny.dist-info/LICENSE", b"a licence")]
    members = {
        path.rpartition("/")[2]: Member(path, len(content), sha256(content).hexdigest())
        for path, content in files
    }
    wheel = Wheel("tiny", "1.2", "0" * 64, 1000, "3.9", "cp39", "any", members)

    def damage(rng: Generator, name: str, content: bytes) -> bytes:
        return damage_bytes(rng, [content])

    def read(path: Path) -> None:
        found = _read_members(path, wheel)
        whole = {path.rpartition("/")[2]: content for path, content in files}
        demand(found == whole, "other contents than those that are pinned")

    make = partial(damage_zip, seeds=[pack(files)], damage=damage)
    return Reader(make, partial(_with_file, read))


READERS: dict[str, Callable[[], Reader]] = {
    "pictures": pictures,
    "animations": animations,
    "videos": videos,
    "headers": headers,
    "sounds": sounds,
    "poses": poses,
    "zips": zips,
    "recordings": recordings,
    "joints": joints,
    "drawings": drawings,
    "bundles": bundles,
    "wheels": wheels,
}
