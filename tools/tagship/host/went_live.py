"""Which event made a version directory live: read from the end of the history, not all of it.

A program that serves asks each time it looks, and a history of 10,000 events has 6 MB.
"""

import contextlib
import functools
import os
from dataclasses import dataclass, replace
from pathlib import Path

from tagship.errors import Corrupt, TagshipError
from tagship.host import history, journal
from tagship.host.history import Event
from tagship.host.journal import Intent, Past
from tagship.host.store import Store
from tagship.text import clock, escape

_FIRST_LOOK = 8 << 10  # bytes at the end: a dozen events
_MORE = 16  # times as many at each further look


@dataclass(frozen=True)
class Moment:
    """When a directory went live: the number of the event in the history, and the time in UTC."""

    seq: int
    since: str


def moment(store: Store, directory: str, at_deploy: Moment) -> Moment:
    """When a directory went live last.

    A run that was killed after the switch, or is about to record it, left its event in the open
    intent: it counts, with the number that recovery gives it. What the history does not say, or
    cannot be read in it, is as the directory's own metadata have it.

    Args:
        store: the model's folder.
        directory: a name below versions/.
        at_deploy: of the deploy that made the directory.
    """
    try:
        intent = journal.intent(store)  # before the history: a run writes them the other way round
    except (TagshipError, OSError):
        intent = None
    try:
        event = _open(store, intent, directory) if intent is not None else None
        event = event or last_switch(store.folder / history.FILE_NAME, directory)
    except (TagshipError, OSError):
        event = None
    return at_deploy if event is None else _moment_of(event)


def _open(store: Store, intent: Intent, directory: str) -> Event | None:
    """The event of an open intent that made a directory live and is not in the history yet."""
    event = intent.event
    before = event.previous.directory if event.previous else None
    if not intent.awaits_verdict and intent.rejected is None:
        return None
    if event.directory != directory or before == directory:  # then the link does not tell
        return None
    past = journal.events(store)
    if past.has(event.id):
        return None
    rejected = intent.rejected
    rank = 2 if rejected is not None and not past.has(rejected.id) else 1
    return replace(event, seq=past.last_seq + rank, status=history.SUCCEEDED)


def last_switch(path: Path, directory: str) -> Event | None:
    """The last event in a history that made a directory live; None if there is none.

    Raises:
        Corrupt: it cannot be read.
    """
    length = _FIRST_LOOK
    while True:
        data, is_whole = _end(path, length)
        event = _in(path, data, is_whole, directory)
        if event is not None:
            return event
        if is_whole:  # none; or it is not as tagship writes it
            return _last(journal.read(path), directory)
        length *= _MORE


def _end(path: Path, length: int) -> tuple[bytes, bool]:
    """So many bytes at the end of a file, and whether that is all of it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return b"", True
    try:
        size = os.fstat(descriptor).st_size
        return os.pread(descriptor, length, max(0, size - length)), size <= length
    finally:
        os.close(descriptor)


@functools.lru_cache(8)  # of the models that a program serves
def _in(path: Path, data: bytes, is_whole: bool, directory: str) -> Event | None:
    """The same in the end of a history, as far as that is written as tagship writes it."""
    with contextlib.suppress(Corrupt):
        return _last(journal.end_of(path, data, is_whole=is_whole), directory)
    return None


def _last(past: Past, directory: str) -> Event | None:
    key = b'"directory": %b' % escape.json(directory).encode()
    for _, event in past.last(key):
        if event.switched and event.directory == directory:
            return event
    return None


def _moment_of(event: Event) -> Moment:
    with contextlib.suppress(Corrupt):
        return Moment(event.seq, clock.stamp(history.moment_of(event)))
    return Moment(event.seq, event.at)
