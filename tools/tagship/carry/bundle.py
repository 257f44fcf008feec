"""A bundle: a version with all that is needed to deploy it, as one file to carry.

A tar, in this order: ``bundle.json``, the index of the model, its capsules, the lists of folders,
the other objects, ``SHA256SUMS``; in the layout of a folder that is a place. Equal versions and
stages give equal bytes. It is read once, in order, also from a pipe: each next name is known from
what came before, so nothing of it is believed, and no path of the tar is ever used.
"""

import hashlib
import json
import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, NoReturn

from tagship.carry import forms
from tagship.carry.forms import ObjectId
from tagship.disk import files as disk_files
from tagship.disk import tar
from tagship.disk.files import File, Write
from tagship.errors import Corrupt
from tagship.progress import Advance
from tagship.registry.refs import ModelText, TagName
from tagship.text import escape, json_reader
from tagship.text.json_reader import Is

SCHEMA = 1
HEAD, SUMS = "bundle.json", "SHA256SUMS"
LARGEST_HEAD = 1 << 20  # bytes
LARGEST_PAX = 4096  # bytes of the records of one member: a long name, a size
MOST = 200_000  # objects
RELEASED = 1000  # tags in the head
WRITE = "write it again where the model is released: tagship bundle MODEL@VERSION -o FILE"
AGAIN = f"copy it again, and compare: sha256sum FILE; if it is the same there, {WRITE}"
GIVE = "give what this has written: tagship bundle MODEL@VERSION -o FILE"
# What people have that is no tar: the first bytes, what it is, and what helps
OTHERS = (
    (b"\x1f\x8b", "it is compressed by gzip", "gunzip it first: a bundle is a plain tar"),
    (b"\xfd7zXZ", "it is compressed by xz", "unxz it first: a bundle is a plain tar"),
    (b"\x28\xb5\x2f\xfd", "it is compressed by zstd", "unzstd it first: a bundle is a plain tar"),
    (b"# v", "it is a bundle of Git", GIVE),
)  # fmt: skip
VersionText = Annotated[
    str,
    Is(lambda text: (name := TagName.parse(text)) is not None and str(name) == text, "a tag"),
]


@dataclass(frozen=True)
class Head:
    """The first member.

    Attributes:
        versions: the tags whose objects are in it.
        objects: how many.
        size: of all objects, in bytes.
        released: the newest tags of versions that its repository has: their tag objects, by name.
            They tell whose bundle it is.
    """

    schema: int
    model: ModelText
    versions: tuple[VersionText, ...]
    objects: int
    size: int
    released: dict[str, ObjectId]

    @property
    def data(self) -> bytes:
        """As it is written."""
        text = json.dumps(asdict(self), separators=(",", ":"), ensure_ascii=False)
        return text.encode() + b"\n"


@dataclass
class Bad(Exception):
    """A file that was put into a bundle does not have the bytes of its digest."""

    md5: str


class Writer:
    """Writes a bundle, each member hashed while it is written.

    Args:
        write: takes the bytes of the bundle, in order.
    """

    def __init__(self, write: Write) -> None:
        self._write, self._sums = write, list[str]()

    def add(self, name: str, data: bytes) -> None:
        """Add a small member."""
        self._put(tar.head(name, len(data)) + data + tar.padding(len(data)))
        self._sums.append(_sum(hashlib.sha256(data).hexdigest(), name))

    def add_file(self, name: str, path: Path, size: int, md5: str, advance: Advance) -> None:
        """Add the bytes of a file.

        Raises:
            Bad: it has others, or another size, by now.
        """
        self._put(tar.head(name, size))
        file = disk_files.pour(path, self._write, advance)
        if (file.size, file.md5) != (size, md5):
            raise Bad(md5)
        self._put(tar.padding(size))
        self._sums.append(_sum(file.sha256, name))

    def finish(self) -> str:
        """Add the sums, and the end.

        Returns:
            The SHA-256 of the sums: it stands for all that is in the bundle.
        """
        data = "".join(self._sums).encode()
        self._put(tar.head(SUMS, len(data)) + data + tar.padding(len(data)) + tar.END)
        return hashlib.sha256(data).hexdigest()

    def _put(self, data: bytes) -> None:
        if data:
            self._write(data)


def _sum(sha256: str, name: str) -> str:
    """A line as of ``sha256sum``."""
    return f"{sha256}  {name}\n"


