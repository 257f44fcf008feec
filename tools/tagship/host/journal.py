"""The file deployment_history.json: read as far as is needed, and appended to.

With 10,000 events (6 MB) it takes longer to parse them all than to roll back. So
``.tagship/history.sha256`` keeps the digest of the history as tagship wrote it last, in the form of
sha256sum(1). While the digest matches, only the events that are asked for are parsed. Any other
file, such as one that somebody edited, is parsed and checked whole. The digest is not needed, it
only saves time.
"""

import contextlib
import functools
import hashlib
import re
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, overload

from tagship.disk import atomic
from tagship.errors import Corrupt, Forbidden
from tagship.host import actions, history
from tagship.host.history import Event, Place
from tagship.host.link import LinkState
from tagship.host.store import PRIVATE, Store
from tagship.registry import refs
from tagship.text import escape, json_reader

MARK = "history.sha256"
RACY = 100_000_000  # ns in which a file can change twice, and have the same times
_VERSION = re.compile(rb'"version": "([^"\\]+)"')
_CHUNK = 256  # events that are parsed at a time when all are read
_FIRST, _NEXT, _LAST = b"[\n  {\n", b"\n  },\n  {\n", b"\n  }\n]\n"  # around events, as written


class Past(Sequence[Event]):
    """Events, oldest first. Each is parsed when it is asked for, which may raise Corrupt.

    Args:
        path: the file.
        texts: what is between the braces of each event, as ``append`` writes it.
        highest_seq: the highest number of an event, where they are not in order.
    """

    def __init__(self, path: Path, texts: Sequence[bytes], highest_seq: int = 0) -> None:
        self.texts = texts
        self._path, self._highest_seq = path, highest_seq

    def __len__(self) -> int:
        return len(self.texts)

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Event]: ...
    def __getitem__(self, index: int | slice) -> Event | Sequence[Event]:
        if isinstance(index, slice):
            return Past(self._path, self.texts[index])
        (event,) = self._parse([self.texts[index]])
        return event

    def __iter__(self) -> Iterator[Event]:
        for start in range(0, len(self.texts), _CHUNK):
            yield from self._parse(self.texts[start : start + _CHUNK])

    @property
    def last_seq(self) -> int:
        """The highest number that an event has; 0 if there is none."""
        return max(self._highest_seq, self[-1].seq) if self else 0

    def about(self, *names: str) -> Sequence[Event]:
        """All events with one of these as id, version or directory; perhaps others too."""
        indices: set[int] = set()
        for name in [escape.json(name).encode() for name in names]:
            indices.update(index for index, text in enumerate(self.texts) if name in text)
        return self._parse([self.texts[index] for index in sorted(indices)])

    def last(self, *parts: bytes | tuple[bytes, ...]) -> Iterator[tuple[int, Event]]:
        """The events whose text has one of these parts, with their indices, the last one first.

        A tuple is found where all of it is. An event is parsed when it is asked for. No value can
        look like a name and its value: JSON escapes the quotes in it.
        """
        alternatives = [part if isinstance(part, tuple) else (part,) for part in parts]
        for end in range(len(self.texts), 0, -_CHUNK):
            start = max(0, end - _CHUNK)
            together = b"\0".join(self.texts[start:end])
            if not _has(together, alternatives):  # thousands of events are passed over
                continue
            for index in range(end - 1, start - 1, -1):
                if _has(self.texts[index], alternatives):
                    yield index, self[index]

    def versions(self) -> set[str]:
        """Every version that an event names; no event is parsed for it."""
        named = {match[1].decode() for text in self.texts for match in _VERSION.finditer(text)}
        return {version for version in named if refs.is_version(version)}

    def before(self, identity: str) -> "Past":
        """The events before the one of this id; all of them where there is none."""
        key = b'"id": %b' % escape.json(identity).encode()
        index = next((index for index, _ in self.last(key)), len(self))
        return Past(self._path, self.texts[:index])

    def has(self, identity: str) -> bool:
        """Whether an event has this id."""
        return any(event.id == identity for event in self.about(identity))

    def _parse(self, texts: Sequence[bytes]) -> list[Event]:
        try:
            data = b"[%b]" % b",".join(b"{%b}" % text for text in texts)
            events = json_reader.array(Event)(json_reader.parse(data, shallow=False))
            if len(events) != len(texts):
                raise ValueError("it is several")
        except ValueError as error:  # who can change the file can change its digest too
            raise Corrupt(
                f"{self._path} is not a valid history file: an event: {error}", _hint(self._path)
            ) from None
        return events


