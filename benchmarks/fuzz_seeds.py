"""Small valid files, which `fuzz` damages."""

from __future__ import annotations

import io
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from helpers.media import clip_frames, ffmpeg
from PIL import Image

from poseanimate.poses.formats.orders import BETWEEN_SHOULDERS, ORDERS
from poseanimate.poses.keypoints import people_json
from poseanimate.poses.motion import load_preset
from poseanimate.poses.skeleton import Pose

SIDE = 64
COUNT = 3  # frames


def save_picture(image: Image.Image, kind: str, **more: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **more)
    return buffer.getvalue()


def make_video(suffix: str, *arguments: object) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        source, path = Path(folder, "frames.png"), Path(folder, f"v.{suffix}")
        _, *others = pages = [Image.fromarray(frame) for frame in clip_frames(COUNT, SIDE, SIDE)]
        pages[0].save(source, save_all=True, append_images=others, duration=100)
        exact = ("-fflags", "+bitexact", "-flags", "+bitexact")  # else Matroska's names are random
        ffmpeg("-f", "apng", "-i", source, *arguments, "-pix_fmt", "yuv420p", *exact, path)
        return path.read_bytes()


def make_people() -> list[Pose]:
    """The first one has hands and a face."""
    preset = load_preset("wave")
    plain = [replace(pose) for pose in preset.poses[:COUNT]]
    hand, face = (np.full((count, 3), (40.0, 50.0, 0.9)) for count in (21, 70))
    return [replace(plain[0], left_hand=hand, face=face), *plain[1:]]


def make_frames() -> list[dict[str, Any]]:
    """As OpenPose writes them."""
    frames = []
    for pose in make_people():
        frame = json.loads(people_json([pose], 512, 512))
        del frame["units"]
        frames.append(frame)
    return frames


def make_pose_texts() -> list[str]:
    """The same people in the layouts of several tools."""
    frames, people = make_frames(), make_people()
    coco = [_list_joints(pose, 17) for pose in people]
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
        for x, y, c in _list_joints(people[0], 33).tolist()
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


def _list_joints(pose: Pose, count: int) -> np.ndarray:
    points = np.full((count, 3), 1.0)
    for joint, place in enumerate(ORDERS[count][0].joints):
        if place != BETWEEN_SHOULDERS:
            points[place] = pose.body[joint]
    return points
