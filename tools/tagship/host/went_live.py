"""Which event made a version directory live: read from the end of the history, not all of it.

A program that serves asks each time it looks, and a history of 10,000 events has 6 MB.
"""

import contextlib
import functools
import os
from dataclasses import dataclass, replace
from pathlib import Path

from tagship.errors import Corrupt, TagshipError
from tagship.host import actions, history, journal
from tagship.host.history import Event
from tagship.host.journal import Intent, Past
from tagship.host.store import Store
from tagship.text import clock, escape

_FIRST_LOOK = 8 << 10  # bytes at the end: a dozen events
_MORE = 16  # times as many at each further look


@dataclass(frozen=True)
class Moment:
    """When a directory went live: the number of the event in the history, and the time in UTC.

    ``id``: of the event; empty where it is not known.
    """

    seq: int
    since: str
    id: str = ""


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
    with contextlib.suppress(TagshipError, OSError):
        # the intent before the history: a run writes them the other way round
        intent = _intent(store, directory) if store.has_intent else None
        recorded = of_history(store.folder / history.FILE_NAME, directory)
        if intent is not None and (recorded is None or recorded.id != intent.event.id):
            past = journal.events(store)
            if past.has(intent.event.id):  # it was recorded meanwhile
                recorded = of_history(store.folder / history.FILE_NAME, directory)
            else:
                recorded = _foreseen(past, intent)
        return recorded or at_deploy
    return at_deploy


def _intent(store: Store, directory: str) -> Intent | None:
    """The open intent, where it is that of the switch to a directory which is live now."""
    intent = None
    with contextlib.suppress(TagshipError, OSError):
        intent = journal.intent(store)
    if intent is None or intent.event.action not in actions.SWITCHES:
        return None
    before = intent.event.previous
    was_live = before is not None and before.directory == directory  # then the link does not tell
    is_of_it = intent.event.directory == directory and not was_live and intent.is_live(store)
    return intent if is_of_it else None


def _foreseen(past: Past, intent: Intent) -> Moment:
    """The event of an intent, with the number that it is going to have in the history."""
    rejected = intent.rejected
    rank = 2 if rejected is not None and not past.has(rejected.id) else 1
    return _moment_of(replace(intent.event, seq=past.last_seq + rank))


def of_history(path: Path, directory: str) -> Moment | None:
    """When a directory went live last, by a history; None where that does not say it.

    Raises:
        Corrupt: it cannot be read.
    """
    length = _FIRST_LOOK
    while True:
        data, is_whole = _end(path, length)
        moment = _in(path, data, is_whole, directory)
        if moment is not None:
            return moment
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
def _in(path: Path, data: bytes, is_whole: bool, directory: str) -> Moment | None:
    """The same by the end of a history, as far as that is written as tagship writes it."""
    with contextlib.suppress(Corrupt):
        return _last(journal.end_of(path, data, is_whole=is_whole), directory)
    return None


def _last(past: Past, directory: str) -> Moment | None:
    key = b'"directory": %b' % escape.json(directory).encode()
    for _, event in past.last(key):
        if event.switched and event.directory == directory:
            return _moment_of(event)
    return None


def _moment_of(event: Event) -> Moment:
    with contextlib.suppress(Corrupt):
        return Moment(event.seq, clock.stamp(history.moment_of(event)), event.id)
    return Moment(event.seq, event.at, event.id)
