"""What a program gives to the API, held to the types that the API names.

A notebook has no type checker, and ``version=1.10`` is the number 1.1 before anybody sees it.
"""

import functools
import inspect
import numbers
import reprlib
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar

from tagship.errors import InvalidName

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=type)
_NOUNS: dict[Any, str] = {
    str: "text", int: "whole number", float: "number", bool: "True or False",
    types.NoneType: "None",
}  # fmt: skip


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """The same function; an argument of another type than annotated is an InvalidName."""

    # of the arguments alone: what it gives back may be imported by nobody but who calls it
    hints = {name: hint for name, hint in function.__annotations__.items() if name != "return"}

    @functools.wraps(function)
    def call(*arguments: P.args, **named: P.kwargs) -> R:
        given = inspect.signature(function).bind(*arguments, **named).arguments
        for name, value in given.items():
            if name in hints and not _fits(value, hints[name]):
                raise _wrong(name, value, hints[name])
        return function(*arguments, **named)

    return call


def checked_methods(cls: C) -> C:
    """The same class, with all of its public methods checked, and ``__init__``."""
    for name, value in list(vars(cls).items()):
        if isinstance(value, types.FunctionType) and (name == "__init__" or name[0] != "_"):
            setattr(cls, name, checked(value))
    return cls


def _fits(value: Any, hint: Any) -> bool:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if origin in (types.UnionType, typing.Union):
        return any(_fits(value, one) for one in inner)
    if origin is Iterable:
        many = isinstance(value, Iterable) and not isinstance(value, str | bytes)
        known = isinstance(value, list | tuple | set | frozenset)
        return many and (not known or all(_fits(one, inner[0]) for one in value))
    if hint in (int, float):  # numpy's are such too
        kind = numbers.Integral if hint is int else numbers.Real
        return isinstance(value, kind) and not isinstance(value, bool)
    return not isinstance(hint, type) or isinstance(value, hint)


def _wrong(name: str, value: Any, hint: Any) -> InvalidName:
    kinds = typing.get_args(hint) if _is_union(hint) else (hint,)
    nouns = [_noun(kind) for kind in kinds if kind is not types.NoneType]
    shown = reprlib.repr(value)
    texts = typing.get_origin(hint) is Iterable
    if texts and isinstance(value, str):
        help_ = f'give a list: ["{value}"]'
    elif str in kinds and isinstance(value, numbers.Real) and not isinstance(value, bool):
        help_ = f'give text: "{value}"'
    else:
        help_ = f"give {' or '.join(nouns)}"
    return InvalidName(f"{name} is {shown}, and no {' or '.join(nouns)}", help_)


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (types.UnionType, typing.Union)


def _noun(kind: Any) -> str:
    if typing.get_origin(kind) is Iterable:
        return "list"
    return _NOUNS.get(kind, getattr(kind, "__name__", str(kind)))
