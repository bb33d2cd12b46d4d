"""What was used last is kept, up to a size."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from poseanimate.storage.recent import Recent

MOST = 10
KEYS = st.integers(0, 5)
CALLS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, st.text(max_size=14)),
        st.tuples(st.just("get"), KEYS, st.just("")),
        st.tuples(st.just("forget"), KEYS, st.just("")),
    )
)


@given(CALLS)
def test_it_keeps_what_a_plain_list_in_order_of_use_would(
    calls: Sequence[tuple[str, int, str]],
) -> None:
    recent = Recent[int, str](MOST, len)
    kept: list[tuple[int, str]] = []  # used longest ago first
    for call, key, value in calls:
        former = dict(kept).get(key)
        kept = [each for each in kept if each[0] != key]
        if call == "put":
            recent.put(key, value)
            kept.append((key, value))
            while len(kept) > 1 and sum(len(each) for _, each in kept) > MOST:
                kept.pop(0)
        elif call == "get":
            assert recent.get(key) == former
            kept += [] if former is None else [(key, former)]
        else:
            recent.forget(key)
        assert recent.total == sum(len(each) for _, each in kept)
    assert [recent.get(key) for key in range(6)] == [dict(kept).get(key) for key in range(6)]


def test_without_a_size_each_counts_one() -> None:
    recent = Recent[int, str](2)
    for key in range(3):
        recent.put(key, "x" * 100)
    assert [recent.get(key) for key in range(3)] == [None, "x" * 100, "x" * 100]
