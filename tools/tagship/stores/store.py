"""A store of objects: S3, Google Cloud Storage, Azure or HTTP, by obstore.

obstore is the Rust crate object_store: it signs requests, keeps connections, repeats what failed
and goes on where a transfer was cut. What it gives is neither trusted nor kept: blocks are counted
and hashed by whoever takes them.
"""

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tagship.progress import Advance
from tagship.stores import failures, keys, regions, stream
from tagship.stores.failures import Kind, StoreError
from tagship.stores.options import Plan
from tagship.stores.stream import Allowance

# A store that answers 429 or 5xx is asked again after 1, 2, 4, ... seconds, some six times.
FIRST, MOST, TRIES = timedelta(seconds=1), timedelta(seconds=30), 6
IN_ALL = timedelta(minutes=5)
PART = 8 << 20  # bytes of a part of an upload
PARTS = 4  # in transfer at a time
PAGE = 1000  # objects that S3 lists at a time
T = TypeVar("T")
SILENCE = 20  # seconds: a connection is given up, and the rest asked for on another one


class Entry(NamedTuple):
    """What a store lists of an object: its key, its bytes, and when it was written there."""

    key: str
    size: int
    written: datetime


class Outdated(Exception):
    """The object is another one by now, or is not there, or is there where none should be."""


class Marked(NamedTuple):
    """A small object: its bytes, and the mark of what is there now."""

    data: bytes
    mark: str


