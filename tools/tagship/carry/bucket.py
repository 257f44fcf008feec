"""A carrier in a bucket of S3, Google Cloud Storage or Azure; and one that HTTP gives, to read."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path

from tagship.carry import carrier, reach
from tagship.carry.carrier import LARGEST_INDEX, Changed, Index, Name, Object
from tagship.carry.reach import Advice
from tagship.errors import Refused
from tagship.progress import Advance
from tagship.stores.failures import Kind, StoreError
from tagship.stores.store import Outdated, Store
from tagship.stores.stream import Allowance, TooLong

TRIES, IN_ALL = 2, timedelta(seconds=20)
ADVICE = Advice(
    "docs/carriers.md",
    "among the options of the remote",
    "who releases needs the right to read and write there, hosts to read",
)


@dataclass(frozen=True)
class Bucket:
    """A bucket, below a prefix: the place of a DVC remote.

    Attributes:
        store: reaches it.
        title: its address, as it is shown.
    """

    store: Store
    title: str

    @cached_property
    def _quick(self) -> Store:
        """The same for small things: a host that does not reach it goes on without."""
        return replace(self.store, tries=TRIES, in_all=IN_ALL)

    def index(self, model: str, seen: str = "") -> Index | None:
        """As ``Carrier``; the mark is the ETag of the index."""
        with self._asked("read"):
            try:
                allowance = Allowance(LARGEST_INDEX)
                answer = self._quick.changed(carrier.index_path(model), seen, allowance)
            except FileNotFoundError:
                return Index()
        return Index(*answer) if answer else None

    def write_index(self, model: str, data: bytes, before: str) -> None:
        """As ``Carrier``.

        Some stores take no condition, and others take it and do not look at it. So it is read back:
        of two who write at the same time, the one whose index is gone sees that.
        """
        key = carrier.index_path(model)
        self.check_takes()
        if len(data) > LARGEST_INDEX:
            raise TooLong
        with self._asked("written"):
            try:
                self._replace(key, model, data, before)
            except (Outdated, FileNotFoundError):
                raise Changed from None
        now = self.index(model)
        if now is None or now.data != data:
            raise Changed

    def _replace(self, key: str, model: str, data: bytes, before: str) -> None:
        try:
            self._quick.replace(key, data, before)
        except StoreError as error:
            if error.kind is not Kind.NO_CONDITIONS:
                raise
            now = self.index(model)
            if now is None or now.mark != before:
                raise Outdated from None
            self._quick.write(key, data)

    def size(self, name: Name) -> int | None:
        """As ``Carrier``."""
        with self._asked("read"):
            return self._quick.size(carrier.check(name).path)

    def blocks(self, name: Name, allowance: Allowance) -> Iterator[bytes]:
        """As ``Carrier``."""
        with self._asked("read"):
            store = self.store if isinstance(name, Object) else self._quick
            yield from store.blocks(carrier.check(name).path, allowance)

    def put(self, name: Name, source: Path, advance: Advance, *, anew: bool = False) -> None:
        """As ``Carrier``."""
        self.check_takes()
        with self._asked("written"):
            if not anew and self._quick.size(carrier.check(name).path) is not None:
                advance(source.stat().st_size)
                return
            self.store.put(name.path, source, advance)

    def check_takes(self) -> None:
        """Refuse to write where that cannot be; the place is not asked.

        Raises:
            Refused: it can only be read.
        """
        if self.store.plan.read_only:
            what = f"{self.title} can only be read: nothing is written by HTTP, or anonymously"
            raise Refused(what, "release with a remote that takes writes: s3://, gs://, azure://")

    def _asked(self, done: str) -> contextlib.AbstractContextManager[None]:
        return reach.asked(self.title, done, ADVICE)
