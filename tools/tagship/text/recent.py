"""What was read or parsed lately, kept within bounds."""

from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """The values that were used last, by a key that stands for the same value forever.

    Args:
        most: the sum of all weights; what was not used for longest goes first. A value that weighs
            more is not kept, and drives out no other.
    """

    def __init__(self, most: int) -> None:
        self._most, self._weight = most, 0
        self._values: dict[K, tuple[V, int]] = {}  # the one used last is the last
        self._lock = Lock()

    def get(self, key: K, make: Callable[[], tuple[V, int]]) -> V:
        """The value of a key; ``make`` gives it and its weight where it is not kept."""
        with self._lock:
            if key in self._values:
                self._values[key] = kept = self._values.pop(key)
                return kept[0]
        value, weight = make()
        if weight > self._most:
            return value
        with self._lock:
            self._weight += weight - self._values.pop(key, (value, 0))[1]
            self._values[key] = (value, weight)
            while self._weight > self._most:
                self._weight -= self._values.pop(next(iter(self._values)))[1]
        return value
