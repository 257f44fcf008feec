"""A carrier in a bucket of S3, Google Cloud Storage or Azure; and one that HTTP gives, to read."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tagship.carry import carrier, reach
from tagship.carry.carrier import LARGEST_INDEX, Changed, Index, Name
from tagship.carry.reach import Advice
from tagship.errors import Refused
from tagship.progress import Advance
from tagship.stores.failures import Kind, StoreError
from tagship.stores.store import Outdated, Store
from tagship.stores.stream import Allowance

ADVICE = Advice(
    "docs/stores.md",
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

    def index(self, model: str, seen: str = "") -> Index | None:
        """As ``Carrier``; the mark is the ETag of the index."""
        with self._asked("read"):
            try:
                allowance = Allowance(LARGEST_INDEX)
                answer = self.store.changed(carrier.index_path(model), seen, allowance)
            except FileNotFoundError:
                return Index()
        return Index(*answer) if answer else None

    def write_index(self, model: str, data: bytes, before: str) -> None:
        """As ``Carrier``.

        Some stores take no condition, and others take it and do not look at it. So it is read back:
        of two who write at the same time, the one whose index is gone sees that.
        """
        key = carrier.index_path(model)
        self._check_takes()
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
            self.store.replace(key, data, before)
        except StoreError as error:
            if error.kind is not Kind.NO_CONDITIONS:
                raise
            now = self.index(model)
            if now is None or now.mark != before:
                raise Outdated from None
            self.store.write(key, data)

    def size(self, name: Name) -> int | None:
        """As ``Carrier``."""
        with self._asked("read"):
            return self.store.size(carrier.check(name).path)

    def blocks(self, name: Name, allowance: Allowance) -> Iterator[bytes]:
        """As ``Carrier``."""
        with self._asked("read"):
            yield from self.store.blocks(carrier.check(name).path, allowance)

    def put(self, name: Name, source: Path, advance: Advance) -> None:
        """As ``Carrier``."""
        self._check_takes()
        with self._asked("written"):
            if self.store.size(carrier.check(name).path) is not None:
                advance(source.stat().st_size)
                return
            self.store.put(name.path, source, advance)

    def _check_takes(self) -> None:
        if self.store.plan.read_only:
            what = f"{self.title} can only be read: nothing is written by HTTP, or anonymously"
            raise Refused(what, "release with a remote that takes writes: s3://, gs://, azure://")

    def _asked(self, done: str) -> contextlib.AbstractContextManager[None]:
        return reach.asked(self.title, done, ADVICE)
