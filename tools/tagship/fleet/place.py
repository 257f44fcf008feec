"""Where the status objects of all hosts are: a folder that they share, or a bucket.

Each is a small file ``<model>/<host>.json``. Others write there too: what is read is bounded in its
count, its bytes and its time, and a file of any other name is not opened.
"""

import os
import stat
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote

from tagship.carry import reach
from tagship.carry.reach import Advice
from tagship.disk import atomic
from tagship.errors import Refused, TagshipError, Unavailable
from tagship.fleet import at_once
from tagship.fleet.status_object import READ
from tagship.registry import refs
from tagship.stores.failures import Kind
from tagship.stores.store import Store
from tagship.stores.stream import Allowance, TooLong
from tagship.text import redact
from tagship.workspace import reports

SUFFIX = ".json"
MOST = 20_000  # objects that are read: 1,000 hosts with 20 models
ODD = 20  # names of files that are none of them, told by name
PUT, READ_ALL = 20.0, 60.0  # seconds in all
GETS = 16  # at a time
TIMES = {"connect_timeout": 5.0, "read_timeout": 10.0}
TRIES, IN_ALL = 3, timedelta(seconds=15)
ADVICE = Advice(
    "docs/fleet.md",
    "in [report.options]",
    "hosts need the right to write there, readers to list and read",
)


class Name(NamedTuple):
    """Of which model and of which host an object is."""

    model: str
    host: str

    @property
    def key(self) -> str:
        """Its path below the place."""
        return f"{refs.folder_name(self.model)}/{self.host}{SUFFIX}"


class Entry(NamedTuple):
    """An object as it is listed: its key, its bytes, and when it was written there."""

    key: str
    size: int
    written: datetime


class Place(Protocol):
    """Where status objects are."""

    @property
    def title(self) -> str:
        """Its address, as it is shown."""

    def entries(self) -> Iterable[Entry]:
        """What is there, of any name."""

    def get(self, key: str) -> bytes:
        """An object; one that is longer than ``READ`` bytes by one byte more than that.

        Raises:
            FileNotFoundError: it is gone.
        """

    def put(self, key: str, data: bytes) -> None:
        """Write an object: it appears whole, or not at all."""


@dataclass(frozen=True)
class Found:
    """A status object as it was found; ``problem`` says why its bytes are not here."""

    name: Name
    data: bytes
    written: datetime
    problem: str = ""


@dataclass(frozen=True)
class Contents:
    """What is in a place.

    Attributes:
        objects: of the models that were asked for.
        names: of all objects, of other models too.
        odd: names of files that are no status object.
        is_cut: there are more than ``MOST``.
    """

    objects: tuple[Found, ...] = ()
    names: frozenset[Name] = frozenset()
    odd: tuple[str, ...] = ()
    is_cut: bool = False


def of(address: str, options: Mapping[str, Any]) -> Place:
    """A place; it is not asked yet.

    Args:
        address: a folder, or ``s3://``, ``gs://`` or ``azure://``.
        options: DVC's of a remote there.

    Raises:
        Refused: it is no such address, or an option has no counterpart.
        Unavailable: the package that reaches it is not installed.
    """
    if "://" not in address:
        return Folder(Path(address))
    if not reports.check_place(address):
        what = f"no status objects can be in {redact.text(address)}"
        raise Refused(what, "give a folder, or s3://BUCKET/PREFIX, gs:// or azure://")
    store = reach.store(address, options)
    return Bucket(replace(store, times={**TIMES, **store.times}, tries=TRIES, in_all=IN_ALL),
                  redact.text(address))  # fmt: skip


