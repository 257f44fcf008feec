"""Strict JSON, read into dataclasses by the types of their fields: users may edit our files.

Unknown fields are ignored: a later release may have added them. Everything else that is wrong is a
ValueError, with a message that can follow the name of the file.
"""

import dataclasses
import functools
import json
import math
import reprlib
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from tagship.text import numbers

DEEPEST = 100  # levels of nested arrays and objects; ours have less than ten
LARGEST = 2**63  # of whole numbers
_NOUNS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}

T = TypeVar("T")


@dataclass(frozen=True)
class Is:
    """A rule for a text, for ``Annotated[str, Is(...)]``; ``noun`` is used in the error."""

    holds: Callable[[str], bool]
    noun: str


def parse(data: bytes, *, strict: bool = True, shallow: bool = True) -> Any:
    """The value of a JSON text in UTF-8, with or without a byte order mark.

    Args:
        data: the text.
        strict: refuse what parsers disagree on: NaN and infinities, and duplicate keys.
        shallow: refuse what is nested too deeply; ``read`` does so itself, where that can be.

    Raises:
        ValueError: it is not valid JSON, or is nested too deeply.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    try:
        with numbers.limited():
            value = (_STRICT if strict else _LENIENT).decode(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return _shallow(value) if shallow else value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice} is there twice")
    return value


# json.loads would make a new decoder for each text
_LENIENT = json.JSONDecoder()
_STRICT = json.JSONDecoder(
    parse_constant=_finite, parse_float=_finite, object_pairs_hook=_object
)  # fmt: skip


def _shallow(value: Any) -> Any:
    level = [value]
    for _ in range(DEEPEST):
        level = (
            [
                inner
                for outer in level
                for inner in (outer.values() if isinstance(outer, dict) else outer)
                if isinstance(inner, dict | list)
            ]
            if isinstance(value, dict | list)
            else []
        )
        if not level:
            return value
    raise _Wrong("is nested too deeply")


class _Wrong(ValueError):
    """A wrong value; ``where`` is completed while the error passes through its containers."""

    def __init__(self, what: str, where: str = "") -> None:
        super().__init__(what)
        self.what, self.where = what, where

    def __str__(self) -> str:
        return f"{self.where.removeprefix('.') or 'it'} {self.what}"

    def below(self, where: str) -> "_Wrong":
        return _Wrong(self.what, where + self.where)


def _no(value: Any, noun: str) -> _Wrong:
    return _Wrong(f"is {reprlib.repr(value)}, not {noun}")


def read(kind: type[T], value: Any) -> T:
    """A dataclass from a JSON object.

    Its fields can be JSON values, other dataclasses and TypedDicts, lists, tuples and mappings of
    these, each also with None, and ``Annotated[str, Is(...)]``.

    Args:
        kind: the dataclass.
        value: from ``parse``.

    Raises:
        ValueError: a field is missing, or of another type.
    """
    return cast("T", _reader(cast("Any", kind))(value))


def array(kind: type[T]) -> Callable[[Any], list[T]]:
    """The same for a JSON array of such objects."""
    return cast("Callable[[Any], list[T]]", _reader(list[kind]))  # type: ignore[valid-type]


@functools.cache
def _reader(hint: Any) -> Callable[[Any], Any]:
    """The function that reads a value of a type: made once, and used for thousands of events."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return _shallow
    if origin in (types.UnionType, typing.Union):
        (only,) = (kind for kind in inner if kind is not types.NoneType)
        return _or_none(_reader(only))
    if origin in (list, tuple):
        return _array(origin, _reader(inner[0]))
    if origin is dict:
        return _mapping(_reader(inner[1]))
    if origin is typing.Annotated:
        return _ruled(inner[1])
    if typing.is_typeddict(hint) or dataclasses.is_dataclass(hint):
        return _members(hint)
    return _number(hint) if hint in (int, float) else _plain(hint)


def _or_none(read_one: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else read_one(value)


def _array(kind: Any, read_one: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def reader(value: Any) -> Any:
        if not isinstance(value, list):
            raise _no(value, "an array")
        items: list[Any] = []
        try:
            for item in value:
                items.append(read_one(item))
        except _Wrong as wrong:
            raise wrong.below(f"[{len(items)}]") from None
        return kind(items)

    return reader


def _mapping(read_one: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def reader(value: Any) -> Any:
        if not isinstance(value, dict):
            raise _no(value, "an object")
        items = {}
        for name, item in value.items():
            try:
                items[name] = read_one(item)
            except _Wrong as wrong:
                raise wrong.below(f".{name}") from None
        return items

    return reader


def _ruled(rule: Is) -> Callable[[Any], str]:
    def reader(value: Any) -> str:
        if not isinstance(value, str) or not rule.holds(value):
            raise _no(value, rule.noun)
        return value

    return reader


def _number(kind: type) -> Callable[[Any], Any]:
    kinds = (int, float) if kind is float else int

    def reader(value: Any) -> Any:
        fitting = isinstance(value, kinds) and not isinstance(value, bool)
        if not fitting or not -LARGEST < value < LARGEST:
            raise _no(value, _NOUNS[kind])
        return value

    return reader


def _plain(kind: type) -> Callable[[Any], Any]:
    def reader(value: Any) -> Any:
        if not isinstance(value, kind):
            raise _no(value, _NOUNS[kind])
        return value

    return reader


def _members(kind: Any) -> Callable[[Any], Any]:
    """A reader of a dataclass, or of a TypedDict, whose value is checked and returned as it is."""
    hints = typing.get_type_hints(kind, include_extras=True)
    readers = [(name, _reader(hint)) for name, hint in hints.items()]
    of_fields = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
    defaults = {
        item.name
        for item in of_fields
        if item.default is not dataclasses.MISSING
        or item.default_factory is not dataclasses.MISSING
    }
    needed = sorted(set(hints) - defaults)

    def reader(value: Any) -> Any:
        if not isinstance(value, dict):
            raise _no(value, "an object")
        members = {}
        name = ""
        try:
            for name, read_one in readers:
                if name in value:
                    members[name] = read_one(value[name])
        except _Wrong as wrong:
            raise wrong.below(f".{name}") from None
        if len(members) < len(readers):
            for name in needed:
                if name not in members:
                    raise _Wrong("is missing", f".{name}")
        return kind(**members) if of_fields else value

    return reader
