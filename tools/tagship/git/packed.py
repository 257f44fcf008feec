"""Packs that anybody may have written: their objects, found within bounds and without Git. Pure.

The form is that of gitformat-pack(5). Deltas are refused: what is written here has none, and by
them some hundred bytes can ask for any amount of memory. So the size of each object is in the pack,
and no more is inflated than it says.
"""

import hashlib
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tagship.errors import TagshipError

MOST = 100_000  # objects of a pack
INFLATED = 256 << 20  # bytes of all objects of a pack
LARGEST = {"tag": 1 << 20, "commit": 1 << 20, "tree": 16 << 20}  # bytes; a blob is a file
KEPT = ("tag", "commit")  # those whose bytes are kept
LARGEST_KEPT = 4 << 20  # bytes of all of them: a capsule has one tag and one commit
_KINDS = {1: "commit", 2: "tree", 3: "blob", 4: "tag"}
_DELTAS = (6, 7)
_HEAD = struct.Struct(">4sII")  # the magic word, the version of the form, the number of objects
_DIGEST = 20  # bytes of the SHA-1 at the end
_BLOCK = 1 << 16  # bytes that are inflated at a time


class BadPack(TagshipError):
    """A pack is out of form, or larger than it may be; its message says how, after a colon."""


@dataclass(frozen=True)
class Object:
    """An object of a pack.

    Attributes:
        id: its name in Git.
        kind: tag, commit, tree or blob.
        size: of its content, in bytes.
        packed: its entry in the pack: in another one it is the same.
        content: of a tag or a commit; else nothing.
    """

    id: str
    kind: str
    size: int
    packed: bytes
    content: bytes


def read(pack: bytes, most: int = INFLATED) -> dict[str, Object]:
    """The objects of a pack, by their ids.

    Args:
        pack: its bytes.
        most: bytes that they may have when they are inflated, all together.

    Raises:
        BadPack: as it says.
    """
    if len(pack) < _HEAD.size + _DIGEST:
        raise BadPack("it is cut short")
    magic, version, count = _HEAD.unpack_from(pack)
    if magic != b"PACK" or version != 2:
        raise BadPack("it is no pack")
    if count > MOST:
        raise BadPack(f"it has {count:,} objects; at most {MOST:,} are taken")
    end = len(pack) - _DIGEST
    if hashlib.sha1(pack[:end], usedforsecurity=False).digest() != pack[end:]:
        raise BadPack("it is cut short, or its bytes were changed")
    objects = {each.id: each for each in _objects(pack, count, end, most)}
    if len(objects) != count:
        raise BadPack("it has an object twice")
    return objects


def _objects(pack: bytes, count: int, end: int, most: int) -> Iterator[Object]:
    position, left, kept = _HEAD.size, most, LARGEST_KEPT
    for _ in range(count):
        start = position
        kind, size, position = _header(pack, start, end)
        if size > min(left, LARGEST.get(kind, left)):
            raise BadPack(f"it has a {kind} of {size:,} bytes: more than is taken")
        left -= size
        kept -= size if kind in KEPT else 0
        if kept < 0:
            raise BadPack(f"its tags and commits have more than {LARGEST_KEPT:,} bytes")
        identity, content, position = _content(pack, position, end, kind, size)
        yield Object(identity, kind, size, pack[start:position], content)
    if position != end:
        raise BadPack("it has bytes beside its objects")


def _header(pack: bytes, position: int, end: int) -> tuple[str, int, int]:
    """The kind of an object and its size; and where its bytes begin."""
    byte = _byte(pack, position, end)
    number, size, shift = byte >> 4 & 7, byte & 15, 4
    while byte & 128:
        position += 1
        byte = _byte(pack, position, end)
        size |= (byte & 127) << shift
        shift += 7
        if shift > 60:
            raise BadPack("an object in it is out of form")
    if number in _DELTAS:
        raise BadPack("it has deltas, which are not taken")
    if number not in _KINDS:
        raise BadPack("an object in it is out of form")
    return _KINDS[number], size, position + 1


def _byte(pack: bytes, position: int, end: int) -> int:
    if position >= end:
        raise BadPack("it has fewer objects than it says")
    return pack[position]


def _content(
    pack: bytes, position: int, end: int, kind: str, size: int
) -> tuple[str, bytes, int]:  # fmt: skip
    """The id of an object, and its bytes where they are kept; and where the next one begins."""
    digest = hashlib.sha1(f"{kind} {size}\0".encode(), usedforsecurity=False)
    kept: list[bytes] = []
    inflate, arrived = zlib.decompressobj(), 0
    while not inflate.eof:
        piece = inflate.unconsumed_tail or pack[position : min(position + _BLOCK, end)]
        if not piece:
            raise BadPack("an object in it is cut short")
        position += 0 if inflate.unconsumed_tail else len(piece)
        try:
            block = inflate.decompress(piece, _BLOCK)
        except zlib.error:
            raise BadPack("an object in it cannot be inflated") from None
        arrived += len(block)
        if arrived > size:
            raise BadPack("an object in it is longer than it says")
        digest.update(block)
        kept += [block] if kind in KEPT else []
    if arrived != size:
        raise BadPack("an object in it is shorter than it says")
    return digest.hexdigest(), b"".join(kept), position - len(inflate.unused_data)


def write(objects: Iterable[Object]) -> bytes:
    """A pack of objects: each once, in the order of their ids."""
    entries = {each.id: each.packed for each in objects}
    head = _HEAD.pack(b"PACK", 2, len(entries))
    pack = head + b"".join(entries[identity] for identity in sorted(entries))
    return pack + hashlib.sha1(pack, usedforsecurity=False).digest()
