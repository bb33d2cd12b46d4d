"""What was used last, kept in memory up to a size."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


def _one(_: object) -> int:
    return 1


class Recent(Generic[Key, Value]):
    """Forgets what was used longest ago first; several threads may use it.

    Args:
        most: the size of all values together; a single one is kept whatever its size.
        size: of a value, which must not change while it is kept; if None, each counts one.
    """

    def __init__(self, most: int, size: Callable[[Value], int] | None = None) -> None:
        self._most, self._size = most, size or _one
        self._kept: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self.total = 0  # of the sizes
        self._lock = threading.Lock()

    def get(self, key: Key) -> Value | None:
        """The value, now the one used last; None if it isn't kept."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def put(self, key: Key, value: Value) -> None:
        """Keeps a value, instead of a former one."""
        with self._lock:
            self._take(key)
            self._kept[key] = value, self._size(value)
            self.total += self._kept[key][1]
            while self.total > self._most and len(self._kept) > 1:
                self._take(next(iter(self._kept)))

    def forget(self, key: Key) -> None:
        """Keeps a value no longer."""
        with self._lock:
            self._take(key)

    def _take(self, key: Key) -> None:
        _, size = self._kept.pop(key, (None, 0))
        self.total -= size
