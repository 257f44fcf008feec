"""A ``.keras`` archive, checked before Keras reads it: only what Keras 3 writes is accepted.

The members are those of ``keras/src/saving/saving_lib.py``, the numbers and offsets those of
APPNOTE.TXT 6.3 (4.3 to 4.5). Nothing is written, and no member is unpacked
beyond the size that it declares.
"""

import os
import re
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from tagship.errors import Refused
from tagship.loaders import unlike
from tagship.text import paths

BEGINNINGS = {
    "metadata.json": b"{",
    "config.json": b"{",
    "model.weights.h5": b"\x89HDF\r\n\x1a\n",
}
VOCABULARY = re.compile(r"assets/(?:[^/]+/)+vocabulary\.txt")  # of lookup and text layers
MAX_RATIO = 100  # bytes that one byte may unpack to; deflate reaches 1032
MAX_TEXT = 64 << 20  # bytes of a JSON file: Keras reads it whole
MAX_TOTAL = 64 << 30  # bytes of all members
MAX_MEMBERS = 1000

_LOCAL = struct.Struct("<4s5H3I2H")  # 4.3.7
_END = struct.Struct("<4s4H2IH")  # 4.3.16
_ENCRYPTED, _DESCRIPTOR = 0x1, 0x8  # 4.4.4, bits 0 and 3
_IN_EXTRA = 0xFFFFFFFF  # 4.5.3: the size is in the zip64 field
_ZIP64 = 1
_BLOCK = 1 << 16


def check(path: Path) -> None:
    """Check that an archive is in the format of Keras 3.

    Raises:
        Refused, Corrupt: it is something else, has other members, or larger ones than it declares.
    """
    with open(path, "rb") as file:
        head = file.read(16)
        if not head.startswith(b"PK\x03\x04"):
            raise unlike(path, head, "Keras 3 model", "model.save(path)")
        try:
            wrong = _wrong(file, path.stat().st_size)
        except (zipfile.BadZipFile, ValueError, OverflowError, struct.error, EOFError, zlib.error):
            wrong = "it is damaged"
    if wrong:
        what = f"{path.name} is not as Keras 3 writes a model: {wrong}"
        raise Refused(what, "train and release it again; its sender may mean harm")


def _wrong(file: BinaryIO, size: int) -> str:
    """What is wrong with an archive, in words; empty for nothing."""
    with zipfile.ZipFile(file) as archive:
        members, end = archive.infolist(), archive.start_dir
    file.seek(-_END.size, os.SEEK_END)
    magic, *_, comment = _END.unpack(file.read())
    if magic != b"PK\x05\x06" or comment:
        return "there are bytes behind it"
    wrong = names(member.orig_filename for member in members) or sizes(members, size)
    if wrong:
        return wrong
    place = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        if member.header_offset != place:
            return f"{member.filename!r} does not lie where the one before it ends"
        wrong = kind(member)
        start = place if wrong else _header(file, member)
        wrong = wrong or ("" if start else f"{member.filename!r} has two headers that differ")
        wrong = wrong or _content(file, member, start)
        if wrong:
            return wrong
        place = start + member.compress_size
    return "" if place == end else "there are bytes between its members"


def names(filenames: Iterable[str]) -> str:
    """What is wrong with the names of the members; empty for nothing.

    Only the names that Keras writes are accepted: so none with a NUL, ``..`` or a drive.
    """
    counted = Counter(filenames)
    for name, times in counted.items():
        if name not in BEGINNINGS and not (VOCABULARY.fullmatch(name) and paths.is_path(name)):
            return f"{name!r} does not belong in it"
        if times > 1:
            return f"{name!r} is in it {times} times"
    if len({name.casefold() for name in counted}) < len(counted):
        return "two of its names differ in case alone"
    missing = [name for name in BEGINNINGS if name not in counted]
    if missing:
        return f"{missing[0]!r} is missing"
    return "it has too many members" if len(counted) > MAX_MEMBERS else ""


def sizes(members: Iterable[zipfile.ZipInfo], size: int) -> str:
    """What is wrong with the sizes that the members declare; empty for nothing."""
    total = 0
    for member in members:
        total += member.file_size
        if member.compress_size > size:
            return f"{member.filename!r} says that it is larger than the archive"
        if member.file_size > MAX_RATIO * member.compress_size:
            return f"{member.filename!r} unpacks to more than {MAX_RATIO} times its size"
        if not member.filename.endswith(".h5") and member.file_size > MAX_TEXT:
            return f"{member.filename!r} has {member.file_size:,} bytes"
    return f"it unpacks to {total:,} bytes" if total > MAX_TOTAL else ""


def kind(member: zipfile.ZipInfo) -> str:
    """What is wrong with a member's kind: a link, a device, encrypted, another compression."""
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
        return f"{member.filename!r} is not a regular file"
    if member.filename != member.orig_filename:
        return f"{member.orig_filename!r} has another name too"
    plain = member.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    if not plain or member.flag_bits & (_ENCRYPTED | _DESCRIPTOR):
        return f"{member.filename!r} is packed in a way that Keras does not use"
    return ""


def _header(file: BinaryIO, member: zipfile.ZipInfo) -> int:
    """Where the bytes of a member begin; 0 if its header and the central directory differ."""
    file.seek(member.header_offset)
    magic, _, _, method, _, _, crc, packed, size, name, extra = _LOCAL.unpack(
        file.read(_LOCAL.size)
    )
    named = file.read(name)
    if _IN_EXTRA in (packed, size):
        size, packed = _zip64(file.read(extra))
    same = (
        magic == b"PK\x03\x04"
        and named == member.orig_filename.encode()
        and (method, crc) == (member.compress_type, member.CRC)
        and (packed, size) == (member.compress_size, member.file_size)
    )
    return member.header_offset + _LOCAL.size + name + extra if same else 0


def _zip64(extra: bytes) -> tuple[int, int]:
    """Size and packed size in a header's zip64 field (4.5.3)."""
    while extra:
        field, length = struct.unpack_from("<HH", extra)
        if field == _ZIP64:
            size, packed = struct.unpack_from("<QQ", extra, 4)
            return size, packed
        extra = extra[4 + length :]
    raise ValueError("no zip64 field")


def _content(file: BinaryIO, member: zipfile.ZipInfo, start: int) -> str:
    """What is wrong with a member's bytes: the first ones, or their number."""
    file.seek(start)
    beginning = BEGINNINGS.get(member.filename, b"")
    if member.compress_type == zipfile.ZIP_STORED:
        if member.compress_size != member.file_size:
            return f"{member.filename!r} has another size than it says"
        head = file.read(min(len(beginning), member.file_size))
    else:
        head, length = _unpacked(file, member)
        if length != member.file_size:
            return f"{member.filename!r} unpacks to another size than it says"
    return "" if head.startswith(beginning) else f"{member.filename!r} is something else"


def _unpacked(file: BinaryIO, member: zipfile.ZipInfo) -> tuple[bytes, int]:
    """The first bytes of an unpacked member, and its size: counted to one byte too many at most."""
    unpacker, left = zlib.decompressobj(-zlib.MAX_WBITS), member.compress_size
    head, length = b"", 0
    while left and not unpacker.eof and length <= member.file_size:
        block = file.read(min(_BLOCK, left))
        if not block:
            return head, -1
        left -= len(block)
        while length <= member.file_size and (piece := unpacker.decompress(block, _BLOCK)):
            head, length = head or piece, length + len(piece)
            block = unpacker.unconsumed_tail  # empty: zlib may still hold bytes back
    whole = unpacker.eof and not left and not unpacker.unused_data
    return head, length if whole else -1
