"""A tar of files in which all bytes follow from paths, contents and executable bits. Pure.

POSIX.1-2001 (ustar, and pax where ustar has no room): written here, and not by ``tarfile``, so that
no other release of Python gives an image another digest.
"""

import tarfile

BLOCK = 512  # bytes
END = bytes(2 * BLOCK)
LARGEST_USTAR = 8**11 - 1  # bytes: eleven octal digits
# What is no file, by the type in a header
KINDS = {
    tarfile.LNKTYPE: "a link", tarfile.SYMTYPE: "a link", tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device", tarfile.DIRTYPE: "a folder", tarfile.FIFOTYPE: "a pipe",
    tarfile.GNUTYPE_SPARSE: "a file with holes",
}  # fmt: skip
_NAME = 100  # bytes of a path in a header of ustar


def head(path: str, size: int, *, executable: bool = False) -> bytes:
    """What is before a file: its header, and one of pax before it where the path needs one.

    Args:
        path: in the archive.
        size: of the file, in bytes.
        executable: the mode is 0555, and not 0444.
    """
    name, records = path.encode(), b""
    if len(name) > _NAME or not path.isascii():
        records += _record(b"path", name)
        name = path.encode("ascii", "replace")[:_NAME]
    if size > LARGEST_USTAR:
        records += _record(b"size", b"%d" % size)
        size = 0
    header = _header(name, size, 0o555 if executable else 0o444, b"0")
    if not records:
        return header
    extended = _header(b"././@PaxHeader", len(records), 0o444, b"x")
    return extended + records + padding(len(records)) + header


def padding(size: int) -> bytes:
    """What is behind a file of so many bytes, up to the next block."""
    return bytes(-size % BLOCK)


def length(path: str, size: int) -> int:
    """The bytes of a file in an archive, with what is before and behind it."""
    return len(head(path, size)) + size + len(padding(size))


def _record(key: bytes, value: bytes) -> bytes:
    """``LENGTH KEY=VALUE\\n``, where the length counts its own digits."""
    rest = b" %b=%b\n" % (key, value)
    size = len(rest)
    while size != len(rest) + len(b"%d" % size):
        size = len(rest) + len(b"%d" % size)
    return b"%d%b" % (size, rest)


def _header(name: bytes, size: int, mode: int, kind: bytes) -> bytes:
    """512 bytes: of user and group 0, at time 0."""
    fields = (
        name.ljust(_NAME, b"\0"), b"%07o\0" % mode, b"%07o\0" % 0, b"%07o\0" % 0,
        b"%011o\0" % size, b"%011o\0" % 0, b" " * 8, kind, bytes(100), b"ustar\00000",
        bytes(32 + 32 + 8 + 8 + 155 + 12),
    )  # fmt: skip
    header = b"".join(fields)
    return header[:148] + b"%06o\0 " % sum(header) + header[156:]
