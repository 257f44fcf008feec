"""Numbers by name that each worker adds to, in memory that all of them read.

Each worker has a region of its own: what it counts, it alone writes. Eight bytes are stored at once
(see ``serve.epoch``); where names come or go, the counter at the front of the region is odd, and a
reader looks again. A worker that takes the place of one that ended goes on from its numbers.

A region is: that counter, the bytes that are used, and entries. An entry is the size of its name,
the name, blanks up to a multiple of 8, and the number. All numbers but the last are whole.
"""

import mmap
import os
import struct
import threading
from collections.abc import Callable, Iterable, Mapping

from tagship.disk import scratch

Key = tuple[str, ...]  # a name and its labels, of which none has a line end

CAPACITY = 1 << 20  # bytes a worker: about 15,000 numbers; memory is only used as far as it is full
TRIES = 1000
_HEADER = 16
_SIZE = struct.Struct("=Q")
_NUMBER = struct.Struct("=d")


class Memory:
    """The regions of all workers.

    Args:
        workers: how many there are.
        descriptor: of what another process made, and a child inherits; None makes it.
    """

    def __init__(self, workers: int = 1, descriptor: int | None = None) -> None:
        total = workers * CAPACITY
        if descriptor is None:
            with scratch.file() as file:
                descriptor = os.dup(file.fileno())
            os.ftruncate(descriptor, total)
        self.descriptor = descriptor
        view = memoryview(mmap.mmap(descriptor, total))
        self.regions = tuple(view[at : at + CAPACITY] for at in range(0, total, CAPACITY))

    def read(self) -> list[dict[Key, float]]:
        """The numbers of each worker, as they are now."""
        return [read(region) for region in self.regions]


class Tallies:
    """The numbers of this worker; threads may add at the same time.

    Args:
        region: its memory. What a worker before it left there is kept.
    """

    def __init__(self, region: memoryview) -> None:
        self._region = region
        self._whole, self._numbers = region.cast("Q"), region.cast("d")
        self._lock = threading.Lock()
        self._places: dict[Key, int] = {}
        self._write(read(region))

    def add(self, *amounts: tuple[Key, float]) -> None:
        """Add to some numbers; a new one begins with 0. Without room for a new one it is lost."""
        places, numbers = self._places, self._numbers
        with self._lock:
            for key, amount in amounts:
                place = places.get(key)
                if place is None and (place := self._new(key)) is None:
                    continue
                numbers[place] += amount

    def get(self, key: Key) -> float:
        """A number; 0 where there is none."""
        with self._lock:
            place = self._places.get(key)
            return 0.0 if place is None else self._numbers[place]

    def names(self) -> list[Key]:
        """The names of all of them."""
        with self._lock:
            return list(self._places)

    def drop(self, is_over: Callable[[Key], bool]) -> None:
        """Forget some numbers."""
        with self._lock:
            kept = {key: self._numbers[place] for key, place in self._places.items()
                    if not is_over(key)}  # fmt: skip
            if len(kept) < len(self._places):
                self._write(kept)

    def _new(self, key: Key) -> int | None:
        used = int(self._whole[1])
        entry = _entry(key, 0.0)
        if used + len(entry) > len(self._region):
            return None
        self._region[used : used + len(entry)] = entry
        self._whole[1] = used + len(entry)  # from here on it counts
        self._places[key] = (used + len(entry)) // 8 - 1
        return self._places[key]

    def _write(self, numbers: Mapping[Key, float]) -> None:
        """Begin the region anew with these numbers."""
        turn = int(self._whole[0]) | 1
        self._whole[0] = turn
        self._places, used = {}, _HEADER
        for key, number in numbers.items():
            entry = _entry(key, number)
            self._region[used : used + len(entry)] = entry
            used += len(entry)
            self._places[key] = used // 8 - 1
        self._whole[1] = used
        self._whole[0] = turn + 1


def read(region: memoryview) -> dict[Key, float]:
    """The numbers of a region.

    Empty where its worker was ended while it wrote names, until another takes its place.
    """
    turns, whole = memoryview(region).cast("Q"), b""
    for _ in range(TRIES):
        turn, used = int(turns[0]), int(turns[1])
        whole = bytes(region[: min(used, len(region))])
        if turn % 2 == 0 and turns[0] == turn:
            return dict(_entries(whole))
    return {}


def _entry(key: Key, number: float) -> bytes:
    name = "\n".join(key).encode()
    padded = name + b" " * (-len(name) % 8)
    return _SIZE.pack(len(name)) + padded + _NUMBER.pack(number)


def _entries(data: bytes) -> Iterable[tuple[Key, float]]:
    at = _HEADER
    while at < len(data):
        (size,) = _SIZE.unpack_from(data, at)
        name = data[at + 8 : at + 8 + size].decode()
        at += 8 + size + -size % 8
        yield tuple(name.split("\n")), _NUMBER.unpack_from(data, at)[0]
        at += 8
