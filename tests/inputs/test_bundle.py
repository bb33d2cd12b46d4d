"""Bundles: what goes in comes out, and what a stranger may put in does nothing."""

from __future__ import annotations

import io
import json
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from poseanimate.errors import BundleError, MotionError, PictureError, PoseAnimateError
from poseanimate.inputs.bundle import CLIP, FORMAT, JOB, LIMITS, MOTION, PICTURE, Bundle
from poseanimate.poses.keypoints import people_json
from poseanimate.poses.motion import load_preset
from poseanimate.settings import Settings


@cache
def bundle() -> Bundle:
    pixels = np.random.default_rng(0).integers(0, 256, (96, 64, 3), dtype=np.uint8)
    chosen = Settings(lambda_first=0.5, lambda_prev=0.3, lambda_self=0.2, frames=7)
    joints = people_json(load_preset("wave").poses[:1], 64, 96)
    return Bundle(
        pixels, load_preset("wave"), chosen, "a girl, “Zoë”", "models-1", joints, b"\0clip"
    )


def parts(**changed: bytes | None) -> dict[str, bytes]:
    """The parts of a good bundle, some changed or (None) left out; names with _ for the dot."""
    with zipfile.ZipFile(io.BytesIO(bundle().to_bytes())) as archive:
        found: dict[str, bytes | None] = {name: archive.read(name) for name in archive.namelist()}
    found |= {name.replace("_", "."): data for name, data in changed.items()}
    return {name: data for name, data in found.items() if data is not None}


def packed(parts: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return made.getvalue()


def job(**changed: object) -> bytes:
    return json.dumps(json.loads(parts()[JOB]) | changed).encode()


def with_settings(**changed: object) -> bytes:
    return job(settings=json.loads(parts()[JOB])["settings"] | changed)


def test_what_goes_in_comes_out() -> None:
    given_, found = bundle(), Bundle.from_bytes(bundle().to_bytes())
    assert np.array_equal(found.picture, given_.picture)
    assert found.motion.to_json() == given_.motion.to_json()
    assert (found.motion.name, found.motion.fps) == ("wave", given_.motion.fps)
    for name in ("settings", "prompt", "models", "joints", "clip"):
        assert getattr(found, name) == getattr(given_, name)


def test_equal_jobs_make_equal_files() -> None:
    assert bundle().to_bytes() == bundle().to_bytes()


def test_versions_are_told() -> None:
    told = json.loads(parts()[JOB])
    assert told["format"] == FORMAT and {"python", "torch", "diffusers"} <= set(told["versions"])


def test_a_bundle_without_a_clip_or_an_older_one_without_a_setting_will_do() -> None:
    older = json.loads(parts()[JOB])
    del older["settings"]["loop"]
    found = Bundle.from_bytes(packed(parts(clip_mp4=None, job_json=json.dumps(older).encode())))
    assert found.clip == b"" and found.settings == bundle().settings


def test_a_bundle_of_format_1_opens() -> None:
    """Written by the last program of format 1, from its preset `balanced` with five settings changed."""
    found = Bundle.from_bytes((Path(__file__).parent / "bundle-format-1.zip").read_bytes())
    expected = {
        "frames": 9,
        "lambda_first": 0.5,
        "lambda_prev": 0.3,
        "lambda_self": 0.2,
        "anchor": "pinned",
        "crop": False,
        "start": "inverted",
        "frame_masks": "skeleton",
        "mask_form": "hadamard",
    }
    assert found.settings == Settings.preset("balanced", "pocket").changed(expected)
    assert found.lost == ()
    assert found.picture.shape == (128, 128, 3) and len(found.motion.poses) == 16
    assert found.prompt == "a boy in a white shirt, on the street"
    again = Bundle.from_bytes(found.to_bytes())
    assert again.settings == found.settings and np.array_equal(again.picture, found.picture)


@pytest.mark.parametrize(
    ("old", "expected", "lost"),
    [
        ({}, {}, ()),
        ({"chunk_frames": 4}, {}, ()),
        ({"source_tolerance": 0.0, "mask_levels": 1}, {}, ()),
        ({"background": "blended"}, {"background": "sampled"}, ("background='blended'",)),
        (
            {"pose_optimiser": "adam", "source_share": 0.4},
            {},
            ("source_share=0.4", "pose_optimiser='adam'"),
        ),
        ({"baseline_attention": "cross_frame"}, {"baseline": "cross_frame"}, ()),
        (
            {
                "baseline_attention": "spatio_temporal",
                "image_prompt": 1.0,
                "dcam": False,
                "pacm_pose": False,
            },
            {"baseline": "ip_adapter", "dcam": False, "pacm_pose": False},
            (),
        ),
        (
            {"baseline_attention": "spatio_temporal", "image_prompt": 1.0},
            {"baseline": "ip_adapter"},
            ("image_prompt=1.0",),
        ),
        (
            {"image_prompt": 1.0, "pose_in_generation": True, "dcam": False},
            {"baseline": "ip_adapter", "dcam": False, "pacm_pose": False},
            ("pose_in_generation=True", "image_prompt=1.0"),
        ),
        ({"image_prompt": 0.5}, {"baseline": "ip_adapter"}, ("image_prompt=0.5",)),
    ],
    ids=str,
)
def test_settings_of_format_1_are_migrated_and_what_is_lost_is_named(
    old: dict[str, object], expected: dict[str, object], lost: tuple[str, ...]
) -> None:
    found = Bundle.from_bytes(packed(parts(job_json=job(format=1, settings=old))))
    assert found.lost == lost
    before = {"num_inference_steps": 15, "guidance_scale": 2.0, "frames": 24, "inner_steps": 3}
    before |= {"source_learning_rate": 0.003, "frame_masks": "skeleton"}
    assert found.settings == Settings().changed(before | expected)


@pytest.mark.parametrize(("eta", "expected"), [(1.0, 3e-4), (0, 0), (307.2, 0.1)])
def test_until_format_3_eta_belonged_to_the_mean(eta: float, expected: float) -> None:
    for number in (1, 2):
        old = job(format=number, settings={"pose_learning_rate": eta})
        found = Bundle.from_bytes(packed(parts(job_json=old)))
        assert found.settings.pose_learning_rate == pytest.approx(expected)
    huge = job(format=2, settings={"pose_learning_rate": 1e4})
    found = Bundle.from_bytes(packed(parts(job_json=huge)))
    assert found.lost == ("pose_learning_rate=10000.0",)
    assert found.settings.pose_learning_rate == 0.5
    today = job(format=3, settings={"pose_learning_rate": expected})
    assert Bundle.from_bytes(packed(parts(job_json=today))).settings.pose_learning_rate == expected


def big_picture() -> bytes:
    made = io.BytesIO()
    Image.new("1", (12_000, 12_000)).save(made, "PNG")
    return made.getvalue()


def encrypted() -> bytes:
    data = bytearray(packed({MOTION: b"", **parts()}))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := data.find(mark, at + 1)) >= 0:
            data[at + offset] |= 1
    return bytes(data)


