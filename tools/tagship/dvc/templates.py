"""Whether a value of dvc.yaml has templates, and how large it is. Imports nothing."""

from collections.abc import Callable
from typing import Any

Read = Callable[[str], bytes | None]
"""The content of a file at a commit by its path from the top; None where there is none."""


def is_template(value: Any) -> bool:
    """Whether DVC would fill something in."""
    return measure(value)[1] > 0


def measure(value: Any) -> tuple[int, int]:
    """How many values there are in a value, and references; what aliases repeat counts again."""
    return _measure(value, {})


def _measure(value: Any, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    if isinstance(value, str):
        if id(value) not in known:
            known[id(value)] = 1, value.count("${")
        return known[id(value)]
    if not isinstance(value, dict | list):
        return 1, 0
    if id(value) not in known:
        inner = [*value, *value.values()] if isinstance(value, dict) else value
        pairs = [_measure(item, known) for item in inner]
        known[id(value)] = 1 + sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)
    return known[id(value)]


def longest(value: Any) -> int:
    """The characters of the longest text in a value."""
    seen, level, most = set[int](), [value], 0
    while level:
        node = level.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, str):
            most = max(most, len(node))
        elif isinstance(node, dict):
            level += [*node, *node.values()]
        elif isinstance(node, list | tuple):
            level += node
    return most
