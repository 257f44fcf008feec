"""YAML as DVC reads it, from a source that is not trusted: bounded in time and memory."""

import re
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node

from tagship.text import numbers
from tagship.text.recent import Recent

# Limits: ruamel needs 4 s for a megabyte, and 2 s for 3,000 nested brackets.
LARGEST, DEEPEST, MOST_DIGITS = 4 << 20, 500, 2_000  # characters; levels; of a whole number
_BRACKETS = re.compile(r"[\[\]{}]")
_INDICATORS = re.compile(r"(?:[-?:] +){500}")
INT = "tag:yaml.org,2002:int"
MOST_VALUES = 1_000_000  # of a document, with its aliases expanded
# Thousands of tags have the same few files, and ruamel needs 1 ms for the shortest.
_parsed: Recent[bytes, Any] = Recent(LARGEST)  # values, or the ValueError; by bytes, of such a sum


class _Constructor(SafeConstructor):
    """Refuses aliases that would expand to more than fits into memory."""

    def get_single_data(self) -> Any:
        node = self.composer.get_single_node()
        if node is None:
            return None
        if _written_out(node, {}) > MOST_VALUES:
            raise ValueError(f"its aliases stand for more than {MOST_VALUES:,} values")
        return self.construct_document(node)


def _written_out(node: Node, known: dict[int, int | None]) -> int:
    """The number of values of a node with its aliases expanded; ``known``: those by id of node."""
    if id(node) not in known:
        if node.tag == INT and len(node.value) > MOST_DIGITS:  # a hexadecimal one
            raise ValueError(numbers.TOO_LONG)
        known[id(node)] = None  # its own values are still being counted
        inner = node.value if isinstance(node, CollectionNode) else []
        if isinstance(node, MappingNode):
            inner = [part for pair in inner for part in pair]
        known[id(node)] = 1 + sum(_written_out(part, known) for part in inner)
    count = known[id(node)]
    if count is None:
        raise ValueError("an alias in it holds itself")
    return count


def values(data: bytes) -> Any:
    """The values of a YAML document, as DVC reads it (YAML 1.2).

    Equal documents have the same values, which so must not be changed.

    Raises:
        ValueError: it is not valid, with a message that can follow the name of the file, or an
            empty one; or its aliases hold themselves, or too much.
    """
    value = _parsed.get(data, lambda: (_values_or_error(data), len(data)))
    if isinstance(value, ValueError):
        raise ValueError(*value.args)
    return value


def _values_or_error(data: bytes) -> Any:
    try:
        return _parse(data)
    except ValueError as error:
        return ValueError(*error.args)


def _parse(data: bytes) -> Any:
    yaml = YAML(typ="safe")
    yaml.Constructor = _Constructor
    try:
        text = data.decode("utf-8-sig")
        _check_text(text)
        with numbers.limited():
            return yaml.load(StringIO(text))
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ValueError(f"line {mark.line + 1}" if mark else "") from None
    except (RecursionError, LookupError, TypeError, UnicodeDecodeError):
        raise ValueError from None


def _check_text(text: str) -> None:
    """Refuse what would take minutes to parse: the time grows with the square of the depth."""
    if len(text) > LARGEST or _INDICATORS.search(text):
        raise ValueError("it is too large, or nested too deeply")
    depth = 0
    for bracket in _BRACKETS.finditer(text):
        depth = depth + 1 if bracket[0] in "[{" else max(depth - 1, 0)
        if depth > DEEPEST:
            raise ValueError("it is nested too deeply")