class Reader:
    """Reads a bundle, member by member.

    Args:
        blocks: its bytes.
        where: it is, for errors.
    """

    def __init__(self, blocks: Iterable[bytes], where: str) -> None:
        self._blocks, self._where = iter(blocks), where
        self._rest, self._sums = memoryview(b""), list[str]()
        self._seen = set[str]()

    def head(self) -> Head:
        """The first member.

        Raises:
            Corrupt: it is no bundle.
            Refused: it is of a newer tagship.
        """
        data = self.take(HEAD, LARGEST_HEAD)
        value = forms.parsed(data, f"the bundle {self._where}", SCHEMA)
        try:
            head = json_reader.read(Head, value)
        except ValueError as error:
            self.refuse(f"its {HEAD} is out of form: {error}")
        if not head.versions or list(head.versions) != sorted(set(head.versions)):
            self.refuse(f"its {HEAD} names no versions, or names them twice")
        if not (0 <= head.objects <= MOST) or head.size < 0:
            self.refuse(f"its {HEAD} names {head.objects} objects; {MOST} may be in a bundle")
        return head

    def take(self, name: str, most: int) -> bytes:
        """The bytes of a small member.

        Raises:
            Corrupt: the next member is not that one, or has more bytes.
        """
        size = self._next(name, most)
        data = b"".join(self._bytes(size, name))
        self._end(name, size, hashlib.sha256(data).hexdigest())
        return data

    def receive(self, name: str, most: int, target: Path | None, advance: Advance) -> File:
        """Write the bytes of a member to a new file.

        Args:
            name: of the member.
            most: bytes that it may have.
            target: the file; None to hash the bytes alone.
            advance: is called with the bytes that arrived.

        Raises:
            Corrupt: as for ``take``.
        """
        size = self._next(name, most)
        file = disk_files.receive(self._bytes(size, name), target, advance)
        self._end(name, size, file.sha256)
        return file

    def finish(self) -> str:
        """The last member, and the end.

        Returns:
            As ``Writer.finish``.

        Raises:
            Corrupt: the sums are not those of the members, or there is more.
        """
        expected = "".join(self._sums).encode()
        sums = self.take(SUMS, len(expected))
        if sums != expected:
            self.refuse(f"its {SUMS} has other sums than its members")
        end = self._some(len(tar.END))
        if len(end) < len(tar.END):
            self._refuse_cut("its end")
        if end != tar.END:
            self._refuse_header(end[: tar.BLOCK], "its end")
        if self._some(1):
            self.refuse("it has bytes behind its end")
        return hashlib.sha256(sums).hexdigest()

    def refuse(self, why: str, hint: str = AGAIN) -> NoReturn:
        """Refuse the bundle.

        Raises:
            Corrupt: always.
        """
        raise Corrupt(f"the bundle {self._where} is damaged: {why:.300}", hint)

    def _next(self, name: str, most: int) -> int:
        """The size of the next member, which must have that name, and a header as we write it."""
        header, size = self._header()
        if header != tar.head(name, size):
            self._refuse_header(header, name)
        if size > most:
            self.refuse(f"{name} has {size} bytes, and may have {most}")
        self._seen.add(name)
        return size

    def _header(self) -> tuple[bytes, int]:
        """What is before a member, and the size that it says: another one is no header of ours."""
        first = self._some(tar.BLOCK)
        if not self._seen:
            self._check_start(first)
        if first[156:157] != tarfile.XHDTYPE:
            return first, _octal(first)
        length = min(_octal(first), LARGEST_PAX)
        records = self._some(length + len(tar.padding(length)))
        last = self._some(tar.BLOCK)
        size = re.search(rb" size=([0-9]{1,18})\n", records)
        return first + records + last, int(size[1]) if size else _octal(last)

    def _check_start(self, first: bytes) -> None:
        """Say what it is, if it is something else."""
        for start, what, hint in OTHERS:
            if first.startswith(start):
                raise Corrupt(f"{self._where} is no bundle: {what}", hint)
        if not first:
            self.refuse("it is empty")
        if not HEAD.encode().startswith(first[: len(HEAD)]):
            raise Corrupt(f"{self._where} is no bundle: it does not begin with {HEAD}", GIVE)

    def _refuse_header(self, header: bytes, name: str) -> NoReturn:
        """Say what stands where a member should be."""
        if len(header) < tar.BLOCK:
            self._refuse_cut(name)
        if not header.strip(b"\0"):
            self.refuse(f"it ends where {name} should be")
        try:
            entry = tarfile.TarInfo.frombuf(header[-tar.BLOCK :], "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            self.refuse(f"{name} is not where it should be")
        self.refuse(self._words(entry, name))

    def _words(self, entry: tarfile.TarInfo, name: str) -> str:
        found = escape.line(entry.name)[:200]
        if entry.type in tar.KINDS:
            return f"it has {tar.KINDS[entry.type]}: {found}"
        if entry.name.startswith("/") or ".." in entry.name.split("/"):
            return f"it has a path that leads out: {found}"
        if entry.name in self._seen:
            return f"it has a member twice: {found}"
        if entry.type != tarfile.REGTYPE or entry.name != name:
            return f"it has {found} where {name} should be"
        return f"{name} has another mode, owner, time or size than a bundle gives it"

    def _refuse_cut(self, name: str) -> NoReturn:
        self.refuse(f"it is cut short, in {name}")

    def _bytes(self, size: int, name: str) -> Iterator[memoryview]:
        left = size
        for block in self._blocks_of(size):
            left -= len(block)
            yield block
        if left:
            self._refuse_cut(name)

    def _end(self, name: str, size: int, sha256: str) -> None:
        padding = tar.padding(size)
        behind = self._some(len(padding))
        if len(behind) < len(padding):
            self._refuse_cut(name)
        if behind != padding:
            self.refuse(f"{name} has bytes behind its end")
        self._sums.append(_sum(sha256, name))

    def _some(self, size: int) -> bytes:
        """So many bytes; fewer at the end."""
        return b"".join(self._blocks_of(size))

    def _blocks_of(self, size: int) -> Iterator[memoryview]:
        while size > 0:
            block = self._rest or memoryview(next(self._blocks, b""))
            if not block:
                return
            part, self._rest = block[:size], block[size:]
            size -= len(part)
            yield part


def _octal(header: bytes) -> int:
    """The size in a header of ustar; 0 where there is none."""
    field = header[124:135]
    return int(field, 8) if field and not field.strip(b"01234567") else 0