@dataclass(frozen=True)
class Folder:
    """A folder that all hosts mount."""

    path: Path

    @property
    def title(self) -> str:
        """As ``Place``."""
        return str(self.path)

    def entries(self) -> Iterator[Entry]:
        """As ``Place``; links are not followed."""
        with os.scandir(self.path) as models:
            for model in models:
                if model.is_dir(follow_symlinks=False):
                    yield from self._of_model(model.name)

    def _of_model(self, model: str) -> Iterator[Entry]:
        with os.scandir(self.path / model) as files:
            for file in files:
                if file.is_file(follow_symlinks=False):
                    status = file.stat(follow_symlinks=False)
                    written = datetime.fromtimestamp(max(status.st_mtime, 0), UTC)
                    yield Entry(f"{model}/{file.name}", status.st_size, written)

    def get(self, key: str) -> bytes:
        """As ``Place``; what is no regular file by now is not waited for."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        with open(os.open(self.path / key, flags), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise FileNotFoundError(key)
            return file.read(READ + 1)

    def put(self, key: str, data: bytes) -> None:
        """As ``Place``; the folder itself must be there, as it may be one that is mounted.

        Raises:
            Unavailable: it is not.
        """
        if not self.path.is_dir():
            where = f"mount it, or make it: mkdir -p {self.path}"
            raise Unavailable(f"{self.path} is not there", where)
        target = self.path / key
        atomic.make_folder(target.parent)
        if target.parent.is_symlink():
            raise Unavailable(f"{target.parent} is a link", f"rm {target.parent}")
        atomic.write(target, data)


@dataclass(frozen=True)
class Bucket:
    """A bucket of S3, Google Cloud Storage or Azure, below a prefix."""

    store: Store
    title: str

    def entries(self) -> Iterator[Entry]:
        """As ``Place``."""
        return (Entry(*each) for each in self.store.entries())

    def get(self, key: str) -> bytes:
        """As ``Place``."""
        try:
            return b"".join(self.store.blocks(key, Allowance(READ)))
        except TooLong:
            return bytes(READ + 1)

    def put(self, key: str, data: bytes) -> None:
        """As ``Place``."""
        self.store.write(key, data)


# --- what others wrote


def parse(key: str) -> Name | None:
    """Of which model and host an object is, by its path below the place; None if it is none."""
    folder, slash, file = key.partition("/")
    model, host = unquote(folder), file.removesuffix(SUFFIX)
    if not slash or not file.endswith(SUFFIX) or not reports.is_host(host):
        return None
    if not refs.is_model(model) or refs.folder_name(model) != folder:
        return None
    return Name(model, host)


def read(
    place: Place, models: Collection[str] | None = None, seconds: float = READ_ALL
) -> Contents:
    """The status objects in a place.

    Args:
        place: where they are.
        models: those to read; None for all.
        seconds: for all of it.

    Raises:
        Unavailable: it cannot be listed; what of it cannot be read is told in its place.
    """
    listed = at_once.ask(lambda _: _listed(place), [0], seconds).get(0)
    if isinstance(listed, Exception) or listed is None:
        raise unavailable(place, listed, "read")
    entries, odd, is_cut = listed
    chosen = [name for name in entries if models is None or name.model in models]
    fits = [name for name in chosen if entries[name].size <= READ]
    answers = at_once.ask(lambda name: place.get(name.key), fits, seconds, GETS)
    objects = (_found(place, name, entries[name], answers.get(name)) for name in sorted(chosen))
    return Contents(
        tuple(each for each in objects if each), frozenset(entries), tuple(odd[:ODD]), is_cut
    )


def _listed(place: Place) -> tuple[dict[Name, Entry], list[str], bool]:
    entries: dict[Name, Entry] = {}
    odd: list[str] = []
    for count, entry in enumerate(place.entries()):
        if count >= MOST:
            return entries, odd, True
        name = parse(entry.key)
        if name is not None:
            entries[name] = entry
        elif not atomic.is_temporary(entry.key.rpartition("/")[2]):
            odd.append(entry.key[:200])
    return entries, odd, False


def _found(
    place: Place, name: Name, entry: Entry, answer: bytes | Exception | None
) -> Found | None:
    if entry.size > READ:
        return Found(name, b"", entry.written, f"it has more than {READ} bytes")
    if isinstance(answer, FileNotFoundError):  # it went meanwhile
        return None
    if isinstance(answer, bytes):
        return Found(name, answer, entry.written)
    why = (
        "it was not read in time" if answer is None else unavailable(place, answer, "read").message
    )
    return Found(name, b"", entry.written, why)


def put(place: Place, objects: Mapping[Name, bytes]) -> dict[Name, TagshipError]:
    """Write status objects, each by one request. Where the first fails, the others are not tried.

    Returns:
        Why some were not written.
    """

    def write(name: Name) -> None:
        place.put(name.key, objects[name])

    names, end = list(objects), time.monotonic() + PUT
    answers = at_once.ask(write, names[:1], PUT)
    if list(answers.values()) == [None]:
        answers |= at_once.ask(write, names[1:], end - time.monotonic())
    else:
        answers = dict.fromkeys(names, next(iter(answers.values()), TimeoutError()))
    failed = {name: answers.get(name, TimeoutError()) for name in names}
    return {name: unavailable(place, why, "written") for name, why in failed.items() if why}


def unavailable(place: Place, error: Exception | None, done: str) -> TagshipError:
    """Why a place could not be read, or written to."""
    if isinstance(error, FileNotFoundError) and isinstance(place, Folder):
        return Unavailable(f"{place.title} is not there", f"ls -ld {place.title}")
    if error is None or isinstance(error, TimeoutError):
        what = f"{place.title} did not answer in time"
        return Unavailable(what, ADVICE.hint(Kind.UNREACHABLE))
    return reach.unavailable(place.title, error, done, ADVICE)
