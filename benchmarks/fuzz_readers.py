"""The readers of what people bring, as `fuzz` asks them."""

from __future__ import annotations

import io
import json
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from unittest.mock import patch

import numpy as np
from damage import damage_bytes, damage_json, damage_png, damage_text, damage_zip, pack, pick
from fuzz_drawings import drawings
from fuzz_folders import folders, stills
from fuzz_reader import Reader, demand, demand_motion, demand_poses, demand_video, with_file
from fuzz_seeds import (
    COUNT,
    SIDE,
    make_frames,
    make_people,
    make_pose_texts,
    make_video,
    save_picture,
)
from helpers.bvh import bvh, skeleton_text
from helpers.media import clip_frames
from numpy.random import Generator
from PIL import Image
from pillow_heif import from_pillow

from poseanimate.inputs.bundle import FORMAT, PICTURE, Bundle
from poseanimate.inputs.pose_files import read_pose_archive, read_pose_source
from poseanimate.media import (
    PictureLimits,
    Sound,
    VideoLimits,
    is_still,
    load_picture,
    read_sound,
    read_video,
    streams,
)
from poseanimate.media.sounds import RATE_HZ
from poseanimate.models.wheel import Member, Wheel, _read_members
from poseanimate.poses.keypoints import people_json, read_people
from poseanimate.poses.mocap import read_bvh
from poseanimate.poses.motion import load_preset
from poseanimate.settings import Settings

# --- media ---


def pictures() -> Reader:
    image = Image.fromarray(clip_frames(1, SIDE, SIDE)[0])
    exif = Image.Exif()
    exif[0x0112] = 6
    more = {"exif": exif.tobytes()}
    seeds = [save_picture(image, kind, **more) for kind in ("PNG", "JPEG", "WEBP", "AVIF", "TIFF")]
    seeds += [save_picture(image.convert(mode), "PNG") for mode in ("P", "LA", "I;16")]
    seeds += [
        save_picture(image.convert("CMYK"), "JPEG"),
        save_picture(image, "JPEG", progressive=True),
    ]
    seeds += [save_picture(image, "TIFF", compression=how) for how in ("tiff_lzw", "jpeg")]
    seeds += [
        save_picture(image, "GIF"),
        save_picture(image, "BMP"),
        save_picture(image.quantize(16), "BMP"),
    ]
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
    seeds = [save_picture(first, kind, **more) for kind in ("GIF", "WEBP", "PNG")]
    seeds.append(save_picture(first, "GIF", **more, disposal=2, transparency=0))
    seeds.append(save_picture(first.convert("RGBA"), "WEBP", **more, lossless=True))

    def read(path: Path) -> None:
        is_still(path)
        demand_video(read_video(path))

    # 600 frames of a megapixel are 1.9 GB
    return Reader(partial(damage_png, seeds=seeds), partial(with_file, read), max_mb=2500)


def videos() -> Reader:
    kinds: list[tuple[str, Sequence[str]]] = [
        ("mp4", ("-c:v", "libx264")),
        ("mov", ("-c:v", "mjpeg")),
        ("webm", ("-c:v", "libvpx")),
        ("mkv", ("-c:v", "libx264", "-metadata", "title=a dance")),
        ("avi", ("-c:v", "mpeg4")),
        ("ts", ("-c:v", "libx264")),
    ]
    seeds = [make_video(suffix, *arguments) for suffix, arguments in kinds]

    def read(path: Path) -> None:
        demand_video(read_video(path))

    return Reader(partial(damage_bytes, seeds=seeds), partial(with_file, read), max_mb=2500)


def headers() -> Reader:
    """What ffmpeg says of a file, which names and words inside of the file can change."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.mkv")
        path.write_bytes(make_video("mkv", "-f", "lavfi", "-i", "sine=d=0.3", "-c:v", "libx264"))
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
    seeds = [make_video(suffix, *tone, "-c:a", codec) for suffix, codec in kinds]
    most = VideoLimits().max_seconds * RATE_HZ

    def read(path: Path) -> None:
        found = read_sound(path)
        demand(found is None or isinstance(found, Sound), f"a {type(found).__name__}")
        demand(found is None or 0 < len(found.samples) <= most, "its length")

    return Reader(partial(damage_bytes, seeds=seeds), partial(with_file, read))


# --- poses ---


def poses() -> Reader:
    def read(path: Path) -> None:
        demand_motion(read_pose_source(path))

    def make(rng: Generator) -> bytes:
        return damage_json(rng, seeds).encode("utf-8", "surrogatepass")

    seeds = make_pose_texts()
    return Reader(make, partial(with_file, read))


def zips() -> Reader:
    frames = make_frames()
    named = [(f"dance_{i:012}_keypoints.json", json.dumps(f)) for i, f in enumerate(frames)]
    files = [(name, text.encode()) for name, text in named]
    inside = [(f"folder/{name}", content) for name, content in files]
    seeds = [pack(files), pack([*inside, ("__MACOSX/x", b""), ("notes.txt", b"mine")])]
    texts = make_pose_texts()

    def damage(rng: Generator, name: str, content: bytes) -> bytes:
        return damage_json(rng, [content.decode(), pick(rng, texts)]).encode(errors="replace")

    def read(data: bytes) -> None:
        demand_motion(read_pose_archive(data, "dance.zip"))

    return Reader(partial(damage_zip, seeds=seeds, damage=damage), read)


def recordings() -> Reader:
    frames = [{"Hips Yrotation": 30.0 * i, "LeftArm Zrotation": 20.0} for i in range(COUNT)]
    seeds = [bvh(skeleton_text(), *frames), bvh(skeleton_text(collars=False, z_up=True), *frames)]

    def read(text: str) -> None:
        demand_motion(read_bvh(text, "dance.bvh"))

    return Reader(partial(damage_text, seeds=seeds), read)


def joints() -> Reader:
    seeds = [people_json(make_people()[:2], SIDE, SIDE), *(json.dumps(f) for f in make_frames())]

    def read(text: str) -> None:
        found = read_people(text, SIDE, 2 * SIDE)
        demand(0 < len(found) <= 100, f"{len(found)} people")
        demand_poses(found)

    return Reader(partial(damage_json, seeds=seeds), read)


# --- archives with several kinds in them ---


def bundles() -> Reader:
    walk = load_preset("walk")
    motion = replace(walk, poses=walk.poses[:COUNT])
    pixels, text = (
        np.array(clip_frames(1, SIDE, SIDE)[0]),
        people_json(motion.poses[:1], SIDE, SIDE),
    )
    whole = Bundle(pixels, motion, Settings(frames=7), "a girl", "models", text, b"clip")
    older = whole.to_bytes().replace(b'"format": %d' % FORMAT, b'"format": 1')
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
        demand_motion(found.motion)
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
    return Reader(make, partial(with_file, read))


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
    "stills": stills,
    "folders": folders,
    "bundles": bundles,
    "wheels": wheels,
}
