"""Cached results: what goes in comes out, damage is a miss, the size is kept to."""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from poseanimate.errors import CacheError
from poseanimate.storage.atomic import PART_SUFFIX
from poseanimate.storage.stage_cache import (
    MAX_BYTES,
    SIZE_VARIABLE,
    StageCache,
    content_key,
    default_size,
)

KEYS = [content_key(index) for index in range(8)]
SOME = {"z": np.arange(12, dtype=np.float32).reshape(3, 4), "i": np.array([7], np.int64)}


@pytest.fixture
def cache(tmp_path: Path) -> StageCache:
    return StageCache(tmp_path / "cache", max_bytes=1_000_000)


def same(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


arrays = st.sampled_from(["f2", "f4", "f8", "u1", "i8", "?"]).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=4))
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text("abz_.0é", min_size=1, max_size=5), arrays, max_size=3))
def test_round_trip(cache: StageCache, stored: dict[str, np.ndarray[Any, Any]]) -> None:
    cache.put(KEYS[0], stored)
    back = cache.get(KEYS[0])
    assert back is not None and back.keys() == stored.keys()
    assert all(same(back[name], array) for name, array in stored.items())


def test_any_memory_layout(cache: StageCache) -> None:
    base = np.arange(24, dtype=np.float32).reshape(4, 6)
    layouts = {"t": base.T, "s": base[::2, ::-1], "big": base.astype(">f4")}
    cache.put(KEYS[0], layouts)
    back = cache.get(KEYS[0])
    assert back is not None
    assert all(np.array_equal(back[name], array) for name, array in layouts.items())


def test_results_can_be_changed_without_harm(cache: StageCache) -> None:
    cache.put(KEYS[0], SOME)
    first = cache.get(KEYS[0])
    assert first is not None
    first["z"][:] = -1
    second = cache.get(KEYS[0])
    assert second is not None and same(second["z"], SOME["z"])


def test_miss_and_replacement(cache: StageCache) -> None:
    assert cache.get(KEYS[0]) is None
    cache.put(KEYS[0], SOME)
    cache.put(KEYS[0], {"other": np.zeros(2, np.uint8)})
    back = cache.get(KEYS[0])
    assert back is not None and list(back) == ["other"]
    assert len(cache.entries()) == 1


def test_a_second_object_finds_the_entries(cache: StageCache) -> None:
    cache.put(KEYS[0], SOME)
    assert StageCache(cache.folder, 1_000_000).get(KEYS[0]) is not None


def test_no_part_files_remain(cache: StageCache) -> None:
    cache.put(KEYS[0], SOME)
    assert [path.name for path in cache.folder.iterdir()] == [f"{KEYS[0]}.safetensors"]


def test_every_flipped_byte_is_noticed(cache: StageCache, caplog: pytest.LogCaptureFixture) -> None:
    cache.put(KEYS[0], SOME)
    path = cache.folder / f"{KEYS[0]}.safetensors"
    whole = path.read_bytes()
    for place in range(len(whole)):
        if whole[place] == 0x20:  # padding of the header: no content
            continue
        damaged = bytearray(whole)
        damaged[place] ^= 0x15
        path.write_bytes(damaged)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert cache.get(KEYS[0]) is None, place
        assert "damaged" in caplog.text
        assert not path.exists()


@pytest.mark.parametrize("length", [0, 5, 8, 100, -1])
def test_a_truncated_entry_is_a_miss(cache: StageCache, length: int) -> None:
    cache.put(KEYS[0], SOME)
    path = cache.folder / f"{KEYS[0]}.safetensors"
    path.write_bytes(path.read_bytes()[:length])
    assert cache.get(KEYS[0]) is None
    assert not path.exists()
    cache.put(KEYS[0], SOME)
    assert cache.get(KEYS[0]) is not None


def test_an_entry_under_a_wrong_name_is_a_miss(cache: StageCache) -> None:
    cache.put(KEYS[0], SOME)
    (cache.folder / f"{KEYS[0]}.safetensors").rename(cache.folder / f"{KEYS[1]}.safetensors")
    assert cache.get(KEYS[1]) is None


