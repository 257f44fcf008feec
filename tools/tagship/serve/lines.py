"""JSON lines that programs and terminals read: no control character of a client is in them."""

import time
from typing import Any

import orjson

from tagship.text import escape

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE


def line(value: dict[str, Any]) -> bytes:
    """A JSON object as one line, with its line end.

    Args:
        value: it can hold arrays of NumPy that are contiguous.

    Raises:
        TypeError: it holds what JSON has not.
    """
    data = orjson.dumps(value, option=_OPTIONS)
    if data.isascii() and b"\x7f" not in data:  # orjson escapes the other control characters
        return data
    return escape.escaped(data.decode()).encode()


def stamp(seconds: float) -> str:
    """ISO 8601 in UTC, to the millisecond: ``2026-11-27T08:00:00.123Z``."""
    whole = int(seconds)
    date = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
    return f"{date}.{int((seconds - whole) * 1000):03d}Z"