@dataclass(frozen=True)
class Store:
    """The objects of one remote, by their keys.

    Attributes:
        plan: how it is reached.
        times: ``connect_timeout`` and ``read_timeout`` in seconds, where the remote has its own.
        tries, in_all: how often, and for how long, it is asked again where it has too much to do.
    """

    plan: Plan
    times: Mapping[str, float]
    tries: int = TRIES
    in_all: timedelta = IN_ALL
    # one large object at a time: its ranges fill the memory that there is for this, and the wire
    _large: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)

    def blocks(self, key: str, allowance: Allowance) -> Iterator[bytes]:
        """An object from its first byte to its last; a large one over several connections.

        Args:
            key: the object.
            allowance: how many bytes may arrive.

        Raises:
            FileNotFoundError: there is no such object.
            StoreError: the store does not give it.
            TooLong, Stopped: as for ``Allowance.take``.
        """
        with _failures():
            whole, size = self._get(key, allowance)
            if size < stream.LARGE:
                yield from allowance.limit(whole.stream(stream.SMALL))
                return
            if not (is_first := self._large.acquire(blocking=False)):
                del whole  # a silent connection would be closed meanwhile
                self._large.acquire()
            try:
                if not is_first:
                    whole, size = self._get(key, allowance)
                yield from self._over_all(key, size, whole.stream(stream.BLOCK), allowance)
            finally:
                self._large.release()

    def _get(self, key: str, allowance: Allowance) -> tuple[Any, int]:
        """Ask for an object: what gives its bytes, and how many the store says there are."""
        import obstore

        allowance.take(0)
        whole = self._ask(lambda client: obstore.get(client, key))
        size = int(whole.meta["size"])
        stream.check(size, allowance)
        return whole, size

    def _over_all(
        self, key: str, size: int, begun: Iterator[bytes], allowance: Allowance
    ) -> Iterator[bytes]:
        """A stream that has begun, as long as it is fast; the rest in ranges, where there are."""
        one = stream.Timed(allowance.limit(begun))
        yield from one
        if one.done >= size:
            return
        ranges = self._ranges(key, one.done, size, allowance)
        try:
            first = next(ranges)
        except StoreError as error:
            if error.kind is not Kind.NO_RANGES:
                raise
            yield from one.rest()
            return
        del one, begun  # ends the first connection
        yield first
        yield from ranges

    def _ranges(self, key: str, start: int, end: int, allowance: Allowance) -> Iterator[bytes]:
        import obstore

        def fetch(first: int, last: int) -> list[bytes]:
            of_range = Allowance(last - first)
            with _failures():
                part = obstore.get(self._client, key, options={"range": (first, last)})
                blocks = list(allowance.limit(of_range.limit(part.stream(stream.RANGE))))
            if of_range.left > 0:
                raise StoreError(Kind.BROKEN_OFF, "a range is too short")
            return blocks

        return stream.in_ranges(start, end, fetch)

    def size(self, key: str) -> int | None:
        """The bytes of an object, as the store says; None where there is none.

        Raises:
            StoreError: the store does not say.
        """
        import obstore

        with _failures():
            try:
                return int(self._ask(lambda client: obstore.head(client, key))["size"])
            except FileNotFoundError as error:
                if failures.of(error).kind is Kind.NO_BUCKET:
                    raise
                return None

    def put(self, key: str, source: Path, advance: Advance) -> None:
        """Send a file: it appears whole, or not at all; a large one in parts.

        Raises:
            StoreError: the store does not take it.
        """
        import obstore

        with _failures(), open(source, "rb") as file:
            is_large = source.stat().st_size > PART
            obstore.put(
                self._client, key, _counted(file, advance) if is_large else file.read(),
                chunk_size=PART, max_concurrency=PARTS,
            )  # fmt: skip
            if not is_large:
                advance(source.stat().st_size)

    def write(self, key: str, data: bytes) -> None:
        """Write a small object: it appears whole, or not at all.

        Raises:
            StoreError: the store does not take it.
        """
        import obstore

        with _failures():
            self._ask(lambda client: obstore.put(client, key, data))

    def changed(self, key: str, mark: str, allowance: Allowance) -> Marked | None:
        """A small object, by one request; None where it is the one with this mark.

        Args:
            key: the object.
            mark: of what was read before; empty for nothing.
            allowance: how many bytes may arrive.

        Raises:
            FileNotFoundError: there is no such object.
            StoreError: the store does not give it.
            TooLong, Stopped: as for ``Allowance.take``.
        """
        import obstore
        from obstore.exceptions import NotModifiedError

        tag = _parts(mark)["e_tag"]
        options: Any = {"if_none_match": tag} if tag and not tag.startswith(_OWN) else None
        allowance.take(0)
        with _failures():
            try:
                answer = self._ask(lambda client: obstore.get(client, key, options=options))
            except NotModifiedError:
                return None
            stream.check(int(answer.meta["size"]), allowance)
            data = b"".join(allowance.limit(answer.stream(stream.SMALL)))
        now = _mark(answer.meta, data)
        return None if now == mark else Marked(data, now)

    def replace(self, key: str, data: bytes, mark: str) -> None:
        """Write a small object, if the one that is there still has this mark.

        Args:
            key: the object.
            data: its bytes.
            mark: empty where there should be none.

        Raises:
            Outdated: there is another one.
            StoreError: the store does not take it; NO_CONDITIONS: it takes no conditions.
            FileNotFoundError: there is none any more.
        """
        import obstore

        if mark.startswith(_OWN):
            raise StoreError(Kind.NO_CONDITIONS)
        mode: Any = _parts(mark) if mark else "create"
        try:
            with _failures(), _conditions():
                self._ask(lambda client: obstore.put(client, key, data, mode=mode))
        except StoreError as error:
            if error.detail.startswith(_NOT_IMPLEMENTED):
                raise StoreError(Kind.NO_CONDITIONS) from None
            raise

    def entries(self) -> Iterator[Entry]:
        """All objects, in the pages in which the store lists them.

        Raises:
            StoreError: the store does not list them.
        """
        import obstore

        with _failures():
            first, rest = self._ask(lambda client: _begun(obstore.list(client, chunk_size=PAGE)))
            for page in itertools.chain(first, rest):
                for each in page:
                    yield Entry(each["path"], int(each["size"]), each["last_modified"])

    def _ask(self, question: Callable[[Any], T]) -> T:
        """Ask; a bucket that is in another region is looked for once, and asked there."""
        from obstore.exceptions import BaseError

        try:
            return question(self._client)
        except BaseError as error:
            if failures.of(error).kind is not Kind.REGION or self.plan.scheme != "s3":
                raise
            region = regions.of_bucket(self.plan.place, self.plan.config.get("endpoint"))
            if region is None or region == self.plan.config.get("region"):
                raise
            config = {**self.plan.config, "region": region}
            moved = replace(self, plan=replace(self.plan, config=config))
            self.__dict__["_client"] = moved._client  # noqa: SLF001 - of the same class
            return question(self._client)

    @cached_property
    def _client(self) -> Any:
        from obstore import store

        plan = self.plan
        made: dict[str, Any] = {
            "client_options": {
                "connect_timeout": timedelta(seconds=self.times.get("connect_timeout", 10)),
                "read_timeout": timedelta(seconds=self.times.get("read_timeout", SILENCE)),
                "timeout": timedelta(days=30),  # of a whole transfer, however large
                **plan.client,
            },
            "retry_config": {
                "max_retries": self.tries, "retry_timeout": self.in_all,
                "backoff": {"init_backoff": FIRST, "max_backoff": MOST, "base": 2},
            },
        }  # fmt: skip
        if plan.scheme == "http":
            return store.HTTPStore(plan.place, **made)
        config = dict(plan.config)
        kinds: dict[str, Any] = {
            "s3": store.S3Store, "gs": store.GCSStore, "azure": store.AzureStore,
        }  # fmt: skip
        if plan.scheme == "s3" and not config.get("skip_signature"):
            made["credential_provider"] = provider = keys.provider(config, plan.profile)
            if plan.profile and "endpoint" in config and provider()["token"]:
                raise StoreError(Kind.REDIRECT)  # as ``options.plan`` says of keys that it sees
        prefix = plan.prefix or None
        return kinds[plan.scheme](plan.place, prefix=prefix, config=config, **made)