def test_least_recently_used_goes_first(tmp_path: Path) -> None:
    cache = StageCache(tmp_path, max_bytes=10**9)
    cache.put(KEYS[0], SOME)
    one = cache.size()
    cache = StageCache(tmp_path, max_bytes=3 * one)
    for age, key in enumerate(KEYS[:3]):
        cache.put(key, SOME)
        os.utime(tmp_path / f"{key}.safetensors", (1000 + age, 1000 + age))
    assert cache.get(KEYS[0]) is not None  # now the most recently used
    assert [entry.key for entry in cache.entries()] == [KEYS[0], KEYS[2], KEYS[1]]
    cache.put(KEYS[3], SOME)
    assert {entry.key for entry in cache.entries()} == {KEYS[0], KEYS[2], KEYS[3]}
    assert cache.size() == 3 * one
    assert cache.get(KEYS[1]) is None


def test_a_shrunk_cache_evicts_but_keeps_the_newest(tmp_path: Path) -> None:
    large = StageCache(tmp_path, max_bytes=10**9)
    for age, key in enumerate(KEYS[:5]):
        large.put(key, SOME)
        os.utime(tmp_path / f"{key}.safetensors", (1000 + age, 1000 + age))
    small = StageCache(tmp_path, max_bytes=large.size() // 5)
    small.put(KEYS[5], SOME)
    assert [entry.key for entry in small.entries()] == [KEYS[5]]


def test_the_new_entry_stays_even_when_others_claim_to_be_newer(tmp_path: Path) -> None:
    cache = StageCache(tmp_path, max_bytes=10**9)
    cache.put(KEYS[0], SOME)
    os.utime(tmp_path / f"{KEYS[0]}.safetensors", (2**33, 2**33))  # written under a wrong clock
    small = StageCache(tmp_path, max_bytes=cache.size())
    small.put(KEYS[1], SOME)
    assert [entry.key for entry in small.entries()] == [KEYS[1]]


def test_larger_than_the_cache_is_not_kept(tmp_path: Path) -> None:
    cache = StageCache(tmp_path, max_bytes=10_000)
    cache.put(KEYS[0], SOME)
    cache.put(KEYS[1], {"big": np.zeros(20_000, np.uint8)})
    assert [entry.key for entry in cache.entries()] == [KEYS[0]]


def test_clear_leaves_foreign_files_alone(cache: StageCache) -> None:
    foreign = ["thesis.safetensors", f"{KEYS[0]}.txt", "abc.safetensors"]
    for name in foreign:
        (cache.folder / name).write_text("precious")
    cache.put(KEYS[0], SOME)
    cache.put(KEYS[1], SOME)
    assert cache.clear() == 2
    assert cache.size() == 0 and cache.entries() == []
    assert sorted(path.name for path in cache.folder.iterdir()) == sorted(foreign)


def test_abandoned_parts_are_swept(cache: StageCache) -> None:
    old, fresh = (cache.folder / f"{name}{PART_SUFFIX}" for name in ("old", "fresh"))
    old.write_text("half")
    os.utime(old, (1000, 1000))
    fresh.write_text("being written by somebody")
    cache.put(KEYS[0], SOME)
    assert not old.exists() and fresh.exists()


@pytest.mark.parametrize(
    "key", ["", "../../etc/passwd", "a" * 15, "a" * 65, "g" * 64, "A" * 64, "a" * 64 + "\n", "a/b"]
)
def test_bad_keys(cache: StageCache, key: str) -> None:
    for call in (lambda: cache.get(key), lambda: cache.put(key, SOME)):
        with pytest.raises(CacheError, match="no cache key"):
            call()


def test_bad_arrays(cache: StageCache) -> None:
    for array in (np.array(["text"]), np.zeros(2, complex), np.array([None])):
        with pytest.raises(CacheError, match="of type"):
            cache.put(KEYS[0], {"x": array})
    assert cache.entries() == []


def test_unusable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/cache")):
        with pytest.raises(CacheError) as caught:
            StageCache(folder, 100)
        assert caught.value.remedy
    with pytest.raises(CacheError, match="size"):
        StageCache(tmp_path, -1)


def test_a_folder_that_is_swept_away_is_made_again(cache: StageCache) -> None:
    cache.put(KEYS[0], SOME)
    shutil.rmtree(cache.folder)
    assert cache.entries() == [] and cache.get(KEYS[0]) is None and cache.size() == 0
    cache.put(KEYS[1], SOME)
    assert [entry.key for entry in cache.entries()] == [KEYS[1]]


def test_a_full_disk(cache: StageCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(CacheError, match="No space"):
        cache.put(KEYS[0], SOME)
    assert list(cache.folder.iterdir()) == []


def _write_and_read(folder: Path, seed: int, failures: Any) -> None:
    cache = StageCache(folder, max_bytes=40_000)
    rng = np.random.default_rng(seed)
    for _ in range(60):
        which = int(rng.integers(len(KEYS)))
        key = KEYS[which]
        if rng.random() < 0.5:
            cache.put(key, {"x": np.full(2000 + which, which, np.float32)})
        else:
            back = cache.get(key)
            if back is not None and not np.array_equal(back["x"], np.full(2000 + which, which)):
                failures.put(key)
    if rng.random() < 0.5:
        cache.clear()


def test_two_processes_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    failures = context.Queue()
    workers = [
        context.Process(target=_write_and_read, args=(tmp_path, seed, failures)) for seed in (1, 2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert failures.empty()
    assert StageCache(tmp_path, 40_000).size() <= 40_000
    assert not list(tmp_path.glob(f"*{PART_SUFFIX}"))


# ------------------------------------------------------------------------------------- keys


def test_keys_tell_types_shapes_and_nesting_apart() -> None:
    x = np.arange(6, dtype=np.float32)
    parts: list[tuple[object, ...]] = [
        (),
        (1,), (1.0,), (True,), ("1",), (b"1",), (None,), (0,), (0.0,), (-0.0,), (False,), ("",),
        (b"",), ((),), ({},), ("None",),
        (1, 2), (2, 1), ((1, 2),), ((1,), 2), (1, (2,)), (12,), ("1", "2"), ("12",), ("1,2",),
        ("ab", "c"), ("a", "bc"),
        ({"a": 1},), ({"a": 1.0},), ({"b": 1},), ({"a": 1, "b": 2},), ({"a": 2, "b": 1},),
        ({"a": {"b": 1}},), (("a", 1),),
        (x,), (x.reshape(2, 3),), (x.reshape(3, 2),), (x.astype(np.float16),),
        (x.astype(np.float64),), (x.view(np.int32),), (x + 1,), (x.tobytes(),), (x[:5], x[5:]),
        (np.float32(1),), (np.array([1], np.float32),), (float("nan"),), (float("inf"),),
    ]  # fmt: skip
    keys = [content_key(*part) for part in parts]
    assert len(set(keys)) == len(parts)


def test_keys_ignore_memory_layout_and_dict_order() -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert content_key(x) == content_key(np.asfortranarray(x)) == content_key(x.astype(">f4"))
    assert content_key({"a": 1, "b": 2}) == content_key({"b": 2, "a": 1})
    assert content_key((1, "a")) == content_key([1, "a"])


def test_keys_are_the_same_in_every_run() -> None:
    key = content_key("inversion", 50, 7.5, True, None, (1, 2), {"a": np.zeros(2, np.float32)})
    assert key == "f9cb8f657273cd238bb4af8cbbc2cf3c03578954381297f6feef71525406fb22"


@given(st.lists(st.integers() | st.text() | st.floats(allow_nan=False) | st.binary(), max_size=4))
def test_any_change_changes_the_key(parts: list[Any]) -> None:
    key = content_key(*parts)
    assert len(key) == 64 and key == content_key(*parts)
    assert key != content_key(*parts, 0)
    if parts:
        assert key != content_key(*parts[:-1])


@pytest.mark.parametrize(
    "part", [object(), {1, 2}, {1: 2}, np.array([object()]), 1j, (1, [object()])]
)
def test_other_types_are_refused(part: object) -> None:
    with pytest.raises(CacheError, match="cache key"):
        content_key(part)


def test_the_size_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SIZE_VARIABLE, raising=False)
    assert default_size() == MAX_BYTES
    monkeypatch.setenv(SIZE_VARIABLE, "0.5")
    assert default_size() == 500_000_000
    for nonsense in ("-1", "much", "nan", "inf"):
        monkeypatch.setenv(SIZE_VARIABLE, nonsense)
        with pytest.raises(CacheError, match=SIZE_VARIABLE):
            default_size()
