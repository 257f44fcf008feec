"""A layer of an image, compared with the files that it must have, while it is read.

There is one tar of a file, so nothing has to be unpacked or believed: each byte but those of the
file is known before. What a tar could do otherwise (leave its folder, be a link or a device, have a
file twice, grow) is another byte here, and is only looked at for the words.
"""

import hashlib
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tagship.disk import files as disk_files
from tagship.disk import tar
from tagship.disk.files import File, Problem
from tagship.dvc.pointers import Pointer
from tagship.export import image
from tagship.export.image import Blob
from tagship.progress import Advance
from tagship.text import escape

OTHER_BYTES = "the layer has other bytes than its digest says"


@dataclass(frozen=True)
class Expected:
    """A file that a layer must have: as the image describes it, and as the tag promises it.

    ``target``: where it is written; None to hash it alone.
    """

    file: File
    pointer: Pointer
    target: Path | None = None


def check(
    blob: Blob, blocks: Iterable[bytes], files: Sequence[Expected], advance: Advance
) -> list[Problem]:
    """What is wrong with a layer of files.

    Args:
        blob: what the manifest says of it.
        blocks: its bytes; no more are taken than the manifest says.
        files: those that it must have, in order.
        advance: is called with the bytes that arrived.
    """
    reader = _Reader(blocks, advance)
    problem = _difference(reader, files)
    reader.drain()
    if not reader.is_all_of(blob):
        return [Problem(files[0].file.path, OTHER_BYTES)]
    return [problem] if problem else []


def whole(blob: Blob, blocks: Iterable[bytes]) -> bytes | None:
    """The bytes of a small blob; None where they are not those of its digest."""
    data = b"".join(blocks)
    return data if image.digest(data) == blob.digest and len(data) == blob.size else None


def body(data: bytes, name: str) -> bytes | None:
    """The small file in a layer of its own; None where the layer is another one."""
    size = int(found, 8) if (found := data[124:135]).isdigit() and _is_octal(found) else 0
    content = data[tar.BLOCK : tar.BLOCK + size]
    return content if image.own_layer(name, content) == data else None


def _is_octal(digits: bytes) -> bool:
    return not digits.strip(b"01234567")


def _difference(reader: "_Reader", files: Sequence[Expected]) -> Problem | None:
    """The first difference; the rest is not looked at."""
    seen: list[str] = []
    for each in files:
        path = each.file.path
        head = tar.head(image.FOLDER + path, each.file.size, executable=each.file.executable)
        found = reader.take(len(head))
        if found != head:
            return Problem(path, _words(found, path, seen))
        if what := _content(reader, each):
            return Problem(path, what)
        if reader.take(-each.file.size % tar.BLOCK).strip(b"\0"):
            return Problem(path, "has bytes behind its end")
        seen.append(path)
    rest = reader.take(len(tar.END))
    if rest != tar.END:
        return Problem(seen[-1], _words(rest, "", seen))
    return Problem(seen[-1], "has bytes behind its end") if reader.take(1) else None


def _content(reader: "_Reader", each: Expected) -> str:
    """What is wrong with the bytes of a file; empty if nothing is."""
    with tempfile.TemporaryDirectory() as folder:  # small: of Git, or text that DVC 2 hashed
        target = each.target or (None if each.pointer.md5 else Path(folder, "file"))
        file = reader.receive(each.file.size, target)
        if file.size < each.file.size:
            return "is cut short"
        if each.pointer.md5:
            is_promised = file.md5 == each.pointer.md5
        else:
            is_promised = target is not None and each.pointer.matches(target, file.md5)
    if not is_promised:
        return "has other bytes than it was released with"
    same = (file.md5, file.sha256) == (each.file.md5, each.file.sha256)
    return "" if same else f"has another digest than {disk_files.METADATA} of the image says"


def _words(header: bytes, path: str, seen: Sequence[str]) -> str:
    """What stands where the header of a file should stand, or the end."""
    try:
        entry = tarfile.TarInfo.frombuf(header[: tar.BLOCK], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return "is in no tar, or its layer is cut short"
    name = escape.line(entry.name)[:200]
    if entry.type in tar.KINDS:
        return f"the layer has {tar.KINDS[entry.type]} instead: {name}"
    if entry.name.startswith("/") or ".." in entry.name.split("/"):
        return f"the layer leads out of the image: {name}"
    if entry.name.removeprefix(image.FOLDER) in seen:
        return f"the layer has a file twice: {name}"
    if entry.type != tarfile.REGTYPE or entry.name != image.FOLDER + path:
        return f"the layer has something else: {name}"
    return "has another size, mode, owner or time than its tag gives"


class _Reader:
    """Bytes in order, hashed once they are taken."""

    def __init__(self, blocks: Iterable[bytes], advance: Advance) -> None:
        self._blocks, self._advance = iter(blocks), advance
        self._rest, self._sha256, self._size = b"", hashlib.sha256(), 0

    def take(self, size: int) -> bytes:
        """So many bytes; fewer at the end."""
        data = b"".join(self._next(size))
        self._sha256.update(data)
        return data

    def receive(self, size: int, target: Path | None) -> File:
        """So many bytes as a file; fewer at the end."""
        return disk_files.receive(self._next(size), target, self._advance, self._sha256.update)

    def drain(self) -> None:
        """Take what is left."""
        while block := self._rest or next(self._blocks, b""):
            self._rest = b""
            self._size += len(block)
            self._sha256.update(block)

    def is_all_of(self, blob: Blob) -> bool:
        """Whether what was taken is that blob."""
        return (f"sha256:{self._sha256.hexdigest()}", self._size) == (blob.digest, blob.size)

    def _next(self, size: int) -> Iterator[bytes]:
        while size > 0 and (block := self._rest or next(self._blocks, b"")):
            block, self._rest = block[:size], block[size:]
            self._size += len(block)
            size -= len(block)
            yield block
