"""Possible secrets are cut out of everything that is stored or shown."""

import re
from typing import Any

# each reads a letter once: a text may be long, and written to slow us down
_WORD = re.compile(r"[^\s'\"]+")
_BEGIN = re.compile(r"(?<=\w)://")
_USER = re.compile(r"(?<=\w://)[^/]*@")


def text(value: str) -> str:
    """``value`` with user, password and query cut out of every URL in it."""
    return _WORD.sub(_cut, value) if "://" in value else value


def _cut(word: re.Match[str]) -> str:
    shown = _USER.sub("", word[0])
    begin = _BEGIN.search(shown)
    if begin is None:
        return shown
    query = shown.find("?", begin.end())
    return shown if query < 0 else shown[:query]


def json(value: Any) -> Any:
    """The same for every text in a JSON value."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dict):
        return {json(key): json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [json(inner) for inner in value]
    return value
