"""Files that should be UTF-8, and are not. Pure."""

from tagship.errors import Corrupt


class NotUtf8(Corrupt):
    """A file with bytes that are no UTF-8: of another encoding, or damaged."""


def error(data: bytes, name: str) -> NotUtf8 | None:
    """The error for such a file, with the first of these bytes; None where it is UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError as wrong:
        line = data.count(b"\n", 0, wrong.start) + 1
        what = f"{name} is not UTF-8: byte 0x{data[wrong.start]:02x} in line {line}"
        return NotUtf8(what, f"save {name} as UTF-8, then commit it")
    return None


def readable(data: bytes) -> bytes:
    """The same with U+FFFD for what is not UTF-8."""
    return data.decode(errors="replace").encode()