def _begun(pages: Iterable[T]) -> tuple[list[T], Iterator[T]]:
    """The first page, in a list, and those that follow: asking for it is what may fail."""
    rest = iter(pages)
    return list(itertools.islice(rest, 1)), rest


_NOT_IMPLEMENTED = "501"  # of HTTP: what S3 and others answer to a header that they do not know
_OWN = "sha256:"  # of a mark for a store that gives none


def _mark(meta: Any, data: bytes) -> str:
    """What tells one state of an object from another: its ETag; Google counts generations too."""
    if not meta["e_tag"]:
        import hashlib  # few stores give none

        return _OWN + hashlib.sha256(data).hexdigest()
    return f"{meta['e_tag']} {meta['version'] or ''}".strip()


def _parts(mark: str) -> dict[str, str]:
    """A mark in the words of obstore."""
    tag, _, version = mark.partition(" ")
    return {"e_tag": tag, "version": version} if version else {"e_tag": tag}


def _counted(file: Any, advance: Advance) -> Iterator[bytes]:
    while block := file.read(PART):
        yield block
        advance(len(block))


@contextlib.contextmanager
def _conditions() -> Iterator[None]:
    """Say that a store takes none: in a question for a range, the same means that it has none."""
    from obstore.exceptions import NotSupportedError

    try:
        yield
    except NotSupportedError:
        raise StoreError(Kind.NO_CONDITIONS) from None


@contextlib.contextmanager
def _failures() -> Iterator[None]:
    """Turn what obstore raises into what it means."""
    from obstore.exceptions import (
        AlreadyExistsError,
        BaseError,
        PreconditionError,
    )

    try:
        yield
    except (AlreadyExistsError, PreconditionError):
        raise Outdated from None
    except FileNotFoundError as error:
        known = failures.of(error)
        if known.kind is Kind.NO_BUCKET:
            raise known from None
        raise FileNotFoundError from None
    except BaseError as error:
        raise failures.of(error) from None
