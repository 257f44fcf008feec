"""Characters that a terminal obeys instead of showing them, made visible. Pure.

Else whoever names a metric, a commit or a file could move the cursor, recolour an error, set the
title of the window, or have a line read in another order than it has.
"""

import re
from typing import Any

# C0 but tab and line feed, DEL, C1; what overrides the direction of text (Unicode's UAX #9); and
# halves of surrogate pairs, which UTF-8 has not
_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_BREAKS = re.compile(r"[\t\n\r]+")


def shown(text: str) -> str:
    r"""``text`` with each of them as ``\x1b`` or ``\u202e``; tabs and line ends stay."""
    return _OBEYED.sub(_escape, text)


def line(text: str) -> str:
    """The same in one line, as a cell of a table must be: tabs and line ends are blanks."""
    if text.isprintable():  # as most are, by Unicode's own table, which has all of these
        return text
    return shown(_BREAKS.sub(" ", text))


def escaped(text: str) -> str:
    r"""JSON or YAML with each of them as ``\u009b``, which in quotes means the same."""
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def json(value: Any, indent: int | None = 2) -> str:
    """A JSON value as text for people and terminals.

    Raises:
        ValueError: there is a NaN or an infinity in it, which JSON has not.
    """
    from json import dumps

    return escaped(dumps(value, indent=indent, ensure_ascii=False, allow_nan=False))


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
