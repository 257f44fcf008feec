"""TOML that anybody may have written."""

import tomllib
from typing import Any

from tagship.text import numbers

# bits of a whole number: more need not be read (toml.io, version 1.0, integers), and nobody wants
# them: Python would fail to write one as text
LARGEST = 64


def parse(data: bytes) -> dict[str, Any]:
    """The values of a TOML document.

    Raises:
        ValueError: it is not valid, with a message that can follow the name of the file.
    """
    try:
        with numbers.limited():
            values = tomllib.loads(data.decode())
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    _check(values)
    return values


def _check(value: Any) -> None:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            _check(inner)
    elif isinstance(value, int) and value.bit_length() >= LARGEST:
        raise ValueError(numbers.TOO_LONG)
