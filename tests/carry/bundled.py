"""A bundle as a carrier, for the conformance suite: it is written once, and read by anybody.

A place grows, and a bundle does not. So what is put into this one writes another bundle with all
that was there and takes its place; the product writes all of it at once (``export/bundle.py``).
"""

import hashlib
import os
import shlex
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tagship.carry import bundle, carrier
from tagship.carry.bundle import Head, Reader, Writer
from tagship.carry.carrier import LARGEST_INDEX, Changed, Index, Name
from tagship.disk import files, scratch
from tagship.errors import Unavailable
from tagship.progress import Advance
from tagship.stores import stream
from tagship.stores.stream import BLOCK, Allowance, TooLong

HEAD = Head(bundle.SCHEMA, "churn", ("churn@v1.0.0",), 0, 0, {})


@dataclass(frozen=True)
class Bundled:
    """A bundle in a file; there is none before the first thing is put into it."""

    path: Path

    @property
    def title(self) -> str:
        """As ``Carrier``."""
        return str(self.path)

    def index(self, model: str, seen: str = "") -> Index | None:
        """As ``Carrier``."""
        name = carrier.index_path(model)
        size = self._sizes().get(name)
        if size is None:
            return Index()
        if size > LARGEST_INDEX:
            raise TooLong
        data = b"".join(self._blocks(name))
        mark = hashlib.sha256(data).hexdigest()
        return None if seen == mark else Index(data, mark)

    def write_index(self, model: str, data: bytes, before: str) -> None:
        """As ``Carrier``, where there is none."""
        if len(data) > LARGEST_INDEX:
            raise TooLong
        name = carrier.index_path(model)
        if before or name in self._sizes():
            raise Changed
        self._write(lambda writer: writer.add(name, data))

    def size(self, name: Name) -> int | None:
        """As ``Carrier``."""
        return self._sizes().get(carrier.check(name).path)

    def blocks(self, name: Name, allowance: Allowance) -> Iterator[bytes]:
        """As ``Carrier``."""
        allowance.take(0)
        size = self.size(name)
        if size is None:
            raise FileNotFoundError(name.path)
        stream.check(size, allowance)
        yield from allowance.limit(self._blocks(name.path))

    def put(self, name: Name, source: Path, advance: Advance, *, anew: bool = False) -> None:
        """As ``Carrier``."""
        size = source.stat().st_size
        if self.size(name) is not None:
            advance(size)
            return
        md5 = files.digest(source).md5
        self._write(lambda writer: writer.add_file(name.path, source, size, md5, advance))

    # --- the file

    def _sizes(self) -> dict[str, int]:
        """The sizes of members: the whole bundle is read, and held to its sums."""
        self._check_there()
        if not self.path.exists():
            return {}
        with self.path.open("rb") as file, tarfile.open(self.path) as opened:
            members = [(each.name, each.size) for each in opened][1:-1]
            reader = Reader(iter(lambda: file.read(BLOCK), b""), self.title)
            reader.head()
            for name, size in members:
                reader.receive(name, size, None, lambda _: None)
            reader.finish()
        return dict(members)

    def _blocks(self, name: str) -> Iterator[bytes]:
        with tarfile.open(self.path) as opened:
            member = opened.extractfile(name)
            assert member is not None
            while block := member.read(BLOCK):
                yield block

    def _write(self, add: Callable[[Writer], object]) -> None:
        names = self._sizes()
        with scratch.folder(self.path) as folder:
            with files.create(folder / "new") as file:
                writer = Writer(file.write)
                writer.add(bundle.HEAD, HEAD.data)
                for name in names:
                    (folder / "old").unlink(missing_ok=True)
                    kept = files.receive(self._blocks(name), folder / "old")
                    writer.add_file(name, folder / "old", kept.size, kept.md5, lambda _: None)
                add(writer)
                writer.finish()
            os.rename(folder / "new", self.path)

    def _check_there(self) -> None:
        if not self.path.parent.is_dir():
            what = f"{self.path} is not there"
            raise Unavailable(what, f"mkdir -p {shlex.quote(str(self.path.parent))}")
