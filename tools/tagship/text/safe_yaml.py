"""YAML that anybody may have written, as DVC reads it, within bounds of time and memory."""

import re
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node

# What is read of YAML: ruamel needs 4 s for a megabyte, and 2 s for 3,000 brackets in one another.
LARGEST, DEEPEST, MOST_DIGITS = 4 << 20, 500, 2_000  # characters; levels; of a whole number
_BRACKETS = re.compile(r"[\[\]{}]")
_INDICATORS = re.compile(r"(?:[-?:] +){500}")
INT = "tag:yaml.org,2002:int"
MOST_VALUES = 1_000_000  # of a YAML document, aliases written out


class _Constructor(SafeConstructor):
    """Makes no value of aliases that stand for more than fits into memory."""

    def get_single_data(self) -> Any:
        node = self.composer.get_single_node()
        if node is None:
            return None
        if _written_out(node, {}) > MOST_VALUES:
            raise ValueError(f"its aliases stand for more than {MOST_VALUES:,} values")
        return self.construct_document(node)


def _written_out(node: Node, known: dict[int, int | None]) -> int:
    """How many values a node has where each alias is written out; ``known``: of nodes, by id."""
    if id(node) not in known:
        if node.tag == INT and len(node.value) > MOST_DIGITS:  # hexadecimal, that is
            raise ValueError("a number in it has more digits than anybody would write")
        known[id(node)] = None  # its own values are still being counted
        inner = node.value if isinstance(node, CollectionNode) else []
        if isinstance(node, MappingNode):
            inner = [one for pair in inner for one in pair]
        known[id(node)] = 1 + sum(_written_out(one, known) for one in inner)
    count = known[id(node)]
    if count is None:
        raise ValueError("an alias in it holds itself")
    return count


def values(data: bytes) -> Any:
    """The values of a YAML document, as DVC reads it (YAML 1.2).

    Raises:
        ValueError: it is none, in words that follow the file's name, or in none; or it holds itself
            or too much, by aliases.
    """
    yaml = YAML(typ="safe")
    yaml.Constructor = _Constructor
    try:
        text = data.decode("utf-8-sig")
        _check_text(text)
        return yaml.load(StringIO(text))
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ValueError(f"line {mark.line + 1}" if mark else "") from None
    except (RecursionError, LookupError, TypeError, UnicodeDecodeError):
        raise ValueError from None


def _check_text(text: str) -> None:
    """Refuse what would take minutes to read: its time grows with the square of the depth."""
    if len(text) > LARGEST or _INDICATORS.search(text):
        raise ValueError("it is too large, or nested too deeply")
    depth = 0
    for found in _BRACKETS.finditer(text):
        depth = depth + 1 if found[0] in "[{" else max(depth - 1, 0)
        if depth > DEEPEST:
            raise ValueError("it is nested too deeply")