def lying() -> bytes:
    """A bomb whose headers say that it is small."""
    data = bytearray(packed(parts(motion_json=b" " * (LIMITS[MOTION] + 5))))
    size = (LIMITS[MOTION] + 5).to_bytes(4, "little")
    return bytes(data.replace(size, (10).to_bytes(4, "little")))


def twice() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        for name, data in [*parts().items(), (JOB, b"{}")]:
            archive.writestr(name, data)
    return made.getvalue()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (lambda: b"", "no ZIP"),
        (lambda: b"PK\x03\x04" + bytes(200), "no ZIP"),
        (lambda: bundle().to_bytes()[:-40], "no ZIP"),
        (lambda: bytes(80_000_001), "80 are possible"),
        (lambda: packed(parts() | {"../../evil.py": b"x"}), "something else"),
        (lambda: packed(parts() | {"/etc/passwd": b"x"}), "something else"),
        (lambda: packed(parts() | {f"{i}": b"x" for i in range(5000)}), "something else"),
        (twice, "something else"),
        (lambda: packed(parts(motion_json=None)), "motion.json is missing"),
        (encrypted, "encrypted"),
        (lambda: packed(parts(), zipfile.ZIP_BZIP2), "unusual"),
        (lambda: packed(parts(motion_json=b" " * 100_000_000)), "larger than 32 MB"),
        (lambda: packed(parts(job_json=b" " * 200_001)), "larger than 0.2 MB"),
        (lying, "damaged|larger"),
        (lambda: packed(parts(job_json=b"[1, 2")), "no valid JSON"),
        (lambda: packed(parts(job_json=b"[" * 100_000)), "no valid JSON"),
        (lambda: packed(parts(job_json=b"\xff\xfe")), "no valid JSON"),
        (lambda: packed(parts(job_json=b"[]")), "doesn't say its format"),
        (lambda: packed(parts(job_json=job(format=FORMAT + 1))), "reads 1"),
        (lambda: packed(parts(job_json=job(prompt="a" * 2001))), "2000 characters"),
        (lambda: packed(parts(job_json=job(prompt=7))), "'prompt' is no text"),
        (lambda: packed(parts(job_json=job(prompt="\ud800"))), "'prompt' is no text"),
        (lambda: packed(parts(job_json=job(settings=[]))), "no object"),
        (lambda: packed(parts(job_json=with_settings(seed=float("nan")))), "NaN"),
        (lambda: packed(parts(job_json=with_settings(frames=10**30))), "frames"),
        (lambda: packed(parts(job_json=with_settings(__class__="x"))), "no setting"),
        (lambda: packed(parts(job_json=with_settings(frames={"a": 1}))), "frames"),
        (lambda: packed(parts(picture_png=b"hello")), "not a picture"),
        (lambda: packed(parts(picture_png=big_picture())), "too large"),
        (lambda: packed(parts(motion_json=b'{"frames": [{"people": NaN}]}')), "not a list"),
        (lambda: packed(parts(motion_json=b"\xff")), "no text"),
    ],
)  # fmt: skip
def test_attacks(data, says: str) -> None:
    with pytest.raises(PoseAnimateError, match=says) as caught:
        Bundle.from_bytes(data())
    assert caught.value.remedy


@given(place=st.floats(0, 0.9999), bytes_=st.binary(min_size=1, max_size=8))
@settings(max_examples=150, deadline=None)
def test_damage_is_never_anything_but_an_error_for_people(place: float, bytes_: bytes) -> None:
    data = bytearray(bundle().to_bytes())
    at = int(place * len(data))
    data[at : at + len(bytes_)] = bytes_
    try:
        found = Bundle.from_bytes(bytes(data))
    except (BundleError, PictureError, MotionError, PoseAnimateError):
        return
    assert np.array_equal(found.picture, bundle().picture)


def test_only_known_parts_have_limits() -> None:
    assert set(LIMITS) == {JOB, PICTURE, MOTION, CLIP}
