"""Iterators in threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseanimate.evaluation.together import iterate_together

JOBS = st.lists(st.lists(st.integers(), max_size=5), max_size=6)


@settings(max_examples=30)
@given(JOBS, st.integers(1, 4))
def test_every_item_comes_once_and_each_jobs_in_its_order(
    jobs: list[list[int]], at_once: int
) -> None:
    named = [iter([(job, item) for item in items]) for job, items in enumerate(jobs)]
    seen = list(iterate_together(named, at_once))
    for job, items in enumerate(jobs):
        assert [item for name, item in seen if name == job] == items
    assert len(seen) == sum(map(len, jobs))


def test_jobs_do_go_on_at_once() -> None:
    both = threading.Barrier(2, timeout=60)

    def meet() -> Iterator[int]:
        yield both.wait()

    assert sorted(iterate_together([meet(), meet()], 2)) == [0, 1]


@pytest.mark.parametrize("at_once", [1, 2])
def test_an_error_ends_all(at_once: int) -> None:
    def fail() -> Iterator[int]:
        yield 1
        raise ValueError("no")

    def count() -> Iterator[int]:
        n = 0
        while True:
            yield (n := n + 1)

    with pytest.raises(ValueError, match="no"):
        list(iterate_together([fail(), count()], at_once))


def test_a_closed_one_stops_its_jobs() -> None:
    def count() -> Iterator[int]:
        n = 0
        while True:
            yield (n := n + 1)

    together = iterate_together([count() for _ in range(3)], 2)
    assert next(together) == 1
    together.close()  # type: ignore[attr-defined]
