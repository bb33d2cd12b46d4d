"""Files out of a wheel that pip fetches; the package index is a folder with a wheel made here."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poseanimate.errors import ModelsError
from poseanimate.models import wheel as module
from poseanimate.models.blazepose.files import MEDIAPIPE
from poseanimate.models.wheel import Member, Wheel, default_folder, fetch_members

NETWORK, LICENCE = b"a network" * 1000, b"a licence"
ABOUT = "Metadata-Version: 2.1\nName: tiny\nVersion: 1.2\nRequires-Dist: numpy<2\n"
TAG = "cp39-cp39-manylinux_2_28_x86_64"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for the package index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    return folder


def publish(index: Path) -> Wheel:
    """Puts a wheel into the index, for a Python that doesn't run here and with a requirement that doesn't fit."""
    path = index / f"tiny-1.2-{TAG}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tiny/net.tflite", NETWORK)
        archive.writestr("tiny-1.2.dist-info/LICENSE", LICENCE)
        archive.writestr("tiny-1.2.dist-info/METADATA", ABOUT)
        archive.writestr("tiny-1.2.dist-info/WHEEL", f"Wheel-Version: 1.0\nTag: {TAG}\n")
        archive.writestr("tiny-1.2.dist-info/RECORD", "")
    content = path.read_bytes()
    return Wheel(
        name="tiny",
        version="1.2",
        sha256=sha256(content),
        size=len(content),
        python="3.9",
        abi="cp39",
        platform="manylinux_2_28_x86_64",
        members={
            "net.tflite": Member("tiny/net.tflite", len(NETWORK), sha256(NETWORK)),
            "LICENSE": Member("tiny-1.2.dist-info/LICENSE", len(LICENCE), sha256(LICENCE)),
        },
    )


def test_the_members_are_kept_whatever_python_runs(index: Path, tmp_path: Path) -> None:
    messages: list[str] = []
    folder = fetch_members(publish(index), on_message=messages.append)
    assert folder == tmp_path / "caches" / "poseanimate" / "networks" / "tiny-1.2"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "net.tflite": NETWORK,
        "LICENSE": LICENCE,
    }
    assert messages == ["Fetching 0 MB of tiny from the package index."]
    assert list(folder.parent.iterdir()) == [folder]


def test_kept_members_need_no_index(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = publish(index)
    folder = fetch_members(wheel, tmp_path / "kept")
    monkeypatch.setattr(module, "_download", None)
    assert fetch_members(wheel, tmp_path / "kept", pytest.fail) == folder


@pytest.mark.parametrize("damage", [b"", NETWORK[:-1] + b"!", None])
def test_damaged_and_missing_members_are_fetched_again(
    index: Path, tmp_path: Path, damage: bytes | None
) -> None:
    wheel = publish(index)
    path = fetch_members(wheel, tmp_path / "kept") / "net.tflite"
    path.unlink() if damage is None else path.write_bytes(damage)
    fetch_members(wheel, tmp_path / "kept")
    assert path.read_bytes() == NETWORK


def refused(wheel: Wheel, folder: Path) -> str:
    with pytest.raises(ModelsError) as caught:
        fetch_members(wheel, folder)
    assert not folder.exists()
    assert "another detector" in caught.value.remedy
    return caught.value.message


def test_without_the_index_there_is_a_sentence(index: Path, tmp_path: Path) -> None:
    wheel = publish(index)
    (index / f"tiny-1.2-{TAG}.whl").unlink()
    message = refused(wheel, tmp_path / "kept")
    assert message.startswith("tiny 1.2 can't be fetched (") and "tiny==1.2" in message


def test_a_wheel_with_another_hash_is_refused(index: Path, tmp_path: Path) -> None:
    message = refused(replace(publish(index), sha256="0" * 64), tmp_path / "kept")
    assert "can't be fetched" in message


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (Member("tiny/net.tflite", len(NETWORK) - 1, sha256(NETWORK)), "another size"),
        (Member("tiny/net.tflite", len(NETWORK), "0" * 64), "another content"),
        (Member("tiny/other.tflite", len(NETWORK), sha256(NETWORK)), "other.tflite is missing"),
    ],
)
def test_other_members_are_refused(index: Path, tmp_path: Path, member: Member, words: str) -> None:
    assert words in refused(
        replace(publish(index), members={"net.tflite": member}), tmp_path / "kept"
    )


def test_a_large_wheel_is_not_opened(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WHEEL_BYTES", 100)
    assert "larger than" in refused(publish(index), tmp_path / "kept")


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.floats(0, 0.999), damage=st.binary(min_size=1, max_size=40), inserted=st.booleans())
def test_damage_to_a_wheel_is_never_anything_but_a_models_error(
    place: float, damage: bytes, inserted: bool, index: Path, tmp_path: Path
) -> None:
    wheel = publish(index)
    data = bytearray(next(index.iterdir()).read_bytes())
    start = int(place * len(data))
    data[start : start if inserted else start + len(damage)] = damage
    path = tmp_path / "damaged.whl"
    path.write_bytes(data)
    try:
        contents = module._read_members(path, wheel)
    except ModelsError as error:
        assert str(error).isprintable() and error.remedy.endswith(".")
    else:
        assert contents == {"net.tflite": NETWORK, "LICENSE": LICENCE}


def test_a_folder_that_cannot_be_written_to_gets_a_sentence(index: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelsError, match="can't be kept"):
        fetch_members(publish(index), tmp_path / "file" / "kept")


def test_the_pinned_wheel_brings_its_licence() -> None:
    assert set(MEDIAPIPE.members) > {"LICENSE"}
    assert default_folder(MEDIAPIPE).name == f"mediapipe-{MEDIAPIPE.version}"
    assert sum(member.size for member in MEDIAPIPE.members.values()) < MEDIAPIPE.size
