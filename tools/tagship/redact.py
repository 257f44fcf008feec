"""What may be a secret is cut out of everything that is kept or shown."""

import re
from typing import Any

_USER = re.compile(r"(\w[\w+.-]*://)[^/\s'\"]*@")
_QUERY = re.compile(r"(\w[\w+.-]*://[^\s?'\"]*)\?[^\s'\"]*")


def text(value: str) -> str:
    """``value`` with user, password and query cut out of every URL in it."""
    return _QUERY.sub(r"\1", _USER.sub(r"\1", value))


def json(value: Any) -> Any:
    """The same for every text in a JSON value."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dict):
        return {json(key): json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [json(inner) for inner in value]
    return value
