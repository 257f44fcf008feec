"""The file deployment_history.json: read where it is asked, and added to.

After years it has megabytes, and a command asks about its last events, or about those of one
version. A mark beside it, in the form of sha256sum(1), has the digest of what was written last: of
a file that is still the same, each event is read when it is asked for. Any other file is read
whole, and refused where it is no history. Without the mark all is as it was, and slower.
"""

import contextlib
import functools
import hashlib
import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, overload

from tagship.disk import atomic
from tagship.errors import Corrupt
from tagship.host import history
from tagship.host.history import Event, Place
from tagship.host.store import PRIVATE, Store
from tagship.text import escape, json_reader

MARK = "history.sha256"
RACY = 100_000_000  # ns after a change in which a file may change again, and its times not tell
_AT_ONCE = 256  # events that are read at a time, where all are wanted
_FIRST, _NEXT, _LAST = b"[\n  {\n", b"\n  },\n  {\n", b"\n  }\n]\n"  # around events, as written


class Past(Sequence[Event]):
    """Events, oldest first. To look at one may raise Corrupt: it may not be read before."""

    @property
    @abstractmethod
    def texts(self) -> Sequence[bytes]:
        """What stands between the braces of each event, as ``append`` writes it."""

    @property
    @abstractmethod
    def last_seq(self) -> int:
        """The highest number that an event has; 0 where there is none."""

    @abstractmethod
    def about(self, *names: str) -> Sequence[Event]:
        """At least the events with one of these for an id, a version, or a directory."""

    def has(self, identity: str) -> bool:
        """Whether an event has this id."""
        return any(event.id == identity for event in self.about(identity))


class _Whole(Past):
    """Events that were all read, from a file of whatever form."""

    def __init__(self, data: bytes) -> None:
        values = json_reader.parse(data)
        self._data, self._events = data, json_reader.array(Event)(values)

    def __len__(self) -> int:
        return len(self._events)

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Event]: ...
    def __getitem__(self, index: int | slice) -> Event | Sequence[Event]:
        return self._events[index]

    @property
    def texts(self) -> Sequence[bytes]:
        return _split(escape.json(json_reader.parse(self._data)).encode() + b"\n")

    @property
    def last_seq(self) -> int:
        return max((event.seq for event in self._events), default=0)

    def about(self, *_: str) -> Sequence[Event]:
        return self._events


class _Marked(Past):
    """Events of a file that ``append`` wrote."""

    def __init__(self, texts: Sequence[bytes], path: Path) -> None:
        self._texts, self._path = texts, path

    def __len__(self) -> int:
        return len(self._texts)

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Event]: ...
    def __getitem__(self, index: int | slice) -> Event | Sequence[Event]:
        if isinstance(index, slice):
            return _Marked(self._texts[index], self._path)
        (event,) = self._read([self._texts[index]])
        return event

    def __iter__(self) -> Iterator[Event]:
        for start in range(0, len(self._texts), _AT_ONCE):
            yield from self._read(self._texts[start : start + _AT_ONCE])

    def _read(self, texts: Sequence[bytes]) -> list[Event]:
        try:
            data = b"[%b]" % b",".join(b"{%b}" % text for text in texts)
            found = json_reader.array(Event)(json_reader.parse(data, shallow=False))
            if len(found) != len(texts):
                raise ValueError("it is several")
        except ValueError as error:  # who can change the file can change the mark
            raise Corrupt(
                f"{self._path} is no readable history: an event: {error}", _hint(self._path)
            ) from None
        return found

    @property
    def texts(self) -> Sequence[bytes]:
        return self._texts

    @property
    def last_seq(self) -> int:
        return self[-1].seq if self else 0  # numbered by append

    def about(self, *names: str) -> Sequence[Event]:
        found: set[int] = set()
        for wanted in [escape.json(name).encode() for name in names]:
            found.update(index for index, text in enumerate(self._texts) if wanted in text)
        return self._read([self._texts[index] for index in sorted(found)])


def read(path: Path) -> Past:
    """All events, oldest first; none where there is no file yet.

    Raises:
        Corrupt: the file is no JSON array of events.
    """
    try:
        found = path.stat()
        if time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns) < RACY:
            return _read(path)
        return _read_once(path, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    except FileNotFoundError:
        return _Marked((), path)
    except OSError:  # not to be looked at, then not to be read either
        return _read(path)


@functools.lru_cache(1)
def _read_once(path: Path, *_: int) -> Past:
    """The same, as long as the file is the same: a deploy asks several times."""
    return _read(path)


def _read(path: Path) -> Past:
    def past(data: bytes) -> Past:
        return _Marked(_split(data), path) if _is_marked(path, data) else _Whole(data)

    return atomic.read_file(path, past, "history", _hint(path))


def _hint(path: Path) -> str:
    return f"mend it, or begin a new one: mv {path} {path}.broken"


def append(path: Path, *new: Event) -> Past:
    """Write new events behind those that the file holds, numbered on, durably; all of them.

    The mark is not made durable: where it does not fit, the history is read whole.

    Raises:
        Corrupt: the file is no JSON array of events. It is left alone.
    """
    past = read(path)
    numbered = [replace(event, seq=past.last_seq + number) for number, event in enumerate(new, 1)]
    added = escape.json([event.to_json() for event in numbered]).encode() + b"\n"
    texts = [*past.texts, *_split(added)]
    data = _FIRST + _NEXT.join(texts) + _LAST if texts else added
    atomic.write(path, data)
    with contextlib.suppress(OSError):
        atomic.write(_mark(path), _told(data), durable=False)
    return _Marked(texts, path)


def _split(data: bytes) -> list[bytes]:
    """The events' texts in an array as ``controls.json`` writes it, with a line end."""
    inner = data.removeprefix(_FIRST).removesuffix(_LAST)
    return inner.split(_NEXT) if len(inner) < len(data) else []


def _is_marked(path: Path, data: bytes) -> bool:
    try:
        told = _mark(path).read_bytes()
    except OSError:
        return False
    return told == _told(data) and data.startswith(_FIRST) and data.endswith(_LAST)


def _mark(path: Path) -> Path:
    return path.parent / PRIVATE / MARK


def _told(data: bytes) -> bytes:
    return f"{hashlib.sha256(data).hexdigest()}  ../{history.FILE_NAME}\n".encode()


def events(store: Store) -> Past:
    """The history of a model on this host."""
    return read(store.folder / history.FILE_NAME)


@dataclass(frozen=True)
class _Written:
    """An intent as its file holds it."""

    event: Event
    creates: bool


@dataclass(frozen=True)
class Intent:
    """What a run was about to do.

    Attributes:
        event: what the history would have said.
        place: the version that it would have made live, and its directory.
        creates: whether it makes the directory.
    """

    event: Event
    place: Place
    creates: bool

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read the object.

        Raises:
            ValueError: a field is missing, or of another type.
        """
        written = json_reader.read(_Written, value)
        if written.event.place is None:
            raise ValueError("event.directory is missing")
        return cls(written.event, written.event.place, written.creates)


def intent(store: Store) -> Intent | None:
    """What a killed run was about to do with a model on this host; usually None.

    Raises:
        Corrupt: it cannot be read.
    """
    return store.intent(Intent.from_json)


def record(store: Store, *new: Event) -> Past:
    """Append to the history of a model on this host."""
    return append(store.folder / history.FILE_NAME, *new)
