"""The objects of a bundle as they arrive: which they are follows from its tags.

They are laid out as in DVC's cache. So the list of a folder is read, once it is there, as ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from tagship.carry import carrier
from tagship.carry.bundle import Head, Reader
from tagship.disk.files import File
from tagship.dvc import cache as dvc_cache
from tagship.dvc import config as dvc_config
from tagship.dvc.pointers import Cached
from tagship.dvc.remote import LIST
from tagship.dvc.snapshot import Snapshot
from tagship.export import bundle
from tagship.git.run import Repository
from tagship.progress import Advance
from tagship.workspace.source import Source

if TYPE_CHECKING:
    from tagship.dvc.cache import Cache
    from tagship.dvc.config import DvcConfig


@dataclass(frozen=True, kw_only=True)
class Arrived(Source):
    """The versions of a bundle: ``project`` is a folder that has their objects so far.

    Attributes:
        held: the repository that has their capsules alone.
    """

    held: Repository

    @cached_property
    def repository(self) -> Repository:
        """That of the capsules."""
        return self.held

    def _dvc_config(self) -> "DvcConfig":
        return dvc_config.of_host({}, None)

    @property
    def _within(self) -> PurePosixPath:
        return PurePosixPath()

    @cached_property
    def _look_into_cache(self) -> "Cache":
        return dvc_cache.Cache(self.project, self.project)


@dataclass
class Receiving:
    """The objects of a bundle, as they arrive.

    Attributes:
        limit: bytes that an object may have whose size no commit records.
        received: by digest.
        shares: bytes that the files of a folder may still have, by the digest of its list.
    """

    reader: Reader
    head: Head
    limit: int
    source: Arrived
    advance: Advance
    received: dict[str, File] = field(default_factory=dict)
    shares: dict[str, int] = field(default_factory=dict)

    def run(self, snapshots: Sequence[Snapshot]) -> dict[str, File]:
        """All objects that the versions need, and no others.

        Raises:
            Corrupt: one is missing, is another one, or has other bytes.
        """
        for pointer in bundle.lists_of(snapshots):
            self._receive(pointer, LIST)
        for pointer in bundle.files_of(self.source.content(offline=True), snapshots):
            self._receive(pointer, self._most(pointer))
        promised = self.head.objects, self.head.size
        if (len(self.received), self._size) != promised:
            what = f"its versions have {len(self.received)} objects of {self._size} bytes"
            self.reader.refuse(f"{what}, and not {promised[0]} of {promised[1]}")
        return self.received

    @property
    def _size(self) -> int:
        return sum(file.size for file in self.received.values())

    def _most(self, pointer: Cached) -> int:
        """The bytes that an object may have, by its commit."""
        if pointer.size is not None:
            return pointer.size
        if pointer.share is None:
            return self.limit
        return self.shares.setdefault(*pointer.share)

    def _receive(self, pointer: Cached, most: int) -> None:
        name = carrier.Object(pointer.digest)
        target = self.source.project / carrier.check(name).path
        target.parent.mkdir(parents=True, exist_ok=True)
        left = self.head.size - self._size
        file = self.reader.receive(name.path, min(most, left), target, self.advance)
        if file.md5 != pointer.digest.removesuffix(".dir"):
            self.reader.refuse(f"the object {pointer.digest} has other bytes")
        target.chmod(0o444)
        self.received[pointer.digest] = file
        if pointer.share is not None and pointer.size is None:
            self.shares[pointer.share[0]] -= file.size
