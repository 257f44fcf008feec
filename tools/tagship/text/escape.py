"""Control characters made visible, so that a terminal shows them and does not obey them.

Else the name of a metric, a commit or a file could move the cursor, recolour an error, set the
title of the window, or reverse the order in which a line is shown.
"""

import re
from collections.abc import Callable
from typing import Any

# C0 without tab and line feed, DEL, C1; direction overrides (Unicode's UAX #9); and halves of
# surrogate pairs, which UTF-8 cannot hold
_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_HALVES = re.compile(r"[\ud800-\udfff]")  # Python's for a byte of an argument that is no UTF-8, too
_BREAKS = re.compile(r"[\t\n\r]+")


def shown(text: str) -> str:
    r"""``text`` with control characters as ``\x1b`` or ``\u202e``; tabs and line ends stay."""
    return _OBEYED.sub(_escape, text)


def line(text: str) -> str:
    """The same on one line, as for a cell of a table: tabs and line ends become blanks."""
    if text.isprintable():  # the usual case; control characters are not printable
        return text
    return shown(_BREAKS.sub(" ", text))


def encodable(text: str) -> str:
    """``text`` as UTF-8 can hold it: bytes that were no UTF-8, and half pairs, become U+FFFD."""
    return text if text.isascii() else _HALVES.sub("\ufffd", text)


def escaped(text: str) -> str:
    r"""JSON or YAML with control characters as ``\u009b``, which means the same in quotes."""
    return _OBEYED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def for_encoding(error: UnicodeError) -> tuple[str, int]:
    r"""What an encoding cannot write as ``\u6f22``, which JSON reads; for ``codecs``."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    pairs = (units[start : start + 2].hex() for start in range(0, len(units), 2))
    return "".join(f"\\u{pair}" for pair in pairs), error.end


def json(value: Any, indent: int | None = 2, default: Callable[[Any], Any] | None = None) -> str:
    """A JSON value as text for people and terminals; without indent it is ten times as fast.

    Args:
        value: what to write.
        indent: spaces of each level; None for one line.
        default: gives what to write for a value that JSON does not have.

    Raises:
        ValueError: it has a NaN or an infinity, which JSON does not have.
    """
    from json import dumps

    return escaped(
        dumps(value, indent=indent, ensure_ascii=False, allow_nan=False, default=default)
    )


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
