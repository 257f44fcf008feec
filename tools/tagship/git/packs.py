"""Packs of a few objects: written byte by byte, so that equal objects give equal bytes.

``git pack-objects`` orders objects by the tags that a clone has, and its settings change how much
it compresses. The format is that of gitformat-pack(5): no deltas, so each object stands alone.
"""

import hashlib
import struct
import zlib
from collections.abc import Iterable

from tagship.errors import Refused
from tagship.git.batch import Header
from tagship.git.tree import Blobs

VERSION = 2
KINDS = {"commit": 1, "tree": 2, "blob": 3, "tag": 4}
LEVEL = 9  # of zlib: it costs milliseconds, once


class TooLarge(Refused):
    """The objects have more bytes than the pack may have."""


def pack(blobs: Blobs, ids: Iterable[str], most: int) -> bytes:
    """A pack of these objects alone, in the order of their ids.

    Args:
        blobs: reads the clone.
        ids: of the objects, in any order.
        most: bytes that they may have, not compressed.

    Raises:
        Unavailable: the clone lacks one.
        TooLarge: they have more bytes.
    """
    names = sorted(set(ids))
    size = sum(header.size for header in blobs.headers(names))
    if size > most:
        raise TooLarge(f"it has {size} bytes")
    parts = [b"PACK" + struct.pack(">II", VERSION, len(names))]
    parts += [_head(header) + zlib.compress(data, LEVEL) for header, data in blobs.objects(names)]
    body = b"".join(parts)
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def _head(header: Header) -> bytes:
    """Type and size of an object: 4 bits of the size, then 7 at a time, the lowest first."""
    rest, low = divmod(header.size, 16)
    octets = [KINDS[header.kind] << 4 | low]
    while rest:
        octets[-1] |= 0x80
        rest, low = divmod(rest, 128)
        octets.append(low)
    return bytes(octets)
