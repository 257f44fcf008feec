"""JSON that anybody may have edited, read into dataclasses by the types of their fields.

Fields that a later release may have added are passed over. Whatever else is not as it should be is
a ValueError, whose words can follow the name of the file.
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

DEEPEST = 100  # levels of arrays and objects in one another; ours have less than ten
LARGEST = 2**63  # of whole numbers
_NOUNS = {str: "text", int: "whole number", float: "number", bool: "true or false"}

T = TypeVar("T")


@dataclass(frozen=True)
class Is:
    """What a text must be, for ``Annotated[str, Is(...)]``."""

    holds: Callable[[str], bool]
    noun: str


def parse(data: bytes, *, finite: bool = True) -> Any:
    """The value of a JSON text in UTF-8, with or without a byte order mark.

    Args:
        data: the text.
        finite: refuse NaN and infinities, which JSON has not and Python writes.

    Raises:
        ValueError: it is no such text, an object has a key twice, or it is nested too deeply.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    numbers: dict[str, Any] = {"parse_constant": _finite, "parse_float": _finite} if finite else {}
    try:
        value = json.loads(text, object_pairs_hook=_object, **numbers)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    _check_depth(value)
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no finite number")
    return number


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice} is there twice")
    return found


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST):
        level = (
            [
                inner
                for one in level
                for inner in (one.values() if isinstance(one, dict) else one)
                if isinstance(inner, dict | list)
            ]
            if isinstance(value, dict | list)
            else []
        )
        if not level:
            return
    raise ValueError("it is nested too deeply")


def read(kind: type[T], value: Any, where: str = "") -> T:
    """A dataclass from a JSON object.

    Its fields may be JSON values, other dataclasses and TypedDicts, lists, tuples and mappings of
    such, each or None, and ``Annotated[str, Is(...)]``.

    Args:
        kind: the dataclass.
        value: what ``parse`` gave.
        where: the names of the fields that lead to it, for the error.

    Raises:
        ValueError: a field is missing, or of another type.
    """
    found = _members(cast("type", kind), value, where)
    defaults = {
        one.name
        for one in dataclasses.fields(cast("Any", kind))
        if one.default is not dataclasses.MISSING or one.default_factory is not dataclasses.MISSING
    }
    _check_there(_hints(cast("type", kind)).keys() - defaults, found, where)
    return kind(**found)


def array(kind: type[T]) -> Callable[[Any], list[T]]:
    """The same for a JSON array of such objects."""
    return lambda value: cast("list[T]", _value(list[kind], value, ""))  # type: ignore[valid-type]


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind, include_extras=True)


def _members(kind: type, value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where or 'it'} is {reprlib.repr(value)}, no object")
    below = f"{where}." if where else ""
    return {
        name: _value(hint, value[name], below + name)
        for name, hint in _hints(kind).items()
        if name in value
    }


def _check_there(wanted: typing.AbstractSet[str], found: dict[str, Any], where: str) -> None:
    lacking = sorted(wanted - found.keys())
    if lacking:
        raise ValueError(f"{where + '.' if where else ''}{lacking[0]} is missing")


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (types.UnionType, typing.Union):
        (only,) = (one for one in inner if one is not types.NoneType)
        return None if value is None else _value(only, value, where)
    if origin in (list, tuple):
        _check(isinstance(value, list), value, where, "array")
        return origin(_value(inner[0], one, f"{where}[{i}]") for i, one in enumerate(value))
    if origin is dict:
        _check(isinstance(value, dict), value, where, "object")
        return {name: _value(inner[1], one, f"{where}.{name}") for name, one in value.items()}
    if origin is typing.Annotated:
        rule: Is = inner[1]
        _check(isinstance(value, str) and rule.holds(value), value, where, rule.noun)
        return value
    if typing.is_typeddict(hint):
        _check_there(hint.__required_keys__, _members(hint, value, where), where)
        return value
    if dataclasses.is_dataclass(hint):
        return read(cast("type[Any]", hint), value, where)
    _check(_is(hint, value), value, where, _NOUNS[hint])
    return value


def _is(kind: type, value: Any) -> bool:
    if kind in (int, float):
        fitting = isinstance(value, int | float if kind is float else int)
        return fitting and not isinstance(value, bool) and -LARGEST < value < LARGEST
    return isinstance(value, kind)


def _check(holds: bool, value: Any, where: str, noun: str) -> None:
    if not holds:
        raise ValueError(f"{where or 'it'} is {reprlib.repr(value)}, no {noun}")