def _has(text: bytes, alternatives: Sequence[tuple[bytes, ...]]) -> bool:
    return any(all(part in text for part in parts) for parts in alternatives)


def read(path: Path) -> Past:
    """All events, oldest first; none if there is no file yet.

    Raises:
        Corrupt: the file is not a JSON array of events.
    """
    try:
        status = path.stat()
        if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) < RACY:
            return _read(path)
        return _read_once(
            path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        )
    except FileNotFoundError:
        return Past(path, ())
    except OSError:  # if it has no readable status, reading it gives the error
        return _read(path)


@functools.lru_cache(1)
def _read_once(path: Path, *_: int) -> Past:
    """``_read``, once while the file does not change: a deploy asks several times."""
    return _read(path)


def _read(path: Path) -> Past:
    return atomic.read_file(path, lambda data: _parse(path, data), "history", _hint(path))


def _parse(path: Path, data: bytes) -> Past:
    if _is_marked(path, data):
        return Past(path, _split(data))
    value = json_reader.parse(data)
    events = json_reader.array(Event)(value)
    texts = _split(escape.json(value).encode() + b"\n")
    return Past(path, texts, max((event.seq for event in events), default=0))


def _hint(path: Path) -> str:
    quoted = shlex.quote(str(path))
    return f"fix it, or start a new one: mv {quoted} {quoted}.broken"


def append(path: Path, *new: Event) -> Past:
    """Add new events at the end, and number them; durably. Returns all events.

    The digest is not made durable: if it does not match, the history is read whole.

    Raises:
        Corrupt: the file is not a JSON array of events, or would not be one. It is not changed.
    """
    past = read(path)
    numbered = [replace(event, seq=past.last_seq + number) for number, event in enumerate(new, 1)]
    _check_readable(path, [event.to_json() for event in numbered], json_reader.array(Event))
    texts = [*past.texts, *past_of(numbered).texts]
    data = _FIRST + _NEXT.join(texts) + _LAST if texts else b"[]\n"
    atomic.write(path, data)
    with contextlib.suppress(OSError):
        atomic.write(_mark(path), _checksum(data), durable=False)
    return Past(path, texts)


def _check_readable(path: Path, value: Any, read: Callable[[Any], object]) -> None:
    """What nobody could read again is not written: every later command would refuse to work.

    Raises:
        Corrupt: it would not be readable.
    """
    try:
        read(json_reader.parse(escape.json(value).encode(), shallow=False))
    except ValueError as error:
        raise Corrupt(f"{path} cannot have such an entry: {error}") from None


def past_of(events: Sequence[Event]) -> Past:
    """Events that are in no file yet."""
    data = escape.json([event.to_json() for event in events]).encode() + b"\n"
    return Past(Path(history.FILE_NAME), _split(data))


def _split(data: bytes) -> list[bytes]:
    """The text of each event, from an array as ``append`` writes it."""
    inner = data.removeprefix(_FIRST).removesuffix(_LAST)
    return inner.split(_NEXT) if len(inner) < len(data) else []


def end_of(path: Path, data: bytes, *, is_whole: bool) -> Past:
    """The events in the last bytes of a history; none where they are not as ``append`` writes it.

    Args:
        path: of the history.
        data: the bytes; the first event is left out, unless they are all of the file.
        is_whole: whether they are.
    """
    if not data.endswith(_LAST) or (is_whole and not data.startswith(_FIRST)):
        return Past(path, ())
    texts = data.removeprefix(_FIRST).removesuffix(_LAST).split(_NEXT)
    return Past(path, texts if is_whole else texts[1:])


def _is_marked(path: Path, data: bytes) -> bool:
    try:
        checksum = _mark(path).read_bytes()
    except OSError:
        return False
    return checksum == _checksum(data) and data.startswith(_FIRST) and data.endswith(_LAST)


def _mark(path: Path) -> Path:
    return path.parent / PRIVATE / MARK


def digest_file(store: Store) -> Path:
    """The file with the digest of the history, which may be removed at any time."""
    return _mark(store.folder / history.FILE_NAME)


