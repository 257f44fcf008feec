"""Bytes as they arrive: counted, cut off at what was promised, large objects in ranges. Pure.

What a store says of an object (its size, its ranges) is what the other side says: only the bytes
that arrive are counted, and only their digests, which the caller compares, decide.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Future

BLOCK = 1 << 20  # bytes of a block of a large object at least, but for the last one
SMALL = 1 << 18  # and of a small one: many of those are in transfer at a time
LARGE = 64 << 20  # bytes from which on an object may be fetched in ranges
RANGE = 2 << 20  # bytes of a range: CONNECTIONS and SPARE of them are in memory, twice
CONNECTIONS = 10  # a far store gives each connection a share of what the wire can carry
SPARE = 2  # ranges that are ready or asked for, so that no connection waits for whoever hashes
FAST = 100e6  # bytes in a second: a connection that gives so many needs no others
SLACK = 0.5  # seconds that it may be late by in each WINDOW bytes: either side may be busy
WINDOW = 64 << 20


class TooLong(Exception):
    """More bytes arrived than were promised."""


class Stopped(Exception):
    """Nobody wants the bytes any more."""


@dataclass
class Allowance:
    """How many bytes of an object may arrive: any thread may take of it.

    Attributes:
        most: bytes.
        stop: is set once nobody wants them any more.
        shared: what several objects may have together.
    """

    most: int
    stop: threading.Event = field(default_factory=threading.Event)
    shared: "Allowance | None" = None
    taken: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def left(self) -> int:
        """Bytes that may still arrive."""
        left = self.most - self.taken
        return left if self.shared is None else min(left, self.shared.left)

    def take(self, count: int) -> None:
        """Take bytes that arrived; none, to ask whether anybody still wants them.

        Raises:
            TooLong: more than were left.
            Stopped: as it says.
        """
        if self.stop.is_set():
            raise Stopped
        if self.shared is not None:
            self.shared.take(count)
        with self._lock:
            self.taken += count
            if self.taken > self.most:
                raise TooLong

    def give_back(self) -> None:
        """All that arrived came for nothing: it is asked for again."""
        with self._lock:
            taken, self.taken = self.taken, 0
        if self.shared is not None:
            with self.shared._lock:  # noqa: SLF001 - of the same class
                self.shared.taken -= taken

    def limit(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Blocks as they arrive, until they are too many.

        Raises:
            TooLong, Stopped: as for ``take``.
        """
        for block in blocks:
            self.take(len(block))
            yield block


def check(size: int, allowance: Allowance) -> None:
    """Refuse an object that is said to be longer than may arrive, before it is asked for.

    Raises:
        TooLong: as it says.
    """
    if size > allowance.left:
        raise TooLong


class Timed:
    """Blocks of one connection, until it is slower than ``FAST``.

    Attributes:
        done: bytes that came.
    """

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks, self.done = blocks, 0

    def __iter__(self) -> Iterator[bytes]:
        """Blocks until they are late, or there are no more."""
        waited, arrived = 0.0, 0
        while waited <= arrived / FAST + SLACK:
            if arrived >= WINDOW:  # only what it does now counts
                waited, arrived = 0.0, 0
            asked = monotonic()
            block = next(self._blocks, None)
            if block is None:
                return
            waited += monotonic() - asked
            arrived += len(block)
            self.done += len(block)
            yield block

    def rest(self) -> Iterator[bytes]:
        """The blocks that follow, however slow."""
        return self._blocks


def in_ranges(start: int, end: int, fetch: Callable[[int, int], list[bytes]]) -> Iterator[bytes]:
    """The bytes of an object from ``start`` to ``end``, in order, over several connections.

    Args:
        start: the first byte.
        end: the byte after the last.
        fetch: gets a range, from its first byte to the one after its last.
    """
    from concurrent.futures import ThreadPoolExecutor  # most objects are small

    ahead: deque[Future[list[bytes]]] = deque()
    pool = ThreadPoolExecutor(CONNECTIONS)
    try:
        for first in range(start, end, RANGE):
            if len(ahead) == CONNECTIONS + SPARE:
                yield from ahead.popleft().result()
            ahead.append(pool.submit(fetch, first, min(first + RANGE, end)))
        while ahead:
            yield from ahead.popleft().result()
    finally:  # nobody waits for a connection that may be silent
        pool.shutdown(wait=False, cancel_futures=True)
