"""YAML as DVC reads it, from a source that is not trusted: bounded in time and memory."""

import copy
import functools
import re
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node

# Limits: ruamel needs 4 s for a megabyte, and 2 s for 3,000 nested brackets.
LARGEST, DEEPEST, MOST_DIGITS = 4 << 20, 500, 2_000  # characters; levels; of a whole number
_BRACKETS = re.compile(r"[\[\]{}]")
_INDICATORS = re.compile(r"(?:[-?:] +){500}")
INT = "tag:yaml.org,2002:int"
MOST_VALUES = 1_000_000  # of a document, with its aliases expanded
# A release reads dvc.yaml, which is parsed for each question, eight times. The length is in bytes.
LONGEST_KEPT, MOST_KEPT = 1 << 14, 128


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
            raise ValueError("a number in it has more digits than anybody would write")
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

    Raises:
        ValueError: it is not valid, with a message that can follow the name of the file, or an
            empty one; or its aliases hold themselves, or too much.
    """
    try:
        if len(data) > LONGEST_KEPT:
            return _load(data)
        return copy.deepcopy(_load_once(data))
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ValueError(f"line {mark.line + 1}" if mark else "") from None
    except (RecursionError, LookupError, TypeError, UnicodeDecodeError):
        raise ValueError from None


def _load(data: bytes) -> Any:
    yaml = YAML(typ="safe")
    yaml.Constructor = _Constructor
    text = data.decode("utf-8-sig")
    _check_text(text)
    return yaml.load(StringIO(text))


_load_once = functools.lru_cache(MOST_KEPT)(_load)


def _check_text(text: str) -> None:
    """Refuse what would take minutes to parse: the time grows with the square of the depth."""
    if len(text) > LARGEST or _INDICATORS.search(text):
        raise ValueError("it is too large, or nested too deeply")
    depth = 0
    for bracket in _BRACKETS.finditer(text):
        depth = depth + 1 if bracket[0] in "[{" else max(depth - 1, 0)
        if depth > DEEPEST:
            raise ValueError("it is nested too deeply")