def _checksum(data: bytes) -> bytes:
    return f"{hashlib.sha256(data).hexdigest()}  ../{history.FILE_NAME}\n".encode()


def events(store: Store) -> Past:
    """The history of a model on this host."""
    return read(store.folder / history.FILE_NAME)


@dataclass(frozen=True)
class _Written:
    """An intent as in its file."""

    event: Event
    creates: bool
    assignments: tuple[str, ...] = ()
    rejected: Event | None = None
    unchecked: Any = None


@dataclass(frozen=True)
class Intent:
    """What a run is doing, or was doing when it was killed.

    That of a switch stays open until the check of what is live now has a verdict.

    Attributes:
        event: the event that it records.
        creates: whether it makes the directory.
        assignments: the ids of the tag objects that assign the version to a stage.
        rejected: the event of a failed check, which this rollback follows from.
        unchecked: the switch to what is live, whose check had no verdict when this began.
    """

    event: Event
    creates: bool = False
    assignments: tuple[str, ...] = ()
    rejected: Event | None = None
    unchecked: "Intent | None" = None

    @property
    def place(self) -> Place | None:
        """The version that the event is about, and its directory; None for an undeploy."""
        return self.event.place

    @property
    def awaits_verdict(self) -> bool:
        """Whether what it makes live is checked then: not what a failed check goes back to."""
        return self.event.action in actions.SWITCHES and self.rejected is None

    def is_live(self, store: Store) -> bool:
        """Whether ``current`` leads to its version."""
        return self.place is not None and store.link().directory == self.place.directory

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read the object.

        Raises:
            ValueError: a field is missing, or of another type.
        """
        written = json_reader.read(_Written, value)
        if written.event.place is None and written.event.action != actions.UNDEPLOY:
            raise ValueError("event.directory is missing")
        before = None if written.unchecked is None else cls.from_json(written.unchecked)
        return cls(
            written.event, written.creates, written.assignments, written.rejected, before
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """The object as in its file."""
        return {
            "event": self.event.to_json(),
            "creates": self.creates,
            "assignments": list(self.assignments),
            "rejected": self.rejected.to_json() if self.rejected else None,
            "unchecked": self.unchecked.to_json() if self.unchecked else None,
        }


def intent(store: Store) -> Intent | None:
    """What a run is doing, or was doing when it was killed, with a model on this host.

    Raises:
        Corrupt: it cannot be read.
    """
    return store.intent(Intent.from_json)


def unchecked(store: Store, intent: Intent | None) -> Intent | None:
    """The switch to what is live, where its check has no verdict yet: of an open intent."""
    if intent is None:
        return None
    if intent.awaits_verdict and intent.is_live(store):
        return replace(intent, unchecked=None)
    return unchecked(store, intent.unchecked)


def open_intent(store: Store, intent: Intent) -> None:
    """Write down, durably, what is about to be done.

    Raises:
        Corrupt: nobody could read it again, nor the event that it becomes.
    """
    written = intent.to_json()
    _check_readable(store.intent_file, written, Intent.from_json)
    store.open_intent(written)


def close_intent(store: Store, unchecked: Intent | None) -> None:
    """What was begun is done; what it found ``unchecked`` stays so, if that is live still."""
    if unchecked is not None and unchecked.is_live(store):
        open_intent(store, unchecked)
    else:
        store.close_intent()


def record(store: Store, *new: Event) -> Past:
    """Append to the history of a model on this host."""
    return append(store.folder / history.FILE_NAME, *new)


def foreseen(store: Store) -> Past:
    """The history, with the event of a killed run that was done, as recovery will record it.

    Recovery needs the lock. What is decided before, as in a plan, is decided from this. An intent
    that cannot be read is told by recovery, and by ``status``.
    """
    past, left = events(store), None
    with contextlib.suppress(Corrupt, Forbidden, OSError):
        left = intent(store)
    if left is None or not _is_done(store, left) or past.has(left.event.id):
        return past
    event = replace(left.event, seq=past.last_seq + 1, status=history.SUCCEEDED)
    return Past(store.folder / history.FILE_NAME, [*past.texts, *past_of([event]).texts])


def _is_done(store: Store, left: Intent) -> bool:
    """Whether a killed run came to its commit point: the link says it."""
    link = store.link()
    if left.place is None:  # an undeploy
        return link.state is LinkState.NONE
    return link.directory == left.place.directory
